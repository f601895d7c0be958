//! What the log lines of one request say.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Event, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use crate::Outcome;

/// Events of this thread, and of jobs that it has done elsewhere.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<Line>>>);

/// The target and fields of one.
#[derive(Debug)]
struct Line(&'static str, Fields);

#[derive(Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Lines {
    pub(crate) fn listen(&self) -> DefaultGuard {
        // While there is one subscriber in the process, tracing asks only that of the thread which
        // meets an event first, and remembers that nobody listens. With two it asks both.
        static ANOTHER: LazyLock<Dispatch> =
            LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&ANOTHER);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(self.clone()))
    }

    /// The steps of the audit trail about what is called `kind`.
    pub(crate) fn steps(&self, kind: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let audited = lines.iter().filter(|Line(target, _)| *target == "audit");
        let steps = audited.map(|Line(_, fields)| fields.kind_and_step());
        steps.filter(|(found, _)| found == kind).map(|(_, step)| step).collect()
    }

    /// What the one error that was logged says of the key.
    pub(crate) fn why(&self) -> Outcome {
        let lines = self.0.lock().unwrap();
        let errors: Vec<&String> =
            lines.iter().filter_map(|Line(_, fields)| fields.0.get("error")).collect();
        let [error] = errors[..] else { panic!("{lines:?}") };
        for (words, outcome) in [
            ("gave no answer in", Outcome::Late),
            ("is unavailable", Outcome::Unavailable),
            ("refused to sign", Outcome::Refused),
            ("does not verify", Outcome::Wrong),
            ("wrong signature", Outcome::Wrong),
        ] {
            if error.contains(words) {
                return outcome;
            }
        }
        panic!("{error}");
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#?}", self.0.lock().unwrap())
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(Line(event.metadata().target(), fields));
    }
}

impl Fields {
    /// `a checkpoint of log.test`, `signing`.
    fn kind_and_step(&self) -> (String, String) {
        let text = |name: &str| self.0.get(name).cloned();
        if let (Some(kind), Some(step)) = (text("ca.signs"), text("ca.step")) {
            return (kind, step);
        }
        let message = text("message").unwrap();
        let (step, kind) = message.split_once(' ').unwrap();
        let kind = match text("log.origin").or_else(|| text("tuf.role")) {
            Some(whose) => format!("{kind} of {whose}"),
            None => kind.to_owned(),
        };
        (kind, if step == "issued" { "signed" } else { step }.to_owned())
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_error(&mut self, field: &Field, mut error: &(dyn Error + 'static)) {
        let mut text = error.to_string();
        while let Some(source) = error.source() {
            text = format!("{text}: {source}");
            error = source;
        }
        self.0.insert(field.name(), text);
    }
}
