//! Who may be connected: idle connections give way to new ones, and the peer with most of them gives way first.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
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
    /// For new ones until they have a place. Who finds none stays in the system's queue of the listener.
    seats: Arc<Semaphore>,
    /// Whenever one has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// All but those that were told to leave.
    staying: HashMap<u64, Connection>,
    leaving: usize,
    /// New ones of each peer that wait for a place.
    waiting: HashMap<Prefix, usize>,
    /// Before then nobody looks for one to send away, but for a peer that has waited long and not looked.
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

/// How often all others are let run first. Who is told to leave and waits for nothing needs two turns, among as many as have seats.
const TURNS: usize = 16;

/// Who is served is sent away for nobody who waited less: most are served within.
const PATIENCE: Duration = Duration::from_secs(1);

/// As many may wait on the smallest listener: a handful of honest clients at once.
const FEWEST_SEATS: usize = 16;

/// A working connection of the peer with most of them gives way to a peer that has less than half as many, and these.
/// Nor does one count as having more than another below it: it may be the only honest one, among thousands that have one each.
const HEAD_START: usize = 16;

impl Connections {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let seats = Arc::new(Semaphore::new(most_seats(most)));
        Arc::new(Self { most, open: Mutex::default(), seats, ended: Notify::new() })
    }

    /// A seat for one that is to be accepted; it waits until there is one.
    ///
    /// Were it accepted and then turned away, a burst of others would cost it its request.
    pub(crate) async fn seat(&self) -> Seat {
        // Nobody closes them.
        Seat { _permit: Arc::clone(&self.seats).acquire_owned().await.ok() }
    }

    /// A place for a new connection of `peer`, or none: then it is one too many.
    pub(crate) async fn enter(self: &Arc<Self>, _seat: Seat, peer: Prefix) -> Option<Place> {
        let begin = Instant::now();
        if let Some(place) = self.try_enter(peer, Need::New) {
            return Some(place);
        }
        let Some(_waiting) = Waiting::begin(self, peer) else {
            return self.enter_soon(peer).await;
        };
        while begin.elapsed() < WAIT {
            let ended = self.ended.notified();
            let need = if begin.elapsed() < PATIENCE { Need::New } else { Need::Long(peer) };
            if let Some(place) = self.try_enter(peer, need) {
                return Some(place);
            }
            // Either way it is tried again.
            let _ = tokio::time::timeout(LOOK_AGAIN, ended).await;
        }
        None
    }

    /// A place for one whose peer has enough that wait, if those that were told to leave only have to be let run for it.
    ///
    /// It has its request with it, and one address may be that of thousands.
    async fn enter_soon(self: &Arc<Self>, peer: Prefix) -> Option<Place> {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            if let Some(place) = self.try_enter(peer, Need::New) {
                return Some(place);
            }
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
            let newcomer = (need != Need::New).then_some(peer);
            let told = open.send_away(newcomer, self.few());
            if told < self.few() {
                let now = Instant::now();
                open.next_look.retain(|_, next| *next > now);
                open.next_look.insert(need, now + BETWEEN_LOOKS);
            }
            for _ in 1..told.min(self.waiting()) {
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
        few(self.most)
    }

    fn waiting(&self) -> usize {
        most_seats(self.most).saturating_sub(self.seats.available_permits())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn few(most: usize) -> usize {
    if most < 32 { 1 } else { most / 32 }
}

const fn most_seats(most: usize) -> usize {
    let seats = 2 * few(most);
    if seats < FEWEST_SEATS { FEWEST_SEATS } else { seats }
}

/// Where a new connection waits for its place.
pub(crate) struct Seat {
    _permit: Option<OwnedSemaphorePermit>,
}

/// One that waits. A peer has three quarters of the seats at most, so that the others are let in to be compared with it.
struct Waiting {
    connections: Arc<Connections>,
    peer: Prefix,
}

impl Waiting {
    fn begin(connections: &Arc<Connections>, peer: Prefix) -> Option<Self> {
        let mut open = connections.lock();
        let own = open.waiting.entry(peer).or_default();
        if *own >= most_seats(connections.most) / 4 * 3 {
            return None;
        }
        *own += 1;
        Some(Self { connections: Arc::clone(connections), peer })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        if let Entry::Occupied(mut own) = open.waiting.entry(self.peer) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

/// In the order in which they leave: turn, connections of the peer, since when it was quiet, number.
type Candidate = (Turn, Reverse<usize>, Instant, u64);

/// How much a new connection needs a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Need {
    New,
    /// One of this peer has waited.
    Long(Prefix),
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
            let count = connections_of(&connection.peer).max(HEAD_START);
            (turn, Reverse(count), since, *number)
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn peer(last: u8) -> Prefix {
        Prefix::of([192, 0, 2, last].into())
    }

    async fn come(connections: &Arc<Connections>, peer: Prefix) -> Option<Place> {
        connections.enter(connections.seat().await, peer).await
    }

    fn enter(connections: &Arc<Connections>, last: u8) -> Option<Place> {
        come(connections, peer(last)).now_or_never().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_of_the_peer_with_most_gives_way() {
        let connections = Connections::new(20);
        let alone = enter(&connections, 1).unwrap();
        let mut many = Vec::new();
        for _ in 0..19 {
            tokio::time::advance(Duration::from_secs(1)).await;
            many.push(enter(&connections, 2).unwrap());
        }
        let working = many[0].activity.begin();
        let new = enter(&connections, 3).unwrap();
        let left: Vec<bool> = many.iter().map(|place| place.leave.is_cancelled()).collect();
        assert!(left.iter().enumerate().all(|(number, left)| *left == (number == 1)), "{left:?}");
        assert!(!alone.leave.is_cancelled() && !new.leave.is_cancelled());
        drop(working);
    }

    #[tokio::test]
    async fn who_is_served_stays_and_a_new_one_waits_for_a_place() {
        let connections = Connections::new(2);
        let places: Vec<Place> = (0..2).map(|_| enter(&connections, 1).unwrap()).collect();
        let work: Vec<_> = places.iter().map(|place| place.activity.begin()).collect();
        let mut new = Box::pin(come(&connections, peer(2)));
        assert!(new.as_mut().now_or_never().is_none());
        assert!(places.iter().all(|place| !place.leave.is_cancelled()));
        drop((work, places));
        assert!(new.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_is_turned_away_after_a_while_and_few_are_accepted_meanwhile() {
        let connections = Connections::new(1);
        let place = enter(&connections, 1).unwrap();
        let _work = place.activity.begin();
        let mut waiting: Vec<_> =
            (0..FEWEST_SEATS / 4 * 3).map(|_| Box::pin(come(&connections, peer(1)))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        let begin = Instant::now();
        assert!(come(&connections, peer(1)).await.is_none(), "a quarter is for others");
        assert_eq!(begin.elapsed(), Duration::ZERO);
        for _ in waiting.len()..FEWEST_SEATS {
            let mut other = Box::pin(come(&connections, peer(2)));
            assert!(other.as_mut().now_or_never().is_none());
            waiting.push(other);
        }
        assert!(connections.seat().now_or_never().is_none(), "the next one stays outside");
        for one in waiting {
            assert!(one.await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_whose_requests_are_all_served_gives_way_to_one_that_has_few_and_waited() {
        let connections = Connections::new(40);
        let greedy: Vec<Place> = (0..40).map(|_| enter(&connections, 1).unwrap()).collect();
        let work: Vec<_> = greedy.iter().map(|place| place.activity.begin()).collect();
        assert!(come(&connections, peer(1)).await.is_none(), "not to itself");
        let left = || greedy.iter().filter(|place| place.leave.is_cancelled()).count();
        assert!(enter(&connections, 2).is_none(), "not at once");
        assert_eq!(left(), 0);
        let begin = Instant::now();
        let place = come(&connections, peer(2)).await.unwrap();
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
            let place = come(&connections, peer(number)).now_or_never().flatten().unwrap();
            places.push((unfinished(&place), place));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let new = come(&connections, peer(200)).now_or_never().flatten().unwrap();
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

    /// A newcomer that had not asked yet was the only idle one, and left for the next newcomer.
    #[tokio::test(start_paused = true)]
    async fn who_has_just_come_stays_though_all_others_send_bodies_and_have_fewer_connections() {
        let connections = Connections::new(64);
        let mut greedy = Vec::new();
        for number in 0..62 {
            let place = enter(&connections, number).unwrap();
            let body = place.activity.arriving(axum::body::Body::from("never"));
            greedy.push((place.activity.begin(), body, place));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let honest = [(); 2].map(|()| enter(&connections, 200).unwrap());
        let _new = [(); 4].map(|()| enter(&connections, 201).unwrap());
        assert!(honest.iter().all(|place| !place.leave.is_cancelled()));
        assert!(greedy[0].2.leave.is_cancelled());
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
