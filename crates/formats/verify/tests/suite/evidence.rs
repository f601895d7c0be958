//! Logs and timestamp authorities: how many are demanded, and what counts as one.

use crypto::{KeyType, LocalSigner};
use moment::UnixSeconds;
use serde_json::{Value, json};
use verify::{
    Artifact, Cause, Check, Conditions, ExpectedSigner, IdentityPolicy, Trust, UnverifiedBundle,
    Verified, VerifyError, verify,
};

use crate::support::{ARTIFACT, Ca, Instance, LOGGED, NOW, Tsa, after, base64_of, open, signer};

const AT: UnixSeconds = after(LOGGED, 2);

struct Scene {
    root: Value,
    signer: LocalSigner,
    leaf: Vec<u8>,
    tsa: Tsa,
    bundle: Value,
}

impl Scene {
    /// A keyless bundle with an entry of Rekor v1; log, CA and one authority are trusted.
    fn new() -> Self {
        let (instance, ca, tsa) = (Instance::new(), Ca::root().below(), Tsa::new("tsa"));
        let mut root = instance.root(&[(&ca.chain, open())]);
        root["timestampAuthorities"] = json!([tsa.listed()]);
        let signer = signer(KeyType::EcdsaP256);
        let leaf = ca.leaf(&signer, &instance.ct);
        let bundle = instance.bundle(&signer, &leaf, &[]);
        Self { root, signer, leaf, tsa, bundle }
    }

    fn signature(&self) -> &Value {
        &self.bundle["messageSignature"]["signature"]
    }

    fn with_stamps(&self, stamps: &[Vec<u8>]) -> Value {
        let mut bundle = self.bundle.clone();
        let stamps: Vec<Value> =
            stamps.iter().map(|der| json!({"signedTimestamp": base64_of(der)})).collect();
        bundle["verificationMaterial"]["timestampVerificationData"] =
            json!({"rfc3161Timestamps": stamps});
        bundle
    }

    fn verify(&self, bundle: &Value) -> Result<Verified, VerifyError> {
        self.verify_under(bundle, &Conditions::at(NOW))
    }

    fn verify_under(
        &self,
        bundle: &Value,
        conditions: &Conditions<'_>,
    ) -> Result<Verified, VerifyError> {
        let trust = Trust::from_json(self.root.to_string().as_bytes()).unwrap();
        let bundle = UnverifiedBundle::parse(bundle.to_string().as_bytes())?;
        let identity = IdentityPolicy::default();
        let expected = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
        verify(&bundle, &Artifact::from_bytes(ARTIFACT), &expected, conditions)
    }
}

#[test]
fn passes_over_an_unknown_authority_beside_a_known_one() {
    let scene = Scene::new();
    let own = scene.tsa.stamp(scene.signature(), AT);
    let unknown = Tsa::new("unknown").stamp(scene.signature(), after(AT, 1));
    for stamps in [[own.clone(), unknown.clone()], [unknown, own]] {
        let verified = scene.verify(&scene.with_stamps(&stamps)).unwrap();
        assert_eq!(verified.passed_over.timestamps, 1);
        // The log's SET and the known authority; never the unknown one.
        let times: Vec<UnixSeconds> = verified.times.iter().map(|time| time.at).collect();
        assert_eq!(times, [AT, after(LOGGED, 1)]);
    }
}

#[test]
fn an_unknown_authority_proves_no_time() {
    let mut scene = Scene::new();
    let stamp = Tsa::new("unknown").stamp(scene.signature(), AT);
    let bundle = scene.with_stamps(&[stamp]);
    // The SET proves it.
    assert_eq!(scene.verify(&bundle).unwrap().passed_over.timestamps, 1);
    let demanding = Conditions { min_timestamps: Some(1), ..Conditions::at(NOW) };
    let error = scene.verify_under(&bundle, &demanding).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::Timestamp, Cause::Incomplete));
    // An unlogged bundle of a key has nothing else.
    scene.root["tlogs"] = json!([]);
    let mut by_key = bundle;
    let key = crypto::Signer::public_key(&scene.signer);
    by_key["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
    let material = by_key["verificationMaterial"].as_object_mut().unwrap();
    material.remove("tlogEntries");
    material.remove("x509CertificateChain");
    material.insert("publicKey".to_owned(), json!({"hint": base64_of(key.spki_sha256())}));
    let trust = Trust::from_json(scene.root.to_string().as_bytes()).unwrap();
    let parsed = UnverifiedBundle::parse(by_key.to_string().as_bytes()).unwrap();
    let expected = ExpectedSigner::Key { key, trust: Some(&trust) };
    let artifact = Artifact::from_bytes(ARTIFACT);
    let error = verify(&parsed, &artifact, &expected, &Conditions::at(NOW)).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::Timestamp, Cause::OtherInstance));
}

#[test]
fn rejects_a_changed_timestamp_of_a_known_authority_beside_a_good_one() {
    let mut scene = Scene::new();
    let second = Tsa::new("second");
    scene.root["timestampAuthorities"] = json!([scene.tsa.listed(), second.listed()]);
    let good = second.stamp(scene.signature(), AT);
    let changed = scene.tsa.stamp(scene.signature(), AT);
    for position in 0..changed.len() {
        let mut changed = changed.clone();
        changed[position] ^= 1;
        let found = scene.verify(&scene.with_stamps(&[good.clone(), changed]));
        assert!(found.is_err(), "byte {position}");
    }
}

#[test]
fn counts_each_authority_once() {
    let mut scene = Scene::new();
    let second = Tsa::new("second");
    scene.root["timestampAuthorities"] = json!([scene.tsa.listed(), second.listed()]);
    let stamps = |tsa: &Tsa| [0, 1].map(|later| tsa.stamp(scene.signature(), after(AT, later)));
    let two = Conditions { min_timestamps: Some(2), ..Conditions::at(NOW) };
    let error = scene.verify_under(&scene.with_stamps(&stamps(&scene.tsa)), &two).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::Timestamp, Cause::Incomplete));
    let both = [stamps(&scene.tsa)[0].clone(), stamps(&second)[0].clone()];
    scene.verify_under(&scene.with_stamps(&both), &two).unwrap();
    let three = Conditions { min_timestamps: Some(3), ..Conditions::at(NOW) };
    scene.verify_under(&scene.with_stamps(&both), &three).unwrap_err();
}

/// The bundle of `scene` with the entry of another log besides.
fn with_second_log(scene: &Scene, other: &Instance) -> Value {
    let mut bundle = scene.bundle.clone();
    let mut elsewhere = other.bundle(&scene.signer, &scene.leaf, &[]);
    // One signature, logged twice.
    let body = crate::support::hashedrekord(
        &bundle["messageSignature"],
        &base64_of(x509::to_pem(&scene.leaf)),
    );
    elsewhere["verificationMaterial"]["tlogEntries"] =
        json!([other.log.entry(&body, after(LOGGED, 3), crate::support::ORIGIN)]);
    let second = elsewhere["verificationMaterial"]["tlogEntries"][0].clone();
    bundle["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap().push(second);
    bundle
}

#[test]
fn passes_over_an_unknown_log_and_counts_known_ones() {
    let mut scene = Scene::new();
    let other = Instance::new();
    let bundle = with_second_log(&scene, &other);
    let two = Conditions { min_logs: Some(2), ..Conditions::at(NOW) };
    let verified = scene.verify(&bundle).unwrap();
    assert_eq!((verified.logged.len(), verified.passed_over.log_entries), (1, 1));
    assert_eq!(verified.times.len(), 1);
    let error = scene.verify_under(&bundle, &two).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::LogEntry, Cause::Incomplete));
    let listed = other.root(&[])["tlogs"][0].clone();
    scene.root["tlogs"].as_array_mut().unwrap().push(listed);
    assert_eq!(scene.verify_under(&bundle, &two).unwrap().logged.len(), 2);
    // A known log's entry must hold, whatever else there is.
    for place in ["integratedTime", "logIndex"] {
        let mut changed = bundle.clone();
        changed["verificationMaterial"]["tlogEntries"][1][place] = json!("1780000005");
        assert_eq!(scene.verify(&changed).unwrap_err().check, Check::Set);
    }
}

#[test]
fn rejects_one_log_twice_and_too_many_logs() {
    let scene = Scene::new();
    let mut twice = scene.bundle.clone();
    let entries = twice["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap();
    entries.push(entries[0].clone());
    assert_eq!(scene.verify(&twice).unwrap_err().check, Check::Format);
    let mut many = scene.bundle.clone();
    let entries = many["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap();
    for number in 0..8u8 {
        let mut foreign = entries[0].clone();
        foreign["logId"]["keyId"] = base64_of([number; 32]).into();
        entries.push(foreign);
    }
    assert_eq!(scene.verify(&many).unwrap_err().check, Check::Format);
}

#[test]
fn never_goes_without_a_log_for_a_certificate() {
    let scene = Scene::new();
    let mut bundle = scene.with_stamps(&[scene.tsa.stamp(scene.signature(), AT)]);
    bundle["verificationMaterial"].as_object_mut().unwrap().remove("tlogEntries");
    let none = Conditions { min_logs: Some(0), ..Conditions::at(NOW) };
    for conditions in [Conditions::at(NOW), none] {
        let error = scene.verify_under(&bundle, &conditions).unwrap_err();
        assert_eq!((error.check, error.cause), (Check::LogEntry, Cause::Incomplete));
    }
}

#[test]
fn a_clock_may_be_a_minute_behind_the_log_and_the_authority() {
    let scene = Scene::new();
    let stamped = scene.with_stamps(&[scene.tsa.stamp(scene.signature(), AT)]);
    let at = |bundle: &Value, now| scene.verify_under(bundle, &Conditions::at(now));
    // The log's SET is of LOGGED + 1, the authority says LOGGED + 2.
    at(&scene.bundle, UnixSeconds(LOGGED.0 + 1 - 60)).unwrap();
    at(&stamped, UnixSeconds(AT.0 - 60)).unwrap();
    for (bundle, now, check) in [
        (&scene.bundle, UnixSeconds(LOGGED.0 - 60), Check::Set),
        (&stamped, UnixSeconds(AT.0 - 61), Check::Timestamp),
    ] {
        let error = at(bundle, now).unwrap_err();
        assert_eq!((error.check, error.cause), (check, Cause::Clocks));
        assert!(error.to_string().contains("61 seconds ahead of this machine's clock"), "{error}");
    }
}

#[test]
fn takes_a_bundle_0_1_with_a_set_and_no_checkpoint() {
    let scene = Scene::new();
    let without_checkpoint = |version: &str| {
        let mut bundle = scene.bundle.clone();
        bundle["mediaType"] =
            json!(format!("application/vnd.dev.sigstore.bundle+json;version={version}"));
        let proof = &mut bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
        proof.as_object_mut().unwrap().remove("checkpoint");
        bundle
    };
    let verified = scene.verify(&without_checkpoint("0.1")).unwrap();
    assert_eq!(verified.logged[0].tree_size, None);
    assert!(!verified.checks.contains(&Check::InclusionProof));
    let error = scene.verify(&without_checkpoint("0.2")).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::LogEntry, Cause::Incomplete));
    // What is written must be true of itself, and the SET is demanded.
    for place in ["rootHash", "hashes"] {
        let mut bundle = without_checkpoint("0.1");
        let proof = &mut bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
        let zeros = base64_of([0; 32]);
        proof[place] = if place == "hashes" { json!([zeros]) } else { json!(zeros) };
        assert_eq!(scene.verify(&bundle).unwrap_err().check, Check::InclusionProof);
    }
    let mut without_set = without_checkpoint("0.1");
    let entry = &mut without_set["verificationMaterial"]["tlogEntries"][0];
    entry.as_object_mut().unwrap().remove("inclusionPromise");
    assert_eq!(scene.verify(&without_set).unwrap_err().check, Check::LogEntry);
}

#[test]
fn counts_one_log_once_that_is_listed_under_two_ids() {
    let mut scene = Scene::new();
    let other = Instance::new();
    let bundle = with_second_log(&scene, &other);
    // The second log's id, with the first log's key.
    let mut listed = other.root(&[])["tlogs"][0].clone();
    listed["publicKey"] = scene.root["tlogs"][0]["publicKey"].clone();
    let mut forged = bundle.clone();
    let entries = &mut forged["verificationMaterial"]["tlogEntries"];
    let id = entries[1]["logId"].clone();
    entries[1] = scene.bundle["verificationMaterial"]["tlogEntries"][0].clone();
    entries[1]["logId"] = id;
    scene.root["tlogs"].as_array_mut().unwrap().push(listed);
    let two = Conditions { min_logs: Some(2), ..Conditions::at(NOW) };
    scene.verify_under(&forged, &two).unwrap_err();
}

#[test]
fn judges_a_log_by_the_clock_where_nothing_proves_a_time() {
    // An entry of Rekor v2, which signs no time, by a key.
    let signer = signer(KeyType::EcdsaP256);
    let (bundle, mut root) = crate::support::rekor2_bundle(&signer);
    let verify_at = |root: &Value, now| {
        let trust = Trust::from_json(root.to_string().as_bytes()).unwrap();
        let parsed = UnverifiedBundle::parse(bundle.to_string().as_bytes()).unwrap();
        let key = crypto::Signer::public_key(&signer);
        let expected = ExpectedSigner::Key { key, trust: Some(&trust) };
        verify(&parsed, &Artifact::from_bytes(ARTIFACT), &expected, &Conditions::at(now))
    };
    verify_at(&root, NOW).unwrap();
    root["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2026-12-01T00:00:00Z");
    verify_at(&root, LOGGED).unwrap();
    let error = verify_at(&root, NOW).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::LogEntry, Cause::OutsideValidity));
    root["tlogs"][0]["publicKey"]["validFor"] = open();
    root["tlogs"][0].as_object_mut().unwrap().remove("baseUrl");
    let error = verify_at(&root, NOW).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::Checkpoint, Cause::NoUsableTrust));
    root["tlogs"][0]["baseUrl"] = json!("https://moved.example");
    let error = verify_at(&root, NOW).unwrap_err();
    assert_eq!((error.check, error.cause), (Check::Checkpoint, Cause::OtherInstance));
}
