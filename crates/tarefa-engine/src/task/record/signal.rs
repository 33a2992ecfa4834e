//! Signals for the process that runs a task.

use std::io;
use std::os::fd::AsFd;

use super::layout::flag;
use super::task::Task;
use crate::os::{pidfd, signal};

impl Task<'_> {
    /// Sends its process a signal; false where none runs it (yet, or any more). `kills` says that the
    /// process may die of it: its death is then told as the program's own doing.
    ///
    /// # Errors
    /// What the system answered: the process has become another user's, say.
    pub fn send_signal(&self, number: i32, kills: bool) -> io::Result<bool> {
        let pid = self.pid();
        if pid == 0 || self.is_thread() || self.state().is_final() {
            return Ok(false);
        }
        let descriptor = pidfd::open(pid);
        // Looked at once the descriptor is open: while the slot's process lives, the number is its own.
        if self.process().is_none() || self.state().is_final() {
            return Ok(false);
        }
        if kills {
            // Before the signal, or a death could be told without it.
            self.change_flags(flag::KILLED_BY_US, 0);
        }
        let sent = match descriptor {
            Ok(fd) => pidfd::send_signal(fd.as_fd(), number),
            Err(e) if pidfd::says_gone(&e) => return Ok(false),
            // Without a descriptor to spare: the number alone, which its slot answers for.
            Err(_) => signal::send_process(pid, number),
        };
        if sent.is_err() && kills {
            // What ends it now is somebody else's doing.
            self.change_flags(0, flag::KILLED_BY_US);
        }
        match sent {
            Ok(()) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Err(e) => Err(e),
        }
    }
}
