//! How many files and sockets the process may have open, and how many connections that makes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files of databases, keys and logs, sockets to other services, and what is accepted before it finds no place.
const OTHERS: u64 = 256;

/// Connections of the whole process: idle ones take about 12 KiB each.
const MOST: u64 = 8192;

/// Connections of one listener, as long as there are few of these.
const MOST_OF_ONE: u64 = 4096;

/// Below this nothing works; the system then refuses before we do.
const LEAST: u64 = 16;

/// Raises the number of descriptors to what the system allows, and gives how many connections each of `listeners` may
/// have with them. Containers and shells often begin with 1,024.
#[must_use]
pub fn connections_of_each(listeners: usize) -> usize {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of open files");
            before.current
        }
    };
    let most = share(current.unwrap_or(u64::MAX), listeners);
    tracing::info!(files.limit = current, connections.limit = most, "connections of each port");
    most
}

fn share(descriptors: u64, listeners: usize) -> usize {
    let listeners = u64::try_from(listeners).unwrap_or(u64::MAX).max(1);
    let others = OTHERS.min(descriptors / 4);
    let each = (descriptors - others).min(MOST) / listeners;
    usize::try_from(each.clamp(LEAST, MOST_OF_ONE)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_descriptors() {
        for (descriptors, listeners, each) in [
            (u64::MAX, 1, 4096),
            (20_000, 8, 1024),
            (1024, 2, 384),
            (1024, 8, 96),
            (256, 1, 192),
            (8, 8, 16),
            (1024, 0, 768),
        ] {
            assert_eq!(share(descriptors, listeners), each, "{descriptors} {listeners}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        assert!(connections_of_each(1) >= 16);
        let after = getrlimit(Resource::Nofile);
        assert_eq!(after.current, after.maximum);
    }
}
