//! The word that every lock of user code is made of: it names the owner, is robust against its
//! death, and fair in the end. Here is what it says, and to whom; `super::acquire`,
//! `super::release` and `super::wait_unlocked` change it, and [`super::handoff`] reserves it.
//!
//! The word, 64 bits in one atomic:
//!
//! | bits | |
//! |---|---|
//! | 0..30 | the owner's thread: slot plus 1, and the slot's generation; 0 for a free lock |
//! | 30 | `HANDOFF`: reserved by a release for that thread, which has not come for it yet |
//! | 31 | `SLEEPERS`: somebody sleeps on the low half, which is the futex |
//! | 32..63 | the owner's process, as [`slots::lock_owner`] |
//!
//! - Acquire and letting go are one compare-and-swap each. Any thread may take a free lock, also
//!   before one that was woken for it, which is what makes a busy lock fast.
//! - So that nobody starves, a thread that has waited for [`PATIENCE_NS`](super::handoff::PATIENCE_NS) and was overtaken
//!   writes its name into `successor`, and the next release reserves the lock for it ("eventual
//!   fairness", as in A. Mutlu's and Go's `sync.Mutex`, 2016, and `parking_lot`).
//! - When the owner's process dies its generation changes, so the word names nobody: the next
//!   to come notes the death, frees the lock, and is told, once. A recursive lock treats a
//!   thread that has ended in the same way, since nobody else could release it.
//! - A reservation whose thread is dead, or waits no longer, is anybody's, and no death to tell.
//! - A thread waits for the lock, as far as a reservation goes, while it notes two things in its
//!   slot: that it sleeps on this word (`waiting_on`) and that it would take it (`taking`).
//!   Whoever stops doing so looks afterwards whether the lock was reserved for it meanwhile, and
//!   hands it on; whoever reserves looks afterwards whether the other still waits.
//!
//! What a death leaves is in `sync/README.md`; `tests/loom/lock.rs` runs it
//! through all interleavings.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::os::clock;
use crate::shm::Member;
use crate::shm::arena::layout::ThreadSlot;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::OutOfMemory;
use crate::shm::member::slots;
use crate::sync::repair::{self, Repair};
use crate::sync::wait;

pub(super) const HANDOFF: u64 = 1 << 30;
pub(super) const SLEEPERS: u64 = 1 << 31;
pub(super) const FLAGS: u64 = HANDOFF | SLEEPERS;

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub struct LockWord {
    pub(super) word: AtomicU64,
    /// The name of the thread that is to be next; 0 for none.
    pub(super) successor: AtomicU64,
    /// When it was taken, in nanoseconds of the coarse monotonic clock; 0 just before that.
    pub(super) since: AtomicU64,
    /// The last owner that it was freed for, because it had died.
    pub(super) last_dead: AtomicU64,
    /// The last of those whose work was looked at since: see [`LockWord::poisoned`].
    pub(super) poison_cleared: AtomicU64,
    /// What is done about a death: see [`crate::sync::repair`]; 0 for nothing.
    repair: AtomicU64,
    /// How often a recursive owner has taken it, besides the first time. The owner's alone.
    pub(super) depth: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for LockWord {}

/// Whether a thread may take a lock that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recursion {
    /// It waits for itself; anybody may release.
    Forbidden,
    /// It may, and releases as often; nobody else may.
    Allowed,
}

/// How an attempt to take a lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The lock is the caller's.
    Yes,
    /// The deadline passed first.
    TimedOut,
    /// The wait was interrupted.
    Interrupted,
    /// The process that held it (its number, where that is still known) died, or the thread
    /// that held it ended; the lock is free now, and not the caller's.
    OwnerDied(Option<i32>),
}

/// The lock is not the caller's to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// Nobody holds it.
    #[error("the lock is not held: nothing to release")]
    Free,
    /// Another thread holds it.
    #[error("the lock is held by another thread, which alone may release it")]
    Another,
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process's slot.
    pub process: u32,
    /// The thread's slot.
    pub thread: u32,
    /// Since when, in nanoseconds of the monotonic clock, to within some milliseconds.
    pub since_ns: u64,
}

/// The thread slot in a name, if the slot is still that thread's.
fn thread_of(me: &Member, name: u64) -> Option<&'static ThreadSlot> {
    let (index, _) = slots::parse_name(name)?;
    let slot = slots::thread_slot(me.arena(), index);
    (slot.name.load(Ordering::Acquire) == name & !FLAGS).then_some(slot)
}

/// Whether somebody has it. A reservation is nobody's to release: its thread goes on waiting.
#[inline]
pub(super) fn is_held(word: u64) -> bool {
    word & !SLEEPERS != 0 && word & HANDOFF == 0
}

impl LockWord {
    /// The half that is slept on.
    pub(super) fn futex(&'static self, me: &Member) -> &'static AtomicU32 {
        // Little-endian, as all supported processors are: the low half comes first.
        wait::word(me, me.arena().offset_of(self))
    }

    /// Whether the thread with that name waits for this very lock, and will look at the word
    /// again before it does anything else.
    pub(super) fn waits(&'static self, me: &Member, name: u64) -> bool {
        let at = me.arena().offset_of(self).0;
        // Both: a thread also notes a word whose sleepers it is about to wake, and it goes on
        // wanting the lock while a signal's handler runs, which may take long.
        thread_of(me, name).is_some_and(|t| {
            t.waiting_on.load(Ordering::Acquire) == at && t.taking.load(Ordering::Acquire) == at
        })
    }

    /// Whether an owner is one that may still let go.
    pub(super) fn lives(me: &Member, recursion: Recursion, owner: u64) -> bool {
        slots::living_owner(me.arena(), (owner >> 32) as u32).is_some()
            && (recursion == Recursion::Forbidden || thread_of(me, owner).is_some())
    }

    /// What the new owner notes of itself.
    #[inline]
    pub(super) fn note_acquired(&self, me: &Member, recursion: Recursion) {
        self.since.store(clock::coarse_ns(), Ordering::Relaxed);
        if recursion == Recursion::Allowed {
            self.depth.store(0, Ordering::Relaxed);
            let held = &me.slot().recursive_held;
            held.store(held.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        crash_point!("lock.noted");
    }

    /// Makes the depth what [`LockWord::release_all`] returned. The lock is the caller's.
    pub fn restore_depth(&self, depth: u32) {
        self.depth.store(depth, Ordering::Relaxed);
        crash_point!("lock.depth_restored");
    }

    /// Whether the calling thread holds it.
    #[inline]
    #[must_use]
    pub fn is_mine(&self, me: &Member) -> bool {
        self.word.load(Ordering::Relaxed) & !SLEEPERS == me.name()
    }

    /// How often a recursive lock that the calling thread holds was taken.
    #[must_use]
    pub fn depth(&self, me: &Member) -> u32 {
        if self.is_mine(me) { self.depth.load(Ordering::Relaxed) + 1 } else { 0 }
    }

    /// Who holds it, if somebody alive does.
    #[must_use]
    pub fn holder(&'static self, me: &Member, recursion: Recursion) -> Option<Holder> {
        let owner = self.word.load(Ordering::Acquire) & !SLEEPERS;
        let reserved = owner & HANDOFF != 0;
        if owner == 0 || !Self::lives(me, recursion, owner) || (reserved && !self.waits(me, owner))
        {
            return None;
        }
        let (thread, _) = slots::parse_name(owner)?;
        let process = slots::living_owner(me.arena(), (owner >> 32) as u32)?;
        let since_ns = match self.since.load(Ordering::Relaxed) {
            0 => clock::coarse_ns(),
            since => since,
        };
        Some(Holder { process, thread, since_ns })
    }

    /// The same, but for a thread that a release has reserved it for and that has not come yet.
    #[must_use]
    pub fn taken_by(&'static self, me: &Member, recursion: Recursion) -> Option<Holder> {
        let reserved = || self.word.load(Ordering::Acquire) & HANDOFF != 0;
        if reserved() {
            return None;
        }
        let holder = self.holder(me, recursion);
        if reserved() { None } else { holder }
    }

    /// Whether somebody alive holds it.
    #[must_use]
    pub fn locked(&'static self, me: &Member, recursion: Recursion) -> bool {
        self.holder(me, recursion).is_some()
    }

    /// Changes with every death of an owner: from the moment on at which the owner is known to
    /// be dead, and once only. For those who have let go of it and want to be told.
    #[must_use]
    pub fn last_death(&'static self, me: &Member, recursion: Recursion) -> u64 {
        let owner = self.word.load(Ordering::Acquire) & !SLEEPERS;
        if owner != 0 && owner & HANDOFF == 0 && !Self::lives(me, recursion, owner) {
            return owner;
        }
        self.last_dead.load(Ordering::Acquire)
    }

    /// The process whose death [`LockWord::last_death`] told last, where that is still known.
    #[must_use]
    pub fn last_dead_pid(&self, me: &Member) -> Option<i32> {
        slots::dead_owner(me.arena(), (self.last_dead.load(Ordering::Acquire) >> 32) as u32)
    }

    /// Whether an owner has died since [`LockWord::clear_poison`]: for those who leave what the lock guards
    /// under suspicion until somebody says that it is whole. The words it looks at are stored
    /// before the lock is free, so no death of who comes next can lose the news. Which process it
    /// was, [`LockWord::last_dead_pid`] says.
    #[must_use]
    pub fn poisoned(&'static self, me: &Member, recursion: Recursion) -> bool {
        self.last_death(me, recursion) != self.poison_cleared.load(Ordering::Acquire)
    }

    /// Says that what the lock guards is whole. The lock is the caller's.
    pub fn clear_poison(&self) {
        self.poison_cleared.store(self.last_dead.load(Ordering::Acquire), Ordering::Release);
        crash_point!("lock.mended");
    }

    /// Keeps what is to be done about the death of an owner, as a front has encoded it: tag, bytes
    /// in parts, objects that these mention. `object` is what the lock is part of. A death that
    /// somebody was told of before there was anything is not to be repaired.
    ///
    /// # Errors
    /// [`OutOfMemory`]; what was kept before stays.
    pub fn set_repair(
        &self,
        me: &Member,
        object: Off,
        encoded: (u8, &[&[u8]], &[Off]),
    ) -> Result<(), OutOfMemory> {
        let told = self.last_dead.load(Ordering::Acquire);
        if repair::set(me, object, &self.repair, encoded)? {
            self.poison_cleared.store(told, Ordering::Release);
            crash_point!("lock.repair_set");
        }
        Ok(())
    }

    /// A copy of what it keeps for that.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn repair(&self, me: &Member, object: Off) -> Result<Option<Repair>, OutOfMemory> {
        repair::read(me, object, &self.repair)
    }

    /// Whether it keeps anything.
    #[inline]
    #[must_use]
    pub fn has_repair(&self) -> bool {
        self.repair.load(Ordering::Relaxed) != 0
    }

    /// Whether the caller, who has just taken it, is to repair first what it guards. Not who has
    /// taken a recursive one again: he may be doing it.
    #[inline]
    #[must_use]
    pub fn is_to_be_repaired(&'static self, me: &Member, recursion: Recursion) -> bool {
        self.has_repair() && self.depth.load(Ordering::Relaxed) == 0 && self.poisoned(me, recursion)
    }

    /// One step of taking the object apart that it is part of; false if there is nothing to do.
    #[must_use]
    pub fn drop_repair(&self, me: &Member) -> bool {
        repair::destroy_step(me, &self.repair)
    }

    /// Whether another living thread holds it: for operations that give way to whoever has
    /// grouped his own.
    #[inline]
    #[must_use]
    pub fn held_by_another(&'static self, me: &Member) -> bool {
        let owner = self.word.load(Ordering::Acquire) & !FLAGS;
        owner != 0 && owner != me.name() && self.holder(me, Recursion::Allowed).is_some()
    }

    /// Whether a living thread holds it, be it the caller. Who reads a container without its
    /// latch asks before and after, and takes the latch if so: the caller's own group must not
    /// see an operation that had entered before the group began, and others nothing of a group.
    #[inline]
    #[must_use]
    pub fn grouped(&'static self, me: &Member) -> bool {
        self.word.load(Ordering::Acquire) != 0 && self.holder(me, Recursion::Allowed).is_some()
    }

    /// Says that somebody is about to sleep; false if the word was changed meanwhile.
    pub(super) fn mark_sleepers(&self, seen: u64) -> bool {
        let marked =
            self.word.compare_exchange(seen, seen | SLEEPERS, Ordering::Relaxed, Ordering::Relaxed);
        crash_point!("lock.announced");
        marked.is_ok()
    }
}
