use thiserror::Error;

/// Longest PEM text accepted, in bytes: ten certificates of 16 KiB, in base64.
const MAX_PEM_LEN: usize = 256 * 1024;

/// Writes one certificate as PEM `CERTIFICATE`: 64 columns, LF, final newline (RFC 7468 §5).
///
/// The Fulcio v2 API wants it without the final newline: `trim_end` there.
#[must_use]
pub fn to_pem(certificate_der: &[u8]) -> String {
    let block = pem::Pem::new("CERTIFICATE", certificate_der);
    pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// Reads every PEM `CERTIFICATE` of `text`, in order, as DER.
///
/// # Errors
/// [`PemError`] when the text is too long, is not PEM, holds no block or a block of another kind.
pub fn from_pem(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    if text.len() > MAX_PEM_LEN {
        return Err(PemError::TooLong);
    }
    let blocks = pem::parse_many(text).map_err(|_| PemError::Malformed)?;
    if blocks.is_empty() {
        return Err(PemError::Empty);
    }
    blocks
        .into_iter()
        .map(|block| match block.tag() {
            "CERTIFICATE" => Ok(block.into_contents()),
            other => Err(PemError::UnexpectedLabel(other.to_owned())),
        })
        .collect()
}

/// Why text holds no PEM certificates.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PemError {
    /// Longer than any chain.
    #[error("the PEM text is longer than {MAX_PEM_LEN} bytes")]
    TooLong,
    /// Broken armour or base64.
    #[error("the text is not valid PEM")]
    Malformed,
    /// No block at all.
    #[error("the text holds no PEM certificate")]
    Empty,
    /// PEM of something else.
    #[error("PEM block `{0}` is not a certificate")]
    UnexpectedLabel(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_lines_of_64_columns_that_end_in_lf() {
        let text = to_pem(&[7; 100]);
        assert!(text.ends_with("-----END CERTIFICATE-----\n"));
        assert!(!text.contains('\r'));
        assert_eq!(text.lines().nth(1).map(str::len), Some(64));
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let text = to_pem(b"one") + &to_pem(b"two");
        assert_eq!(from_pem(&text).unwrap(), [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn refuses_other_labels_and_empty_text() {
        assert_eq!(from_pem(""), Err(PemError::Empty));
        let key = to_pem(b"x").replace("CERTIFICATE", "PRIVATE KEY");
        assert_eq!(from_pem(&key), Err(PemError::UnexpectedLabel("PRIVATE KEY".to_owned())));
        assert_eq!(from_pem(&" ".repeat(MAX_PEM_LEN + 1)), Err(PemError::TooLong));
    }
}
