//! Making processes: a plain fork, and a child that executes a program.

use std::ffi::CString;
use std::io;

use super::{check, process, rlimit};

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
    /// Descriptors that reach it although they are closed in other programs; those below 3 do not.
    pub keep: Vec<i32>,
    /// Whether SIGINT is blocked in it, until it says what it does about that.
    pub block_interrupts: bool,
}

/// Starts `argv[0]` (a path) as a child of the calling thread that dies with that thread, with
/// SIGINT blocked and the descriptors `keep`.
///
/// # Errors
/// What `fork` or `execve` answered.
pub fn spawn(argv: &[CString], envp: &[CString], keep: &[i32]) -> io::Result<i32> {
    let setup = Setup { keep: keep.to_vec(), block_interrupts: true, ..Setup::default() };
    spawn_any(&argv[..1], argv, envp, &setup).map_err(|(e, _)| e)
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
    let (paths, argv, envp) = (pointers(paths), pointers(argv), pointers(envp));
    let mut plan = Plan {
        paths: &paths,
        setup,
        folder_failed: false,
        argv: &argv,
        envp: &envp,
        parent: process::pid(),
        error: 0,
    };
    let pid = clone_for(&mut plan).map_err(|e| (e, false))?;
    if plan.error != 0 {
        let mut status = 0;
        // SAFETY: collects the child that has just failed to execute.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        return Err((io::Error::from_raw_os_error(plan.error), plan.folder_failed));
    }
    Ok(pid)
}

/// What the child of [`spawn_any`] does, and what became of it.
struct Plan<'a> {
    paths: &'a [*const libc::c_char],
    setup: &'a Setup,
    argv: &'a [*const libc::c_char],
    envp: &'a [*const libc::c_char],
    parent: i32,
    /// Why nothing was executed: an error number, and whether it was the folder's.
    error: i32,
    folder_failed: bool,
}

/// Makes the child, and returns when it has executed a program or ended.
fn clone_for(plan: &mut Plan<'_>) -> io::Result<i32> {
    let mut stack = vec![0u8; 64 * 1024];
    // SAFETY: the child runs on `stack`, which is not touched until it has executed or ended,
    // because CLONE_VFORK holds this thread until then. All signals are blocked here, so that
    // no handler of ours runs in the borrowed memory.
    unsafe {
        let top = stack.as_mut_ptr().add(stack.len()).map_addr(|a| a & !15);
        let (mut all, mut old): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let plan = std::ptr::from_mut(plan);
        let ret = check(libc::clone(child, top.cast(), flags, plan.cast()));
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, std::ptr::null_mut());
        ret
    }
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
        if plan.setup.block_interrupts {
            libc::sigaddset(&raw mut set, libc::SIGINT);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        if let Err(error) = set_up(plan.setup) {
            plan.error = error;
            plan.folder_failed = plan.setup.folder.is_some();
        } else {
            plan.error = execute(plan);
        }
        libc::_exit(127)
    }
}

/// Executes the first of the plan's paths that can be; the error number if none can, of the first
/// that is there.
///
/// # Safety
/// As for [`set_up`].
unsafe fn execute(plan: &Plan<'_>) -> i32 {
    let mut why = 0;
    for path in plan.paths.iter().take_while(|p| !p.is_null()) {
        // SAFETY: the parent's lists end with a null, as `execve` wants them.
        let error = unsafe {
            libc::execve(*path, plan.argv.as_ptr(), plan.envp.as_ptr());
            *libc::__errno_location()
        };
        let absent = matches!(error, libc::ENOENT | libc::ENOTDIR);
        if why == 0 || !absent {
            why = error;
        }
        if !absent && error != libc::EACCES {
            break;
        }
    }
    why
}

/// Streams, signals, folder. Async-signal-safe.
///
/// # Safety
/// Only in a child that shares no descriptors with its parent.
unsafe fn set_up(setup: &Setup) -> Result<(), i32> {
    // SAFETY: plain calls on numbers; the caller's promise.
    unsafe {
        // No file of the program's is to get the number of a standard stream.
        for fd in 0..3 {
            if setup.streams.is_none() && libc::fcntl(fd, libc::F_GETFD) < 0 {
                // The lowest free number, which this one is.
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
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
            rlimit::limit_program();
            // What an interpreter ignores, programs expect as the system has it.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
        }
        for fd in setup.keep.iter().filter(|fd| **fd > 2) {
            answer(libc::fcntl(*fd, libc::F_SETFD, 0))?;
        }
        if let Some(folder) = &setup.folder {
            answer(libc::chdir(folder.as_ptr()))?;
        }
        Ok(())
    }
}
