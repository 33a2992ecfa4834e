//! A queue of waiting threads: first come, first served.
//!
//! - A queue is two words of an object, guarded by the object's latch. Its nodes lie in the
//!   slots of the threads that wait, so waiting needs no memory.
//! - What a waiter waits for is given to it by whoever gives it up, in the same change
//!   ([`Tx`]): nobody can come in between, so nobody starves.
//! - Each waiter sleeps on a word of its own node, which is stored after the change is final
//!   and before the latch is let go. A killed thread's change may be final and not yet told:
//!   whoever dies has all waiters look around, and a waiter that looks takes the latch.
//! - Only the latch of one object is held here, and nothing else is locked inside.
//!
//! What is waited for is the kind's (`Queued`): see `README.md` beside this file.

use std::time::Duration;

use super::wait::{self, Awaited, BlockingHooks, Outcome};
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::shm::arena::layout::{NODES, WaitNode};
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::OutOfMemory;
use crate::shm::member::slots;
use crate::shm::recovery::wait_nodes;
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::{Latch, PATIENCE};
use crate::shm::{Member, Runtime};

/// Values of the low byte of [`WaitNode::state`]; above it is the kind's own.
pub(super) mod state {
    /// In the queue.
    pub(in crate::sync) const WAITING: u64 = 1;
    /// Out of the queue, with what it waited for.
    pub(in crate::sync) const GRANTED: u64 = 2;
    /// Out of the queue, with something to be told instead.
    pub(in crate::sync) const TOLD: u64 = 3;
}

/// Values of [`WaitNode::word`].
mod word {
    pub(super) const AWAKE: u32 = 0;
    pub(super) const DONE: u32 = 1;
    pub(super) const ASLEEP: u32 = 2;
}

/// Why a thread cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// There is no room to note what the thread gets.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// It waits already, and a signal's handler or an interrupt made it wait again, too deep.
    #[error(
        "this thread waits in {NODES} places at once already: \
         code that runs inside a wait (a signal's handler, an interrupt) may wait, but not so deep"
    )]
    TooDeep,
}

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Queue {
    first: AtomicU64,
    last: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Queue {}

/// One waiting thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    id: u64,
    pub(super) node: &'static WaitNode,
}

impl Waiter {
    fn of(runtime: &'static Runtime, id: u64) -> Option<Self> {
        (id != 0).then(|| Self { id, node: wait_nodes::node(runtime, id) })
    }

    /// A free node of the calling thread.
    pub(super) fn free(me: &Member) -> Result<Self, WaitError> {
        let id = wait_nodes::free_node(me).ok_or(WaitError::TooDeep)?;
        Ok(Self { id, node: wait_nodes::node(me.runtime(), id) })
    }

    /// The waiter whose node this is, one of a thread in slot `thread`.
    pub(super) fn of_node(dead: &Member, node: &'static WaitNode) -> Self {
        let place = dead.slot().nodes.iter().position(|n| std::ptr::eq(n, node)).unwrap_or(0);
        Self { id: u64::from(dead.index()) * NODES as u64 + place as u64 + 1, node }
    }

    /// The slot of its thread.
    pub(super) fn thread(self) -> u32 {
        wait_nodes::thread_of(self.id)
    }

    /// How its wait stands.
    pub(super) fn state(self) -> u64 {
        self.node.state.load(Ordering::Acquire) & 0xff
    }

    /// What its kind added to the state.
    pub(super) fn detail(self) -> u64 {
        self.node.state.load(Ordering::Acquire) >> 8
    }

    /// What its kind noted.
    pub(super) fn info(self) -> u64 {
        self.node.info.load(Ordering::Acquire)
    }

    /// Makes the node one that waits for `object`.
    pub(super) fn enter(self, tx: &mut Tx<'_>, object: Off, detail: u64, info: u64) {
        // Free, so it is the thread's own; nobody else has looked at the word yet.
        self.node.word.store(word::AWAKE, Ordering::Relaxed);
        tx.set(&self.node.object, object.0);
        tx.set(&self.node.state, state::WAITING | detail << 8);
        tx.set(&self.node.info, info);
        crash_point!("wait_queue.entering");
    }

    /// Marks what became of it.
    pub(super) fn decide(self, tx: &mut Tx<'_>, state: u64, detail: u64) {
        tx.set(&self.node.state, state | detail << 8);
        crash_point!("wait_queue.deciding");
    }

    /// Notes more, of its kind's.
    pub(super) fn note(self, tx: &mut Tx<'_>, info: u64) {
        tx.set(&self.node.info, info);
        crash_point!("wait_queue.noting");
    }

    /// Frees the node as part of a change.
    pub(super) fn free_in(self, tx: &mut Tx<'_>) {
        tx.set(&self.node.object, 0);
        crash_point!("wait_queue.freeing");
    }

    /// Frees the node: the thread has taken what it was given.
    pub(super) fn leave(self) {
        self.node.object.store(0, Ordering::Release);
        crash_point!("wait_queue.left");
    }

    /// Whether it was told: the change that says so is final.
    pub(super) fn is_told(self) -> bool {
        self.node.word.load(Ordering::Acquire) == word::DONE
    }

    /// Says without the latch that it sleeps: `None` if it was told before.
    fn fall_asleep(self) -> Option<u32> {
        let swap = self.node.word.compare_exchange(
            word::AWAKE,
            word::ASLEEP,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        crash_point!("wait_queue.fell_asleep");
        (swap != Err(word::DONE)).then_some(word::ASLEEP)
    }

    /// Tells it that its wait is over; the change that says so is final, and the latch held.
    pub(super) fn tell(self, wakes: &mut Wakes) {
        // SYNC POINT: pairs with the acquire load in `QueueWait::ready`.
        let before = self.node.word.swap(word::DONE, Ordering::AcqRel);
        crash_point!("wait_queue.told");
        if before == word::ASLEEP {
            wakes.0.push(&self.node.word);
        }
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.first.load(Ordering::Relaxed) == 0
    }

    /// Who has waited longest.
    pub(super) fn first(&self, me: &Member) -> Option<Waiter> {
        Waiter::of(me.runtime(), self.first.load(Ordering::Relaxed))
    }

    /// How many wait.
    pub(super) fn len(&self, me: &Member) -> usize {
        std::iter::successors(self.first(me), |waiter| Self::after(me, *waiter)).count()
    }

    /// Who came after `waiter`.
    pub(super) fn after(me: &Member, waiter: Waiter) -> Option<Waiter> {
        Waiter::of(me.runtime(), waiter.node.next.load(Ordering::Relaxed))
    }

    /// Puts `waiter` at the end.
    pub(super) fn push(&self, me: &Member, tx: &mut Tx<'_>, waiter: Waiter) {
        let last = self.last.load(Ordering::Relaxed);
        tx.set(&waiter.node.next, 0);
        tx.set(&waiter.node.prev, last);
        match Waiter::of(me.runtime(), last) {
            Some(before) => tx.set(&before.node.next, waiter.id),
            None => tx.set(&self.first, waiter.id),
        }
        tx.set(&self.last, waiter.id);
        crash_point!("wait_queue.pushed");
    }

    /// Takes `waiter` out.
    pub(super) fn remove(&self, me: &Member, tx: &mut Tx<'_>, waiter: Waiter) {
        let next = waiter.node.next.load(Ordering::Relaxed);
        let prev = waiter.node.prev.load(Ordering::Relaxed);
        match Waiter::of(me.runtime(), prev) {
            Some(before) => tx.set(&before.node.next, next),
            None => tx.set(&self.first, next),
        }
        match Waiter::of(me.runtime(), next) {
            Some(after) => tx.set(&after.node.prev, prev),
            None => tx.set(&self.last, prev),
        }
        crash_point!("wait_queue.removed");
    }

    /// Makes the queue empty, whoever was in it.
    pub(super) fn forget(&self, tx: &mut Tx<'_>) {
        tx.set(&self.first, 0);
        tx.set(&self.last, 0);
        crash_point!("wait_queue.forgotten");
    }
}

/// After what time one looks again who could not look for what somebody who died has left.
const AGAIN: Duration = Duration::from_secs(1);

/// Sleepers to be woken once the latch is let go.
#[derive(Debug, Default)]
pub(super) struct Wakes(Vec<&'static AtomicU32>);

impl Wakes {
    fn wake(self) {
        for word in self.0 {
            futex::wake(word, 1);
        }
    }
}

/// An object with waiters.
pub(super) trait Queued: Sync + 'static {
    /// Guards the object.
    fn latch(&'static self) -> &'static Latch;

    /// Gives to waiters what can be given. Goes on where a killed thread stopped: what it did
    /// not come to is done by the next who calls this, and all waiters do when somebody died.
    fn grant(&'static self, me: &Member, wakes: &mut Wakes);
}

/// Runs `change` under the object's latch, grants, and wakes.
pub(super) fn locked<Q: Queued, T>(
    q: &'static Q,
    me: &Member,
    change: impl FnOnce(&mut Wakes) -> T,
) -> T {
    let mut wakes = Wakes::default();
    let latched = q.latch().lock(me);
    let result = change(&mut wakes);
    q.grant(me, &mut wakes);
    drop(latched);
    wakes.wake();
    result
}

/// As [`locked`], for as long as a stopped member may have the latch: `None` if that is too long.
pub(super) fn locked_soon<Q: Queued, T>(
    q: &'static Q,
    me: &Member,
    change: impl FnOnce(&mut Wakes) -> T,
) -> Option<T> {
    locked_until(q, me, || Deadline::after(Some(PATIENCE)), change)
}

/// As [`locked`], if the latch can be had by then; `limit` is asked where it is not free at once.
pub(super) fn locked_until<Q: Queued, T>(
    q: &'static Q,
    me: &Member,
    limit: impl FnOnce() -> Deadline,
    change: impl FnOnce(&mut Wakes) -> T,
) -> Option<T> {
    let mut wakes = Wakes::default();
    let latched = q.latch().lock_until(me, limit)?;
    let result = change(&mut wakes);
    q.grant(me, &mut wakes);
    drop(latched);
    wakes.wake();
    Some(result)
}

/// As [`locked`], where a wait begins: its time limit and its interrupts hold here too.
///
/// # Errors
/// How the wait ended; nothing was done.
pub(super) fn entering<Q: Queued, T>(
    q: &'static Q,
    me: &Member,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
    change: impl FnOnce(&mut Wakes) -> T,
) -> Result<T, Outcome> {
    let mut wakes = Wakes::default();
    let latched = loop {
        // Also who does not want to wait has this much time: mostly it is held for a moment.
        let limit = || {
            let soon = Deadline::after(Some(PATIENCE));
            if deadline.passed() { soon } else { soon.min(deadline) }
        };
        if let Some(latched) = q.latch().lock_until(me, limit) {
            break latched;
        }
        if deadline.passed() {
            return Err(Outcome::TimedOut);
        }
        if hooks.interrupted() {
            return Err(Outcome::Interrupted);
        }
    };
    let result = change(&mut wakes);
    q.grant(me, &mut wakes);
    drop(latched);
    wakes.wake();
    Ok(result)
}

/// The calling thread in a queue.
pub(super) struct QueueWait<'a, Q: Queued> {
    q: &'static Q,
    me: &'a Member,
    waiter: Waiter,
    /// It sleeps without having had the latch.
    is_unsure: bool,
}

impl<'a, Q: Queued> QueueWait<'a, Q> {
    pub(super) fn new(q: &'static Q, me: &'a Member, waiter: Waiter) -> Self {
        Self { q, me, waiter, is_unsure: false }
    }
}

impl<Q: Queued> Awaited for QueueWait<'_, Q> {
    fn word(&self) -> &'static AtomicU32 {
        &self.waiter.node.word
    }

    fn object(&self) -> Off {
        Off(self.waiter.node.object.load(Ordering::Relaxed))
    }

    fn ready(&mut self) -> bool {
        self.waiter.node.word.load(Ordering::Acquire) == word::DONE
    }

    fn announce(&mut self) -> Option<u32> {
        let announced = locked_soon(self.q, self.me, |wakes| {
            // What somebody who died has left to be given.
            self.q.grant(self.me, wakes);
            if self.waiter.state() != state::WAITING {
                return None;
            }
            self.waiter.node.word.store(word::ASLEEP, Ordering::Release);
            crash_point!("wait_queue.asleep");
            Some(word::ASLEEP)
        });
        self.is_unsure = announced.is_none();
        // Whoever has the latch is stopped. He tells this thread when he goes on, or, if he dies,
        // the cleaner has it look around.
        announced.unwrap_or_else(|| self.waiter.fall_asleep())
    }

    fn look_again(&self) -> Deadline {
        // Who had given it something, and died before he told, is known to have died already.
        if self.is_unsure { Deadline::after(Some(AGAIN)) } else { Deadline::NEVER }
    }
}

/// Waits until the waiter is told. What it was told, or what may have come since, is in its
/// state, which the caller looks at under the latch unless the outcome is `Ready`.
pub(super) fn wait<Q: Queued>(
    q: &'static Q,
    me: &Member,
    waiter: Waiter,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Outcome {
    let outcome = wait::wait(me, hooks, &mut QueueWait::new(q, me, waiter), deadline);
    looked_around(hooks, outcome)
}

/// Whether the thread in that slot has got what it waited for of `object` in a queue, though it
/// may still sleep.
#[must_use]
pub fn is_told(me: &Member, thread: u32, object: Off) -> bool {
    let nodes = &slots::thread_slot(me.arena(), thread).nodes;
    let mut its = nodes.iter().filter(|n| n.object.load(Ordering::Acquire) == object.0).peekable();
    its.peek().is_some() && its.all(|n| n.state.load(Ordering::Acquire) & 0xff != state::WAITING)
}

/// An interrupt that came while the waiter was told comes first: what it was given it would
/// otherwise take along.
pub(super) fn looked_around(hooks: &mut dyn BlockingHooks, outcome: Outcome) -> Outcome {
    if outcome == Outcome::Ready && hooks.interrupted() { Outcome::Interrupted } else { outcome }
}
