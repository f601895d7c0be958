//! What a client cannot do with any server, with where that is written. A limit explains a failure
//! only when the client said what the limit makes it say: other failures stay failures, and a client
//! that has lost its limit simply passes.

use std::fmt;

use super::{
    clients::{
        Kind, Order, Producer, Protocol, Verifier, Vouching, images::Sealing, old_forms::OldOrder,
    },
    install::Tool,
};

/// A limit of one client.
#[derive(Debug)]
pub(super) struct Limit {
    /// Part of what the client says then.
    says: &'static str,
    why: &'static str,
    /// Where the client's authors or its sources say so.
    source: &'static str,
}

impl Limit {
    pub(super) fn explains(&self, said: &str) -> bool {
        said.contains(self.says)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.why, self.source)
    }
}

/// sigstore-python reads statements of version 1 only.
static PYTHON_STATEMENT_VERSION: Limit = Limit {
    says: "in-toto.io/Statement/v1",
    why: "cosign makes a statement of version 0.1 from a predicate, sigstore-python reads version 1 only",
    source: "cosign pkg/cosign/attestation, sigstore-python sigstore/dsse/__init__.py",
};

/// sigstore-python knows no keys.
static PYTHON_KEYS: Limit = Limit {
    says: "has no option for keys",
    why: "sigstore-python verifies certificates only",
    source: "`sigstore verify --help`",
};

/// The limit that explains why `verifier` refused what `producer` made.
pub(super) fn of_verification(
    (producer, order): (Producer, &Order),
    verifier: Verifier,
    said: &str,
) -> Option<&'static Limit> {
    let candidates: &[&'static Limit] = match verifier {
        Verifier::Python(_) if order.vouching == Vouching::Key => &[&PYTHON_KEYS],
        Verifier::Python(_) if producer == Producer::Cosign2 && order.kind == Kind::Attestation => {
            &[&PYTHON_STATEMENT_VERSION]
        }
        _ => &[],
    };
    candidates.iter().find(|limit| limit.explains(said)).copied()
}

/// What producers cannot make at all, so that no row of the matrix asks it.
pub(super) const NOT_PRODUCED: [(&str, &str); 6] = [
    (
        "cosign 2.5 signs into Rekor v2",
        "cosign 2.5 has no signing config and knows Rekor v1 only (`cosign sign-blob --help`; cosign 2.6 is the first with --signing-config)",
    ),
    (
        "cosign 3 signs into Rekor v1 by TUF without a URL",
        "cosign takes the newest log of the published signing config and has no option to choose (sigstore-go pkg/sign/signingconfig.go)",
    ),
    ("@sigstore/cli signs a blob", "it signs statements only (`sigstore --help`)"),
    (
        "@sigstore/cli signs into Rekor v2",
        "it takes a --rekor-url of version 1 and no signing config (`sigstore attest --help`)",
    ),
    (
        "sigstore-go-signing signs with trust from TUF",
        "the example program takes files or public TUF only (`sigstore-go-signing -h`)",
    ),
    ("sigstore-python signs by key", "it has no option for keys (`sigstore sign --help`)"),
];

/// Whether a row of the matrix can be made at all; see [`NOT_PRODUCED`].
pub(super) fn can_produce(producer: Producer, order: &Order) -> bool {
    use super::clients::Trust::Tuf;
    let (kind, protocol) = (order.kind, order.protocol);
    let key = order.vouching == Vouching::Key;
    match producer {
        Producer::Countersign => order.trust != Tuf,
        Producer::Cosign3 => order.trust != Tuf || (protocol == Protocol::Rekor2 && !key),
        Producer::Cosign3OldFlags => protocol == Protocol::Rekor1 && !key,
        Producer::Cosign2 => protocol == Protocol::Rekor1 && !(key && order.trust == Tuf),
        Producer::Python => !key,
        Producer::JavaScript | Producer::Go => order.trust != Tuf && !key,
        Producer::JavaScriptCli => {
            protocol == Protocol::Rekor1 && kind == Kind::Attestation && order.trust != Tuf && !key
        }
    }
}

/// The limit that explains why `verifier` refused an image.
pub(super) fn of_image(_sealing: Sealing, _verifier: Tool, _said: &str) -> Option<&'static Limit> {
    None
}

/// The limit that explains why cosign refused an old form.
pub(super) fn of_old_form(
    _order: &OldOrder,
    _verifier: Tool,
    _said: &str,
) -> Option<&'static Limit> {
    None
}
