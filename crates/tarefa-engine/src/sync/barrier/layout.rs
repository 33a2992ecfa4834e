//! What lies in the arena of a barrier.

use crate::atomic::AtomicU64;
use crate::os::clock::Deadline;
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::object::ObjectHeader;
use crate::shm::tx::latch::{Latch, PATIENCE};
use crate::sync::wait_queue::Queue;

pub(super) const ROUND: u64 = (1 << 28) - 1;
pub(super) const ACTING: u64 = 1 << 28;
pub(super) const RESETTING: u64 = 1 << 29;
pub(super) const BROKEN: u64 = 1 << 30;
pub(super) const SLEEPERS: u64 = 1 << 31;
pub(super) const COME: u32 = 32;

/// What a waiter's state adds: its round failed.
pub(super) const FAILED: u64 = 1;

#[repr(C)]
#[derive(Debug)]
pub(super) struct Barrier {
    object: ObjectHeader,
    pub(super) latch: Latch,
    pub(super) word: AtomicU64,
    pub(super) parties: AtomicU64,
    /// Why the barrier is broken: see [`Why`].
    pub(super) why: AtomicU64,
    /// The round that `queue` belongs to.
    pub(super) tag: AtomicU64,
    pub(super) queue: Queue,
    /// Seconds that a wait takes at most, as the bits of a double; [`NO_LIMIT`].
    pub(super) limit: AtomicU64,
    /// 1 where the last to come has an action to run.
    pub(super) acts: AtomicU64,
    /// A blob with the action as the front encodes it.
    pub(super) action: AtomicU64,
    /// Parties that have gone on without the latch, and are not taken out; back to 0 with the last.
    pub(super) gone: AtomicU64,
    /// A round that is to be broken, see [`Overdue`]; 0 for none.
    pub(super) overdue: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Barrier {}

pub(super) const NO_LIMIT: u64 = u64::MAX;

/// Why a barrier is broken, or a round failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody called [`abort`](super::abort).
    Aborted,
    /// Somebody called [`reset`](super::reset) while others waited.
    Reset,
    /// A party's time passed before all had come.
    TimedOut,
    /// The action failed.
    ActionFailed,
    /// A party, of the process with this number, died.
    Died(i32),
}

impl Why {
    pub(super) fn pack(self) -> u64 {
        match self {
            Self::Aborted => 1,
            Self::Reset => 2,
            Self::TimedOut => 3,
            Self::ActionFailed => 4,
            Self::Died(pid) => 5 | u64::from(pid as u32) << 8,
        }
    }

    pub(super) fn unpack(word: u64) -> Self {
        match word & 0xff {
            2 => Self::Reset,
            3 => Self::TimedOut,
            4 => Self::ActionFailed,
            5 => Self::Died((word >> 8) as u32 as i32),
            _ => Self::Aborted,
        }
    }
}

/// A round that somebody breaks who does not have the latch, and why, as a word.
pub(super) struct Overdue;

impl Overdue {
    pub(super) fn pack(round: u64, why: Why) -> u64 {
        (round + 1) << 8 | why.pack() & 0xff
    }

    /// Why that round is to be broken, if it is.
    pub(super) fn of(word: u64, round: u64) -> Option<Why> {
        (word >> 8 == round + 1).then(|| Why::unpack(word & 0xff))
    }
}

pub(super) fn at(me: &Member, off: Off) -> &'static Barrier {
    me.arena().at(off)
}

/// For how long a thread waits for a latch whose holder may be stopped.
pub(super) fn soon() -> Deadline {
    Deadline::after(Some(PATIENCE))
}
