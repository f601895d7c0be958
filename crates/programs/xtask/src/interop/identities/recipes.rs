//! The recipes of the documents, as they stand there.

use anyhow::{Result, bail};

pub(super) const COMPOSE: &str = include_str!("../../../../../../docs/compose.md");
pub(super) const CI_ISSUERS: &str = include_str!("../../../../../../docs/ci-issuers.md");
/// The end of docs/identity-providers.md, after the table.
pub(super) const IDENTITY_PROVIDERS: &str = include_str!("document/tail.md");

/// Every piece of TOML below a heading, up to the next one.
pub(super) fn below(page: &str, heading: &str) -> Result<String> {
    let mut lines = page.lines().skip_while(|line| *line != heading).skip(1).peekable();
    if lines.peek().is_none() {
        bail!("no document has the heading `{heading}`");
    }
    let (mut found, mut open) = (String::new(), false);
    for line in lines {
        match line {
            "```toml" => open = true,
            "```" if open => {
                open = false;
                found.push('\n');
            }
            line if open => {
                found.push_str(line);
                found.push('\n');
            }
            line if line.starts_with('#') => break,
            _ => {}
        }
    }
    if found.is_empty() {
        bail!("there is no recipe below `{heading}`");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_recipe_is_all_toml_below_its_heading() {
        let page = "# A\n```toml\nno\n```\n## B\ntext\n```toml\na = 1\n# b\n```\n```\nx\n```\n```toml\nc = 2\n```\n## C\n";
        assert_eq!(below(page, "## B").unwrap(), "a = 1\n# b\n\nc = 2\n\n");
        for heading in ["## C", "## D"] {
            assert!(below(page, heading).is_err(), "{heading}");
        }
    }
}
