//! Looking at many descriptors, and sleeping until one is readable.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use super::{check, clock::Deadline};

/// What a descriptor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing to read.
    Nothing,
    /// Something to read, its end, or an error that reading tells.
    Readable,
    /// There is no descriptor of that number.
    Closed,
}

fn entry(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

fn level(entry: libc::pollfd) -> Level {
    match entry.revents {
        0 => Level::Nothing,
        events if events & libc::POLLNVAL != 0 => Level::Closed,
        _ => Level::Readable,
    }
}

fn poll(entries: &mut [libc::pollfd], ms: i32) -> io::Result<()> {
    loop {
        // SAFETY: the entries are writable, and as many as is said.
        let n = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, ms) };
        match check(n) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(drop),
        }
    }
}

/// What each of the descriptors has now.
///
/// # Errors
/// `EINVAL` where they are more than the limit for open ones, `ENOMEM`.
pub fn look(fds: &[RawFd]) -> io::Result<Vec<Level>> {
    let mut entries: Vec<_> = fds.iter().copied().map(entry).collect();
    poll(&mut entries, 0)?;
    Ok(entries.into_iter().map(level).collect())
}

/// Sleeps until one of the descriptors has something, or is closed, or `stop` is readable.
///
/// # Errors
/// As of [`look`].
pub fn sleep(fds: &[RawFd], stop: BorrowedFd<'_>) -> io::Result<()> {
    let mut entries: Vec<_> = fds.iter().copied().map(entry).collect();
    entries.push(entry(stop.as_raw_fd()));
    poll(&mut entries, -1)
}

/// Sleeps until one of the descriptors has something to read, or its end; whether one has.
pub fn wait_any(fds: &[BorrowedFd<'_>], deadline: Deadline) -> bool {
    let mut entries: Vec<_> = fds.iter().map(|fd| entry(fd.as_raw_fd())).collect();
    loop {
        let left = deadline.left();
        let ms = left.map_or(-1, |d| d.as_micros().div_ceil(1000).min(1 << 30) as i32);
        if poll(&mut entries, ms).is_err() {
            return false;
        }
        if entries.iter().any(|it| level(*it) != Level::Nothing) {
            return true;
        }
        if left.is_some_and(|left| left.is_zero()) {
            return false;
        }
    }
}

/// Sleeps until one of the descriptors has something, or is closed, or so much time has passed; what
/// each has then.
///
/// # Errors
/// As of [`look`].
pub fn sleep_for(fds: &[BorrowedFd<'_>], time: Duration) -> io::Result<Vec<Level>> {
    let mut entries: Vec<_> = fds.iter().map(|fd| entry(fd.as_raw_fd())).collect();
    // Up, so that nobody looks again and again in the last part of a millisecond.
    let ms = time.as_micros().div_ceil(1000);
    poll(&mut entries, i32::try_from(ms).unwrap_or(i32::MAX))?;
    Ok(entries.into_iter().map(level).collect())
}
