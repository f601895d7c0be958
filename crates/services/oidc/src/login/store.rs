use std::{collections::HashMap, time::Duration};

use moment::UnixSeconds;

/// Values that wait for whoever holds their secret, not many and not for long.
///
/// Looked up by the secret's hash, so that the time of a look-up tells nothing of the secret.
pub(super) struct Bounded<T> {
    entries: HashMap<[u8; 32], Entry<T>>,
    capacity: usize,
    lifetime: Duration,
    inserted: u64,
}

struct Entry<T> {
    /// Counts what was inserted; the clock may stand still or go back.
    number: u64,
    until: UnixSeconds,
    value: T,
}

impl<T> Bounded<T> {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self { entries: HashMap::new(), capacity, lifetime, inserted: 0 }
    }

    /// Keeps `value` from `now` on, and gives its secret: 256 random bits, hex.
    ///
    /// When there are too many, the oldest goes: a flood costs those who wait, and not the memory.
    pub(super) fn insert(&mut self, now: UnixSeconds, value: T) -> String {
        self.entries.retain(|_, entry| now < entry.until);
        while self.entries.len() >= self.capacity {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.number);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            self.entries.remove(&oldest);
        }
        let secret = hex::encode(crypto::random_bytes::<32>());
        let until = now.saturating_add(self.lifetime);
        self.inserted += 1;
        self.entries.insert(key(&secret), Entry { number: self.inserted, until, value });
        secret
    }

    /// The value, which nobody gets a second time.
    pub(super) fn take(&mut self, now: UnixSeconds, secret: &str) -> Option<T> {
        let entry = self.entries.remove(&key(secret))?;
        (now < entry.until).then_some(entry.value)
    }

    pub(super) fn find(&mut self, now: UnixSeconds, secret: &str) -> Option<&mut T> {
        let entry = self.entries.get_mut(&key(secret))?;
        (now < entry.until).then_some(&mut entry.value)
    }

    pub(super) fn values(&mut self, now: UnixSeconds) -> impl Iterator<Item = &mut T> {
        let in_force = self.entries.values_mut().filter(move |entry| now < entry.until);
        in_force.map(|entry| &mut entry.value)
    }
}

fn key(secret: &str) -> [u8; 32] {
    crypto::sha256(secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_once_and_in_time() {
        let mut store = Bounded::new(4, Duration::from_mins(1));
        let (first, second) =
            (store.insert(UnixSeconds(100), 1), store.insert(UnixSeconds(100), 2));
        assert_ne!(first, second);
        assert_eq!(store.take(UnixSeconds(159), &first), Some(1));
        assert_eq!(store.take(UnixSeconds(159), &first), None);
        assert_eq!(store.find(UnixSeconds(160), &second), None);
        assert_eq!(store.take(UnixSeconds(160), &second), None);
        assert_eq!(store.take(UnixSeconds(100), "x"), None);
    }

    #[test]
    fn beyond_its_capacity_the_oldest_goes() {
        let mut store = Bounded::new(3, Duration::from_mins(1));
        let secrets: Vec<_> =
            (0..1000).map(|second| store.insert(UnixSeconds(second / 100), second)).collect();
        assert_eq!(store.entries.len(), 3);
        assert_eq!(store.take(UnixSeconds(10), &secrets[999]), Some(999));
        assert_eq!(store.take(UnixSeconds(10), &secrets[0]), None);
        assert_eq!(store.values(UnixSeconds(10)).count(), 2);
    }
}
