/// One word of the shell, whatever it holds. Bare where possible, for readers that are no shell.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::quoted;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_reads_back_what_was_quoted(text in "[^\\x00]{0,40}") {
            let script = format!("printf %s {}", quoted(&text));
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(output.stdout, text.as_bytes());
        }
    }

    #[test]
    fn quotes_what_a_shell_would_read_otherwise() {
        assert_eq!(quoted("/srv/trust_1/ca.pem"), "/srv/trust_1/ca.pem");
        assert_eq!(quoted("/a b/$x"), "'/a b/$x'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
