//! What the TUF repository signs: three documents, and single files for older clients.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    Deployment, LogKey, State, TrustFile,
    deployment::{Published, current},
    files::chain_pem,
};

/// One target of the TUF repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) content: Bytes,
    /// What cosign 2 and policy-controller choose by, in `custom.sigstore`.
    pub(crate) custom: Option<Value>,
}

/// The trust documents under the names that clients ask for, and the legacy files.
///
/// Clients of the older TUF library find keys by `usage`, and by these very names
/// where nothing has it. Rekor v2's key is not among them: those clients take each
/// Rekor key for one of v1.
pub(crate) fn of(deployment: &Deployment, files: &[TrustFile]) -> Vec<Target> {
    let document = |file: &TrustFile| Target {
        name: file.name.to_owned(),
        content: file.content.clone(),
        custom: None,
    };
    let mut targets: Vec<Target> =
        files.iter().filter(|file| DOCUMENTS.contains(&file.name)).map(document).collect();
    targets.extend(keys("rekor", "Rekor", &deployment.rekor1_logs));
    targets.extend(keys("ctfe", "CTFE", &deployment.ct_logs));
    let all = &deployment.certificate_authorities;
    for (ca, suffix) in all.iter().zip(suffixes(all)) {
        let legacy = Legacy { usage: "Fulcio", uri: &ca.url, state: ca.state };
        let SplitChain { root, lower } = split_root(&ca.chain_der);
        targets.extend(legacy.target(format!("fulcio_v1{suffix}.crt.pem"), root));
        targets.extend(legacy.target(format!("fulcio_intermediate_v1{suffix}.crt.pem"), lower));
    }
    let all = &deployment.timestamp_authorities;
    for (tsa, suffix) in all.iter().zip(suffixes(all)) {
        let legacy = Legacy { usage: "TSA", uri: &tsa.url, state: tsa.state };
        let SplitChain { root, lower } = split_root(&tsa.chain_der);
        let (leaf, intermediates) = lower.split_at(lower.len().min(1));
        targets.extend(legacy.target(format!("tsa_leaf{suffix}.crt.pem"), leaf));
        targets.extend(legacy.target(format!("tsa_root{suffix}.crt.pem"), root));
        targets.extend(legacy.target(format!("tsa_intermediate_0{suffix}.crt.pem"), intermediates));
    }
    targets
}

/// The files that every current client asks for, and the one that only our own does.
const DOCUMENTS: [&str; 3] = ["trusted_root.json", "signing_config.v0.2.json", "countersign.json"];

struct Legacy<'a> {
    usage: &'static str,
    uri: &'a str,
    state: State,
}

impl Legacy<'_> {
    /// Nothing for no certificates.
    fn target(&self, name: String, chain_der: &[Vec<u8>]) -> Option<Target> {
        let content = Bytes::from(chain_pem(chain_der));
        (!chain_der.is_empty()).then(|| Target { name, content, custom: Some(self.custom()) })
    }

    fn custom(&self) -> Value {
        // Those clients know two words; what is expired they verify by all the same.
        let status = if self.state.signs() { "Active" } else { "Expired" };
        json!({"usage": self.usage, "status": status, "uri": self.uri})
    }
}

fn keys(stem: &str, usage: &'static str, logs: &[LogKey]) -> Vec<Target> {
    let target = |(log, suffix): (&LogKey, String)| {
        let legacy = Legacy { usage, uri: &log.base_url, state: log.state };
        Target {
            name: format!("{stem}{suffix}.pub"),
            content: log.public_key.to_pem().into(),
            custom: Some(legacy.custom()),
        }
    };
    logs.iter().zip(suffixes(logs)).map(target).collect()
}

/// The one in use has the plain name; the others are numbered by their place.
fn suffixes<T: Published>(all: &[T]) -> Vec<String> {
    let current = current(all);
    let is_current = |item: &T| current.is_some_and(|current| std::ptr::eq(current, item));
    let suffix = |(index, item): (usize, &T)| {
        if is_current(item) { String::new() } else { format!("_{index}") }
    };
    all.iter().enumerate().map(suffix).collect()
}

/// A chain of DER certificates, the root (one, or none of an empty chain) apart from those below it.
struct SplitChain<'a> {
    root: &'a [Vec<u8>],
    lower: &'a [Vec<u8>],
}

fn split_root(chain_der: &[Vec<u8>]) -> SplitChain<'_> {
    let (lower, root) = chain_der.split_at(chain_der.len().saturating_sub(1));
    SplitChain { root, lower }
}
