//! Panics: what they say reaches whoever asks for the task's result, also where they end the process.
//!
//! ```text
//!  panic! ──► the hook ──► a note in the task's record ──► abort ──► WorkerDied carries the note
//!                     └──► the thread's own list ──► unwound, caught ──► the outcome: text and place
//! ```
//!
//! - In a process that runs a task, a panic of the task's thread is not written to the terminal: it
//!   is told by the result, or by the starter if nobody asks. So is one of any thread that ends the
//!   process, where panics abort.
//! - In a thread of this process it is written at once, as the standard library does it for its own
//!   threads; the hook that the program has set is called, and the panic counts as told.
//! - One of a fork that a task has made is written by the fork, as if it had no task.
//! - Panics of other threads are none of ours: they go to the hook there was before.
//! - A panic that cannot unwind (out of an `extern "C"` function, or of a destructor while another
//!   panic unwinds) comes to the hook once more, with a message of the standard library's. What the
//!   thread said before is told with it.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};

use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::os::{process, rlimit};
use tarefa_engine::shm::{Off, Runtime};
use tarefa_engine::task::record::Task as Record;

use crate::runtime::interrupt;

/// Panics of a thread that are remembered: one, one that came as it unwound, and the last word.
const REMEMBERED: usize = 3;

/// What a panic said.
#[derive(Clone, Debug)]
struct Panic {
    message: String,
    /// File, line and column.
    place: Option<String>,
    /// Where the program asks for one, by `RUST_BACKTRACE`.
    backtrace: Option<String>,
}

thread_local! {
    /// The last panics of the thread, the newest last.
    static LAST: RefCell<Vec<Panic>> = const { RefCell::new(Vec::new()) };
}

/// The task that this process runs, if it is one's.
static OF_PROCESS: OnceLock<(i32, &'static Runtime, Off)> = OnceLock::new();

/// Held while a note is written; true once the task has finished, when none may be.
static SEALED: Mutex<bool> = Mutex::new(false);

/// From now on this process listens to panics. The hook there is now is called for those that are
/// not ours.
pub(crate) fn listen() {
    static LISTENS: AtomicBool = AtomicBool::new(false);
    // A thread that panics may not change hooks; the next task to start does it.
    if LISTENS.load(Ordering::Acquire) || std::thread::panicking() {
        return;
    }
    if !LISTENS.swap(true, Ordering::AcqRel) {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| heard(info, &*others)));
    }
}

/// This process runs that task, which it holds to its end.
pub(crate) fn process_runs(runtime: &'static Runtime, off: Off) {
    let _ = OF_PROCESS.set((process::pid(), runtime, off));
}

/// The task of this process is about to finish: its record is not changed any more.
pub(crate) fn seal() {
    *SEALED.lock().unwrap_or_else(PoisonError::into_inner) = true;
}

/// Whether no panic of this program unwinds.
const ABORTS: bool = cfg!(panic = "abort");

fn heard(info: &PanicHookInfo<'_>, others: &dyn Fn(&PanicHookInfo<'_>)) {
    // A fork that the task has made is another process, and the task's record is not its own.
    let of_process = OF_PROCESS.get().copied().filter(|(pid, ..)| *pid == process::pid());
    let of_process = of_process.map(|(_, runtime, off)| (runtime, off));
    let here = interrupt::running();
    let ends_process = ABORTS || cannot_unwind(info);
    if here.is_none() && of_process.is_none() {
        return others(info);
    }
    if of_process.is_some() {
        // What is told of it takes memory, which a task past its limit has none of.
        rlimit::lift_private_memory();
    }
    remember(Panic::of(info));
    match (here, of_process) {
        // A thread of another kind in a task's process, and it does not end that.
        (None, Some(_)) if !ends_process => others(info),
        (_, Some(task)) => {
            if !leave_note(task, ends_process) && ends_process {
                others(info);
            }
        }
        // The thread of a task, which `target::run` asks about.
        (_, None) => others(info),
    }
}

/// Whether it is the last word of the standard library on a panic that it cannot unwind.
fn cannot_unwind(info: &PanicHookInfo<'_>) -> bool {
    let text = text_of(info.payload());
    let by_library = info.location().is_some_and(|l| l.file().ends_with("core/src/panicking.rs"));
    by_library && text.starts_with("panic in a ") || text.starts_with("unsafe precondition(s)")
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let asked = std::env::var_os("RUST_BACKTRACE").filter(|v| v != "0");
        let backtrace = asked.map(|how| {
            let trace = Backtrace::force_capture();
            if how == "full" { format!("{trace:#}") } else { short(&trace.to_string()) }
        });
        Self {
            message: text_of(info.payload()).to_owned(),
            place: info.location().map(ToString::to_string),
            backtrace,
        }
    }

    /// Message and place.
    fn text(&self) -> String {
        match &self.place {
            Some(place) => format!("{} ({place})", self.message),
            None => self.message.clone(),
        }
    }
}

/// A backtrace without what lies between the panic and the hook, and below the target.
fn short(trace: &str) -> String {
    let mut frames: Vec<Vec<&str>> = Vec::new();
    for line in trace.lines() {
        let number = line.trim_start().split_once(": ").map(|(n, _)| n.parse::<usize>().is_ok());
        match frames.last_mut() {
            Some(frame) if number != Some(true) => frame.push(line),
            _ => frames.push(vec![line]),
        }
    }
    let of = |frame: &Vec<&str>, name: &str| frame[0].contains(name);
    let machinery = [
        "rust_begin_unwind",
        "core::panicking::",
        "std::panicking::",
        "core::option::",
        "core::result::",
    ];
    let first = frames
        .iter()
        .rposition(|f| of(f, "rust_begin_unwind") || of(f, "std::panicking::begin_panic"));
    let first = first.map_or(0, |at| {
        let more = frames[at..].iter().take_while(|f| machinery.iter().any(|name| of(f, name)));
        at + more.count()
    });
    let last = frames[first..].iter().position(|f| of(f, "tarefa::task::target::"));
    let kept = &frames[first..last.map_or(frames.len(), |n| first + n)];
    let kept = if kept.is_empty() { &frames[..] } else { kept };
    kept.concat().join("\n")
}

fn remember(panic: Panic) {
    // In the destructor of a thread-local value there may be nothing to remember it in.
    let _ = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        if last.len() == REMEMBERED {
            last.remove(0);
        }
        last.push(panic);
    });
}

/// Writes what the thread has said last into the task's record.
fn leave_note((runtime, off): (&'static Runtime, Off), ends_process: bool) -> bool {
    let text = LAST.try_with(|last| {
        let last = last.borrow();
        // Before the last word come the panic that it is about, and the one that this unwound.
        let told = if ends_process && !ABORTS { &last[..] } else { &last[last.len() - 1..] };
        let texts: Vec<_> = told.iter().map(Panic::text).collect();
        let before = if ends_process { "" } else { "before that it had panicked: " };
        let trace = told.iter().find_map(|p| p.backtrace.as_deref());
        let trace = trace.map(|t| format!("\nstack backtrace:\n{t}")).unwrap_or_default();
        format!("{before}{}{trace}", texts.join("; then "))
    });
    let Ok(text) = text else { return false };
    let sealed = match SEALED.try_lock() {
        Ok(sealed) => sealed,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Another thread panics at this moment: its note is as good.
        Err(TryLockError::WouldBlock) => return false,
    };
    if *sealed {
        return false;
    }
    let Ok(me) = runtime.try_me() else { return false };
    Record::at(&me, off).leave_note(&text, ends_process)
}

/// What is to be told of a panic of the calling thread that was caught: what it said, with its place
/// and its backtrace, as far as the hook was called for it.
pub(crate) fn caught(payload: &dyn Any) -> String {
    let message = text_of(payload);
    let last = LAST.try_with(RefCell::take).unwrap_or_default();
    match last.last().filter(|panic| panic.message == message) {
        Some(panic) => {
            let trace = panic.backtrace.as_ref();
            let trace = trace.map(|t| format!("\nstack backtrace:\n{t}")).unwrap_or_default();
            panic.text() + &trace
        }
        // Thrown by `resume_unwind`, or another hook has taken the place of ours.
        None => message.to_owned(),
    }
}

/// What a panic said.
fn text_of(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&'static str>().copied());
    text.unwrap_or("(a value that is no text)")
}
