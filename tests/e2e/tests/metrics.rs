//! docs/metrics.md against the sources, a running process, and the alerts.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use e2e::{Database, Stack, said};
use yaml_rust2::YamlLoader;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const PREFIX: &str = "countersign_";

fn read(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap()
}

/// A row of the page.
struct Row {
    kind: String,
    labels: BTreeSet<String>,
    optional: BTreeSet<String>,
    at_first: bool,
}

/// What stands between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn page() -> BTreeMap<String, Row> {
    let page = read("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `countersign_"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, _unit, labels, at_first, meaning] = cells[..] else { panic!("{line}") };
        assert!(!meaning.is_empty(), "{line}");
        let (labels, optional) = labels.split_once('(').unwrap_or((labels, ""));
        let row = Row {
            kind: kind.to_owned(),
            labels: quoted(labels),
            optional: quoted(optional),
            at_first: at_first == "yes",
        };
        (quoted(name).pop_first().unwrap(), row)
    };
    rows.map(row).collect()
}

/// Words of a text that begin as metrics do.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with(PREFIX)).map(str::to_owned).collect()
}

fn sources(directory: &Path, found: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_page_has_every_metric_of_the_sources_and_no_other() {
    let mut text = String::new();
    for krate in ["log/engine", "services/ca", "services/ctlog", "services/oidc", "services/rekor"]
        .into_iter()
        .chain(["services/server", "services/signing", "services/trust", "services/tsa"])
        .chain(["log/sqlite", "log/postgres", "programs/countersignd"])
    {
        sources(Path::new(&format!("{ROOT}/crates/{krate}/src")), &mut text);
    }
    // As string literals; a macro without one, or with another name, is none of ours.
    let literals = text.split('"').filter(|literal| names(literal).contains(*literal));
    let in_sources: BTreeSet<String> = literals.map(str::to_owned).collect();
    assert_eq!(in_sources, page().into_keys().collect());
    for macro_name in ["counter!(\"", "gauge!(\"", "histogram!(\""] {
        for rest in text.split(macro_name).skip(1) {
            assert!(rest.starts_with(PREFIX), "{macro_name}{}", rest.lines().next().unwrap());
        }
    }
}

#[test]
fn the_alerts_and_the_page_know_the_same_names() {
    let alerts = read("deploy/alerts.yaml");
    let page = page();
    for name in names(&alerts) {
        let ends = ["_bucket", "_sum", "_count"];
        let base = ends.iter().find_map(|end| name.strip_suffix(end));
        let histogram =
            base.and_then(|base| page.get(base)).is_some_and(|row| row.kind == "histogram");
        assert!(histogram || page.contains_key(&name), "{name} is on no page");
    }
    let text = read("docs/metrics.md");
    let rules = YamlLoader::load_from_str(&alerts).unwrap().remove(0);
    let rules = rules["groups"][0]["rules"].as_vec().unwrap().clone();
    assert!(rules.len() > 10);
    for rule in rules {
        let alert = rule["alert"].as_str().unwrap();
        assert!(text.contains(&format!("`{alert}`")), "{alert} is not explained");
        assert!(rule["expr"].as_str().is_some() && !rule["annotations"]["summary"].is_badvalue());
    }
}

fn scrape(stack: &Stack) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = stack.ready("metrics").to_owned();
    runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
}

/// Types by name.
fn types(shown: &str) -> BTreeMap<String, String> {
    let lines = shown.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

/// The names of the labels of a line, as what is measured is named.
fn labels(line: &str) -> BTreeSet<String> {
    let Some((_, labels)) = line.split_once('{') else { return BTreeSet::new() };
    let labels = labels.rsplit_once('}').unwrap().0;
    let names =
        labels.split("\",").filter_map(|label| label.split_once("=\"")).map(|label| label.0);
    names.filter(|name| *name != "le").map(str::to_owned).collect()
}

fn compare(shown: &str) {
    let (page, types) = (page(), types(shown));
    for (name, kind) in &types {
        let row = page.get(name).unwrap_or_else(|| panic!("{name} is not on the page"));
        assert_eq!(&row.kind, kind, "{name}");
        for line in shown.lines().filter(|line| !line.starts_with('#')) {
            let of = line.split(['{', ' ']).next().unwrap();
            let ends = ["", "_bucket", "_sum", "_count"];
            if ends.iter().any(|end| of.strip_suffix(end) == Some(name)) {
                let found: BTreeSet<_> = labels(line).difference(&row.optional).cloned().collect();
                assert_eq!(found, row.labels, "{line}");
            }
        }
    }
}

#[test]
fn a_process_shows_what_the_page_says() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let first = scrape(&stack);
    compare(&first);
    let known = types(&first);
    for (name, row) in page().into_iter().filter(|(_, row)| row.at_first) {
        assert!(known.contains_key(&name), "{} `{name}` is not there at first", row.kind);
    }
    let artifact = stack.work().join("artifact");
    fs::write(&artifact, "contents").unwrap();
    let token = stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
    let signed =
        said(stack.countersign().arg("sign").arg(&artifact).args(["--identity-token", &token]));
    assert_eq!(signed.as_ref().unwrap().code, Some(0), "{signed:?}");
    let later = scrape(&stack);
    compare(&later);
    for name in [
        "countersign_ca_certificates_total",
        "countersign_tsa_replies_total",
        "countersign_log_entries_total",
        "countersign_log_batch_entries",
        "countersign_http_requests_total",
        "countersign_http_request_seconds",
    ] {
        assert!(types(&later).contains_key(name), "{name}: {later}");
    }
    // Entries are counted in entries.
    let bucket = "countersign_log_batch_entries_bucket{log=\"ct\",le=\"8192\"}";
    assert!(later.contains(bucket), "{later}");
}
