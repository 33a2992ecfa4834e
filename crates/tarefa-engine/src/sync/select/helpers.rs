//! One sleep on more than one call of the system can sleep on.
//!
//! The calling thread sleeps on its interrupt word and on a bell of its own; each helper sleeps on a
//! part of the rest and rings the bell. They are threads of this process that touch nothing but the
//! words; they end with the sleep, whatever ended it.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::thread;

use crate::atomic::{AtomicU32, Ordering};
use crate::os::clock::Deadline;
use crate::os::futex::{self, Woken};
use crate::os::{pipe, poll, signal};

/// Bytes of a helper's stack.
const STACK: usize = 128 * 1024;

/// Sleeps until one of the words, or `interrupt`, has another value, a descriptor has something, or
/// `until`.
pub(super) fn sleep(
    words: &[(&'static AtomicU32, u32)],
    fds: &[RawFd],
    interrupt: (&AtomicU32, u32),
    until: Deadline,
) -> io::Result<Woken> {
    // One place is the interrupt word's, or a helper's bell.
    if fds.is_empty() && words.len() < futex::MANY {
        let mut all: Vec<(&AtomicU32, u32)> = vec![interrupt];
        all.extend(words.iter().copied());
        return Ok(futex::wait_many(&all, until));
    }
    let bell = Bell { word: AtomicU32::new(0), stop: (!fds.is_empty()).then(event).transpose()? };
    thread::scope(|scope| {
        // Whatever happens in here, the helpers end.
        let ring = Ring(&bell);
        let own = if words.len() < futex::MANY - 1 { words } else { &[] };
        for part in words[own.len()..].chunks(futex::MANY - 1) {
            let bell = &bell;
            helper().spawn_scoped(scope, move || {
                signal::block_all();
                let mut all: Vec<(&AtomicU32, u32)> = vec![(&bell.word, 0)];
                all.extend(part.iter().copied());
                while bell.is_silent() && !changed(part) {
                    futex::wait_many(&all, Deadline::NEVER);
                }
                bell.ring();
            })?;
        }
        if let Some(stop) = &bell.stop {
            let bell = &bell;
            helper().spawn_scoped(scope, move || {
                signal::block_all();
                // What cannot be slept on is looked at: that tells the error.
                let _ = poll::sleep(fds, stop.as_fd());
                bell.ring();
            })?;
        }
        let mut all: Vec<(&AtomicU32, u32)> = vec![interrupt, (&bell.word, 0)];
        all.extend(own.iter().copied());
        let woken = futex::wait_many(&all, until);
        drop(ring);
        Ok(woken)
    })
}

fn event() -> io::Result<OwnedFd> {
    pipe::event(0)
}

fn helper() -> thread::Builder {
    thread::Builder::new().name("tarefa-select".into()).stack_size(STACK)
}

fn changed(words: &[(&'static AtomicU32, u32)]) -> bool {
    words.iter().any(|(word, value)| word.load(Ordering::Acquire) != *value)
}

/// What the thread that waits and its helpers tell each other by.
struct Bell {
    word: AtomicU32,
    stop: Option<OwnedFd>,
}

impl Bell {
    fn is_silent(&self) -> bool {
        self.word.load(Ordering::Acquire) == 0
    }

    fn ring(&self) {
        // not shared: a word of this process alone.
        self.word.store(1, Ordering::Release);
        futex::wake_all(&self.word);
    }
}

/// Ends the helpers when it is dropped.
struct Ring<'a>(&'a Bell);

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        self.0.ring();
        if let Some(stop) = &self.0.stop {
            pipe::signal_event(stop.as_fd());
        }
    }
}
