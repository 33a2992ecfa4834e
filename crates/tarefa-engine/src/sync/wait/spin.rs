//! Spinning before a sleep, for as long as it has turned out to be worth it.

use std::cell::Cell;

use super::awaited::{Awaited, Outcome};
use crate::atomic::Ordering;
use crate::os::clock::{Deadline, now_ns};
use crate::os::process;
use crate::shm::Member;

/// The longest time to spin. A wake-up through the kernel costs about as much.
const SPIN_MOST: u64 = 50_000;
const SPIN_LEAST: u64 = 1_500;

/// How long a thread spins in waits of one sort: long where they turn out short, and the other
/// way round.
#[derive(Debug)]
pub struct AdaptiveSpin {
    pub(super) spin: Cell<u64>,
    most: u64,
}

impl AdaptiveSpin {
    /// Spins `first` nanoseconds at first, and never more than `most`.
    #[must_use]
    pub const fn new(first: u64, most: u64) -> Self {
        Self { spin: Cell::new(first), most }
    }

    /// A wait was over after `waited` nanoseconds.
    pub(super) fn learn(&self, waited: u64) {
        let spin = if waited < self.most + self.most / 2 {
            self.most
        } else {
            (self.spin.get() / 2).max(SPIN_LEAST)
        };
        self.spin.set(spin);
    }
}

thread_local! {
    pub(super) static ADAPTIVE_SPIN: AdaptiveSpin = const { AdaptiveSpin::new(20_000, SPIN_MOST) };
}

/// One spin; `None` when the thread is to look around.
pub(super) fn spin_once(
    me: &Member,
    condition: &mut dyn Awaited,
    deadline: Deadline,
    seen: u32,
    spin: u64,
    since: u64,
) -> Option<Outcome> {
    let slot = me.slot();
    loop {
        for _ in 0..16 {
            if condition.ready() {
                return Some(Outcome::Ready);
            }
            std::hint::spin_loop();
        }
        if slot.interrupt.load(Ordering::Relaxed) != seen || deadline.passed() {
            break;
        }
        if now_ns() - since > spin {
            break;
        }
        // What is waited for may be queued for this very processor.
        process::yield_now();
    }
    // A signal that came meanwhile has ended no sleep: the hooks look once more.
    deadline.passed().then(|| if condition.ready() { Outcome::Ready } else { Outcome::TimedOut })
}
