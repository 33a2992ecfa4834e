//! Waiting for many descriptors: a thin epoll.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, clock::Deadline, high_fd, process};

/// A set of descriptors, each with a key of the caller's.
#[derive(Debug)]
pub struct Poll(OwnedFd);

impl Poll {
    /// An empty set.
    ///
    /// # Errors
    /// `EMFILE` when there are no descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: a plain call; on success the descriptor is ours alone.
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Self(high_fd::moved_up(fd)?))
    }

    /// Adds `fd`; [`Poll::wait`] reports it as `key` while it is readable.
    ///
    /// # Errors
    /// What `epoll_ctl` answered.
    pub fn add(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: key };
        // SAFETY: `event` is readable for the length of the call.
        check(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event)
        })
        .map(drop)
    }

    /// Takes `fd` out again. Needed before closing it: a forked process may hold a copy.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        // SAFETY: removal ignores the event argument.
        unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                fd.as_raw_fd(),
                std::ptr::null_mut(),
            )
        };
    }

    /// Keys of readable descriptors, added to `keys`; none after the deadline or a signal. False
    /// when the program has closed the descriptor of the set, which may be another file's by now: then it is
    /// over with it.
    pub fn wait(&self, keys: &mut Vec<u64>, deadline: Deadline) -> bool {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let ms = deadline.left().map_or(-1, |d| d.as_micros().div_ceil(1000).min(1 << 30) as i32);
        // SAFETY: `events` has room for 64 entries.
        let n = unsafe {
            libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, ms)
        };
        keys.extend(events.iter().take(n.max(0) as usize).map(|e| e.u64));
        n >= 0 || !matches!(process::errno(), libc::EBADF | libc::EINVAL)
    }
}
