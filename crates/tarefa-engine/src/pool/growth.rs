//! Whether a worker has grown so large that another is to take its place: the soft limit of memory.

use crate::os::{clock, rlimit};

/// Nanoseconds between two looks, for one takes some microseconds.
const EVERY: u64 = 10_000_000;

/// The private memory of the calling process, beside what it had when this was made.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    most: u64,
    /// `None` where the system does not say.
    before: Option<u64>,
    /// When to look again, in nanoseconds of the monotonic clock.
    next: u64,
}

impl Growth {
    /// It may grow by so many bytes.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self { most, before: rlimit::private_memory(), next: 0 }
    }

    /// Whether it has grown by more. Where the last look was a moment ago this is false; where the system
    /// does not say how much memory a process has, always.
    pub fn is_past(&mut self) -> bool {
        let now = clock::now_ns();
        let Some(before) = self.before.filter(|_| now >= self.next) else { return false };
        self.next = now + EVERY;
        rlimit::private_memory().is_some_and(|has| has.saturating_sub(before) > self.most)
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_counts_and_what_was_there_does_not() {
        let mut growth = Growth::new(64 << 20);
        assert!(!growth.is_past());
        let kept = vec![1_u8; 256 << 20];
        growth.next = 0;
        assert!(growth.is_past());
        assert!(!growth.is_past(), "it has just looked");
        assert!(!Growth::new(64 << 20).is_past());
        drop(kept);
        growth.next = 0;
        assert!(!growth.is_past());
    }
}
