//! When processes of a recorded program ended of whose end nobody has written anything: whose end is written down
//! by their parent, and it died with them.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, OwnedFd};

use super::data::End;
use crate::os::pidfd::{self, Exit};
use crate::os::{clock, process, procfs};
use crate::shm::trace::{What, Written};

/// The processes that have written something, each by the slot that is its own.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    /// Those that live, for all that is known.
    watched: HashMap<u32, Watched>,
    noticed: HashMap<u32, (u64, End)>,
    /// Those whose end is written: events of theirs may be read after that.
    written: HashSet<u32>,
}

#[derive(Debug)]
struct Watched {
    pid: i32,
    /// None while there is no descriptor to spare.
    file: Option<OwnedFd>,
}

impl Deaths {
    /// Watches who has written that, from now on; whose end is written needs it no more.
    pub(super) fn watch<'a>(&mut self, events: impl Iterator<Item = &'a Written>) {
        for written in events {
            if let What::ProcessEnds { owner, .. } = written.event.what {
                self.watched.remove(&owner);
                self.written.insert(owner);
                continue;
            }
            let owner = (written.thread >> 32) as u32;
            // Who records sees its own end to the last.
            let is_known = self.noticed.contains_key(&owner) || self.written.contains(&owner);
            if written.pid != process::pid() && !is_known {
                let new = || Watched { pid: written.pid, file: None };
                self.watched.entry(owner).or_insert_with(new);
            }
        }
    }

    /// Notes who has ended since the last time. That it was now is the best that is known.
    pub(super) fn notice(&mut self) {
        let noticed = &mut self.noticed;
        self.watched.retain(|owner, watched| match watched.end() {
            None => true,
            Some(end) => {
                noticed.insert(*owner, (clock::now_ns(), end));
                false
            }
        });
    }

    /// Whether some of those that have written something may live.
    pub(super) fn some_live(&self) -> bool {
        !self.watched.is_empty()
    }

    /// When the process of that slot was noticed to have ended, and how that was.
    pub(super) fn of(&self, owner: u32) -> Option<(u64, End)> {
        self.noticed.get(&owner).copied()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.leave_what_is_not_ours();
    }
}

impl Watched {
    /// A program that closes descriptors may have closed this one, and a file of its own may have the number.
    fn leave_what_is_not_ours(&mut self) {
        if self.file.as_ref().is_some_and(|file| !pidfd::is_open(file.as_fd())) {
            std::mem::forget(self.file.take());
        }
    }

    fn end(&mut self) -> Option<End> {
        if self.file.is_none() {
            match pidfd::open_kept(self.pid) {
                Ok(file) => self.file = Some(file),
                Err(error) if pidfd::says_gone(&error) => return Some(End::Gone),
                Err(_) => return None,
            }
        }
        self.leave_what_is_not_ours();
        let file = self.file.as_ref()?.as_fd();
        if !pidfd::ended(file) {
            return None;
        }
        let zombie = procfs::exit_of_zombie(self.pid).map(|(exit, _)| exit);
        Some(match zombie.unwrap_or_else(|| pidfd::exit_of_collected(file)) {
            Exit::Signal(signal) => End::Killed(signal),
            // So does a process leave that has lost its program: what it ran did not end well.
            Exit::Code(0) | Exit::Unknown => End::Gone,
            Exit::Code(code) => End::Exited(code),
        })
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::shm::trace::Event;

    fn by(pid: i32, owner: u32) -> Written {
        let what = What::TaskBegins { task: 1, is_thread: false };
        Written {
            thread: u64::from(owner) << 32,
            pid,
            tid: pid,
            event: Event { at_ns: 1, name: 0, what },
        }
    }

    #[test]
    fn an_end_that_nobody_has_written_is_noticed_with_its_signal() {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut deaths = Deaths::default();
        deaths.watch([by(child.id() as i32, 7)].iter());
        deaths.notice();
        assert!(deaths.some_live() && deaths.of(7).is_none());
        let before = clock::now_ns();
        child.kill().unwrap();
        while deaths.some_live() {
            deaths.notice();
        }
        let (at_ns, end) = deaths.of(7).unwrap();
        assert!(at_ns >= before);
        assert_eq!(end, End::Killed(9));
        // It is noticed once, and not watched again.
        child.wait().unwrap();
        deaths.watch([by(child.id() as i32, 7)].iter());
        assert!(!deaths.some_live());
    }

    #[test]
    fn whose_end_is_written_is_not_watched() {
        let mut deaths = Deaths::default();
        let mut end = by(1, 7);
        end.event.what = What::ProcessEnds { owner: 7, signal: 9, code: 0 };
        deaths.watch([by(process::parent(), 7), end].iter());
        assert!(!deaths.some_live());
    }
}
