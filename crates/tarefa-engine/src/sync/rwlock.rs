//! The read-write lock: any number of readers, or one writer, by turns.
//!
//! - Phase-fair, after Brandenburg and Anderson, "Spin-based reader-writer synchronization for
//!   multiprocessor real-time systems" (2010): after a writer all readers that wait have their
//!   turn, after the readers the next writer has. So a reader waits for one writer at most, and
//!   a writer for the writers before it and one turn of readers before each. Among themselves
//!   writers go in the order in which they came.
//! - A thread that reads may read again, also while a writer waits: it would wait for itself.
//!   A thread that writes may write and read again; if it ends writing first, it goes on
//!   reading, with no writer in between. A reader that asks to write is refused.
//! - What a thread has is one of its process's [`robust_list`]. A dead reader's comes back silently. A
//!   dead writer's is told, once, to the next who comes in either way; the lock is free then.

use super::wait::{BlockingHooks, Outcome, Plain};
use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::os::clock::{self, Deadline};
use crate::shm::Member;
use crate::shm::arena::layout::WaitNode;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::member::slots;
use crate::shm::object::refcount;
use crate::shm::object::robust_list;
use crate::shm::object::robust_list::Hold;
use crate::shm::object::{self, ObjectHeader};
use crate::shm::recovery::wait_nodes::{self, Recovery};
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::Latch;
use crate::sync::lock::word::Holder;
use crate::sync::object_kinds::{Frees, Holders, KindInfo};
use crate::sync::repair::{self, Repair};
use crate::sync::wait_queue;
use crate::sync::wait_queue::{
    Queue, Queued, WaitError, Waiter, Wakes, entering, locked, locked_soon, locked_until, state,
};

/// How a lock is taken, and what a [`Hold`] of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Together with other readers.
    Read = 1,
    /// Alone.
    Write = 2,
}

impl Mode {
    fn of(number: u64) -> Self {
        if number == Self::Write as u64 { Self::Write } else { Self::Read }
    }

    fn hold(self, object: Off, thread: u32) -> Hold {
        Hold { object, what: self as u64, thread }
    }
}

#[repr(C)]
#[derive(Debug)]
struct RwLock {
    object: ObjectHeader,
    latch: Latch,
    /// Times that it is held for reading.
    readers: AtomicU64,
    /// The thread that writes, as [`Member::name`]; 0 for none.
    writer: AtomicU64,
    /// How often the writer has taken it, besides the first time.
    depth: AtomicU64,
    /// When the writer took it, in nanoseconds of the coarse monotonic clock.
    since: AtomicU64,
    /// 0, or that a writer died and nobody was told so far: 1, and its process above bit 8.
    died: AtomicU64,
    /// Writers that died, shifted left by 32, and the process of the last.
    deaths: AtomicU64,
    /// `deaths` when somebody last said that what the lock guards is whole.
    poison_cleared: AtomicU64,
    /// What is done about a writer's death: see [`crate::sync::repair`]; 0 for nothing.
    repair: AtomicU64,
    /// 1 while those in `reading` have their turn, after a writer.
    turn: AtomicU64,
    /// Readers that wait.
    reading: Queue,
    /// Writers that wait.
    writing: Queue,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for RwLock {}

/// How an attempt to take a read-write lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The lock is the caller's.
    Yes,
    /// It would have to wait, or the deadline passed first.
    TimedOut,
    /// The wait was interrupted.
    Interrupted,
    /// The process that held it for writing (its number), or the thread, died; the lock is free
    /// of it now, and not the caller's.
    OwnerDied(Option<i32>),
    /// The caller reads, and asked to write: it would wait for itself.
    Upgrade,
}

/// The lock is not held in that way by the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock is not held in that way by this thread: nothing to release")]
pub struct NotHeld;

/// What it is to those who wait for it.
pub(super) const SORT: KindInfo =
    KindInfo { name: None, holders: Holders::Noted(|_, _, _| true), frees: Frees::All };

/// What is done for the dead.
pub(super) const RECOVERY: Recovery =
    Recovery { abandon, return_hold, give_up: Some(give_up), with_thread: true };

/// Makes a read-write lock; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kinds::RWLOCK, size_of::<RwLock>() as u64)
        .and_then(|off| refcount::adopt(me, off, savepoint).map(|()| off));
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

fn at(me: &Member, off: Off) -> &'static RwLock {
    me.arena().at(off)
}

impl Queued for RwLock {
    fn latch(&'static self) -> &'static Latch {
        &self.latch
    }

    fn grant(&'static self, me: &Member, wakes: &mut Wakes) {
        if self.died.load(Ordering::Relaxed) != 0 {
            self.tell_of_death(me, wakes);
        }
        while self.writer.load(Ordering::Relaxed) == 0 {
            let (reader, writer) = (self.reading.first(me), self.writing.first(me));
            let turn = self.turn.load(Ordering::Relaxed) != 0;
            match (reader, writer) {
                (Some(reader), None) => self.grant(me, Mode::Read, reader, wakes),
                (Some(reader), Some(_)) if turn => self.grant(me, Mode::Read, reader, wakes),
                (_, Some(writer)) if self.readers.load(Ordering::Relaxed) == 0 => {
                    self.grant(me, Mode::Write, writer, wakes);
                }
                _ => {
                    if turn && reader.is_none() {
                        self.turn.store(0, Ordering::Relaxed);
                        crash_point!("rwlock.turn_over");
                    }
                    return;
                }
            }
        }
    }
}

impl RwLock {
    fn queue(&self, mode: Mode) -> &Queue {
        match mode {
            Mode::Read => &self.reading,
            Mode::Write => &self.writing,
        }
    }

    /// Notes in a change that the lock is held once more.
    // crash: part of the caller's change.
    fn add(&self, me: &Member, tx: &mut Tx<'_>, mode: Mode, thread: u32, entry: Off) {
        match mode {
            Mode::Read => tx.set(&self.readers, self.readers.load(Ordering::Relaxed) + 1),
            Mode::Write => {
                let slot = slots::thread_slot(me.arena(), thread);
                tx.set(&self.writer, slot.name.load(Ordering::Relaxed));
                tx.set(&self.depth, 0);
                tx.set(&self.since, clock::coarse_ns());
                tx.set(&self.turn, 0);
            }
        }
        let hold = mode.hold(me.arena().offset_of(self), thread);
        tx.set(robust_list::word(me, entry), hold.pack());
    }

    /// Notes in a change that the lock is held once less.
    // crash: part of the caller's change.
    fn take_off(&self, tx: &mut Tx<'_>, mode: Mode, entry: &AtomicU64) {
        match mode {
            Mode::Read => tx.set(&self.readers, self.readers.load(Ordering::Relaxed) - 1),
            Mode::Write => {
                tx.set(&self.writer, 0);
                tx.set(&self.depth, 0);
                tx.set(&self.turn, u64::from(!self.reading.is_empty()));
            }
        }
        tx.set(entry, 0);
    }

    fn grant(&self, me: &Member, mode: Mode, waiter: Waiter, wakes: &mut Wakes) {
        let mut tx = Tx::begin(me);
        self.queue(mode).remove(me, &mut tx, waiter);
        self.add(me, &mut tx, mode, waiter.thread(), Off(waiter.info()));
        waiter.decide(&mut tx, state::GRANTED, mode as u64);
        crash_point!("rwlock.granting");
        tx.commit();
        crash_point!("rwlock.granted");
        waiter.tell(wakes);
    }

    /// A writer has died: who has waited longest of those whose turn it is hears of it.
    #[cold]
    fn tell_of_death(&self, me: &Member, wakes: &mut Wakes) {
        let readers = self.reading.first(me).map(|w| (Mode::Read, w));
        let next = readers.or_else(|| self.writing.first(me).map(|w| (Mode::Write, w)));
        let Some((mode, waiter)) = next else { return };
        let mut tx = Tx::begin(me);
        self.queue(mode).remove(me, &mut tx, waiter);
        waiter.decide(&mut tx, state::TOLD, mode as u64);
        waiter.note(&mut tx, self.died.load(Ordering::Relaxed));
        tx.set(&self.died, 0);
        crash_point!("rwlock.telling");
        tx.commit();
        crash_point!("rwlock.told");
        waiter.tell(wakes);
    }

    /// Whether a thread may take the lock now; `reads`: it does already.
    fn is_free(&self, mode: Mode, reads: bool) -> bool {
        let free = self.writer.load(Ordering::Relaxed) == 0;
        match mode {
            Mode::Read => free && (reads || self.writing.is_empty()),
            Mode::Write => {
                let queued = !self.reading.is_empty() || !self.writing.is_empty();
                free && self.readers.load(Ordering::Relaxed) == 0 && !queued
            }
        }
    }
}

fn pid_of(died: u64) -> Option<i32> {
    Some((died >> 8) as i32).filter(|pid| *pid != 0)
}

/// What one who comes finds.
enum Came {
    Yes,
    Deeper,
    Waits(Waiter),
    Busy,
    OwnerDied(Option<i32>),
    Upgrade,
}

/// Takes the lock if that needs no waiting.
///
/// # Errors
/// [`OutOfMemory`].
pub fn try_acquire(me: &Member, off: Off, mode: Mode) -> Result<Acquired, OutOfMemory> {
    let entry = robust_list::reserve(me)?;
    let lock = at(me, off);
    let reads = robust_list::has(me, Mode::Read.hold(off, me.index()));
    let now = Deadline::at(0);
    let come = |_: &mut Wakes| lock.come(me, off, mode, entry, reads, false);
    let came = entering(lock, me, &mut Plain, now, come);
    note(me, off, mode, entry, matches!(came, Ok(Ok(Came::Yes))));
    // Only waiting can be too deep.
    Ok(came.map_or(Acquired::TimedOut, |came| came.map_or(Acquired::TimedOut, |c| c.acquired())))
}

impl Came {
    fn acquired(&self) -> Acquired {
        match self {
            Self::Yes | Self::Deeper => Acquired::Yes,
            Self::Waits(_) | Self::Busy => Acquired::TimedOut,
            Self::OwnerDied(pid) => Acquired::OwnerDied(*pid),
            Self::Upgrade => Acquired::Upgrade,
        }
    }
}

/// The entry says what the thread has, or is not needed.
fn note(me: &Member, off: Off, mode: Mode, entry: Off, taken: bool) {
    if taken {
        robust_list::note(me, mode.hold(off, me.index()), entry);
    } else {
        robust_list::unreserve(me, entry);
    }
}

/// Takes the lock, waiting for it.
///
/// # Errors
/// [`WaitError`].
pub fn acquire(
    me: &Member,
    off: Off,
    mode: Mode,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Result<Acquired, WaitError> {
    let entry = robust_list::reserve(me)?;
    let lock = at(me, off);
    let reads = robust_list::has(me, Mode::Read.hold(off, me.index()));
    let come = |_: &mut Wakes| lock.come(me, off, mode, entry, reads, true);
    let came = match entering(lock, me, hooks, deadline, come) {
        Ok(came) => came,
        Err(outcome) => {
            note(me, off, mode, entry, false);
            return Ok(not_taken(outcome));
        }
    };
    let result = match came {
        Ok(Came::Waits(waiter)) => {
            let outcome = wait_queue::wait(lock, me, waiter, hooks, deadline);
            if !me.is_here() {
                // Forked by a signal's handler: place and entry are the parent's.
                return Ok(Acquired::Interrupted);
            }
            let Some(acquired) = lock.leave(me, waiter, outcome) else {
                wait_nodes::defer(me, waiter.node, off, Some(entry));
                return Ok(not_taken(outcome));
            };
            note(me, off, mode, entry, acquired == Acquired::Yes);
            return Ok(acquired);
        }
        Ok(ref came) => Ok(came.acquired()),
        Err(e) => Err(e),
    };
    note(me, off, mode, entry, matches!(came, Ok(Came::Yes)));
    result
}

impl RwLock {
    /// One comes, who `reads` already or not; `waits` where the lock is not free.
    fn come(
        &self,
        me: &Member,
        off: Off,
        mode: Mode,
        entry: Off,
        reads: bool,
        waits: bool,
    ) -> Result<Came, WaitError> {
        let writes = self.writer.load(Ordering::Relaxed) == me.name();
        if writes && mode == Mode::Write {
            self.depth.store(self.depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            crash_point!("rwlock.deeper");
            return Ok(Came::Deeper);
        }
        if reads && mode == Mode::Write {
            return Ok(Came::Upgrade);
        }
        let died = self.died.load(Ordering::Relaxed);
        if died != 0 && !reads {
            self.died.store(0, Ordering::Relaxed);
            crash_point!("rwlock.death_told");
            return Ok(Came::OwnerDied(pid_of(died)));
        }
        if writes || self.is_free(mode, reads) {
            let mut tx = Tx::begin(me);
            self.add(me, &mut tx, mode, me.index(), entry);
            crash_point!("rwlock.taking");
            tx.commit();
            crash_point!("rwlock.taken");
            return Ok(Came::Yes);
        }
        if !waits {
            return Ok(Came::Busy);
        }
        let waiter = Waiter::free(me)?;
        let mut tx = Tx::begin(me);
        waiter.enter(&mut tx, off, mode as u64, entry.0);
        self.queue(mode).push(me, &mut tx, waiter);
        tx.commit();
        crash_point!("rwlock.queued");
        Ok(Came::Waits(waiter))
    }

    /// The wait has ended; how, all in all. `None` if the latch is not to be had before long.
    fn leave(&'static self, me: &Member, waiter: Waiter, outcome: Outcome) -> Option<Acquired> {
        let decided = |waiter: Waiter| {
            if waiter.state() == state::TOLD {
                return Acquired::OwnerDied(pid_of(waiter.info()));
            }
            Acquired::Yes
        };
        if outcome == Outcome::Ready || outcome == Outcome::TimedOut && waiter.is_told() {
            let acquired = decided(waiter);
            waiter.leave();
            return Some(acquired);
        }
        locked_soon(self, me, |_| {
            let mode = Mode::of(waiter.detail());
            let state = waiter.state();
            if state != state::WAITING && outcome == Outcome::TimedOut {
                let acquired = decided(waiter);
                waiter.leave();
                return acquired;
            }
            let mut tx = Tx::begin(me);
            self.give_up(me, &mut tx, waiter, state, mode);
            waiter.free_in(&mut tx);
            crash_point!("rwlock.leaving");
            tx.commit();
            crash_point!("rwlock.gave_up");
            if outcome == Outcome::TimedOut { Acquired::TimedOut } else { Acquired::Interrupted }
        })
    }

    /// Undoes, as part of a change, what has come of a wait whose thread does not take it.
    // crash: part of the caller's change.
    fn give_up(&self, me: &Member, tx: &mut Tx<'_>, waiter: Waiter, state: u64, mode: Mode) {
        match state {
            state::GRANTED => self.take_off(tx, mode, robust_list::word(me, Off(waiter.info()))),
            // The next who comes is told instead.
            state::TOLD => tx.set(&self.died, waiter.info()),
            _ => self.queue(mode).remove(me, tx, waiter),
        }
    }
}

/// Lets the lock go once, in the way in which the calling thread has taken it.
///
/// # Errors
/// [`NotHeld`].
pub fn release(me: &Member, off: Off, mode: Mode) -> Result<(), NotHeld> {
    let lock = at(me, off);
    if mode == Mode::Write && lock.writer.load(Ordering::Relaxed) == me.name() {
        // The writer's alone, so it changes under nobody's hands.
        let depth = lock.depth.load(Ordering::Relaxed);
        if depth > 0 {
            lock.depth.store(depth - 1, Ordering::Relaxed);
            crash_point!("rwlock.shallower");
            return Ok(());
        }
    }
    let entry = robust_list::forget(me, mode.hold(off, me.index())).ok_or(NotHeld)?;
    locked(lock, me, |_| {
        let mut tx = Tx::begin(me);
        lock.take_off(&mut tx, mode, robust_list::word(me, entry));
        crash_point!("rwlock.releasing");
        tx.commit();
        crash_point!("rwlock.released");
    });
    robust_list::unreserve(me, entry);
    Ok(())
}

/// The same at the end of a guard, which a fork of the process may have copied: a forked child has
/// nothing to let go then.
///
/// # Errors
/// [`NotHeld`].
pub fn release_guard(me: &Member, off: Off, mode: Mode) -> Result<(), NotHeld> {
    release(me, off, mode).or_else(|e| if me.runtime().was_forked() { Ok(()) } else { Err(e) })
}

/// Times that the lock is held for reading now.
#[must_use]
pub fn readers(me: &Member, off: Off) -> u64 {
    at(me, off).readers.load(Ordering::Acquire)
}

/// The thread that holds it for writing.
#[must_use]
pub fn writer(me: &Member, off: Off) -> Option<Holder> {
    let lock = at(me, off);
    let name = lock.writer.load(Ordering::Acquire);
    let (thread, _) = slots::parse_name(name)?;
    let process = slots::living_owner(me.arena(), (name >> 32) as u32)?;
    Some(Holder { process, thread, since_ns: lock.since.load(Ordering::Relaxed) })
}

/// Whether a writer has died since [`clear_poison`]: for those who leave what the lock guards under
/// suspicion until somebody says that it is whole.
#[must_use]
pub fn poisoned(me: &Member, off: Off) -> bool {
    let lock = at(me, off);
    lock.deaths.load(Ordering::Acquire) != lock.poison_cleared.load(Ordering::Acquire)
}

/// The process of the last writer that died, if it was the process that did.
#[must_use]
pub fn last_dead_pid(me: &Member, off: Off) -> Option<i32> {
    Some(at(me, off).deaths.load(Ordering::Acquire) as u32 as i32).filter(|pid| *pid != 0)
}

/// Says that what the lock guards is whole. The caller holds it for writing.
pub fn clear_poison(me: &Member, off: Off) {
    let lock = at(me, off);
    lock.poison_cleared.store(lock.deaths.load(Ordering::Acquire), Ordering::Release);
    crash_point!("rwlock.mended");
}

/// Keeps what is to be done about a writer's death, as
/// [`LockWord::set_repair`](crate::sync::lock::word::LockWord::set_repair).
///
/// # Errors
/// [`OutOfMemory`]; what was kept before stays.
pub fn set_repair(
    me: &Member,
    off: Off,
    encoded: (u8, &[&[u8]], &[Off]),
) -> Result<(), OutOfMemory> {
    let lock = at(me, off);
    let told = lock.deaths.load(Ordering::Acquire);
    let untold = lock.died.load(Ordering::Acquire) != 0;
    if repair::set(me, off, &lock.repair, encoded)? && !untold {
        lock.poison_cleared.store(told, Ordering::Release);
        crash_point!("rwlock.repair_set");
    }
    Ok(())
}

/// A copy of what it keeps for that.
///
/// # Errors
/// [`OutOfMemory`].
pub fn repair(me: &Member, off: Off) -> Result<Option<Repair>, OutOfMemory> {
    repair::read(me, off, &at(me, off).repair)
}

/// Whether it keeps anything.
#[must_use]
pub fn has_repair(me: &Member, off: Off) -> bool {
    at(me, off).repair.load(Ordering::Relaxed) != 0
}

/// One step of taking a lock apart: what it keeps for repairs.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    !repair::destroy_step(me, &at(me, off).repair)
}

/// Whether the calling thread holds it in that way.
#[must_use]
pub fn is_mine(me: &Member, off: Off, mode: Mode) -> bool {
    robust_list::has(me, mode.hold(off, me.index()))
}

/// Whether somebody holds it, in either way.
#[must_use]
pub fn locked_by_any(me: &Member, off: Off) -> bool {
    readers(me, off) > 0 || writer(me, off).is_some()
}

/// Who holds it, in either way: slots of process and thread, once for each time.
#[must_use]
pub fn holders(me: &Member, off: Off) -> Vec<(u32, u32)> {
    robust_list::holders(me, off)
}

/// How an attempt ended that did not come to anything.
fn not_taken(outcome: Outcome) -> Acquired {
    if outcome == Outcome::Interrupted { Acquired::Interrupted } else { Acquired::TimedOut }
}

/// A wait that was left without the latch ends.
fn give_up(me: &Member, node: &'static WaitNode, off: Off, entry: Off) -> bool {
    let (lock, waiter) = (at(me, off), Waiter::of_node(me, node));
    let mode = Mode::of(waiter.detail());
    if lock.leave(me, waiter, Outcome::Interrupted).is_none() {
        return false;
    }
    note(me, off, mode, entry, false);
    true
}

fn abandon(dead: &Member, node: &'static WaitNode, off: Off, limit: Deadline) -> bool {
    let (lock, waiter) = (at(dead, off), Waiter::of_node(dead, node));
    let abandoned = locked_until(
        lock,
        dead,
        || limit,
        |_| {
            let mut tx = Tx::begin(dead);
            // What was granted and not taken is nobody's death to tell: its thread has not gone on.
            lock.give_up(dead, &mut tx, waiter, waiter.state(), Mode::of(waiter.detail()));
            waiter.free_in(&mut tx);
            crash_point!("rwlock.abandoning");
            tx.commit();
            crash_point!("rwlock.abandoned");
        },
    );
    abandoned.is_some()
}

fn return_hold(dead: &Member, entry: &'static AtomicU64, hold: Hold, limit: Deadline) -> bool {
    let (lock, mode) = (at(dead, hold.object), Mode::of(hold.what));
    let returned = locked_until(
        lock,
        dead,
        || limit,
        |_| {
            let mut tx = Tx::begin(dead);
            lock.take_off(&mut tx, mode, entry);
            if mode == Mode::Write {
                let pid = dead_pid(dead);
                tx.set(&lock.died, 1 | pid << 8);
                let count = (lock.deaths.load(Ordering::Relaxed) >> 32) + 1;
                tx.set(&lock.deaths, count << 32 | pid);
            }
            crash_point!("rwlock.returning");
            tx.commit();
            crash_point!("rwlock.returned");
        },
    );
    returned.is_some()
}

/// The number of the dead process; 0 where only the thread has ended.
fn dead_pid(dead: &Member) -> u64 {
    let owner = dead.slot().owner.load(Ordering::Acquire);
    let process = slots::process_slot(dead.arena(), owner.saturating_sub(1) as u32);
    match slots::owner(process) {
        (pid, crate::shm::arena::layout::process_state::DEAD) => pid as u64,
        _ => 0,
    }
}
