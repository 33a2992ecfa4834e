//! *The n-th call fails*: a test has the n-th allocation of its thread answered as if there were no
//! memory.
//!
//! Without the feature `crash-points` it compiles to nothing.

/// Answers that there is no memory, if a test wants it here.
macro_rules! fails_here {
    ($me:expr, $size:expr) => {
        #[cfg(feature = "crash-points")]
        $crate::shm::heap::nth_call::look($me, $size)?;
    };
}

pub(super) use fails_here;

#[cfg(feature = "crash-points")]
mod armed {
    use std::cell::Cell;

    use super::super::usage::OutOfMemory;
    use crate::shm::member::Member;

    thread_local! {
        /// Allocations until the one that fails; 0 for none.
        static LEFT: Cell<u64> = const { Cell::new(0) };
        /// Allocations since that was set.
        static PASSED: Cell<u64> = const { Cell::new(0) };
    }

    /// The `n`-th allocation of the calling thread from now on, from 1, fails, and none after it does;
    /// none at all for 0. How many there were since this was last called.
    pub fn fail_at(n: u64) -> u64 {
        LEFT.set(n);
        PASSED.replace(0)
    }

    /// No allocation fails any more; whether one has.
    #[must_use]
    pub fn has_failed() -> bool {
        LEFT.replace(0) == 0
    }

    pub(crate) fn look(me: &Member, size: u64) -> Result<(), OutOfMemory> {
        PASSED.set(PASSED.get() + 1);
        let left = LEFT.get();
        if left == 0 {
            return Ok(());
        }
        LEFT.set(left - 1);
        if left == 1 { Err(OutOfMemory::new(me, size)) } else { Ok(()) }
    }
}

#[cfg(feature = "crash-points")]
pub(crate) use armed::look;
#[cfg(feature = "crash-points")]
pub use armed::{fail_at, has_failed};
