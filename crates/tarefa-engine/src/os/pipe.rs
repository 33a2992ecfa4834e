//! A pipe used as a doorbell, and event descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;

/// A close-on-exec, non-blocking pipe: (read end, write end).
///
/// # Errors
/// `EMFILE` when there are no descriptors.
pub fn doorbell() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for the two descriptors, which are then ours alone.
    unsafe {
        check(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
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

/// An event descriptor that starts at `value`: readable while it is not zero.
///
/// # Errors
/// `EMFILE` when there are no descriptors.
pub fn event(value: u32) -> io::Result<OwnedFd> {
    // SAFETY: a plain call; on success the descriptor is ours alone.
    unsafe {
        let fd = check(libc::eventfd(value, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Makes an event descriptor readable.
pub fn signal_event(fd: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: eight readable bytes, as eventfd wants.
    unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), 8) };
}
