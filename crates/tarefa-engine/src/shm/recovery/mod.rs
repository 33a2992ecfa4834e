//! Cleaning up after a dead process: precise, bounded, by whoever supervises.
//!
//! The order matters:
//! 1. mark the slot dead and make its generation old, so that locks the process held are
//!    seen to be without an owner;
//! 2. for each of its threads: undo the change in its journal, then release its latches;
//! 3. make whoever waits in `sync` look at the owner anew;
//! 4. for each of its threads: give up its places in queues, then what it holds of objects. That takes
//!    latches, and one of them a member may have that is stopped: see `round.rs`;
//! 5. for each of its threads: return its run and free the blocks on its chain and of its journal;
//! 6. return the references the process held;
//! 7. give the slots back.
//!
//! Several that died together go through 1 to 3 together. 4 is done in rounds, until nothing is left;
//! who is stopped puts off only what is his object's. From 5 on it takes as long as there is to free,
//! and nobody waits for it: the supervisor looks around meanwhile, for more deaths.
//!
//! Each step finishes what a cleaner that died itself began, because every part of the dead
//! process's state is taken off it by the same kind of committed change.

pub(in crate::shm) mod holds;
mod round;
pub mod wait_nodes;

use std::cell::Cell;
use std::os::fd::AsFd;
use std::time::Duration;

use super::heap;
use crate::atomic::Ordering;
use crate::os::{futex, pidfd, process, procfs};
use crate::shm::arena::layout::process_state;
use crate::shm::arena::offset::Off;
use crate::shm::heap::journal_room;
use crate::shm::member::Member;
use crate::shm::member::report_request;
use crate::shm::member::runtime::Runtime;
use crate::shm::member::slots;
use crate::shm::member::thread_slots;
use crate::shm::object::entries;
use crate::shm::object::refcount;
use crate::shm::trace;
use crate::shm::tx::journal;
use crate::shm::tx::latch;
use crate::shm::tx::latch::Overdue;

pub use round::Round;

/// How often [`is_held_up`] looks at a latch, and after how many of them a millisecond apart.
const LOOKS: u32 = 30;
const YIELDS: u32 = 20;

/// Marks the process in slot `index` dead. False if somebody else has.
pub fn mark_dead(me: &Member, index: u32) -> bool {
    let slot = slots::process_slot(me.arena(), index);
    let live = slot.owner.load(Ordering::Acquire);
    let state = live & 0xff;
    if !matches!(state, process_state::LIVE | process_state::EMBRYO | process_state::LEFT) {
        return false;
    }
    let dead = live & !0xff | process_state::DEAD;
    let mine = slot.owner.compare_exchange(live, dead, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    crash_point!("recovery.marked");
    if mine {
        let former = u64::from(slots::lock_owner(me.arena(), index)) << 32 | live >> 8;
        slot.former.store(former, Ordering::Release);
        crash_point!("recovery.noted");
        slot.generation.fetch_add(1, Ordering::AcqRel);
        crash_point!("recovery.aged");
    }
    mine
}

/// Cleans up after the process in slot `index`, which [`mark_dead`] has marked; the slot
/// itself stays taken until [`forget`].
pub fn clean_up(me: &Member, index: u32) {
    release(me, &[index]);
    leave(me, index, &mut Round::patient());
    return_memory(me, index, &mut || false);
}

/// Takes from the processes in these slots, which [`mark_dead`] has marked, their latches, and has those
/// look around who wait. That is short, however much they had, and waits for nobody.
pub fn release(me: &Member, dead: &[u32]) {
    for index in dead {
        release_latches_of(me, *index);
    }
    // Before those who wait look around: they look for what the dead held if there are more.
    me.header().deaths.fetch_add(dead.len() as u64, Ordering::AcqRel);
    crash_point!("recovery.counted");
    slots::wake_waiters(me.arena());
}

/// Takes from the process in slot `index` its places in queues, and what it holds of objects, after
/// [`release`] of all that have died: their latches are free then. True once nothing is left; what the
/// round was held up with is for another one.
pub fn leave(me: &Member, index: u32, round: &mut Round) -> bool {
    let runtime = me.runtime();
    let dead = |t| Member::new(runtime, slots::thread_slot(runtime.arena(), t));
    let mut all = true;
    for t in threads_of(runtime, index) {
        all &= wait_nodes::abandon_all(&dead(t), round);
    }
    // Not before: what the dead wait for may be granted to them until then.
    if let Some(t) = threads_of(runtime, index).next() {
        let references = &slots::process_slot(runtime.arena(), index).references;
        all &= holds::return_all(&dead(t), references, round);
    }
    all
}

/// Gives back the memory of the process in slot `index`, after [`leave`], and what it refers to,
/// which takes the longer the more there is: until `pause` says that it is enough for now. True once
/// all is done. The calling thread has no blocks of its own to free meanwhile.
pub fn return_memory(me: &Member, index: u32, pause: &mut impl FnMut() -> bool) -> bool {
    let runtime = me.runtime();
    for t in threads_of(runtime, index) {
        let dead = Member::new(runtime, slots::thread_slot(runtime.arena(), t));
        if !return_blocks(&dead, pause) {
            return false;
        }
    }
    let slot = slots::process_slot(runtime.arena(), index);
    loop {
        if !heap::free_deferred_until(me, Off::NONE, pause) {
            return false;
        }
        if !entries::hook_next(me, &slot.references) {
            return true;
        }
    }
}

/// Gives back what a process in slot `index` refers to, of which [`leave`] has left something for another
/// round: all but the objects that it is about, and what is in those. Until `pause` says that it is enough
/// for now; true once all is done. As for [`return_memory`].
pub fn return_others(me: &Member, index: u32, pause: &mut impl FnMut() -> bool) -> bool {
    let runtime = me.runtime();
    let references = &slots::process_slot(runtime.arena(), index).references;
    let nodes = threads_of(runtime, index)
        .flat_map(|t| &slots::thread_slot(runtime.arena(), t).nodes)
        .map(|node| Off(node.object.load(Ordering::Acquire)));
    let mut kept: Vec<Off> = nodes.filter(|object| !object.is_none()).collect();
    kept.extend(holds::objects(me, references));
    loop {
        if !heap::free_deferred_until(me, Off::NONE, pause) {
            return false;
        }
        if !refcount::return_next(me, references, &kept) {
            return true;
        }
    }
}

/// Whether somebody does not let go of a latch that [`return_memory`] takes, as one that is stopped in
/// the middle of an operation. Who went on would wait for it, and see no more deaths meanwhile.
#[must_use]
pub fn is_held_up(me: &Member) -> bool {
    heap::latches(me).any(|latch| {
        let Some(holder) = latch.holder() else { return false };
        for look in 0..LOOKS {
            if look < YIELDS {
                process::yield_now();
            } else {
                process::nap();
            }
            if latch.holder() != Some(holder) {
                return false;
            }
        }
        true
    })
}

/// Gives the slot of a dead process back.
pub fn forget(me: &Member, index: u32) {
    // It may have been the last that wanted one.
    trace::off_if_unwanted(me);
    slots::free_process(me.arena(), index);
}

/// The thread slots of the process in slot `index`.
fn threads_of(runtime: &'static Runtime, index: u32) -> impl Iterator<Item = u32> {
    slots::threads(runtime.arena()).filter(move |t| {
        let owner = slots::thread_slot(runtime.arena(), *t).owner.load(Ordering::Acquire);
        owner == u64::from(index) + 1
    })
}

/// Releases the latches of the dead process in slot `index`.
fn release_latches_of(me: &Member, index: u32) {
    let runtime = me.runtime();
    for t in threads_of(runtime, index) {
        release_latches(&Member::new(runtime, slots::thread_slot(runtime.arena(), t)));
    }
}

/// `dead` is the dead thread's own slot: what is in it is worked off in place.
fn release_latches(dead: &Member) {
    journal::rollback(dead);
    for held in dead.slot().held.iter().rev() {
        let off = Off(held.load(Ordering::Acquire));
        if !off.is_none() {
            latch::at(dead, off).release_for_dead(dead.index());
            held.store(0, Ordering::Release);
            crash_point!("recovery.latch");
        }
    }
}

/// Frees the blocks of a dead thread; false where `pause` has put an end to that for now.
fn return_blocks(dead: &Member, pause: &mut impl FnMut() -> bool) -> bool {
    heap::backed_pages::unclaim(dead);
    if dead.slot().run.load(Ordering::Acquire) != 0 {
        let _latch = dead.header().units_latch.lock(dead);
        heap::units::give_back_for_dead(dead);
    }
    while journal_room::hook_more(dead) {}
    if !heap::free_deferred_until(dead, Off::NONE, pause) {
        return false;
    }
    let word = dead.slot().waiting_on.load(Ordering::Acquire);
    if word != 0 {
        futex::wake_all(dead.arena().at(Off(word)));
    }
    slots::free_thread(dead.slot());
    true
}

thread_local! {
    static CLEANER: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is the one that cleans up: it may not wait for the dead to be cleaned up.
pub fn become_cleaner() {
    CLEANER.set(true);
}

/// Tells latches what is done about those that are not let go, and threads what they give back.
pub(super) fn register() {
    latch::set_overdue(Overdue { after: latch_timeout, help });
    thread_slots::set_give_back(|me| {
        wait_nodes::give_up_all_deferred(me);
        holds::return_of_thread(me);
    });
}

/// How long to wait for a latch before [`help`].
fn latch_timeout() -> Duration {
    if CLEANER.get() { Duration::from_millis(2) } else { Duration::from_secs(1) }
}

/// The thread in slot `holder` has held a latch for longer than [`latch_timeout`].
fn help(me: &Member, holder: u32, waited: Duration) {
    if CLEANER.get() {
        release_early(me, holder);
    } else if !me.runtime().root_alive() {
        without_root(me, holder);
    }
    if report_request::report_after(me).is_some_and(|after| waited >= after) {
        tell_of_holder(me, holder, waited);
    }
}

thread_local! {
    /// Of whom the thread has told last: holder and its process.
    static TOLD: Cell<(u32, u64)> = const { Cell::new((0, 0)) };
}

/// A latch is held for so long that a report is due: nobody is meant to, so its holder is stopped,
/// or broken.
fn tell_of_holder(me: &Member, holder: u32, waited: Duration) {
    let slot = slots::thread_slot(me.arena(), holder);
    let owner = slot.owner.load(Ordering::Acquire);
    let Some(index) = owner.checked_sub(1) else { return };
    let (pid, _) = slots::owner(slots::process_slot(me.arena(), index as u32));
    if TOLD.replace((holder, owner)) == (holder, owner) {
        return;
    }
    let tid = slot.tid.load(Ordering::Acquire) as i32;
    let name = procfs::thread_name(pid, tid).unwrap_or_default();
    let what = match procfs::thread_stat(pid, tid).map(|s| s.state) {
        Some('T') => ", which is stopped (kill -CONT lets it go on),",
        Some('t') => ", which a debugger has stopped,",
        _ => "",
    };
    eprintln!(
        "tarefa: process {}, thread {}: waits for {} s now for a latch that process {pid}, thread \
         {tid} ({name}){what} holds inside an operation of tarefa",
        process::pid(),
        process::tid(),
        waited.as_secs()
    );
}

/// The cleaner is busy with one death and needs a latch that another dead process holds.
fn release_early(me: &Member, holder: u32) {
    let runtime = me.runtime();
    let owner = slots::thread_slot(runtime.arena(), holder).owner.load(Ordering::Acquire);
    let Some(index) = owner.checked_sub(1) else { return };
    let slot = slots::process_slot(runtime.arena(), index as u32);
    let (pid, state) = slots::owner(slot);
    if state == process_state::DEAD || gone(pid, slot.there_at.load(Ordering::Acquire)) {
        release_latches_of(me, index as u32);
    }
}

/// Whether all threads of the process have ended.
fn gone(pid: i32, there_at: u64) -> bool {
    match pidfd::open(pid) {
        Ok(fd) => pidfd::ended(fd.as_fd()) || procfs::is_another(pid, there_at),
        // Without a descriptor to spare only what needs none counts.
        Err(e) => pidfd::says_gone(&e) || !process::exists(pid),
    }
}

/// For a runtime whose root is gone: if the holder of a latch has died, clean up after it.
fn without_root(me: &Member, holder: u32) {
    let runtime = me.runtime();
    let owner = slots::thread_slot(runtime.arena(), holder).owner.load(Ordering::Acquire);
    let Some(index) = owner.checked_sub(1) else { return };
    let slot = slots::process_slot(runtime.arena(), index as u32);
    let (pid, state) = slots::owner(slot);
    if state != process_state::DEAD && !gone(pid, slot.there_at.load(Ordering::Acquire)) {
        return;
    }
    // One cleaner at a time, and another one if that dies as well.
    let seen = slot.watched.load(Ordering::Acquire);
    let cleaner = (seen >> 32) as i32;
    if cleaner != 0 && !gone(cleaner, 0) {
        return;
    }
    let mine = (process::pid() as u64) << 32 | 1;
    let swap = slot.watched.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Relaxed);
    crash_point!("recovery.cleaner");
    if swap.is_err() {
        return;
    }
    if !mark_dead(me, index as u32) {
        // Marked by a cleaner that died, perhaps before it had made the generation old.
        slot.generation.fetch_add(1, Ordering::AcqRel);
        crash_point!("recovery.aged_again");
    }
    // Not the references, for this thread is in the middle of something.
    release_latches_of(me, index as u32);
    leave(me, index as u32, &mut Round::patient());
    for t in threads_of(runtime, index as u32) {
        return_blocks(&Member::new(runtime, slots::thread_slot(runtime.arena(), t)), &mut || false);
    }
    slot.watched.store(1, Ordering::Release);
    crash_point!("recovery.cleaned");
}

/// Whether a member that lives cleans up after the process in slot `index` just now, for want of a
/// root: see `without_root`.
#[must_use]
pub fn is_being_cleaned(me: &Member, index: u32) -> bool {
    let watched = slots::process_slot(me.arena(), index).watched.load(Ordering::Acquire);
    let cleaner = (watched >> 32) as i32;
    cleaner != 0 && !gone(cleaner, 0)
}
