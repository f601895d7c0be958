//! Only the trusted root builds paths: what a bundle brings is compared, never believed.

use crypto::{KeyType, LocalSigner};
use serde_json::{Value, json};
use verify::{
    Artifact, Cause, Check, Conditions, ExpectedSigner, IdentityPolicy, Trust, UnverifiedBundle,
    Verified, VerifyError, verify,
};

use crate::support::{ALICE, ARTIFACT, Ca, Instance, NOW, base64_of, open, signer};

fn verified(bundle: &Value, root: &Value) -> Result<Verified, VerifyError> {
    let trust = Trust::from_json(root.to_string().as_bytes()).unwrap();
    let bundle = UnverifiedBundle::parse(bundle.to_string().as_bytes())?;
    let identity = IdentityPolicy::default();
    let expected = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
    verify(&bundle, &Artifact::from_bytes(ARTIFACT), &expected, &Conditions::at(NOW))
}

/// A root with two CAs below it, and a signer.
struct Family {
    instance: Instance,
    root: Ca,
    trusted: Ca,
    other: Ca,
    signer: LocalSigner,
}

impl Family {
    fn new() -> Self {
        let root = Ca::root();
        let (trusted, other) = (root.below(), root.below());
        let signer = signer(KeyType::EcdsaP256);
        Self { instance: Instance::new(), root, trusted, other, signer }
    }

    /// A bundle with a certificate by `ca`, which brings along as much of its chain as `brought`.
    fn bundle(&self, ca: &Ca, brought: usize) -> Value {
        let leaf = ca.leaf(&self.signer, &self.instance.ct);
        self.instance.bundle(&self.signer, &leaf, &ca.chain[..brought])
    }

    fn root(&self, authorities: &[(&Ca, Value)]) -> Value {
        let authorities: Vec<_> =
            authorities.iter().map(|(ca, window)| (ca.chain.as_slice(), window.clone())).collect();
        self.instance.root(&authorities)
    }
}

#[test]
fn accepts_the_trusted_ca_with_all_part_or_nothing_of_its_chain_beside_the_leaf() {
    let family = Family::new();
    let root = family.root(&[(&family.trusted, open())]);
    for brought in 0..=2 {
        let verified = verified(&family.bundle(&family.trusted, brought), &root).unwrap();
        assert_eq!(verified.identity.unwrap().subject, ALICE);
    }
}

#[test]
fn rejects_a_ca_that_the_same_root_signed_and_the_trusted_root_does_not_list() {
    let family = Family::new();
    let root = family.root(&[(&family.trusted, open())]);
    for brought in 0..=2 {
        let error = verified(&family.bundle(&family.other, brought), &root).unwrap_err();
        assert_eq!((error.check, error.cause), (Check::Certificate, Cause::OtherInstance));
    }
}

#[test]
fn rejects_a_ca_below_the_trusted_one() {
    let family = Family::new();
    let below = family.trusted.below();
    let root = family.root(&[(&family.trusted, open())]);
    for brought in 0..=3 {
        let error = verified(&family.bundle(&below, brought), &root).unwrap_err();
        assert_eq!(error.check, Check::Certificate);
    }
}

#[test]
fn rejects_a_leaf_that_the_root_or_another_ca_above_signed_itself() {
    let family = Family::new();
    let below = family.trusted.below();
    for (listed, by) in
        [(&family.trusted, &family.root), (&below, &family.root), (&below, &family.trusted)]
    {
        let root = family.root(&[(listed, open())]);
        for brought in 0..=by.chain.len() {
            let error = verified(&family.bundle(by, brought), &root).unwrap_err();
            assert_eq!(error.check, Check::Certificate);
        }
    }
}

#[test]
fn accepts_a_self_signed_ca_that_is_listed_alone() {
    let family = Family::new();
    verified(&family.bundle(&family.root, 0), &family.root(&[(&family.root, open())])).unwrap();
}

#[test]
fn a_root_alone_makes_no_ca_below_it_trusted() {
    let family = Family::new();
    let root = family.root(&[(&family.root, open())]);
    for brought in 0..=2 {
        verified(&family.bundle(&family.trusted, brought), &root).unwrap_err();
    }
}

#[test]
fn the_window_of_the_entry_whose_ca_signed_counts() {
    let family = Family::new();
    let ended = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"});
    let later = json!({"start": "2027-01-01T00:00:00Z"});
    let retired = family.bundle(&family.other, 1);
    for window in [&ended, &later] {
        // Beside an entry of the same root that is open.
        let entries = [(&family.trusted, open()), (&family.other, window.clone())];
        for entries in [entries.clone(), [entries[1].clone(), entries[0].clone()]] {
            let error = verified(&retired, &family.root(&entries)).unwrap_err();
            assert_eq!((error.check, error.cause), (Check::Certificate, Cause::OutsideValidity));
        }
    }
    // One CA listed for several periods.
    let twice = family.root(&[(&family.other, ended), (&family.other, open())]);
    verified(&retired, &twice).unwrap();
}

#[test]
fn rejects_a_brought_chain_that_is_not_the_trusted_one() {
    let family = Family::new();
    let root = family.root(&[(&family.trusted, open()), (&family.other, open())]);
    let leaf = family.trusted.leaf(&family.signer, &family.instance.ct);
    for brought in [&family.other.chain, &family.root.chain, &Ca::root().chain] {
        let bundle = family.instance.bundle(&family.signer, &leaf, brought);
        let error = verified(&bundle, &root).unwrap_err();
        assert_eq!(error.check, Check::Certificate);
    }
}

#[test]
fn tells_another_instance_of_the_same_names_from_a_forgery() {
    let (ours, theirs) = (Family::new(), Family::new());
    let root = ours.root(&[(&ours.trusted, open())]);
    let error = verified(&theirs.bundle(&theirs.trusted, 1), &root).unwrap_err();
    assert_eq!(error.cause, Cause::OtherInstance, "{error}");
    let mut forged = ours.bundle(&ours.trusted, 0);
    let certificate =
        &mut forged["verificationMaterial"]["x509CertificateChain"]["certificates"][0];
    let mut leaf = ours.trusted.leaf(&ours.signer, &ours.instance.ct);
    *leaf.last_mut().unwrap() ^= 1;
    certificate["rawBytes"] = base64_of(leaf).into();
    let error = verified(&forged, &root).unwrap_err();
    assert_eq!(error.cause, Cause::Altered, "{error}");
}

#[test]
fn names_a_ca_that_cannot_be_used() {
    let family = Family::new();
    let broken = vec![b"not a certificate".to_vec()];
    let root = family.instance.root(&[(&broken, open())]);
    let error = verified(&family.bundle(&family.trusted, 0), &root).unwrap_err();
    assert_eq!(error.cause, Cause::NoUsableTrust);
    assert!(error.to_string().contains("CA `https://ca.example`, which cannot be used"), "{error}");
}

#[test]
fn names_a_ca_whose_chain_is_none() {
    let family = Family::new();
    let (first, second) = (&family.trusted.chain[0], &family.trusted.chain[1]);
    let stranger = &Ca::root().chain[0];
    for (chain, reason) in [
        (vec![second.clone(), first.clone()], "is not issued by the next"),
        (vec![first.clone(), stranger.clone()], "is not issued by the next"),
        (vec![first.clone(), family.other.chain[0].clone(), second.clone()], "not issued"),
        (vec![family.trusted.leaf(&family.signer, &family.instance.ct)], "may not issue"),
    ] {
        let root = family.instance.root(&[(&chain, open())]);
        let error = verified(&family.bundle(&family.trusted, 0), &root).unwrap_err();
        assert_eq!(error.cause, Cause::NoUsableTrust, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn takes_the_older_certificate_of_a_ca_that_was_issued_anew() {
    let family = Family::new();
    let anew = family.trusted.anew(&family.root);
    let root = family.root(&[(&anew, open())]);
    assert_ne!(anew.chain[0], family.trusted.chain[0]);
    for brought in 0..=2 {
        verified(&family.bundle(&family.trusted, brought), &root).unwrap();
    }
    // The same name and key by another root is somebody's copy.
    let copy = family.trusted.anew(&Ca::root());
    let leaf = family.trusted.leaf(&family.signer, &family.instance.ct);
    let bundle = family.instance.bundle(&family.signer, &leaf, &copy.chain[..1]);
    assert_eq!(verified(&bundle, &root).unwrap_err().check, Check::Certificate);
}

#[test]
fn names_a_ct_log_whose_id_is_not_its_keys() {
    let family = Family::new();
    let mut root = family.root(&[(&family.trusted, open())]);
    root["ctlogs"][0]["publicKey"]["rawBytes"] = root["tlogs"][0]["publicKey"]["rawBytes"].clone();
    let error = verified(&family.bundle(&family.trusted, 0), &root).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::Sct, Cause::NoUsableTrust), "{error}");
    assert!(error.to_string().contains("its id is not that of its key"), "{error}");
}
