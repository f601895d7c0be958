use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, PublicKey};
use thiserror::Error;

use crate::{Checkpoint, CheckpointError};

/// Longest note accepted, in bytes: a checkpoint with a hundred cosignatures takes some 20 KiB.
const MAX_NOTE_LEN: usize = 64 * 1024;

/// Most signature lines accepted. Verifiers must accept at least 16 (C2SP `signed-note`).
const MAX_SIGNATURES: usize = 100;

/// Ed25519 in the C2SP registry of signature types.
const TYPE_ED25519: u8 = 0x01;

/// A text and signatures of it (C2SP `signed-note`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// What is signed, with its final newline.
    pub text: String,
    /// In the order of the note. Unverified.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key; not empty, without white space and plus signs.
    pub name: String,
    /// First four bytes of the key id.
    pub hint: [u8; 4],
    /// The signature, in the form of the key's type.
    pub signature: Vec<u8>,
}

impl SignedNote {
    /// Verifies the log's own signature and reads the checkpoint.
    ///
    /// Signatures of other keys are passed over; every signature that names this key must verify, and
    /// there must be one.
    ///
    /// # Errors
    /// [`NoteError::NoSignature`], [`NoteError::BadSignature`], [`NoteError::Checkpoint`].
    pub fn verified_checkpoint(
        &self,
        key: &PublicKey,
        key_name: &str,
        key_id: &[u8; 32],
    ) -> Result<Checkpoint, NoteError> {
        let own = |line: &&NoteSignature| line.name == key_name && key_id.starts_with(&line.hint);
        let mut lines = self.signatures.iter().filter(own).peekable();
        if lines.peek().is_none() {
            return Err(NoteError::NoSignature { name: key_name.to_owned() });
        }
        for line in lines {
            key.verify(self.text.as_bytes(), &line.signature)
                .map_err(|_| NoteError::BadSignature { name: key_name.to_owned() })?;
        }
        Ok(self.text.parse()?)
    }
}

impl FromStr for SignedNote {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_LEN {
            return Err(NoteError::TooLong);
        }
        if note.chars().any(|c| c.is_ascii_control() && c != '\n') {
            return Err(NoteError::Malformed);
        }
        let (before, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let signatures = lines
            .split('\n')
            .take(MAX_SIGNATURES + 1)
            .map(str::parse)
            .collect::<Result<Vec<NoteSignature>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        Ok(Self { text: format!("{before}\n"), signatures })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    /// Reads a line, without its newline.
    fn from_str(line: &str) -> Result<Self, NoteError> {
        let rest = line.strip_prefix("\u{2014} ").ok_or(NoteError::Malformed)?;
        let (name, encoded) = rest.split_once(' ').ok_or(NoteError::Malformed)?;
        if !is_key_name(name) {
            return Err(NoteError::Malformed);
        }
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::Malformed)?;
        let (hint, signature) = bytes.split_first_chunk().ok_or(NoteError::Malformed)?;
        if signature.is_empty() {
            return Err(NoteError::Malformed);
        }
        Ok(Self { name: name.to_owned(), hint: *hint, signature: signature.to_vec() })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.hint.as_slice(), &self.signature].concat();
        write!(f, "\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// Whether `name` can name a key of a note.
pub(crate) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// How a log's key id comes from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyIdKind {
    /// SHA-256 of the SPKI, whatever the key type: Rekor v1 and CT logs.
    SpkiSha256,
    /// Rekor v2: Ed25519 keys are bound to the origin, as C2SP has it; ECDSA and RSA are not.
    Named,
}

/// The log id: 32 bytes, of which the first four are the hint in signature lines.
///
/// For [`KeyIdKind::Named`] and Ed25519 it is SHA-256 of `origin || 0x0A || 0x01 || key`.
#[must_use]
pub fn log_key_id(key: &PublicKey, origin: &str, kind: KeyIdKind) -> [u8; 32] {
    match (kind, key.key_type()) {
        (KeyIdKind::Named, KeyType::Ed25519) => {
            let suffix = [b'\n', TYPE_ED25519];
            crypto::sha256(&[origin.as_bytes(), &suffix, key.raw()].concat())
        }
        (KeyIdKind::Named | KeyIdKind::SpkiSha256, _) => key.spki_sha256(),
    }
}

/// Why a note, or its signature, was not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoteError {
    /// Longer than any checkpoint.
    #[error("the note is too long")]
    TooLong,
    /// More signature lines than any checkpoint has.
    #[error("the note has too many signatures")]
    TooManySignatures,
    /// Not a signed note.
    #[error("the note is malformed")]
    Malformed,
    /// A name that notes cannot carry.
    #[error("`{name}` cannot name a key")]
    KeyName {
        /// The name.
        name: String,
    },
    /// No signature by that key.
    #[error("the note has no signature of key `{name}`")]
    NoSignature {
        /// Name of the key.
        name: String,
    },
    /// A signature that names the key and is not its.
    #[error("the note's signature of key `{name}` does not verify")]
    BadSignature {
        /// Name of the key.
        name: String,
    },
    /// Well signed, but not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
