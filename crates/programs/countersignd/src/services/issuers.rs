use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ca::{Ca, IssuerHealth};

use super::{Background, Notes};
use crate::admin;

/// How often it is looked whether keys of issuers are due.
const TICK: Duration = Duration::from_secs(30);

/// The same while no issuer gave any: the CA is not ready then.
const TICK_WITHOUT_KEYS: Duration = Duration::from_secs(3);

/// How often the age of keys is shown anew; changes are shown at once.
const SHOW: Duration = Duration::from_secs(10);

/// When the CT log is asked first who it is; not at once, since it may start beside the CA.
const CT_FIRST: Duration = Duration::from_secs(2);

/// How often it is asked after an answer, and after none: the CA is not ready then.
const CT_TICK: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(3)];

/// Most entries that anybody is told of.
const MAX_PUBLIC: usize = 16;

/// Most sources that those are told of who see the metrics.
const MAX_DETAILED: usize = 256;

/// Longest name of either, in characters.
const MAX_NAME_LEN: usize = 256;

/// Keeps the keys of issuers fresh without callers, and takes orders at `socket`.
pub(crate) fn keep(background: &Background, ca: Arc<Ca>, socket: PathBuf) {
    let of_orders = Arc::clone(&ca);
    background.spawn(|shutdown| admin::serve(socket, of_orders, shutdown));
    background.spawn(|shutdown| async move {
        let asking = async {
            loop {
                ca.tick_issuers().await;
                let pause = if ca.knows_keys() { TICK } else { TICK_WITHOUT_KEYS };
                tokio::time::sleep(pause).await;
            }
        };
        // Apart from that: silent issuers are waited for.
        let showing = async {
            loop {
                ca.show_issuers();
                tokio::time::sleep(SHOW).await;
            }
        };
        let log = async {
            tokio::time::sleep(CT_FIRST).await;
            loop {
                ca.tick_ct_log().await;
                let [usual, in_trouble] = CT_TICK;
                let pause = if ca.ct_trouble().is_some() { in_trouble } else { usual };
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = async { tokio::join!(asking, showing, log); } => {}
        }
    });
}

/// Notes that are made anew when they are a second old: a thousand issuers take longer to go through than a question
/// may cost.
pub(super) fn remembered(
    notes: impl Fn() -> BTreeMap<String, String> + Send + Sync + 'static,
) -> Notes {
    const LIFETIME: Duration = Duration::from_secs(1);
    let last: Mutex<Option<(Instant, BTreeMap<String, String>)>> = Mutex::default();
    Arc::new(move || {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref().filter(|(at, _)| at.elapsed() < LIFETIME) {
            Some((_, known)) => known.clone(),
            None => last.insert((Instant::now(), notes())).1.clone(),
        }
    })
}

/// Issuers whose keys are not known, or could not be renewed, for anybody: by the URL or pattern
/// that the CA's configuration document has too, in one word. One of five that is away is no reason
/// to take the CA out of service: the others' tokens are as good as before.
pub(super) fn for_everybody(health: &[IssuerHealth]) -> BTreeMap<String, String> {
    let mut worst = HashMap::new();
    for (entry, trouble) in health.iter().filter_map(|of| Some((&of.entry, of.trouble()?))) {
        let known = worst.entry(format!("issuer {entry}")).or_insert(trouble);
        *known = trouble.max(*known);
    }
    let notes = worst.into_iter().map(|(name, trouble)| (name, trouble.name().to_owned()));
    bounded(notes, MAX_PUBLIC)
}

/// The same by source, with what is known of it, for those who run the CA: `label` says which, where there are
/// several.
pub(super) fn in_detail(label: Option<&str>, health: &[IssuerHealth]) -> BTreeMap<String, String> {
    let ca = label.map(|label| format!("{label}: ")).unwrap_or_default();
    let problem = |health: &IssuerHealth| {
        Some((format!("{ca}issuer {} ({})", health.issuer, health.source), health.summary()?))
    };
    bounded(health.iter().filter_map(problem), MAX_DETAILED)
}

/// The first `limit` of them, with names of a bounded length, and how many more there are.
fn bounded(
    notes: impl Iterator<Item = (String, String)>,
    limit: usize,
) -> BTreeMap<String, String> {
    let sorted: BTreeMap<String, String> = notes.collect();
    let further = sorted.len().saturating_sub(limit);
    let shortened = |(name, note): (String, String)| {
        (name.chars().take(MAX_NAME_LEN).collect::<String>(), note)
    };
    let mut notes: BTreeMap<String, String> =
        sorted.into_iter().take(limit).map(shortened).collect();
    if further > 0 {
        notes.insert("further".to_owned(), further.to_string());
    }
    notes
}

#[cfg(test)]
mod tests {
    use ca::SourceError;

    use super::*;

    fn health(number: usize, failure: Option<SourceError>) -> IssuerHealth {
        IssuerHealth {
            ca: "acme".to_owned(),
            issuer: format!("https://i.example/{number:03}"),
            entry: "https://i.example/*".to_owned(),
            source: format!("file /etc/secret/{number}"),
            keys: Vec::new(),
            age: None,
            expires: None,
            failure: failure.map(Arc::new),
        }
    }

    #[test]
    fn anybody_is_told_the_configured_issuer_and_one_word() {
        let file = SourceError::KeysFile("/etc/secret/keys".into());
        let all = [health(1, None), health(2, Some(file)), health(3, Some(SourceError::Withdrawn))];
        let told = for_everybody(&all);
        let expected = ("issuer https://i.example/*".to_owned(), "misconfigured".to_owned());
        assert_eq!(told, BTreeMap::from([expected]));
        // Two CAs may believe one issuer, and their notes stand beside each other.
        let of_one = in_detail(Some("ca acme"), &all);
        assert!(of_one.contains_key("ca acme: issuer https://i.example/001 (file /etc/secret/1)"));
        let detail = in_detail(None, &all);
        assert_eq!(
            detail["issuer https://i.example/001 (file /etc/secret/1)"],
            "not_asked: no keys"
        );
        assert_eq!(
            detail["issuer https://i.example/002 (file /etc/secret/2)"],
            "misconfigured (file): no keys"
        );
    }

    #[test]
    fn a_thousand_issuers_make_no_long_answer() {
        let of = |number| IssuerHealth {
            entry: format!("https://{number:04}.example/{}", "x".repeat(1000)),
            ..health(number, None)
        };
        let all: Vec<IssuerHealth> = (0..1000).map(of).collect();
        let told = for_everybody(&all);
        assert_eq!((told.len(), told["further"].as_str()), (MAX_PUBLIC + 1, "984"));
        assert!(told.keys().all(|name| name.len() <= MAX_NAME_LEN));
        let told = in_detail(None, &all);
        assert_eq!((told.len(), told["further"].as_str()), (MAX_DETAILED + 1, "744"));
    }
}
