use std::net::IpAddr;

use crypto::PublicKey;
use x509_cert::{
    Certificate,
    der::asn1::Utf8StringRef,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::EntryError;

/// What a search key is; the key itself is a string beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexKeyKind {
    /// Digest of what was signed, lower-case hex.
    Hash,
    /// SHA-256 of the signer's `SubjectPublicKeyInfo`, lower-case hex.
    Key,
    /// E-mail address of the certificate, in lower case.
    Email,
    /// URI of the certificate, in lower case.
    Uri,
    /// DNS name, IP address or UTF-8 `otherName` of the certificate, in lower case; of an entry of
    /// Rekor v1 any name.
    Subject,
}

impl IndexKeyKind {
    /// The word for it in a log's index, and so in databases: it never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Key => "key",
            Self::Email => "email",
            Self::Uri => "uri",
            Self::Subject => "subject",
        }
    }
}

/// The key under which all entries of one signing key are found.
pub(crate) fn of_key(key: &PublicKey) -> (IndexKeyKind, String) {
    (IndexKeyKind::Key, hex::encode(key.spki_sha256()))
}

/// The key under which all entries of one digest are found.
pub(crate) fn of_digest(digest: &[u8]) -> (IndexKeyKind, String) {
    (IndexKeyKind::Hash, hex::encode(digest))
}

/// Names in the certificate's subject alternative name, without repetition.
///
/// Names that no index can hold (empty, with control characters, too long or too
/// many) are left out: they are in the body all the same.
///
/// # Errors
/// [`EntryError::Certificate`] when the extension is malformed or there twice.
pub(crate) fn of_certificate(
    certificate: &Certificate,
) -> Result<Vec<(IndexKeyKind, String)>, EntryError> {
    let san = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
        .map_err(|_| EntryError::Certificate)?;
    let mut keys = Vec::new();
    let names = san.iter().flat_map(|(_, names)| &names.0).take(MAX_NAMES_READ);
    for (kind, name) in names.filter_map(searchable) {
        let key = (kind, name.to_lowercase());
        if is_indexable(&key.1) && !keys.contains(&key) && keys.len() < MAX_NAMES {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn searchable(name: &GeneralName) -> Option<(IndexKeyKind, String)> {
    match name {
        GeneralName::Rfc822Name(address) => Some((IndexKeyKind::Email, address.to_string())),
        GeneralName::UniformResourceIdentifier(uri) => Some((IndexKeyKind::Uri, uri.to_string())),
        GeneralName::DnsName(name) => Some((IndexKeyKind::Subject, name.to_string())),
        GeneralName::OtherName(other) => other
            .value
            .decode_as::<Utf8StringRef<'_>>()
            .ok()
            .map(|text| (IndexKeyKind::Subject, text.to_string())),
        GeneralName::IpAddress(octets) => {
            ip_address(octets.as_bytes()).map(|address| (IndexKeyKind::Subject, address))
        }
        _ => None,
    }
}

fn ip_address(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| IpAddr::from(octets).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| IpAddr::from(octets).to_string())).ok()
}

fn is_indexable(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME_LEN && !name.chars().any(char::is_control)
}

/// Most names of one certificate that are indexed; Fulcio's have one.
const MAX_NAMES: usize = 32;

/// Most names of one certificate that are looked at: 64 KiB hold twenty thousand of them, each compared
/// with those before it.
const MAX_NAMES_READ: usize = 8 * MAX_NAMES;

/// Longest name that is indexed, in bytes: what database indexes hold, and four times the longest seen.
const MAX_NAME_LEN: usize = 1024;
