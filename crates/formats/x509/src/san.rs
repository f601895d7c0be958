use der::{
    Any, Decode, Encode,
    asn1::{Ia5String, Utf8StringRef},
};
use thiserror::Error;
use wire::name::{NameError, check_path, check_uri};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames, OtherName};

use crate::oid;

/// Longest name, in bytes; the longest seen in public certificates has about 200.
const MAX_NAME_LEN: usize = 2048;

/// The one name that a certificate speaks for (RFC 5280 §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectAlternativeName {
    /// `rfc822Name`: an e-mail address, ASCII, case kept.
    Email(String),
    /// `uniformResourceIdentifier`: an absolute URI, ASCII; percent-encode before.
    Uri(String),
    /// `otherName` of type 1.3.6.1.4.1.57264.1.7 (`user!domain`), UTF-8.
    OtherName(String),
}

impl SubjectAlternativeName {
    /// The name without its kind.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(name) | Self::Uri(name) | Self::OtherName(name) => name,
        }
    }

    /// Checks that the name may stand in a certificate.
    ///
    /// # Errors
    /// [`SanError`], by what is wrong with the name.
    pub fn check(&self) -> Result<(), SanError> {
        let name = self.as_str();
        if name.is_empty() {
            return Err(SanError::Empty);
        }
        if name.len() > MAX_NAME_LEN {
            return Err(SanError::TooLong);
        }
        match self {
            Self::Email(address) => check_email(address),
            Self::Uri(uri) => check_absolute_uri(uri),
            Self::OtherName(name) => check_user_name(name),
        }
    }

    /// Encodes a `GeneralNames` with this one name.
    pub(crate) fn to_general_names_der(&self) -> Result<Vec<u8>, SanError> {
        self.check()?;
        let ia5 = |text: &str| Ia5String::new(text).map_err(|_| SanError::ForbiddenCharacter);
        let name = match self {
            Self::Email(address) => GeneralName::Rfc822Name(ia5(address)?),
            Self::Uri(uri) => GeneralName::UniformResourceIdentifier(ia5(uri)?),
            Self::OtherName(name) => GeneralName::OtherName(OtherName {
                type_id: oid::OTHER_NAME,
                value: Utf8StringRef::new(name)
                    .and_then(|text| Any::encode_from(&text))
                    .map_err(|_| SanError::TooLong)?,
            }),
        };
        GeneralNames::from([name]).to_der().map_err(|_| SanError::TooLong)
    }

    /// Reads the one name of a `GeneralNames`, and refuses what [`Self::check`] does: other CAs may
    /// be less strict than ours, and the name is compared and shown here.
    pub(crate) fn from_general_names_der(der: &[u8]) -> Result<Self, SanError> {
        let names = GeneralNames::from_der(der).map_err(SanError::Asn1)?;
        let [name] = names.as_slice() else {
            return Err(SanError::Count(names.len()));
        };
        let san = match name {
            GeneralName::Rfc822Name(address) => Self::Email(address.to_string()),
            GeneralName::UniformResourceIdentifier(uri) => Self::Uri(uri.to_string()),
            GeneralName::OtherName(other) if other.type_id == oid::OTHER_NAME => {
                let text: Utf8StringRef<'_> = other.value.decode_as().map_err(SanError::Asn1)?;
                Self::OtherName(text.to_string())
            }
            _ => return Err(SanError::UnsupportedKind),
        };
        san.check()?;
        Ok(san)
    }
}

impl std::fmt::Display for SubjectAlternativeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a subject alternative name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SanError {
    /// No name.
    #[error("the name is empty")]
    Empty,
    /// Longer than any real name.
    #[error("the name is longer than {MAX_NAME_LEN} bytes")]
    TooLong,
    /// Not ASCII, a space or a control character.
    #[error("the name holds a character that its kind does not allow")]
    ForbiddenCharacter,
    /// It may pass for another name.
    #[error("the name is not one that may be shown: {0}")]
    Deceptive(#[from] NameError),
    /// Not `local@domain`.
    #[error("the name is not an e-mail address")]
    NotAnEmail,
    /// Not `user!domain`: it could pass for an e-mail address.
    #[error("the name is not a user name of the form user!domain")]
    NotAUserName,
    /// No scheme.
    #[error("the name is not an absolute URI")]
    NotAUri,
    /// Not DER `GeneralNames`.
    #[error("the subject alternative name is not valid DER")]
    Asn1(#[source] der::Error),
    /// Another number of names than one.
    #[error("the certificate has {0} names instead of one")]
    Count(usize),
    /// A DNS name, an IP address or the like.
    #[error("the name is neither e-mail, URI nor Fulcio's other name")]
    UnsupportedKind,
}

fn check_email(address: &str) -> Result<(), SanError> {
    check_graphic(address)?;
    let (local, domain) = address.rsplit_once('@').ok_or(SanError::NotAnEmail)?;
    if local.is_empty() || domain.is_empty() || local.contains('@') {
        return Err(SanError::NotAnEmail);
    }
    Ok(())
}

/// `user!domain` with one `!`, as Fulcio writes it. Without that a name of this kind could be
/// `alice@acme.example`, which verifiers compare as text with addresses.
fn check_user_name(name: &str) -> Result<(), SanError> {
    check_path(name)?;
    let (user, domain) = name.split_once('!').ok_or(SanError::NotAUserName)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    let sound = !user.is_empty() && !domain.is_empty() && domain.bytes().all(plain);
    if sound { Ok(()) } else { Err(SanError::NotAUserName) }
}

/// RFC 3986 §3.1: a scheme is a letter, then letters, digits, `+`, `-` and `.`.
fn check_absolute_uri(uri: &str) -> Result<(), SanError> {
    check_graphic(uri)?;
    check_uri(uri)?;
    let (scheme, rest) = uri.split_once(':').ok_or(SanError::NotAUri)?;
    let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let goes_on_well = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if starts_well && goes_on_well && !rest.is_empty() { Ok(()) } else { Err(SanError::NotAUri) }
}

fn check_graphic(name: &str) -> Result<(), SanError> {
    if name.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(SanError::ForbiddenCharacter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(name: &str) -> SubjectAlternativeName {
        SubjectAlternativeName::Email(name.to_owned())
    }

    fn uri(name: &str) -> SubjectAlternativeName {
        SubjectAlternativeName::Uri(name.to_owned())
    }

    #[test]
    fn every_kind_survives_encoding() {
        let names = [
            email("Some.One+tag@Example.com"),
            uri("https://github.com/org/repo/.github/workflows/w.yml@refs/heads/main"),
            uri("spiffe://example.org/a"),
            SubjectAlternativeName::OtherName("j\u{f6}rg!example.com".to_owned()),
        ];
        for name in names {
            let der = name.to_general_names_der().unwrap();
            assert_eq!(SubjectAlternativeName::from_general_names_der(&der), Ok(name));
        }
    }

    #[test]
    fn other_name_has_the_bytes_that_fulcio_writes() {
        let der = SubjectAlternativeName::OtherName("a!b".to_owned()).to_general_names_der();
        let expected = "3015a013060a2b0601040183bf300107a0050c03612162";
        assert_eq!(hex::encode(der.unwrap()), expected);
    }

    #[test]
    fn refuses_non_ascii_email_and_uri() {
        assert_eq!(email("j\u{f6}rg@example.com").check(), Err(SanError::ForbiddenCharacter));
        assert_eq!(uri("https://ex\u{e4}mple.com/").check(), Err(SanError::ForbiddenCharacter));
        assert_eq!(uri("https://example.com/a b").check(), Err(SanError::ForbiddenCharacter));
    }

    #[test]
    fn refuses_what_is_no_email() {
        for bad in ["a", "@b", "a@", "a@b@c"] {
            assert_eq!(email(bad).check(), Err(SanError::NotAnEmail), "{bad}");
        }
    }

    #[test]
    fn refuses_what_is_no_absolute_uri() {
        for bad in ["example.com/a", ":x", "1a:b", "https:", "a/b:c"] {
            assert_eq!(uri(bad).check(), Err(SanError::NotAUri), "{bad}");
        }
    }

    #[test]
    fn refuses_empty_and_overlong_names() {
        assert_eq!(email("").check(), Err(SanError::Empty));
        let long = format!("https://{}", "a".repeat(MAX_NAME_LEN - 8));
        assert_eq!(uri(&long).check(), Ok(()));
        assert_eq!(uri(&(long + "a")).check(), Err(SanError::TooLong));
    }

    /// What a CA that checks nothing would write.
    fn unchecked_der(name: &SubjectAlternativeName) -> Vec<u8> {
        let ia5 = |text: &str| Ia5String::new(text).unwrap();
        let name = match name {
            SubjectAlternativeName::Email(address) => GeneralName::Rfc822Name(ia5(address)),
            SubjectAlternativeName::Uri(uri) => GeneralName::UniformResourceIdentifier(ia5(uri)),
            SubjectAlternativeName::OtherName(name) => GeneralName::OtherName(OtherName {
                type_id: oid::OTHER_NAME,
                value: Any::encode_from(&Utf8StringRef::new(name).unwrap()).unwrap(),
            }),
        };
        GeneralNames::from([name]).to_der().unwrap()
    }

    #[test]
    fn reads_no_name_that_it_would_not_write() {
        let other = |name: &str| SubjectAlternativeName::OtherName(name.to_owned());
        for (name, error) in [
            (email(""), SanError::Empty),
            (email("a b@example.com"), SanError::ForbiddenCharacter),
            (email("a\n@example.com"), SanError::ForbiddenCharacter),
            (email("a\u{1b}[2J@example.com"), SanError::ForbiddenCharacter),
            (email("nobody"), SanError::NotAnEmail),
            (uri("not a uri"), SanError::ForbiddenCharacter),
            (uri("example.com/a"), SanError::NotAUri),
            (uri("https://example.com/\r\nverified"), SanError::ForbiddenCharacter),
            (uri("https://example.com/a\u{7f}"), SanError::ForbiddenCharacter),
            (uri("https://github.com/a/../b"), NameError::DotSegment.into()),
            (uri("https://github.com/a/./b"), NameError::DotSegment.into()),
            (uri("https://github.com/a/%2E%2e/b"), NameError::DotSegment.into()),
            (uri("https://github.com\\@evil.example/a"), NameError::Backslash.into()),
            (uri("https://github.com@evil.example/a"), NameError::UserInfo.into()),
            (uri("https://github.com/a%0Ab"), NameError::Character(0x0a).into()),
            (other("a\n!b"), NameError::Character(0x0a).into()),
            (other("a\u{202e}!b"), NameError::Character(0x202e).into()),
            (other("a\u{2066}!b"), NameError::Character(0x2066).into()),
            (other("a\u{200b}!b"), NameError::Character(0x200b).into()),
            (other("a\u{2028}!b"), NameError::Character(0x2028).into()),
            (other("alice@acme.example"), SanError::NotAUserName),
            (other("https://github.com/acme/app"), SanError::NotAUserName),
            (other("x!alice@acme.example"), SanError::NotAUserName),
            (other("a!b!c"), SanError::NotAUserName),
            (other("!b"), SanError::NotAUserName),
            (other("a!"), SanError::NotAUserName),
        ] {
            let der = unchecked_der(&name);
            let read = SubjectAlternativeName::from_general_names_der(&der);
            assert_eq!(read.as_ref(), Err(&error), "{name:?}");
            assert_eq!(name.check(), Err(error), "writers and readers agree");
        }
    }

    #[test]
    fn refuses_two_names_and_foreign_kinds() {
        let ia5 = |text: &str| Ia5String::new(text).unwrap();
        let two = GeneralNames::from([
            GeneralName::Rfc822Name(ia5("a@b")),
            GeneralName::Rfc822Name(ia5("c@d")),
        ]);
        let read = |names: GeneralNames| {
            SubjectAlternativeName::from_general_names_der(&names.to_der().unwrap())
        };
        assert_eq!(read(two), Err(SanError::Count(2)));
        assert_eq!(read(GeneralNames::new()), Err(SanError::Count(0)));
        let dns = GeneralNames::from([GeneralName::DnsName(ia5("example.com"))]);
        assert_eq!(read(dns), Err(SanError::UnsupportedKind));
    }
}
