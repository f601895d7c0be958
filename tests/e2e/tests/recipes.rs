//! Every piece of configuration in the documents, typed as it stands into a whole one: it must pass
//! `countersignd check`.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{fs, path::Path, process::Command};

use e2e::{binaries, said};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Where the documents put files that an operator brings.
const OPERATORS_FILES: &str = "/etc/countersign/";

/// What the documents change step by step; every name in it is of this machine.
const WHOLE: &str = r#"
data_dir = "DATA"
anchors = ["file:DATA-anchors"]

[tenant.default]
# As the pages have it: `check` refuses another one than the chain was made for.
organization = "Example Corp"

[database]
kind = "sqlite"

[ca.default]
url = "http://localhost:5555"

[[ca.default.issuer]]
type = "kubernetes"
url = "https://cluster.acme.example"
audiences = ["acme-signing"]

[log.ct]
kind = "ct"
url = "http://localhost:6962"

[log.rekor1]
kind = "rekor1"
writers = "open"
url = "http://localhost:3000"

[log.rekor2]
kind = "rekor2"
writers = "open"
url = "http://localhost:3003"

[tsa.default]
url = "http://localhost:3004"

[trust.default]
url = "http://localhost:3005"
oidc_url = "https://accounts.acme-people.example"
"#;

/// Where people log in, whatever a recipe says of other issuers.
const PEOPLE: &str = r#"
[[ca.default.issuer]]
type = "username"
url = "https://accounts.acme-people.example"
subject_domain = "acme-people.example"
audiences = ["acme-signing"]
"#;

/// A deployment that `init` has made, into which recipes are typed.
struct Kitchen(tempfile::TempDir);

impl Kitchen {
    fn new() -> Self {
        let kitchen = Self(tempfile::tempdir().unwrap());
        let made = kitchen.countersignd("init", &kitchen.configuration("", ""));
        assert_eq!(made.code, Some(0), "{made:?}");
        let public = kitchen.0.path().join("data/public");
        let files = kitchen.0.path().join("files");
        fs::create_dir_all(files.join("cluster")).unwrap();
        for name in ["prod-1-ca.pem", "prod-2-ca.pem", "ca.pem", "roots.pem", "cluster/ca.crt"] {
            fs::copy(public.join("ca_chain.pem"), files.join(name)).unwrap();
        }
        for name in ["prod-1-token", "prod-2-token", "token", "cluster/token"] {
            fs::write(files.join(name), "aaa.bbb.ccc\n").unwrap();
        }
        fs::write(files.join("keys.json"), KEYS).unwrap();
        kitchen
    }

    /// The whole configuration with a recipe: a table of the recipe takes the place of ours.
    fn configuration(&self, recipe: &str, name: &str) -> std::path::PathBuf {
        let directory = self.0.path();
        let path = |name: &str| directory.join(name).display().to_string();
        let whole = WHOLE.replace("DATA", &path("data"));
        let header = |line: &str| line.split('#').next().unwrap().trim().to_owned();
        let replaced: Vec<String> =
            recipe.lines().filter(|line| line.starts_with('[')).map(header).collect();
        let kept = tables(&whole)
            .into_iter()
            .filter(|table| !replaced.iter().any(|header| table.starts_with(header.as_str())));
        let recipe = recipe.replace(OPERATORS_FILES, &path("files/"));
        let text = kept.collect::<String>() + &recipe + PEOPLE;
        let file = directory.join(format!("{name}.toml"));
        fs::write(&file, text).unwrap();
        file
    }

    fn countersignd(&self, what: &str, configuration: &Path) -> e2e::Said {
        let mut command = Command::new(binaries().join("countersignd"));
        command.current_dir(&self.0).args([what, "--config"]).arg(configuration);
        // Its issuers are examples.
        said(command.args((what == "check").then_some("--offline"))).unwrap()
    }
}

/// One public key, of RFC 7517, appendix A.1.
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "kid": "1",
"x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
"y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// A file's tables, each with its header, and first what stands before any.
fn tables(text: &str) -> Vec<String> {
    let mut tables = vec![String::new()];
    for line in text.lines() {
        if line.starts_with('[') {
            tables.push(String::new());
        }
        let table = tables.last_mut().unwrap();
        table.push_str(line);
        table.push('\n');
    }
    tables
}

/// The recipes of a page, each with the heading that it stands below.
fn recipes(page: &str) -> Vec<(String, String)> {
    let (mut heading, mut recipes, mut open) = (String::new(), Vec::new(), None::<String>);
    for line in page.lines() {
        match (&mut open, line) {
            (Some(recipe), "```") => recipes.push((heading.clone(), std::mem::take(recipe))),
            (Some(recipe), line) => {
                recipe.push_str(line);
                recipe.push('\n');
                continue;
            }
            (None, "```toml") => {
                open = Some(String::new());
                continue;
            }
            (None, line) if line.starts_with('#') => line.clone_into(&mut heading),
            (None, _) => {}
        }
        if line == "```" {
            open = None;
        }
    }
    recipes
}

#[test]
fn every_recipe_of_the_documents_passes_check_as_it_stands() {
    let kitchen = Kitchen::new();
    let mut wrong = Vec::new();
    let mut found = 0;
    for document in fs::read_dir(format!("{ROOT}/docs")).unwrap() {
        let path = document.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for (heading, recipe) in recipes(&fs::read_to_string(&path).unwrap()) {
            found += 1;
            let file = kitchen.configuration(&recipe, &found.to_string());
            let said = kitchen.countersignd("check", &file);
            let sound = said.code == Some(0) && said.stdout.contains("configuration: ok");
            if !sound {
                let place = path.file_name().unwrap().display();
                wrong.push(format!("{place}, {heading}:\n{}{}", said.stdout, said.stderr));
            }
        }
    }
    // As many as compose.md and ci-issuers.md had when this was written.
    assert!(found >= 14, "only {found} recipes were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
