//! The condition: threads that let a lock go and wait until another thread notifies them.
//!
//! - Waiters are a `Queue`; a notification goes to those who have waited longest.
//! - A waiter keeps its node until it has the lock again. If it dies before, it was notified in
//!   vain, and the notification goes to the next who waited already when it was given: each
//!   waiter has a ticket, and a notification knows the first ticket that came too late for it.
//! - A waiter that gives up, for the time or for an interrupt, leaves nothing behind and takes
//!   nothing along: it is notified or not, under the latch.
//! - If the owner of the lock dies, all who wait are told: [`LockWord::last_death`] differs from
//!   what it was when their waits began.

use super::lock;
use super::wait::{self, Awaited, BlockingHooks, Outcome};
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::kinds;
use crate::os::clock::Deadline;
use crate::shm::Member;
use crate::shm::arena::layout::WaitNode;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::refcount;
use crate::shm::object::{self, ObjectHeader};
use crate::shm::recovery::wait_nodes::{self, Recovery};
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::Latch;
use crate::sync::lock::word::{Acquired, LockWord, Recursion};
use crate::sync::wait_queue::{
    Queue, QueueWait, Queued, WaitError, Waiter, Wakes, entering, locked, locked_soon,
    locked_until, looked_around, state,
};

#[repr(C)]
#[derive(Debug)]
struct Condition {
    object: ObjectHeader,
    latch: Latch,
    /// The lock that goes with it, an object that it refers to; 0 for none so far.
    lock: AtomicU64,
    /// Tickets given out: one for each wait.
    tickets: AtomicU64,
    queue: Queue,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Condition {}

/// How a wait for a condition ended. The caller has the lock again, but where it gave that up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It was notified.
    Notified,
    /// The deadline passed first.
    TimedOut,
    /// The wait was interrupted.
    Interrupted,
    /// An owner of the lock died meanwhile: the process with this number, where it is known.
    OwnerDied(Option<i32>),
    /// It was interrupted again while it waited for the lock, which it does not have.
    GaveUp,
}

/// Why a thread does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not hold the condition's lock.
    #[error("the lock of the condition is not held by this thread")]
    NotHeld,
    /// It waits in too many places.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// What is done for the dead.
pub(super) const RECOVERY: Recovery = Recovery {
    abandon,
    return_hold: |_, _, _, _| true,
    give_up: Some(give_up),
    with_thread: false,
};

/// Makes a condition, without a lock so far; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kinds::CONDITION, size_of::<Condition>() as u64)
        .and_then(|off| refcount::adopt(me, off, savepoint).map(|()| off));
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

fn at(me: &Member, off: Off) -> &'static Condition {
    me.arena().at(off)
}

/// Says which lock goes with the condition, once; this process holds it. False if there is one.
pub fn set_lock(me: &Member, off: Off, lock: Off) -> bool {
    let condition = at(me, off);
    let _latch = condition.latch.lock(me);
    if condition.lock.load(Ordering::Relaxed) != 0 {
        return false;
    }
    let _reference = object::latch(me, lock).lock(me);
    let mut tx = Tx::begin(me);
    tx.set(&condition.lock, lock.0);
    object::add(me, &mut tx, lock);
    crash_point!("condition.lock");
    tx.commit();
    crash_point!("condition.lock_set");
    true
}

/// The lock that goes with the condition.
#[must_use]
pub fn lock(me: &Member, off: Off) -> Option<Off> {
    let condition = at(me, off);
    let _latch = condition.latch.lock(me);
    Some(Off(condition.lock.load(Ordering::Relaxed))).filter(|lock| !lock.is_none())
}

/// One step of taking a condition apart.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let word = &at(me, off).lock;
    let lock = Off(word.load(Ordering::Relaxed));
    if lock.is_none() {
        return true;
    }
    let _reference = object::latch(me, lock).lock(me);
    let mut tx = Tx::begin(me);
    tx.set(word, 0);
    object::remove(me, &mut tx, lock);
    crash_point!("condition.lock_dropping");
    tx.commit();
    crash_point!("condition.lock_dropped");
    false
}

impl Queued for Condition {
    fn latch(&'static self) -> &'static Latch {
        &self.latch
    }

    /// Nothing is there to be given: a notification of a thread that died goes no further than
    /// it came, and the death of the lock's owner is told to all.
    fn grant(&'static self, _: &Member, _: &mut Wakes) {}
}

impl Condition {
    /// Takes the waiter out of the queue as part of a change, notified.
    // crash: part of the caller's change.
    fn grant(&self, me: &Member, tx: &mut Tx<'_>, waiter: Waiter, horizon: u64) {
        self.queue.remove(me, tx, waiter);
        waiter.decide(tx, state::GRANTED, horizon);
    }

    /// Frees a node that was notified, and notifies the next instead, if one waited then.
    fn pass_on(&self, me: &Member, waiter: Waiter, wakes: &mut Wakes) {
        let horizon = waiter.detail();
        let next = self.queue.first(me).filter(|next| next.detail() < horizon);
        let mut tx = Tx::begin(me);
        if let Some(next) = next {
            self.grant(me, &mut tx, next, horizon);
        }
        waiter.free_in(&mut tx);
        crash_point!("condition.passing_on");
        tx.commit();
        crash_point!("condition.passed_on");
        if let Some(next) = next {
            next.tell(wakes);
        }
    }

    fn drop_out(&self, me: &Member, waiter: Waiter) {
        let mut tx = Tx::begin(me);
        self.queue.remove(me, &mut tx, waiter);
        waiter.free_in(&mut tx);
        crash_point!("condition.leaving");
        tx.commit();
        crash_point!("condition.left");
    }
}

/// A waiter, and the lock by whose owner's death it is told.
struct Told<'a> {
    waiting: QueueWait<'a, Condition>,
    me: &'a Member,
    cell: &'static LockWord,
    recursion: Recursion,
    death: u64,
}

impl Awaited for Told<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.waiting.word()
    }

    fn object(&self) -> Off {
        self.waiting.object()
    }

    fn ready(&mut self) -> bool {
        self.waiting.ready()
    }

    fn announce(&mut self) -> Option<u32> {
        let value = self.waiting.announce()?;
        (self.cell.last_death(self.me, self.recursion) == self.death).then_some(value)
    }

    fn look_again(&self) -> Deadline {
        self.waiting.look_again()
    }
}

/// The lock of a condition.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    /// The object.
    pub off: Off,
    /// Its cell.
    pub cell: &'static LockWord,
    /// Whether its owner may take it again.
    pub recursion: Recursion,
}

impl Lock {
    /// Of a [`lock()`] object.
    #[must_use]
    pub fn at(me: &Member, off: Off) -> Self {
        let kind = object::header(me, off).kind.load(Ordering::Relaxed);
        let recursion =
            if kind == kinds::RLOCK { Recursion::Allowed } else { Recursion::Forbidden };
        Self { off, cell: lock::cell(me, off), recursion }
    }
}

/// Lets the condition's lock go, whatever its depth, waits to be notified, and takes the lock
/// again at that depth.
///
/// An interrupt ends the wait, but not the taking of the lock; a second one ends that too
/// ([`Waited::GaveUp`]).
///
/// # Errors
/// [`Refused`]; nothing has happened then.
pub fn wait(
    me: &Member,
    off: Off,
    lock: Lock,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Result<Waited, Refused> {
    let (condition, cell) = (at(me, off), lock.cell);
    if !cell.is_mine(me) {
        return Err(Refused::NotHeld);
    }
    let waiter = Waiter::free(me)?;
    // Nobody dies as its owner while this thread is that.
    let death = cell.last_death(me, lock.recursion);
    match condition.enter(me, off, waiter, hooks, deadline) {
        Ok(()) => {}
        // Whoever has the latch is stopped. Nothing was done, and the lock is the thread's.
        Err(Outcome::Interrupted) => return Ok(Waited::Interrupted),
        Err(_) => return Ok(Waited::TimedOut),
    }
    // It is this thread's, so it can be let go.
    let depth = cell.release_all(me, lock.recursion).unwrap_or(0);
    crash_point!("condition.let_go");
    let waiting = QueueWait::new(condition, me, waiter);
    let mut told = Told { waiting, me, cell, recursion: lock.recursion, death };
    let outcome = wait::wait(me, hooks, &mut told, deadline);
    let outcome = looked_around(hooks, outcome);
    if !me.is_here() {
        // Forked by a signal's handler: the place is the parent's, and so will the lock be.
        return Ok(Waited::GaveUp);
    }
    let notified = condition.leave(me, waiter, outcome).unwrap_or_else(|| {
        wait_nodes::defer(me, waiter.node, off, None);
        false
    });
    let mut back = WayBack { notified, interrupted: outcome == Outcome::Interrupted, died: None };
    if !condition.take_lock_again(me, lock, waiter, hooks, &mut back) {
        return Ok(Waited::GaveUp);
    }
    if lock.recursion == Recursion::Allowed {
        cell.restore_depth(depth);
    }
    if back.notified {
        waiter.leave();
    }
    Ok(if back.interrupted {
        Waited::Interrupted
    } else if cell.last_death(me, lock.recursion) != death {
        Waited::OwnerDied(back.died.or_else(|| cell.last_dead_pid(me)))
    } else if back.notified {
        Waited::Notified
    } else {
        Waited::TimedOut
    })
}

/// What a waiter knows on its way back to the lock.
struct WayBack {
    notified: bool,
    interrupted: bool,
    /// The dead owner that the lock was freed for, where its number is known.
    died: Option<i32>,
}

impl Condition {
    /// Puts a waiter into the queue; how the wait ended, if it did before.
    fn enter(
        &'static self,
        me: &Member,
        off: Off,
        waiter: Waiter,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<(), Outcome> {
        entering(self, me, hooks, deadline, |_| {
            let ticket = self.tickets.load(Ordering::Relaxed);
            let mut tx = Tx::begin(me);
            waiter.enter(&mut tx, off, ticket, 0);
            self.queue.push(me, &mut tx, waiter);
            tx.set(&self.tickets, ticket + 1);
            crash_point!("condition.coming");
            tx.commit();
            crash_point!("condition.came");
        })
    }

    /// The waiter waits no more: it is notified or not, and nothing comes after this. `None` if the
    /// latch is not to be had before long.
    fn leave(&'static self, me: &Member, waiter: Waiter, outcome: Outcome) -> Option<bool> {
        if outcome != Outcome::Interrupted && waiter.is_told() && waiter.state() == state::GRANTED {
            return Some(true);
        }
        locked_soon(self, me, |wakes| match (waiter.state(), outcome) {
            (state::GRANTED, Outcome::Interrupted) => {
                self.pass_on(me, waiter, wakes);
                false
            }
            (state::GRANTED, _) => true,
            _ => {
                self.drop_out(me, waiter);
                false
            }
        })
    }

    /// Takes the lock again; false if it was interrupted a second time, or the process is the
    /// child of a fork.
    fn take_lock_again(
        &'static self,
        me: &Member,
        lock: Lock,
        waiter: Waiter,
        hooks: &mut dyn BlockingHooks,
        back: &mut WayBack,
    ) -> bool {
        loop {
            match lock.cell.acquire(me, lock.recursion, lock.off, hooks, Deadline::NEVER) {
                Acquired::Yes => return true,
                Acquired::OwnerDied(pid) => back.died = pid,
                Acquired::Interrupted | Acquired::TimedOut => {
                    if !me.is_here() {
                        return false;
                    }
                    if back.notified {
                        locked(self, me, |wakes| self.pass_on(me, waiter, wakes));
                        back.notified = false;
                    }
                    if std::mem::replace(&mut back.interrupted, true) {
                        return false;
                    }
                }
            }
        }
    }
}

/// Notifies the `n` who have waited longest; the caller holds the lock.
///
/// # Errors
/// [`Refused::NotHeld`].
pub fn notify(me: &Member, off: Off, lock: Lock, n: u64) -> Result<(), Refused> {
    if !lock.cell.is_mine(me) {
        return Err(Refused::NotHeld);
    }
    notify_unheld(me, off, n);
    Ok(())
}

/// The same by a caller who need not hold the lock, as some languages have it.
pub fn notify_unheld(me: &Member, off: Off, n: u64) {
    let condition = at(me, off);
    locked(condition, me, |wakes| {
        let horizon = condition.tickets.load(Ordering::Relaxed);
        for _ in 0..n {
            let Some(waiter) = condition.queue.first(me) else { break };
            let mut tx = Tx::begin(me);
            condition.grant(me, &mut tx, waiter, horizon);
            crash_point!("condition.notifying");
            tx.commit();
            crash_point!("condition.notified");
            waiter.tell(wakes);
        }
    });
}

/// How many wait to be notified.
#[must_use]
pub fn waiting(me: &Member, off: Off) -> usize {
    let condition = at(me, off);
    locked(condition, me, |_| condition.queue.len(me))
}

/// A wait that was left without the latch ends.
fn give_up(me: &Member, node: &'static WaitNode, off: Off, _: Off) -> bool {
    let waiter = Waiter::of_node(me, node);
    at(me, off).leave(me, waiter, Outcome::Interrupted).is_some()
}

fn abandon(dead: &Member, node: &'static WaitNode, off: Off, limit: Deadline) -> bool {
    let (condition, waiter) = (at(dead, off), Waiter::of_node(dead, node));
    let abandoned = locked_until(
        condition,
        dead,
        || limit,
        |wakes| {
            if waiter.state() == state::GRANTED {
                condition.pass_on(dead, waiter, wakes);
            } else {
                condition.drop_out(dead, waiter);
            }
        },
    );
    abandoned.is_some()
}
