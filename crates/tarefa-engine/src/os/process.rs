//! Making processes, and what a process tells the kernel about itself.

use std::ffi::CString;
use std::io;

use super::pidfd::Exit;
use super::usage::Usage;
use super::{check, check_long};

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

/// Asks the kernel to kill this process when the thread that is its parent ends.
pub fn die_with_parent() {
    // SAFETY: a plain call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
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

/// Where the C library keeps the calling thread's id, which a raw `clone` must renew.
fn tid_address() -> Option<*mut i32> {
    const PR_GET_TID_ADDRESS: i32 = 40;
    let mut address: *mut i32 = std::ptr::null_mut();
    // SAFETY: `address` is writable for the length of the call.
    let ret = unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut address) };
    if ret == 0 && !address.is_null() {
        // SAFETY: glibc and musl register the address of the thread's own `tid` field.
        if unsafe { *address } == tid() {
            return Some(address);
        }
    }
    tid_address_by_search()
}

/// The same for kernels without checkpoint support: the field of the thread's descriptor
/// that holds the thread's id.
fn tid_address_by_search() -> Option<*mut i32> {
    // SAFETY: pthread_self points at the thread's descriptor, over 1 KiB long in glibc;
    // the words read are inside it.
    unsafe {
        let base = libc::pthread_self() as *mut i32;
        (0..256).map(|i| base.add(i)).find(|p| p.read_volatile() == tid())
    }
}

/// Forks a sibling: the new process is a child of this process's parent, which reaps it.
///
/// Returns 0 in the child and the child's id in the caller. The caller must be
/// single-threaded, for locks that other threads hold stay held in the child, and the
/// handlers of `pthread_atfork` do not run.
///
/// # Safety
/// No other thread may exist in this process.
///
/// # Errors
/// `EAGAIN` at a limit on processes, `ENOMEM` without memory.
pub unsafe fn fork_sibling() -> io::Result<i32> {
    let (mut head, mut head_len): (*mut libc::c_void, usize) = (std::ptr::null_mut(), 0);
    let address = tid_address().unwrap_or(std::ptr::null_mut());
    let mut flags = libc::CLONE_PARENT as libc::c_ulong;
    if !address.is_null() {
        flags |= (libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID) as libc::c_ulong;
    }
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: without CLONE_VM the child has a copy of this memory; the caller promises
    // that there is no other thread. The robust list is this thread's own.
    unsafe {
        libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut head_len);
        #[cfg(target_arch = "x86_64")]
        let ret = libc::syscall(libc::SYS_clone, flags, null, null, address, null);
        #[cfg(target_arch = "aarch64")]
        let ret = libc::syscall(libc::SYS_clone, flags, null, null, null, address);
        let pid = check_long(ret)?;
        if pid == 0 && !head.is_null() {
            libc::syscall(libc::SYS_set_robust_list, head, head_len);
        }
        Ok(pid as i32)
    }
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

/// Starts `argv[0]` (a path) as a child of the calling thread that dies with that thread.
///
/// # Errors
/// What `fork` or `execve` answered.
pub fn spawn(argv: &[CString], envp: &[CString]) -> io::Result<i32> {
    fn pointers(list: &[CString]) -> Vec<*const libc::c_char> {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    }
    struct Plan<'a> {
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
            libc::execve(plan.argv[0], plan.argv.as_ptr(), plan.envp.as_ptr());
            plan.error = *libc::__errno_location();
            libc::_exit(127)
        }
    }
    let (argv, envp) = (pointers(argv), pointers(envp));
    let mut plan = Plan { argv: &argv, envp: &envp, parent: pid(), error: 0 };
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
        ret?
    };
    if plan.error != 0 {
        let mut status = 0;
        // SAFETY: collects the child that has just failed to execute.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        return Err(io::Error::from_raw_os_error(plan.error));
    }
    Ok(pid)
}

/// Collects the child with that number if it has ended; `None` while it runs. For a child
/// that there was no descriptor for.
///
/// # Errors
/// `ECHILD` when it is no child of this process.
pub fn reap_by_number(pid: i32) -> io::Result<Option<(Exit, Usage)>> {
    let mut status = 0;
    // SAFETY: rusage is plain data, for which zeroes are a value.
    let mut ru: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both are writable for the length of the call.
    let got = check(unsafe {
        libc::wait4(pid, &raw mut status, libc::WNOHANG | libc::__WALL, &raw mut ru)
    })?;
    if got == 0 {
        return Ok(None);
    }
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    Ok(Some((exit, Usage::from_rusage(&ru))))
}
