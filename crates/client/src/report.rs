use std::fmt::Write;

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use verify::{Check, Verified};

use crate::subjects::Subject;

/// What a command did.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    ok: bool,
    /// What was signed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signed: Vec<SignedFile>,
    /// What was verified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verified: Vec<VerifiedFile>,
    /// What is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<PinnedInstance>,
    /// Files that were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<String>,
    /// What the user should know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Report {
    pub(crate) fn of_signed(signed: Vec<SignedFile>, written: Vec<String>) -> Self {
        Self { ok: true, signed, written, ..Self::default() }
    }

    pub(crate) fn of_verified(verified: Vec<VerifiedFile>) -> Self {
        Self { ok: true, verified, ..Self::default() }
    }

    pub(crate) fn of_trust(trust: PinnedInstance) -> Self {
        Self { ok: true, trust: Some(trust), ..Self::default() }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The report as one JSON object with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Invariant: texts, numbers and lists only, which always have a JSON form.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// The report for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for file in &self.signed {
            line(&mut text, "signed", &file.subject);
            file.evidence.write_text(&mut text);
        }
        for file in &self.verified {
            line(&mut text, "verified", &file.subject);
            if let Some(predicate_type) = &file.predicate_type {
                line(&mut text, "  states", predicate_type);
            }
            if let Some(level) = &file.level {
                line(&mut text, "  level", level);
            }
            file.evidence.write_text(&mut text);
        }
        if let Some(trust) = &self.trust {
            trust.write_text(&mut text);
        }
        for path in &self.written {
            line(&mut text, "wrote", path);
        }
        for note in &self.notes {
            line(&mut text, "note", note);
        }
        text
    }
}

/// One artifact that was signed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedFile {
    /// As the user named it.
    pub subject: String,
    /// SHA-256, hex.
    pub sha256: String,
    /// Who, when, where.
    #[serde(flatten)]
    pub evidence: Evidence,
}

impl SignedFile {
    pub(crate) fn new(subject: &Subject, evidence: Evidence) -> Self {
        Self { subject: subject.name.clone(), sha256: hex::encode(subject.sha256), evidence }
    }
}

/// One artifact that was verified.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedFile {
    /// As the user named it.
    pub subject: String,
    /// SHA-256, hex.
    pub sha256: String,
    /// SLSA build level, for build provenance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Predicate type, for attestations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// Who, when, where.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// The instance that is trusted unless something else is said.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedInstance {
    /// URL of its TUF repository.
    pub url: String,
    /// Where the pin is.
    pub directory: String,
    /// Of the newest TUF root.
    pub root_version: u64,
    /// Of the newest TUF root as it is kept, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_sha256: Option<String>,
    /// When it will be renewed at the latest, RFC 3339.
    pub expires: String,
    /// URLs.
    pub logs: Vec<String>,
    /// URLs.
    pub certificate_authorities: Vec<String>,
    /// URLs.
    pub timestamp_authorities: Vec<String>,
}

impl PinnedInstance {
    fn write_text(&self, text: &mut String) {
        line(text, "pinned", &self.url);
        line(text, "  in", &self.directory);
        line(text, "  root", &format!("version {}", self.root_version));
        line(text, "  expires", &self.expires);
        for (name, urls) in [
            ("  log", &self.logs),
            ("  CA", &self.certificate_authorities),
            ("  TSA", &self.timestamp_authorities),
        ] {
            for url in urls {
                line(text, name, url);
            }
        }
    }
}

/// What a verified bundle proves.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Subject alternative name of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// OIDC issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// SHA-256 of the key, hex; when the signer is a bare key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<String>,
    /// Origin of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_origin: Option<String>,
    /// 0-based.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    /// Size of the checkpoint's tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree_size: Option<u64>,
    /// Proved times, RFC 3339.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<String>,
    /// The checks that passed, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<&'static str>,
}

impl Evidence {
    pub(crate) fn of(verified: &Verified) -> Self {
        let identity = verified.identity.as_ref();
        let logged = verified.logged.as_ref();
        Self {
            identity: identity.map(|identity| identity.subject.clone()),
            issuer: identity.and_then(|identity| identity.issuer.clone()),
            key_sha256: identity.is_none().then(|| hex::encode(verified.key.spki_sha256())),
            log_origin: logged.map(|at| at.origin.clone()),
            log_index: logged.map(|at| at.index),
            tree_size: logged.and_then(|at| at.tree_size),
            timestamps: verified.times.iter().map(|time| rfc3339(time.at)).collect(),
            checks: verified.checks.iter().copied().map(Check::name).collect(),
        }
    }

    fn write_text(&self, text: &mut String) {
        if let Some(identity) = &self.identity {
            line(text, "  signer", identity);
        }
        if let Some(issuer) = &self.issuer {
            line(text, "  issuer", issuer);
        }
        if let Some(key) = &self.key_sha256 {
            line(text, "  key", &format!("sha256:{key}"));
        }
        if let (Some(origin), Some(index)) = (&self.log_origin, self.log_index) {
            let size = self.tree_size.map(|size| format!(", checkpoint of size {size}"));
            line(text, "  log", &format!("{origin}, index {index}{}", size.unwrap_or_default()));
        }
        for time in &self.timestamps {
            line(text, "  time", time);
        }
        if !self.checks.is_empty() {
            line(text, "  checks", &self.checks.join(" "));
        }
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name:<10} {value}");
}

pub(crate) fn rfc3339(unix_seconds: u64) -> String {
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| unix_seconds.to_string())
}
