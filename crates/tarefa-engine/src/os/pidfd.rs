//! Processes as descriptors: watched, signalled and reaped without a race on the number.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, check_long, high_fd};
use crate::os::rusage::Usage;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Somebody else collected its status first.
    Unknown,
}

impl Exit {
    /// From the status that `wait` gives.
    #[must_use]
    pub fn from_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Code(libc::WEXITSTATUS(status))
        }
    }
}

/// Whether [`open`] failed because there is no such process: the number is nobody's, or is a
/// mere thread's by now.
#[must_use]
pub fn says_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL | libc::ENOENT))
}

/// Opens a descriptor for process `pid`; readable once the process has ended.
///
/// # Errors
/// `ESRCH` when there is no such process, `EMFILE` when there are no descriptors.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: a plain system call; on success the descriptor is ours alone.
    unsafe {
        let fd = check_long(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// The same under a number that programs do not meet by chance, for one that is kept.
///
/// # Errors
/// As for [`open`].
pub fn open_kept(pid: i32) -> io::Result<OwnedFd> {
    high_fd::moved_up(open(pid)?)
}

/// Sends `signal` to the process behind `fd`.
///
/// # Errors
/// `ESRCH` when it has ended.
pub fn send_signal(fd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a plain system call with no pointers but null.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            fd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    })
    .map(drop)
}

/// Whether `fd` is a process's still: a program may have closed it, and another file have its number.
#[must_use]
pub fn is_open(fd: BorrowedFd<'_>) -> bool {
    send_signal(fd, 0).err().is_none_or(|e| e.raw_os_error() != Some(libc::EBADF))
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `struct pidfd_info` of Linux 6.15, as far as its exit code.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    ids: [u32; 12],
    exit_code: i32,
    rest: [u32; 3],
}

/// The exit status from the kernel's own record, for a process that somebody else has
/// collected; Linux 6.15 and later have one.
#[must_use]
pub fn exit_of_collected(fd: BorrowedFd<'_>) -> Exit {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // _IOWR(0xFF, 11, struct pidfd_info)
    let request = (3u64 << 30) | ((size_of::<PidfdInfo>() as u64) << 16) | (0xFF << 8) | 0x0B;
    // SAFETY: `info` is writable and as long as the request says.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), request as libc::Ioctl, &raw mut info) };
    if ret < 0 || info.mask & PIDFD_INFO_EXIT == 0 {
        return Exit::Unknown;
    }
    Exit::from_status(info.exit_code)
}

/// Collects an ended child; `None` while it runs.
///
/// # Errors
/// What `waitid` answered, but for `ECHILD`, which is [`Exit::Unknown`].
pub fn reap(fd: BorrowedFd<'_>) -> io::Result<Option<(Exit, Usage)>> {
    // SAFETY: siginfo_t and rusage are plain data, for which zeroes are a value.
    let (mut si, mut ru): (libc::siginfo_t, libc::rusage) = unsafe { std::mem::zeroed() };
    // SAFETY: both buffers are writable for the length of the call.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            fd.as_raw_fd(),
            &raw mut si,
            libc::WEXITED | libc::WNOHANG | libc::__WALL,
            &raw mut ru,
        )
    };
    if let Err(e) = check_long(ret) {
        return match e.raw_os_error() {
            Some(libc::ECHILD) => Ok(Some((exit_of_collected(fd), Usage::default()))),
            Some(libc::EINTR) => Ok(None),
            _ => Err(e),
        };
    }
    // SAFETY: waitid filled the SIGCHLD part of the union, or left it zero.
    let (pid, status) = unsafe { (si.si_pid(), si.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let exit = match si.si_code {
        libc::CLD_EXITED => Exit::Code(status),
        _ => Exit::Signal(status),
    };
    Ok(Some((exit, Usage::from_rusage(&ru))))
}

/// Whether the process behind `fd` has ended, without waiting.
#[must_use]
pub fn ended(fd: BorrowedFd<'_>) -> bool {
    let mut p = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `p` is one writable pollfd.
    check(unsafe { libc::poll(&raw mut p, 1, 0) }).is_ok_and(|n| n == 1)
}
