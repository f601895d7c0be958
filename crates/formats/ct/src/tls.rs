//! The TLS presentation language (RFC 5246 §4) as far as RFC 6962 needs it.

/// A length does not fit its prefix.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Appends `bytes` after a big-endian length of `prefix_len` bytes (2 or 3).
pub(crate) fn put_vector(
    out: &mut Vec<u8>,
    prefix_len: usize,
    bytes: &[u8],
) -> Result<(), TooLong> {
    let length = u32::try_from(bytes.len()).map_err(|_| TooLong)?.to_be_bytes();
    let (high, low) = length.split_at_checked(length.len() - prefix_len).ok_or(TooLong)?;
    if high.iter().any(|byte| *byte != 0) {
        return Err(TooLong);
    }
    out.extend_from_slice(low);
    out.extend_from_slice(bytes);
    Ok(())
}

/// Reads from the front of a byte string; every method gives `None` when bytes are missing.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A vector with a three-byte length.
    pub(crate) fn vector24(&mut self) -> Option<&'a [u8]> {
        let [high, middle, low] = self.array()?;
        self.take(usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?)
    }

    /// A vector with a two-byte length.
    pub(crate) fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = u16::from_be_bytes(self.array()?);
        self.take(usize::from(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_vector_longer_than_its_prefix_can_say() {
        let mut out = Vec::new();
        assert_eq!(put_vector(&mut out, 2, &vec![0; 0x1_0000]), Err(TooLong));
        assert!(out.is_empty());
        assert_eq!(put_vector(&mut out, 2, &vec![0; 0xffff]), Ok(()));
        assert_eq!(out.get(..2), Some([0xff, 0xff].as_slice()));
    }

    #[test]
    fn reads_what_was_written_and_no_more() {
        let mut out = Vec::new();
        put_vector(&mut out, 2, b"abc").unwrap();
        let mut reader = Reader(&out);
        assert_eq!(reader.vector16(), Some(b"abc".as_slice()));
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), None);
        assert_eq!(reader.u64(), None);
    }

    #[test]
    fn refuses_vector_that_is_cut_short() {
        assert_eq!(Reader(&[0, 2, 1]).vector16(), None);
        assert_eq!(Reader(&[0]).vector16(), None);
    }
}
