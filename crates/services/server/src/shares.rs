//! Whose budget a request is on: that of its connection, its peer, its listener and the process.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use http::Extensions;

use crate::meter::Meter;

/// Bytes of bodies in the whole process: waiting for their ends, or for a thread that works on them. An honest body
/// has 2 to 100 KiB and is whole within a second, so this is 600 of the longer ones at any moment.
const BODIES: usize = 64 * 1024 * 1024;

/// Bytes of answers in the whole process that their peers have not read.
const ANSWERS: usize = 64 * 1024 * 1024;

/// What one peer may have of either. Half, because a peer may be a proxy that stands for everybody: alone it has
/// enough, and beside it others still get in.
const PEER: usize = 32 * 1024 * 1024;

/// What one listener may have of either, so that another one is never without.
const LISTENER: usize = 48 * 1024 * 1024;

/// Unread answers of one connection. With [`PEER`] it takes four connections to have all that a peer may have.
const CONNECTION: usize = 8 * 1024 * 1024;

/// The budgets that a request counts on, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    pub(crate) bodies: Arc<Meter>,
    pub(crate) answers: Arc<Meter>,
}

static PROCESS: LazyLock<Shares> = LazyLock::new(|| Shares {
    bodies: Arc::new(Meter::new(BODIES)),
    answers: Arc::new(Meter::new(ANSWERS)),
});

impl Shares {
    /// Those of the request, or those of all where it came by no connection.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().unwrap_or(&*PROCESS).clone()
    }

    fn within(&self, most: usize) -> Self {
        Self { bodies: self.bodies.within(most), answers: self.answers.within(most) }
    }

    /// Those of one connection of this peer.
    pub(crate) fn of_connection(&self) -> Self {
        Self { bodies: Arc::clone(&self.bodies), answers: self.answers.within(CONNECTION) }
    }
}

/// Who shares a budget: an address, or the network of 64 bits that a household or a machine has of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(IpAddr);

impl Prefix {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// The budgets of one listener's peers.
#[derive(Debug)]
pub(crate) struct Peers {
    all: Shares,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    peers: HashMap<Prefix, (Weak<Meter>, Weak<Meter>)>,
    /// With so many, those that hold nothing are forgotten.
    sweep_at: usize,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self { all: PROCESS.within(LISTENER), known: Mutex::default() }
    }

    /// The budgets of a peer. They live as long as it has a connection, or holds anything.
    pub(crate) fn shares(&self, peer: Prefix) -> Shares {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.peers.len() >= known.sweep_at {
            let held = |weak: &Weak<Meter>| weak.strong_count() > 0;
            known.peers.retain(|_, (bodies, answers)| held(bodies) || held(answers));
            known.sweep_at = known.peers.len() * 2 + 64;
        }
        let entry = known.peers.entry(peer).or_default();
        let bodies = entry.0.upgrade().unwrap_or_else(|| self.all.bodies.within(PEER));
        let answers = entry.1.upgrade().unwrap_or_else(|| self.all.answers.within(PEER));
        *entry = (Arc::downgrade(&bodies), Arc::downgrade(&answers));
        Shares { bodies, answers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Size;

    fn prefix(address: &str) -> Prefix {
        Prefix::of(address.parse().unwrap())
    }

    #[test]
    fn a_network_of_64_bits_is_one_peer() {
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff:0:0:1"));
        assert_ne!(prefix("2001:db8::1"), prefix("2001:db8:0:1::1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_eq!(prefix("::ffff:192.0.2.1"), prefix("192.0.2.1"));
    }

    #[test]
    fn a_peer_that_fills_its_share_leaves_room_for_others_and_for_its_own_small_requests() {
        let peers = Peers::new();
        let greedy = peers.shares(prefix("192.0.2.1"));
        let mut held = Vec::new();
        while let Some(taken) = greedy.bodies.take(4 << 20, Size::Large) {
            held.push(taken);
        }
        assert_eq!(held.len(), 6);
        assert!(greedy.bodies.take(Size::SMALL, Size::Small).is_some());
        assert!(peers.shares(prefix("192.0.2.2")).bodies.take(4 << 20, Size::Large).is_some());
        // Another handle is of the same peer.
        assert!(peers.shares(prefix("192.0.2.1")).bodies.take(4 << 20, Size::Large).is_none());
    }

    #[test]
    fn peers_that_hold_nothing_are_forgotten() {
        let peers = Peers::new();
        let kept = peers.shares(prefix("192.0.2.1"));
        for number in 0..10_000u32 {
            peers.shares(Prefix::of(IpAddr::V4(number.into())));
        }
        assert!(peers.known.lock().unwrap().peers.len() < 200);
        let again = peers.shares(prefix("192.0.2.1"));
        assert!(Arc::ptr_eq(&kept.bodies, &again.bodies));
    }
}
