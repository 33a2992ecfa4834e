//! Ending tasks whose time is up: see [`crate::task::limits`], and `terminations.rs`.

use std::io::{self, Write};
use std::os::fd::AsFd;

use super::state::Supervisor;
use crate::atomic::Ordering;
use crate::os::clock::now_ns;
use crate::os::{pidfd, process, procfs, signal};
use crate::shm::arena::layout::{ProcessSlot, process_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::task::limits::{GRACE, TimeUp};
use crate::task::record::Task;

impl Supervisor<'_> {
    /// Interrupts the tasks whose time is up, and kills those that went on after the grace.
    pub(super) fn end_over_time(&mut self) {
        let now = now_ns();
        while let Some(index) = self.deadlines.take_passed(now) {
            let slot = slots::process_slot(self.me.arena(), index);
            let off = Off(slot.task.load(Ordering::Acquire));
            // Held by the slot until it is buried, which is this thread's to do.
            if off.is_none() || !self.lives(index, slot) {
                continue;
            }
            let task = Task::at(self.me, off);
            match task.time_is_up() {
                TimeUp::Ended => {}
                TimeUp::Interrupt => {
                    task.request_interrupt();
                    if task.wants_signal() {
                        self.signal(index, signal::interrupt_signal());
                    }
                    self.deadlines.set(index, now.saturating_add(GRACE.as_nanos() as u64));
                }
                TimeUp::GoesOn => {
                    if task.grace_is_over() {
                        self.signal(index, libc::SIGKILL);
                    }
                }
            }
        }
    }

    /// The process `pid` in slot `index` was sent SIGTERM.
    pub(super) fn told_to_end(&mut self, index: u32, pid: i32) {
        self.terminations.add(index, procfs::signal_stands(pid, libc::SIGTERM));
    }

    /// Kills those that were sent SIGTERM and do not take it.
    pub(super) fn end_terminated(&mut self) {
        while let Some((index, told)) = self.terminations.take_due() {
            let slot = slots::process_slot(self.me.arena(), index);
            if !self.lives(index, slot) {
                continue;
            }
            let stands = procfs::signal_stands(slots::owner(slot).0, libc::SIGTERM);
            if self.terminations.is_to_kill(index, told, stands) {
                self.signal(index, libc::SIGKILL);
            }
        }
    }

    /// Whether the process in slot `index` has not ended.
    pub(super) fn lives(&self, index: u32, slot: &ProcessSlot) -> bool {
        let (pid, state) = slots::owner(slot);
        let collected = slot.exit.load(Ordering::Acquire) != 0;
        state == process_state::LIVE
            && !collected
            && self.watched.get(&index).map_or_else(
                || process::exists(pid) && procfs::exit_of_zombie(pid).is_none(),
                |fd| !pidfd::ended(fd.as_fd()),
            )
    }

    /// Sends a signal to the process in slot `index`.
    pub(super) fn signal(&self, index: u32, number: i32) {
        let slot = slots::process_slot(self.me.arena(), index);
        let (pid, _) = slots::owner(slot);
        let sent = match self.watched.get(&index) {
            Some(fd) => pidfd::send_signal(fd.as_fd(), number),
            None => signal::send_process(pid, number),
        };
        let is_refused = sent.is_err_and(|e| e.raw_os_error() == Some(libc::EPERM));
        if is_refused && number == libc::SIGKILL {
            // Held by the slot until it is buried, which is this thread's to do.
            let off = Off(slot.task.load(Ordering::Acquire));
            let name = if off.is_none() { String::new() } else { Task::at(self.me, off).name() };
            let _ = writeln!(
                io::stderr(),
                "tarefa: process {name:?} (pid {pid}) is to be killed, for its time is up, its \
                 starter has ended or it goes on after terminate(), and may not be: it runs as another user than the program by \
                 now; it ends with the program"
            );
        }
    }
}
