//! A program and all that it has started: its process group, and what descends from it in other groups.
//!
//! What has lost its parent before is not found: it has left the program, as a daemon does.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{pidfd, poll, process, procfs, signal};

pub(super) const SIGTERM: i32 = signal_hook::consts::SIGTERM;
pub(super) const SIGKILL: i32 = signal_hook::consts::SIGKILL;
const SIGCONT: i32 = signal_hook::consts::SIGCONT;

/// More processes of one program are not looked for.
const MOST: usize = 1 << 14;

/// Sends a signal to a process group. Its number is its leader's until that is waited for.
pub(super) fn signal_group(group: u32, number: i32) {
    let _ = signal::send_process(-(group as i32), number);
}

/// A process, by its number and the time at which it began: so a number that is another's meanwhile is none. There
/// may be fewer descriptors than processes.
struct Started {
    pid: i32,
    start_time: u64,
}

impl Started {
    fn lives(&self) -> bool {
        procfs::alive(self.pid, self.start_time)
    }

    fn send(&self, number: i32) {
        if self.lives() {
            let _ = signal::send_process(self.pid, number);
        }
    }

    /// Waits for its end; whether it has come. Without a descriptor to wait with it has not.
    fn ends(&self, until: Deadline) -> bool {
        match pidfd::open(self.pid) {
            Ok(descriptor) => !self.lives() || poll::wait_any(&[descriptor.as_fd()], until),
            Err(error) => pidfd::says_gone(&error),
        }
    }
}

/// What descends from a process now.
fn descendants(pid: u32) -> Vec<Started> {
    let (mut found, mut next) = (Vec::new(), vec![pid as i32]);
    while let Some(parent) = next.pop() {
        for pid in procfs::children(parent) {
            found.push(Started { pid, start_time: procfs::start_time(pid) });
            next.push(pid);
            if found.len() == MOST {
                return found;
            }
        }
    }
    found
}

/// Asks those to end that are not in that process group, also where they are stopped.
fn ask(programs: &[Started], but: Option<u32>) {
    for program in programs {
        if but.is_none_or(|group| process::group(program.pid) != group as i32) {
            program.send(SIGTERM);
            program.send(SIGCONT);
        }
    }
}

/// Kills those that have not ended by then.
fn kill_late(programs: &[Started], until: Deadline) {
    for program in programs {
        if !program.ends(until) {
            program.send(SIGKILL);
        }
    }
}

/// Ends a process group with all that its leader has started, by SIGTERM, and after `grace` by SIGKILL;
/// returns once the leader has ended.
pub(super) fn end_group(group: u32, leader: &OwnedFd, grace: Duration) {
    // Before it ends: then they are somebody else's children.
    let others = descendants(group);
    signal_group(group, SIGTERM);
    signal_group(group, SIGCONT);
    // Twice would be "at once" for some.
    ask(&others, Some(group));
    let until = Deadline::after(Some(grace));
    if !poll::wait_any(&[leader.as_fd()], until) {
        signal_group(group, SIGKILL);
    }
    kill_late(&others, until);
    poll::wait_any(&[leader.as_fd()], Deadline::NEVER);
}

/// Ends a program by SIGTERM, and after `grace` by SIGKILL; then what it has started and has not ended itself,
/// in the same way.
pub(super) fn end_program(pid: u32, program: &OwnedFd, grace: Duration) {
    let others = descendants(pid);
    for number in [SIGTERM, SIGCONT] {
        let _ = pidfd::send_signal(program.as_fd(), number);
    }
    if !poll::wait_any(&[program.as_fd()], Deadline::after(Some(grace))) {
        let _ = pidfd::send_signal(program.as_fd(), SIGKILL);
    }
    ask(&others, None);
    kill_late(&others, Deadline::after(Some(grace)));
}

/// Kills a process group with all that its leader has started.
pub(super) fn kill_group(group: u32) {
    let others = descendants(group);
    signal_group(group, SIGKILL);
    for other in others {
        other.send(SIGKILL);
    }
}
