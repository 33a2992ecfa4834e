//! Descriptors that become readable when a task ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use tarefa_engine::os::{pidfd, pipe, process};
use tarefa_engine::task::record::Task as Record;

/// The descriptor of a thread, made when somebody asks for it.
#[derive(Debug, Default)]
pub(crate) struct Sentinel(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    fd: Option<OwnedFd>,
    ended: bool,
}

impl Sentinel {
    /// The task has ended.
    pub(crate) fn signal(&self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.ended = true;
        if let Some(fd) = &inner.fd {
            pipe::signal_event(fd.as_fd());
        }
    }

    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.fd.is_none() {
            inner.fd = Some(pipe::event(u32::from(inner.ended))?);
        }
        match &inner.fd {
            Some(fd) => fd.try_clone(),
            None => pipe::event(u32::from(inner.ended)),
        }
    }
}

/// A descriptor for the task; `own` is its sentinel if it is a thread started here.
pub(crate) fn open(task: &Record<'_>, own: &Sentinel) -> io::Result<OwnedFd> {
    if task.is_thread() {
        if task.state().is_final() {
            return pipe::event(1);
        }
        if task.pid() != 0 && task.pid() != process::pid() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "task {:?} is a thread of process {}: only that process has a descriptor \
                     for it; use join()",
                    task.name(),
                    task.pid()
                ),
            ));
        }
        return own.descriptor();
    }
    let fd = pidfd::open_kept(task.pid());
    // Looked at after the descriptor is open: so the process is the task's.
    if task.state().is_final() { pipe::event(1) } else { fd }
}
