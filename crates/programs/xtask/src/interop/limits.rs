//! What a client cannot do with any server, with where that is written. A limit explains a failure
//! only when the client said what the limit makes it say: other failures stay failures, and a client
//! that has lost its limit simply passes.

use std::fmt;

use super::{
    clients::{
        Kind, Order, Producer, Protocol, SigningMethod, Trust, Verifier,
        images::{Form, Sealing},
        old_forms::{OldForm, OldOrder},
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
static PYTHON_STATEMENT: Limit = Limit {
    says: "in-toto.io/Statement/v1",
    why: "cosign makes a statement of version 0.1 from a predicate, sigstore-python reads version 1 only",
    source: "cosign pkg/cosign/attestation/attestation.go, sigstore-python sigstore/dsse/__init__.py",
};

/// The command line of sigstore-js still logs attestations as `intoto` 0.0.2.
static PYTHON_INTOTO: Limit = Limit {
    says: "only supported for",
    why: "sigstore-python takes entries of Rekor v1 as `dsse` and `hashedrekord` only, @sigstore/cli makes `intoto` 0.0.2",
    source: "sigstore-python sigstore/verify/verifier.py; expected to fail in sigstore-conformance too",
};

static JAVA_INTOTO: Limit = Limit {
    says: "but found intoto:0.0.2",
    why: "sigstore-java takes attestations in Rekor v1 as `dsse` only, @sigstore/cli makes `intoto` 0.0.2",
    source: "sigstore-java 2.0.0 RekorTypes; expected to fail in sigstore-conformance too",
};

static PYTHON_KEYS: Limit = Limit {
    says: "has no option for keys",
    why: "sigstore-python verifies certificates only",
    source: "`sigstore verify --help`",
};

static JAVA_KEYS: Limit = Limit {
    says: "has no option for keys",
    why: "sigstore-java verifies certificates only",
    source: "sigstore-java KeylessVerifier",
};

static JAVA_REKOR2_ATTESTATIONS: Limit = Limit {
    says: "Expecting type dsse:0.0.2",
    why: "sigstore-java 2.0 looks for attestations in Rekor v2 as `dsse` 0.0.2, which Rekor v2 stores no more",
    source: "sigstore-java 2.0.0 KeylessVerifier.checkDsseEnvelope",
};

static JS_CLI_KEYS: Limit = Limit {
    says: "",
    why: "@sigstore/cli has no option for keys",
    source: "`sigstore verify --help`",
};

/// The sigstore-go inside cosign 2.5 is older than Rekor v2.
static COSIGN2_REKOR2: Limit = Limit {
    says: "nil value in transaction log entry",
    why: "cosign 2.5 knows no entries of Rekor v2, which its sigstore-go learnt later",
    source: "sigstore-go#481; measured with 2.5.0",
};

/// Nothing to match: without a network it cannot resolve a name, with one it gets another's root.
static COSIGN2_TUF: Limit = Limit {
    says: "",
    why: "cosign 2.5 reads new bundles with the trusted root of a file or of public TUF, never of its own `initialize`",
    source: "cosign 2.5 cmd/cosign/cli/verify/verify_blob.go loadTrustedRoot: allow custom TUF settings is to be done",
};

static COSIGN2_IMAGE_REKOR2: Limit = Limit {
    says: "no valid bundles exist",
    why: "cosign 2.5 knows no entries of Rekor v2, which its sigstore-go learnt later",
    source: "sigstore-go#481; measured with 2.5.0",
};

static COSIGN2_IMAGE_BUNDLES: Limit = Limit {
    says: "no signatures found",
    why: "cosign 2.5 looks for signatures of images under tags only; it reads bundles of attestations",
    source: "cosign#3889, for attest and verify-attestation only",
};

static GO_IMAGE_TAGS: Limit = Limit {
    says: "error getting signature manifest",
    why: "oci-image-verification reads signatures under the old tag only, no attestations and no bundles",
    source: "sigstore-go examples/oci-image-verification/main.go",
};

static GO_IMAGE_KEYS: Limit = Limit {
    says: "error getting signing certificate",
    why: "oci-image-verification makes its bundle from a certificate, even when told a key",
    source: "sigstore-go examples/oci-image-verification/main.go",
};

/// A weakness of cosign, not of what it verifies: named here so that it is seen.
static KEY_OF_THE_BUNDLE: Limit = Limit {
    says: "it accepted another signer too",
    why: "cosign before August 2026 takes the public key that an old bundle brings along, whatever --key says",
    source: "GHSA-fx35-mq7g-6g98, cosign#5040",
};

fn first(candidates: &[&'static Limit], said: &str) -> Option<&'static Limit> {
    candidates.iter().find(|limit| limit.explains(said)).copied()
}

/// The limit that explains why `verifier` refused what `producer` made.
pub(super) fn of_verification(
    (producer, order): (Producer, &Order),
    verifier: Verifier,
    said: &str,
) -> Option<&'static Limit> {
    let key = order.method == SigningMethod::Key;
    let candidates: &[&'static Limit] = match verifier {
        Verifier::Python(_) if key => &[&PYTHON_KEYS],
        Verifier::Java if key => &[&JAVA_KEYS],
        Verifier::Python(_) if producer == Producer::Cosign2 && order.kind == Kind::Attestation => {
            &[&PYTHON_STATEMENT]
        }
        Verifier::Python(_) if producer == Producer::JavaScriptCli => &[&PYTHON_INTOTO],
        Verifier::Java if producer == Producer::JavaScriptCli => &[&JAVA_INTOTO],
        Verifier::Java if order.kind == Kind::Attestation && order.protocol == Protocol::Rekor2 => {
            &[&JAVA_REKOR2_ATTESTATIONS]
        }
        Verifier::JavaScript(Trust::Tuf) if key => &[&JS_CLI_KEYS],
        Verifier::Cosign2(Trust::Tuf) => &[&COSIGN2_TUF],
        Verifier::Cosign2(Trust::Files) if order.protocol == Protocol::Rekor2 => &[&COSIGN2_REKOR2],
        _ => &[],
    };
    first(candidates, said)
}

/// The limit that explains why a verifier refused an image.
pub(super) fn of_image(
    sealing: Sealing,
    verifier: (Tool, Trust),
    said: &str,
) -> Option<&'static Limit> {
    let candidates: &[&'static Limit] = match (verifier, sealing.form, sealing.kind) {
        ((Tool::GoImages, _), ..) => &[&GO_IMAGE_TAGS, &GO_IMAGE_KEYS],
        ((Tool::Cosign2, _), Form::Bundles, Kind::Blob) => &[&COSIGN2_IMAGE_BUNDLES],
        ((Tool::Cosign2, Trust::Tuf), Form::Bundles, Kind::Attestation) => &[&COSIGN2_TUF],
        ((Tool::Cosign2, Trust::Files), Form::Bundles, Kind::Attestation)
            if sealing.protocol == Protocol::Rekor2 =>
        {
            &[&COSIGN2_IMAGE_REKOR2]
        }
        _ => &[],
    };
    first(candidates, said)
}

/// The limit that explains why cosign erred over an old form.
pub(super) fn of_old_form(order: &OldOrder, said: &str) -> Option<&'static Limit> {
    // cosign 2's `sign-blob` leaves the key out of its bundle, so that there is none to be taken.
    let brings_key = order.method == SigningMethod::Key
        && order.form != OldForm::Parts
        && (order.kind == Kind::Attestation || order.tool == Tool::Cosign3);
    let candidates: &[&'static Limit] = if brings_key { &[&KEY_OF_THE_BUNDLE] } else { &[] };
    first(candidates, said)
}

/// What producers cannot make at all, so that no row of the matrix asks it.
pub(super) const NOT_PRODUCED: [(&str, &str); 7] = [
    (
        "cosign 2.5 signs into Rekor v2",
        "cosign 2.5 has no signing config and knows Rekor v1 only (`cosign sign-blob --help`; cosign 2.6 is the first with --signing-config)",
    ),
    (
        "cosign 3 signs into Rekor v1 by TUF without a URL",
        "cosign takes the newest log of the published signing config and has no option to choose (sigstore-go pkg/root/signing_config.go)",
    ),
    ("@sigstore/cli signs a blob", "@sigstore/cli signs statements only (`sigstore --help`)"),
    (
        "@sigstore/cli signs into Rekor v2",
        "@sigstore/cli takes a --rekor-url of version 1 and no signing config (`sigstore attest --help`)",
    ),
    (
        "sigstore-go-signing signs with trust from TUF",
        "sigstore-go-signing takes files or public TUF only (`sigstore-go-signing -h`)",
    ),
    (
        "sigstore-java signs",
        "sigstore-java speaks gRPC over TLS to the CA, and the switch for plain text is in neither its signer nor its command line; `dev` serves plain HTTP (sigstore-java#682, HttpParams)",
    ),
    (
        "sigstore-python signs by key",
        "sigstore-python has no option for keys (`sigstore sign --help`)",
    ),
];

/// Whether a row of the matrix can be made at all; see [`NOT_PRODUCED`].
pub(super) fn can_produce(producer: Producer, order: &Order) -> bool {
    let (kind, protocol) = (order.kind, order.protocol);
    let key = order.method == SigningMethod::Key;
    match producer {
        Producer::Countersign | Producer::Cosign3 => {
            order.trust != Trust::Tuf || (protocol == Protocol::Rekor2 && !key)
        }
        Producer::Cosign3OldFlags => protocol == Protocol::Rekor1 && !key,
        Producer::Cosign2 => protocol == Protocol::Rekor1 && !(key && order.trust == Trust::Tuf),
        Producer::Python => !key,
        Producer::Conformance | Producer::JavaScript | Producer::Go => {
            order.trust != Trust::Tuf && !key
        }
        Producer::JavaScriptCli => {
            protocol == Protocol::Rekor1
                && kind == Kind::Attestation
                && order.trust != Trust::Tuf
                && !key
        }
    }
}
