//! The semaphore: a number of permits, given out in the order in which they were asked for.
//!
//! - A permit taken plainly belongs to nobody: any thread of any process may give it back, and
//!   nobody does if that is forgotten.
//! - A permit *held* (inside a `with`) is noted in the process's [`robust_list`] in the same change
//!   that takes it, and comes back when the process dies.
//! - Waiters are a `Queue`: `release` gives the permit to the first of them.

use super::wait::{BlockingHooks, Outcome, Plain};
use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::os::clock::Deadline;
use crate::shm::Member;
use crate::shm::arena::layout::WaitNode;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::refcount;
use crate::shm::object::robust_list;
use crate::shm::object::robust_list::Hold;
use crate::shm::object::{self, ObjectHeader};
use crate::shm::recovery::wait_nodes::{self, Recovery};
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::Latch;
use crate::sync::object_kinds::{Frees, Holders, KindInfo};
use crate::sync::wait_queue;
use crate::sync::wait_queue::{
    Queue, Queued, WaitError, Waiter, Wakes, entering, locked, locked_soon, locked_until, state,
};

/// What a [`Hold`] of a semaphore is: a permit.
const PERMIT: u64 = 1;

/// The most permits that there can be.
pub const MOST: u64 = i64::MAX as u64;

#[repr(C)]
#[derive(Debug)]
struct Semaphore {
    object: ObjectHeader,
    latch: Latch,
    /// Permits that are free. While somebody waits, 0 whenever the latch is free.
    value: AtomicU64,
    /// The most that may be free.
    bound: AtomicU64,
    /// Permits that were free at first.
    first: AtomicU64,
    queue: Queue,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Semaphore {}

/// More permits were given back than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the semaphore was released too many times: {free} of {bound} permits are free already")]
pub struct TooMany {
    /// Permits that are free.
    pub free: u64,
    /// The most that may be.
    pub bound: u64,
}

/// What it is to those who wait for it: any permit that comes back lets one of them go.
pub(super) const SORT: KindInfo = KindInfo {
    name: Some(|me, off| if bound(me, off).is_some() { "BoundedSemaphore" } else { "Semaphore" }),
    holders: Holders::Noted(are_all),
    frees: Frees::One,
};

/// Whether so many holds are all the permits that there were at first. Others were taken without
/// a `with`, by nobody knows whom; and where there were none, all are given by others.
fn are_all(me: &Member, off: Off, holds: usize) -> bool {
    let first = at(me, off).first.load(Ordering::Relaxed);
    first > 0 && holds as u64 >= first
}

/// What is done for the dead.
pub(super) const RECOVERY: Recovery =
    Recovery { abandon, return_hold, give_up: Some(give_up), with_thread: false };

/// Makes a semaphore with one permit; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made =
        object::create(me, kinds::SEMAPHORE, size_of::<Semaphore>() as u64).and_then(|off| {
            at(me, off).value.store(1, Ordering::Relaxed);
            at(me, off).bound.store(MOST, Ordering::Relaxed);
            at(me, off).first.store(1, Ordering::Relaxed);
            crash_point!("semaphore.made");
            refcount::adopt(me, off, savepoint).map(|()| off)
        });
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

/// Says how many permits are free, at most [`MOST`]; `bounded`: never more than that. Before it
/// is used.
pub fn set_up(me: &Member, off: Off, value: u64, bounded: bool) {
    let semaphore = at(me, off);
    locked(semaphore, me, |_| {
        let mut tx = Tx::begin(me);
        tx.set(&semaphore.value, value.min(MOST));
        tx.set(&semaphore.first, value.min(MOST));
        tx.set(&semaphore.bound, if bounded { value.min(MOST) } else { MOST });
        tx.commit();
        crash_point!("semaphore.set_up");
    });
}

fn at(me: &Member, off: Off) -> &'static Semaphore {
    me.arena().at(off)
}

fn permit(off: Off, thread: u32) -> Hold {
    Hold { object: off, what: PERMIT, thread }
}

/// Permits that are free now.
#[must_use]
pub fn value(me: &Member, off: Off) -> u64 {
    at(me, off).value.load(Ordering::Acquire)
}

/// The most permits that may be free, where the semaphore is bounded.
#[must_use]
pub fn bound(me: &Member, off: Off) -> Option<u64> {
    Some(at(me, off).bound.load(Ordering::Relaxed)).filter(|bound| *bound != MOST)
}

/// How many wait for a permit.
#[must_use]
pub fn waiting(me: &Member, off: Off) -> usize {
    let semaphore = at(me, off);
    locked(semaphore, me, |_| semaphore.queue.len(me))
}

impl Queued for Semaphore {
    fn latch(&'static self) -> &'static Latch {
        &self.latch
    }

    fn grant(&'static self, me: &Member, wakes: &mut Wakes) {
        while let Some(waiter) = self.queue.first(me) {
            let value = self.value.load(Ordering::Relaxed);
            if value == 0 {
                return;
            }
            let mut tx = Tx::begin(me);
            tx.set(&self.value, value - 1);
            self.queue.remove(me, &mut tx, waiter);
            waiter.decide(&mut tx, state::GRANTED, 0);
            let entry = Off(waiter.info());
            if !entry.is_none() {
                let hold = permit(me.arena().offset_of(self), waiter.thread());
                tx.set(robust_list::word(me, entry), hold.pack());
            }
            crash_point!("semaphore.granting");
            tx.commit();
            crash_point!("semaphore.granted");
            waiter.tell(wakes);
        }
    }
}

impl Semaphore {
    /// Takes a permit if one is free, noting it in `entry` if there is one.
    fn take(&self, me: &Member, hold: Hold, entry: Option<Off>) -> bool {
        let value = self.value.load(Ordering::Relaxed);
        if value == 0 || !self.queue.is_empty() {
            return false;
        }
        if let Some(entry) = entry {
            let mut tx = Tx::begin(me);
            tx.set(&self.value, value - 1);
            tx.set(robust_list::word(me, entry), hold.pack());
            crash_point!("semaphore.taking");
            tx.commit();
        } else {
            self.value.store(value - 1, Ordering::Release);
        }
        crash_point!("semaphore.taken");
        true
    }
}

/// Takes a permit if one is free and nobody waits; `held`: it comes back if this process dies.
///
/// # Errors
/// [`OutOfMemory`], for a held one.
pub fn try_acquire(me: &Member, off: Off, held: bool) -> Result<bool, OutOfMemory> {
    let (semaphore, hold) = (at(me, off), permit(off, me.index()));
    let entry = if held { Some(robust_list::reserve(me)?) } else { None };
    let now = Deadline::at(0);
    let taken = entering(semaphore, me, &mut Plain, now, |_| semaphore.take(me, hold, entry));
    note(me, hold, entry, taken == Ok(true));
    Ok(taken == Ok(true))
}

/// The entry says that the thread has the permit, or is not needed.
fn note(me: &Member, hold: Hold, entry: Option<Off>, taken: bool) {
    match entry {
        Some(entry) if taken => robust_list::note(me, hold, entry),
        Some(entry) => robust_list::unreserve(me, entry),
        None => {}
    }
}

/// Takes a permit, waiting for it; `held`: it comes back if this process dies.
///
/// # Errors
/// [`WaitError`].
pub fn acquire(
    me: &Member,
    off: Off,
    held: bool,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Result<Outcome, WaitError> {
    let (semaphore, hold) = (at(me, off), permit(off, me.index()));
    let entry = if held { Some(robust_list::reserve(me)?) } else { None };
    let queued = entering(semaphore, me, hooks, deadline, |_| {
        if semaphore.take(me, hold, entry) {
            return Ok(None);
        }
        let waiter = Waiter::free(me)?;
        let mut tx = Tx::begin(me);
        waiter.enter(&mut tx, off, 0, entry.unwrap_or_default().0);
        semaphore.queue.push(me, &mut tx, waiter);
        tx.commit();
        Ok(Some(waiter))
    });
    let result = match queued {
        Err(outcome) => Ok(outcome),
        Ok(Err(e)) => Err(e),
        Ok(Ok(None)) => Ok(Outcome::Ready),
        Ok(Ok(Some(waiter))) => {
            let outcome = wait_queue::wait(semaphore, me, waiter, hooks, deadline);
            if !me.is_here() {
                // Forked by a signal's handler: place and entry are the parent's.
                return Ok(Outcome::Interrupted);
            }
            let Some(outcome) = semaphore.leave(me, waiter, outcome) else {
                wait_nodes::defer(me, waiter.node, off, entry);
                return Ok(outcome);
            };
            Ok(outcome)
        }
    };
    note(me, hold, entry, result == Ok(Outcome::Ready));
    result
}

impl Semaphore {
    /// The wait has ended; how, all in all. `None` if the latch is not to be had before long.
    fn leave(&'static self, me: &Member, waiter: Waiter, outcome: Outcome) -> Option<Outcome> {
        if outcome == Outcome::Ready || outcome == Outcome::TimedOut && waiter.is_told() {
            waiter.leave();
            return Some(Outcome::Ready);
        }
        locked_soon(self, me, |_| {
            let granted = waiter.state() == state::GRANTED;
            if granted && outcome == Outcome::TimedOut {
                waiter.leave();
                return Outcome::Ready;
            }
            let mut tx = Tx::begin(me);
            if granted {
                // Interrupted: the permit goes to the next.
                self.give_back(me, &mut tx, 1, Off(waiter.info()));
            } else {
                self.queue.remove(me, &mut tx, waiter);
            }
            waiter.free_in(&mut tx);
            crash_point!("semaphore.leaving");
            tx.commit();
            crash_point!("semaphore.gave_up");
            outcome
        })
    }

    /// Makes `n` permits free; `entry` is one of them that was held, or none.
    // crash: part of the caller's change.
    fn give_back(&self, me: &Member, tx: &mut Tx<'_>, n: u64, entry: Off) {
        tx.set(&self.value, self.value.load(Ordering::Relaxed) + n);
        if !entry.is_none() {
            tx.set(robust_list::word(me, entry), 0);
        }
    }

    fn release(&'static self, me: &Member, n: u64, entry: Option<Off>) -> Result<(), TooMany> {
        let result = locked(self, me, |_| {
            let free = self.value.load(Ordering::Relaxed);
            let bound = self.bound.load(Ordering::Relaxed);
            if free.checked_add(n).is_none_or(|sum| sum > bound) {
                return Err(TooMany { free, bound });
            }
            match entry {
                None => self.value.store(free + n, Ordering::Release),
                Some(entry) => {
                    let mut tx = Tx::begin(me);
                    self.give_back(me, &mut tx, n, entry);
                    crash_point!("semaphore.releasing");
                    tx.commit();
                }
            }
            crash_point!("semaphore.released");
            Ok(())
        });
        if let Some(entry) = entry {
            if result.is_err() {
                // All permits are free: the one that was held has been given back before.
                robust_list::word(me, entry).store(0, Ordering::Release);
                crash_point!("semaphore.disowned");
            }
            robust_list::unreserve(me, entry);
        }
        result
    }
}

/// Gives `n` permits back, whoever took them. One that the calling thread holds is not held any
/// more.
///
/// # Errors
/// [`TooMany`]: nothing was given back.
pub fn release(me: &Member, off: Off, n: u64) -> Result<(), TooMany> {
    let entry = if n == 0 { None } else { robust_list::forget(me, permit(off, me.index())) };
    at(me, off).release(me, n, entry)
}

/// Gives a held permit back: the calling thread's, or that of another thread of this process;
/// where none is held any more, any. In a forked child of a member that is its parent's, and is not
/// given back.
///
/// # Errors
/// [`TooMany`]: nothing was given back.
pub fn release_held(me: &Member, off: Off) -> Result<(), TooMany> {
    let entry = robust_list::forget(me, permit(off, me.index()))
        .or_else(|| robust_list::forget_any(me, off, PERMIT));
    if entry.is_none() && me.runtime().was_forked() {
        return Ok(());
    }
    at(me, off).release(me, 1, entry)
}

/// Makes a held permit one that does not come back when this process dies: the calling thread's,
/// or that of another thread of this process.
pub fn keep(me: &Member, off: Off) {
    let entry = robust_list::forget(me, permit(off, me.index()))
        .or_else(|| robust_list::forget_any(me, off, PERMIT));
    if let Some(entry) = entry {
        robust_list::word(me, entry).store(0, Ordering::Release);
        crash_point!("semaphore.kept");
        robust_list::unreserve(me, entry);
    }
}

/// A wait that was left without the latch ends.
fn give_up(me: &Member, node: &'static WaitNode, off: Off, entry: Off) -> bool {
    let (semaphore, waiter) = (at(me, off), Waiter::of_node(me, node));
    if semaphore.leave(me, waiter, Outcome::Interrupted).is_none() {
        return false;
    }
    let entry = Some(entry).filter(|entry| !entry.is_none());
    note(me, permit(off, me.index()), entry, false);
    true
}

fn abandon(dead: &Member, node: &'static WaitNode, off: Off, limit: Deadline) -> bool {
    let (semaphore, waiter) = (at(dead, off), Waiter::of_node(dead, node));
    let abandoned = locked_until(
        semaphore,
        dead,
        || limit,
        |_| {
            let mut tx = Tx::begin(dead);
            if waiter.state() == state::WAITING {
                semaphore.queue.remove(dead, &mut tx, waiter);
            } else if waiter.info() == 0 {
                // A permit that was to be held comes back with the dead process's other holds.
                semaphore.give_back(dead, &mut tx, 1, Off::NONE);
            }
            waiter.free_in(&mut tx);
            crash_point!("semaphore.abandoning");
            tx.commit();
            crash_point!("semaphore.abandoned");
        },
    );
    abandoned.is_some()
}

fn return_hold(dead: &Member, entry: &'static AtomicU64, hold: Hold, limit: Deadline) -> bool {
    let semaphore = at(dead, hold.object);
    let returned = locked_until(
        semaphore,
        dead,
        || limit,
        |_| {
            let mut tx = Tx::begin(dead);
            let (value, bound) = (&semaphore.value, semaphore.bound.load(Ordering::Relaxed));
            tx.set(value, (value.load(Ordering::Relaxed) + 1).min(bound));
            tx.set(entry, 0);
            crash_point!("semaphore.returning");
            tx.commit();
            crash_point!("semaphore.returned");
        },
    );
    returned.is_some()
}

/// Who holds permits: slots of process and thread, once for each.
#[must_use]
pub fn holders(me: &Member, off: Off) -> Vec<(u32, u32)> {
    robust_list::holders(me, off)
}
