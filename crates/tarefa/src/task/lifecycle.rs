//! The start and the end of a program.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::ThreadId;
use std::time::Duration;

use crate::runtime::errors::CreateError;
use crate::task::process;
use crate::task::unretrieved::join_those;

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
