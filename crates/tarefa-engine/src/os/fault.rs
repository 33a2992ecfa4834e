//! Signals that end a process for what it did itself: a last look before they do.

use std::io;
use std::mem;
use std::ptr::null_mut;

use super::{check, mmap, process, signal};
use crate::atomic::{AtomicI32, AtomicUsize, Ordering};

/// Those that mean that code is broken, gives up, or goes too far.
const FAULTS: [i32; 8] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGXCPU,
];
/// Signals have numbers below this.
const SIGNALS: usize = 65;
/// Room for the handler where the thread's own stack has overflowed.
const STACK: usize = 64 * 1024;

/// What there was before, by signal: what is to happen after the look.
static BEFORE: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];
static FLAGS: [AtomicI32; SIGNALS] = [const { AtomicI32::new(0) }; SIGNALS];
static LOOK: AtomicUsize = AtomicUsize::new(0);
/// The thread that looks.
static LOOKS: AtomicI32 = AtomicI32::new(0);

/// From now on `look` is called in this process and in its forks before such a signal ends it, in
/// the thread that it comes to. What the signal did before, it does after that. The calling thread,
/// and what it becomes in a fork, has a stack of its own for it.
///
/// # Safety
/// `look` must be async-signal-safe, and rely on nothing that the signal may have left half done.
///
/// # Errors
/// What the system answered.
pub unsafe fn watch(look: fn()) -> io::Result<()> {
    // not shared: what this process alone calls.
    LOOK.store(look as usize, Ordering::Release);
    give_stack()?;
    for number in FAULTS {
        // SAFETY: sigaction is plain data, for which zeroes are a value.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: a question: `action` is writable for the length of the call.
        check(unsafe { libc::sigaction(number, std::ptr::null(), &raw mut action) })?;
        if action.sa_sigaction == libc::SIG_IGN
            || action.sa_sigaction == relay as *const () as usize
        {
            continue;
        }
        FLAGS[number as usize].store(action.sa_flags, Ordering::Relaxed);
        BEFORE[number as usize].store(action.sa_sigaction, Ordering::Release);
        // SAFETY: the handler is async-signal-safe, for `look` is.
        unsafe { signal::handle_with_context(number, relay)? };
    }
    Ok(())
}

/// A stack for signals, unless the calling thread has one.
fn give_stack() -> io::Result<()> {
    // SAFETY: stack_t is plain data, for which zeroes are a value; a question.
    let present = unsafe {
        let mut stack: libc::stack_t = mem::zeroed();
        check(libc::sigaltstack(std::ptr::null(), &raw mut stack))?;
        stack
    };
    if present.ss_flags & libc::SS_DISABLE == 0 {
        return Ok(());
    }
    let stack =
        libc::stack_t { ss_sp: mmap::anonymous(STACK)?.cast(), ss_flags: 0, ss_size: STACK };
    // SAFETY: the memory is mapped for good, and nobody else's.
    check(unsafe { libc::sigaltstack(&raw const stack, null_mut()) }).map(drop)
}

extern "C" fn relay(number: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let me = process::tid();
    match LOOKS.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            let look = LOOK.load(Ordering::Acquire);
            if look != 0 {
                // SAFETY: `watch` has stored such a function.
                let look: fn() = unsafe { mem::transmute(look) };
                look();
            }
        }
        // Broken while it looked.
        Err(other) if other == me => {}
        Err(_) => {
            // Another thread looks, and the process ends when it has; for whatever it may meet,
            // not later than that.
            let second = libc::timespec { tv_sec: 1, tv_nsec: 0 };
            // SAFETY: a plain call with a value that outlives it.
            unsafe { libc::nanosleep(&raw const second, null_mut()) };
        }
    }
    // SAFETY: sigaction is plain data, for which zeroes are a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = BEFORE[number as usize].load(Ordering::Acquire);
    action.sa_flags = FLAGS[number as usize].load(Ordering::Relaxed);
    // SAFETY: it is what there was before.
    unsafe { libc::sigaction(number, &raw const action, null_mut()) };
    // Blocked while this handler runs: it comes when that returns.
    let _ = signal::send_thread(process::pid(), me, number);
}
