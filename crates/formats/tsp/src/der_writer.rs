//! Writes DER forward into one buffer whose size is known before.

use crate::der_reader::{INTEGER, OBJECT_IDENTIFIER, SEQUENCE};

/// Bytes that tag and length take in front of `content_len` bytes of content.
pub(crate) const fn header_len(content_len: usize) -> usize {
    match content_len {
        0..=0x7F => 2,
        0x80..=0xFF => 3,
        0x100..=0xFFFF => 4,
        _ => 5,
    }
}

/// Bytes that an element with `content_len` bytes of content takes.
pub(crate) const fn element_len(content_len: usize) -> usize {
    header_len(content_len) + content_len
}

/// Writes tag and length.
///
/// Content stays below 16 MiB: what a peer sends and what a certificate may hold are capped
/// far below that.
pub(crate) fn put_header(out: &mut Vec<u8>, tag: u8, content_len: usize) {
    let [.., high, middle, low] = content_len.to_be_bytes();
    out.push(tag);
    match content_len {
        0..=0x7F => out.push(low),
        0x80..=0xFF => out.extend_from_slice(&[0x81, low]),
        0x100..=0xFFFF => out.extend_from_slice(&[0x82, middle, low]),
        _ => out.extend_from_slice(&[0x83, high, middle, low]),
    }
}

/// Writes one element.
pub(crate) fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    put_header(out, tag, content.len());
    out.extend_from_slice(content);
}

/// One element whose content is `parts`, one after the other.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content_len = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(element_len(content_len));
    put_header(&mut out, tag, content_len);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// An OBJECT IDENTIFIER.
pub(crate) fn object_identifier(oid: &const_oid::ObjectIdentifier) -> Vec<u8> {
    element(OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

/// An INTEGER below 128.
pub(crate) const fn small_integer(value: u8) -> [u8; 3] {
    [INTEGER, 1, value]
}

/// An `AlgorithmIdentifier` without parameters.
pub(crate) fn algorithm_identifier(oid: &const_oid::ObjectIdentifier) -> Vec<u8> {
    element(SEQUENCE, &[&object_identifier(oid)])
}

#[cfg(test)]
mod tests {
    use der::{AnyRef, Encode, Tag};

    use super::*;

    #[test]
    fn writes_what_the_der_crate_writes_at_every_length_boundary() {
        for len in [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x1_0000] {
            let content = vec![0x5A; len];
            let expected = AnyRef::new(Tag::Sequence, &content).unwrap().to_der().unwrap();
            assert_eq!(element(SEQUENCE, &[&content]), expected);
            assert_eq!(element_len(len), expected.len());
        }
    }
}
