//! A pipe used as a doorbell, and event descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, high_fd};

/// A close-on-exec, non-blocking pipe: (read end, write end).
///
/// # Errors
/// `EMFILE` when there are no descriptors.
pub fn doorbell() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for the two descriptors, which are then ours alone.
    let (read, write) = unsafe {
        check(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK))?;
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    };
    Ok((high_fd::moved_up(read)?, high_fd::moved_up(write)?))
}

/// A pipe that nothing is written to: who has its write end learns from the system when the read end
/// is closed, as it is when the only process that has it ends. (read end, write end)
///
/// # Errors
/// `EMFILE` when there are no descriptors.
pub fn lifeline() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = doorbell()?;
    // A process that has changed its user may open its own descriptor anew.
    // SAFETY: a plain call on a descriptor we own.
    unsafe { libc::fchmod(write.as_raw_fd(), 0o666) };
    Ok((read, write))
}

/// Tells files apart: 0 where `fd` is no open descriptor. Async-signal-safe.
#[must_use]
pub fn file_number(fd: i32) -> u64 {
    // SAFETY: stat is plain data, for which zeroes are a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is writable for the length of the call; the descriptor is only looked at.
    if unsafe { libc::fstat(fd, &raw mut stat) } == 0 { stat.st_ino } else { 0 }
}

/// Rings: one byte, dropped when the pipe is full, for then the other side is awake anyway.
pub fn ring(fd: BorrowedFd<'_>) {
    // SAFETY: one readable byte.
    unsafe { libc::write(fd.as_raw_fd(), [1u8].as_ptr().cast(), 1) };
}

/// Takes away everything that was rung.
pub fn silence(fd: BorrowedFd<'_>) {
    let mut buf = [0u8; 256];
    // SAFETY: `buf` is writable; the descriptor does not block.
    while unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) } > 0 {}
}

const F_SETSIG: i32 = 10;

/// Has `signal` sent to this process when nobody reads from the pipe of `fd`, its write end,
/// any more (and at other times). Through a new descriptor, which is this process's alone and
/// never closed; `None` where there is none to be had. Async-signal-safe.
#[must_use]
pub fn signal_when_reader_closes(fd: BorrowedFd<'_>, signal: i32) -> Option<BorrowedFd<'static>> {
    // Written by hand, for formatting allocates.
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0";
    let (mut at, mut rest) = (path.len() - 1, fd.as_raw_fd());
    while at > 14 {
        at -= 1;
        path[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // Leading zeroes are no part of the name.
    let digits = path[14..].iter().take_while(|c| **c == b'0').count().min(9);
    path.copy_within(14 + digits.., 14);
    // SAFETY: a C string; plain calls on a descriptor that is this function's own.
    unsafe {
        let flags = libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let own = libc::open(path.as_ptr().cast(), flags);
        if own < 0 {
            return None;
        }
        let high = libc::fcntl(own, libc::F_DUPFD_CLOEXEC, high_fd::FLOOR as i32);
        let own = if high < 0 {
            own
        } else {
            libc::close(own);
            high
        };
        libc::fcntl(own, F_SETSIG, signal);
        libc::fcntl(own, libc::F_SETOWN, libc::getpid());
        libc::fcntl(own, libc::F_SETFL, libc::O_NONBLOCK | libc::O_ASYNC);
        Some(BorrowedFd::borrow_raw(own))
    }
}

/// Whether nobody reads from the pipe of `fd`, its write end, any more. Async-signal-safe.
#[must_use]
pub fn is_reader_closed(fd: BorrowedFd<'_>) -> bool {
    let mut p = libc::pollfd { fd: fd.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: `p` is one writable pollfd.
    let ready = check(unsafe { libc::poll(&raw mut p, 1, 0) });
    ready.is_ok_and(|n| n == 1) && p.revents & libc::POLLERR != 0
}

/// Makes `old` lead to the pipe of `new`, under the number it has.
///
/// # Errors
/// What `dup3` answered.
pub fn replace(old: &OwnedFd, new: &OwnedFd) -> io::Result<()> {
    // SAFETY: plain calls on descriptors we own.
    check(unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) }).map(drop)
}

/// The pipe whose write end is descriptor `fd` of process `pid`.
///
/// # Errors
/// What `open` answered.
pub fn of_process(pid: i32, fd: i32) -> io::Result<OwnedFd> {
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    Ok(OwnedFd::from(options.write(true).open(format!("/proc/{pid}/fd/{fd}"))?))
}

/// Whether descriptor `fd` is closed, or a pipe, or the system does not say: no other file's for certain.
/// Async-signal-safe.
#[must_use]
pub fn is_none_or_pipe(fd: i32) -> bool {
    if cfg!(miri) {
        return true;
    }
    // SAFETY: stat is plain data, for which zeroes are a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is writable for the length of the call; the descriptor is only looked at.
    let failed = unsafe { libc::fstat(fd, &raw mut stat) } != 0;
    failed || stat.st_mode & libc::S_IFMT == libc::S_IFIFO
}

/// Closes descriptor `fd`, whose owner is never dropped.
pub fn close(fd: i32) {
    // SAFETY: the caller's, and used by nobody any more.
    unsafe { libc::close(fd) };
}

/// An event descriptor that starts at `value`: readable while it is not zero. It is kept, under a number
/// that programs do not meet by chance.
///
/// # Errors
/// `EMFILE` when there are no descriptors.
pub fn event(value: u32) -> io::Result<OwnedFd> {
    // SAFETY: a plain call; on success the descriptor is ours alone.
    unsafe {
        let fd = check(libc::eventfd(value, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        high_fd::moved_up(OwnedFd::from_raw_fd(fd))
    }
}

/// Makes an event descriptor readable.
pub fn signal_event(fd: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: eight readable bytes, as eventfd wants.
    unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), 8) };
}
