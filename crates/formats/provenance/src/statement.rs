use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;
use thiserror::Error;
use wire::{
    json,
    name::{NameError, check_path, check_text, check_uri},
};

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
    /// [`StatementError::SubjectWithoutDigest`], [`StatementError::NoPredicateType`],
    /// [`StatementError::Deceptive`], [`StatementError::Contradiction`].
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
    /// A member given twice is refused at any depth, in the predicate too: one reader would take the
    /// first, another the last. So is a second spelling of the statement's own members, which readers
    /// in Go and of protobuf JSON take for them.
    ///
    /// # Errors
    /// [`StatementError::TooLong`], [`StatementError::Json`], [`StatementError::UnknownType`],
    /// [`StatementError::OtherSpelling`], and those of [`Statement::new`].
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        if payload.len() > MAX_STATEMENT_LEN {
            return Err(StatementError::TooLong);
        }
        let statement: Self = json::from_slice(payload)?;
        refuse_other_spellings(payload)?;
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
        check_uri(&self.predicate_type)
            .map_err(|error| StatementError::Deceptive("predicate type", error))?;
        for subject in &self.subject {
            subject.check().map_err(|error| StatementError::Deceptive("subject", error))?;
        }
        refuse_contradictions(&self.subject)?;
        Ok(self)
    }
}

/// Refuses members that differ from the statement's own by case or underscores only.
fn refuse_other_spellings(payload: &[u8]) -> Result<(), StatementError> {
    const OWN: [&str; 4] = ["_type", "subject", "predicateType", "predicate"];
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    // A list, since no name is in it twice.
    let Members(members) = serde_json::from_slice(payload)?;
    let mut others = members.into_iter().filter(|name| !OWN.contains(&name.as_str()));
    match others.find(|name| OWN.iter().any(|own| plain(own) == plain(name))) {
        None => Ok(()),
        Some(name) => Err(StatementError::OtherSpelling(name)),
    }
}

/// The names of an object's members.
struct Members(Vec<String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a statement")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Members(names))
            }
        }

        deserializer.deserialize_map(Names)
    }
}

/// Refuses two subjects that share a digest and differ in another of the same algorithm: no bytes
/// have both. One name with several digests is honest; tools name artifacts by their last segment.
fn refuse_contradictions(subjects: &[ResourceDescriptor]) -> Result<(), StatementError> {
    let mut known: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for subject in subjects {
        let Some(sha256) = subject.digest.get("sha256") else { continue };
        let digests = known.entry(sha256).or_default();
        for (algorithm, digest) in &subject.digest {
            if digests.entry(algorithm).or_insert(digest) != digest {
                return Err(StatementError::Contradiction(subject.name.clone()));
            }
        }
    }
    Ok(())
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

    /// Checks that nothing of it passes for something else. A name may be a path that leads up, as
    /// the user gave it, and a URI may have a user, as the clone URLs of some forges do.
    ///
    /// # Errors
    /// [`NameError`].
    pub(crate) fn check(&self) -> Result<(), NameError> {
        check_text(&self.name)?;
        check_path(self.uri.as_deref().unwrap_or_default())?;
        self.digest.iter().try_for_each(|(algorithm, digest)| {
            check_text(algorithm)?;
            check_text(digest)
        })
    }
}

/// Why bytes are not a statement that may be signed or believed.
#[derive(Debug, Error)]
pub enum StatementError {
    /// Found before anything is parsed.
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
    /// A member that some readers take for another: `Subject`, `predicate_type`.
    #[error("the statement has a member `{0}`, which some readers take for one of its own")]
    OtherSpelling(String),
    /// A name or URI that may pass for another.
    #[error("the statement's {0} is not one that may be shown: {1}")]
    Deceptive(&'static str, #[source] NameError),
    /// Two subjects of one digest that differ in another.
    #[error("subject `{0}` has the digest of another subject and contradicts it in another digest")]
    Contradiction(String),
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

    fn with(members: &str) -> Result<Statement, StatementError> {
        let digest = "00".repeat(32);
        let rest = format!(
            r#""_type":"{STATEMENT_V1}","subject":[{{"name":"n","digest":{{"sha256":"{digest}"}}}}]"#
        );
        Statement::parse(format!("{{{rest},{members}}}").as_bytes())
    }

    #[test]
    fn rejects_members_given_twice_at_any_depth() {
        with(r#""predicateType":"p","predicate":{"a":{"b":1}}"#).unwrap();
        for members in [
            r#""predicateType":"p","predicate":{},"predicateType":"q""#,
            r#""predicateType":"p","predicate":{"a":1,"a":2}"#,
            r#""predicateType":"p","predicate":{"a":1,"\u0061":1}"#,
            r#""predicateType":"p","predicate":{"runDetails":{"builder":{"id":"x","id":"y"}}}"#,
            r#""predicateType":"p","predicate":{"l":[{"m":{"a":1,"a":1}}]}"#,
            r#""predicateType":"p","later":{"a":1,"a":1}"#,
            r#""predicateType":"p","later":1,"later":2"#,
            r#""predicateType":"p","subject":[]"#,
        ] {
            let error = with(members).unwrap_err();
            assert!(matches!(error, StatementError::Json(_)), "{members}: {error}");
        }
        let twice = format!(
            r#"{{"_type":"{STATEMENT_V1}","predicateType":"p","subject":[{{"digest":{{"sha256":"0","sha256":"1"}}}}]}}"#
        );
        assert!(matches!(Statement::parse(twice.as_bytes()), Err(StatementError::Json(_))));
    }

    #[test]
    fn rejects_what_other_readers_take_for_its_own_members() {
        for member in
            ["Subject", "SUBJECT", "predicate_type", "PredicateType", "type", "_Type", "Predicate"]
        {
            let error = with(&format!(r#""predicateType":"p","{member}":[]"#)).unwrap_err();
            assert!(matches!(error, StatementError::OtherSpelling(name) if name == member));
        }
        with(r#""predicateType":"p","subjects":[],"predicate":{"Subject":1,"subject":1}"#).unwrap();
    }

    #[test]
    fn rejects_names_that_are_not_seen_as_what_they_are() {
        let of = |subject: Value, predicate_type: &str| {
            let payload = json!({"_type": STATEMENT_V1, "predicateType": predicate_type,
                "subject": [subject]});
            Statement::parse(payload.to_string().as_bytes())
        };
        let digest = json!({"sha256": "00"});
        for c in [
            "\n", "\r", "\t", "\u{1b}", "\u{7f}", "\u{9b}", "\u{202e}", "\u{2066}", "\u{200b}",
            "\u{2028}", "\u{200f}", "\u{61c}", "\u{feff}",
        ] {
            let name = format!("a{c}b");
            for statement in [
                of(json!({"name": name, "digest": digest}), "p"),
                of(json!({"name": "n", "uri": name, "digest": digest}), "p"),
                of(json!({"name": "n", "digest": {&name: "00"}}), "p"),
                of(json!({"name": "n", "digest": {"sha256": name}}), "p"),
                of(json!({"name": "n", "digest": digest}), &name),
            ] {
                let error = statement.unwrap_err();
                assert!(matches!(error, StatementError::Deceptive(..)), "{c:?}: {error}");
            }
        }
        of(json!({"name": "n", "digest": digest}), "https://a.example/../p").unwrap_err();
        of(json!({"name": "../dist/größe x", "digest": digest}), "https://a.example/p").unwrap();
    }

    #[test]
    fn rejects_subjects_that_no_bytes_can_be() {
        let of = |sha512: [&str; 2]| {
            let subject =
                |digest: &str| json!({"name": "n", "digest": {"sha256": "00", "sha512": digest}});
            let payload = json!({"_type": STATEMENT_V1, "predicateType": "p",
                "subject": sha512.map(subject)});
            Statement::parse(payload.to_string().as_bytes())
        };
        of(["aa", "aa"]).unwrap();
        assert!(matches!(of(["aa", "bb"]), Err(StatementError::Contradiction(_))));
        // One name for files of two directories, as GitHub's action writes it.
        Statement::new(
            vec![
                ResourceDescriptor::with_sha256("app", &[1; 32]),
                ResourceDescriptor::with_sha256("app", &[2; 32]),
            ],
            "p",
            json!({}),
        )
        .unwrap();
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
