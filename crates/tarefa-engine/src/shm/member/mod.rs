//! The calling thread as a member of a runtime.

pub mod attach;
pub(in crate::shm) mod fork;
pub mod fork_safe_lock;
pub(in crate::shm) mod held;
pub mod observe;
pub mod report_request;
pub mod runtime;
pub mod slots;
pub mod succession;
pub(in crate::shm) mod thread_slots;
pub mod unblock;

pub use thread_slots::TooManyThreads;

use super::arena::Arena;
use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::layout::{Header, ThreadSlot};
use crate::shm::member::runtime::Runtime;

/// A thread's slot in one runtime: what nearly every function of the engine needs. Two words, which
/// travel in registers: one more, and each operation would begin with a way through the stack.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    runtime: &'static Runtime,
    slot: &'static ThreadSlot,
}

impl Member {
    pub(super) fn new(runtime: &'static Runtime, slot: &'static ThreadSlot) -> Self {
        Self { runtime, slot }
    }

    /// The runtime.
    #[must_use]
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// Its arena.
    #[must_use]
    pub fn arena(&self) -> &'static Arena {
        self.runtime.arena()
    }

    /// Its arena's header.
    #[must_use]
    pub fn header(&self) -> &'static Header {
        self.runtime.arena().header()
    }

    /// The thread's slot.
    #[must_use]
    pub fn slot(&self) -> &'static ThreadSlot {
        self.slot
    }

    /// The slot's number.
    #[must_use]
    pub fn index(&self) -> u32 {
        slots::index_of_thread(self.arena(), self.slot)
    }

    /// What a lock writes down as its owner: see [`crate::shm::member::slots::parse_name`].
    #[must_use]
    #[inline]
    pub fn name(&self) -> u64 {
        self.slot.name.load(Ordering::Relaxed)
    }

    /// Whether it is in no operation: it holds no latch, and no change is under way. The same as
    /// always for who calls from outside; not for the handler of a panic, say.
    #[must_use]
    pub fn is_between_operations(&self) -> bool {
        let holds = |held: &AtomicU64| held.load(Ordering::Relaxed) != 0;
        self.slot.journal_len.load(Ordering::Relaxed) == 0 && !self.slot.held.iter().any(holds)
    }
}
