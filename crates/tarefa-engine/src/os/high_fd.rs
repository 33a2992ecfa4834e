//! Descriptors of the engine's own, where no program meets them by chance.
//!
//! The system gives the lowest free number, which in a program that was started with standard
//! error closed is 2; and programs close all numbers up to some limit before they become daemons.
//! So what the engine keeps open lies near 1,000, or as high as the limit on descriptors allows.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Where the search for a number begins. Not higher: the kernel copies the table of descriptors,
/// up to the highest, at each fork.
pub(super) const FLOOR: u64 = 960;
/// Below this number no descriptor stays: those of the standard streams, and a few for programs.
const LEAST: i32 = 3;

/// The same file under a high number; where there is none, under any but those of the standard
/// streams.
///
/// # Errors
/// `EMFILE` when the only number left is that of a standard stream.
pub fn moved_up(fd: OwnedFd) -> io::Result<OwnedFd> {
    if cfg!(miri) {
        return Ok(fd);
    }
    let limit = limit();
    for least in [FLOOR.min(limit.saturating_sub(limit / 4)) as i32, LEAST] {
        if fd.as_raw_fd() >= least {
            return Ok(fd);
        }
        // SAFETY: a plain call; on success the descriptor is ours alone.
        let high = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
        if high >= 0 {
            // SAFETY: as above.
            return Ok(unsafe { OwnedFd::from_raw_fd(high) });
        }
    }
    Err(io::Error::last_os_error())
}

fn limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable for the length of the call.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur
}

/// Whether the program has closed descriptor `fd`.
#[must_use]
pub fn is_closed(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: a plain call; a number that is nobody's is an error.
    !cfg!(miri) && unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) < 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_gets_a_high_number_and_the_low_one_is_free() {
        let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let high = moved_up(file).unwrap();
        assert!(high.as_raw_fd() as u64 >= FLOOR.min(limit() - limit() / 4));
        let number = high.as_raw_fd();
        assert_eq!(moved_up(high).unwrap().as_raw_fd(), number);
    }
}
