//! A program and all that it has started: its process group, and what descends from it in other groups.
//!
//! What has lost its parent before is not found: it has left the program, as a daemon does.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{pidfd, poll, procfs, signal};

pub(super) const SIGTERM: i32 = signal_hook::consts::SIGTERM;
pub(super) const SIGKILL: i32 = signal_hook::consts::SIGKILL;
const SIGCONT: i32 = signal_hook::consts::SIGCONT;

/// More processes of one program are not looked for.
const MOST: usize = 1 << 14;

/// Sends a signal to a process group. Its number is its leader's until that is waited for.
pub(super) fn signal_group(group: u32, number: i32) {
    let _ = signal::send_process(-(group as i32), number);
}

/// What descends from a process now, each as a descriptor: so a number that is another's meanwhile is none.
fn descendants(pid: u32) -> Vec<OwnedFd> {
    let (mut found, mut next) = (Vec::new(), vec![pid as i32]);
    while let Some(parent) = next.pop() {
        for child in procfs::children(parent) {
            let Ok(descriptor) = pidfd::open(child) else { continue };
            found.push(descriptor);
            next.push(child);
            if found.len() == MOST {
                return found;
            }
        }
    }
    found
}

/// Asks them to end, also those that are stopped.
fn ask(programs: &[OwnedFd]) {
    for number in [SIGTERM, SIGCONT] {
        for program in programs {
            let _ = pidfd::send_signal(program.as_fd(), number);
        }
    }
}

/// Kills those that have not ended by then.
fn kill_late(programs: &[OwnedFd], until: Deadline) {
    for program in programs {
        if !poll::wait_any(&[program.as_fd()], until) {
            let _ = pidfd::send_signal(program.as_fd(), SIGKILL);
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
    ask(&others);
    let until = Deadline::after(Some(grace));
    if !poll::wait_any(&[leader.as_fd()], until) {
        signal_group(group, SIGKILL);
    }
    kill_late(&others, until);
    poll::wait_any(&[leader.as_fd()], Deadline::NEVER);
}

/// Ends a program by SIGTERM, and after `grace` by SIGKILL; then what it has started and has not ended itself,
/// in the same way.
pub(super) fn end_program(pid: u32, program: OwnedFd, grace: Duration) {
    let others = descendants(pid);
    let program = [program];
    ask(&program);
    kill_late(&program, Deadline::after(Some(grace)));
    ask(&others);
    kill_late(&others, Deadline::after(Some(grace)));
}

/// Kills a process group with all that its leader has started.
pub(super) fn kill_group(group: u32) {
    let others = descendants(group);
    signal_group(group, SIGKILL);
    for other in others {
        let _ = pidfd::send_signal(other.as_fd(), SIGKILL);
    }
}
