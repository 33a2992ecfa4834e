//! Asking the root for a report of who waits for whom.
//!
//! Whoever asks leaves a mark in its slot, then counts, then rings. The root's supervisor looks
//! for marks when the count has changed. A death in between leaves a mark that the next count
//! finds, or that goes with the slot.

use std::time::Duration;

use super::runtime::Runtime;
use super::slots;
use crate::atomic::{AtomicU64, Ordering};
use crate::os::{process, signal};
use crate::shm::member::Member;

extern "C" fn signalled(_: i32) {
    let before = process::errno();
    if let Some(runtime) = Runtime::existing_unlocked() {
        ask(runtime);
    }
    process::set_errno(before);
}

/// From now on this process asks when it gets the report signal, unless the program has an
/// answer of its own to that.
pub(in crate::shm) fn listen() {
    // SAFETY: the handler touches atomics and writes to a pipe.
    let _ = unsafe { signal::handle_if_default(signal::report_signal(), signalled) };
}

/// A process asks. Async-signal-safe.
// crash: a point takes a lock, which no handler may; the mark of a dead process is cleared.
pub fn ask(runtime: &'static Runtime) {
    runtime.slot_unlocked().report.fetch_add(1, Ordering::AcqRel);
    count(runtime);
}

/// The wait of the calling thread has lasted long.
pub fn ask_overdue(me: &Member) {
    me.slot().overdue.store(1, Ordering::Release);
    crash_point!("report_request.overdue");
    count(me.runtime());
}

// crash: as above; what was not counted is found with the next.
fn count(runtime: &'static Runtime) {
    runtime.header().reports_asked.fetch_add(1, Ordering::AcqRel);
    runtime.ring();
}

/// How long a wait may last before a report is made of it; `None` is for ever.
#[must_use]
pub fn report_after(me: &Member) -> Option<Duration> {
    let ns = me.header().report_after.load(Ordering::Relaxed);
    (ns != 0).then(|| Duration::from_nanos(ns))
}

/// Sets it, for waits that go to sleep from now on in any process of the runtime.
pub fn set_report_after(me: &Member, after: Option<Duration>) {
    let ns = after.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX).max(1));
    me.header().report_after.store(ns, Ordering::Relaxed);
    crash_point!("report_request.report_after");
}

/// What was asked for: processes (slots), and threads (slots) whose waits are overdue.
#[derive(Debug, Default)]
pub struct Asked {
    /// Processes that got the signal.
    pub processes: Vec<u32>,
    /// Threads that wait.
    pub threads: Vec<u32>,
}

/// Takes all that was asked for. For the supervisor's side alone.
#[must_use]
pub fn take(me: &Member) -> Asked {
    let runtime = me.runtime();
    let taken =
        |word: &AtomicU64| word.load(Ordering::Acquire) != 0 && word.swap(0, Ordering::AcqRel) != 0;
    let processes = slots::processes(runtime.arena())
        .filter(|p| taken(&slots::process_slot(runtime.arena(), *p).report));
    let processes = processes.collect();
    crash_point!("report_request.taken_processes");
    let threads = slots::threads(runtime.arena()).filter(|t| {
        let overdue = &slots::thread_slot(runtime.arena(), *t).overdue;
        overdue.load(Ordering::Acquire) != 0 && overdue.swap(0, Ordering::AcqRel) != 0
    });
    let threads = threads.collect();
    crash_point!("report_request.taken_threads");
    Asked { processes, threads }
}
