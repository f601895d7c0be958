use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// DSSE payload type of an in-toto statement.
pub const IN_TOTO_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// `_type` of the statements that we write.
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";

/// `_type` of the older statements that npm and early cosign wrote; read, never written.
pub const STATEMENT_V01: &str = "https://in-toto.io/Statement/v0.1";

/// Most subjects of one statement: npm workspaces and image sets stay far below.
pub const MAX_SUBJECTS: usize = 10_000;

/// Longest statement read, in bytes: [`MAX_SUBJECTS`] subjects of 400 bytes, and a large SBOM.
pub const MAX_STATEMENT_LEN: usize = 16 * 1024 * 1024;

/// An in-toto statement: a predicate about artifacts that are named by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(default)]
    subject: Vec<ResourceDescriptor>,
    #[serde(rename = "predicateType", default)]
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

impl Statement {
    /// Makes a v1 statement.
    ///
    /// # Errors
    /// [`StatementError::NoSubject`], [`StatementError::TooManySubjects`],
    /// [`StatementError::SubjectWithoutDigest`], [`StatementError::NoPredicateType`].
    pub fn new(
        subject: Vec<ResourceDescriptor>,
        predicate_type: impl Into<String>,
        predicate: Value,
    ) -> Result<Self, StatementError> {
        let statement = Self {
            kind: STATEMENT_V1.to_owned(),
            subject,
            predicate_type: predicate_type.into(),
            predicate,
        };
        statement.checked()
    }

    /// Reads a statement of v1 or v0.1. Unknown fields are ignored, as the framework demands.
    ///
    /// # Errors
    /// [`StatementError::TooLong`], [`StatementError::Json`], [`StatementError::UnknownType`],
    /// and those of [`Statement::new`].
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        if payload.len() > MAX_STATEMENT_LEN {
            return Err(StatementError::TooLong);
        }
        let statement: Self = serde_json::from_slice(payload)?;
        if ![STATEMENT_V1, STATEMENT_V01].contains(&statement.kind.as_str()) {
            return Err(StatementError::UnknownType(statement.kind));
        }
        statement.checked()
    }

    /// The JSON that is signed. Not canonical: DSSE signs the very bytes.
    ///
    /// # Errors
    /// [`StatementError::Json`] when the predicate holds a map that JSON cannot express.
    pub fn to_json(&self) -> Result<Vec<u8>, StatementError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The artifacts, at least one.
    #[must_use]
    pub fn subject(&self) -> &[ResourceDescriptor] {
        &self.subject
    }

    /// URI that says what the predicate is.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The predicate as it stands in the statement.
    #[must_use]
    pub fn predicate(&self) -> &Value {
        &self.predicate
    }

    /// The subject whose `sha256` is `digest`, if the statement is about it.
    #[must_use]
    pub fn subject_of_sha256(&self, digest: &[u8; 32]) -> Option<&ResourceDescriptor> {
        let wanted = hex::encode(digest);
        self.subject
            .iter()
            .find(|subject| subject.digest.get("sha256").is_some_and(|found| *found == wanted))
    }

    fn checked(self) -> Result<Self, StatementError> {
        if self.subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        if self.subject.len() > MAX_SUBJECTS {
            return Err(StatementError::TooManySubjects(self.subject.len()));
        }
        if let Some(bare) = self.subject.iter().find(|subject| subject.digest.is_empty()) {
            return Err(StatementError::SubjectWithoutDigest(bare.name.clone()));
        }
        if self.predicate_type.is_empty() {
            return Err(StatementError::NoPredicateType);
        }
        Ok(self)
    }
}

/// An artifact, named by digest; in-toto `ResourceDescriptor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceDescriptor {
    /// Name among its siblings; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it is or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Digest by algorithm (`sha256`, `gitCommit`), lower-case hex.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
}

impl ResourceDescriptor {
    /// A subject with its SHA-256.
    #[must_use]
    pub fn with_sha256(name: impl Into<String>, digest: &[u8; 32]) -> Self {
        Self {
            name: name.into(),
            uri: None,
            digest: BTreeMap::from([("sha256".to_owned(), hex::encode(digest))]),
        }
    }
}

/// Why bytes are not a statement that may be signed or believed.
#[derive(Debug, Error)]
pub enum StatementError {
    /// More than [`MAX_STATEMENT_LEN`] bytes.
    #[error("the statement is longer than {MAX_STATEMENT_LEN} bytes")]
    TooLong,
    /// Not JSON of a statement's shape.
    #[error("the payload is not an in-toto statement")]
    Json(#[from] serde_json::Error),
    /// Another `_type` than v1 and v0.1.
    #[error("statement type `{0}` is not supported")]
    UnknownType(String),
    /// A statement about nothing.
    #[error("the statement has no subject")]
    NoSubject,
    /// More than [`MAX_SUBJECTS`].
    #[error("the statement has {0} subjects, at most {MAX_SUBJECTS} are accepted")]
    TooManySubjects(usize),
    /// A subject that names no bytes.
    #[error("subject `{0}` has no digest")]
    SubjectWithoutDigest(String),
    /// A predicate of unknown meaning.
    #[error("the statement has no predicate type")]
    NoPredicateType,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn subject(byte: u8) -> ResourceDescriptor {
        ResourceDescriptor::with_sha256(format!("artifact{byte}"), &[byte; 32])
    }

    #[test]
    fn survives_a_round_trip() {
        let statement =
            Statement::new(vec![subject(1), subject(2)], "https://example.com/p", json!({"a": 1}))
                .unwrap();
        let again = Statement::parse(&statement.to_json().unwrap()).unwrap();
        assert_eq!(again, statement);
    }

    #[test]
    fn finds_each_of_its_subjects_and_no_other() {
        let statement =
            Statement::new(vec![subject(1), subject(2)], "https://example.com/p", json!({}))
                .unwrap();
        assert_eq!(statement.subject_of_sha256(&[2; 32]).unwrap().name, "artifact2");
        assert!(statement.subject_of_sha256(&[3; 32]).is_none());
    }

    #[test]
    fn reads_the_older_kind() {
        let payload = json!({"_type": STATEMENT_V01, "predicateType": "p", "predicate": {},
            "subject": [{"name": "n", "digest": {"sha512": "00"}}], "later": true});
        Statement::parse(payload.to_string().as_bytes()).unwrap();
    }

    #[test]
    fn rejects_a_statement_of_unknown_type() {
        let payload = json!({"_type": "https://in-toto.io/Statement/v2", "predicateType": "p",
            "subject": [{"name": "n", "digest": {"sha256": "00"}}]});
        assert!(matches!(
            Statement::parse(payload.to_string().as_bytes()),
            Err(StatementError::UnknownType(_))
        ));
    }

    #[test]
    fn rejects_a_statement_about_nothing() {
        assert!(matches!(Statement::new(vec![], "p", json!({})), Err(StatementError::NoSubject)));
        assert!(matches!(
            Statement::new(vec![ResourceDescriptor::default()], "p", json!({})),
            Err(StatementError::SubjectWithoutDigest(_))
        ));
    }

    #[test]
    fn rejects_a_predicate_without_a_type() {
        assert!(matches!(
            Statement::new(vec![subject(1)], "", json!({})),
            Err(StatementError::NoPredicateType)
        ));
    }

    #[test]
    fn bounds_the_number_of_subjects() {
        let most = vec![subject(1); MAX_SUBJECTS];
        Statement::new(most.clone(), "p", json!({})).unwrap();
        let more = [most, vec![subject(2)]].concat();
        assert!(matches!(
            Statement::new(more, "p", json!({})),
            Err(StatementError::TooManySubjects(n)) if n == MAX_SUBJECTS + 1
        ));
    }

    #[test]
    fn bounds_the_length() {
        let payload = vec![b' '; MAX_STATEMENT_LEN + 1];
        assert!(matches!(Statement::parse(&payload), Err(StatementError::TooLong)));
    }

    proptest! {
        #[test]
        fn never_panics_on_garbage(payload in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = Statement::parse(&payload);
        }
    }
}
