//! A job and all that it has started: its process group, and what descends from it in other groups.
//!
//! What has lost its parent before is not found: it has left the job, as a daemon does.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{pidfd, poll, procfs, signal};

pub(super) const SIGTERM: i32 = signal_hook::consts::SIGTERM;
pub(super) const SIGKILL: i32 = signal_hook::consts::SIGKILL;
const SIGCONT: i32 = signal_hook::consts::SIGCONT;

/// How long a job has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// More processes of one job are not looked for.
const MOST: usize = 1 << 14;

/// Sends a signal to a job's process group. Its number is the job's until that is waited for.
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

/// Ends a job by SIGTERM, and after a time by SIGKILL; returns once it has ended.
pub(super) fn end(group: u32, ended: &OwnedFd) {
    // Before it ends: then they are somebody else's children.
    let others = descendants(group);
    for number in [SIGTERM, SIGCONT] {
        signal_group(group, number);
        for other in &others {
            let _ = pidfd::send_signal(other.as_fd(), number);
        }
    }
    let until = Deadline::after(Some(GRACE));
    if !poll::wait_any(&[ended.as_fd()], until) {
        signal_group(group, SIGKILL);
    }
    for other in others {
        if !poll::wait_any(&[other.as_fd()], until) {
            let _ = pidfd::send_signal(other.as_fd(), SIGKILL);
        }
    }
    poll::wait_any(&[ended.as_fd()], Deadline::NEVER);
}

/// Kills a job with all that it has started.
pub(super) fn kill(group: u32) {
    let others = descendants(group);
    signal_group(group, SIGKILL);
    for other in others {
        let _ = pidfd::send_signal(other.as_fd(), SIGKILL);
    }
}
