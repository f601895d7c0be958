use entry::{
    EntryError, VerifiedEntry,
    rekor1::{EntryId, Options, verify_proposed},
};
use serde_json::json;
use tlog::Rekor1Origin;
use wire::{
    Base64, Int64,
    bundle::{
        CheckpointEnvelope, HashOutput, InclusionPromise, InclusionProof, KindVersion, LogId,
        TransparencyLogEntry,
    },
    dsse::DsseEnvelope,
    rekor1::{EntryResponse, LogEntry},
};

use super::{
    HttpClient, IdentityToken, Service, ServiceError, ServiceKind, ServiceUrl,
    http::{Call, SentToken},
};

/// A Rekor v1.
#[derive(Clone, Debug)]
pub struct RekorV1 {
    http: HttpClient,
    service: Service,
}

/// What a Rekor v1 is asked to log, and the entry that must come of it.
#[derive(Clone, Debug)]
pub struct ProposedEntry {
    json: Vec<u8>,
    expected: VerifiedEntry,
}

impl ProposedEntry {
    /// A `hashedrekord`: the signature, by the holder of `verifier_pem` (key or certificate), over
    /// the artifact of that digest.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn hashedrekord(
        digest: &HashOutput,
        signature: &[u8],
        verifier_pem: &str,
    ) -> Result<Self, EntryError> {
        let algorithm = match digest.algorithm {
            wire::HashAlgorithm::Sha2_384 => "sha384",
            wire::HashAlgorithm::Sha2_512 => "sha512",
            _ => "sha256",
        };
        let public_key = json!({"content": Base64::from(verifier_pem.as_bytes().to_vec())});
        let spec = json!({
            "data": {"hash": {"algorithm": algorithm, "value": hex::encode(digest.digest.as_slice())}},
            "signature": {"content": Base64::from(signature.to_vec()), "publicKey": public_key},
        });
        Self::new("hashedrekord", &spec)
    }

    /// A `dsse`: the envelope, signed by the holder of `verifier_pem` (key or certificate).
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn dsse(envelope: &DsseEnvelope, verifier_pem: &str) -> Result<Self, EntryError> {
        let content = json!({
            // Text within JSON: the log hashes it as it stands.
            "envelope": json!(envelope).to_string(),
            "verifiers": [Base64::from(verifier_pem.as_bytes().to_vec())],
        });
        Self::new("dsse", &json!({"proposedContent": content}))
    }

    /// The canonical JSON that the log must store.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.expected.body()
    }

    fn new(kind: &str, spec: &serde_json::Value) -> Result<Self, EntryError> {
        let json = json!({"apiVersion": "0.0.1", "kind": kind, "spec": spec});
        let json = json.to_string().into_bytes();
        let expected = verify_proposed(&json, &Options::default())?;
        Ok(Self { json, expected })
    }
}

impl RekorV1 {
    /// The log below the base URL `url`.
    #[must_use]
    pub fn new(http: HttpClient, url: ServiceUrl) -> Self {
        Self { http, service: Service { kind: ServiceKind::TransparencyLog, url } }
    }

    /// Has an entry logged, and gives it with SET and proof. They are only read here, and
    /// verified with the finished bundle; that the entry is the proposed one is checked.
    ///
    /// `token` is sent with it, to a log whose writers have one.
    ///
    /// Asking twice does no harm: the log gives the entry that it has, or says that it has it and
    /// is asked for it.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn log(
        &self,
        proposed: &ProposedEntry,
        token: Option<&IdentityToken>,
    ) -> Result<TransparencyLogEntry, ServiceError> {
        let call = Call {
            service: &self.service,
            url: self.service.url.join("/api/v1/log/entries"),
            content_type: "application/json",
            accept: "application/json",
            body: proposed.json.clone(),
            token: token.map(SentToken::Bearer),
            repeatable: true,
        };
        let answer = match self.http.post_new(&call).await? {
            Some(answer) => answer,
            None => self.stored(&proposed.expected).await?,
        };
        let answer: EntryResponse = wire::json::from_slice(&answer)
            .map_err(|error| self.service.malformed(format!("not a log entry: {error}")))?;
        self.check(&answer, &proposed.expected)?;
        self.entry_of(answer.entry, &proposed.expected)
    }

    /// The stored entry with the leaf of `expected`. Where the log says it is does not matter.
    async fn stored(&self, expected: &VerifiedEntry) -> Result<Vec<u8>, ServiceError> {
        let path = format!("/api/v1/log/entries/{}", expected.leaf_hash());
        let found = self.http.get(&self.service, self.service.url.join(&path)).await?;
        found
            .ok_or_else(|| self.service.malformed("it has the entry already, and does not give it"))
    }

    fn check(&self, answer: &EntryResponse, expected: &VerifiedEntry) -> Result<(), ServiceError> {
        let id: EntryId = answer.id.parse().map_err(|error| {
            self.service.malformed(format!("the id of its entry cannot be read: {error}"))
        })?;
        if id.leaf_hash != expected.leaf_hash() || answer.entry.body.as_slice() != expected.body() {
            return Err(self.service.untrusted("it logged another entry than was sent"));
        }
        let proof = answer.entry.verification.as_ref();
        let proof = proof.and_then(|verification| verification.inclusion_proof.as_ref());
        let (Some(tree_id), Some(proof)) = (id.tree_id, proof) else { return Ok(()) };
        let origin = proof.checkpoint.lines().next().unwrap_or_default();
        if Rekor1Origin::parse(origin).is_some_and(|origin| origin.is_of_tree(tree_id)) {
            Ok(())
        } else {
            Err(self.service.untrusted("the entry's id is of another tree than its proof"))
        }
    }

    /// The entry as bundles hold it.
    fn entry_of(
        &self,
        logged: LogEntry,
        expected: &VerifiedEntry,
    ) -> Result<TransparencyLogEntry, ServiceError> {
        let malformed = |what: &str| self.service.malformed(format!("not a log entry: {what}"));
        let bytes = |text: &str| hex::decode(text).map(Base64).map_err(|_| malformed("bad hex"));
        let verification =
            logged.verification.ok_or_else(|| malformed("it has no verification"))?;
        let proof =
            verification.inclusion_proof.ok_or_else(|| malformed("it has no inclusion proof"))?;
        if verification.signed_entry_timestamp.is_empty() {
            return Err(malformed("it has no signed entry timestamp"));
        }
        let hashes = proof.hashes.iter().map(|hash| bytes(hash)).collect::<Result<_, _>>()?;
        Ok(TransparencyLogEntry {
            log_index: Int64(logged.log_index),
            log_id: LogId { key_id: bytes(&logged.log_id)? },
            kind_version: KindVersion {
                kind: expected.kind().to_owned(),
                version: expected.version().to_owned(),
            },
            integrated_time: Int64(logged.integrated_time),
            inclusion_promise: Some(InclusionPromise {
                signed_entry_timestamp: verification.signed_entry_timestamp,
            }),
            inclusion_proof: Some(InclusionProof {
                log_index: Int64(proof.log_index),
                root_hash: bytes(&proof.root_hash)?,
                tree_size: Int64(proof.tree_size),
                hashes,
                checkpoint: Some(CheckpointEnvelope { envelope: proof.checkpoint }),
            }),
            canonicalized_body: logged.body,
        })
    }
}
