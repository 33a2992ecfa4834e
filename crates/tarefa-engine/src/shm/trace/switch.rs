//! On and off.

use std::io;
use std::time::Duration;

use super::chunks::{self, Progress};
use crate::atomic::{Ordering, fence};
use crate::os::clock::Deadline;
use crate::os::process;
use crate::shm::arena::layout::{ProcessSlot, TRACE_CHUNK, process_state};
use crate::shm::member::{Member, slots};

/// How long who switches off waits for threads that are in the middle of an event.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long a cleaner waits for who switches on or off: that may be stopped, and looks again itself.
const CLEANERS: Duration = Duration::from_millis(2);

/// There is no memory for a trace.
#[derive(Debug, thiserror::Error)]
#[error("there is no memory for a trace: {0}")]
pub struct NoRoom(#[from] io::Error);

/// This process wants a trace from now on, until it has called [`stop`] as often, or ends.
///
/// # Errors
/// [`NoRoom`].
pub fn start(me: &Member) -> Result<(), NoRoom> {
    let trace = &me.header().trace;
    let _latch = trace.latch.lock(me);
    trace.is_backed.store(1, Ordering::Release);
    crash_point!("trace.backing");
    let (at, len) = chunks::tables(me.arena());
    me.arena().claim(at, len)?;
    me.runtime().process_slot().traces.fetch_add(1, Ordering::AcqRel);
    crash_point!("trace.wanted");
    let times = trace.word.load(Ordering::Relaxed) >> 1;
    trace.word.store((times + 1) << 1 | 1, Ordering::Release);
    crash_point!("trace.on");
    Ok(())
}

/// This process wants it no more. With the last one that wants it, all of its memory is given back.
pub fn stop(me: &Member) {
    let _latch = me.header().trace.latch.lock(me);
    let traces = &me.runtime().process_slot().traces;
    let _ = traces.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| n.checked_sub(1));
    crash_point!("trace.unwanted");
    if !is_wanted(me) {
        off(me);
    }
}

/// For the cleaner of a process that has died: the trace is off and has no memory if nobody wants it any more.
pub fn off_if_unwanted(me: &Member) {
    let trace = &me.header().trace;
    if trace.is_backed.load(Ordering::Acquire) == 0 || is_wanted(me) {
        return;
    }
    if let Some(_latch) = trace.latch.lock_until(me, || Deadline::after(Some(CLEANERS))) {
        if !is_wanted(me) {
            off(me);
        }
    }
}

fn is_wanted(me: &Member) -> bool {
    let wants = |slot: &ProcessSlot| {
        slots::owner(slot).1 == process_state::LIVE && slot.traces.load(Ordering::Acquire) > 0
    };
    slots::processes(me.arena()).any(|i| wants(slots::process_slot(me.arena(), i)))
}

/// Under the latch.
fn off(me: &Member) {
    let (arena, trace) = (me.arena(), &me.header().trace);
    let word = trace.word.load(Ordering::Relaxed);
    trace.word.store(word & !1, Ordering::Release);
    crash_point!("trace.off");
    // Pairs with the fence of `write::inside`.
    fence(Ordering::SeqCst);
    let busy = wait_for_writers(me);
    let count = chunks::count(arena);
    let top = trace.next.load(Ordering::Relaxed).min(count);
    let is_busy = |index: u64| {
        let owner = chunks::header(arena, index).owner.load(Ordering::Acquire);
        owner != 0 && busy.contains(&owner)
    };
    let mut is_given_back = busy.is_empty();
    let mut begin = 0;
    for index in 0..=top {
        if index < top && !is_busy(index) {
            let chunk = chunks::header(arena, index);
            chunk.progress.store(Progress::of(chunk).emptied().word(), Ordering::Relaxed);
            chunk.is_backed.store(0, Ordering::Relaxed);
            chunk.owner.store(0, Ordering::Release);
            crash_point!("trace.given_up");
            continue;
        }
        let len = (index - begin) * TRACE_CHUNK;
        if len > 0 {
            is_given_back &= arena.punch(chunks::place(arena, begin), len).is_ok();
            crash_point!("trace.punched");
        }
        begin = index + 1;
    }
    // Nobody reads or writes there until it is on again, which needs the latch.
    let (at, len) = chunks::tables(arena);
    if is_given_back && arena.punch(at, len).is_ok() {
        crash_point!("trace.tables_punched");
        trace.next.store(0, Ordering::Relaxed);
        crash_point!("trace.forgotten");
        // Else the next death, or the next trace, gives it back.
        trace.is_backed.store(0, Ordering::Release);
        crash_point!("trace.unbacked_all");
    }
}

/// The names of threads that are still in the middle of an event: stopped, or dead and not cleaned up after.
fn wait_for_writers(me: &Member) -> Vec<u64> {
    let until = Deadline::after(Some(PATIENCE));
    let mut busy = Vec::new();
    for index in slots::threads(me.arena()) {
        let slot = slots::thread_slot(me.arena(), index);
        while slot.is_tracing.load(Ordering::Acquire) != 0 {
            if until.passed() {
                busy.push(slot.name.load(Ordering::Acquire));
                break;
            }
            process::yield_now();
        }
    }
    busy
}
