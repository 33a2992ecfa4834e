//! The cell that every lock of user code is made of: one word that names the owner, robust
//! against its death, fair in the end.
//!
//! The word, 64 bits in one atomic:
//!
//! | bits | |
//! |---|---|
//! | 0..30 | the owner's thread: slot plus 1, and the slot's generation; 0 for a free lock |
//! | 30 | `HANDED`: reserved by a release for that thread, which has not come for it yet |
//! | 31 | `SLEEPERS`: somebody sleeps on the low half, which is the futex |
//! | 32..63 | the owner's process, as [`slots::lock_owner`] |
//!
//! - Taking and letting go are one compare-and-swap each. Any thread may take a free lock, also
//!   before one that was woken for it, which is what makes a busy lock fast.
//! - So that nobody starves, a thread that has waited for [`PATIENCE_NS`] and was overtaken
//!   writes its name into `heir`, and the next release reserves the lock for it ("eventual
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
//! What a death leaves is in `README.md` beside this file; `tests/loom_lock.rs` runs a model of
//! it through all interleavings.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::os::clock::{self, Deadline};
use crate::os::futex;
use crate::shm::Me;
use crate::shm::arena::layout::ThreadSlot;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::member::slots;
use crate::sync::wait;
use crate::sync::wait::{Condition, Outcome, Parker};

const HANDED: u64 = 1 << 30;
const SLEEPERS: u64 = 1 << 31;
const FLAGS: u64 = HANDED | SLEEPERS;

/// How long a thread waits before it asks to be the next.
pub const PATIENCE_NS: u64 = 1_000_000;

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub struct LockCell {
    word: AtomicU64,
    /// The name of the thread that is to be next; 0 for none.
    heir: AtomicU64,
    /// When it was taken, in nanoseconds of the coarse monotonic clock; 0 just before that.
    since: AtomicU64,
    /// The last owner that it was freed for, because it had died.
    last_dead: AtomicU64,
    /// The last of those whose work was looked at since: see [`LockCell::poisoned`].
    mended: AtomicU64,
    /// How often a recursive owner has taken it, besides the first time. The owner's alone.
    depth: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for LockCell {}

/// Whether a thread may take a lock that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// It waits for itself; anybody may release.
    Plain,
    /// It may, and releases as often; nobody else may.
    Recursive,
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
fn thread_of(me: &Me, name: u64) -> Option<&'static ThreadSlot> {
    let (index, _) = slots::parse_name(name)?;
    let slot = slots::thread_slot(me.runtime(), index);
    (slot.name.load(Ordering::Acquire) == name & !FLAGS).then_some(slot)
}

/// Whether somebody has it. A reservation is nobody's to release: its thread goes on waiting.
#[inline]
fn is_held(word: u64) -> bool {
    word & !SLEEPERS != 0 && word & HANDED == 0
}

impl LockCell {
    /// The half that is slept on.
    fn futex(&'static self, me: &Me) -> &'static AtomicU32 {
        // Little-endian, as all supported processors are: the low half comes first.
        wait::word(me, me.arena().offset_of(self))
    }

    /// Whether the thread with that name waits for this very lock, and will look at the word
    /// again before it does anything else.
    fn waits(&'static self, me: &Me, name: u64) -> bool {
        let at = me.arena().offset_of(self).0;
        // Both: a thread also notes a word whose sleepers it is about to wake, and it goes on
        // wanting the lock while a signal's handler runs, which may take long.
        thread_of(me, name).is_some_and(|t| {
            t.waiting_on.load(Ordering::SeqCst) == at && t.taking.load(Ordering::SeqCst) == at
        })
    }

    /// Whether an owner is one that may still let go.
    fn lives(me: &Me, sort: Sort, owner: u64) -> bool {
        slots::living_owner(me.runtime(), (owner >> 32) as u32).is_some()
            && (sort == Sort::Plain || thread_of(me, owner).is_some())
    }

    /// Takes the lock if that needs no waiting.
    #[inline]
    #[must_use]
    pub fn try_acquire(&'static self, me: &Me, sort: Sort) -> Option<Acquired> {
        let mine = me.name();
        // Release as well: who reads this name looks at the slot that it names, and must not find
        // there whose slot it was before, and so take the owner for dead.
        let free = self.word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("cell.swapped_free");
        if free.is_ok() {
            self.settle(me, sort);
            return Some(Acquired::Yes);
        }
        self.attempt(me, sort)
    }

    #[cold]
    fn attempt(&'static self, me: &Me, sort: Sort) -> Option<Acquired> {
        let mut taking = Taking::new(self, me, sort);
        taking.attempt().ok().map(|()| taking.verdict())
    }

    /// Takes the lock, waiting for it; `object` is what the lock is part of, for those who look
    /// at who waits for what.
    pub fn acquire(
        &'static self,
        me: &Me,
        sort: Sort,
        object: Off,
        parker: &mut dyn Parker,
        deadline: Deadline,
    ) -> Acquired {
        if let Some(acquired) = self.try_acquire(me, sort) {
            return acquired;
        }
        let mut taking = Taking::new(self, me, sort);
        taking.turn.object = object;
        let outcome = wait::wait(me, parker, &mut taking, deadline);
        // Also with the lock in hand: of a plain one anybody may have let go meanwhile.
        taking.turn.leave();
        match outcome {
            Outcome::Ready => taking.verdict(),
            Outcome::TimedOut => Acquired::TimedOut,
            Outcome::Interrupted => Acquired::Interrupted,
        }
    }

    /// What the new owner notes of itself.
    #[inline]
    fn settle(&self, me: &Me, sort: Sort) {
        self.since.store(clock::coarse_ns(), Ordering::Relaxed);
        if sort == Sort::Recursive {
            self.depth.store(0, Ordering::Relaxed);
            let held = &me.slot().recursive_held;
            held.store(held.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        crash_point!("cell.settled");
    }

    /// Lets the lock go: a recursive one only once for each time that it was taken.
    ///
    /// # Errors
    /// [`NotHeld`].
    #[inline]
    pub fn release(&'static self, me: &Me, sort: Sort) -> Result<(), NotHeld> {
        let seen = self.word.load(Ordering::Relaxed);
        if !is_held(seen) {
            return Err(NotHeld::Free);
        }
        if sort == Sort::Recursive {
            if seen & !SLEEPERS != me.name() {
                return Err(NotHeld::Another);
            }
            let depth = self.depth.load(Ordering::Relaxed);
            if depth > 0 {
                self.depth.store(depth - 1, Ordering::Relaxed);
                crash_point!("cell.shallower");
                return Ok(());
            }
            let held = &me.slot().recursive_held;
            held.store(held.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        self.since.store(0, Ordering::Relaxed);
        if seen & FLAGS == 0 {
            // SYNC POINT: pairs with the acquiring swaps of `try_acquire` and `Taking::swap`.
            let swap = self.word.compare_exchange(seen, 0, Ordering::Release, Ordering::Relaxed);
            crash_point!("cell.released");
            if swap.is_ok() {
                return Ok(());
            }
        }
        self.release_waking(me)
    }

    /// Lets go and wakes the next, or reserves the lock for its heir.
    #[cold]
    fn release_waking(&'static self, me: &Me) -> Result<(), NotHeld> {
        let futex = self.futex(me);
        wait::waking(me, futex, || {
            loop {
                let seen = self.word.load(Ordering::Relaxed);
                if !is_held(seen) {
                    return Err(NotHeld::Free);
                }
                let heir = self.heir.load(Ordering::Acquire);
                let mut next = 0;
                if heir != 0 {
                    if self.waits(me, heir) {
                        next = heir | FLAGS;
                    } else {
                        let _ = self.heir.compare_exchange(
                            heir,
                            0,
                            Ordering::Relaxed,
                            Ordering::Relaxed,
                        );
                        crash_point!("cell.heir_gone");
                    }
                }
                let swap =
                    self.word.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed);
                crash_point!("cell.released_waking");
                if swap.is_err() {
                    continue;
                }
                if next == 0 {
                    futex::wake(futex, 1);
                } else {
                    self.wake_heir(me, heir);
                }
                return Ok(());
            }
        })
    }

    /// The lock is reserved for `heir`: wakes it, or takes the reservation back.
    fn wake_heir(&'static self, me: &Me, heir: u64) {
        // SYNC POINT: pairs with the fence in `Turn::leave`: either the heir sees the reservation
        // after it has stopped waiting, or this thread sees that it has.
        fence(Ordering::SeqCst);
        if self.waits(me, heir) {
            if let Some((index, _)) = slots::parse_name(heir) {
                wait::poke(me, index);
            }
            return;
        }
        let handed = heir | FLAGS;
        let swap = self.word.compare_exchange(handed, 0, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("cell.reservation_back");
        if swap.is_ok() {
            futex::wake(self.futex(me), 1);
        }
    }

    /// Lets a recursive lock go whatever its depth, and returns the depth for
    /// [`LockCell::restore_depth`]. For conditions.
    ///
    /// # Errors
    /// [`NotHeld`].
    pub fn release_all(&'static self, me: &Me, sort: Sort) -> Result<u32, NotHeld> {
        let mut depth = 0;
        if sort == Sort::Recursive && self.is_mine(me) {
            depth = self.depth.swap(0, Ordering::Relaxed);
            crash_point!("cell.depth_taken");
        }
        self.release(me, sort).map(|()| depth)
    }

    /// Makes the depth what [`LockCell::release_all`] returned. The lock is the caller's.
    pub fn restore_depth(&self, depth: u32) {
        self.depth.store(depth, Ordering::Relaxed);
        crash_point!("cell.depth_restored");
    }

    /// Whether the calling thread holds it.
    #[inline]
    #[must_use]
    pub fn is_mine(&self, me: &Me) -> bool {
        self.word.load(Ordering::Relaxed) & !SLEEPERS == me.name()
    }

    /// How often a recursive lock that the calling thread holds was taken.
    #[must_use]
    pub fn depth(&self, me: &Me) -> u32 {
        if self.is_mine(me) { self.depth.load(Ordering::Relaxed) + 1 } else { 0 }
    }

    /// Who holds it, if somebody alive does.
    #[must_use]
    pub fn holder(&'static self, me: &Me, sort: Sort) -> Option<Holder> {
        let owner = self.word.load(Ordering::Acquire) & !SLEEPERS;
        let reserved = owner & HANDED != 0;
        if owner == 0 || !Self::lives(me, sort, owner) || (reserved && !self.waits(me, owner)) {
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
    pub fn taken_by(&'static self, me: &Me, sort: Sort) -> Option<Holder> {
        let reserved = || self.word.load(Ordering::Acquire) & HANDED != 0;
        if reserved() {
            return None;
        }
        let holder = self.holder(me, sort);
        if reserved() { None } else { holder }
    }

    /// Whether somebody alive holds it.
    #[must_use]
    pub fn locked(&'static self, me: &Me, sort: Sort) -> bool {
        self.holder(me, sort).is_some()
    }

    /// Changes with every death of an owner: from the moment on at which the owner is known to
    /// be dead, and once only. For those who have let go of it and want to be told.
    #[must_use]
    pub fn last_death(&'static self, me: &Me, sort: Sort) -> u64 {
        let owner = self.word.load(Ordering::Acquire) & !SLEEPERS;
        if owner != 0 && owner & HANDED == 0 && !Self::lives(me, sort, owner) {
            return owner;
        }
        self.last_dead.load(Ordering::Acquire)
    }

    /// The process whose death [`LockCell::last_death`] told last, where that is still known.
    #[must_use]
    pub fn last_dead_pid(&self, me: &Me) -> Option<i32> {
        slots::dead_owner(me.runtime(), (self.last_dead.load(Ordering::Acquire) >> 32) as u32)
    }

    /// Whether an owner has died since [`LockCell::mend`]: for those who leave what the lock guards
    /// under suspicion until somebody says that it is whole. The words it looks at are stored
    /// before the lock is free, so no death of who comes next can lose the news. Which process it
    /// was, [`LockCell::last_dead_pid`] says.
    #[must_use]
    pub fn poisoned(&'static self, me: &Me, sort: Sort) -> bool {
        self.last_death(me, sort) != self.mended.load(Ordering::Acquire)
    }

    /// Says that what the lock guards is whole. The lock is the caller's.
    pub fn mend(&self) {
        self.mended.store(self.last_dead.load(Ordering::Acquire), Ordering::Release);
        crash_point!("cell.mended");
    }

    /// Whether another living thread holds it: for operations that give way to whoever has
    /// grouped his own.
    #[inline]
    #[must_use]
    pub fn held_by_another(&'static self, me: &Me) -> bool {
        let owner = self.word.load(Ordering::Acquire) & !FLAGS;
        owner != 0 && owner != me.name() && self.holder(me, Sort::Recursive).is_some()
    }

    /// Whether a living thread holds it, be it the caller. Who reads a container without its
    /// latch asks before and after, and takes the latch if so: the caller's own group must not
    /// see an operation that had entered before the group began, and others nothing of a group.
    #[inline]
    #[must_use]
    pub fn grouped(&'static self, me: &Me) -> bool {
        self.word.load(Ordering::Acquire) != 0 && self.holder(me, Sort::Recursive).is_some()
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
    pub fn pass<T>(
        &'static self,
        me: &Me,
        object: Off,
        parker: &mut dyn Parker,
        deadline: Deadline,
        began: u64,
        act: impl FnOnce() -> T,
    ) -> Result<T, Outcome> {
        let mut passing = Passing { turn: Turn { object, ..Turn::new(self, me) }, slept: false };
        passing.turn.began = began;
        let outcome = wait::wait(me, parker, &mut passing, deadline);
        if outcome == Outcome::Ready && passing.turn.is_handed() {
            // The reservation holds while the thread notes that it waits; the death of one that
            // holds nothing else is nobody's loss, and is not told.
            let result = wait::waking(me, self.futex(me), act);
            passing.turn.leave();
            return Ok(result);
        }
        passing.turn.leave();
        if passing.slept {
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
        crash_point!("cell.announced");
        marked.is_ok()
    }
}

/// A thread's place among those who wait for a lock.
struct Turn<'a> {
    cell: &'static LockCell,
    me: &'a Me,
    object: Off,
    mine: u64,
    /// Whether it has said in its slot that it would take the lock.
    announced: bool,
    /// When the thread first slept; 0 before.
    began: u64,
}

impl<'a> Turn<'a> {
    fn new(cell: &'static LockCell, me: &'a Me) -> Self {
        Self { cell, me, object: Off::NONE, mine: me.name(), announced: false, began: 0 }
    }

    /// The thread is in a sleep's note: from here on the lock may be reserved for it.
    fn announce(&mut self) {
        self.announced = true;
        let at = self.me.arena().offset_of(self.cell).0;
        self.me.slot().taking.store(at, Ordering::SeqCst);
        crash_point!("cell.taking");
    }

    /// The thread was overtaken: asks to be the next if it has waited for long.
    fn overtaken(&mut self) {
        if self.began == 0 {
            self.began = clock::now_ns();
        } else if self.cell.heir.load(Ordering::Relaxed) == 0
            && clock::now_ns() - self.began > PATIENCE_NS
        {
            let heir = &self.cell.heir;
            let _ = heir.compare_exchange(0, self.mine, Ordering::Release, Ordering::Relaxed);
            crash_point!("cell.heir");
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
        self.me.slot().taking.store(0, Ordering::SeqCst);
        crash_point!("cell.left");
        // SYNC POINT: pairs with the fence in `wake_heir`.
        fence(Ordering::SeqCst);
        let heir = &self.cell.heir;
        if heir.load(Ordering::Relaxed) == self.mine {
            let _ = heir.compare_exchange(self.mine, 0, Ordering::Relaxed, Ordering::Relaxed);
            crash_point!("cell.heir_withdrawn");
        }
        if self.is_handed() {
            self.hand_on();
        }
    }

    #[cold]
    fn hand_on(&self) {
        let (cell, futex) = (self.cell, self.cell.futex(self.me));
        wait::waking(self.me, futex, || {
            let handed = self.mine | FLAGS;
            let swap = cell.word.compare_exchange(handed, 0, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("cell.reservation_left");
            if swap.is_ok() {
                futex::wake(futex, 1);
            }
        });
    }
}

struct Taking<'a> {
    turn: Turn<'a>,
    sort: Sort,
    slept: bool,
    /// The dead owner that the lock was freed for.
    dead: u64,
}

impl<'a> Taking<'a> {
    fn new(cell: &'static LockCell, me: &'a Me, sort: Sort) -> Self {
        Self { turn: Turn::new(cell, me), sort, slept: false, dead: 0 }
    }

    fn swap(&self, seen: u64, new: u64) -> bool {
        let word = &self.turn.cell.word;
        // SYNC POINT: pairs with the releasing swaps of `release` and `release_waking`.
        let swap = word.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("cell.swapped");
        swap.is_ok()
    }

    fn attempt(&mut self) -> Result<(), u64> {
        let (cell, me, mine) = (self.turn.cell, self.turn.me, self.turn.mine);
        loop {
            let seen = cell.word.load(Ordering::Acquire);
            let owner = seen & !SLEEPERS;
            let done = if owner == 0 {
                // One who slept cannot know whether others still sleep: keep the bit.
                let bit = if self.slept { SLEEPERS } else { seen & SLEEPERS };
                self.swap(seen, mine | bit) && self.settle()
            } else if owner == mine && self.sort == Sort::Recursive {
                let depth = &cell.depth;
                depth.store(depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                crash_point!("cell.deeper");
                true
            } else if owner & HANDED != 0 {
                if owner != mine | HANDED
                    && LockCell::lives(me, self.sort, owner)
                    && cell.waits(me, owner)
                {
                    return Err(seen);
                }
                self.swap(seen, mine | SLEEPERS) && self.settle()
            } else if LockCell::lives(me, self.sort, owner) {
                return Err(seen);
            } else {
                self.free_for_dead(seen)
            };
            if done {
                return Ok(());
            }
        }
    }

    fn settle(&self) -> bool {
        self.turn.cell.settle(self.turn.me, self.sort);
        true
    }

    /// Frees the lock, whose owner is dead; false if somebody else has.
    #[cold]
    fn free_for_dead(&mut self, seen: u64) -> bool {
        let (cell, me) = (self.turn.cell, self.turn.me);
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
            crash_point!("cell.death_noted");
            let swap = cell.word.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("cell.freed_for_dead");
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
        let runtime = self.turn.me.runtime();
        Acquired::OwnerDied(slots::dead_owner(runtime, (self.dead >> 32) as u32))
    }
}

impl Condition for Taking<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.turn.cell.futex(self.turn.me)
    }

    fn object(&self) -> Off {
        self.turn.object
    }

    fn ready(&mut self) -> bool {
        self.attempt().is_ok()
    }

    fn announce(&mut self) -> Option<u32> {
        self.turn.announce();
        loop {
            let seen = self.attempt().err()?;
            self.turn.overtaken();
            self.slept = true;
            if self.turn.cell.mark_sleepers(seen) {
                return Some((seen | SLEEPERS) as u32);
            }
        }
    }
}

struct Passing<'a> {
    turn: Turn<'a>,
    slept: bool,
}

impl Condition for Passing<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.turn.cell.futex(self.turn.me)
    }

    fn object(&self) -> Off {
        self.turn.object
    }

    fn ready(&mut self) -> bool {
        !self.turn.cell.held_by_another(self.turn.me)
    }

    fn announce(&mut self) -> Option<u32> {
        self.turn.announce();
        loop {
            let seen = self.turn.cell.word.load(Ordering::Acquire);
            if self.ready() {
                return None;
            }
            self.turn.overtaken();
            self.slept = true;
            if self.turn.cell.mark_sleepers(seen) {
                return Some((seen | SLEEPERS) as u32);
            }
        }
    }
}
