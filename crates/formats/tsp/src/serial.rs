use std::fmt;

/// The number by which a token is told from every other of its authority (RFC 3161 §2.4.2).
///
/// 20 bytes, big-endian, positive. 158 of the 160 bits are random, so that neither a crash nor
/// a second replica can repeat one; the two highest are 0 (sign) and 1 (fixed length).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SerialNumber([u8; 20]);

impl SerialNumber {
    /// Makes a serial number from 20 bytes of a cryptographic random generator.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 20]) -> Self {
        bytes[0] = (bytes[0] & 0x3F) | 0x40;
        Self(bytes)
    }

    /// The number, big-endian: also the content octets of its INTEGER.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for SerialNumber {
    /// Lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der_reader::is_minimal_integer;

    #[test]
    fn is_positive_and_of_one_length_whatever_the_random_bytes() {
        for byte in [0x00, 0x7F, 0x80, 0xFF] {
            let serial = SerialNumber::from_random([byte; 20]);
            assert!(is_minimal_integer(serial.as_bytes()));
            assert!(serial.as_bytes()[0] < 0x80);
        }
    }
}
