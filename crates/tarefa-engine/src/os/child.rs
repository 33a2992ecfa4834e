//! Collecting children that have ended (`wait`).

use std::io;

use super::check;
use super::pidfd::Exit;
use super::rusage::Usage;

/// Collects all children that have ended; false when there are no others. Async-signal-safe.
#[must_use]
pub fn reap_ended() -> bool {
    loop {
        let how = libc::WNOHANG | libc::__WALL;
        // SAFETY: no status is asked for.
        let pid = unsafe { libc::waitpid(-1, std::ptr::null_mut(), how) };
        if pid <= 0 {
            return pid == 0;
        }
    }
}

/// Whether the child `pid` has ended; it stays to be collected.
#[must_use]
pub fn is_ended(pid: i32) -> bool {
    // SAFETY: siginfo_t is plain data, for which zeroes are a value.
    let mut si: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: `si` is writable; waitid fills its SIGCHLD part, or leaves it zero.
    unsafe {
        libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut si, how) == 0 && si.si_pid() != 0
    }
}

/// Any child that has ended: its number, how, and what it used. It stays to be collected.
#[must_use]
pub fn look_at_any() -> Option<(i32, Exit, Usage)> {
    // SAFETY: siginfo_t and rusage are plain data, for which zeroes are a value.
    let (mut si, mut ru): (libc::siginfo_t, libc::rusage) = unsafe { std::mem::zeroed() };
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: both are writable for the length of the call; waitid fills the SIGCHLD part of the
    // union, or leaves it zero.
    unsafe {
        let all = libc::P_ALL;
        let ret = libc::syscall(libc::SYS_waitid, all, 0, &raw mut si, how, &raw mut ru);
        if ret != 0 || si.si_pid() == 0 {
            return None;
        }
        let status = si.si_status();
        let exited = si.si_code == libc::CLD_EXITED;
        let exit = if exited { Exit::Code(status) } else { Exit::Signal(status) };
        Some((si.si_pid(), exit, Usage::from_rusage(&ru)))
    }
}

/// Collects the child with that number if it has ended; `None` while it runs. For a child
/// that there was no descriptor for.
///
/// # Errors
/// `ECHILD` when it is no child of this process.
pub fn reap_by_number(pid: i32) -> io::Result<Option<(Exit, Usage)>> {
    let (got, exit, usage) = wait4(pid)?;
    Ok((got != 0).then_some((exit, usage)))
}

fn wait4(pid: i32) -> io::Result<(i32, Exit, Usage)> {
    let mut status = 0;
    // SAFETY: rusage is plain data, for which zeroes are a value.
    let mut ru: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both are writable for the length of the call.
    let got = check(unsafe {
        libc::wait4(pid, &raw mut status, libc::WNOHANG | libc::__WALL, &raw mut ru)
    })?;
    Ok((got, Exit::from_status(status), Usage::from_rusage(&ru)))
}
