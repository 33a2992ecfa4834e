//! Doing something in a copy of the process that may crash without harm.

use super::{process, signal};

/// How long the copy lives at most, in microseconds.
const LIFE_US: libc::suseconds_t = 500_000;

/// Runs `f` in a copy of the process, which has only the calling thread and ends with `f`, and
/// waits for its end. Nothing comes of it where no process can be made. Async-signal-safe if `f`
/// is; `f` must not rely on what other threads do or hold.
///
/// The program does not notice: no `SIGCHLD`, no child for its own `wait`, no handlers run.
pub fn run(f: impl FnOnce()) {
    let parent = process::pid();
    // SAFETY: like fork, with no signal at the child's end; all that the child does until it
    // leaves is async-signal-safe.
    let child = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) } as i32;
    if child == 0 {
        process::die_with_parent();
        if process::parent() != parent {
            process::exit_now(0);
        }
        limit_life();
        f();
        process::exit_now(0);
    }
    if child < 0 {
        return;
    }
    loop {
        // SAFETY: a plain call; __WALL is for children that send no signal at their end.
        let ended = unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::__WALL) };
        if ended == child || process::errno() != libc::EINTR {
            break;
        }
    }
}

/// A crash or too long a life end the copy quietly: no handler, no core file.
fn limit_life() {
    let faults =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGALRM];
    for fault in faults {
        signal::default(fault);
    }
    let life = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: 0, tv_usec: LIFE_US },
    };
    // SAFETY: plain calls with values that outlive them.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::setitimer(libc::ITIMER_REAL, &raw const life, std::ptr::null_mut());
        let mut alarm: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut alarm);
        libc::sigaddset(&raw mut alarm, libc::SIGALRM);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const alarm, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use crate::atomic::{AtomicU32, Ordering};
    use std::io::{Read, Write};

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has one process")]
    fn the_copy_runs_and_changes_its_own_memory_only() {
        let (mut from, mut to) = std::io::pipe().unwrap();
        let own = AtomicU32::new(1);
        run(|| {
            own.store(2, Ordering::Relaxed);
            to.write_all(b"seen").unwrap();
        });
        drop(to);
        let mut seen = Vec::new();
        from.read_to_end(&mut seen).unwrap();
        assert_eq!((seen.as_slice(), own.load(Ordering::Relaxed)), (b"seen".as_slice(), 1));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has one process")]
    fn a_crash_or_an_endless_loop_of_the_copy_is_over_when_run_returns() {
        // SAFETY: the copy dies of it, which is the test.
        run(|| unsafe { std::ptr::without_provenance_mut::<u32>(8).write_volatile(1) });
        run(|| {
            loop {
                std::hint::spin_loop();
            }
        });
        // SAFETY: a plain call.
        let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WCLONE) };
        assert_eq!((left, process::errno()), (-1, libc::ECHILD));
    }
}
