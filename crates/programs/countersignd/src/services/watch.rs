//! Watches what readiness depends on, beside the requests: tries what is idle, shows it as a metric, and says in
//! the log when it changes.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Background, Check, Served};

/// Between two trials of one thing. It knows by itself whether it is due.
const TRIAL: Duration = Duration::from_secs(5);

/// Between two looks at the checks.
const LOOK: Duration = Duration::from_secs(1);

/// Watches all that `served` need until the process ends; the metric is there from now on.
pub(crate) fn watch(background: &Background, served: &[Served]) {
    for trial in served.iter().flat_map(|one| &one.trials).cloned() {
        // Each by itself: one that takes its time holds up no other.
        background.spawn(|shutdown| async move {
            let trying = async {
                loop {
                    trial().await;
                    tokio::time::sleep(TRIAL).await;
                }
            };
            shutdown.run_until_cancelled(trying).await;
        });
    }
    let mut watched = Watched::new(served.iter().flat_map(|one| one.checks.iter().cloned()));
    watched.look();
    background.spawn(|shutdown| async move {
        let looking = async {
            loop {
                tokio::time::sleep(LOOK).await;
                watched.look();
            }
        };
        shutdown.run_until_cancelled(looking).await;
    });
}

/// The checks of a process, each once, and since when they fail.
struct Watched {
    checks: BTreeMap<String, Check>,
    failing: BTreeMap<String, Instant>,
}

impl Watched {
    fn new(checks: impl Iterator<Item = Check>) -> Self {
        let checks = checks.map(|check| (check.name.clone(), check)).collect();
        Self { checks, failing: BTreeMap::new() }
    }

    fn look(&mut self) {
        for (name, check) in &self.checks {
            let state = (check.state)();
            server::show_ready(name.clone(), state.is_ok());
            match (state, self.failing.get(name)) {
                (Err(why), None) => {
                    warn!(check = %name, why = %why.detail, "not ready");
                    self.failing.insert(name.clone(), Instant::now());
                }
                (Ok(()), Some(since)) => {
                    let after_s = since.elapsed().as_secs();
                    info!(check = %name, after_s, "ready again");
                    self.failing.remove(name);
                }
                _ => {}
            }
        }
    }
}
