//! A cursor over DER: tags of one byte, definite and minimal lengths, nothing else.
//!
//! It borrows, so that the exact bytes of an element can be echoed, hashed and compared.

/// Bytes that are not the DER that was expected here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotDer;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0C;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The tag of a constructed context-specific element, such as `[0]`.
pub(crate) const fn context(number: u8) -> u8 {
    0xA0 | number
}

/// The tag of a primitive context-specific element.
pub(crate) const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// Reads elements one after another from the content of their parent.
#[derive(Clone, Debug)]
pub(crate) struct DerReader<'a> {
    rest: &'a [u8],
}

impl<'a> DerReader<'a> {
    pub(crate) const fn new(content: &'a [u8]) -> Self {
        Self { rest: content }
    }

    /// Opens `der`, which must be exactly one element of this tag.
    pub(crate) fn open(der: &'a [u8], tag: u8) -> Result<Self, NotDer> {
        let mut outer = Self::new(der);
        let content = outer.content(tag)?;
        outer.finish()?;
        Ok(Self::new(content))
    }

    /// Reads the next element and opens it.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Self, NotDer> {
        self.content(tag).map(Self::new)
    }

    /// Reads the next element and gives its content.
    pub(crate) fn content(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        let (header_len, element) = self.split_element(tag)?;
        element.get(header_len..).ok_or(NotDer)
    }

    /// Reads the next element and gives it with its tag and length.
    pub(crate) fn element(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        self.split_element(tag).map(|(_, element)| element)
    }

    /// Reads the content of the next element when it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, NotDer> {
        if self.peek() == Some(tag) { self.content(tag).map(Some) } else { Ok(None) }
    }

    /// The tag of the next element, when there is one.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Says that nothing may follow.
    pub(crate) const fn finish(self) -> Result<(), NotDer> {
        if self.rest.is_empty() { Ok(()) } else { Err(NotDer) }
    }

    fn split_element(&mut self, tag: u8) -> Result<(usize, &'a [u8]), NotDer> {
        let (found, after_tag) = self.rest.split_first().ok_or(NotDer)?;
        if *found != tag {
            return Err(NotDer);
        }
        let Length { octets, content } = read_length(after_tag)?;
        let header_len = 1 + octets;
        let (element, rest) = self.rest.split_at_checked(header_len + content).ok_or(NotDer)?;
        self.rest = rest;
        Ok((header_len, element))
    }
}

/// Two lengths of an element: of the octets that say how long its content is, and of the content.
struct Length {
    octets: usize,
    content: usize,
}

/// Reads the length octets, X.690 §10.1: definite, in the fewest octets. At most three of
/// them, as nothing that this crate reads comes near 64 KiB.
fn read_length(bytes: &[u8]) -> Result<Length, NotDer> {
    let (octets, content) = match *bytes {
        [short @ 0..=0x7F, ..] => (1, u16::from(short)),
        [0x81, low @ 0x80..=0xFF, ..] => (2, u16::from(low)),
        [0x82, high @ 1..=0xFF, low, ..] => (3, u16::from_be_bytes([high, low])),
        _ => return Err(NotDer),
    };
    Ok(Length { octets, content: usize::from(content) })
}

/// Says whether the content octets of an INTEGER are the shortest for their value, X.690 §8.3.2.
pub(crate) const fn is_minimal_integer(content: &[u8]) -> bool {
    match *content {
        [] | [0x00, 0x00..=0x7F, ..] | [0xFF, 0x80..=0xFF, ..] => false,
        [..] => true,
    }
}

#[cfg(test)]
mod tests {
    use der::{AnyRef, Decode, Encode};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rejects_lengths_that_are_not_minimal_or_indefinite() {
        for der in [
            &[0x04, 0x81, 0x01, 0xAA][..],
            &[0x04, 0x82, 0x00, 0x01, 0xAA],
            &[0x24, 0x80, 0x04, 0x01, 0xAA, 0x00, 0x00],
            &[0x04, 0x02, 0xAA],
            &[0x04, 0x01, 0xAA, 0xBB],
            &[0x04],
            &[],
        ] {
            assert!(DerReader::open(der, OCTET_STRING).is_err(), "{der:02x?}");
        }
    }

    #[test]
    fn rejects_integers_that_are_not_minimal() {
        for content in [&[][..], &[0, 0x7F], &[0, 0], &[0xFF, 0x80], &[0xFF, 0xFF, 0]] {
            assert!(!is_minimal_integer(content), "{content:02x?}");
        }
        for content in [&[0][..], &[0, 0x80], &[0xFF], &[0xFF, 0x7F], &[0x80]] {
            assert!(is_minimal_integer(content), "{content:02x?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_der_crate(content in proptest::collection::vec(any::<u8>(), 0..600)) {
            let der = AnyRef::new(der::Tag::OctetString, &content).unwrap().to_der().unwrap();
            let mut reader = DerReader::new(&der);
            prop_assert_eq!(reader.content(OCTET_STRING).unwrap(), &content);
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn accepts_no_more_than_the_der_crate(
            mut der in proptest::collection::vec(any::<u8>(), 1..300),
            length in proptest::collection::vec(any::<u8>(), 1..4),
        ) {
            der.splice(1..1, length);
            der[0] = OCTET_STRING;
            let ours = DerReader::open(&der, OCTET_STRING).ok().map(|reader| reader.rest);
            let theirs = AnyRef::from_der(&der).ok().map(AnyRef::value);
            prop_assert_eq!(ours, theirs);
        }
    }
}
