//! Trust by TUF: pinned once, offline until it expires, and nothing but what follows from the pin.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
};

use crypto::sha256;
use e2e::{Database, Said, Stack, hex, said};
use serde_json::{Value, json};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Two lifetimes of our timestamp metadata, and more.
const TWO_LIFETIMES: i64 = 15 * DAY;

fn trust(stack: &Stack, arguments: &[&str]) -> Said {
    let mut command = stack.countersign_alone();
    said(command.arg("trust").args(arguments)).unwrap()
}

fn root_file(stack: &Stack) -> String {
    stack.trust_file("root.json").display().to_string()
}

fn init(stack: &Stack) -> Said {
    trust(stack, &["init", "--url", stack.ready("trust"), "--root", &root_file(stack)])
}

#[track_caller]
fn exits(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    for word in words {
        assert!(said.stderr.contains(word), "no `{word}`: {said:?}");
    }
    assert!(!said.stderr.contains("panicked"), "{said:?}");
}

fn artifact(stack: &Stack) -> PathBuf {
    let path = stack.work().join("artifact");
    fs::write(&path, "contents").unwrap();
    path
}

#[test]
fn signs_and_verifies_with_no_file_option() {
    let mut stack = Stack::start(Database::Sqlite).unwrap();
    let artifact = artifact(&stack);
    let token = stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
    let sign = |stack: &Stack| {
        let mut command = stack.countersign_alone();
        said(command.arg("sign").arg(&artifact).args(["--identity-token", &token])).unwrap()
    };
    let verify = |stack: &Stack| {
        let mut command = stack.countersign_alone();
        command.args(["verify", "--certificate-identity", "alice@acme.internal"]);
        said(command.args(["--certificate-oidc-issuer", stack.ready("oidc")]).arg(&artifact))
            .unwrap()
    };
    exits(&sign(&stack), 2, &["trust init"]);
    exits(&trust(&stack, &["show"]), 2, &["trust init"]);
    exits(&trust(&stack, &["update"]), 2, &["trust init"]);
    exits(&init(&stack), 0, &[]);
    exits(&sign(&stack), 0, &[]);
    exits(&verify(&stack), 0, &[]);
    exits(&trust(&stack, &["update"]), 0, &[]);
    // An option or the variable goes before the pin.
    let mut other = stack.countersign_alone();
    other.env("COUNTERSIGN_TRUST_CONFIG", "/no/such/file").arg("verify").arg(&artifact);
    other.args(["--certificate-oidc-issuer", stack.ready("oidc")]);
    let other = said(other.args(["--certificate-identity", "alice@acme.internal"])).unwrap();
    exits(&other, 2, &["/no/such/file"]);
    let shown: Value =
        serde_json::from_str(&trust(&stack, &["show", "--output", "json"]).stdout).unwrap();
    assert_eq!(shown["trust"]["rootVersion"], 1);
    assert_eq!(shown["trust"]["logs"].as_array().unwrap().len(), 2);
    // Nobody answers any more, and nobody is asked.
    stack.kill().unwrap();
    exits(&verify(&stack), 0, &[]);
    exits(&trust(&stack, &["show"]), 0, &[]);
    exits(&trust(&stack, &["update"]), 3, &["trust repository"]);
    exits(&verify(&stack), 0, &[]);
}

#[test]
fn pins_nothing_but_the_repository_that_was_meant() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let other = Stack::start(Database::Sqlite).unwrap();
    let url = stack.ready("trust");
    let foreign = ["init", "--url", url, "--root", &root_file(&other)];
    exits(&trust(&stack, &foreign), 1, &["not to be trusted"]);
    let checksum = "0".repeat(64);
    exits(&trust(&stack, &["init", "--url", url, "--root-checksum", &checksum]), 1, &["checksum"]);
    let garbage = stack.work().join("garbage");
    fs::write(&garbage, "garbage").unwrap();
    let garbage = garbage.display().to_string();
    exits(&trust(&stack, &["init", "--url", url, "--root", &garbage]), 1, &[]);
    exits(&trust(&stack, &["init", "--url", url, "--root", "/no/such/file"]), 2, &[]);
    exits(&trust(&stack, &["init", "--url", url]), 2, &[]);
    exits(&trust(&stack, &["init", "--url", "file:///etc", "--root", &garbage]), 2, &[]);
    let nowhere = ["init", "--url", "http://127.0.0.1:9", "--root", &root_file(&stack)];
    exits(&trust(&stack, &nowhere), 3, &[]);
    // A service, but no repository.
    let log = ["init", "--url", stack.ready("rekor2"), "--root", &root_file(&stack)];
    exits(&trust(&stack, &log), 3, &["timestamp.json"]);
    exits(&trust(&stack, &["show"]), 2, &[]);
    let root = fs::read(stack.trust_file("root.json")).unwrap();
    let checksum = hex(&sha256(&root));
    exits(&trust(&stack, &["init", "--url", url, "--root-checksum", &checksum]), 0, &[]);
    let another = ["init", "--url", other.ready("trust"), "--root", &root_file(&other)];
    exits(&trust(&stack, &another), 2, &["--replace", url]);
    exits(&trust(&stack, &[&another[..], &["--replace"]].concat()), 0, &[]);
}

#[test]
fn follows_a_repository_beyond_two_lifetimes_of_its_timestamp() {
    let mut stack = Stack::start(Database::Sqlite).unwrap();
    exits(&init(&stack), 0, &[]);
    let expires = |stack: &Stack| {
        let shown = trust(stack, &["show", "--output", "json"]);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        shown["trust"]["expires"].as_str().unwrap().to_owned()
    };
    let before = expires(&stack);
    stack.kill().unwrap();
    stack.set_clock_offset(TWO_LIFETIMES).unwrap();
    stack.restart().unwrap();
    // The port is another one after a restart: so is the URL.
    let url = stack.ready("trust").to_owned();
    move_pin(&stack, &url);
    exits(&trust(&stack, &["update"]), 0, &[]);
    assert!(expires(&stack) > before, "{} is not later than {before}", expires(&stack));
}

/// Leads the pin to another URL, as nothing but a test does.
fn move_pin(stack: &Stack, url: &str) {
    edit_pin(stack, |pin| pin["url"] = json!(url));
}

fn edit_pin(stack: &Stack, edit: impl FnOnce(&mut Value)) {
    let file = stack.pin().join("pinned.json");
    let mut pin: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    edit(&mut pin);
    fs::write(&file, pin.to_string()).unwrap();
}

#[test]
fn renews_what_expired_or_says_that_it_cannot() {
    let mut stack = Stack::start(Database::Sqlite).unwrap();
    let artifact = artifact(&stack);
    let token = stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
    exits(&init(&stack), 0, &[]);
    let mut sign = stack.countersign_alone();
    sign.arg("sign").arg(&artifact).args(["--identity-token", &token]);
    exits(&said(&mut sign).unwrap(), 0, &[]);
    let verify = |stack: &Stack, more: &[&str]| {
        let mut command = stack.countersign_alone();
        command.args(["verify", "--certificate-identity", "alice@acme.internal"]).args(more);
        command.args(["--certificate-oidc-issuer-regexp", "^http://localhost:[0-9]+$"]);
        said(command.arg(&artifact)).unwrap()
    };
    let expire = |stack: &Stack| edit_pin(stack, |pin| pin["expires"] = json!(1));
    expire(&stack);
    exits(&trust(&stack, &["show"]), 0, &[]);
    exits(&verify(&stack, &[]), 0, &[]);
    let shown = trust(&stack, &["show"]);
    assert!(!shown.stdout.contains("expired"), "it was not renewed: {shown:?}");
    expire(&stack);
    stack.kill().unwrap();
    exits(&verify(&stack, &[]), 3, &["has expired", "trust update", "--offline"]);
    exits(&verify(&stack, &["--offline"]), 0, &[]);
    edit_pin(&stack, |pin| pin["format"] = json!(2));
    exits(&verify(&stack, &[]), 1, &["format"]);
    fs::write(stack.pin().join("pinned.json"), "{").unwrap();
    exits(&verify(&stack, &[]), 1, &["cannot be used"]);
}

/// A copy of a repository, served as an attacker would who has old files and no keys.
struct Mirror {
    directory: PathBuf,
    url: String,
}

impl Mirror {
    fn of(stack: &Stack, name: &str) -> Self {
        let directory = stack.work().join(name);
        copy(&stack.data_dir().join("tuf"), &directory);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = directory.clone();
        // Ends with the test program.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // A client that goes away is no concern.
                let _ = serve(connection, &served);
            }
        });
        Self { directory, url }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The newest file of a role.
    fn newest(&self, role: &str) -> PathBuf {
        let files = (1..99).map(|n| self.file(&format!("{n}.{role}.json")));
        files.rev().find(|file| file.exists()).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Answers one request for a file; one named `500` after it is answered so.
fn serve(mut connection: TcpStream, directory: &Path) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (status, content) = if directory.join(format!("{path}.500")).exists() {
        ("500 Internal Server Error", Vec::new())
    } else {
        match fs::read(directory.join(path)) {
            Ok(content) => ("200 OK", content),
            Err(_) => ("404 Not Found", Vec::new()),
        }
    };
    let length = content.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    connection.write_all(&content)
}

/// A stack whose repository was signed twice, a mirror of each state, and a pin of the newer.
fn two_states() -> (Stack, Mirror, Mirror) {
    let mut stack = Stack::start(Database::Sqlite).unwrap();
    stack.kill().unwrap();
    let old = Mirror::of(&stack, "old");
    // Half a timestamp's life: renewed, and the old one still counts.
    stack.set_clock_offset(4 * DAY).unwrap();
    stack.restart().unwrap();
    stack.kill().unwrap();
    let new = Mirror::of(&stack, "new");
    let root = new.file("1.root.json").display().to_string();
    exits(&trust(&stack, &["init", "--url", &new.url, "--root", &root]), 0, &[]);
    (stack, old, new)
}

/// Changes a file; what it gives undoes that.
fn changed(file: &Path, change: &dyn Fn()) -> impl FnOnce() + use<> {
    let (file, before) = (file.to_owned(), fs::read(file).unwrap());
    change();
    move || fs::write(file, before).unwrap()
}

#[test]
fn refuses_a_repository_that_goes_back_or_does_not_fit_together() {
    let (stack, old, new) = two_states();
    let pinned = fs::read(stack.pin().join("pinned.json")).unwrap();
    let refused = |what: &str, code: i32, words: &[&str]| {
        let said = trust(&stack, &["update"]);
        exits(&said, code, words);
        let now = fs::read(stack.pin().join("pinned.json")).unwrap();
        assert_eq!(now, pinned, "{what} changed the pin");
    };
    let timestamp = new.file("timestamp.json");
    let undo = changed(&timestamp, &|| drop(fs::copy(old.file("timestamp.json"), &timestamp)));
    refused("a rollback", 1, &["not to be trusted"]);
    undo();

    let undo = changed(&timestamp, &|| {
        let mut signed: Value = serde_json::from_slice(&fs::read(&timestamp).unwrap()).unwrap();
        signed["signed"]["version"] = json!(99);
        fs::write(&timestamp, signed.to_string()).unwrap();
    });
    refused("a timestamp that nobody signed", 1, &["not to be trusted"]);
    undo();

    for role in ["snapshot", "targets"] {
        let newest = new.newest(role);
        let undo = changed(&newest, &|| {
            let mut signed: Value = serde_json::from_slice(&fs::read(&newest).unwrap()).unwrap();
            signed["signed"]["expires"] = json!("2099-01-01T00:00:00Z");
            fs::write(&newest, signed.to_string()).unwrap();
        });
        refused(role, 1, &["not to be trusted"]);
        undo();
        let undo = changed(&newest, &|| fs::remove_file(&newest).unwrap());
        refused(role, 3, &[role]);
        undo();
    }

    let targets = new.file("targets");
    for file in fs::read_dir(&targets).unwrap().map(|file| file.unwrap().path()) {
        let name = file.display().to_string();
        let read = ["trusted_root.json", "signing_config.v0.2.json", "countersign.json"];
        if !read.iter().any(|target| name.ends_with(&format!(".{target}"))) {
            continue;
        }
        let undo = changed(&file, &|| fs::write(&file, vec![b' '; 64]).unwrap());
        refused(&name, 1, &["not to be trusted"]);
        undo();
        let undo = changed(&file, &|| fs::write(&file, vec![b' '; 3 << 20]).unwrap());
        refused(&name, 3, &["longer than"]);
        undo();
    }

    let next = new.file("2.root.json");
    fs::write(&next, "<html>welcome</html>").unwrap();
    refused("a page in place of the next root", 1, &["not to be trusted"]);
    fs::copy(new.file("1.root.json"), &next).unwrap();
    refused("the same root again", 1, &["not to be trusted"]);
    fs::remove_file(&next).unwrap();
    fs::write(new.file("2.root.json.500"), "").unwrap();
    refused("a next root that cannot be had", 3, &["not available"]);
    fs::remove_file(new.file("2.root.json.500")).unwrap();
    exits(&trust(&stack, &["update"]), 0, &[]);
}

#[test]
fn refuses_a_repository_that_nobody_signs_any_more() {
    let mut stack = Stack::start(Database::Sqlite).unwrap();
    stack.kill().unwrap();
    fs::remove_dir_all(stack.data_dir()).unwrap();
    // Signed two lifetimes ago, and never since.
    stack.set_clock_offset(-TWO_LIFETIMES).unwrap();
    stack.restart().unwrap();
    exits(&init(&stack), 1, &["expired"]);
    exits(&trust(&stack, &["show"]), 2, &[]);
}
