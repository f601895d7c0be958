use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{PublicKey, Unsigned};
use thiserror::Error;

use crate::{
    NodeHash, NoteError, NoteSignature, SignedNote, TreeHead, TreeSize, note::is_key_name,
};

/// What a log says of itself: its name, size and root (C2SP `tlog-checkpoint`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Unique name of the log: the bare host for Rekor v2, `<host> - <tree id>` for v1.
    pub origin: String,
    /// Size and root.
    pub head: TreeHead,
    /// Further lines, normally none; not empty, without newlines.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The extension line of the last checkpoint of a log that was ended for ever.
    ///
    /// A checkpoint all the same, of a tree that was signed before: whoever verifies it learns nothing false.
    pub const OVER: &'static str = "this log is over, and no process may sign for it again";

    /// Whether it says that its log is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.extensions.iter().any(|line| line == Self::OVER)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads a note's text, with its final newline.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let text = text.strip_suffix('\n').ok_or(CheckpointError::FinalNewline)?;
        let mut lines = text.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty());
        let origin = line().ok_or(CheckpointError::Origin)?.to_owned();
        let size = line().and_then(parse_size).ok_or(CheckpointError::Size)?;
        let root = line().and_then(parse_root).ok_or(CheckpointError::RootHash)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Extension);
        }
        Ok(Self { origin, head: TreeHead { size, root }, extensions })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, STANDARD.encode(self.head.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Why a text is not a checkpoint.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The last line does not end.
    #[error("the checkpoint does not end in a newline")]
    FinalNewline,
    /// No origin line.
    #[error("the checkpoint has no origin")]
    Origin,
    /// No size, or one with sign, leading zero or too many digits.
    #[error("the checkpoint has no valid tree size")]
    Size,
    /// No root hash of 32 bytes in base64.
    #[error("the checkpoint has no valid root hash")]
    RootHash,
    /// An empty extension line.
    #[error("the checkpoint has an empty extension line")]
    Extension,
}

fn parse_size(line: &str) -> Option<TreeSize> {
    line.parse().ok().filter(|size: &u64| size.to_string() == line).map(TreeSize)
}

fn parse_root(line: &str) -> Option<NodeHash> {
    NodeHash::try_from(STANDARD.decode(line).ok()?.as_slice()).ok()
}

/// A checkpoint waiting for its log's signature.
///
/// Made only from a committed tree head.
#[derive(Debug)]
pub struct UnsignedCheckpoint {
    text: String,
    key_name: String,
    key_id: [u8; 32],
}

impl UnsignedCheckpoint {
    /// Prepares `checkpoint` for the key called `key_name` with the id of [`crate::log_key_id`].
    #[must_use]
    pub fn new(checkpoint: &Checkpoint, key_name: String, key_id: [u8; 32]) -> Self {
        Self { text: checkpoint.to_string(), key_name, key_id }
    }
}

impl Unsigned for UnsignedCheckpoint {
    type Signed = SignedNote;
    type Error = NoteError;

    const KIND: &'static str = "checkpoint";

    fn bytes_to_sign(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Makes the note.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`], [`NoteError::KeyName`].
    fn with_signature(self, signature: &[u8], key: &PublicKey) -> Result<SignedNote, NoteError> {
        if !is_key_name(&self.key_name) {
            return Err(NoteError::KeyName { name: self.key_name });
        }
        if key.verify(self.text.as_bytes(), signature).is_err() {
            return Err(NoteError::BadSignature { name: self.key_name });
        }
        let [a, b, c, d, ..] = self.key_id;
        let line = NoteSignature {
            name: self.key_name,
            hint: [a, b, c, d],
            signature: signature.to_vec(),
        };
        Ok(SignedNote { text: self.text, signatures: vec![line] })
    }
}

#[cfg(test)]
mod tests {
    use crypto::{KeyType, LocalSigner};
    use proptest::prelude::*;

    use super::*;
    use crate::{KeyIdKind, log_key_id};

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "log.example".to_owned(),
            head: TreeHead { size: TreeSize(7), root: NodeHash([9; 32]) },
            extensions: Vec::new(),
        }
    }

    fn signed(signer: &LocalSigner) -> (SignedNote, [u8; 32]) {
        let key_id = log_key_id(signer.public_key_ref(), "log.example", KeyIdKind::Named);
        let unsigned = UnsignedCheckpoint::new(&checkpoint(), "log.example".to_owned(), key_id);
        let signature = signer.sign_now(unsigned.bytes_to_sign()).unwrap();
        (unsigned.with_signature(&signature, signer.public_key_ref()).unwrap(), key_id)
    }

    trait PublicKeyRef {
        fn public_key_ref(&self) -> &PublicKey;
    }

    impl PublicKeyRef for LocalSigner {
        fn public_key_ref(&self) -> &PublicKey {
            crypto::Signer::public_key(self)
        }
    }

    fn signer(key_type: KeyType) -> LocalSigner {
        LocalSigner::generate(key_type, "log").unwrap()
    }

    #[test]
    fn verifies_what_it_signs_with_every_key_type_of_a_log() {
        for key_type in [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::EcdsaP384] {
            let signer = signer(key_type);
            let (note, key_id) = signed(&signer);
            let again: SignedNote = note.to_string().parse().unwrap();
            assert_eq!(again, note);
            let found = again.verified_checkpoint(signer.public_key_ref(), "log.example", &key_id);
            assert_eq!(found, Ok(checkpoint()));
        }
    }

    #[test]
    fn refuses_a_signature_of_another_key_before_it_leaves() {
        let unsigned = UnsignedCheckpoint::new(&checkpoint(), "log.example".to_owned(), [0; 32]);
        let signature = signer(KeyType::Ed25519).sign_now(unsigned.bytes_to_sign()).unwrap();
        let other = signer(KeyType::Ed25519);
        assert!(matches!(
            unsigned.with_signature(&signature, other.public_key_ref()),
            Err(NoteError::BadSignature { .. })
        ));
    }

    #[test]
    fn refuses_key_names_that_notes_cannot_carry() {
        let signer = signer(KeyType::Ed25519);
        for name in ["", "two words", "a+b"] {
            let unsigned = UnsignedCheckpoint::new(&checkpoint(), name.to_owned(), [0; 32]);
            let signature = signer.sign_now(unsigned.bytes_to_sign()).unwrap();
            let refused = unsigned.with_signature(&signature, signer.public_key_ref());
            assert_eq!(refused, Err(NoteError::KeyName { name: name.to_owned() }));
        }
    }

    #[test]
    fn passes_over_foreign_signatures_and_demands_its_own() {
        let signer = signer(KeyType::Ed25519);
        let (mut note, key_id) = signed(&signer);
        let foreign = NoteSignature {
            name: "witness".to_owned(),
            hint: [1, 2, 3, 4],
            signature: vec![5; 72],
        };
        note.signatures.insert(0, foreign.clone());
        let key = signer.public_key_ref();
        assert_eq!(note.verified_checkpoint(key, "log.example", &key_id), Ok(checkpoint()));
        note.signatures = vec![foreign];
        assert!(matches!(
            note.verified_checkpoint(key, "log.example", &key_id),
            Err(NoteError::NoSignature { .. })
        ));
    }

    #[test]
    fn refuses_a_changed_text() {
        let signer = signer(KeyType::EcdsaP256);
        let (mut note, key_id) = signed(&signer);
        note.text = note.text.replace("\n7\n", "\n8\n");
        assert!(matches!(
            note.verified_checkpoint(signer.public_key_ref(), "log.example", &key_id),
            Err(NoteError::BadSignature { .. })
        ));
    }

    #[test]
    fn names_what_a_checkpoint_lacks() {
        let root = STANDARD.encode([9; 32]);
        for (text, error) in [
            (format!("o\n7\n{root}"), CheckpointError::FinalNewline),
            (format!("\n7\n{root}\n"), CheckpointError::Origin),
            (format!("o\n07\n{root}\n"), CheckpointError::Size),
            (format!("o\n+7\n{root}\n"), CheckpointError::Size),
            (format!("o\n99999999999999999999\n{root}\n"), CheckpointError::Size),
            ("o\n7\nAAAA\n".to_owned(), CheckpointError::RootHash),
            ("o\n7\n".to_owned(), CheckpointError::RootHash),
            (format!("o\n7\n{root}\n\nx\n"), CheckpointError::Extension),
        ] {
            assert_eq!(text.parse::<Checkpoint>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn keeps_extension_lines() {
        let text = format!("o\n7\n{}\nLog frozen\nmore\n", STANDARD.encode([9; 32]));
        let checkpoint: Checkpoint = text.parse().unwrap();
        assert_eq!(checkpoint.extensions, ["Log frozen", "more"]);
        assert_eq!(checkpoint.to_string(), text);
    }

    #[test]
    fn refuses_malformed_notes() {
        for note in [
            "",
            "\n\n",
            "text\n\n",
            "text\n\nno dash\n",
            "text\n\n\u{2014} name\n",
            "text\n\n\u{2014} name AAAA\n",
            "text\n\n\u{2014} name !!!!\n",
            "text\n\n\u{2014} a+b AAAAAAAA\n",
            "te\rxt\n\n\u{2014} name AAAAAAAA\n",
            "text\n\n\u{2014} name AAAAAAAA",
            "text\n\u{2014} name AAAAAAAA\n",
        ] {
            assert_eq!(note.parse::<SignedNote>(), Err(NoteError::Malformed), "{note:?}");
        }
    }

    #[test]
    fn limits_length_and_signatures() {
        let line = "\u{2014} name AAAAAAAA\n";
        let note = format!("text\n\n{}", line.repeat(101));
        assert_eq!(note.parse::<SignedNote>(), Err(NoteError::TooManySignatures));
        assert_eq!("x".repeat(70_000).parse::<SignedNote>(), Err(NoteError::TooLong));
        format!("text\n\n{}", line.repeat(100)).parse::<SignedNote>().unwrap();
    }

    #[test]
    fn binds_ed25519_key_ids_to_the_origin_only_in_rekor_v2() {
        let key = signer(KeyType::Ed25519).public_key_ref().clone();
        let id = |origin, kind| log_key_id(&key, origin, kind);
        assert_ne!(id("a", KeyIdKind::Named), id("b", KeyIdKind::Named));
        assert_eq!(id("a", KeyIdKind::SpkiSha256), key.spki_sha256());
        let key = signer(KeyType::EcdsaP256).public_key_ref().clone();
        assert_eq!(log_key_id(&key, "a", KeyIdKind::Named), key.spki_sha256());
    }

    proptest! {
        #[test]
        fn never_panics_on_any_text(text in "\\PC{0,200}", lines in "[\\n\u{2014} a-z0-9=/+]{0,200}") {
            let _ = text.parse::<SignedNote>();
            let _ = lines.parse::<SignedNote>();
            let _ = lines.parse::<Checkpoint>();
        }
    }
}
