//! Whether a pool goes on whose workers end before they take work.
//!
//! Without this rule a pool whose workers cannot begin would start one after the other for ever.

/// Workers that may end before they are ready, one after the other, for each that the pool has.
const FALSE_STARTS: u32 = 2;
/// Workers that somebody may kill, one after the other, before one is ready.
const KILLED_STARTS: u32 = 200;

/// How a worker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// It had taken work, or could have.
    Ready,
    /// A signal ended it before that.
    Killed,
    /// It ended of itself before that.
    Failed,
}

/// The starts of a pool's workers. It is its owner's alone.
#[derive(Clone, Copy, Debug)]
pub struct Starts {
    workers: u32,
    initializes: bool,
    /// Whether a worker has been ready.
    one_was_ready: bool,
    /// Workers that ended before they were ready, since one was.
    in_a_row: u32,
}

impl Starts {
    /// For so many workers, each of which calls an initializer first, or none.
    #[must_use]
    pub fn new(workers: u32, initializes: bool) -> Self {
        Self { workers: workers.max(1), initializes, one_was_ready: false, in_a_row: 0 }
    }

    /// A worker has ended, while another was ready or none; whether the pool is to give up.
    ///
    /// An initializer that failed by itself fails the next time, too, and so does one in which the first
    /// of all workers are killed: that is told at once. Where one worker was ready, a kill comes from outside.
    pub fn ended(&mut self, end: WorkerEnd, another_is_ready: bool) -> bool {
        self.one_was_ready |= another_is_ready || end == WorkerEnd::Ready;
        if end == WorkerEnd::Ready {
            self.in_a_row = 0;
            return false;
        }
        self.in_a_row += 1;
        let killed = end == WorkerEnd::Killed;
        if self.initializes && !(killed && self.one_was_ready) {
            return true;
        }
        let most = if killed { KILLED_STARTS } else { FALSE_STARTS.saturating_mul(self.workers) };
        self.in_a_row > most
    }
}

#[cfg(test)]
mod tests {
    use super::WorkerEnd::{Failed, Killed, Ready};
    use super::*;

    #[test]
    fn an_initializer_that_fails_is_told_at_once() {
        for end in [Failed, Killed] {
            assert!(Starts::new(4, true).ended(end, false));
        }
        let mut it = Starts::new(4, true);
        assert!(!it.ended(Ready, false));
        assert!(it.ended(Failed, true));
    }

    #[test]
    fn kills_from_outside_are_outlived() {
        let mut it = Starts::new(1, true);
        assert!(!it.ended(Killed, true));
        assert!((1..KILLED_STARTS).all(|_| !it.ended(Killed, false)));
        assert!(it.ended(Killed, false));
        let mut it = Starts::new(1, false);
        assert!((0..KILLED_STARTS).all(|_| !it.ended(Killed, false)));
        assert!(!it.ended(Ready, false) && !it.ended(Killed, false));
    }

    #[test]
    fn workers_that_cannot_begin_are_few() {
        let mut it = Starts::new(3, false);
        assert!((0..6).all(|_| !it.ended(Failed, false)));
        assert!(it.ended(Failed, false));
    }
}
