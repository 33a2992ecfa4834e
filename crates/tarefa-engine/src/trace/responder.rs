//! Reports that were asked for: by a signal, or by a wait that lasts.
//!
//! They are made by a thread of the root of their own, which lives as long as there is something
//! to report: it needs no language's lock, and the supervisor that starts it goes on burying. A
//! report goes to the standard error of the process that asked, which is opened through `/proc`
//! where it is not the root's own. Of waits that last, each is named at the head of one report: see
//! `lasting`.

use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::time::Duration;

use super::lasting::{self, Wait};
use super::report::{self, Report, Standing};
use crate::atomic::{AtomicU64, Ordering};
use crate::os::{memfd, process, procfs, signal};
use crate::shm::arena::layout::process_state;
use crate::shm::member::report_request;
use crate::shm::member::slots;
use crate::shm::{Member, Runtime};

/// Requests that the thread has not looked at yet; while it is above 0 there is a thread.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// The waits that reports were made of, as long as they last. Only the thread that makes reports
/// takes it: where it is taken, a fork has copied it so, and nothing is known.
static TOLD: Mutex<Vec<Wait>> = Mutex::new(Vec::new());

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

/// One picture for all that is asked for now.
fn answer(me: &Member) {
    let mut asked = report_request::take(me);
    if asked.processes.is_empty() && asked.threads.is_empty() {
        return;
    }
    if !asked.threads.is_empty() {
        // Waits that began together are told together.
        std::thread::sleep(PAUSE);
        let more = report_request::take(me);
        asked.processes.extend(more.processes);
        asked.threads.extend(more.threads);
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
    asked.processes.sort_unstable();
    asked.processes.dedup();
    for index in asked.processes {
        let (pid, state) = slots::owner(slots::process_slot(me.arena(), index));
        if state == process_state::LIVE {
            let why = format!("tarefa: report, asked for by {}", signal_name());
            tell(pid, &why, &report);
        }
    }
    if !asked.threads.is_empty() {
        let tid = |index| slots::thread_slot(me.arena(), index).tid.load(Ordering::Acquire) as i32;
        let tids: Vec<i32> = asked.threads.into_iter().map(tid).collect();
        tell_lasting(me, &tids, &report);
    }
}

/// Reports the waits of those threads, and with them the others that have lasted as long, to each
/// standard error once.
fn tell_lasting(me: &Member, asked: &[i32], report: &Report) {
    let after = report_request::report_after(me);
    let told = TOLD.try_lock().map(|told| told.clone()).unwrap_or_default();
    let own = procfs::file(process::pid(), 2);
    // What may not be looked at is told to the root's: see `tell`.
    let file = |t: &Standing| procfs::file(t.pid, 2).or(own);
    let groups = lasting::groups(report, asked, after, &told, file);
    for group in &groups {
        let names: Vec<String> = group.iter().map(|thread| format!(" {thread}")).collect();
        tell(group[0].pid, &format!("tarefa: waits that last long:{}", names.join(";")), report);
    }
    let now_told = lasting::remember(report, told, &groups);
    if let Ok(mut told) = TOLD.try_lock() {
        *told = now_told;
    }
}

/// How often more a wait is looked for that was overdue and is not there.
const LOOKS: u32 = 3;
/// How far apart, and how long is waited for others.
const PAUSE: Duration = Duration::from_millis(10);

/// Whether the wait of the thread in that slot is in the report, or the thread has ended.
fn waits(me: &Member, index: u32, report: &Report) -> bool {
    let tid = slots::thread_slot(me.arena(), index).tid.load(Ordering::Acquire) as i32;
    tid == 0 || report.waiting().any(|t| t.tid == tid)
}

fn signal_name() -> String {
    signal::name(signal::report_signal())
}

/// Writes the report to the standard error of that process.
fn tell(pid: i32, why: &str, report: &Report) {
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
