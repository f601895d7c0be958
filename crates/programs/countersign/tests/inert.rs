//! What others wrote is shown as inert text: it writes no line of its own, moves no cursor, turns no
//! text around, and gives no orders to the runner of a CI. No service runs but one that answers badly.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    ffi::OsStr,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::Command,
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Each kind of character that is not seen as what it is, and both forms of workflow commands.
const HOSTILE: &str = "x\nverified   evil\r\n::set-output name=a::b\n##[add-mask]y ##vso[task.complete]\t\
                       \u{1b}[2J\u{9b}1A\u{7}\u{7f}\u{85}\u{ad}\u{61c}\u{200b}\u{200d}\u{200f}\u{2028}\u{2029}\
                       \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{e0041}";

struct Bench(TempDir);

/// What the program said.
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let key = LocalSigner::generate(KeyType::EcdsaP256, "k").unwrap();
        bench.write("k.pem", key.to_pkcs8_pem().as_bytes());
        bench.write("k.pub", key.public_key().to_pem());
        bench.write("a", "artifact");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Runs the program, and checks that all it says is inert.
    fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .output()
            .unwrap();
        let said = Said {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert_inert(&said.stdout);
        assert_inert(&said.stderr);
        said
    }

    /// As a person, and as a machine that shows its log to people.
    fn run_both(&self, arguments: &[&str]) -> (Said, Value) {
        let text = self.run(arguments);
        let json = self.run(&[arguments, &["--output", "json"]].concat());
        assert_eq!((text.code, json.stdout.lines().count()), (json.code, 1));
        (text, serde_json::from_str(&json.stdout).unwrap())
    }
}

impl Said {
    /// A failure is one line.
    fn fails(self, code: i32) -> String {
        assert_eq!((self.code, self.stderr.lines().count()), (code, 1), "{}", self.stderr);
        assert!(self.stderr.starts_with("countersign: "), "{}", self.stderr);
        self.stderr
    }
}

fn assert_inert(text: &str) {
    for line in text.split('\n') {
        let active = |c: char| c != '\n' && HOSTILE.contains(c) && !(' '..='~').contains(&c);
        assert!(!line.contains(active), "{line:?}");
        assert!(!line.trim_start().starts_with("::"), "{line:?}");
        assert!(!line.contains("##[") && !line.contains("##vso["), "{line:?}");
        assert!(!line.contains("evil") || !line.starts_with("verified   evil"), "{line:?}");
    }
}

/// As a file's name: no slash, no longer than 255 bytes.
fn hostile_file() -> String {
    HOSTILE.replace('/', "")
}

#[test]
fn a_file_name_is_shown_on_its_one_line() {
    let bench = Bench::new();
    let file = hostile_file();
    bench.write(&file, "1");
    let (said, json) = bench.run_both(&["sign", &file, "--key", "k.pem", "--bundle", "b.json"]);
    assert_eq!(said.code, 0);
    assert_eq!(said.stdout.lines().filter(|line| line.starts_with("signed")).count(), 1);
    assert_eq!(json["signed"][0]["subject"], json!(file), "machines read what it was");
    let (said, json) = bench.run_both(&["verify", &file, "--key", "k.pub", "--bundle", "b.json"]);
    assert_eq!(said.code, 0);
    assert_eq!(said.stdout.lines().filter(|line| line.starts_with("verified")).count(), 1);
    assert!(said.stdout.contains(r"x\nverified \u{20} evil\r\n::set-output"), "{}", said.stdout);
    assert_eq!(json["verified"][0]["subject"], json!(file));
    bench.write(&file, "2");
    let (said, json) = bench.run_both(&["verify", &file, "--key", "k.pub", "--bundle", "b.json"]);
    assert!(said.fails(1).contains(r"\u{1b}[2J"));
    assert!(json["message"].as_str().unwrap().starts_with(&file));
    let (said, _) = bench.run_both(&["verify", &format!("{file}2"), "--key", "k.pub"]);
    said.fails(2);
}

#[test]
#[cfg(unix)]
fn a_file_name_that_is_no_text_is_shown_too() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new();
    let file = OsStr::from_bytes(b"a\xff\x9b2J\xed\xa0\x80\nb");
    std::fs::write(bench.0.path().join(file), "1").unwrap();
    let of = |arguments: &[&str]| {
        let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        all.push(file);
        bench.run(&all)
    };
    let signed = of(&["sign", "--key", "k.pem"]);
    let lines = signed.stdout.lines().filter(|line| line.starts_with("signed")).count();
    assert_eq!((signed.code, lines), (0, 1), "{}", signed.stdout);
    assert!(signed.stdout.contains(r"\nb"), "{}", signed.stdout);
    assert!([0, 2].contains(&of(&["verify", "--key", "k.pub"]).code));
    assert_eq!(of(&["verify", "--key", "k.pub", "--bundle", "missing"]).code, 2);
}

#[test]
fn a_mistake_on_the_command_line_is_quoted_as_inert_text() {
    let bench = Bench::new();
    for arguments in [
        vec![HOSTILE],
        vec!["sign", "--no-such", HOSTILE],
        vec!["verify", &format!("--{HOSTILE}")],
        vec!["verify", "a", "--key", "k.pub", "--output", HOSTILE],
        vec!["sign", "a", "--timestamp-server-url", HOSTILE],
    ] {
        let said = bench.run(&arguments);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(said.stderr.len() > 20);
    }
    let said = bench.run(&["verify", "a", "--output", HOSTILE]);
    assert!(said.stderr.contains(r"x\nverified \u{20} evil\r\n::set-output"), "{}", said.stderr);
    assert!(bench.run(&["--help"]).stdout.contains("Usage: countersign"));
}

#[test]
fn what_a_bundle_says_is_quoted_as_inert_text() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["sign", "a", "--key", "k.pem"]).code, 0);
    let good: Value =
        serde_json::from_slice(&std::fs::read(bench.path("a.sigstore.json")).unwrap()).unwrap();
    let mut spoilt = Vec::new();
    for pointer in
        ["/mediaType", "/verificationMaterial/publicKey/hint", "/messageSignature/signature"]
    {
        let mut bundle = good.clone();
        *bundle.pointer_mut(pointer).unwrap() = json!(HOSTILE);
        spoilt.push(bundle.to_string());
    }
    let mut bundle = good.clone();
    bundle[HOSTILE] = json!(1);
    spoilt.push(bundle.to_string());
    let name = serde_json::to_string(HOSTILE).unwrap();
    spoilt.push(good.to_string().replacen('{', &format!("{{{name}:1,{name}:2,"), 1));
    spoilt.push(HOSTILE.to_owned());
    for json in spoilt {
        bench.write("a.sigstore.json", json);
        let (said, json) = bench.run_both(&["verify", "a", "--key", "k.pub"]);
        said.fails(1);
        assert_eq!(json["check"], "format");
    }
}

#[test]
fn a_bundle_with_a_member_twice_is_refused_also_where_it_is_unknown() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["sign", "a", "--key", "k.pem"]).code, 0);
    let good = std::fs::read_to_string(bench.path("a.sigstore.json")).unwrap();
    bench.write("a.sigstore.json", good.replacen('{', r#"{"x":1,"x":1,"#, 1));
    let said = bench.run(&["verify", "a", "--key", "k.pub"]).fails(1);
    assert!(said.contains("duplicate field `x`"), "{said}");
}

/// A statement about `a`, as text, so that members can be given twice.
fn statement(name: &str, predicate_type: &str, predicate: &str) -> String {
    let sha256 = hex::encode(crypto::sha256(b"artifact"));
    let text = |text: &str| serde_json::to_string(text).unwrap();
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":{},"digest":{{"sha256":"{sha256}"}}}}],
           "predicateType":{},"predicate":{predicate}}}"#,
        text(name),
        text(predicate_type)
    )
}

#[test]
fn a_statement_whose_names_deceive_is_refused_in_inert_words() {
    const SLSA: &str = "https://slsa.dev/provenance/v1";
    let bench = Bench::new();
    let predicate = |builder: &str| {
        json!({"buildDefinition": {"buildType": "https://b.example/t", "externalParameters": {}},
               "runDetails": {"builder": {"id": builder}}})
        .to_string()
    };
    let verify = |statement: &str| {
        bench.write("p.json", statement);
        let verified = ["attest", "verify", "--subjects", "a", "--provenance", "p.json"];
        bench.run_both(&verified).0
    };
    let builder = "https://builder.example";
    assert_eq!(verify(&statement("a", SLSA, &predicate(builder))).code, 0);
    let twice =
        predicate(builder).replace(r#""id":"#, r#""id":"https://builder.example/trusted","id":"#);
    for bad in [
        statement(HOSTILE, SLSA, &predicate(builder)),
        statement("a", HOSTILE, &predicate(builder)),
        statement("a", SLSA, &predicate(HOSTILE)),
        statement("a", SLSA, &predicate("https://builder.example/a/../b")),
        statement("a", SLSA, &predicate("https://builder.example/%2e%2e/b")),
        statement("a", SLSA, &predicate("https://builder.example\\b")),
        statement("a", SLSA, &predicate("https://builder.example@evil.example/")),
        statement("a", SLSA, &twice),
        statement("a", SLSA, &predicate(builder)).replace("\"_type\"", "\"Subject\":[],\"_type\""),
    ] {
        verify(&bad).fails(1);
    }
}

#[test]
fn a_signed_statement_whose_names_deceive_is_refused_in_inert_words() {
    let bench = Bench::new();
    let key = std::fs::read_to_string(bench.path("k.pem")).unwrap();
    let key = LocalSigner::from_pkcs8_pem(&key, "k").unwrap();
    for (name, predicate_type) in [(HOSTILE, "https://example.com/p"), ("a", HOSTILE)] {
        let payload = statement(name, predicate_type, "{}");
        let payload_type = "application/vnd.in-toto+json";
        let pae =
            format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
        let signature = key.sign_now(pae.as_bytes()).unwrap();
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": STANDARD.encode(key.public_key().spki_sha256())}},
            "dsseEnvelope": {"payload": STANDARD.encode(&payload), "payloadType": payload_type,
                             "signatures": [{"sig": STANDARD.encode(signature)}]},
        });
        bench.write("a.sigstore.json", bundle.to_string());
        let verify = [
            "attest",
            "verify",
            "--subjects",
            "a",
            "--key",
            "k.pub",
            "--type",
            "https://example.com/p",
        ];
        let (said, _) = bench.run_both(&verify);
        let said = said.fails(1);
        assert!(said.contains("not one that may be shown"), "{said}");
    }
}

/// A service that answers every request with this body, until the test ends.
fn service(status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 64 * 1024];
            let _ = stream.read(&mut request);
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            let _ =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    url
}

#[test]
fn what_a_server_says_is_quoted_short_and_inert() {
    let bench = Bench::new();
    let long = format!("{HOSTILE}{}", "long ".repeat(50_000));
    let unknown = json!({"tlogEntries": [], long.as_str(): 1}).to_string();
    for (status, body, codes) in [
        ("400 Bad Request", json!({"code": 3, "message": long}).to_string(), [4, 4]),
        ("400 Bad Request", long.clone(), [4, 4]),
        ("201 Created", long.clone(), [1, 3]),
        ("201 Created", unknown, [1, 3]),
        ("302 Found", json!({"message": HOSTILE}).to_string(), [3, 3]),
    ] {
        let url = service(status, body);
        let one = |path: &str, version: u32| json!([{"url": format!("{url}{path}"), "majorApiVersion": version}]);
        let config = json!({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"},
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": one("", 1), "rekorTlogUrls": one("", 2), "tsaUrls": one("/api/v1/timestamp", 1),
                "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"}
            }
        });
        bench.write("trust.json", config.to_string());
        let keyless = [
            "sign",
            "a",
            "--trust-config",
            "trust.json",
            "--identity-token",
            "e30.eyJzdWIiOiJ4In0.c2ln",
        ];
        let with_key = ["sign", "a", "--trust-config", "trust.json", "--key", "k.pem"];
        for arguments in [&keyless[..], &with_key[..]] {
            bench.run(&[arguments, &["--output", "json"]].concat());
            let said = bench.run(arguments);
            assert!(said.stderr.len() < 6000, "{} bytes", said.stderr.len());
            assert!(codes.contains(&said.code), "{}", said.stderr);
            let code = said.code;
            said.fails(code);
        }
    }
}

#[test]
fn a_trust_file_whose_urls_deceive_is_refused_in_inert_words() {
    let bench = Bench::new();
    for url in [
        HOSTILE,
        "https://log.example/../x",
        "https://log.example@evil.example",
        "https://l.example\\x",
    ] {
        let root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{"baseUrl": url}],
        });
        bench.write("root.json", root.to_string());
        let verify = [
            "verify",
            "a",
            "--trusted-root",
            "root.json",
            "--certificate-identity",
            "a@b.example",
            "--certificate-oidc-issuer",
            "https://i.example",
        ];
        let said = bench.run_both(&verify).0.fails(2);
        assert!(said.contains("it holds"), "{said}");
    }
    let twice = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","x":{"a":1,"a":2}}"#;
    bench.write("root.json", twice);
    let verify = [
        "verify",
        "a",
        "--trusted-root",
        "root.json",
        "--certificate-identity",
        "a@b.example",
        "--certificate-oidc-issuer",
        "https://i.example",
    ];
    assert!(bench.run_both(&verify).0.fails(2).contains("duplicate field `a`"));
}

/// A file that the program only reads, in the place of each file that it can be given.
#[test]
fn a_file_of_hostile_text_is_refused_in_inert_words_wherever_it_is_given() {
    let bench = Bench::new();
    bench.write("bad", HOSTILE);
    let pem = format!("-----BEGIN {HOSTILE}-----\nAAAA\n-----END {HOSTILE}-----\n");
    bench.write("bad.pem", pem);
    for bad in ["bad", "bad.pem"] {
        for arguments in [
            vec!["sign", "a", "--key", bad],
            vec![
                "sign",
                "a",
                "--trust-config",
                bad,
                "--identity-token",
                "e30.eyJzdWIiOiJ4In0.c2ln",
            ],
            vec!["sign", "a", "--trust-config", bad, "--identity-token", HOSTILE],
            vec!["verify", "a", "--key", bad],
            vec![
                "attest",
                "sign",
                "--subjects",
                "a",
                "--key",
                "k.pem",
                "--type",
                "https://example.com/p",
                "--predicate",
                bad,
            ],
        ] {
            let said = bench.run_both(&arguments).0;
            assert!([1, 2].contains(&said.code), "{arguments:?}: {}", said.stderr);
        }
    }
}
