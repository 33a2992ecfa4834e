//! Who is a member: taking and giving back the slots of processes and threads.
//!
//! A slot is taken by one compare-and-swap of its `owner`, which at once says who has it, so
//! no death leaves a slot that nobody can attribute.

use std::{io, ptr};

use crate::atomic::{AtomicU64, Ordering, fence};
use crate::os::{futex, process};
use crate::shm::arena::Arena;
use crate::shm::arena::layout::{
    PROCESSES, PROCESSES_AT, ProcessSlot, THREAD_SLOTS, THREADS, THREADS_AT, ThreadSlot,
    process_state,
};
use crate::shm::arena::offset::Off;

/// The process slot with that number.
#[must_use]
pub fn process_slot(arena: &'static Arena, index: u32) -> &'static ProcessSlot {
    let at = PROCESSES_AT + u64::from(index) * size_of::<ProcessSlot>() as u64;
    arena.at(Off(at))
}

/// The thread slot with that number.
#[must_use]
pub fn thread_slot(arena: &'static Arena, index: u32) -> &'static ThreadSlot {
    let at = THREADS_AT + u64::from(index) * size_of::<ThreadSlot>() as u64;
    arena.at(Off(at))
}

/// A number that no slot has: that of who only looks, from outside.
pub(super) const NOBODY: u32 = u32::MAX;

/// The number of a thread slot; `NOBODY` for one that is not the arena's.
#[must_use]
#[inline]
pub fn index_of_thread(arena: &Arena, slot: &ThreadSlot) -> u32 {
    let first = arena.start().addr() + THREADS_AT as usize;
    let index = ptr::from_ref(slot).addr().wrapping_sub(first) / size_of::<ThreadSlot>();
    if index < THREAD_SLOTS as usize { index as u32 } else { NOBODY }
}

/// Numbers of the process slots ever used.
pub fn processes(arena: &'static Arena) -> impl Iterator<Item = u32> {
    0..arena.header().process_top.load(Ordering::Acquire) as u32
}

/// Numbers of the thread slots ever used.
pub fn threads(arena: &'static Arena) -> impl Iterator<Item = u32> {
    0..arena.header().thread_top.load(Ordering::Acquire) as u32
}

/// The process behind a slot's `owner`: (pid, state).
#[must_use]
pub fn owner(slot: &ProcessSlot) -> (i32, u64) {
    let owner = slot.owner.load(Ordering::Acquire);
    ((owner >> 8) as i32, owner & 0xff)
}

/// What a lock remembers of the process that holds it: never 0, and never again the same
/// once the process has died.
#[must_use]
pub fn lock_owner(arena: &'static Arena, index: u32) -> u32 {
    let generation = process_slot(arena, index).generation.load(Ordering::Acquire) as u32;
    (generation & 0x1_ffff) << 14 | (index + 1)
}

/// The process slot that `lock_owner` gave this for; `None` for 0.
#[must_use]
pub fn slot_of(owner: u32) -> Option<u32> {
    (owner & 0x3fff).checked_sub(1).filter(|i| u64::from(*i) < PROCESSES)
}

/// The process slot that `lock_owner` gave this for, if that process still lives.
#[must_use]
pub fn living_owner(arena: &'static Arena, owner: u32) -> Option<u32> {
    slot_of(owner).filter(|index| lock_owner(arena, *index) == owner)
}

/// The pid of the process that `lock_owner` gave this for, if it has died and nobody has died
/// in its slot since.
#[must_use]
pub fn dead_owner(arena: &'static Arena, owner: u32) -> Option<i32> {
    let index = slot_of(owner)?;
    let former = process_slot(arena, index).former.load(Ordering::Acquire);
    (former >> 32 == u64::from(owner)).then_some(former as u32 as i32)
}

fn too_many_processes() -> io::Error {
    io::Error::other(format!("the runtime has its {PROCESSES} processes already; end some"))
}

/// Looks for a free slot from `hint` on, around `count` slots.
fn take(
    count: u64,
    hint: &AtomicU64,
    top: &AtomicU64,
    owner: impl Fn(u32) -> &'static AtomicU64,
    value: u64,
) -> Option<u32> {
    let start = hint.load(Ordering::Relaxed);
    for i in 0..count {
        let index = ((start + i) % count) as u32;
        let word = owner(index);
        if word.load(Ordering::Relaxed) != 0 {
            continue;
        }
        // Before the slot is taken, so that no scan misses it.
        top.fetch_max(u64::from(index) + 1, Ordering::AcqRel);
        crash_point!("slots.top");
        if word.compare_exchange(0, value, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            crash_point!("slots.taken");
            return Some(index);
        }
    }
    None
}

/// Takes a process slot for this process, not yet watched.
pub(in crate::shm) fn take_process(arena: &'static Arena) -> io::Result<u32> {
    take_slot(arena, process_state::LIVE)
}

/// Takes a process slot for a child that this process is about to fork.
pub fn take_embryo(arena: &'static Arena) -> io::Result<u32> {
    take_slot(arena, process_state::EMBRYO)
}

/// The embryo in slot `index` is process `pid` now. Said by the parent and by the child,
/// whichever is first; false when the slot was taken away because the parent died.
pub fn hatch(slot: &ProcessSlot, parent: i32, pid: i32) -> bool {
    let (embryo, live) =
        ((parent as u64) << 8 | process_state::EMBRYO, (pid as u64) << 8 | process_state::LIVE);
    let swap = slot.owner.compare_exchange(embryo, live, Ordering::AcqRel, Ordering::Acquire);
    crash_point!("slots.hatched");
    swap.is_ok() || swap == Err(live)
}

fn take_slot(arena: &'static Arena, state: u64) -> io::Result<u32> {
    let h = arena.header();
    let value = (process::pid() as u64) << 8 | state;
    let owner = |i| &process_slot(arena, i).owner;
    let index = take(PROCESSES, &h.process_hint, &h.process_top, owner, value)
        .ok_or_else(too_many_processes)?;
    // Round and round, so that a slot's generation takes longest to come by again.
    h.process_hint.store((u64::from(index) + 1) % PROCESSES.min(1024), Ordering::Relaxed);
    crash_point!("slots.process_hint");
    Ok(index)
}

/// Gives a dead process's slot back: it can be taken again.
pub fn free_process(arena: &'static Arena, index: u32) {
    let slot = process_slot(arena, index);
    // Here and not when it is taken: who takes a slot may die right after, and must then be
    // found, unwatched, by what the slot says.
    slot.watched.store(0, Ordering::Relaxed);
    slot.there_at.store(0, Ordering::Relaxed);
    slot.role.store(0, Ordering::Relaxed);
    slot.task.store(0, Ordering::Relaxed);
    slot.starter.store(0, Ordering::Relaxed);
    slot.stack_fd.store(0, Ordering::Relaxed);
    slot.stack_dumps.store(0, Ordering::Relaxed);
    slot.report.store(0, Ordering::Relaxed);
    slot.zygote.store(0, Ordering::Relaxed);
    slot.exit.store(0, Ordering::Relaxed);
    slot.deadline.store(0, Ordering::Relaxed);
    slot.terminated.store(0, Ordering::Relaxed);
    slot.remind_at.store(0, Ordering::Relaxed);
    slot.reminders.store(0, Ordering::Relaxed);
    slot.traces.store(0, Ordering::Relaxed);
    slot.last_line.clear();
    slot.mailbox.store(0, Ordering::Relaxed);
    crash_point!("slots.process_cleared");
    // SYNC POINT: publishes the cleared slot to whoever takes it.
    slot.owner.store(0, Ordering::Release);
    crash_point!("slots.process_freed");
    futex::wake_all(&slot.stack_dumps);
}

/// Takes a thread slot for a thread of the process in slot `process`, if one is free.
pub(in crate::shm) fn take_thread(arena: &'static Arena, process: u32) -> Option<u32> {
    let h = arena.header();
    let owner = |i| &thread_slot(arena, i).owner;
    // From the start: few slots, used again and again, stay in the caches.
    take(THREADS, &h.thread_hint, &h.thread_top, owner, u64::from(process) + 1)
}

/// Takes the thread slot that the process in slot `process` has in reserve. The caller sees to it
/// that one thread at a time does.
pub(super) fn take_reserve(arena: &'static Arena, process: u32) -> u32 {
    let index = THREADS as u32 + process;
    // Before the slot is taken, so that no scan misses it.
    arena.header().thread_top.fetch_max(u64::from(index) + 1, Ordering::AcqRel);
    crash_point!("slots.reserve_top");
    thread_slot(arena, index).owner.store(u64::from(process) + 1, Ordering::Release);
    crash_point!("slots.reserve_taken");
    index
}

/// Gives it back.
pub(super) fn leave_reserve(slot: &ThreadSlot) {
    leave_thread(slot);
    slot.owner.store(0, Ordering::Release);
    crash_point!("slots.reserve_left");
}

/// The process in slot `index`, which is this one, is a member no more: it does not look at the
/// arena again. The supervisor does the rest, as after a death.
pub(super) fn leave_process(arena: &'static Arena, index: u32) {
    let live = (process::pid() as u64) << 8 | process_state::LIVE;
    let left = (process::pid() as u64) << 8 | process_state::LEFT;
    let owner = &process_slot(arena, index).owner;
    // Not where the supervisor takes it for dead already.
    let _ = owner.compare_exchange(live, left, Ordering::AcqRel, Ordering::Relaxed);
    crash_point!("slots.process_left");
}

/// Bits of a thread's generation in its name.
const GENERATION: u64 = 0x1fff;

/// Slot and generation of the thread that a lock's owner word names; `None` for 0.
///
/// Bits 0..17 are the slot plus 1, 17..30 the generation, 30 and 31 the lock's own, and from 32
/// on comes [`lock_owner`] of the process.
#[must_use]
#[inline]
pub fn parse_name(name: u64) -> Option<(u32, u64)> {
    let index = (name as u32 & 0x1_ffff).checked_sub(1)?;
    (u64::from(index) < THREAD_SLOTS).then_some((index, name >> 17 & GENERATION))
}

/// Makes slot `index` the calling thread's, which is one of the process in slot `process`.
pub(in crate::shm) fn enter_thread(arena: &'static Arena, process: u32, index: u32) {
    let slot = thread_slot(arena, index);
    slot.task.store(0, Ordering::Relaxed);
    slot.waiting_on.store(0, Ordering::Relaxed);
    slot.waiting_for.store(0, Ordering::Relaxed);
    slot.waiting_since.store(0, Ordering::Relaxed);
    slot.overdue.store(0, Ordering::Relaxed);
    slot.retries.store(0, Ordering::Relaxed);
    slot.place.clear();
    slot.label.clear();
    slot.taking.store(0, Ordering::Relaxed);
    slot.recursive_held.store(0, Ordering::Relaxed);
    slot.trace_chunk.store(0, Ordering::Relaxed);
    slot.is_tracing.store(0, Ordering::Relaxed);
    let generation = slot.generation.fetch_add(1, Ordering::Relaxed) + 1;
    crash_point!("slots.thread_aged");
    let thread = (u64::from(index) + 1) | ((generation & GENERATION) << 17);
    slot.name.store(u64::from(lock_owner(arena, process)) << 32 | thread, Ordering::Release);
    slot.tid.store(process::tid() as u64, Ordering::Release);
    crash_point!("slots.thread_settled");
}

/// The thread is gone, and its slot waits for another thread of the process.
pub(in crate::shm) fn leave_thread(slot: &ThreadSlot) {
    slot.name.store(0, Ordering::Release);
    slot.task.store(0, Ordering::Relaxed);
    slot.tid.store(0, Ordering::Release);
    crash_point!("slots.thread_left");
}

/// Makes all threads that wait look at who owns what they wait for.
pub(in crate::shm) fn wake_waiters(arena: &'static Arena) {
    // Pairs with the fence between a waiter's note and its look at the owner.
    fence(Ordering::SeqCst);
    for t in threads(arena) {
        let slot = thread_slot(arena, t);
        if slot.waiting_on.load(Ordering::Acquire) != 0 && slot.owner.load(Ordering::Acquire) != 0 {
            // Not a wake-up of the word it sleeps on: that word has not changed, so who is
            // just about to sleep on it would miss it.
            slot.interrupt.fetch_add(1, Ordering::AcqRel);
            crash_point!("slots.poked");
            futex::wake_all(&slot.interrupt);
        }
    }
}

/// Gives a dead process's thread slot back.
pub(in crate::shm) fn free_thread(slot: &ThreadSlot) {
    leave_thread(slot);
    slot.waiting_on.store(0, Ordering::Relaxed);
    slot.waiting_since.store(0, Ordering::Relaxed);
    slot.overdue.store(0, Ordering::Relaxed);
    slot.is_tracing.store(0, Ordering::Relaxed);
    slot.owner.store(0, Ordering::Release);
    crash_point!("slots.thread_freed");
}
