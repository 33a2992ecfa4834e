//! Signals for the process that runs a task.
//!
//! One that ends it reaches it in any state after the start, also while its process is being made:
//!
//! ```text
//!  who kills                                  the task's process, in `run_here`
//!  kill_with = signal                         owner = its slot
//!  fence                                      fence
//!  owner: no living process                   takes kill_with, by a swap with 0
//!    Starting: it does it itself    ------>     dies of the signal
//!    Running: it has ended
//!  owner: a living process
//!    takes kill_with back, by a swap
//!    sends the signal, if it was there still
//! ```
//!
//! Of the two stores one is before the other's look, so one of them sees it, and by the swap only one
//! sends it. Who is killed in between leaves a wish that the process fulfils, or has sent the signal.

use std::io;
use std::os::fd::AsFd;

use super::layout::flag;
use super::task::Task;
use crate::atomic::{Ordering, fence};
use crate::os::procfs::{SignalAction, SignalStands};
use crate::os::{pidfd, process, procfs, signal};
use crate::shm::member::slots;
use crate::task::state::State;

/// Whether a process that is to end is to be told to go on as well.
///
/// One that was sent SIGSTOP a moment ago does not show that yet, and it takes the signal that is to
/// end it first, for that has the lower number: it then stops before the handler's first instruction.
/// So everybody is told who takes no notice of it, and who has a handler for it, or waits for it, only
/// where he is stopped; also where nobody can say.
fn must_go_on(pid: i32) -> bool {
    let stands = |number| procfs::signal_stands(pid, number);
    let takes_notice = |on: SignalStands| on.action == SignalAction::Handled || on.is_blocked;
    !stands(libc::SIGCONT).is_some_and(takes_notice)
        || stands(libc::SIGSTOP).is_none_or(|stop| stop.is_pending)
        || procfs::stat(pid).is_none_or(|stat| stat.state == 'T')
}

impl Task<'_> {
    /// Sends its process a signal; false where none runs it any more, or yet. `kills` says that the
    /// process may die of it: its death is then told as the program's own doing; where its
    /// process is only being made, that ends of the signal before it runs the target; one that is
    /// stopped goes on; and one that does not take SIGTERM is killed after a while (see
    /// `supervisor/terminations.rs`).
    ///
    /// # Errors
    /// What the system answered: the process has become another user's, say.
    pub fn send_signal(&self, number: i32, kills: bool) -> io::Result<bool> {
        if self.is_thread() || self.state().is_final() {
            return Ok(false);
        }
        if kills {
            // Before the signal, or a death could be told without it.
            self.change_flags(flag::KILLED_BY_US, 0);
            self.it.kill_with.store(number as u64, Ordering::Release);
            crash_point!("task.kill_wanted");
            fence(Ordering::SeqCst);
        }
        let pid = self.pid();
        let descriptor = pidfd::open(pid);
        // Looked at once the descriptor is open: while the slot's process lives, the number is its own.
        if self.process().is_none() || pid == 0 {
            let starts = kills && self.state() == State::Starting;
            if starts && pid != 0 {
                // It sees the wish once it goes on, if it was stopped before it could. Looked at again: no slot
                // answers for its number yet.
                let is_still = self.pid() == pid && self.state() == State::Starting;
                if let (Ok(fd), true) = (&descriptor, is_still) {
                    let _ = pidfd::send_signal(fd.as_fd(), libc::SIGCONT);
                }
            }
            return Ok(starts);
        }
        if self.state().is_final() {
            return Ok(false);
        }
        let send = |number| match &descriptor {
            Ok(fd) => pidfd::send_signal(fd.as_fd(), number),
            // Without a descriptor to spare: the number alone, which its slot answers for.
            Err(_) => signal::send_process(pid, number),
        };
        if kills {
            let (wanted, none) = (number as u64, 0);
            let word = &self.it.kill_with;
            let swap = word.compare_exchange(wanted, none, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("task.kill_taken_back");
            if swap.is_err() {
                // The process, or another who kills it, has taken it over. It may have stopped with it.
                if descriptor.is_ok() && must_go_on(pid) {
                    let _ = send(libc::SIGCONT);
                }
                return Ok(true);
            }
        }
        if descriptor.as_ref().is_err_and(pidfd::says_gone) {
            return Ok(false);
        }
        let sent = send(number);
        if sent.is_ok() && kills && number == libc::SIGTERM {
            self.note_termination();
        }
        if sent.is_ok() && kills && number != libc::SIGKILL && must_go_on(pid) {
            // It would not take the signal until somebody else has it go on.
            let _ = send(libc::SIGCONT);
        }
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

    /// Has the supervisor see to it that it ends, which a process need not do of SIGTERM.
    fn note_termination(&self) {
        let owner = self.it.owner.load(Ordering::Acquire) as u32;
        let Some(index) = slots::living_owner(self.me.arena(), owner) else { return };
        // Another process may come into the slot by now: so who it was is what is noted.
        let slot = slots::process_slot(self.me.arena(), index);
        slot.terminated.store(u64::from(owner), Ordering::Release);
        crash_point!("task.termination_noted");
        self.me.runtime().ring();
    }

    /// In its process, once [`Task::process`] names that: dies if somebody wants it.
    pub(super) fn die_if_wanted(&self) {
        fence(Ordering::SeqCst);
        if self.it.kill_with.load(Ordering::Relaxed) == 0 {
            return;
        }
        let number = self.it.kill_with.swap(0, Ordering::AcqRel) as i32;
        crash_point!("task.kill_taken");
        if number != 0 {
            if signal::handler(number).is_ok_and(|handler| handler == 0) {
                // It may have been ignored where this process comes from.
                signal::default(number);
            }
            let _ = signal::send_process(process::pid(), number);
        }
    }
}
