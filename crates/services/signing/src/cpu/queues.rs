//! What waits for a thread, by whose it is, and what is next.
//!
//! A fair turn is the usual one of network schedulers: each queue has a clock that its jobs move on by the time
//! that they took, divided by its weight, and the queue whose clock is behind is next. By hand, as nothing of
//! tower knows how long a job takes: it counts requests, and one can take a hundred times as long as another.

use std::{collections::VecDeque, num::NonZeroU32, time::Duration};

use super::Overloaded;

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Which queue of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueId(usize);

/// All that waits.
pub(super) struct Queues {
    /// Steps of what was let in, before all that is new.
    next: VecDeque<(QueueId, Job)>,
    of_services: Vec<Queue>,
    /// Those of the services in which something waits; few at a time, however many there are.
    waiting: Vec<QueueId>,
    /// The clock of the queue whose turn was the last.
    now: u64,
    dear_under_way: usize,
    most_dear: usize,
    closed: bool,
}

/// A queue of weight 1 owes at most so much when something is put into it: who had the threads for long while nobody
/// else wanted them does not wait for that afterwards.
const MOST_OWED: u64 = 100_000_000;

/// A job that seems to take longer was not running all the time: the process or the machine stood still.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// New work of one service, all of it cheap or all dear.
struct Queue {
    jobs: VecDeque<Job>,
    capacity: usize,
    weight: NonZeroU32,
    is_dear: bool,
    /// In nanoseconds of a queue of weight 1.
    clock: u64,
    /// What the last job took, in nanoseconds: charged in advance for the next one, so that several threads
    /// do not all take from one queue before the first of them is done.
    usual: u64,
}

/// One job's turn, for settling it afterwards.
pub(super) struct Turn {
    queue: QueueId,
    /// Whether it has one of the places for dear work.
    pub(super) is_dear: bool,
    /// Charged in advance.
    charged: u64,
}

/// A turn that is over.
pub(super) struct Done {
    pub(super) turn: Turn,
    pub(super) took: Duration,
}

impl Queues {
    /// Without a queue yet; at most `most_dear` threads do dear work at once.
    pub(super) fn new(most_dear: usize) -> Self {
        Self {
            next: VecDeque::new(),
            of_services: Vec::new(),
            waiting: Vec::new(),
            now: 0,
            dear_under_way: 0,
            most_dear,
            closed: false,
        }
    }

    pub(super) fn add(&mut self, capacity: usize, weight: NonZeroU32, is_dear: bool) -> QueueId {
        let id = QueueId(self.of_services.len());
        let jobs = VecDeque::new();
        self.of_services.push(Queue { jobs, capacity, weight, is_dear, clock: 0, usual: 0 });
        id
    }

    pub(super) fn push_new(&mut self, id: QueueId, job: Job) -> Result<(), Overloaded> {
        let now = self.now;
        let queue = self.queue(id).filter(|queue| queue.jobs.len() < queue.capacity);
        let queue = queue.ok_or(Overloaded)?;
        let was_empty = queue.jobs.is_empty();
        if was_empty {
            // Who asked for nothing has saved nothing up, and owes little.
            queue.clock = queue.clock.clamp(now, now.saturating_add(MOST_OWED));
        }
        queue.jobs.push_back(job);
        if was_empty {
            self.waiting.push(id);
        }
        Ok(())
    }

    pub(super) fn push_next(&mut self, id: QueueId, job: Job) {
        self.next.push_back((id, job));
    }

    /// The job that is next, if there is one that may be begun.
    pub(super) fn take(&mut self) -> Option<(Turn, Job)> {
        if let Some((queue, job)) = self.next.pop_front() {
            return Some((Turn { queue, is_dear: false, charged: 0 }, job));
        }
        let id = self.behind()?;
        let queue = self.queue(id)?;
        let job = queue.jobs.pop_front()?;
        let charged = queue.usual / u64::from(queue.weight.get());
        let (is_dear, is_empty, clock) = (queue.is_dear, queue.jobs.is_empty(), queue.clock);
        queue.clock = clock.saturating_add(charged);
        self.now = self.now.max(clock);
        if is_empty {
            self.waiting.retain(|waiting| *waiting != id);
        }
        if is_dear {
            self.dear_under_way += 1;
        }
        Some((Turn { queue: id, is_dear, charged }, job))
    }

    /// Charges what a turn took instead of what it was thought to take.
    pub(super) fn settle(&mut self, Done { turn, took }: &Done) {
        if turn.is_dear {
            self.dear_under_way = self.dear_under_way.saturating_sub(1);
        }
        let took = (*took).min(LONGEST_TURN);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(queue) = self.queue(turn.queue) {
            let cost = took / u64::from(queue.weight.get());
            queue.clock = queue.clock.saturating_sub(turn.charged).saturating_add(cost);
            queue.usual = took;
        }
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The queue whose clock is behind those of all others in which something waits that may be begun.
    fn behind(&self) -> Option<QueueId> {
        let dear_may_begin = self.dear_under_way < self.most_dear;
        let of = |id: &QueueId| self.of_services.get(id.0).map(|queue| (queue, *id));
        let may_begin = self.waiting.iter().filter_map(of);
        let may_begin = may_begin.filter(|(queue, _)| dear_may_begin || !queue.is_dear);
        may_begin.min_by_key(|(queue, _)| queue.clock).map(|(_, id)| id)
    }

    fn queue(&mut self, QueueId(at): QueueId) -> Option<&mut Queue> {
        self.of_services.get_mut(at)
    }

    /// How many jobs wait, of all queues: for tests, which wait for it.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.next.len() + self.of_services.iter().map(|queue| queue.jobs.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(weight: u32) -> NonZeroU32 {
        NonZeroU32::new(weight).unwrap()
    }

    fn fill(queues: &mut Queues, id: QueueId, jobs: usize) {
        for _ in 0..jobs {
            queues.push_new(id, Box::new(|| ())).unwrap();
        }
    }

    /// Takes a job, which then took so many microseconds; says of which queue it was.
    fn turn(queues: &mut Queues, micros: impl Fn(QueueId) -> u64) -> Option<QueueId> {
        let (turn, _) = queues.take()?;
        let queue = turn.queue;
        queues.settle(&Done { turn, took: Duration::from_micros(micros(queue)) });
        Some(queue)
    }

    #[test]
    fn one_that_waits_behind_a_hundred_of_another_is_next() {
        let mut queues = Queues::new(1);
        let (busy, calm) = (queues.add(200, weight(1), false), queues.add(200, weight(1), false));
        fill(&mut queues, busy, 100);
        for _ in 0..10 {
            assert_eq!(turn(&mut queues, |_| 70_000), Some(busy));
        }
        fill(&mut queues, calm, 1);
        let order = [turn(&mut queues, |_| 50), turn(&mut queues, |_| 50)];
        assert!(order.contains(&Some(calm)), "{order:?}");
    }

    #[test]
    fn time_is_divided_and_not_the_number_of_jobs() {
        let mut queues = Queues::new(1);
        let (dear, cheap) =
            (queues.add(9999, weight(1), false), queues.add(9999, weight(1), false));
        fill(&mut queues, dear, 1000);
        fill(&mut queues, cheap, 9000);
        let cost = |id| if id == dear { 1000 } else { 10 };
        let taken: Vec<_> = (0..5000).filter_map(|_| turn(&mut queues, cost)).collect();
        let dear_ones = taken.iter().filter(|id| **id == dear).count();
        assert!((45..=55).contains(&dear_ones), "{dear_ones} of 1 ms beside 100 of 10 us each");
    }

    #[test]
    fn a_weight_of_four_has_four_times_the_time() {
        let mut queues = Queues::new(1);
        let (light, heavy) = (queues.add(999, weight(1), false), queues.add(999, weight(4), false));
        fill(&mut queues, light, 900);
        fill(&mut queues, heavy, 900);
        let taken: Vec<_> = (0..500).filter_map(|_| turn(&mut queues, |_| 50)).collect();
        let light_ones = taken.iter().filter(|id| **id == light).count();
        assert!((98..=102).contains(&light_ones), "{light_ones}");
    }

    #[test]
    fn who_asked_for_nothing_has_saved_nothing_up() {
        let mut queues = Queues::new(1);
        let (busy, late) = (queues.add(999, weight(1), false), queues.add(999, weight(1), false));
        fill(&mut queues, busy, 900);
        for _ in 0..500 {
            turn(&mut queues, |_| 1000);
        }
        fill(&mut queues, late, 100);
        let taken: Vec<_> = (0..100).filter_map(|_| turn(&mut queues, |_| 1000)).collect();
        let late_ones = taken.iter().filter(|id| **id == late).count();
        assert!((49..=51).contains(&late_ones), "{late_ones}");
    }

    #[test]
    fn a_job_that_stood_still_does_not_make_its_service_wait_for_as_long() {
        let mut queues = Queues::new(1);
        let (stopped, other) =
            (queues.add(9999, weight(1), false), queues.add(9999, weight(1), false));
        // Somebody stops the process for a minute: with more of it waiting, and with nothing.
        for (waiting, most) in [(2, 1000), (1, 100)] {
            fill(&mut queues, stopped, waiting);
            assert_eq!(turn(&mut queues, |_| 60_000_000), Some(stopped));
            fill(&mut queues, other, 2000);
            if waiting == 1 {
                fill(&mut queues, stopped, 1);
            }
            let of_other = (0..2000).take_while(|_| turn(&mut queues, |_| 1000) == Some(other));
            let of_other = of_other.count();
            assert!(of_other <= most + 1, "{of_other} ms of the other one before it");
            while turn(&mut queues, |_| 1000).is_some() {}
        }
    }

    #[test]
    fn steps_of_accepted_work_are_charged_to_their_service() {
        let mut queues = Queues::new(1);
        let (one, other) = (queues.add(999, weight(1), false), queues.add(999, weight(1), false));
        fill(&mut queues, one, 1);
        fill(&mut queues, other, 3);
        queues.push_next(one, Box::new(|| ()));
        let order: Vec<_> = std::iter::from_fn(|| turn(&mut queues, |_| 100)).collect();
        assert_eq!(order[0], one, "a step goes before");
        assert_eq!(order[1], other, "and is paid for");
        assert_eq!(order.len(), 5);
    }

    #[test]
    fn several_threads_do_not_all_take_from_the_queue_that_is_behind() {
        let mut queues = Queues::new(4);
        let (one, other) = (queues.add(99, weight(1), false), queues.add(99, weight(1), false));
        fill(&mut queues, one, 9);
        assert_eq!(turn(&mut queues, |_| 1000), Some(one));
        fill(&mut queues, other, 9);
        assert_eq!(turn(&mut queues, |_| 1500), Some(other));
        let under_way = (0..3).filter_map(|_| queues.take());
        let of: Vec<_> = under_way.map(|(turn, _)| turn.queue).collect();
        assert_eq!(of, [one, other, one], "each is charged when it begins");
    }

    #[test]
    fn dear_work_has_its_places_and_no_more() {
        let mut queues = Queues::new(1);
        let (cheap, dear) = (queues.add(9, weight(4), false), queues.add(9, weight(1), true));
        fill(&mut queues, dear, 3);
        let (first, _) = queues.take().unwrap();
        assert!(first.is_dear && queues.take().is_none(), "the others are for cheap work");
        fill(&mut queues, cheap, 1);
        assert_eq!(queues.take().unwrap().0.queue, cheap);
        queues.settle(&Done { turn: first, took: Duration::from_millis(70) });
        assert_eq!(queues.take().unwrap().0.queue, dear);
    }

    #[test]
    fn a_full_queue_refuses_its_own_service_alone() {
        let mut queues = Queues::new(1);
        let (one, other) = (queues.add(2, weight(1), false), queues.add(2, weight(1), false));
        fill(&mut queues, one, 2);
        assert_eq!(queues.push_new(one, Box::new(|| ())), Err(Overloaded));
        fill(&mut queues, other, 2);
    }
}
