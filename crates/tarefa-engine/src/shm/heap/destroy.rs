//! Taking blocks back, with whatever falls with them.

use std::sync::OnceLock;

use super::backed_pages;
use super::backed_pages::STEP;
use super::blocks::{header, kind, size};
use super::kind::Kind;
use super::size_classes::class_of;
use super::{slab, unit_table, units};
use crate::atomic::Ordering;
use crate::kinds::block;
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

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

/// Frees all blocks hooked since `savepoint`, and whatever falls with them.
pub fn free_deferred(me: &Member, savepoint: Off) {
    while free_step(me, savepoint) {}
}

/// The same, until `pause` says that it is enough for now; true once all are free. What is left
/// stays hooked.
pub fn free_deferred_until(me: &Member, savepoint: Off, pause: &mut impl FnMut() -> bool) -> bool {
    while free_step(me, savepoint) {
        if pause() {
            return false;
        }
    }
    true
}

/// One step of [`free_deferred`]; false once there is none left.
#[inline]
fn free_step(me: &Member, savepoint: Off) -> bool {
    let head = Off(me.slot().chain.load(Ordering::Relaxed));
    if head == savepoint || head.is_none() {
        return false;
    }
    let done = match kind(me, head) {
        Some(Kind::RAW) | None => true,
        Some(kind) => step_of(kind)(me, head),
    };
    if done {
        free_head(me, head);
    }
    true
}

/// Gives the chain's first block back to the heap.
fn free_head(me: &Member, block: Off) {
    if let Some(class) = class_of(size(me, block)) {
        return slab::free_head(me, block, class);
    }
    give_up_pages(me, block);
    let latch = me.header().units_latch.lock(me);
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
    units::shed(me);
}

/// Gives the pages of a very large block back a step at a time, but for the first step's: the
/// block is nothing any more but its header, which says how large it is.
fn give_up_pages(me: &Member, block: Off) {
    let size = size(me, block);
    if size <= backed_pages::most_retained(me) {
        return;
    }
    for at in (STEP..size).step_by(STEP as usize) {
        let _latch = me.header().units_latch.lock(me);
        // The same is done again if this is cut short: what is marked may be gone already.
        backed_pages::release(me, block.plus(at), STEP.min(size - at), 0);
    }
}
