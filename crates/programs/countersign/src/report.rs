use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;
use verify::{Check, LoggedAt, Verified};
use wire::inert;
use x509::FulcioExtensions;

use crate::{output, subjects::Subject};

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
        output::json(self)
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
    /// What of these this program cannot use, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unusable: Vec<String>,
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
            ("  unusable", &self.unusable),
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
    /// All that the certificate says beside its name, by the names of `docs/extensions.md` and of the
    /// same kind for Fulcio's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub certificate: BTreeMap<&'static str, String>,
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
    /// The other logs that showed the signature too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more_logs: Vec<LogPlace>,
    /// How many timestamps and log entries count for nothing, as nobody listed made them.
    #[serde(skip_serializing_if = "is_zero")]
    pub passed_over: usize,
    /// Proved times, RFC 3339.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<String>,
    /// The checks that passed, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<&'static str>,
}

/// Where one log showed the signature.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogPlace {
    /// Origin of the log.
    pub log_origin: String,
    /// 0-based.
    pub log_index: u64,
    /// Size of the checkpoint's tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree_size: Option<u64>,
}

impl LogPlace {
    fn of(at: &LoggedAt) -> Self {
        Self {
            log_origin: at.origin.clone(),
            log_index: at.index.0,
            tree_size: at.tree_size.map(|size| size.0),
        }
    }

    fn write_text(&self, text: &mut String) {
        let size = self.tree_size.map(|size| format!(", checkpoint of size {size}"));
        let Self { log_origin, log_index, .. } = self;
        line(
            text,
            "  log",
            &format!("{log_origin}, index {log_index}{}", size.unwrap_or_default()),
        );
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Evidence {
    pub(crate) fn of(verified: &Verified) -> Self {
        let identity = verified.identity.as_ref();
        let logged = verified.logged.first();
        Self {
            identity: identity.map(|identity| identity.subject.clone()),
            issuer: identity.and_then(|identity| identity.issuer.clone()),
            certificate: verified.extensions.as_ref().map(said).unwrap_or_default(),
            key_sha256: identity.is_none().then(|| hex::encode(verified.key.spki_sha256())),
            log_origin: logged.map(|at| at.origin.clone()),
            log_index: logged.map(|at| at.index.0),
            tree_size: logged.and_then(|at| at.tree_size).map(|size| size.0),
            more_logs: verified.logged.iter().skip(1).map(LogPlace::of).collect(),
            passed_over: verified.passed_over.timestamps + verified.passed_over.log_entries,
            timestamps: verified.times.iter().map(|time| verify::rfc3339(time.at)).collect(),
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
        self.write_source(text);
        if let Some(key) = &self.key_sha256 {
            line(text, "  key", &format!("sha256:{key}"));
        }
        if let (Some(log_origin), Some(log_index)) = (self.log_origin.clone(), self.log_index) {
            LogPlace { log_origin, log_index, tree_size: self.tree_size }.write_text(text);
        }
        for place in &self.more_logs {
            place.write_text(text);
        }
        for time in &self.timestamps {
            line(text, "  time", time);
        }
        if self.passed_over > 0 {
            let count = self.passed_over;
            line(
                text,
                "  ignored",
                &format!("evidence of no usable instance of the trusted root: {count}"),
            );
        }
        if !self.checks.is_empty() {
            line(text, "  checks", &self.checks.join(" "));
        }
    }

    /// Where the source and the deployment were, and whether the forge protects them: who may push to
    /// a ref may sign in its name.
    fn write_source(&self, text: &mut String) {
        for (name, what, protected) in [
            ("  ref", "source_repository_ref", "ref_protected"),
            ("  deploys", "deployment_environment", "environment_protected"),
        ] {
            let Some(value) = self.certificate.get(what) else { continue };
            let protection = match self.certificate.get(protected).map(String::as_str) {
                Some("true") => ", protected by the forge",
                Some("false") => ", not protected by the forge",
                _ => "",
            };
            line(text, name, &format!("{value}{protection}"));
        }
    }
}

fn said(extensions: &FulcioExtensions) -> BTreeMap<&'static str, String> {
    extensions.named().map(|(name, value)| (name, value.to_owned())).collect()
}

/// The value is of others, and cannot begin a line of its own.
fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name:<10} {}", inert::escape(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "x\nverified   evil\r\u{1b}[2J\u{202e}\u{2028}##[add-mask]y";

    /// A report in which every text is hostile.
    fn report() -> Report {
        let text = || HOSTILE.to_owned();
        let evidence = Evidence {
            identity: Some(text()),
            issuer: Some(text()),
            certificate: ["source_repository_ref", "deployment_environment"]
                .into_iter()
                .map(|name| (name, text()))
                .collect(),
            key_sha256: Some(text()),
            log_origin: Some(text()),
            log_index: Some(1),
            tree_size: Some(2),
            more_logs: vec![LogPlace { log_origin: text(), log_index: 3, tree_size: None }],
            passed_over: 1,
            timestamps: vec![text()],
            checks: vec![],
        };
        let (subject, sha256) = (text(), text());
        let verified = VerifiedFile {
            subject: text(),
            sha256: text(),
            level: Some(text()),
            predicate_type: Some(text()),
            evidence: evidence.clone(),
        };
        let trust = PinnedInstance {
            url: text(),
            directory: text(),
            root_version: 1,
            root_sha256: Some(text()),
            expires: text(),
            logs: vec![text()],
            certificate_authorities: vec![text()],
            timestamp_authorities: vec![text()],
            unusable: vec![text()],
        };
        Report {
            ok: true,
            signed: vec![SignedFile { subject, sha256, evidence }],
            verified: vec![verified],
            trust: Some(trust),
            written: vec![text()],
            notes: vec![text()],
        }
    }

    #[test]
    fn each_value_stays_on_the_line_of_its_name() {
        let text = report().to_text();
        for line in text.lines() {
            assert!(line.is_ascii() && !line.contains(['\u{1b}', '\r']), "{line:?}");
            assert!(!line.starts_with("verified   evil") && !line.contains("##["), "{line:?}");
        }
        let verified: Vec<&str> =
            text.lines().filter(|line| line.starts_with("verified")).collect();
        assert_eq!(
            verified,
            [r"verified   x\nverified \u{20} evil\r\u{1b}[2J\u{202e}\u{2028}\u{23}#[add-mask]y"]
        );
    }

    #[test]
    fn the_ref_is_shown_with_what_the_forge_says_of_it() {
        let shown = |protected: Option<&str>| {
            let evidence = Evidence {
                certificate: said(&FulcioExtensions {
                    source_repository_ref: Some("refs/heads/main".to_owned()),
                    ref_protected: protected.map(str::to_owned),
                    ..FulcioExtensions::default()
                }),
                ..Evidence::default()
            };
            let mut text = String::new();
            evidence.write_text(&mut text);
            text
        };
        let line = "  ref      refs/heads/main";
        assert_eq!(shown(Some("true")), format!("{line}, protected by the forge\n"));
        assert_eq!(shown(Some("false")), format!("{line}, not protected by the forge\n"));
        // Nobody said it: it is not called unprotected.
        assert_eq!(shown(None), format!("{line}\n"));
    }

    #[test]
    fn json_keeps_each_value_and_shows_none() {
        let json = report().to_json();
        assert!(json.is_ascii() && json.lines().count() == 1, "{json:?}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["verified"][0]["identity"], HOSTILE);
        assert_eq!(read["trust"]["logs"][0], HOSTILE);
    }
}
