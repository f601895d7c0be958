use entry::{Budget, EntryError};
use signing::{CpuPool, Lane, Overloaded};

/// Longest request among cheap work, in bytes: reading it takes half a millisecond, and 4 MiB of it thirty.
pub(crate) const MAX_CHEAP_LEN: usize = 128 * 1024;

/// A request whose signatures are to be verified.
pub(crate) struct Unverified {
    /// Bytes of it.
    pub(crate) length: usize,
    /// What it may cost.
    pub(crate) budget: Budget,
}

impl Unverified {
    /// Verifies it off the runtime's threads, with the cheap work of its service or with the dear.
    ///
    /// Nobody knows what it costs before it is read. So it is tried with the budget of what nearly every client
    /// sends; what that does not suffice for begins anew with the dear work, behind others of its kind.
    ///
    /// # Errors
    /// [`Overloaded`] when it would be the first job of its request, or is dear, and the queue is full.
    pub(crate) async fn verify<T: Send + 'static>(
        self,
        cpu: &CpuPool,
        lane: &mut Lane,
        verify: impl Fn(&mut Budget) -> Result<T, EntryError> + Clone + Send + 'static,
    ) -> Result<Result<T, EntryError>, Overloaded> {
        let Self { length, mut budget } = self;
        if length <= MAX_CHEAP_LEN {
            let verify = verify.clone();
            let verified = cpu.run_in(lane, move || verify(&mut Budget::few())).await?;
            if !matches!(verified, Err(EntryError::TooMuchWork { .. })) {
                return Ok(verified);
            }
        }
        *lane = Lane::Next;
        cpu.run_dear(move || verify(&mut budget)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    fn unverified(length: usize) -> Unverified {
        Unverified { length, budget: Budget::whole() }
    }

    /// Keeps every thread busy that dear work may have, until it is dropped.
    async fn hold_dear(cpu: &CpuPool) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let cpu = cpu.clone();
        tokio::spawn(async move {
            let job = move || {
                started.send(()).unwrap();
                held.recv().unwrap_err();
            };
            cpu.run_dear(job).await.unwrap();
        });
        running.await.unwrap();
        release
    }

    /// Verifies what needs more than the first budget, and says how often it was begun.
    fn dear() -> impl Fn(&mut Budget) -> Result<usize, EntryError> + Clone + Send + 'static {
        let begun = Arc::new(AtomicUsize::new(0));
        move |_| match begun.fetch_add(1, Ordering::Relaxed) {
            0 => Err(EntryError::TooMuchWork { limit: 0 }),
            before => Ok(before + 1),
        }
    }

    #[tokio::test]
    async fn cheap_requests_pass_while_dear_ones_wait_for_each_other() {
        let cpu = CpuPool::new(2);
        let release = hold_dear(&cpu).await;
        let of_dear = cpu.clone();
        let waiting =
            tokio::spawn(
                async move { unverified(1).verify(&of_dear, &mut Lane::New, dear()).await },
            );
        let of_long = cpu.clone();
        let long = tokio::spawn(async move {
            unverified(MAX_CHEAP_LEN + 1).verify(&of_long, &mut Lane::New, |_| Ok(7)).await
        });
        let cheap = unverified(MAX_CHEAP_LEN).verify(&cpu, &mut Lane::New, |_| Ok(7)).await;
        assert_eq!(cheap.unwrap().unwrap(), 7);
        assert!(!waiting.is_finished() && !long.is_finished());
        drop(release);
        assert_eq!(waiting.await.unwrap().unwrap().unwrap(), 2, "begun among the cheap, and anew");
        assert_eq!(long.await.unwrap().unwrap().unwrap(), 7);
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_request_is_said_at_once() {
        let cpu = CpuPool::new(1);
        let mut lane = Lane::New;
        let refused =
            unverified(1).verify(&cpu, &mut lane, |_| Err::<(), _>(EntryError::Missing("kind")));
        assert!(matches!(refused.await.unwrap(), Err(EntryError::Missing("kind"))));
        assert_eq!(lane, Lane::Next);
    }
}
