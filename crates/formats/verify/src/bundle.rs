use serde_json::Value;
use wire::{
    Int64,
    bundle::{Bundle, BundleContent, BundleMediaType, TransparencyLogEntry, VerificationContent},
};

use crate::{Cause, Check, OtherFormat, VerifyError, check::Failing};

/// Longest bundle read, in bytes: the longest statement in base64, and 1 MiB of evidence.
pub const MAX_BUNDLE_LEN: usize = 23 * 1024 * 1024;

/// Most timestamps of one bundle, as in sigstore-go. Clients write one or two.
const MAX_TIMESTAMPS: usize = 32;

/// Most log entries of one bundle. Clients write one; the rest is room for several logs.
const MAX_LOG_ENTRIES: usize = 8;

/// Most certificates of a chain in a bundle 0.1 or 0.2.
const MAX_CERTIFICATES: usize = 8;

/// A bundle that was read and whose parts fit each other; nothing in it is verified.
#[derive(Clone, Debug)]
pub struct UnverifiedBundle {
    pub(crate) bundle: Bundle,
}

impl UnverifiedBundle {
    /// Reads a bundle.
    ///
    /// Its JSON must hold exactly what was understood: unknown members are refused, and so is
    /// another spelling of a value than clients write, since a spelling is a place to hide in.
    ///
    /// # Errors
    /// [`Check::Format`], [`Check::LogEntry`].
    pub fn parse(json: &[u8]) -> Result<Self, VerifyError> {
        let bundle = Self::read(json)?;
        check_shape(&bundle.bundle).failing(Check::Format)?;
        for entry in bundle.log_entries() {
            check_entry(&bundle.bundle, entry).failing_by(Check::LogEntry, Cause::Incomplete)?;
        }
        Ok(bundle)
    }

    fn read(json: &[u8]) -> Result<Self, VerifyError> {
        if json.len() > MAX_BUNDLE_LEN {
            return Err(Check::Format.failed("the bundle is too long"));
        }
        let bundle = Bundle::from_json(json).map_err(|error| match OtherFormat::of(json) {
            Some(format) => {
                let reason = format!("not a Sigstore bundle: {format}");
                Check::Format.failed_by(Cause::OtherFormat(format), reason)
            }
            None => Check::Format.failed(format!("not a Sigstore bundle: {error}")),
        })?;
        let found: Value = serde_json::from_slice(json).failing(Check::Format)?;
        let understood = serde_json::to_value(&bundle).failing(Check::Format)?;
        if essence(found) != essence(understood) {
            return Err(Check::Format.failed("a value is spelled as no client writes it"));
        }
        Ok(Self { bundle })
    }

    /// The bundle's log entries; none for a key's signature that was not logged.
    #[must_use]
    pub fn log_entries(&self) -> &[TransparencyLogEntry] {
        &self.bundle.verification_material.tlog_entries
    }

    /// What the bundle says, as it was read.
    #[must_use]
    pub fn as_wire(&self) -> &Bundle {
        &self.bundle
    }

    /// The certificates, leaf first; empty for a key's bundle.
    pub(crate) fn certificates(&self) -> Vec<&[u8]> {
        match &self.bundle.verification_material.content {
            VerificationContent::PublicKey(_) => Vec::new(),
            VerificationContent::Certificate(leaf) => vec![leaf.raw_bytes.as_slice()],
            VerificationContent::X509CertificateChain(chain) => {
                chain.certificates.iter().map(|one| one.raw_bytes.as_slice()).collect()
            }
        }
    }

    /// The key's name, when the bundle holds no certificate.
    pub(crate) fn key_hint(&self) -> Option<&str> {
        match &self.bundle.verification_material.content {
            VerificationContent::PublicKey(key) => Some(&key.hint),
            _ => None,
        }
    }

    /// The key id in the envelope; `None` for a signature over an artifact.
    pub(crate) fn key_id(&self) -> Option<&str> {
        match &self.bundle.content {
            BundleContent::MessageSignature(_) => None,
            BundleContent::DsseEnvelope(envelope) => {
                envelope.signatures.first().map(|one| one.keyid.as_str())
            }
        }
    }

    /// The one signature, whatever it is over.
    pub(crate) fn signature(&self) -> &[u8] {
        match &self.bundle.content {
            BundleContent::MessageSignature(message) => message.signature.as_slice(),
            // One signature is there: `check_shape`.
            BundleContent::DsseEnvelope(envelope) => {
                envelope.signatures.first().map_or(&[], |one| one.sig.as_slice())
            }
        }
    }

    /// DER timestamp responses.
    pub(crate) fn timestamps(&self) -> Vec<&[u8]> {
        let stamps = &self.bundle.verification_material.timestamp_verification_data;
        let stamps = stamps.iter().flat_map(|stamps| &stamps.rfc3161_timestamps);
        stamps.map(|stamp| stamp.signed_timestamp.as_slice()).collect()
    }
}

/// Whether the entry is of a Rekor v2 log, whose kinds have versions of their own.
pub(crate) fn is_rekor_v2(entry: &TransparencyLogEntry) -> bool {
    let of = &entry.kind_version;
    of.version == "0.0.2" && (of.kind == "hashedrekord" || of.kind == "dsse")
}

fn check_shape(bundle: &Bundle) -> Result<(), &'static str> {
    check_material(bundle)?;
    check_content(bundle)?;
    let material = &bundle.verification_material;
    let entries = &material.tlog_entries;
    if entries.len() > MAX_LOG_ENTRIES {
        return Err("the bundle has too many log entries");
    }
    // Two entries of one log say no more than one.
    if has_twice(entries.iter().map(|entry| &entry.log_id)) {
        return Err("the bundle has two entries of one log");
    }
    let stamps = material.timestamp_verification_data.as_ref();
    let stamps = stamps.map_or(&[][..], |stamps| &stamps.rfc3161_timestamps);
    if stamps.len() > MAX_TIMESTAMPS {
        return Err("the bundle has too many timestamps");
    }
    if has_twice(stamps.iter()) {
        return Err("the bundle has the same timestamp twice");
    }
    Ok(())
}

/// Whether two of `items` are equal; of few, as the limits here are.
fn has_twice<T: PartialEq>(mut items: impl Iterator<Item = T> + Clone) -> bool {
    while let Some(item) = items.next() {
        if items.clone().any(|other| other == item) {
            return true;
        }
    }
    false
}

fn check_material(bundle: &Bundle) -> Result<(), &'static str> {
    use BundleMediaType::{V0_1, V0_2, V0_3, V0_3Legacy};
    let material = &bundle.verification_material;
    match (&material.content, bundle.media_type) {
        (VerificationContent::Certificate(leaf), V0_3 | V0_3Legacy) => {
            if leaf.raw_bytes.is_empty() { Err("the certificate is empty") } else { Ok(()) }
        }
        (VerificationContent::Certificate(_), V0_1 | V0_2) => {
            Err("a single certificate needs bundle version 0.3")
        }
        (VerificationContent::X509CertificateChain(chain), V0_1 | V0_2) => {
            match chain.certificates.len() {
                1..=MAX_CERTIFICATES => Ok(()),
                0 => Err("the certificate chain is empty"),
                _ => Err("the certificate chain is too long"),
            }
        }
        (VerificationContent::X509CertificateChain(_), V0_3 | V0_3Legacy) => {
            Err("a certificate chain has no place in bundle version 0.3")
        }
        // Nothing else would show a changed version, so what has no log entry has one spelling.
        (VerificationContent::PublicKey(_), version) if material.tlog_entries.is_empty() => {
            if version == V0_3 {
                Ok(())
            } else {
                Err("a bundle without log entry must be of version 0.3")
            }
        }
        (VerificationContent::PublicKey(_), _) => Ok(()),
    }
}

fn check_content(bundle: &Bundle) -> Result<(), &'static str> {
    match &bundle.content {
        BundleContent::MessageSignature(message) => {
            if message.message_digest.is_none() {
                return Err("the message signature has no digest");
            }
            if message.signature.is_empty() {
                return Err("the signature is empty");
            }
        }
        BundleContent::DsseEnvelope(envelope) => {
            if envelope.signatures.len() != 1 {
                return Err("the envelope must have exactly one signature");
            }
            if envelope.signatures.iter().any(|one| one.sig.is_empty()) {
                return Err("the signature is empty");
            }
        }
    }
    Ok(())
}

fn check_entry(bundle: &Bundle, entry: &TransparencyLogEntry) -> Result<(), &'static str> {
    if is_rekor_v2(entry) {
        // sigstore-js writes signatures of files as version 0.2, which holds a chain. Everything else has
        // one version only, so that the version cannot be changed unseen.
        let content = &bundle.verification_material.content;
        let version = match content {
            VerificationContent::X509CertificateChain(_) => BundleMediaType::V0_2,
            _ => BundleMediaType::V0_3,
        };
        if bundle.media_type != version {
            return Err(
                "a Rekor v2 entry needs bundle version 0.3, or 0.2 with a certificate chain",
            );
        }
        if entry.integrated_time != Int64(0) || entry.inclusion_promise.is_some() {
            return Err("a Rekor v2 entry has neither integrated time nor SET");
        }
    } else if entry.inclusion_promise.is_none() {
        // Without it nothing would show a changed index or time.
        return Err("a Rekor v1 entry needs its SET (inclusion promise)");
    }
    match &entry.inclusion_proof {
        // Version 0.1 demands the SET alone, and clients of its time left the checkpoint out.
        Some(proof) if proof.checkpoint.is_none() && bundle.media_type != BundleMediaType::V0_1 => {
            Err("the inclusion proof has no checkpoint")
        }
        None if bundle.media_type != BundleMediaType::V0_1 => {
            Err("the log entry has no inclusion proof")
        }
        _ => Ok(()),
    }
}

/// A JSON value without the members that protobuf takes for unset, and with integers as text.
fn essence(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, essence(value)));
            Value::Object(members.filter(|(_, value)| !is_unset(value)).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(essence).collect()),
        Value::Number(number) => Value::String(number.to_string()),
        other => other,
    }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}
