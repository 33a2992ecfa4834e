//! Making a thread that runs Python, or sleeps in a call of the system, stop.

use std::time::Duration;

use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::procfs;
use tarefa_engine::os::procfs::Stands;
use tarefa_engine::os::{process, signal};
use tarefa_engine::sync::wait::{Awaited, wait};

use crate::runtime::blocking::{PyBlockingHooks, deadline};
use crate::runtime::member;

/// The sleep that a thread is to be woken from: its id, and the stack and instruction pointers
/// with which the kernel says it sleeps.
static SLEEPER: AtomicI32 = AtomicI32::new(0);
static STACK: AtomicU64 = AtomicU64::new(0);
static INSTRUCTION: AtomicU64 = AtomicU64::new(0);

/// System calls that only wait, and for which "nothing came" is a proper answer.
#[cfg(target_arch = "x86_64")]
const WAITS: [i64; 8] = [
    230, // clock_nanosleep
    35,  // nanosleep
    7,   // poll
    271, // ppoll
    23,  // select
    270, // pselect6
    232, // epoll_wait
    281, // epoll_pwait
];
#[cfg(target_arch = "aarch64")]
const WAITS: [i64; 5] = [115, 101, 73, 72, 22];

/// The interpreter goes back to sleep when a signal wakes a thread that is not the main one,
/// so an exception set for it would wait for the end of the sleep. This handler makes the very
/// call that was seen sleeping answer "done" instead of "interrupted": the instruction and
/// stack pointers say that it is that call and no other.
extern "C" fn end_sleep(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if SLEEPER.load(Ordering::Acquire) != process::tid() || context.is_null() {
        return;
    }
    let interrupted = -i64::from(libc::EINTR);
    // SAFETY: the kernel hands a handler of SA_SIGINFO this thread's own ucontext.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        #[cfg(target_arch = "x86_64")]
        {
            let r = &mut registers.gregs;
            if r[libc::REG_RAX as usize] == interrupted
                && r[libc::REG_RIP as usize] as u64 == INSTRUCTION.load(Ordering::Acquire)
                && r[libc::REG_RSP as usize] as u64 == STACK.load(Ordering::Acquire)
            {
                r[libc::REG_RAX as usize] = 0;
            }
        }
        #[cfg(target_arch = "aarch64")]
        if registers.regs[0] as i64 == interrupted
            && registers.pc == INSTRUCTION.load(Ordering::Acquire)
            && registers.sp == STACK.load(Ordering::Acquire)
        {
            registers.regs[0] = 0;
        }
    }
    SLEEPER.store(0, Ordering::Release);
}

/// Installs the handler that [`wake_sleeper`] needs, for threads of this process.
#[pyfunction]
pub(crate) fn prepare_thread_interrupts() {
    // SAFETY: sigaction is plain data; the handler is async-signal-safe: atomics and gettid.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = end_sleep as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(sleeper_signal(), &raw const action, std::ptr::null_mut());
    }
}

fn sleeper_signal() -> i32 {
    signal::interrupt_signal() + 2
}

/// How long a thread that runs may take to come to its sleep.
const ABOUT_TO_SLEEP: Duration = Duration::from_millis(10);

/// If the thread sleeps in a system call that only waits, or is about to, ends that call; true if
/// it did sleep.
///
/// The caller keeps the interpreter's lock: so the call is the one in which the thread was when
/// its exception was set, and none that follows after the exception was raised. Without such a
/// lock, in free-threaded builds, a sleep that begins in that very moment may be cut short.
#[pyfunction]
pub(crate) fn wake_sleeper(tid: i32) -> bool {
    let pid = process::pid();
    let until = Deadline::after(Some(ABOUT_TO_SLEEP));
    let (number, stack, instruction) = loop {
        match procfs::stands(pid, tid) {
            Stands::Sleeps(number, stack, instruction) => break (number, stack, instruction),
            Stands::Runs if !until.passed() => std::thread::sleep(Duration::from_micros(50)),
            Stands::Runs | Stands::Unknown => return false,
        }
    };
    if !WAITS.contains(&number) {
        return false;
    }
    STACK.store(stack, Ordering::Release);
    INSTRUCTION.store(instruction, Ordering::Release);
    SLEEPER.store(tid, Ordering::Release);
    signal::send_thread(pid, tid, sleeper_signal()).is_ok()
}

struct Never(&'static AtomicU32);

impl Awaited for Never {
    fn word(&self) -> &'static AtomicU32 {
        self.0
    }

    fn is_pause(&self) -> bool {
        true
    }

    fn ready(&mut self) -> bool {
        false
    }

    fn announce(&mut self) -> Option<u32> {
        Some(self.0.load(Ordering::Acquire))
    }
}

/// Sleeps for `seconds`; an interrupt ends it at once.
#[pyfunction]
pub(crate) fn sleep(py: Python<'_>, seconds: f64) -> PyResult<()> {
    if seconds < 0.0 {
        return Err(pyo3::exceptions::PyValueError::new_err("sleep length must be non-negative"));
    }
    let until = deadline(Some(seconds))?;
    let me = member::me(py)?;
    let mut hooks = PyBlockingHooks::new(py);
    // A word that nobody else changes: only the clock and interrupts end the sleep.
    let mut never = Never(&me.slot().recursive_held);
    let outcome = wait(&me, &mut hooks, &mut never, until);
    hooks.verdict(outcome).map(drop)
}
