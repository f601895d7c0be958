//! What a thread shows as gauges.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use metrics::{
    Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// The gauges of this thread as text, by name.
#[derive(Clone, Default)]
pub(crate) struct Gauges(Arc<Mutex<HashMap<String, String>>>);

impl Gauges {
    pub(crate) fn of(&self, name: &str) -> String {
        self.0.lock().unwrap()[name].clone()
    }

    pub(crate) fn all(&self) -> [String; 3] {
        [
            "countersign_ca_issuer_keys",
            "countersign_ca_issuer_keys_age_seconds",
            "countersign_ca_issuer_failing",
        ]
        .map(|name| self.of(name))
    }
}

/// Its name and issuer.
struct OneGauge(String, String, Gauges);

impl GaugeFn for OneGauge {
    fn increment(&self, _: f64) {}
    fn decrement(&self, _: f64) {}
    fn set(&self, value: f64) {
        let mut gauges = self.2.0.lock().unwrap();
        gauges.insert(self.0.clone(), value.to_string());
        gauges.insert(format!("{} {}", self.0, self.1), value.to_string());
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let issuer = key.labels().find(|label| label.key() == "issuer");
        let issuer = issuer.map(|label| label.value().to_owned()).unwrap_or_default();
        Gauge::from_arc(Arc::new(OneGauge(key.name().to_owned(), issuer, self.clone())))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
