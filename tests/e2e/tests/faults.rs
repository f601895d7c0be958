//! `kill -9` in the middle of 200 concurrent signings, half of them over Rekor v1: what was answered
//! must be in the log for ever.
//!
//! `COUNTERSIGN_KILLS` says how often, per database (`cargo xtask test faults --kills N`).

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::{
    services::{Endpoints, HttpClient, IdentityToken},
    signing::{Payload, SignedBundle, Signer, SigningError, SigningRequest, sign},
    trust::{LoadedTrust, TrustFiles, UrlOverrides},
};
use e2e::{Database, Stack, bundle_path, bundled_entries, unhex};
use moment::UnixSeconds;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, task::JoinSet};
use verify::{Artifact, Conditions, ExpectedSigner, IdentityPolicy, Trust, UnverifiedBundle};

const CONCURRENT: usize = 200;

/// What one round of signings needs, shared by all of them.
struct Round {
    trust: Trust,
    /// Rekor v2, and Rekor v1.
    endpoints: [Endpoints; 2],
    token: IdentityToken,
    http: HttpClient,
}

/// An artifact and the bundle that the client was given for it.
struct Answered {
    artifact: Vec<u8>,
    bundle: SignedBundle,
}

#[expect(clippy::disallowed_methods, reason = "the edge of the test: clock and settings")]
fn clock() -> UnixSeconds {
    UnixSeconds::from_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "how `cargo xtask test` hands over --kills")]
fn kills() -> u32 {
    std::env::var("COUNTERSIGN_KILLS").map_or(2, |kills| kills.parse().unwrap())
}

fn round(stack: &Stack) -> Arc<Round> {
    let config = stack.trust_file("client_trust_config.json");
    let files = TrustFiles { trust_config: Some(config), ..TrustFiles::default() };
    let loaded = LoadedTrust::load(&files).unwrap();
    let rekor1 = stack.ready("rekor1").to_owned();
    let by_v1 = UrlOverrides { transparency_log: Some(rekor1), ..UrlOverrides::default() };
    let endpoints =
        [UrlOverrides::default(), by_v1].map(|urls| loaded.endpoints(&urls, clock()).unwrap());
    let token = stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
    let token = std::fs::read_to_string(token.trim_start_matches('@')).unwrap();
    let token = IdentityToken::parse(&token).unwrap();
    Arc::new(Round { trust: loaded.trust, endpoints, token, http: HttpClient::new().unwrap() })
}

async fn sign_one(round: Arc<Round>, number: u32, index: usize) -> Result<Answered, SigningError> {
    let artifact = format!("round {number}, artifact {index}").into_bytes();
    let request = SigningRequest {
        payload: Payload::Artifact(&artifact),
        signer: Signer::Keyless(&round.token),
        endpoints: &round.endpoints[index % 2],
        log_token: None,
        trust: Some(&round.trust),
        http: &round.http,
        clock,
    };
    let bundle = sign(&request).await?;
    Ok(Answered { artifact, bundle })
}

/// Starts the signings; they run on the runtime's threads while the caller does something else.
fn start(
    runtime: &Runtime,
    round: &Arc<Round>,
    number: u32,
) -> JoinSet<Result<Answered, SigningError>> {
    let mut signings = JoinSet::new();
    for index in 0..CONCURRENT {
        signings.spawn_on(sign_one(Arc::clone(round), number, index), runtime.handle());
    }
    signings
}

/// The answered ones, and why the others failed.
fn finish(
    runtime: &Runtime,
    signings: JoinSet<Result<Answered, SigningError>>,
) -> (Vec<Answered>, Vec<String>) {
    let (mut answered, mut failed) = (Vec::new(), Vec::new());
    for outcome in runtime.block_on(signings.join_all()) {
        match outcome {
            Ok(bundle) => answered.push(bundle),
            Err(error) => failed.push(error.to_string()),
        }
    }
    (answered, failed)
}

/// Everything that was answered verifies, and the running log holds the same bytes at the same index.
fn check_answered(runtime: &Runtime, stack: &Stack, trust: &Trust, answered: &[Answered]) {
    let identity = IdentityPolicy::default();
    let expected = ExpectedSigner::Keyless { trust, identity: &identity };
    let mut bundles_of_log = BTreeMap::new();
    for Answered { artifact, bundle } in answered {
        let parsed = UnverifiedBundle::parse(bundle.json.as_bytes()).unwrap();
        let artifact = Artifact::from_bytes(artifact);
        verify::verify(&parsed, &artifact, &expected, &Conditions::at(clock())).unwrap();
        let entry = parsed.log_entries().first().unwrap();
        if entry.inclusion_promise.is_some() {
            let found = runtime.block_on(found_again(stack, bundle));
            let found = UnverifiedBundle::parse(found.to_string().as_bytes()).unwrap();
            verify::verify(&found, &artifact, &expected, &Conditions::at(clock())).unwrap();
            continue;
        }
        let index = usize::try_from(entry.log_index.0).unwrap();
        let entries = bundles_of_log
            .entry(index / 256)
            .or_insert_with(|| runtime.block_on(read_bundle(stack, index / 256)));
        let stored = entries.get(index % 256).unwrap_or_else(|| panic!("entry {index} is lost"));
        assert_eq!(stored, &entry.canonicalized_body.0, "entry {index} is another one");
    }
}

/// The bundle with SET and proof as its Rekor v1 gives them now for the entry's UUID, which must
/// be of the same index and time: whoever kept the old answer may compare.
async fn found_again(stack: &Stack, signed: &SignedBundle) -> Value {
    let mut bundle: Value = serde_json::from_str(&signed.json).unwrap();
    let entry = &mut bundle["verificationMaterial"]["tlogEntries"][0];
    let body = signed.bundle.verification_material.tlog_entries[0].canonicalized_body.as_slice();
    let leaf_hash = tlog::leaf_hash(body).to_string();
    let url = format!("{}/api/v1/log/entries/{leaf_hash}", stack.ready("rekor1"));
    let response = reqwest::get(url).await.unwrap();
    assert!(response.status().is_success(), "entry {leaf_hash} is lost: {}", response.status());
    let found: Value = response.json().await.unwrap();
    let (id, found) = found.as_object().unwrap().iter().next().unwrap();
    assert!(id.ends_with(&leaf_hash) && id.len() == 80, "{id} is of another entry");
    assert_eq!(found["body"], entry["canonicalizedBody"]);
    for name in ["logIndex", "integratedTime"] {
        assert_eq!(found[name].to_string(), entry[name].as_str().unwrap(), "{name} of {id}");
    }
    let base64_of = |digits: &Value| STANDARD.encode(unhex(digits.as_str().unwrap()).unwrap());
    assert_eq!(base64_of(&found["logID"]), entry["logId"]["keyId"].as_str().unwrap());
    let verification = &found["verification"];
    entry["inclusionPromise"]["signedEntryTimestamp"] =
        verification["signedEntryTimestamp"].clone();
    let proof = &verification["inclusionProof"];
    let hashes: Vec<String> = proof["hashes"].as_array().unwrap().iter().map(base64_of).collect();
    entry["inclusionProof"] = json!({
        "logIndex": proof["logIndex"].to_string(), "treeSize": proof["treeSize"].to_string(),
        "rootHash": base64_of(&proof["rootHash"]), "hashes": hashes,
        "checkpoint": {"envelope": proof["checkpoint"]},
    });
    bundle
}

/// The entries below tile `number`, as far as the published tree has them (C2SP `tlog-tiles`).
async fn read_bundle(stack: &Stack, number: usize) -> Vec<Vec<u8>> {
    let base = stack.ready("rekor2");
    let read = async |path: String| {
        let response = reqwest::get(format!("{base}{path}")).await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.bytes().await.unwrap()
    };
    let checkpoint = read("/checkpoint".to_owned()).await;
    let checkpoint = String::from_utf8(checkpoint.to_vec()).unwrap();
    let size = tlog::TreeSize(checkpoint.lines().nth(1).unwrap().parse().unwrap());
    let path = bundle_path(number as u64, size).unwrap();
    let content = read(format!("/{path}")).await;
    bundled_entries(&content).unwrap().into_iter().map(<[u8]>::to_vec).collect()
}

fn survives_kills(database: Database) {
    let runtime = Runtime::new().unwrap();
    let mut stack = Stack::start(database).unwrap();
    // One round without a kill tells how long a round takes on this machine.
    let begin = Instant::now();
    let (whole, failed) = finish(&runtime, start(&runtime, &round(&stack), 0));
    let duration = begin.elapsed();
    assert_eq!(failed, [""; 0], "signings failed without any fault");
    assert_eq!(whole.len(), CONCURRENT);
    check_answered(&runtime, &stack, &round(&stack).trust, &whole);

    let (mut answered_in_all, mut cut_in_all) = (0, 0);
    for number in 1..=kills() {
        let signings = start(&runtime, &round(&stack), number);
        // From early to late in the round, in steps that do not repeat soon.
        std::thread::sleep(duration * ((number * 37) % 100) / 100);
        stack.kill().unwrap();
        let (answered, cut) = finish(&runtime, signings);
        let fsck = stack.fsck().unwrap();
        assert_eq!(fsck.code, Some(0), "kill {number}: {fsck:?}");
        stack.restart().unwrap();
        check_answered(&runtime, &stack, &round(&stack).trust, &answered);
        answered_in_all += answered.len();
        cut_in_all += cut.len();
        println!("kill {number}: {} answered, {} cut off", answered.len(), cut.len());
    }
    println!("{answered_in_all} answered and found again, {cut_in_all} cut off");
    assert!(cut_in_all > 0, "no kill hit a signing: nothing was tried");
    // The log goes on after all of it.
    let after = finish(&runtime, start(&runtime, &round(&stack), u32::MAX)).0;
    assert_eq!(after.len(), CONCURRENT);
    check_answered(&runtime, &stack, &round(&stack).trust, &after);
}

#[test]
fn survives_kills_on_sqlite() {
    survives_kills(Database::Sqlite);
}

#[test]
fn survives_kills_on_postgres() {
    survives_kills(Database::postgres("countersign_e2e_faults").unwrap());
}
