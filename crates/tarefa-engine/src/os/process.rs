//! Making processes, and what a process tells the kernel about itself.

use std::ffi::CString;
use std::io;

use super::check;
use super::pidfd::Exit;
use crate::os::rusage::Usage;

/// The calling process's id.
#[must_use]
pub fn pid() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getpid() }
}

/// The parent's id.
#[must_use]
pub fn parent() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getppid() }
}

/// The calling thread's id.
#[must_use]
pub fn tid() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::gettid() }
}

/// The real user id.
#[must_use]
pub fn user() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::getuid() }
}

/// Whether there is a process `pid`, though it may have ended and not been collected: what can
/// be said without a descriptor to spare.
#[must_use]
pub fn exists(pid: i32) -> bool {
    // SAFETY: a plain call; signal 0 is only a question.
    let answer = check(unsafe { libc::kill(pid, 0) });
    answer.map_or_else(|e| e.raw_os_error() != Some(libc::ESRCH), |_| true)
}

/// Asks the kernel to kill this process when the thread that is its parent ends.
pub fn die_with_parent() {
    // SAFETY: a plain call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
}

/// Asks the kernel to send this process `signal` when the thread that is its parent ends.
pub fn signal_with_parent(signal: i32) {
    // SAFETY: a plain call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) };
}

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
pub fn is_child_ended(pid: i32) -> bool {
    // SAFETY: siginfo_t is plain data, for which zeroes are a value.
    let mut si: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: `si` is writable; waitid fills its SIGCHLD part, or leaves it zero.
    unsafe {
        libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut si, how) == 0 && si.si_pid() != 0
    }
}

/// Sleeps for a millisecond, or less. Async-signal-safe.
pub fn nap() {
    // SAFETY: no descriptors are given.
    unsafe { libc::poll(std::ptr::null_mut(), 0, 1) };
}

/// The calling thread's last error number, which a signal handler puts back when it returns.
#[must_use]
pub fn errno() -> i32 {
    // SAFETY: the address is this thread's.
    unsafe { *libc::__errno_location() }
}

/// See [`errno`].
pub fn set_errno(error: i32) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = error };
}

/// Collects any child that has ended: its number, how, and what it used.
#[must_use]
pub fn reap_any() -> Option<(i32, Exit, Usage)> {
    let (pid, exit, usage) = wait4(-1).ok()?;
    (pid != 0).then_some((pid, exit, usage))
}

/// Names the calling thread, as `ps` and `top` show it (15 bytes).
pub fn set_thread_name(name: &str) {
    if let Ok(name) = CString::new(name) {
        // SAFETY: `name` is a C string; the kernel cuts it at 15 bytes.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
    }
}

/// Ends this process at once: no handlers, no destructors.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(code) }
}

/// Gives the processor to somebody else.
pub fn yield_now() {
    // SAFETY: cannot fail.
    unsafe { libc::sched_yield() };
}

/// Forks an ordinary child through the C library.
///
/// # Safety
/// As for `fork(2)`: with other threads alive the child may call only
/// async-signal-safe functions.
///
/// # Errors
/// `EAGAIN` at a limit on processes, `ENOMEM` without memory.
#[allow(clippy::disallowed_methods)]
pub unsafe fn fork_child() -> io::Result<i32> {
    // SAFETY: the caller's promise.
    check(unsafe { libc::fork() })
}

/// What a new process has otherwise than its parent.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Descriptors that become its standard input, output and error; -1 leaves the parent's.
    /// No other descriptor reaches it.
    pub streams: Option<[i32; 3]>,
    /// Its working directory.
    pub folder: Option<CString>,
}

/// Starts `argv[0]` (a path) as a child of the calling thread that dies with that thread.
///
/// # Errors
/// What `fork` or `execve` answered.
pub fn spawn(argv: &[CString], envp: &[CString]) -> io::Result<i32> {
    spawn_any(&argv[..1], argv, envp, &Setup::default()).map_err(|(e, _)| e)
}

/// In the child of [`spawn_any`]: streams, signals, folder. Async-signal-safe.
///
/// # Safety
/// Only in a child that shares no descriptors with its parent.
unsafe fn set_up(setup: &Setup) -> Result<(), i32> {
    // SAFETY: plain calls on numbers; the caller's promise.
    unsafe {
        let answer = |ret: i32| if ret < 0 { Err(*libc::__errno_location()) } else { Ok(ret) };
        if let Some(mut streams) = setup.streams {
            // First out of the way of one another.
            for (i, fd) in streams.iter_mut().enumerate() {
                if (0..3).contains(fd) && *fd != i as i32 {
                    *fd = answer(libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, 3))?;
                }
            }
            for (i, fd) in streams.into_iter().enumerate() {
                if fd == i as i32 {
                    answer(libc::fcntl(fd, libc::F_SETFD, 0))?;
                } else if fd >= 0 {
                    answer(libc::dup2(fd, i as i32))?;
                }
            }
            // Those that somebody made inheritable for others; older kernels do without.
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            super::limits::limit_program();
            // What an interpreter ignores, programs expect as the system has it.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
        }
        if let Some(folder) = &setup.folder {
            answer(libc::chdir(folder.as_ptr()))?;
        }
        Ok(())
    }
}

/// Starts the first of `paths` that can be executed as a child of the calling thread that dies
/// with that thread.
///
/// # Errors
/// What `fork` or `execve` answered, the latter for the first path that is there; true where it
/// was the folder.
pub fn spawn_any(
    paths: &[CString],
    argv: &[CString],
    envp: &[CString],
    setup: &Setup,
) -> Result<i32, (io::Error, bool)> {
    fn pointers(list: &[CString]) -> Vec<*const libc::c_char> {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    }
    struct Plan<'a> {
        paths: &'a [*const libc::c_char],
        setup: &'a Setup,
        folder_failed: bool,
        argv: &'a [*const libc::c_char],
        envp: &'a [*const libc::c_char],
        parent: i32,
        error: i32,
    }
    extern "C" fn child(plan: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the parent waits (CLONE_VFORK) and lends its `Plan` and its memory; only
        // async-signal-safe calls follow.
        unsafe {
            let plan = &mut *plan.cast::<Plan<'_>>();
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            if libc::getppid() != plan.parent {
                libc::_exit(1);
            }
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
            if let Err(error) = set_up(plan.setup) {
                plan.error = error;
                plan.folder_failed = plan.setup.folder.is_some();
                libc::_exit(127)
            }
            let mut why = 0;
            for path in plan.paths.iter().take_while(|p| !p.is_null()) {
                libc::execve(*path, plan.argv.as_ptr(), plan.envp.as_ptr());
                let error = *libc::__errno_location();
                let absent = matches!(error, libc::ENOENT | libc::ENOTDIR);
                if why == 0 || !absent {
                    why = error;
                }
                if !absent && error != libc::EACCES {
                    break;
                }
            }
            plan.error = why;
            libc::_exit(127)
        }
    }
    let (paths, argv, envp) = (pointers(paths), pointers(argv), pointers(envp));
    let mut plan = Plan {
        paths: &paths,
        setup,
        folder_failed: false,
        argv: &argv,
        envp: &envp,
        parent: pid(),
        error: 0,
    };
    let mut stack = vec![0u8; 64 * 1024];
    // SAFETY: the child runs on `stack`, which is not touched until it has executed or ended,
    // because CLONE_VFORK holds this thread until then. All signals are blocked here, so that
    // no handler of ours runs in the borrowed memory.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.len()).map_addr(|a| a & !15);
        let (mut all, mut old): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let ret = check(libc::clone(child, top.cast(), flags, (&raw mut plan).cast()));
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, std::ptr::null_mut());
        ret.map_err(|e| (e, false))?
    };
    if plan.error != 0 {
        let mut status = 0;
        // SAFETY: collects the child that has just failed to execute.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        return Err((io::Error::from_raw_os_error(plan.error), plan.folder_failed));
    }
    Ok(pid)
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
