//! Reports that were asked for: by a signal, or by a wait that lasts.
//!
//! They are made by a thread of the root of their own, which lives as long as there is something
//! to report: it needs no language's lock, and the supervisor that starts it goes on burying. A
//! report goes to the standard error of the process that asked, which is opened through `/proc`
//! where it is not the root's own.

use std::fmt::Write as _;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::report::{self, Report};
use crate::atomic::{AtomicU64, Ordering};
use crate::os::{memfd, process, procfs, signal};
use crate::shm::arena::layout::process_state;
use crate::shm::member::report_request;
use crate::shm::member::slots;
use crate::shm::{Member, Runtime};

/// Requests that the thread has not looked at yet; while it is above 0 there is a thread.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// Makes the reports that were asked for, in a thread of its own.
// not shared: a count of this process alone.
pub fn report(runtime: &'static Runtime) {
    if PENDING.fetch_add(1, Ordering::AcqRel) > 0 {
        return;
    }
    let builder = std::thread::Builder::new().name("tarefa-report".into());
    if builder.spawn(move || serve(runtime)).is_err() {
        serve(runtime);
    }
}

// not shared: as above.
fn serve(runtime: &'static Runtime) {
    signal::block_all();
    let me = runtime.me();
    loop {
        let seen = PENDING.load(Ordering::Acquire);
        answer(&me);
        if PENDING.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// One report for all that is asked for now.
fn answer(me: &Member) {
    let asked = report_request::take(me);
    if asked.processes.is_empty() && asked.threads.is_empty() {
        return;
    }
    let mut report = report::deadlocks(me);
    // A thread that looks around just now, for a signal say, is in no wait for that moment.
    for _ in 0..LOOKS {
        if asked.threads.iter().all(|index| waits(me, *index, &report)) {
            break;
        }
        std::thread::sleep(PAUSE);
        report = report::deadlocks(me);
    }
    for process in asked.processes {
        let why = format!("tarefa: report, asked for by {}", signal_name());
        tell(me, process, &why, &report);
    }
    let runtime = me.runtime();
    let mut by_process: Vec<(u32, Vec<i32>)> = Vec::new();
    for index in asked.threads {
        let slot = slots::thread_slot(runtime.arena(), index);
        let name = slot.name.load(Ordering::Acquire);
        let tid = slot.tid.load(Ordering::Acquire) as i32;
        let Some(process) = slots::living_owner(runtime.arena(), (name >> 32) as u32) else {
            continue;
        };
        match by_process.iter_mut().find(|(p, _)| *p == process) {
            Some((_, tids)) => tids.push(tid),
            None => by_process.push((process, vec![tid])),
        }
    }
    for (process, tids) in by_process {
        let mut why = "tarefa: waits that last long:".to_owned();
        let mut overdue = report.waiting().filter(|t| tids.contains(&t.tid)).peekable();
        if overdue.peek().is_none() {
            // It has just ended.
            continue;
        }
        for thread in overdue {
            let _ = write!(why, " {thread};");
        }
        tell(me, process, why.trim_end_matches(';'), &report);
    }
}

/// How often more, and how far apart, a wait is looked for that was overdue and is not there.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(10);

/// Whether the wait of the thread in that slot is in the report, or the thread has ended.
fn waits(me: &Member, index: u32, report: &Report) -> bool {
    let tid = slots::thread_slot(me.arena(), index).tid.load(Ordering::Acquire) as i32;
    tid == 0 || report.waiting().any(|t| t.tid == tid)
}

fn signal_name() -> String {
    signal::name(signal::report_signal())
}

/// Writes the report to the standard error of the process in that slot.
fn tell(me: &Member, index: u32, why: &str, report: &Report) {
    let (pid, state) = slots::owner(slots::process_slot(me.arena(), index));
    if state != process_state::LIVE {
        return;
    }
    let text = format!("{why}\n{report}");
    if pid == process::pid() || procfs::same_file(pid, 2) {
        memfd::write(2, text.as_bytes());
        return;
    }
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options.append(true),
        libc::O_NOCTTY | libc::O_NONBLOCK,
    );
    match options.open(format!("/proc/{pid}/fd/2")) {
        Ok(file) => memfd::write(file.as_raw_fd(), text.as_bytes()),
        Err(_) => memfd::write(2, text.as_bytes()),
    }
}
