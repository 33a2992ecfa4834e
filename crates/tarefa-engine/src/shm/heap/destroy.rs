//! Taking blocks back, with whatever falls with them.
//!
//! Whoever has a latch of the heap may be stopped, and nobody is to wait for him only to give
//! something back. So a thread that has nothing else on its chain, and so is at the end of an operation, waits
//! for such a latch for a moment, and otherwise leaves the rest of the chain as it is, for its next
//! operation ([`ThreadSlot::left_over`](crate::shm::arena::layout::ThreadSlot::left_over)). What is left over
//! lies at the end of the chain, below all that operations hook on it, and a savepoint of none means
//! the end of that. A death finds it as it finds all of the chain.

use std::sync::OnceLock;
use std::time::Duration;

use super::backed_pages;
use super::backed_pages::STEP;
use super::blocks::{header, kind, left_over, size};
use super::kind::Kind;
use super::size_classes::class_of;
use super::{slab, unit_table, units};
use crate::atomic::Ordering;
use crate::kinds::block;
use crate::os::clock::Deadline;
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::PATIENCE;

/// Takes one step of taking a block apart; true once it refers to nothing.
pub type Step = fn(&Member, Off) -> bool;

/// What was registered for a kind: what blocks of it are called, and their step.
type Registered = (&'static str, Step);

static STEPS: [OnceLock<Registered>; block::COUNT] = [const { OnceLock::new() }; block::COUNT];

/// Says how blocks of `kind` are taken apart, which are called `name`. May be said again.
///
/// # Panics
/// When the kind is another's: two files declare the same number, a bug in the engine.
pub fn register(kind: Kind, name: &'static str, step: Step) {
    let known = STEPS[usize::from(kind.number())].get_or_init(|| (name, step));
    assert!(known.0 == name, "blocks of {} and of {name} have the same number", known.0);
}

/// How blocks of `kind` are taken apart. One that nobody registered refers to nothing.
#[inline]
fn step_of(kind: Kind) -> Step {
    STEPS.get(usize::from(kind.number())).and_then(|s| s.get()).map_or(|_, _| true, |s| s.1)
}

/// How a step of freeing went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stepped {
    More,
    Done,
    /// Somebody has a latch for long.
    HeldUp,
}

/// Frees all blocks hooked since `savepoint`, and whatever falls with them. Without a savepoint, so at
/// the end of an operation, it waits for nobody who is stopped: see the module.
#[inline]
pub fn free_deferred(me: &Member, savepoint: Off) {
    if !savepoint.is_none() {
        while free_step(me, savepoint, None) == Stepped::More {}
        return;
    }
    let left = left_over(me);
    // Where there is something left over already, its holder is probably still stopped.
    let patience = Some(if left.is_none() { PATIENCE } else { Duration::ZERO });
    loop {
        match free_step(me, left, patience) {
            Stepped::More => {}
            Stepped::Done if left.is_none() => return,
            Stepped::Done => return free_left_over(me),
            Stepped::HeldUp => return leave_over(me),
        }
    }
}

/// All that is on the chain is for later.
#[cold]
fn leave_over(me: &Member) {
    let slot = me.slot();
    slot.left_over.store(slot.chain.load(Ordering::Relaxed), Ordering::Relaxed);
    crash_point!("heap.left_over");
}

/// Frees what operations before have left over, as far as that is to be had at once.
#[cold]
pub(in crate::shm) fn free_left_over(me: &Member) {
    // Plain blocks of the chain again, for the steps hook others on it.
    me.slot().left_over.store(0, Ordering::Relaxed);
    crash_point!("heap.left_over_taken");
    loop {
        match free_step(me, Off::NONE, Some(Duration::ZERO)) {
            Stepped::More => {}
            Stepped::Done => return,
            Stepped::HeldUp => return leave_over(me),
        }
    }
}

/// The same, until `pause` says that it is enough for now; true once all are free. What is left
/// stays hooked.
pub fn free_deferred_until(me: &Member, savepoint: Off, pause: &mut impl FnMut() -> bool) -> bool {
    if savepoint.is_none() {
        me.slot().left_over.store(0, Ordering::Relaxed);
        crash_point!("heap.left_over_joined");
    }
    while free_step(me, savepoint, None) == Stepped::More {
        if pause() {
            return false;
        }
    }
    true
}

/// One step of [`free_deferred`], down to the block at `end`; it waits for each latch so long, and for
/// ever without a limit.
#[inline]
fn free_step(me: &Member, end: Off, patience: Option<Duration>) -> Stepped {
    let head = Off(me.slot().chain.load(Ordering::Relaxed));
    if head == end || head.is_none() {
        return Stepped::Done;
    }
    let done = match kind(me, head) {
        Some(Kind::RAW) | None => true,
        Some(kind) => step_of(kind)(me, head),
    };
    if done && !free_head(me, head, patience) { Stepped::HeldUp } else { Stepped::More }
}

/// Gives the chain's first block back to the heap; false where it was not to be had in time.
#[inline]
fn free_head(me: &Member, block: Off, patience: Option<Duration>) -> bool {
    if let Some(class) = class_of(size(me, block)) {
        return slab::free_head(me, block, class, patience);
    }
    free_large(me, block, patience)
}

fn free_large(me: &Member, block: Off, patience: Option<Duration>) -> bool {
    let units_latch = &me.header().units_latch;
    if !give_up_pages(me, block, patience) {
        return false;
    }
    let Some(latch) = units_latch.lock_until(me, || Deadline::after(patience)) else {
        return false;
    };
    let unit = unit_table::of(me, block);
    let entry = unit_table::entry(me, unit);
    let mut tx = Tx::begin(me);
    let count = unit_table::units_of(entry.state.load(Ordering::Relaxed));
    tx.set(&entry.state, unit_table::in_flight(count));
    tx.set(&me.slot().run, unit + 1);
    tx.set(&me.slot().chain, header(me, block).next.load(Ordering::Relaxed));
    tx.set(&header(me, block).info, 0);
    crash_point!("heap.large_unhooked");
    tx.commit();
    crash_point!("heap.large_in_flight");
    units::give_back(me);
    drop(latch);
    units::shed(me, patience);
    true
}

/// Gives the pages of a very large block back a step at a time, but for the first step's: the
/// block is nothing any more but its header, which says how large it is. False where it was not to be
/// done in time.
fn give_up_pages(me: &Member, block: Off, patience: Option<Duration>) -> bool {
    let size = size(me, block);
    if size <= backed_pages::most_retained(me) {
        return true;
    }
    for at in (STEP..size).step_by(STEP as usize) {
        let latch = &me.header().units_latch;
        let Some(_latch) = latch.lock_until(me, || Deadline::after(patience)) else {
            return false;
        };
        // The same is done again if this is cut short: what is marked may be gone already.
        backed_pages::release(me, block.plus(at), STEP.min(size - at), 0);
    }
    true
}
