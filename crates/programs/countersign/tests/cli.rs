//! The program as scripts see it: arguments in, files, output and exit code out. No service runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
    sync::mpsc,
};

use crypto::{KeyType, LocalSigner, Signer};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory of its own for one test, in which the program runs.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// Names of all files, sorted.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A new key: `NAME.pem`, and its public half `NAME.pub`.
    fn key(&self, name: &str, key_type: KeyType) -> &Self {
        let key = LocalSigner::generate(key_type, name).unwrap();
        self.write(&format!("{name}.pem"), key.to_pkcs8_pem().as_bytes());
        self.write(&format!("{name}.pub"), key.public_key().to_pem())
    }

    fn run(&self, arguments: &str) -> Ran {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Ran {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        self.run_each(&arguments, variables)
    }

    fn run_each(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Ran { arguments: arguments.join(" "), output }
    }
}

struct Ran {
    arguments: String,
    output: Output,
}

impl Ran {
    fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// Checks the exit code; a failure must also be one line of words.
    fn exits(self, code: i32) -> Self {
        let Self { arguments, .. } = &self;
        assert_eq!(self.output.status.code(), Some(code), "{arguments}: {}", self.stderr());
        if code == 0 {
            assert_eq!(self.stderr(), "", "{arguments}: silence in a pipe");
        } else {
            assert!(self.stderr().len() > 20, "{arguments}: {}", self.stderr());
        }
        self
    }

    fn says(self, words: &str) -> Self {
        let said = self.stdout() + &self.stderr();
        assert!(said.contains(words), "{}: `{words}` is not in: {said}", self.arguments);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout()).unwrap()
    }
}

const KEY_TYPES: [KeyType; 5] = [
    KeyType::EcdsaP256,
    KeyType::EcdsaP384,
    KeyType::EcdsaP521,
    KeyType::Ed25519,
    KeyType::Rsa2048,
];

#[test]
fn signs_and_verifies_files_with_every_key_type() {
    for key_type in KEY_TYPES {
        let bench = Bench::new();
        bench.key("k", key_type).key("other", key_type).write("a", "artifact");
        bench.run("sign a --key k.pem").exits(0).says("wrote      a.sigstore.json");
        bench
            .run("verify a --key k.pub")
            .exits(0)
            .says("checks   format public-key digest signature");
        bench.run("verify a --key other.pub").exits(1).says("`public-key`");
        bench.write("a", "changed");
        bench.run("verify a --key k.pub").exits(1).says("`digest`");
    }
}

#[test]
fn attests_and_verifies_with_every_key_type() {
    for key_type in KEY_TYPES {
        let bench = Bench::new();
        bench.key("k", key_type).key("other", key_type).write("a", "artifact");
        bench.run("attest generate-and-sign --subjects a --key k.pem").exits(0);
        bench.run("attest verify --subjects a --key k.pub").exits(0).says("SLSA build L1");
        bench.run("attest verify --subjects a --key other.pub").exits(1).says("`public-key`");
        bench.write("a", "changed");
        bench.run("attest verify --subjects a --key k.pub").exits(1).says("`digest`");
    }
}

#[test]
fn covers_all_subjects_by_one_statement() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("dist/a", "1").write("dist/b", "2").write("c", "3");
    let arguments = [
        "attest",
        "generate-and-sign",
        "--subjects",
        " dist/a\n dist/b",
        "--subjects",
        "c",
        "--key",
        "k.pem",
    ];
    bench.run_each(&arguments, &[]).exits(0);
    let bundle = bench.read("dist/a.sigstore.json");
    assert_eq!(bundle, bench.read("dist/b.sigstore.json"));
    assert_eq!(bundle, bench.read("c.sigstore.json"));
    let arguments = ["attest", "verify", "--subjects", "dist/a dist/b c", "--key", "k.pub"];
    bench.run_each(&arguments, &[]).exits(0);
}

#[test]
fn writes_one_bundle_statement_and_envelope_where_it_is_told() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "1");
    bench
        .run(
            "attest generate-and-sign --subjects a --key k.pem --bundle all.json \
             --output-prov prov.json --output-signed-prov signed.json",
        )
        .exits(0);
    assert_eq!(bench.files(), ["a", "all.json", "k.pem", "k.pub", "prov.json", "signed.json"]);
    assert_eq!(bench.json("prov.json")["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(bench.json("prov.json")["subject"][0]["name"], "a");
    assert_eq!(bench.json("signed.json")["payloadType"], "application/vnd.in-toto+json");
    let bundle = bench.json("all.json");
    assert_eq!(bundle["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert_eq!(bundle["dsseEnvelope"], bench.json("signed.json"));
    bench.run("attest verify --subjects a --key k.pub --bundle all.json").exits(0);
    bench.run("attest verify --subjects a --key k.pub").exits(1).says("no attestation");
}

#[test]
fn writes_unsigned_provenance_and_calls_it_l1() {
    let bench = Bench::new();
    bench.write("a", "1").write("b", "2");
    bench.run("attest generate-and-sign --subjects a").exits(0).says("unsigned, SLSA build L1");
    bench.run("attest verify --subjects a").exits(0).says("SLSA build L1").says("no signature");
    bench.run("attest verify --subjects b").exits(1).says("`digest`");
    bench.run("attest generate --subjects b --output-prov p.json").exits(0);
    bench.run("attest verify --subjects b --provenance p.json").exits(0);
    bench.run("attest verify --subjects b --provenance none.json").exits(2);
    let bare = Bench::new();
    bare.write("a", "1");
    bare.run("attest verify --subjects a").exits(1).says("no attestation");
}

#[test]
fn states_the_build_in_the_words_of_the_ci() {
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "o/r"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_SHA", "0123456789012345678901234567890123456789"),
        ("GITHUB_WORKFLOW_REF", "o/r/.github/workflows/b.yml@refs/heads/main"),
        ("GITHUB_RUN_ID", "1"),
        ("GITHUB_RUN_ATTEMPT", "2"),
    ];
    let bench = Bench::new();
    bench.write("a", "1");
    bench.run_with("attest generate --subjects a --output-prov p.json", &variables).exits(0);
    let predicate = &bench.json("p.json")["predicate"];
    assert_eq!(
        predicate["runDetails"]["builder"]["id"],
        "https://github.com/o/r/.github/workflows/b.yml@refs/heads/main"
    );
    bench
        .run_with("attest generate --subjects a", &variables[..4])
        .exits(2)
        .says("GITHUB_WORKFLOW_REF is not set");
}

#[test]
fn signs_a_predicate_of_any_type_and_demands_the_type() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "1").write("sbom.json", r#"{"spdxVersion":"x"}"#);
    bench
        .run("attest sign --subjects a --predicate sbom.json --type spdxjson --key k.pem")
        .exits(0);
    let said =
        bench.run("attest verify --subjects a --key k.pub --type spdxjson").exits(0).stdout();
    assert!(!said.contains("SLSA"), "{said}");
    bench.run("attest verify --subjects a --key k.pub").exits(1).says("`statement`");
    bench.write("bad.json", "{");
    bench.run("attest sign --subjects a --predicate bad.json --type spdxjson --key k.pem").exits(2);
}

#[test]
fn tells_a_blob_signature_from_an_attestation() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "1");
    bench.run("sign a --key k.pem").exits(0);
    bench.run("attest verify --subjects a --key k.pub").exits(1).says("`statement`");
    bench.run("attest verify --subjects a").exits(1).says("`statement`");
}

#[test]
fn refuses_a_bundle_with_anything_changed() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "1");
    bench.run("attest generate-and-sign --subjects a --key k.pem").exits(0);
    let good = bench.json("a.sigstore.json");
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        bench.write("a.sigstore.json", changed.to_string());
        bench.run("attest verify --subjects a --key k.pub").exits(1)
    };
    with("/mediaType", json!("application/vnd.dev.sigstore.bundle+json;version=0.2"))
        .says("`format`");
    with("/verificationMaterial/publicKey/hint", json!("other")).says("`public-key`");
    with("/dsseEnvelope/payload", json!("e30=")).says("`signature`");
    with("/dsseEnvelope/payloadType", json!("text/plain")).says("`statement`");
    with("/dsseEnvelope/signatures/0/sig", json!("AAAA")).says("`signature`");
    with("/dsseEnvelope/signatures", json!([])).says("`format`");
    with("/dsseEnvelope", json!(null)).says("`format`");
    for garbage in ["", "{}", "[1]", "not json", "\u{feff}{}", &"[".repeat(100_000)] {
        bench.write("a.sigstore.json", garbage);
        bench.run("attest verify --subjects a --key k.pub").exits(1).says("`format`");
        bench.run("verify a --key k.pub").exits(1).says("`format`");
    }
}

#[test]
fn calls_bad_arguments_usage_errors() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "1").write("b", "2").write("dir/x", "");
    bench.write("garbage.pem", "not a key").write("tok", "a.b.c").write("root.json", "{}");
    for arguments in [
        "",
        "sign",
        "sign missing --key k.pem",
        "sign dir --key k.pem",
        "sign a --key missing.pem",
        "sign a --key garbage.pem",
        "sign a --key k.pub",
        "sign a b --key k.pem --bundle one.json",
        "sign a --key k.pem --bundle dir",
        "sign a --key k.pem --bundle none/x.json",
        "sign a",
        "sign a --keyless --fulcio http://localhost:9 --rekor http://localhost:9",
        "sign a --keyless --trusted-root missing.json",
        "sign a --keyless --trusted-root root.json",
        "sign a --keyless --tlog-upload=false",
        "sign a --key k.pem --rekor-url http://localhost:9",
        "attest generate-and-sign --subjects missing --key k.pem",
        "attest generate-and-sign --subjects dir --key k.pem",
        "attest generate-and-sign --subjects @missing --key k.pem",
        "attest verify --subjects a --keyless",
        "attest verify --subjects a --key missing.pub",
        "attest verify --subjects a --certificate-identity x",
        "attest verify --subjects a --cert garbage.pem --cert-chain garbage.pem",
        "attest verify --subjects a --keyless --verify-repo repo",
        "attest verify --subjects a --key k.pub --bundle missing.json",
        "verify a",
        "verify a --certificate-oidc-issuer https://x",
        "verify a --certificate-identity-regexp ( --certificate-oidc-issuer https://x",
        "verify a b --key k.pub --bundle one.json",
        "verify sha256:00 --key k.pub --bundle one.json",
        "verify a --key k.pub --trusted-root root.json",
    ] {
        bench.run(arguments).exits(2);
    }
    let before = ["a", "b", "dir", "garbage.pem", "k.pem", "k.pub", "root.json", "tok"];
    assert_eq!(bench.files(), before, "nothing was written");
}

#[test]
fn an_identity_needs_its_issuer() {
    let bench = Bench::new();
    bench.write("a", "1");
    dead_instance(&bench);
    for command in ["verify a", "attest verify --subjects a --keyless"] {
        for identity in ["--certificate-identity a@b", "--certificate-identity-regexp ^a@b$"] {
            bench
                .run(&format!("{command} --trust-config trust.json {identity}"))
                .exits(2)
                .says("--certificate-oidc-issuer");
            let whole = format!("{command} --trust-config trust.json {identity}");
            // The next thing that is missing is the bundle.
            bench.run(&format!("{whole} --certificate-oidc-issuer https://x")).exits(1);
            bench.run(&format!("{whole} --certificate-oidc-issuer-regexp ^https://x$")).exits(1);
        }
    }
    bench.run("verify a --certificate-oidc-issuer https://x").exits(2).says("nobody was demanded");
}

#[test]
fn refuses_demands_that_demand_nothing_and_names_their_option() {
    let bench = Bench::new();
    bench.write("a", "1").write("empty", "");
    dead_instance(&bench);
    let verify = |arguments: &[&str]| {
        let all =
            ["attest", "verify", "--subjects", "a", "--keyless", "--trust-config", "trust.json"];
        bench.run_each(&[&all[..], arguments].concat(), &[])
    };
    for (option, other) in [
        ("--certificate-identity-regexp", "--certificate-oidc-issuer"),
        ("--certificate-oidc-issuer-regexp", "--certificate-identity"),
    ] {
        for pattern in ["", " ", ".*", "^", "a*", "a|", "()", "(x|)", "(alice|)@acme", "^(|a)b$"] {
            verify(&[option, pattern, other, "https://x"]).exits(2).says(option);
        }
    }
    for option in [
        "--certificate-identity",
        "--certificate-oidc-issuer",
        "--verify-repo",
        "--verify-org",
        "--verify-ref",
        "--type",
        "--bundle",
        "--trusted-root",
        "--fulcio-server-url",
        "--subjects",
    ] {
        verify(&[option, ""]).exits(2).says(option);
    }
    for arguments in [
        ["sign", "a", "--identity-token", ""],
        ["sign", "a", "--identity-token", "@"],
        ["sign", "a", "--key", ""],
        ["verify", "a", "--key", ""],
        ["verify", "a", "--cert", ""],
        ["attest", "generate", "--subjects", "@empty"],
    ] {
        bench.run_each(&arguments, &[]).exits(2).says(arguments[2]);
    }
    bench.run_each(&["verify", "", "--key", "k"], &[]).exits(2).says("FILE");
}

/// Everything that came to a port of this machine while a program ran.
struct Listener(TcpListener);

impl Listener {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn was_left_alone(&self) {
        assert!(self.0.accept().is_err(), "something was sent");
    }
}

#[test]
fn sends_no_token_over_plain_http_to_another_machine() {
    let bench = Bench::new();
    let proxy = Listener::new();
    // Whatever left this program for another machine would come by here.
    let proxy_url = format!("http://127.0.0.1:{}", proxy.port());
    let proxies = [("http_proxy", proxy_url.as_str()), ("HTTP_PROXY", proxy_url.as_str())];
    bench.write("a", "1").key("k", KeyType::EcdsaP256);
    dead_instance(&bench);
    let mut config = bench.json("trust.json");
    config["signingConfig"]["caUrls"][0]["url"] = json!("http://user:hidden@ca.example");
    bench.write("credentials.json", config.to_string());
    config["signingConfig"]["caUrls"][0]["url"] = json!("http://ca.example");
    bench.write("remote.json", config.to_string());
    bench.write("services.json", config["signingConfig"].to_string());
    for arguments in [
        "--trust-config remote.json",
        "--trust-config trust.json --signing-config services.json",
        "--trust-config trust.json --fulcio-server-url http://ca.example",
        "--trust-config trust.json --fulcio-url http://user:hidden@ca.example",
    ] {
        let ran = bench.run_with(&format!("sign a --identity-token {TOKEN} {arguments}"), &proxies);
        let ran = ran.exits(2).says("http://ca.example").says("use https");
        let said = ran.stdout() + &ran.stderr();
        assert!(!said.contains("hidden") && !said.contains("eyJzdWIi"), "{said}");
    }
    // No URL of a trust file has anything in the host's place.
    let ran = bench.run_with(
        &format!("sign a --identity-token {TOKEN} --trust-config credentials.json"),
        &proxies,
    );
    let ran = ran.exits(2).says("more than a host");
    assert!(!(ran.stdout() + &ran.stderr()).contains("hidden"));
    proxy.was_left_alone();
    // A key needs no CA, wherever that is.
    bench
        .run_with("sign a --key k.pem --tlog-upload=false --trust-config trust.json", &[])
        .exits(3);
    bench
        .run_with("sign a --key k.pem --tlog-upload=false --trust-config remote.json", &[])
        .exits(3);
}

#[test]
fn asks_no_token_service_over_plain_http_on_another_machine() {
    let bench = Bench::new();
    bench.write("a", "1");
    dead_instance(&bench);
    let proxy = Listener::new();
    let proxy_url = format!("http://127.0.0.1:{}", proxy.port());
    let ask = |url: &str| {
        let variables = [
            ("http_proxy", proxy_url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hidden"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url),
        ];
        let ran = bench.run_with("sign a --trust-config trust.json", &variables);
        assert!(!(ran.stdout() + &ran.stderr()).contains("hidden"), "{}", ran.stderr());
        ran
    };
    for url in ["http://token.example/x?hidden", "http://hidden@token.example/x", "token.example"] {
        ask(url).exits(2).says("ACTIONS_ID_TOKEN_REQUEST_URL");
    }
    // What is on this machine is not asked through a proxy, which may be on another.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ask(&format!("http://{dead}/x")).exits(3);
    proxy.was_left_alone();
}

/// A token service that refuses everybody; what it was asked, one line a request.
fn refusing_token_service() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token?api-version=2", listener.local_addr().unwrap());
    let (asked, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while header != "\r\n" {
                header.clear();
                reader.read_line(&mut header).unwrap();
            }
            let _ = connection.write_all(
                b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
            if asked.send(line).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

#[test]
fn asks_the_ci_for_the_audience_that_the_instance_names_and_for_nobody_elses() {
    let bench = Bench::new();
    bench.write("a", "1");
    dead_instance(&bench);
    let (url, requests) = refusing_token_service();
    let variables =
        [("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"), ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str())];
    let sign = |options: &str| {
        bench.run_with(&format!("sign a --trust-config trust.json {options}"), &variables)
    };
    let says = |audience: &str| {
        let media_type = "application/vnd.countersign.instance.v1+json";
        let instance = json!({"mediaType": media_type, "audience": audience});
        bench.write("countersign.json", instance.to_string());
    };
    let asked = |audience: &str| {
        let line = requests.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert!(line.contains(&format!("&audience={audience} HTTP")), "{line}");
    };
    sign("").exits(4);
    asked("sigstore");
    says("https://127.0.0.1/sign");
    sign("").exits(4);
    asked("https%3A%2F%2F127.0.0.1%2Fsign");
    sign("--oidc-audience other").exits(4);
    asked("other");
    for foreign in
        ["sts.amazonaws.com", "https://iam.googleapis.com/x", "api://AzureADTokenExchange"]
    {
        says(foreign);
        sign("").exits(2).says(foreign).says("--oidc-audience");
    }
    bench.write("countersign.json", "{");
    sign("").exits(2).says("countersign.json");
    sign("--oidc-audience other").exits(4);
    asked("other");
    assert!(requests.try_recv().is_err(), "nobody was asked for a token for others");
}

#[test]
fn shows_no_credentials_of_a_url() {
    let bench = Bench::new();
    bench.write("a", "1");
    dead_instance(&bench);
    for arguments in [
        "verify a --trust-config trust.json --certificate-identity a --certificate-oidc-issuer b \
         --rekor-server-url https://user:hidden@log.example",
        "sign a --key k --rekor-url http://user:hidden@log.example",
        "sign a --key k --rekor-url gopher://user:hidden@log.example",
        "trust init --url http://user:hidden@trust.example --root-checksum 00",
    ] {
        let ran = bench.run(arguments).exits(2);
        assert!(!(ran.stdout() + &ran.stderr()).contains("hidden"), "{}", ran.stderr());
    }
}

#[test]
fn a_repository_without_a_host_needs_a_forge() {
    let bench = Bench::new();
    bench.write("a", "1");
    dead_instance(&bench);
    let verify = |arguments: &str| {
        let with =
            format!("attest verify --subjects a --keyless --trust-config trust.json {arguments}");
        bench.run(&with)
    };
    for name in ["--verify-repo acme/app", "--verify-org acme"] {
        verify(name).exits(2).says("https://HOST/acme").says("--certificate-oidc-issuer");
        let regexp = format!("{name} --certificate-oidc-issuer-regexp ^https://gitlab");
        verify(&regexp).exits(2).says("https://HOST/acme");
        let circle = format!("{name} --certificate-oidc-issuer https://oidc.circleci.com");
        verify(&circle).exits(2).says("none of its own");
        // With a forge, the next thing that is missing is the bundle.
        verify(&format!("{name} --certificate-oidc-issuer https://gitlab.com")).exits(1);
    }
    verify("--verify-repo https://github.com/acme/app").exits(1);
    verify("--verify-repo github.com/acme/app.git").exits(1);
    let media_type = "application/vnd.countersign.instance.v1+json";
    let instance = json!({"mediaType": media_type, "forge": {"url": "https://github.com"}});
    bench.write("countersign.json", instance.to_string());
    verify("--verify-repo acme/app").exits(1).says("no attestation");
    verify("--verify-repo acme/app --certificate-oidc-issuer https://gitlab.com")
        .exits(2)
        .says("https://github.com by countersign.json");
    bench.write("countersign.json", "{");
    verify("--verify-repo acme/app").exits(2).says("countersign.json");
    verify("--verify-org acme").exits(2).says("countersign.json");
    // What nobody asked for breaks nothing.
    verify("--certificate-oidc-issuer https://gitlab.com").exits(1).says("no attestation");
}

/// A trust config whose services are on a port where nobody listens.
fn dead_instance(bench: &Bench) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = |path: &str, version: u32| json!([{"url": format!("http://127.0.0.1:{port}{path}"), "majorApiVersion": version}]);
    let config = json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"},
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": url("", 1), "rekorTlogUrls": url("", 2), "tsaUrls": url("/api/v1/timestamp", 1),
            "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"}
        }
    });
    bench.write("trust.json", config.to_string());
}

/// A token's shape, with `sub` alone.
const TOKEN: &str = "e30.eyJzdWIiOiJ4In0.c2ln";

#[test]
fn exits_with_3_and_writes_nothing_when_a_service_is_unreachable() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "1");
    dead_instance(&bench);
    let before = bench.files();
    for arguments in [
        "sign a --trust-config trust.json --identity-token e30.eyJzdWIiOiJ4In0.c2ln",
        "attest generate-and-sign --subjects a --keyless --trust-config trust.json \
         --identity-token e30.eyJzdWIiOiJ4In0.c2ln --output-prov prov.json",
        "sign a --key k.pem --trust-config trust.json",
    ] {
        bench.run(arguments).exits(3).says("is not available");
    }
    let variables = [("COUNTERSIGN_TRUST_CONFIG", "trust.json"), ("SIGSTORE_ID_TOKEN", TOKEN)];
    let ran = bench.run_with("sign a --output json", &variables).exits(3);
    assert_eq!(ran.json()["exitCode"], 3);
    assert!(!(ran.stdout() + &ran.stderr()).contains("eyJzdWIi"), "the token is not shown");
    assert_eq!(bench.files(), before);
}

#[test]
fn says_what_to_do_without_a_token_and_with_a_bad_one() {
    let bench = Bench::new();
    bench.write("a", "1").write("tok", "not a token");
    dead_instance(&bench);
    bench.run("sign a --trust-config trust.json").exits(2).says("--identity-token");
    bench.run("sign a --trust-config trust.json --identity-token @tok").exits(2).says("not a JWT");
    bench.run("sign a --trust-config trust.json --identity-token @missing").exits(2);
    bench.run("sign a --trust-config trust.json --identity-token -").exits(2);
    let dots = ".".repeat(100_000);
    let arguments = ["sign", "a", "--trust-config", "trust.json", "--identity-token", &dots];
    bench.run_each(&arguments, &[]).exits(2);
}

#[test]
fn takes_an_empty_variable_for_an_absent_one() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "1");
    dead_instance(&bench);
    let variables = [("SIGSTORE_ID_TOKEN", ""), ("COUNTERSIGN_TRUST_CONFIG", "")];
    bench.run_with("sign a --key k.pem", &variables).exits(0);
    bench.run_with("sign a", &variables).exits(2).says("no trust");
    let arguments = "sign a --trust-config trust.json";
    bench.run_with(arguments, &variables).exits(2).says("no identity token");
}

#[test]
fn keeps_a_key_offline_when_it_is_told_so() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).key("ed", KeyType::Ed25519).write("a", "1");
    dead_instance(&bench);
    bench.run("sign a --key ed.pem --trust-config trust.json").exits(2).says("--tlog-upload=false");
    bench.run("sign a --key k.pem").exits(0);
}

#[test]
fn speaks_json_to_machines() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "artifact");
    let signed = bench.run("sign a --key k.pem --output json").exits(0).json();
    assert_eq!(signed["ok"], true);
    assert_eq!(signed["written"], json!(["a.sigstore.json"]));
    let sha256 = hex::encode(crypto::sha256(b"artifact"));
    assert_eq!(signed["signed"][0]["sha256"], json!(sha256));
    let verified = bench.run("--output json verify a --key k.pub").exits(0).json();
    assert_eq!(verified["verified"][0]["subject"], "a");
    assert_eq!(
        verified["verified"][0]["checks"],
        json!(["format", "public-key", "digest", "signature"])
    );
    bench.write("a", "other");
    let failed = bench.run("verify a --key k.pub --output json").exits(1).json();
    assert_eq!((&failed["ok"], &failed["exitCode"]), (&json!(false), &json!(1)));
    assert_eq!(failed["check"], "digest");
}

#[test]
fn verifies_a_digest_with_its_bundle() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("a", "artifact");
    bench.run("sign a --key k.pem").exits(0);
    let digest = hex::encode(crypto::sha256(b"artifact"));
    bench.run(&format!("verify sha256:{digest} --key k.pub --bundle a.sigstore.json")).exits(0);
    bench.run(&format!("verify sha256:{digest} --key k.pub")).exits(2);
    let other = "0".repeat(64);
    bench.run(&format!("verify sha256:{other} --key k.pub --bundle a.sigstore.json")).exits(1);
}

#[test]
fn verifies_by_a_certificate_of_the_own_ca() {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    };
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).key("other", KeyType::EcdsaP256).write("a", "1");
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(vec![]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    bench.write("chain.pem", root.self_signed(&root_key).unwrap().pem());
    let issuer = Issuer::from_params(&root, root_key);
    for name in ["k", "other"] {
        let mut leaf = CertificateParams::new(vec!["release.acme.example".to_owned()]).unwrap();
        leaf.subject_alt_names =
            vec![rcgen::SanType::Rfc822Name("release@acme.example".try_into().unwrap())];
        leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let pem = String::from_utf8(bench.read(&format!("{name}.pem"))).unwrap();
        let key = KeyPair::from_pem(&pem).unwrap();
        bench.write(&format!("{name}.crt"), leaf.signed_by(&key, &issuer).unwrap().pem());
    }
    bench.run("attest generate-and-sign --subjects a --key k.pem").exits(0);
    bench
        .run("attest verify --subjects a --cert k.crt --cert-chain chain.pem")
        .exits(0)
        .says("release@acme.example")
        .says("SLSA build L1");
    bench.run("attest verify --subjects a --cert other.crt --cert-chain chain.pem").exits(1);
    bench.run("attest verify --subjects a --cert k.crt --cert-chain other.crt").exits(1);
}

/// Copies a vector.
fn vector(bench: &Bench, path: &str, name: &str) {
    bench.write(name, vectors::read(path));
}

#[test]
fn verifies_what_another_client_signed_on_rekor_v2() {
    let bench = Bench::new();
    let bundle = "bundles/python/staging-rekor-v2.txt.sigstore.json";
    vector(&bench, "bundles/python/staging-rekor-v2.txt", "a");
    vector(&bench, bundle, "a.sigstore.json");
    vector(&bench, "trusted-roots/staging.json", "root.json");
    let bare = "verify a --trusted-root root.json";
    let issuer = "--certificate-oidc-issuer-regexp ^https://.*";
    let verify = format!("{bare} {issuer}");
    bench
        .run(&format!("{verify} --certificate-identity jku@goto.fi"))
        .exits(0)
        .says("log2025-alpha1.rekor.sigstage.dev, index 645");
    bench.run(&format!("{verify} --certificate-identity jku@goto")).exits(1).says("`identity`");
    bench.run(&format!("{verify} --certificate-identity-regexp ^jku@")).exits(0).says("anchor it");
    bench
        .run(&format!(
            "{bare} --certificate-identity jku@goto.fi --certificate-oidc-issuer https://x"
        ))
        .exits(1)
        .says("`identity`");
    let narrowed = format!("{verify} --certificate-identity jku@goto.fi --rekor-server-url");
    bench.run(&format!("{narrowed} https://log2025-alpha1.rekor.sigstage.dev")).exits(0);
    bench.run(&format!("{narrowed} https://rekor.sigstage.dev")).exits(1).says("`log-entry`");
    bench.run(&format!("{narrowed} https://elsewhere.example")).exits(2).says("knows no log");
}

#[test]
fn refuses_demands_that_would_be_passed_over() {
    let bench = Bench::new();
    bench.write("a", "1").key("k", KeyType::EcdsaP256);
    bench
        .run("attest sign --subjects a --key k.pem --tlog-upload=false --predicate a --type https://x.example/t")
        .exits(0);
    let kind = "--type https://x.example/t";
    bench.run(&format!("attest verify --subjects a --key k.pub {kind}")).exits(0);
    for demand in [
        "--key k.pub --verify-repo https://github.com/evil/repo",
        "--key k.pub --verify-org https://github.com/evil",
        "--key k.pub --verify-ref refs/heads/evil",
        "--key k.pub --cert-chain none.pem",
        "--keyless --cert-chain none.pem",
        "--keyless --key-hint k",
        "--min-logs 2",
        "--min-timestamps 2",
        "--trusted-root none.json",
        "--rekor-server-url https://log.example",
    ] {
        bench.run(&format!("attest verify --subjects a {kind} {demand}")).exits(2);
    }
    let identity = "--certificate-identity a@b --certificate-oidc-issuer https://i.example";
    for demand in ["--cert-chain none.pem", "--key-hint k"] {
        bench.run(&format!("verify a {identity} {demand}")).exits(2);
    }
}

#[test]
fn takes_a_file_before_a_digest_of_that_name() {
    let bench = Bench::new();
    bench.write("good", "1").key("k", KeyType::EcdsaP256);
    bench.run("sign good --key k.pem --tlog-upload=false").exits(0);
    let digest = format!("sha256:{}", hex::encode(crypto::sha256(b"1")));
    let verify = format!("verify {digest} --bundle good.sigstore.json --key k.pub");
    bench.run(&verify).exits(0);
    bench.write(&digest, "evil");
    bench.run(&verify).exits(1).says("another artifact");
}

#[test]
fn verifies_one_bundle_of_many_files_once() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256);
    let names: Vec<String> = (0..300).map(|number| format!("f{number}")).collect();
    for name in &names {
        bench.write(name, name);
    }
    bench.write("list", names.join("\n")).write("p", "1");
    let kind = "--type https://x.example/t";
    bench
        .run(&format!("attest sign --subjects @list --key k.pem --tlog-upload=false --predicate p {kind} --bundle b"))
        .exits(0);
    let verify = format!("attest verify --subjects @list --key k.pub --bundle b {kind}");
    bench.run(&verify).exits(0);
    bench.write("f299", "changed");
    bench.run(&verify).exits(1).says("f299").says("the file changed");
}
