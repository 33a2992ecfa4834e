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

/// Whether the thread's own instruction has caused it, and causes it again when it is executed again.
fn is_of_instruction(number: i32, code: i32) -> bool {
    // Those of memory that is found broken, or was written to by what has passed since.
    const BUS_MCEERR_AO: i32 = 5;
    const SEGV_MTEAERR: i32 = 8;
    match number {
        libc::SIGSEGV => code > 0 && code != SEGV_MTEAERR,
        libc::SIGBUS => code > 0 && code != BUS_MCEERR_AO,
        libc::SIGILL | libc::SIGFPE => code > 0,
        _ => false,
    }
}

extern "C" fn relay(number: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's, for the length of this call.
    let code = unsafe { (*info).si_code };
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
    if is_of_instruction(number, code) {
        // So what there was before hears of the same fault, with its address.
        return;
    }
    // Blocked while this handler runs: it comes when that returns.
    let _ = signal::send_thread(process::pid(), me, number);
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::{check, signal, watch};

    const BAD: usize = 0x10;

    extern "C" fn before(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel's; a fault has an address.
        let at = unsafe { (*info).si_addr() } as usize;
        crate::os::process::exit_now(if at == BAD { 7 } else { 8 });
    }

    fn look() {}

    #[test]
    #[cfg_attr(miri, ignore = "Miri has one process")]
    #[allow(clippy::disallowed_methods, reason = "a fault ends a process, so not this one")]
    fn what_there_was_before_hears_of_the_same_fault() {
        // SAFETY: the child calls what a signal's handler may call.
        let child = check(unsafe { libc::fork() }).unwrap();
        if child == 0 {
            // SAFETY: the handlers are async-signal-safe, and nothing is to be read there.
            unsafe {
                let _ = signal::handle_with_context(libc::SIGSEGV, before);
                let _ = watch(look);
                black_box(std::ptr::read_volatile(black_box(BAD) as *const u8));
            }
            crate::os::process::exit_now(9);
        }
        let mut status = 0;
        // SAFETY: a child of this process, and a place for its status.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 7));
    }
}
