//! The barrier: a number of parties that go on together.
//!
//! One 64-bit word says where the round stands; its low half is what all waiters watch:
//!
//! | bits | |
//! |---|---|
//! | 0..28 | the round's number |
//! | 28 | `ACTING`: all have come, and one of them runs the action |
//! | 29 | `RESETTING`: the waiters are being told that the round is off |
//! | 30 | `BROKEN` |
//! | 31 | `SLEEPERS` |
//! | 32..64 | parties that have come |
//!
//! - The word changes under the latch only, by one store or in a [`Tx`] that leaves the low half
//!   alone. So who watches it needs no latch, and never sees what is undone later.
//! - A round that all came to ends by one store: the next number, nobody there.
//! - Waiters are in a queue, which belongs to the round that it is tagged with; of a round that
//!   is over nobody looks at it. From it a reset tells each waiter of its round that the round
//!   failed, since the next round may be over too before a slow waiter looks.
//! - A party that dies while it waits, or while it runs the action, breaks the barrier: its
//!   node names the round.
//! - Whoever has the latch may be stopped. A party whose time is over, or that is interrupted, goes on
//!   without it then, and says so: `overdue` is the round that it breaks, `gone` counts those whose
//!   nodes are to be taken out. Whoever has the latch next does that before anything else; who has it
//!   now looks once more when he has let go.

mod gone;
mod layout;

pub use layout::Why;

use gone::give_up;
use layout::{
    ACTING, BROKEN, Barrier, COME, FAILED, NO_LIMIT, Overdue, RESETTING, ROUND, SLEEPERS, at, soon,
};

use super::wait::{self, Awaited, BlockingHooks, Outcome};
use crate::atomic::{AtomicU32, Ordering, fence};
use crate::kinds;
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::shm::Member;
use crate::shm::arena::layout::WaitNode;
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::member::slots;
use crate::shm::object;
use crate::shm::object::blob;
use crate::shm::object::refcount;
use crate::shm::recovery::wait_nodes::{self, Recovery};
use crate::shm::tx::journal::Tx;
use crate::sync::wait_queue::{Queue, WaitError, Waiter, state};

/// How a wait at a barrier ended.
#[derive(Debug)]
pub enum Passed {
    /// All have come. The number is different for each party of the round, from 0 on.
    Yes(u64),
    /// All have come, and the caller is to run the action now.
    Act(Acting),
    /// The barrier is broken, or was before the caller came.
    Broken(Why),
    /// The caller's time passed: that broke the barrier.
    TimedOut,
    /// The wait was interrupted; the caller does not count as come any more.
    Interrupted,
}

/// The right and the duty to run the action: [`Acting::done`] lets all go on. Dropped without,
/// it breaks the barrier.
#[derive(Debug)]
pub struct Acting {
    barrier: &'static Barrier,
    me: Member,
    waiter: Waiter,
    round: u64,
    index: u64,
    over: bool,
}

/// What is done for the dead.
pub(super) const RECOVERY: Recovery = Recovery {
    abandon,
    return_hold: |_, _, _, _| true,
    give_up: Some(give_up),
    with_thread: false,
};

/// Makes a barrier for one party; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kinds::BARRIER, size_of::<Barrier>() as u64).and_then(|off| {
        at(me, off).parties.store(1, Ordering::Relaxed);
        at(me, off).limit.store(NO_LIMIT, Ordering::Relaxed);
        crash_point!("barrier.made");
        refcount::adopt(me, off, savepoint).map(|()| off)
    });
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

/// Says for how many parties it is, at least one; how many seconds a wait takes at most; and
/// whether the last to come has an action to run. Before it is used.
pub fn set_up(me: &Member, off: Off, parties: u32, limit: Option<f64>, acts: bool) {
    let barrier = at(me, off);
    let _latch = barrier.latch.lock(me);
    let mut tx = Tx::begin(me);
    tx.set(&barrier.parties, u64::from(parties.max(1)));
    tx.set(&barrier.limit, limit.map_or(NO_LIMIT, f64::to_bits));
    tx.set(&barrier.acts, u64::from(acts));
    tx.commit();
    crash_point!("barrier.set_up");
}

/// Parties of a round.
#[must_use]
pub fn parties(me: &Member, off: Off) -> u32 {
    at(me, off).parties.load(Ordering::Relaxed) as u32
}

/// Seconds that a wait takes at most, where none are given.
#[must_use]
pub fn limit(me: &Member, off: Off) -> Option<f64> {
    let bits = at(me, off).limit.load(Ordering::Relaxed);
    (bits != NO_LIMIT).then(|| f64::from_bits(bits))
}

/// Whether the last to come has an action to run.
#[must_use]
pub fn acts(me: &Member, off: Off) -> bool {
    at(me, off).acts.load(Ordering::Relaxed) != 0
}

/// Parties that wait now.
#[must_use]
pub fn waiting(me: &Member, off: Off) -> u32 {
    let word = at(me, off).word.load(Ordering::Acquire);
    if word & (BROKEN | RESETTING) == 0 { (word >> COME) as u32 } else { 0 }
}

/// Why it is broken, if it is.
#[must_use]
pub fn broken(me: &Member, off: Off) -> Option<Why> {
    let barrier = at(me, off);
    let overdue = barrier.overdue.load(Ordering::Acquire);
    let word = barrier.word.load(Ordering::Acquire);
    let why = Why::unpack(barrier.why.load(Ordering::Acquire));
    match word & (BROKEN | RESETTING) {
        BROKEN => Some(why),
        0 => Overdue::of(overdue, word & ROUND),
        _ => None,
    }
}

/// Hangs the action's encoded form on the barrier, for other processes, if there is none yet.
///
/// # Errors
/// [`OutOfMemory`].
pub fn set_action(
    me: &Member,
    off: Off,
    tag: u8,
    bytes: &[u8],
    references: &[Off],
) -> Result<(), OutOfMemory> {
    let barrier = at(me, off);
    let savepoint = heap::savepoint(me);
    let made = blob::create(me, tag, &[bytes], references);
    if let Ok(blob) = made {
        let _latch = barrier.latch.lock(me);
        if barrier.action.load(Ordering::Relaxed) == 0 {
            let mut tx = Tx::begin(me);
            tx.set(&barrier.action, blob.0);
            heap::release_to(me, &mut tx, savepoint);
            crash_point!("barrier.action");
            tx.commit();
            crash_point!("barrier.action_done");
        }
    }
    heap::free_deferred(me, savepoint);
    made.map(drop)
}

/// Whether the action's encoded form is there.
#[must_use]
pub fn has_action(me: &Member, off: Off) -> bool {
    let barrier = at(me, off);
    let _latch = barrier.latch.lock(me);
    barrier.action.load(Ordering::Relaxed) != 0
}

/// The action's encoded form: its tag, its bytes, and handles of what they mention, taken for
/// this process.
///
/// # Errors
/// [`OutOfMemory`].
pub fn action(me: &Member, off: Off) -> Result<Option<(u8, Vec<u8>, blob::HeldBlob)>, OutOfMemory> {
    let barrier = at(me, off);
    // Set once, and freed with the barrier only, which the caller holds.
    let latch = barrier.latch.lock(me);
    let blob = Off(barrier.action.load(Ordering::Relaxed));
    drop(latch);
    if blob.is_none() {
        return Ok(None);
    }
    let held = blob::hold(me, blob)?;
    Ok(Some((blob::tag(me, blob), blob::read(me, blob), held)))
}

/// One step of taking a barrier apart.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let action = &at(me, off).action;
    let blob = Off(action.load(Ordering::Relaxed));
    if blob.is_none() {
        return true;
    }
    let mut tx = Tx::begin(me);
    tx.set(action, 0);
    heap::defer_free(me, &mut tx, blob);
    crash_point!("barrier.action_dropping");
    tx.commit();
    crash_point!("barrier.action_dropped");
    false
}

impl Barrier {
    /// The half that is watched.
    fn futex(&'static self, me: &Member) -> &'static AtomicU32 {
        // Little-endian, as all supported processors are: the low half comes first.
        wait::word(me, me.arena().offset_of(&self.word))
    }

    /// Runs `change` under the latch, and wakes if it says so.
    fn locked<T>(&'static self, me: &Member, change: impl FnOnce(&mut bool) -> T) -> T {
        match self.locked_until(me, || Deadline::NEVER, change) {
            Some(result) => result,
            None => unreachable!("for ever is over"),
        }
    }

    /// The same, if the latch can be had by then; `limit` is asked where it is not free at once.
    fn locked_until<T>(
        &'static self,
        me: &Member,
        limit: impl FnOnce() -> Deadline,
        change: impl FnOnce(&mut bool) -> T,
    ) -> Option<T> {
        let mut wakes = false;
        let latched = self.latch.lock_until(me, limit)?;
        self.catch_up(me, &mut wakes);
        let result = change(&mut wakes);
        drop(latched);
        if wakes {
            futex::wake_all(self.futex(me));
        }
        // SYNC POINT: pairs with the fence in `look_after`.
        fence(Ordering::SeqCst);
        if self.gone.load(Ordering::Relaxed) != 0 {
            self.look_after(me);
        }
        Some(result)
    }

    /// The same where a wait begins: its time limit and its interrupts hold here too.
    fn entering<T>(
        &'static self,
        me: &Member,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
        change: impl Fn(&mut bool) -> T,
    ) -> Result<T, Outcome> {
        loop {
            let limit = || if deadline.passed() { soon() } else { soon().min(deadline) };
            if let Some(result) = self.locked_until(me, limit, &change) {
                return Ok(result);
            }
            if deadline.passed() {
                return Err(Outcome::TimedOut);
            }
            if hooks.interrupted() || !me.is_here() {
                return Err(Outcome::Interrupted);
            }
        }
    }

    /// Does what others have left who died, or went on without the latch, which is held.
    fn catch_up(&self, me: &Member, wakes: &mut bool) {
        if self.word.load(Ordering::Relaxed) & RESETTING != 0 {
            self.finish_reset(me, wakes);
        }
        if self.gone.load(Ordering::Relaxed) != 0 {
            self.take_out_gone(me, wakes);
        }
    }

    /// Stores what all waiters look at.
    fn publish(&self, word: u64, wakes: &mut bool) {
        // SYNC POINT: pairs with the acquire load in `BarrierWait::is_over`.
        let before = self.word.swap(word, Ordering::AcqRel);
        crash_point!("barrier.published");
        *wakes |= before & SLEEPERS != 0;
    }

    /// All have come, and whatever was to be done is done: the next round.
    fn open(&self, round: u64, wakes: &mut bool) {
        self.publish(round.wrapping_add(1) & ROUND, wakes);
    }

    fn shatter(&self, why: Why, wakes: &mut bool) {
        let word = self.word.load(Ordering::Relaxed);
        if word & BROKEN == 0 {
            // First, so that who sees the barrier broken sees why.
            self.why.store(why.pack(), Ordering::Release);
            crash_point!("barrier.why");
            self.publish((word | BROKEN) & !SLEEPERS, wakes);
        }
    }

    /// Tells the waiters of this round, of whom each is in the queue, that it is off; then the
    /// next begins. Whoever comes after a death goes on from the start.
    fn finish_reset(&self, me: &Member, wakes: &mut bool) {
        let round = self.word.load(Ordering::Relaxed) & ROUND;
        let mut next = self.first(me, round);
        while let Some(waiter) = next {
            let mut tx = Tx::begin(me);
            waiter.decide(&mut tx, state::TOLD, FAILED | round << 8);
            waiter.note(&mut tx, self.why.load(Ordering::Relaxed));
            crash_point!("barrier.failing");
            tx.commit();
            crash_point!("barrier.failed");
            next = Queue::after(me, waiter);
        }
        self.open(round, wakes);
    }

    /// The first in the queue, if it is this round's.
    fn first(&self, me: &Member, round: u64) -> Option<Waiter> {
        (self.tag.load(Ordering::Relaxed) == round + 1).then(|| self.queue.first(me)).flatten()
    }

    /// Puts the waiter into this round's queue, as part of a change.
    // crash: part of the caller's change.
    fn enqueue(&self, me: &Member, tx: &mut Tx<'_>, off: Off, waiter: Waiter, round: u64) {
        if self.tag.load(Ordering::Relaxed) != round + 1 {
            self.queue.forget(tx);
            tx.set(&self.tag, round + 1);
        }
        waiter.enter(tx, off, round << 8, 0);
        self.queue.push(me, tx, waiter);
    }
}

/// The round that a waiter came to.
fn round_of(waiter: Waiter) -> u64 {
    waiter.detail() >> 8
}

/// What one who comes finds.
enum Came {
    Last(u64),
    Acts(Waiter, u64, u64),
    Waits(Waiter, u64, u64),
    /// The round is full: the next begins when it is over.
    Full(u64),
    Broken(Why),
}

/// Waits until all have come.
///
/// # Errors
/// [`WaitError`]; the barrier is as it was.
pub fn wait(
    me: &Member,
    off: Off,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Result<Passed, WaitError> {
    let barrier = at(me, off);
    loop {
        let came = match barrier.entering(me, hooks, deadline, |wakes| barrier.come(me, off, wakes))
        {
            Ok(came) => came?,
            // Whoever has the latch is stopped, and the caller has not come.
            Err(Outcome::Interrupted) => return Ok(Passed::Interrupted),
            Err(_) => {
                let round = barrier.word.load(Ordering::Acquire) & ROUND;
                barrier.go_on(me, round, Some(Why::TimedOut));
                return Ok(Passed::TimedOut);
            }
        };
        match came {
            Came::Last(index) => return Ok(Passed::Yes(index)),
            Came::Broken(why) => return Ok(Passed::Broken(why)),
            Came::Acts(waiter, round, index) => {
                let acting = Acting { barrier, me: *me, waiter, round, index, over: false };
                return Ok(Passed::Act(acting));
            }
            Came::Waits(waiter, round, index) => {
                let mut waiting = BarrierWait::new(barrier, me, off, round);
                let outcome = wait::wait(me, hooks, &mut waiting, deadline);
                if !me.is_here() {
                    // Forked by a signal's handler: the place is the parent's.
                    return Ok(Passed::Interrupted);
                }
                return Ok(barrier.leave(me, off, waiter, (round, index), outcome));
            }
            Came::Full(round) => {
                let mut waiting = BarrierWait::new(barrier, me, off, round);
                match wait::wait(me, hooks, &mut waiting, deadline) {
                    Outcome::Interrupted => return Ok(Passed::Interrupted),
                    // Of a round that is over by now nothing has to be broken: it comes to
                    // the next, too late.
                    Outcome::TimedOut if barrier.too_late(me, round) => {
                        return Ok(Passed::TimedOut);
                    }
                    Outcome::Ready | Outcome::TimedOut => {}
                }
            }
        }
    }
}

impl Barrier {
    fn come(&self, me: &Member, off: Off, wakes: &mut bool) -> Result<Came, WaitError> {
        let word = self.word.load(Ordering::Relaxed);
        let (round, index) = (word & ROUND, word >> COME);
        if word & BROKEN != 0 {
            return Ok(Came::Broken(Why::unpack(self.why.load(Ordering::Relaxed))));
        }
        let parties = self.parties.load(Ordering::Relaxed);
        if index >= parties {
            return Ok(Came::Full(round));
        }
        let last = index + 1 == parties;
        let acts = self.acts.load(Ordering::Relaxed) != 0;
        if last && !acts {
            self.open(round, wakes);
            return Ok(Came::Last(index));
        }
        let waiter = Waiter::free(me)?;
        let mut tx = Tx::begin(me);
        self.enqueue(me, &mut tx, off, waiter, round);
        // What waiters look at stays as it is but for a flag that they do not look at.
        tx.set(&self.word, (word + (1 << COME)) | if last { ACTING } else { 0 });
        crash_point!("barrier.coming");
        tx.commit();
        crash_point!("barrier.came");
        let came = if last { Came::Acts } else { Came::Waits };
        Ok(came(waiter, round, index))
    }

    /// Breaks the barrier for one who waits for a round to be over; false if it is.
    fn too_late(&'static self, me: &Member, round: u64) -> bool {
        let late = self.locked_until(me, soon, |wakes| {
            let word = self.word.load(Ordering::Relaxed);
            let same = word & ROUND == round && word & BROKEN == 0;
            if same {
                self.shatter(Why::TimedOut, wakes);
            }
            same
        });
        late.unwrap_or_else(|| {
            self.go_on(me, round, Some(Why::TimedOut));
            true
        })
    }

    /// The waiter's wait has ended, which came to that round as the party with that number.
    fn leave(
        &'static self,
        me: &Member,
        off: Off,
        waiter: Waiter,
        (round, index): (u64, u64),
        outcome: Outcome,
    ) -> Passed {
        // Nobody looks at the node of a round that is over.
        let over = || {
            let (told, why) = (waiter.state() == state::TOLD, Why::unpack(waiter.info()));
            waiter.leave();
            match outcome {
                Outcome::Interrupted => Passed::Interrupted,
                _ if told => Passed::Broken(why),
                _ => Passed::Yes(index),
            }
        };
        if self.word.load(Ordering::Acquire) & ROUND != round {
            return over();
        }
        let left = self.locked_until(me, soon, |wakes| {
            let word = self.word.load(Ordering::Relaxed);
            if word & ROUND != round || waiter.state() == state::TOLD {
                return over();
            }
            let mut passed = match outcome {
                Outcome::Interrupted => Passed::Interrupted,
                Outcome::TimedOut => Passed::TimedOut,
                Outcome::Ready => Passed::Broken(Why::unpack(self.why.load(Ordering::Relaxed))),
            };
            if outcome == Outcome::TimedOut {
                if word & BROKEN != 0 {
                    passed = Passed::Broken(Why::unpack(self.why.load(Ordering::Relaxed)));
                }
                self.shatter(Why::TimedOut, wakes);
            }
            let mut tx = Tx::begin(me);
            self.queue.remove(me, &mut tx, waiter);
            let word = self.word.load(Ordering::Relaxed);
            if word & (BROKEN | ACTING) == 0 {
                tx.set(&self.word, word - (1 << COME));
            }
            waiter.free_in(&mut tx);
            crash_point!("barrier.leaving");
            tx.commit();
            crash_point!("barrier.left");
            passed
        });
        left.unwrap_or_else(|| {
            // Whoever has the latch is stopped.
            let broken = self.word.load(Ordering::Acquire) & BROKEN != 0;
            let why = Why::unpack(self.why.load(Ordering::Acquire));
            wait_nodes::defer(me, waiter.node, off, None);
            let times_out = outcome == Outcome::TimedOut && !broken;
            self.go_on(me, round, times_out.then_some(Why::TimedOut));
            match outcome {
                Outcome::Interrupted => Passed::Interrupted,
                _ if times_out => Passed::TimedOut,
                _ => Passed::Broken(why),
            }
        })
    }
}

impl Acting {
    /// The action is done: all go on. What the caller has waited for.
    #[must_use]
    pub fn done(mut self) -> Passed {
        self.end(None)
    }

    /// The action failed: breaks the barrier.
    pub fn failed(mut self) {
        self.end(Some(Why::ActionFailed));
    }

    fn end(&mut self, why: Option<Why>) -> Passed {
        if std::mem::replace(&mut self.over, true) {
            return Passed::Yes(self.index);
        }
        if !self.me.is_here() {
            // The action has forked: the round is the parent's.
            return Passed::Interrupted;
        }
        let (barrier, waiter, round) = (self.barrier, self.waiter, self.round);
        barrier.locked(&self.me, |wakes| {
            let word = barrier.word.load(Ordering::Relaxed);
            if waiter.state() == state::TOLD {
                let why = Why::unpack(waiter.info());
                waiter.leave();
                return Passed::Broken(why);
            }
            if word & BROKEN == 0 && why.is_none() {
                barrier.open(round, wakes);
                waiter.leave();
                return Passed::Yes(self.index);
            }
            barrier.shatter(why.unwrap_or(Why::Aborted), wakes);
            let mut tx = Tx::begin(&self.me);
            barrier.queue.remove(&self.me, &mut tx, waiter);
            waiter.free_in(&mut tx);
            crash_point!("barrier.acted");
            tx.commit();
            crash_point!("barrier.acted_done");
            Passed::Broken(Why::unpack(barrier.why.load(Ordering::Relaxed)))
        })
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        self.end(Some(Why::ActionFailed));
    }
}

/// Breaks the barrier: all who wait, and all who come, are told.
pub fn abort(me: &Member, off: Off) {
    let barrier = at(me, off);
    if barrier.locked_until(me, soon, |wakes| barrier.shatter(Why::Aborted, wakes)).is_none() {
        let round = barrier.word.load(Ordering::Acquire) & ROUND;
        barrier.go_on(me, round, Some(Why::Aborted));
    }
}

/// Makes the barrier whole and empty: all who wait are told that it was broken.
pub fn reset(me: &Member, off: Off) {
    let barrier = at(me, off);
    barrier.locked(me, |wakes| {
        let word = barrier.word.load(Ordering::Relaxed);
        let round = word & ROUND;
        if barrier.first(me, round).is_none() {
            barrier.publish(round, wakes);
            return;
        }
        if word & BROKEN == 0 {
            barrier.why.store(Why::Reset.pack(), Ordering::Release);
            crash_point!("barrier.reset_why");
        }
        barrier.publish((word | BROKEN | RESETTING) & !SLEEPERS, wakes);
        barrier.finish_reset(me, wakes);
    });
}

struct BarrierWait<'a> {
    barrier: &'static Barrier,
    me: &'a Member,
    off: Off,
    round: u64,
    /// It sleeps without having had the latch.
    is_unsure: bool,
}

impl<'a> BarrierWait<'a> {
    fn new(barrier: &'static Barrier, me: &'a Member, off: Off, round: u64) -> Self {
        Self { barrier, me, off, round, is_unsure: false }
    }

    fn is_over(&self, word: u64) -> bool {
        word & ROUND != self.round || word & BROKEN != 0
    }
}

impl Awaited for BarrierWait<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.barrier.futex(self.me)
    }

    fn object(&self) -> Off {
        self.off
    }

    fn ready(&mut self) -> bool {
        self.is_over(self.barrier.word.load(Ordering::Acquire))
    }

    fn announce(&mut self) -> Option<u32> {
        let announced = self.barrier.locked_until(self.me, soon, |_| {
            let word = self.barrier.word.load(Ordering::Relaxed);
            if self.is_over(word) {
                return None;
            }
            self.barrier.word.store(word | SLEEPERS, Ordering::Release);
            crash_point!("barrier.announced");
            Some((word | SLEEPERS) as u32)
        });
        self.is_unsure = announced.is_none();
        announced.unwrap_or_else(|| {
            // Whoever has the latch is stopped, and might not see that somebody sleeps.
            let word = self.barrier.word.load(Ordering::Acquire);
            (!self.is_over(word)).then_some(word as u32)
        })
    }

    fn look_again(&self) -> Deadline {
        if self.is_unsure { soon() } else { Deadline::NEVER }
    }
}

fn abandon(dead: &Member, node: &'static WaitNode, off: Off, limit: Deadline) -> bool {
    let (barrier, waiter) = (at(dead, off), Waiter::of_node(dead, node));
    let abandoned = barrier.locked_until(
        dead,
        || limit,
        |wakes| {
            let word = barrier.word.load(Ordering::Relaxed);
            if word & ROUND != round_of(waiter) || waiter.state() == state::TOLD {
                waiter.leave();
                return;
            }
            let owner = dead.slot().owner.load(Ordering::Acquire);
            let process = slots::process_slot(dead.arena(), owner.saturating_sub(1) as u32);
            barrier.shatter(Why::Died(slots::owner(process).0), wakes);
            let mut tx = Tx::begin(dead);
            barrier.queue.remove(dead, &mut tx, waiter);
            waiter.free_in(&mut tx);
            crash_point!("barrier.abandoning");
            tx.commit();
            crash_point!("barrier.abandoned");
        },
    );
    abandoned.is_some()
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests;
