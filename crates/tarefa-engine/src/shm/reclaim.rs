//! Cleaning up after a dead process: precise, bounded, by whoever supervises.
//!
//! The order matters:
//! 1. mark the slot dead and make its generation old, so that locks the process held are
//!    seen to be without an owner;
//! 2. for each of its threads: undo the change in its journal, then release its latches,
//!    return its run and free the blocks on its chain;
//! 3. wake whoever waits on a lock, to look at the owner anew;
//! 4. return the references the process held;
//! 5. give the slots back.
//!
//! Each step finishes what a cleaner that died itself began, because every part of the dead
//! process's state is taken off it by the same kind of committed change.

use std::sync::atomic::Ordering;

use super::heap;
use super::journal;
use super::latch;
use super::layout::process_state;
use super::me::Me;
use super::offset::Off;
use super::references;
use super::slots;
use crate::os::{futex, proc};

/// Marks the process in slot `index` dead. False if somebody else has.
pub fn mark_dead(me: &Me, index: u32) -> bool {
    let slot = slots::process_slot(me.runtime(), index);
    let live = slot.owner.load(Ordering::Acquire);
    if !matches!(live & 0xff, process_state::LIVE | process_state::EMBRYO) {
        return false;
    }
    let dead = live & !0xff | process_state::DEAD;
    let mine = slot.owner.compare_exchange(live, dead, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    crash_point!("reclaim.marked");
    if mine {
        slot.generation.fetch_add(1, Ordering::AcqRel);
        crash_point!("reclaim.aged");
    }
    mine
}

/// Cleans up after the process in slot `index`, which [`mark_dead`] has marked; the slot
/// itself stays taken until [`forget`].
pub fn clean_up(me: &Me, index: u32) {
    let runtime = me.runtime();
    for t in slots::threads(runtime) {
        let slot = slots::thread_slot(runtime, t);
        if slot.owner.load(Ordering::Acquire) == u64::from(index) + 1 {
            clean_up_thread(&Me::new(runtime, slot, t));
        }
    }
    for t in slots::threads(runtime) {
        let slot = slots::thread_slot(runtime, t);
        let word = slot.waiting_on.load(Ordering::Acquire);
        if word != 0 && slot.owner.load(Ordering::Acquire) != 0 {
            futex::wake_all(me.arena().at(Off(word)));
        }
    }
    let slot = slots::process_slot(runtime, index);
    let mark = heap::mark(me);
    while references::hook_next(me, &slot.references) {
        heap::drain(me, mark);
    }
}

/// Gives the slot of a dead process back.
pub fn forget(me: &Me, index: u32) {
    slots::free_process(me.runtime(), index);
}

/// `dead` is the dead thread's own slot: its journal and its chain are worked off in place.
fn clean_up_thread(dead: &Me) {
    journal::rollback(dead);
    for held in dead.slot().held.iter().rev() {
        let off = Off(held.load(Ordering::Acquire));
        if !off.is_none() {
            latch::at(dead, off).release_for_dead(dead.index());
            held.store(0, Ordering::Release);
            crash_point!("reclaim.latch");
        }
    }
    if dead.slot().run.load(Ordering::Acquire) != 0 {
        let _latch = dead.header().units_latch.lock(dead);
        heap::units::give_back(dead);
    }
    heap::drain(dead, Off::NONE);
    let word = dead.slot().waiting_on.load(Ordering::Acquire);
    if word != 0 {
        futex::wake_all(dead.arena().at(Off(word)));
    }
    slots::free_thread(dead.slot());
}

/// For a runtime whose root is gone: if the holder of a latch has died, clean up after it.
pub(super) fn without_root(me: &Me, holder: u32) {
    let runtime = me.runtime();
    if runtime.root_alive() {
        return;
    }
    let owner = slots::thread_slot(runtime, holder).owner.load(Ordering::Acquire);
    let Some(index) = owner.checked_sub(1) else { return };
    let slot = slots::process_slot(runtime, index as u32);
    let (pid, _) = slots::owner(slot);
    if !proc::alive(pid, slot.start_time.load(Ordering::Acquire))
        && mark_dead(me, index as u32)
    {
        // Not the chain of this thread, which is in the middle of something.
        for t in slots::threads(runtime) {
            let slot = slots::thread_slot(runtime, t);
            if slot.owner.load(Ordering::Acquire) == index + 1 {
                clean_up_thread(&Me::new(runtime, slot, t));
            }
        }
    }
}
