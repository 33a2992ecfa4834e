//! The start and the end of a program.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::task::record::{Task as Record, flag};

use crate::error::CreateError;
use crate::runtime::handle::Handle;
use crate::task::process;

/// Tasks that this process started and that keep it alive; some have ended meanwhile.
static STARTED: Mutex<Started> = Mutex::new(Started { tasks: Vec::new(), sweep_at: 64 });

struct Started {
    /// With the thread that started each.
    tasks: Vec<(ThreadId, Handle)>,
    /// Those that have ended are dropped when there are so many.
    sweep_at: usize,
}

fn ended(handle: &Handle) -> bool {
    let me = handle.me();
    Record::at(&me, handle.off()).state().is_final()
}

/// Remembers a task that the program is to wait for.
pub(crate) fn note_started(handle: &Handle, task: &Record<'_>) {
    if task.flags() & flag::DAEMON != 0 {
        return;
    }
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if started.tasks.len() >= started.sweep_at {
        started.tasks.retain(|(_, handle)| !ended(handle));
        started.sweep_at = 64.max(started.tasks.len() * 2);
    }
    started.tasks.push((std::thread::current().id(), handle.clone()));
}

/// Waits for all tasks that keep this process alive.
pub(crate) fn join_all() {
    join_those(|_| true);
}

fn join_those(wanted: impl Fn(ThreadId) -> bool) {
    loop {
        let next = {
            let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
            let found = started.tasks.iter().rposition(|(thread, _)| wanted(*thread));
            found.map(|i| started.tasks.swap_remove(i).1)
        };
        let Some(handle) = next else { return };
        let me = handle.me();
        // The program's end is not interrupted: who wants that kills the process.
        Record::at(&me, handle.off()).join(&mut Plain, Deadline::NEVER);
    }
}

/// Prepares processes ahead of need: the zygote is made now, so that the first
/// [`Process`](crate::Process) starts as fast as the others. `#[tarefa::main]` calls it.
///
/// # Errors
/// [`CreateError`].
pub fn init() -> Result<(), CreateError> {
    process::prepare()
}

/// What `#[tarefa::main]` holds: [`init`] at the start, and at the end the program waits for
/// its tasks.
#[doc(hidden)]
#[derive(Debug)]
pub struct JoinAtExit {
    of: Option<ThreadId>,
}

impl JoinAtExit {
    /// For a program: all tasks.
    ///
    /// # Panics
    /// If the runtime cannot be made.
    #[must_use]
    pub fn of_program() -> Self {
        Self::made(None)
    }

    /// For a test, beside which others run: the tasks that this thread starts.
    ///
    /// # Panics
    /// If the runtime cannot be made.
    #[must_use]
    pub fn of_thread() -> Self {
        Self::made(Some(std::thread::current().id()))
    }

    fn made(of: Option<ThreadId>) -> Self {
        if let Err(e) = init() {
            panic!("{e}");
        }
        Self { of }
    }
}

impl Drop for JoinAtExit {
    fn drop(&mut self) {
        join_those(|thread| self.of.is_none_or(|own| own == thread));
    }
}

/// Ends a test that takes too long: a test that hangs says so instead.
#[doc(hidden)]
#[derive(Debug)]
pub struct Watchdog(Sender<()>);

impl Watchdog {
    /// # Panics
    /// If there is no thread to be had.
    #[must_use]
    pub fn new(test: &'static str, limit: Duration) -> Self {
        let (alive, heard) = mpsc::channel();
        let watch = move || {
            if heard.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("test {test} still runs after {limit:?}: it hangs");
                std::process::abort();
            }
        };
        let made = std::thread::Builder::new().name("watchdog".into()).spawn(watch);
        assert!(made.is_ok(), "no thread for the watchdog of test {test}");
        Self(alive)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
