//! Who may be connected: idle connections give way to new ones, and the peer with most of them gives way first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    activity::{Activity, Turn},
    shares::Prefix,
};

/// The open connections of one listener.
///
/// tower's limits and semaphores let nobody in when they are full, and who came first keeps everything. Here, when it
/// is full, who does nothing leaves for who comes.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    open: Mutex<Open>,
    /// Whenever one has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// All but those that were told to leave.
    staying: HashMap<u64, Connection>,
    leaving: usize,
    /// New ones that wait for a place.
    waiting: usize,
}

#[derive(Debug)]
struct Connection {
    peer: Prefix,
    activity: Activity,
    leave: CancellationToken,
}

/// A place among the [`Connections`], until it is dropped.
pub(crate) struct Place {
    connections: Arc<Connections>,
    number: u64,
    pub(crate) activity: Activity,
    /// Cancelled when the connection is to give way.
    pub(crate) leave: CancellationToken,
}

/// Longest wait for a place while all others are being served.
const WAIT: Duration = Duration::from_secs(5);

/// A connection may become idle without ending.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A working connection of the peer with most of them gives way to a peer that has less than half as many, and these.
const HEAD_START: usize = 16;

impl Connections {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default(), ended: Notify::new() })
    }

    /// A place for a new connection of `peer`, or none: then it is one too many.
    pub(crate) async fn enter(self: &Arc<Self>, peer: Prefix) -> Option<Place> {
        let until = Instant::now() + WAIT;
        if let Some(place) = self.try_enter(peer) {
            return Some(place);
        }
        let _waiting = Waiting::begin(self)?;
        while Instant::now() < until {
            let ended = self.ended.notified();
            if let Some(place) = self.try_enter(peer) {
                return Some(place);
            }
            // Either way it is tried again.
            let _ = tokio::time::timeout(LOOK_AGAIN, ended).await;
        }
        None
    }

    /// Sends idle ones away: for want of something that all connections share.
    pub(crate) fn make_room(&self) {
        let mut open = self.lock();
        let few = self.few();
        open.send_away(None, few);
    }

    fn try_enter(self: &Arc<Self>, peer: Prefix) -> Option<Place> {
        let mut open = self.lock();
        if open.staying.len() >= self.most && open.leaving <= self.few() {
            let few = self.few();
            open.send_away(Some(peer), few);
        }
        if open.staying.len() >= self.most || open.leaving > 2 * self.few() {
            return None;
        }
        let number = open.next;
        open.next += 1;
        let (activity, leave) = (Activity::new(), CancellationToken::new());
        let connection = Connection { peer, activity: activity.clone(), leave: leave.clone() };
        open.staying.insert(number, connection);
        Some(Place { connections: Arc::clone(self), number, activity, leave })
    }

    /// How many leave at once: enough that a flood does not have all of them looked at each time.
    fn few(&self) -> usize {
        (self.most / 32).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Tells at most `few` connections of the peer with most of them to leave: those that wait for nothing, longest first;
    /// else those that wait for their peer; else one that is served, if `newcomer` has far fewer.
    fn send_away(&mut self, newcomer: Option<Prefix>, few: usize) {
        let mut count: HashMap<Prefix, usize> = HashMap::new();
        for connection in self.staying.values() {
            *count.entry(connection.peer).or_default() += 1;
        }
        let mut peers: Vec<(Prefix, usize)> = count.iter().map(|(peer, n)| (*peer, *n)).collect();
        peers.sort_unstable_by_key(|(_, connections)| std::cmp::Reverse(*connections));
        for turn in [Turn::Idle, Turn::Peers] {
            for (peer, _) in &peers {
                let found = self.of(*peer, turn);
                if !found.is_empty() {
                    return self.tell(found.into_iter().take(few));
                }
            }
        }
        let Some(newcomer) = newcomer else { return };
        let its = count.get(&newcomer).copied().unwrap_or(0);
        if let Some((peer, most)) = peers.first()
            && *most > 2 * its + HEAD_START
        {
            let found = self.of(*peer, Turn::Ours);
            self.tell(found.into_iter().take(1));
        }
    }

    /// Connections of `peer` whose turn it is, those that were quiet for longest first.
    fn of(&self, peer: Prefix, turn: Turn) -> Vec<u64> {
        let its = self.staying.iter().filter(|(_, connection)| connection.peer == peer);
        let mut found: Vec<(Instant, u64)> = its
            .filter_map(|(number, connection)| {
                let (its_turn, since) = connection.activity.turn();
                (its_turn == turn).then_some((since, *number))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, number)| number).collect()
    }

    fn tell(&mut self, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            if let Some(connection) = self.staying.remove(&number) {
                connection.leave.cancel();
                self.leaving += 1;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        if open.staying.remove(&self.number).is_none() {
            open.leaving = open.leaving.saturating_sub(1);
        }
        drop(open);
        self.connections.ended.notify_waiters();
    }
}

/// One that waits; there are never more of them than leave at once.
struct Waiting(Arc<Connections>);

impl Waiting {
    fn begin(connections: &Arc<Connections>) -> Option<Self> {
        let mut open = connections.lock();
        if open.waiting >= 2 * connections.few() {
            return None;
        }
        open.waiting += 1;
        Some(Self(Arc::clone(connections)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut open = self.0.lock();
        open.waiting = open.waiting.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn peer(last: u8) -> Prefix {
        Prefix::of([192, 0, 2, last].into())
    }

    fn enter(connections: &Arc<Connections>, last: u8) -> Option<Place> {
        connections.enter(peer(last)).now_or_never().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_of_the_peer_with_most_gives_way() {
        let connections = Connections::new(4);
        let alone = enter(&connections, 1).unwrap();
        let mut many = Vec::new();
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(1)).await;
            many.push(enter(&connections, 2).unwrap());
        }
        let working = many[0].activity.begin();
        let new = enter(&connections, 3).unwrap();
        let left: Vec<bool> = many.iter().map(|place| place.leave.is_cancelled()).collect();
        assert_eq!(left, [false, true, false]);
        assert!(!alone.leave.is_cancelled() && !new.leave.is_cancelled());
        drop(working);
    }

    #[tokio::test]
    async fn who_is_served_stays_and_a_new_one_waits_for_a_place() {
        let connections = Connections::new(2);
        let places: Vec<Place> = (0..2).map(|_| enter(&connections, 1).unwrap()).collect();
        let work: Vec<_> = places.iter().map(|place| place.activity.begin()).collect();
        let mut new = Box::pin(connections.enter(peer(2)));
        assert!(new.as_mut().now_or_never().is_none());
        assert!(places.iter().all(|place| !place.leave.is_cancelled()));
        drop((work, places));
        assert!(new.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_is_turned_away_after_a_while_and_few_wait() {
        let connections = Connections::new(1);
        let place = enter(&connections, 1).unwrap();
        let _work = place.activity.begin();
        let mut waiting = [1, 1].map(|last| Box::pin(connections.enter(peer(last))));
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        assert!(matches!(connections.enter(peer(1)).now_or_never(), Some(None)));
        for one in waiting {
            assert!(one.await.is_none());
        }
    }

    #[tokio::test]
    async fn a_peer_whose_requests_are_all_served_gives_way_to_one_that_has_few() {
        let connections = Connections::new(40);
        let greedy: Vec<Place> = (0..40).map(|_| enter(&connections, 1).unwrap()).collect();
        let work: Vec<_> = greedy.iter().map(|place| place.activity.begin()).collect();
        assert!(enter(&connections, 1).is_none(), "not to itself");
        let mut others = Vec::new();
        for place in (0..10).filter_map(|_| enter(&connections, 2)) {
            let request = place.activity.begin();
            others.push((place, request));
        }
        assert!(!others.is_empty());
        let left = greedy.iter().filter(|place| place.leave.is_cancelled()).count();
        assert_eq!(left, others.len());
        drop(work);
    }

    #[tokio::test]
    async fn who_sends_a_body_slowly_gives_way_when_nobody_is_idle() {
        let connections = Connections::new(2);
        let places: Vec<Place> = (0..2).map(|_| enter(&connections, 1).unwrap()).collect();
        let _work: Vec<_> = places.iter().map(|place| place.activity.begin()).collect();
        let _body = places[1].activity.arriving(axum::body::Body::from("slow"));
        let _new = enter(&connections, 1).unwrap();
        assert!(!places[0].leave.is_cancelled() && places[1].leave.is_cancelled());
    }
}
