//! How long the kernel lets the calling thread run while others are ready: its slice.
//!
//! Since Linux 6.6 a thread that wakes up does not take the processor from one that has not used up its
//! slice yet, some milliseconds of it, and where the kernel looks at its timer only, until the next
//! tick. Whoever works in nobody's name (forks ahead, warms up, takes a process apart) has a short slice,
//! so that who waits for a task gets the processor when the task is done. Its share of the
//! processor stays what it was, and so do policy and niceness.
//!
//! Source: Linux, `sched_setattr(2)`, `sched_runtime` of the policies `SCHED_OTHER` and `SCHED_BATCH`, since
//! 6.12; ones before take no notice of it.

use super::check;
use super::current::Current;
use super::system::System;
use crate::atomic::{AtomicU64, Ordering};

/// The shortest there is, in nanoseconds.
const SHORT: u64 = 100_000;

/// What it was before, here or in the process that forked this one.
static USUAL: AtomicU64 = AtomicU64::new(0);

/// Makes it as short as may be.
pub fn shorten() {
    let Some(before) = set(SHORT) else { return };
    if before != SHORT {
        USUAL.store(before, Ordering::Relaxed);
        // The kernel has promised it the longer one already.
        Current::yield_now();
    }
}

/// Makes it what it was before.
pub fn restore() {
    let _ = set(USUAL.load(Ordering::Relaxed));
}

/// Sets it; what it was, unless the thread has none (a policy of real time).
fn set(slice: u64) -> Option<u64> {
    let size = size_of::<libc::sched_attr>() as u32;
    let mut attributes = libc::sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: it writes the structure, whose size it is told.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    check(got as i32).ok()?;
    let policy = attributes.sched_policy as i32;
    if policy != libc::SCHED_OTHER && policy != libc::SCHED_BATCH {
        return None;
    }
    let before = std::mem::replace(&mut attributes.sched_runtime, slice);
    if before != slice {
        // SAFETY: it reads the structure.
        let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
        check(set as i32).ok()?;
    }
    Some(before)
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_before_when_it_is_restored() {
        let before = set(SHORT).unwrap();
        set(before).unwrap();
        shorten();
        shorten();
        restore();
        assert_eq!(set(before), Some(before));
    }
}
