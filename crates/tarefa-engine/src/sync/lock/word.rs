//! The cell that every lock of user code is made of: one word that names the owner, robust
//! against its death, fair in the end.
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
//! - So that nobody starves, a thread that has waited for [`PATIENCE_NS`] and was overtaken
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
//! What a death leaves is in `README.md` beside this file; `tests/loom/lock.rs` runs it
//! through all interleavings.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::os::clock::{self, Deadline};
use crate::os::futex;
use crate::shm::Member;
use crate::shm::arena::layout::ThreadSlot;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::member::slots;
use crate::sync::wait;
use crate::sync::wait::{Awaited, BlockingHooks, Outcome};

const HANDOFF: u64 = 1 << 30;
const SLEEPERS: u64 = 1 << 31;
const FLAGS: u64 = HANDOFF | SLEEPERS;

/// How long a thread waits before it asks to be the next.
pub const PATIENCE_NS: u64 = 1_000_000;

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub struct LockWord {
    word: AtomicU64,
    /// The name of the thread that is to be next; 0 for none.
    successor: AtomicU64,
    /// When it was taken, in nanoseconds of the coarse monotonic clock; 0 just before that.
    since: AtomicU64,
    /// The last owner that it was freed for, because it had died.
    last_dead: AtomicU64,
    /// The last of those whose work was looked at since: see [`LockWord::poisoned`].
    poison_cleared: AtomicU64,
    /// How often a recursive owner has taken it, besides the first time. The owner's alone.
    depth: AtomicU32,
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
    let slot = slots::thread_slot(me.runtime(), index);
    (slot.name.load(Ordering::Acquire) == name & !FLAGS).then_some(slot)
}

/// Whether somebody has it. A reservation is nobody's to release: its thread goes on waiting.
#[inline]
fn is_held(word: u64) -> bool {
    word & !SLEEPERS != 0 && word & HANDOFF == 0
}

impl LockWord {
    /// The half that is slept on.
    fn futex(&'static self, me: &Member) -> &'static AtomicU32 {
        // Little-endian, as all supported processors are: the low half comes first.
        wait::word(me, me.arena().offset_of(self))
    }

    /// Whether the thread with that name waits for this very lock, and will look at the word
    /// again before it does anything else.
    fn waits(&'static self, me: &Member, name: u64) -> bool {
        let at = me.arena().offset_of(self).0;
        // Both: a thread also notes a word whose sleepers it is about to wake, and it goes on
        // wanting the lock while a signal's handler runs, which may take long.
        thread_of(me, name).is_some_and(|t| {
            t.waiting_on.load(Ordering::Acquire) == at && t.taking.load(Ordering::Acquire) == at
        })
    }

    /// Whether an owner is one that may still let go.
    fn lives(me: &Member, recursion: Recursion, owner: u64) -> bool {
        slots::living_owner(me.runtime(), (owner >> 32) as u32).is_some()
            && (recursion == Recursion::Forbidden || thread_of(me, owner).is_some())
    }

    /// Takes the lock if that needs no waiting.
    #[inline]
    #[must_use]
    pub fn try_acquire(&'static self, me: &Member, recursion: Recursion) -> Option<Acquired> {
        let mine = me.name();
        // Release as well: who reads this name looks at the slot that it names, and must not find
        // there whose slot it was before, and so take the owner for dead.
        let free = self.word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("lock.swapped_free");
        if free.is_ok() {
            self.note_acquired(me, recursion);
            return Some(Acquired::Yes);
        }
        self.attempt(me, recursion)
    }

    #[cold]
    fn attempt(&'static self, me: &Member, recursion: Recursion) -> Option<Acquired> {
        let mut acquire = Acquire::new(self, me, recursion);
        acquire.attempt().ok().map(|()| acquire.verdict())
    }

    /// Takes the lock, waiting for it; `object` is what the lock is part of, for those who look
    /// at who waits for what.
    pub fn acquire(
        &'static self,
        me: &Member,
        recursion: Recursion,
        object: Off,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Acquired {
        if let Some(acquired) = self.try_acquire(me, recursion) {
            return acquired;
        }
        let mut acquire = Acquire::new(self, me, recursion);
        acquire.slot.object = object;
        let outcome = wait::wait(me, hooks, &mut acquire, deadline);
        // Also with the lock in hand: of a plain one anybody may have let go meanwhile.
        acquire.slot.leave();
        match outcome {
            Outcome::Ready => acquire.verdict(),
            Outcome::TimedOut => Acquired::TimedOut,
            Outcome::Interrupted => Acquired::Interrupted,
        }
    }

    /// What the new owner notes of itself.
    #[inline]
    fn note_acquired(&self, me: &Member, recursion: Recursion) {
        self.since.store(clock::coarse_ns(), Ordering::Relaxed);
        if recursion == Recursion::Allowed {
            self.depth.store(0, Ordering::Relaxed);
            let held = &me.slot().recursive_held;
            held.store(held.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        crash_point!("lock.noted");
    }

    /// Lets the lock go: a recursive one only once for each time that it was taken.
    ///
    /// # Errors
    /// [`NotHeld`].
    #[inline]
    pub fn release(&'static self, me: &Member, recursion: Recursion) -> Result<(), NotHeld> {
        let seen = self.word.load(Ordering::Relaxed);
        if !is_held(seen) {
            return Err(NotHeld::Free);
        }
        if recursion == Recursion::Allowed {
            if seen & !SLEEPERS != me.name() {
                return Err(NotHeld::Another);
            }
            let depth = self.depth.load(Ordering::Relaxed);
            if depth > 0 {
                self.depth.store(depth - 1, Ordering::Relaxed);
                crash_point!("lock.shallower");
                return Ok(());
            }
            let held = &me.slot().recursive_held;
            held.store(held.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        self.since.store(0, Ordering::Relaxed);
        if seen & FLAGS == 0 {
            // SYNC POINT: pairs with the acquiring swaps of `try_acquire` and `Acquire::swap`.
            let swap = self.word.compare_exchange(seen, 0, Ordering::Release, Ordering::Relaxed);
            crash_point!("lock.released");
            if swap.is_ok() {
                return Ok(());
            }
        }
        self.release_waking(me)
    }

    /// Lets go and wakes the next, or reserves the lock for its successor.
    #[cold]
    fn release_waking(&'static self, me: &Member) -> Result<(), NotHeld> {
        let futex = self.futex(me);
        wait::waking(me, futex, || {
            loop {
                let seen = self.word.load(Ordering::Relaxed);
                if !is_held(seen) {
                    return Err(NotHeld::Free);
                }
                let successor = self.successor.load(Ordering::Acquire);
                let mut next = 0;
                if successor != 0 {
                    if self.waits(me, successor) {
                        next = successor | FLAGS;
                    } else {
                        let _ = self.successor.compare_exchange(
                            successor,
                            0,
                            Ordering::Relaxed,
                            Ordering::Relaxed,
                        );
                        crash_point!("lock.heir_gone");
                    }
                }
                let swap =
                    self.word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed);
                crash_point!("lock.released_waking");
                if swap.is_err() {
                    continue;
                }
                if next == 0 {
                    futex::wake(futex, 1);
                } else {
                    self.wake_successor(me, successor);
                }
                return Ok(());
            }
        })
    }

    /// The lock is reserved for `successor`: wakes it, or takes the reservation back.
    fn wake_successor(&'static self, me: &Member, successor: u64) {
        // SYNC POINT: pairs with the fence in `HandoffSlot::leave`: either the successor sees the reservation
        // after it has stopped waiting, or this thread sees that it has.
        fence(Ordering::SeqCst);
        if self.waits(me, successor) {
            if let Some((index, _)) = slots::parse_name(successor) {
                wait::wake(me, index);
            }
            return;
        }
        let handoff = successor | FLAGS;
        let swap = self.word.compare_exchange(handoff, 0, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("lock.reservation_back");
        if swap.is_ok() {
            futex::wake(self.futex(me), 1);
        }
    }

    /// Lets a recursive lock go whatever its depth, and returns the depth for
    /// [`LockWord::restore_depth`]. For conditions.
    ///
    /// # Errors
    /// [`NotHeld`].
    pub fn release_all(&'static self, me: &Member, recursion: Recursion) -> Result<u32, NotHeld> {
        let mut depth = 0;
        if recursion == Recursion::Allowed && self.is_mine(me) {
            depth = self.depth.swap(0, Ordering::Relaxed);
            crash_point!("lock.depth_taken");
        }
        self.release(me, recursion).map(|()| depth)
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
        let process = slots::living_owner(me.runtime(), (owner >> 32) as u32)?;
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
        slots::dead_owner(me.runtime(), (self.last_dead.load(Ordering::Acquire) >> 32) as u32)
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

    /// Waits until no other living thread holds it, without taking it, and then does `act`.
    ///
    /// `began` is when the thread began to wait for this, by [`clock::now_ns`]. If it was
    /// overtaken for longer than [`PATIENCE_NS`], the lock is reserved for it during `act`.
    /// Otherwise, and where somebody had seen it between two sleeps, the lock may be taken
    /// before `act` has looked.
    ///
    /// # Errors
    /// [`Outcome::TimedOut`] or [`Outcome::Interrupted`]; `act` was not done.
    pub fn wait_unlocked<T>(
        &'static self,
        me: &Member,
        object: Off,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
        began: u64,
        act: impl FnOnce() -> T,
    ) -> Result<T, Outcome> {
        let mut waiting = WaitUnlocked {
            slot: HandoffSlot { object, ..HandoffSlot::new(self, me) },
            slept: false,
        };
        waiting.slot.began = began;
        let outcome = wait::wait(me, hooks, &mut waiting, deadline);
        if outcome == Outcome::Ready && waiting.slot.is_handed() {
            // The reservation holds while the thread notes that it waits; the death of one that
            // holds nothing else is nobody's loss, and is not told.
            let result = wait::waking(me, self.futex(me), act);
            waiting.slot.leave();
            return Ok(result);
        }
        waiting.slot.leave();
        if waiting.slept {
            // A release wakes one: who does not take the lock wakes the next.
            let futex = self.futex(me);
            wait::waking(me, futex, || futex::wake(futex, 1));
        }
        if outcome == Outcome::Ready { Ok(act()) } else { Err(outcome) }
    }

    /// Says that somebody is about to sleep; false if the word was changed meanwhile.
    fn mark_sleepers(&self, seen: u64) -> bool {
        let marked =
            self.word.compare_exchange(seen, seen | SLEEPERS, Ordering::Relaxed, Ordering::Relaxed);
        crash_point!("lock.announced");
        marked.is_ok()
    }
}

/// A thread's place among those who wait for a lock.
struct HandoffSlot<'a> {
    cell: &'static LockWord,
    me: &'a Member,
    object: Off,
    mine: u64,
    /// Whether it has said in its slot that it would take the lock.
    announced: bool,
    /// When the thread first slept; 0 before.
    began: u64,
}

impl<'a> HandoffSlot<'a> {
    fn new(cell: &'static LockWord, me: &'a Member) -> Self {
        Self { cell, me, object: Off::NONE, mine: me.name(), announced: false, began: 0 }
    }

    /// The thread is in a sleep's note: from here on the lock may be reserved for it.
    fn announce(&mut self) {
        self.announced = true;
        let at = self.me.arena().offset_of(self.cell).0;
        self.me.slot().taking.store(at, Ordering::Release);
        crash_point!("lock.acquire");
    }

    /// The thread was overtaken: asks to be the next if it has waited for long.
    fn overtaken(&mut self) {
        if self.began == 0 {
            self.began = clock::now_ns();
        } else if self.cell.successor.load(Ordering::Relaxed) == 0
            && clock::now_ns() - self.began > PATIENCE_NS
        {
            let successor = &self.cell.successor;
            let _ = successor.compare_exchange(0, self.mine, Ordering::Release, Ordering::Relaxed);
            crash_point!("lock.successor");
        }
    }

    fn is_handed(&self) -> bool {
        self.cell.word.load(Ordering::Acquire) == self.mine | FLAGS
    }

    /// Waits no more; what was reserved for the thread goes to the next.
    fn leave(&mut self) {
        // After a fork in the middle of the wait the slot and the name are the parent's.
        if !self.announced || !self.me.is_here() {
            return;
        }
        self.me.slot().taking.store(0, Ordering::Release);
        crash_point!("lock.left");
        // SYNC POINT: pairs with the fence in `wake_successor`.
        fence(Ordering::SeqCst);
        let successor = &self.cell.successor;
        if successor.load(Ordering::Relaxed) == self.mine {
            let _ = successor.compare_exchange(self.mine, 0, Ordering::Relaxed, Ordering::Relaxed);
            crash_point!("lock.heir_withdrawn");
        }
        if self.is_handed() {
            self.hand_on();
        }
    }

    #[cold]
    fn hand_on(&self) {
        let (cell, futex) = (self.cell, self.cell.futex(self.me));
        wait::waking(self.me, futex, || {
            let handoff = self.mine | FLAGS;
            let swap = cell.word.compare_exchange(handoff, 0, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("lock.reservation_left");
            if swap.is_ok() {
                futex::wake(futex, 1);
            }
        });
    }
}

struct Acquire<'a> {
    slot: HandoffSlot<'a>,
    recursion: Recursion,
    slept: bool,
    /// The dead owner that the lock was freed for.
    dead: u64,
}

impl<'a> Acquire<'a> {
    fn new(cell: &'static LockWord, me: &'a Member, recursion: Recursion) -> Self {
        Self { slot: HandoffSlot::new(cell, me), recursion, slept: false, dead: 0 }
    }

    fn swap(&self, seen: u64, new: u64) -> bool {
        let word = &self.slot.cell.word;
        // SYNC POINT: pairs with the releasing swaps of `release` and `release_waking`.
        let swap = word.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("lock.swapped");
        swap.is_ok()
    }

    fn attempt(&mut self) -> Result<(), u64> {
        let (cell, me, mine) = (self.slot.cell, self.slot.me, self.slot.mine);
        loop {
            let seen = cell.word.load(Ordering::Acquire);
            let owner = seen & !SLEEPERS;
            let done = if owner == 0 {
                // One who slept cannot know whether others still sleep: keep the bit.
                let bit = if self.slept { SLEEPERS } else { seen & SLEEPERS };
                self.swap(seen, mine | bit) && self.note_acquired()
            } else if owner == mine && self.recursion == Recursion::Allowed {
                let depth = &cell.depth;
                depth.store(depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                crash_point!("lock.deeper");
                true
            } else if owner & HANDOFF != 0 {
                if owner != mine | HANDOFF
                    && LockWord::lives(me, self.recursion, owner)
                    && cell.waits(me, owner)
                {
                    return Err(seen);
                }
                self.swap(seen, mine | SLEEPERS) && self.note_acquired()
            } else if LockWord::lives(me, self.recursion, owner) {
                return Err(seen);
            } else {
                self.free_for_dead(seen)
            };
            if done {
                return Ok(());
            }
        }
    }

    fn note_acquired(&self) -> bool {
        self.slot.cell.note_acquired(self.slot.me, self.recursion);
        true
    }

    /// Frees the lock, whose owner is dead; false if somebody else has.
    #[cold]
    fn free_for_dead(&mut self, seen: u64) -> bool {
        let (cell, me) = (self.slot.cell, self.slot.me);
        let (futex, owner) = (cell.futex(me), seen & !SLEEPERS);
        let before = cell.last_dead.load(Ordering::Acquire);
        if cell.word.load(Ordering::Acquire) != seen {
            return false;
        }
        let freed = wait::waking(me, futex, || {
            // Before the lock is free: who looks whether an owner has died must find one or the
            // other. All who come here note the same name, and one who comes late nothing.
            let last = &cell.last_dead;
            let _ = last.compare_exchange(before, owner, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("lock.death_noted");
            let swap = cell.word.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("lock.freed_for_dead");
            if swap.is_ok() {
                futex::wake_all(futex);
            }
            swap.is_ok()
        });
        if freed {
            self.dead = owner;
        }
        freed
    }

    fn verdict(&self) -> Acquired {
        if self.dead == 0 {
            return Acquired::Yes;
        }
        let runtime = self.slot.me.runtime();
        Acquired::OwnerDied(slots::dead_owner(runtime, (self.dead >> 32) as u32))
    }
}

impl Awaited for Acquire<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.slot.cell.futex(self.slot.me)
    }

    fn object(&self) -> Off {
        self.slot.object
    }

    fn ready(&mut self) -> bool {
        self.attempt().is_ok()
    }

    fn announce(&mut self) -> Option<u32> {
        self.slot.announce();
        loop {
            let seen = self.attempt().err()?;
            self.slot.overtaken();
            self.slept = true;
            if self.slot.cell.mark_sleepers(seen) {
                return Some((seen | SLEEPERS) as u32);
            }
        }
    }
}

struct WaitUnlocked<'a> {
    slot: HandoffSlot<'a>,
    slept: bool,
}

impl Awaited for WaitUnlocked<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.slot.cell.futex(self.slot.me)
    }

    fn object(&self) -> Off {
        self.slot.object
    }

    fn ready(&mut self) -> bool {
        !self.slot.cell.held_by_another(self.slot.me)
    }

    fn announce(&mut self) -> Option<u32> {
        self.slot.announce();
        loop {
            let seen = self.slot.cell.word.load(Ordering::Acquire);
            if self.ready() {
                return None;
            }
            self.slot.overtaken();
            self.slept = true;
            if self.slot.cell.mark_sleepers(seen) {
                return Some((seen | SLEEPERS) as u32);
            }
        }
    }
}
