//! A thread writes an event.

use super::chunks::{self, EVENTS, Progress};
use super::event::Event;
use crate::atomic::{AtomicU64, Ordering, fence};
use crate::os::process;
use crate::shm::arena::layout::TRACE_CHUNK;
use crate::shm::member::runtime::Runtime;
use crate::shm::member::{Member, slots};

/// Chunks that are tried for a free one.
const TRIES: u64 = 64;

/// Whether somebody wants to know what threads do.
#[must_use]
#[inline]
pub fn is_on(me: &Member) -> bool {
    is_on_in(me.runtime())
}

/// The same, for who is not about to write.
#[must_use]
#[inline]
pub fn is_on_in(runtime: &'static Runtime) -> bool {
    runtime.header().trace.word.load(Ordering::Relaxed) & 1 != 0
}

/// Writes what `event` says, if somebody wants to know. Not for handlers of signals.
#[inline]
pub fn emit(me: &Member, event: impl FnOnce() -> Event) {
    if is_on(me) {
        write(me, event());
    }
}

#[cold]
fn write(me: &Member, event: Event) {
    inside(me, || {
        if put(me, event).is_none() {
            me.header().trace.refused.fetch_add(1, Ordering::Relaxed);
            crash_point!("trace.refused");
        }
    });
}

/// Runs `act`, which writes into the trace's memory, if the trace is on: who switches it off waits for
/// that, and gives the memory back only then.
pub(super) fn inside<T>(me: &Member, act: impl FnOnce() -> T) -> Option<T> {
    let slot = me.slot();
    slot.is_tracing.store(1, Ordering::Relaxed);
    crash_point!("trace.inside");
    // Pairs with the fence of `switch`: who switches off sees this mark, or the look here sees it off.
    fence(Ordering::SeqCst);
    let done = is_on(me).then(act);
    slot.is_tracing.store(0, Ordering::Release);
    crash_point!("trace.outside");
    done
}

fn put(me: &Member, event: Event) -> Option<()> {
    let (slot, arena) = (me.slot(), me.arena());
    let mine = u64::from(slot.trace_chunk.load(Ordering::Relaxed)).checked_sub(1);
    let is_mine = |i: &u64| chunks::header(arena, *i).owner.load(Ordering::Relaxed) == me.name();
    let index = match mine.filter(is_mine) {
        Some(index) => index,
        None => take(me)?,
    };
    let chunk = chunks::header(arena, index);
    let progress = Progress::of(chunk);
    for (word, value) in chunks::event(arena, index, progress.count).iter().zip(event.pack()) {
        word.store(value, Ordering::Relaxed);
    }
    crash_point!("trace.written");
    let next = Progress { count: progress.count + 1, ..progress };
    // SYNC POINT: publishes the event; pairs with the acquire loads of `Progress::of`.
    chunk.progress.store(next.word(), Ordering::Release);
    crash_point!("trace.published");
    if next.count == EVENTS {
        chunk.owner.store(0, Ordering::Release);
        crash_point!("trace.full");
    }
    Some(())
}

/// Takes the next chunk that no living thread writes to, and drops what is in it.
fn take(me: &Member) -> Option<u64> {
    let (arena, trace) = (me.arena(), &me.header().trace);
    let count = chunks::count(arena);
    for _ in 0..count.min(TRIES) {
        let index = trace.next.fetch_add(1, Ordering::Relaxed) % count;
        crash_point!("trace.counted");
        let chunk = chunks::header(arena, index);
        let seen = chunk.owner.load(Ordering::Acquire);
        if seen != 0 && writes(me, seen) {
            continue;
        }
        let swap =
            chunk.owner.compare_exchange(seen, me.name(), Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("trace.taken");
        if swap.is_err() {
            continue;
        }
        if chunk.is_backed.load(Ordering::Relaxed) == 0 {
            if arena.claim(chunks::place(arena, index), TRACE_CHUNK).is_err() {
                chunk.owner.store(0, Ordering::Release);
                crash_point!("trace.unbacked");
                return None;
            }
            chunk.is_backed.store(1, Ordering::Relaxed);
            crash_point!("trace.backed");
        }
        let emptied = Progress::of(chunk).emptied();
        // What a reader copies after this it throws away: see `Reader`.
        chunk.progress.store(emptied.word(), Ordering::Relaxed);
        crash_point!("trace.dropped");
        fence(Ordering::Release);
        let who = (process::pid() as u64) << 32 | me.slot().tid.load(Ordering::Relaxed);
        set(&chunk.who, who);
        set(&chunk.thread, me.name());
        me.slot().trace_chunk.store(index as u32 + 1, Ordering::Relaxed);
        crash_point!("trace.begun");
        return Some(index);
    }
    None
}

fn set(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Relaxed);
    crash_point!("trace.signed");
}

/// Whether the thread with that name lives, and so may write on.
fn writes(me: &Member, name: u64) -> bool {
    slots::parse_name(name).is_some_and(|(index, _)| {
        let slot = slots::thread_slot(me.arena(), index);
        slot.name.load(Ordering::Acquire) == name
    })
}
