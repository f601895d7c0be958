//! Who may be connected: idle connections give way to new ones, and the peer with most of them gives way first.

use std::{
    cmp::Reverse,
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
    /// Before then nobody looks for one to send away, for who asks and for who waited long.
    next_look: HashMap<Need, Instant>,
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

/// From a look that found too few to the next: a look takes all connections, and a flood of new ones asks at each.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Who is served is sent away for nobody who waited less: most are served within.
const PATIENCE: Duration = Duration::from_secs(1);

/// As many may wait on the smallest listener: a handful of honest clients at once.
const FEWEST_WAITING: usize = 16;

/// A working connection of the peer with most of them gives way to a peer that has less than half as many, and these.
const HEAD_START: usize = 16;

impl Connections {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default(), ended: Notify::new() })
    }

    /// A place for a new connection of `peer`, or none: then it is one too many.
    pub(crate) async fn enter(self: &Arc<Self>, peer: Prefix) -> Option<Place> {
        let begin = Instant::now();
        if let Some(place) = self.try_enter(peer, Need::New) {
            return Some(place);
        }
        let _waiting = Waiting::begin(self)?;
        while begin.elapsed() < WAIT {
            let ended = self.ended.notified();
            let need = if begin.elapsed() < PATIENCE { Need::New } else { Need::Long };
            if let Some(place) = self.try_enter(peer, need) {
                return Some(place);
            }
            // Either way it is tried again.
            let _ = tokio::time::timeout(LOOK_AGAIN, ended).await;
        }
        None
    }

    /// Sends idle ones away: for want of something that all connections share.
    pub(crate) fn make_room(&self) {
        self.lock().send_away(None, self.few());
    }

    fn try_enter(self: &Arc<Self>, peer: Prefix, need: Need) -> Option<Place> {
        let mut open = self.lock();
        if open.staying.len() >= self.most && open.leaving <= self.few() && open.may_look(need) {
            let newcomer = (need == Need::Long).then_some(peer);
            let told = open.send_away(newcomer, self.few());
            if told < self.few() {
                open.next_look.insert(need, Instant::now() + BETWEEN_LOOKS);
            }
            for _ in 1..told.min(open.waiting) {
                self.ended.notify_one();
            }
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

/// In the order in which they leave: turn, connections of the peer, since when it was quiet, number.
type Candidate = (Turn, Reverse<usize>, Instant, u64);

/// How much a new connection needs a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Need {
    New,
    /// It has waited.
    Long,
}

impl Open {
    fn may_look(&self, need: Need) -> bool {
        self.next_look.get(&need).is_none_or(|next| *next <= Instant::now())
    }

    /// Tells at most `few` connections to leave, and says how many: those that wait for nothing, else those that wait for
    /// their peers; of the peer with most of them first, and longest first. Else one that is served, if `newcomer` has far
    /// fewer than its peer.
    ///
    /// One pass, whatever peers there are: everybody else waits for it.
    fn send_away(&mut self, newcomer: Option<Prefix>, few: usize) -> usize {
        let mut count: HashMap<Prefix, usize> = HashMap::new();
        for connection in self.staying.values() {
            *count.entry(connection.peer).or_default() += 1;
        }
        let connections_of = |peer: &Prefix| count.get(peer).copied().unwrap_or(0);
        let mut found: Vec<Candidate> = Vec::with_capacity(self.staying.len());
        found.extend(self.staying.iter().map(|(number, connection)| {
            let (turn, since) = connection.activity.turn();
            (turn, Reverse(connections_of(&connection.peer)), since, *number)
        }));
        let Some((turn, ..)) = found.iter().min().copied() else { return 0 };
        found.retain(|(its_turn, ..)| *its_turn == turn);
        found.sort_unstable();
        let few = match (turn, newcomer, found.first()) {
            (Turn::Idle | Turn::Peers, ..) => few,
            (Turn::Ours, Some(newcomer), Some((_, Reverse(most), ..)))
                if *most > 2 * connections_of(&newcomer) + HEAD_START =>
            {
                1
            }
            (Turn::Ours, ..) => 0,
        };
        self.tell(found.into_iter().take(few).map(|(.., number)| number))
    }

    fn tell(&mut self, numbers: impl Iterator<Item = u64>) -> usize {
        let before = self.leaving;
        for number in numbers {
            if let Some(connection) = self.staying.remove(&number) {
                connection.leave.cancel();
                self.leaving += 1;
            }
        }
        self.leaving - before
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        if open.staying.remove(&self.number).is_none() {
            open.leaving = open.leaving.saturating_sub(1);
        }
        drop(open);
        // There is a place for one.
        self.connections.ended.notify_one();
    }
}

/// One that waits; there are hardly more of them than leave at once.
struct Waiting(Arc<Connections>);

impl Waiting {
    fn begin(connections: &Arc<Connections>) -> Option<Self> {
        let mut open = connections.lock();
        if open.waiting >= (2 * connections.few()).max(FEWEST_WAITING) {
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
        let mut waiting = [1; FEWEST_WAITING].map(|last| Box::pin(connections.enter(peer(last))));
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        assert!(matches!(connections.enter(peer(1)).now_or_never(), Some(None)));
        for one in waiting {
            assert!(one.await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_whose_requests_are_all_served_gives_way_to_one_that_has_few_and_waited() {
        let connections = Connections::new(40);
        let greedy: Vec<Place> = (0..40).map(|_| enter(&connections, 1).unwrap()).collect();
        let work: Vec<_> = greedy.iter().map(|place| place.activity.begin()).collect();
        assert!(connections.enter(peer(1)).await.is_none(), "not to itself");
        let left = || greedy.iter().filter(|place| place.leave.is_cancelled()).count();
        assert!(enter(&connections, 2).is_none(), "not at once");
        assert_eq!(left(), 0);
        let begin = Instant::now();
        let place = connections.enter(peer(2)).await.unwrap();
        assert!(begin.elapsed() >= PATIENCE);
        assert_eq!(left(), 1);
        drop((work, place));
    }

    /// What they cost is of one order with what there is: all wait for who looks.
    #[tokio::test(start_paused = true)]
    async fn a_few_leave_at_one_look_though_each_has_a_peer_of_its_own() {
        let connections = Connections::new(128);
        let peer = |number: u8| Prefix::of([127, 0, 0, number].into());
        let unfinished = |place: &Place| {
            let body = axum::body::Body::from("never");
            (place.activity.begin(), place.activity.arriving(body))
        };
        let mut places = Vec::new();
        for number in 0..128 {
            let place = connections.enter(peer(number)).now_or_never().flatten().unwrap();
            places.push((unfinished(&place), place));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let new = connections.enter(peer(200)).now_or_never().flatten().unwrap();
        let _work = unfinished(&new);
        let left = places.iter().filter(|(_, place)| place.leave.is_cancelled()).count();
        assert_eq!(left, connections.few());
        assert!(places[..left].iter().all(|(_, place)| place.leave.is_cancelled()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_looks_no_more_often_than_it_may() {
        let connections = Connections::new(64);
        let places: Vec<Place> = (0..64).map(|_| enter(&connections, 1).unwrap()).collect();
        let work: Vec<_> = places.iter().map(|place| place.activity.begin()).collect();
        assert!(enter(&connections, 2).is_none());
        drop(work);
        assert!(enter(&connections, 2).is_none(), "somebody has just looked");
        tokio::time::advance(BETWEEN_LOOKS).await;
        assert!(enter(&connections, 2).is_some());
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

    /// A flood of bodies held all places but one, which went from newcomer to newcomer before any of them could ask.
    #[tokio::test(start_paused = true)]
    async fn a_newcomer_whose_request_is_on_its_way_does_not_leave_for_the_next() {
        let connections = Connections::new(3);
        let unfinished = |place: &Place| {
            let body = axum::body::Body::from("never");
            (place.activity.begin(), place.activity.arriving(body))
        };
        let mut places = Vec::new();
        for last in 1..4 {
            let place = enter(&connections, last).unwrap();
            places.push((unfinished(&place), place));
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        let new = enter(&connections, 4).unwrap();
        tokio::time::advance(Duration::from_millis(100)).await;
        let next = enter(&connections, 5).unwrap();
        assert!(!new.leave.is_cancelled() && !next.leave.is_cancelled());
        let left = places.iter().filter(|(_, place)| place.leave.is_cancelled()).count();
        assert_eq!(left, 2);
        // Who still says nothing after that is idle as any other.
        tokio::time::advance(Duration::from_secs(1)).await;
        let _third = enter(&connections, 6).unwrap();
        assert!(new.leave.is_cancelled());
    }
}
