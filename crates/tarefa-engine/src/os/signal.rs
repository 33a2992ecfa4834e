//! Signal handlers and masks.

use std::io;
use std::time::Duration;

use super::check;

/// The signal that makes a blocked system call of a task return, so that it looks around.
#[must_use]
pub fn interrupt_signal() -> i32 {
    libc::SIGRTMIN() + 4
}

/// The signal on which a task process writes its stack.
#[must_use]
pub fn stack_signal() -> i32 {
    libc::SIGRTMIN() + 5
}

/// The signal that tells the zygote and its children that their parent has ended.
#[must_use]
pub fn root_exit_signal() -> i32 {
    libc::SIGRTMIN() + 7
}

/// Gives `signal` its default action again.
pub fn default(signal: i32) {
    // SAFETY: SIG_DFL is always a valid action.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Does to this process what `signal` does by default, whatever handles it before and after. Where
/// that is to stop, it returns once the process goes on; at once where nobody could have it go on.
///
/// # Errors
/// What `sigaction` answered.
pub fn act_by_default(signal: i32) -> io::Result<()> {
    // SAFETY: sigaction is plain data, for which zeroes are a value: no flags, and SIG_DFL.
    let (mut before, none): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
    // SAFETY: `none` is complete, `before` writable.
    check(unsafe { libc::sigaction(signal, &raw const none, &raw mut before) })?;
    // To this thread, for then it has come when the call returns.
    // SAFETY: a plain call.
    unsafe { libc::raise(signal) };
    // SAFETY: what was there before, unchanged.
    check(unsafe { libc::sigaction(signal, &raw const before, std::ptr::null_mut()) }).map(drop)
}

/// Installs a C handler for `signal`.
///
/// # Safety
/// The handler must be async-signal-safe.
///
/// # Errors
/// What `sigaction` answered.
pub unsafe fn handle(signal: i32, handler: extern "C" fn(i32), restart: bool) -> io::Result<()> {
    // SAFETY: sigaction is plain data, for which zeroes are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_ONSTACK | if restart { libc::SA_RESTART } else { 0 };
    // SAFETY: `action` is complete; the caller answers for the handler.
    check(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }).map(drop)
}

/// A handler that is told about the signal and what it interrupted.
pub type HandlerWithContext = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs such a handler for `signal`; interrupted system calls go on where they can.
///
/// # Safety
/// The handler must be async-signal-safe.
///
/// # Errors
/// What `sigaction` answered.
pub unsafe fn handle_with_context(signal: i32, handler: HandlerWithContext) -> io::Result<()> {
    // SAFETY: sigaction is plain data, for which zeroes are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_SIGINFO;
    // SAFETY: `action` is complete; the caller answers for the handler.
    check(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }).map(drop)
}

/// Whether the signal came while the thread was in a system call: the next instruction is one, to
/// be done again, or the last one was.
///
/// # Safety
/// `context` is what the kernel gave the handler that runs, or null.
#[must_use]
pub unsafe fn in_system_call(context: *const libc::c_void) -> bool {
    if context.is_null() {
        return false;
    }
    // SAFETY: the caller's word.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let (next, call) = (registers.gregs[libc::REG_RIP as usize] as usize, [0x0f, 0x05]);
    #[cfg(target_arch = "aarch64")]
    let (next, call) = (registers.pc as usize, [0x01, 0x00, 0x00, 0xd4]);
    let code = std::ptr::with_exposed_provenance::<u8>(next);
    let page = crate::os::mmap::page_size() as usize - 1;
    let is_call = |at: *const u8| {
        (0..call.len()).all(|i| {
            // SAFETY: both callers below stay on the page of the instruction that runs next.
            unsafe { at.add(i).read() == call[i] }
        })
    };
    let whole = (next & page) + call.len() <= page + 1;
    (whole && is_call(code))
        || (next & page >= call.len() && is_call(code.wrapping_sub(call.len())))
}

/// The address of the C handler that is installed for `signal`; 0 when there is none.
///
/// # Errors
/// What `sigaction` answered.
pub fn handler(signal: i32) -> io::Result<usize> {
    // SAFETY: sigaction is plain data, for which zeroes are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a question: `action` is writable for the length of the call.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) })?;
    let none = [libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction);
    Ok(if none || action.sa_flags & libc::SA_SIGINFO != 0 { 0 } else { action.sa_sigaction })
}

/// The signal on which a member has the root report who waits for whom.
#[must_use]
pub fn report_signal() -> i32 {
    libc::SIGUSR2
}

/// Installs a C handler for `signal`, unless somebody else has one or ignores it; interrupted
/// system calls go on where they can.
///
/// # Safety
/// As for [`handle`].
///
/// # Errors
/// What `sigaction` answered.
pub unsafe fn handle_if_default(signal: i32, handler: extern "C" fn(i32)) -> io::Result<()> {
    if cfg!(miri) {
        return Ok(());
    }
    // SAFETY: sigaction is plain data, for which zeroes are a value.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a question: `now` is writable for the length of the call.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) })?;
    if now.sa_sigaction != libc::SIG_DFL {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    unsafe { handle(signal, handler, true) }
}

extern "C" fn nothing(_: i32) {}

/// Makes `signal` do nothing, and yet default again in programs that are executed.
pub fn ignore_until_exec(signal: i32, restart: bool) {
    // SAFETY: the handler does nothing at all.
    let _ = unsafe { handle(signal, nothing, restart) };
}

/// Blocks every signal in the calling thread, so that the program's own threads get them.
pub fn block_all() {
    // SAFETY: sigset_t is plain data; sigfillset fills it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Unblocks `signal` in the calling thread.
pub fn unblock(signal: i32) {
    // SAFETY: sigset_t is plain data; sigemptyset fills it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Unblocks every signal in the calling thread.
pub fn unblock_all() {
    // SAFETY: sigset_t is plain data; sigemptyset fills it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Sends `signal` to one thread.
///
/// # Errors
/// `ESRCH` when it has ended.
pub fn send_thread(pid: i32, tid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: a plain system call.
    super::check_long(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) }).map(drop)
}

/// Sends `signal` to one thread, with a number that its handler may read: see [`queued_value`].
///
/// # Errors
/// `ESRCH` when it has ended.
pub fn queue_thread(pid: i32, tid: i32, signal: i32, value: u32) -> io::Result<()> {
    /// `siginfo_t`, as the kernel has it for `SI_QUEUE`.
    #[repr(C, align(8))]
    struct Queued {
        signal: i32,
        errno: i32,
        code: i32,
        /// What follows is where a pointer may begin.
        gap: i32,
        sender: i32,
        user: u32,
        value: u64,
        rest: [u64; 12],
    }
    const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());
    let (sender, user) = (super::process::pid(), super::process::user());
    let code = libc::SI_QUEUE;
    let value = u64::from(value);
    let info = Queued { signal, errno: 0, code, gap: 0, sender, user, value, rest: [0; 12] };
    // SAFETY: `info` is complete, and outlives the call.
    let sent =
        unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, tid, signal, &raw const info) };
    super::check_long(sent).map(drop)
}

/// What [`queue_thread`] has sent along; `None` of any other signal. Async-signal-safe.
///
/// # Safety
/// `info` is what the kernel gave the handler that runs, or null.
#[must_use]
pub unsafe fn queued_value(info: *const libc::siginfo_t) -> Option<u32> {
    // SAFETY: the caller's word.
    let info = unsafe { info.as_ref() }?;
    // SAFETY: a signal of that code has a value.
    (info.si_code == libc::SI_QUEUE).then(|| unsafe { info.si_value() }.sival_ptr.addr() as u32)
}

/// The process that has sent the signal; `None` of one that the kernel sends of itself: a terminal's
/// Ctrl-C, say. Async-signal-safe.
///
/// # Safety
/// `info` is what the kernel gave the handler that runs, or null.
#[must_use]
pub unsafe fn sender(info: *const libc::siginfo_t) -> Option<i32> {
    // SAFETY: the caller's word.
    let info = unsafe { info.as_ref() }?;
    let by_process = [libc::SI_USER, libc::SI_TKILL, libc::SI_QUEUE].contains(&info.si_code);
    // SAFETY: a signal of these codes has a sender.
    by_process.then(|| unsafe { info.si_pid() })
}

/// Sends `signal` to this process in so many seconds. Async-signal-safe.
pub fn send_self_later(signal: i32, seconds: i64) {
    // SAFETY: both are plain data, for which zeroes are a value.
    let (mut event, mut when): (libc::sigevent, libc::itimerspec) = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal;
    when.it_value.tv_sec = seconds as libc::time_t;
    let mut timer: libc::c_int = 0;
    // SAFETY: the structures outlive the calls. The calls themselves, for those of the C library
    // may allocate.
    unsafe {
        let clock = libc::CLOCK_MONOTONIC;
        if libc::syscall(libc::SYS_timer_create, clock, &raw mut event, &raw mut timer) == 0 {
            let none = std::ptr::null_mut::<libc::itimerspec>();
            libc::syscall(libc::SYS_timer_settime, timer, 0, &raw const when, none);
        }
    }
}

/// Whether process `pid` has a thread `tid`.
#[must_use]
pub fn thread_lives(pid: i32, tid: i32) -> bool {
    // Signal 0 is only a question.
    !send_thread(pid, tid, 0).is_err_and(|e| e.raw_os_error() == Some(libc::ESRCH))
}

/// Sends `signal` to a process by number; only where the number cannot have been reused.
///
/// # Errors
/// `ESRCH` when it has ended.
pub fn send_process(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: a plain system call.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Has the system send this process `signal` again and again; false where it does not. It needs no
/// descriptor, and goes on whatever user the process is later. Async-signal-safe.
#[must_use]
pub fn send_every(signal: i32, every: Duration) -> bool {
    // SAFETY: sigevent and itimerspec are plain data, for which zeroes are a value; both are
    // complete for the calls. The kernel's timers, for the C library's allocate.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = signal;
        let mut timer: libc::c_int = 0;
        let clock = libc::CLOCK_MONOTONIC;
        if libc::syscall(libc::SYS_timer_create, clock, &raw mut event, &raw mut timer) != 0 {
            return false;
        }
        let mut at: libc::itimerspec = std::mem::zeroed();
        at.it_value.tv_sec = every.as_secs() as libc::time_t;
        at.it_value.tv_nsec = libc::c_long::from(every.subsec_nanos() as i32);
        at.it_interval = at.it_value;
        let none = std::ptr::null_mut::<libc::itimerspec>();
        libc::syscall(libc::SYS_timer_settime, timer, 0, &raw const at, none) == 0
    }
}

/// The name of a signal, as in `SIGKILL`.
#[must_use]
pub fn name(signal: i32) -> String {
    let known = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGXFSZ, "SIGXFSZ"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    known
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}
