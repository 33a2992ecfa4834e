//! Signals that are not slept over.
//!
//! An interpreter's signal handler leaves a note and returns; the main thread reads it between two
//! instructions, and when a system call was interrupted. A signal that comes after the last look
//! and before the call sleeps ends no sleep, and neither does one that the kernel hands to another
//! thread: the note is read when something else ends the sleep, which may be never. So after the
//! handler of a signal that is minded here a timer of the process nudges the main thread: a few
//! times and ever later, for nobody says when the note was read.

use std::mem;
use std::ptr::null_mut;

use super::{process, signal};
use crate::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Signals have numbers below this.
const SIGNALS: usize = 65;
/// When the nudges come, each after the one before, in nanoseconds: 1.4 s in all.
const PAUSES: [i64; 7] =
    [200_000, 1_000_000, 4_000_000, 16_000_000, 64_000_000, 256_000_000, 1_024_000_000];
/// From the kernel's `asm-generic/siginfo.h`.
const SIGEV_THREAD_ID: i32 = 4;

/// The handlers that were there before, by signal.
static BEFORE: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];
static FLAGS: [AtomicI32; SIGNALS] = [const { AtomicI32::new(0) }; SIGNALS];
/// The timer's number, and the process that it is of in the upper half: a fork leaves it behind.
static TIMER: AtomicU64 = AtomicU64::new(0);
/// How many nudges have been given since the last signal.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A handler that calls [`rewake`] itself, and is not to be wrapped.
static OWN: AtomicUsize = AtomicUsize::new(0);

/// From now on these signals are not slept over by the main thread. Those without a handler, and
/// those that are minded, are left as they are. Called again whenever the program may have set the
/// interpreter's handler anew; costs a system call for each. Whether there was one to be minded
/// anew: what came of it just before may be slept over still.
pub fn mind(signals: &[i32]) -> bool {
    let mut anew = false;
    for &number in signals {
        // SAFETY: sigaction is plain data, for which zeroes are a value.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: a question: `action` is writable for the length of the call.
        if unsafe { libc::sigaction(number, std::ptr::null(), &raw mut action) } != 0 {
            continue;
        }
        let now = action.sa_sigaction;
        let own = OWN.load(Ordering::Acquire);
        if [libc::SIG_DFL, libc::SIG_IGN, relay as *const () as usize, own].contains(&now) {
            continue;
        }
        let Some(before) = BEFORE.get(number as usize) else { continue };
        // Only the interpreter's own comes again: another handler may call the one before it,
        // which is this one.
        if ![0, now].contains(&before.load(Ordering::Acquire)) {
            continue;
        }
        // not shared: what this process alone is to call.
        FLAGS[number as usize].store(action.sa_flags, Ordering::Relaxed);
        before.store(now, Ordering::Release);
        action.sa_sigaction = relay as *const () as usize;
        action.sa_flags |= libc::SA_SIGINFO;
        // SAFETY: the handler is async-signal-safe where the one before is; it adds atomics and
        // calls for a timer. Mask and flags are those of the one before.
        unsafe {
            let _ = signal::handle(nudge_signal(), nudged, false);
            libc::sigaction(number, &raw const action, null_mut());
        }
        anew = true;
    }
    anew
}

/// Makes way for a handler that calls [`rewake`]: it is left as it is.
pub fn prepare(own: extern "C" fn(i32)) {
    OWN.store(own as *const () as usize, Ordering::Release);
    // SAFETY: the handler is async-signal-safe: atomics and calls for a timer.
    let _ = unsafe { signal::handle(nudge_signal(), nudged, false) };
}

/// Has the main thread nudged from now on, in case it is about to sleep over a signal that has
/// come. Async-signal-safe; after [`mind`] or [`prepare`].
pub fn rewake() {
    let error = process::errno();
    // not shared: a count of this process alone.
    GIVEN.store(0, Ordering::Relaxed);
    set_timer(PAUSES[0]);
    process::set_errno(error);
}

/// The timer's signal.
fn nudge_signal() -> i32 {
    libc::SIGRTMIN() + 8
}

extern "C" fn relay(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE[number as usize].load(Ordering::Acquire);
    if FLAGS[number as usize].load(Ordering::Relaxed) & libc::SA_SIGINFO != 0 {
        // SAFETY: it was installed with that flag, as such a handler.
        let handler: signal::HandlerWithContext = unsafe { mem::transmute(before) };
        handler(number, info, context);
    } else {
        // SAFETY: it was installed without that flag, as such a handler.
        let handler: extern "C" fn(i32) = unsafe { mem::transmute(before) };
        handler(number);
    }
    rewake();
}

extern "C" fn nudged(_: i32) {
    let error = process::errno();
    // not shared: as above.
    let given = GIVEN.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(pause) = PAUSES.get(given as usize) {
        set_timer(*pause);
    }
    process::set_errno(error);
}

/// Has the main thread nudged after so many nanoseconds. Async-signal-safe.
fn set_timer(pause: i64) {
    let pid = process::pid();
    let known = TIMER.load(Ordering::Acquire);
    if (known >> 32) as i32 == pid && start(known as i32, pause) {
        return;
    }
    let Some(made) = create(pid) else { return };
    let word = (pid as u64) << 32 | u64::from(made as u32);
    // not shared: a number of this process alone.
    if TIMER.compare_exchange(known, word, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        start(made, pause);
    } else {
        // Another thread made one, and set it.
        // SAFETY: the timer was made above, and nobody else knows it.
        unsafe { libc::syscall(libc::SYS_timer_delete, made) };
    }
}

/// A timer whose signal the main thread gets.
fn create(pid: i32) -> Option<i32> {
    // SAFETY: sigevent is plain data, for which zeroes are a value.
    let mut event: libc::sigevent = unsafe { mem::zeroed() };
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = nudge_signal();
    // The main thread has the number of its process.
    event.sigev_notify_thread_id = pid;
    let mut id: i32 = 0;
    let clock = libc::CLOCK_MONOTONIC;
    // SAFETY: both places are alive for the length of the call. The system call itself, for the C
    // library's function may allocate.
    let made =
        unsafe { libc::syscall(libc::SYS_timer_create, clock, &raw mut event, &raw mut id) == 0 };
    made.then_some(id)
}

fn start(id: i32, pause: i64) -> bool {
    let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let value = libc::timespec { tv_sec: pause / 1_000_000_000, tv_nsec: pause % 1_000_000_000 };
    let spec = libc::itimerspec { it_interval: none, it_value: value };
    let nowhere: *mut libc::itimerspec = null_mut();
    // SAFETY: `spec` is complete; the kernel answers for a number that is no timer.
    unsafe { libc::syscall(libc::SYS_timer_settime, id, 0, &raw const spec, nowhere) == 0 }
}
