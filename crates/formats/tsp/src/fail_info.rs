use crate::{
    der_reader::{BIT_STRING, SEQUENCE, UTF8_STRING},
    der_writer::{element, small_integer},
};

/// Longest explanation sent, in bytes; ours are one sentence.
const MAX_TEXT_LEN: usize = 256;

/// `PKIStatus` rejection, RFC 3161 §2.4.2.
const STATUS_REJECTION: u8 = 2;

/// Why no token was granted: the named bits of `PKIFailureInfo`, RFC 3161 §2.4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailInfo {
    /// The hash algorithm is unknown or weak.
    BadAlg,
    /// The transaction is not permitted or not supported.
    BadRequest,
    /// The request has the wrong format.
    BadDataFormat,
    /// The authority's time source is not available.
    TimeNotAvailable,
    /// The requested policy is not supported.
    UnacceptedPolicy,
    /// A requested extension is not supported.
    UnacceptedExtension,
    /// Additional information was asked for that is not understood or not available.
    AddInfoNotAvailable,
    /// The request cannot be handled because of a failure of the authority.
    SystemFailure,
}

impl FailInfo {
    /// All of them, by bit.
    pub const ALL: [Self; 8] = [
        Self::BadAlg,
        Self::BadRequest,
        Self::BadDataFormat,
        Self::TimeNotAvailable,
        Self::UnacceptedPolicy,
        Self::UnacceptedExtension,
        Self::AddInfoNotAvailable,
        Self::SystemFailure,
    ];

    /// The number of the bit; bit 0 is the highest of the first byte.
    #[must_use]
    pub const fn bit(self) -> u8 {
        match self {
            Self::BadAlg => 0,
            Self::BadRequest => 2,
            Self::BadDataFormat => 5,
            Self::TimeNotAvailable => 14,
            Self::UnacceptedPolicy => 15,
            Self::UnacceptedExtension => 16,
            Self::AddInfoNotAvailable => 17,
            Self::SystemFailure => 25,
        }
    }

    /// The name in the standard's ASN.1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadAlg => "badAlg",
            Self::BadRequest => "badRequest",
            Self::BadDataFormat => "badDataFormat",
            Self::TimeNotAvailable => "timeNotAvailable",
            Self::UnacceptedPolicy => "unacceptedPolicy",
            Self::UnacceptedExtension => "unacceptedExtension",
            Self::AddInfoNotAvailable => "addInfoNotAvailable",
            Self::SystemFailure => "systemFailure",
        }
    }

    /// The BIT STRING. Written by hand: DER drops the zero bits at the end of named bits
    /// (X.690 §11.2.2), and `cmpv2` uses ordinals for bits.
    fn to_der(self) -> Vec<u8> {
        let (full_bytes, bit) = (self.bit() / 8, self.bit() % 8);
        let mut content = vec![0; usize::from(full_bytes) + 1];
        content[0] = 7 - bit;
        content.push(0x80 >> bit);
        element(BIT_STRING, &[&content])
    }

    /// The first name among the set bits of a BIT STRING's content.
    pub(crate) fn from_bit_string(content: &[u8]) -> Option<Self> {
        let (_, bytes) = content.split_first()?;
        Self::ALL.into_iter().find(|info| {
            let byte = bytes.get(usize::from(info.bit() / 8)).copied().unwrap_or(0);
            byte & (0x80 >> (info.bit() % 8)) != 0
        })
    }
}

/// DER of the `TimeStampResp` that refuses a request: status 2, `text` for people, `fail_info`
/// for programs, no token. RFC 3161 §2.4.2.
#[must_use]
pub fn rejection(fail_info: FailInfo, text: &str) -> Vec<u8> {
    let end = text.floor_char_boundary(MAX_TEXT_LEN);
    let text = text.get(..end).unwrap_or_default();
    let free_text = element(SEQUENCE, &[&element(UTF8_STRING, &[text.as_bytes()])]);
    let status = small_integer(STATUS_REJECTION);
    let status_info = element(SEQUENCE, &[&status, &free_text, &fail_info.to_der()]);
    element(SEQUENCE, &[&status_info])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_named_bits_without_zero_bits_at_the_end() {
        assert_eq!(FailInfo::BadAlg.to_der(), [3, 2, 7, 0x80]);
        assert_eq!(FailInfo::BadRequest.to_der(), [3, 2, 5, 0x20]);
        assert_eq!(FailInfo::BadDataFormat.to_der(), [3, 2, 2, 0x04]);
        assert_eq!(FailInfo::TimeNotAvailable.to_der(), [3, 3, 1, 0, 0x02]);
        assert_eq!(FailInfo::UnacceptedPolicy.to_der(), [3, 3, 0, 0, 0x01]);
        assert_eq!(FailInfo::UnacceptedExtension.to_der(), [3, 4, 7, 0, 0, 0x80]);
        assert_eq!(FailInfo::AddInfoNotAvailable.to_der(), [3, 4, 6, 0, 0, 0x40]);
        assert_eq!(FailInfo::SystemFailure.to_der(), [3, 5, 6, 0, 0, 0, 0x40]);
    }

    #[test]
    fn reads_back_the_bit_that_was_written() {
        for info in FailInfo::ALL {
            assert_eq!(FailInfo::from_bit_string(&info.to_der()[2..]), Some(info));
        }
        assert_eq!(FailInfo::from_bit_string(&[]), None);
        assert_eq!(FailInfo::from_bit_string(&[0]), None);
        assert_eq!(FailInfo::from_bit_string(&[0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn cuts_a_long_explanation_between_characters() {
        let der = rejection(FailInfo::BadRequest, &"é".repeat(1000));
        assert!(der.len() < MAX_TEXT_LEN + 40);
    }
}
