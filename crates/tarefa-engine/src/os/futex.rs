//! Sleeping on a 32-bit word that several processes share.

use std::io;

use super::clock::Deadline;
use crate::atomic::{AtomicBool, AtomicU32, Ordering};

/// How a sleep on a futex ended. A wake-up may be spurious: look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)]
pub enum Woken {
    /// Somebody woke the word, or its value was already another one.
    Woken,
    /// A signal handler ran in this thread.
    Signal,
    /// The deadline passed.
    TimedOut,
}

fn outcome(ret: libc::c_long) -> Woken {
    if ret >= 0 {
        return Woken::Woken;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EINTR) => Woken::Signal,
        Some(libc::ETIMEDOUT) => Woken::TimedOut,
        _ => Woken::Woken,
    }
}

/// Sleeps while `word` holds `expected`.
pub fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> Woken {
    if cfg!(miri) {
        // Miri's kernel reads the word as a program does, which may not read half of a larger one.
        std::thread::yield_now();
        return if deadline.passed() { Woken::TimedOut } else { Woken::Woken };
    }
    let ts = deadline.timespec();
    let ts_ptr = ts.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `word` and `ts` outlive the call. FUTEX_WAIT_BITSET takes an absolute time.
    outcome(unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            expected,
            ts_ptr,
            std::ptr::null::<u32>(),
            u32::MAX,
        )
    })
}

#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

const FUTEX2_SIZE_U32: u32 = 0x02;

/// Set once the kernel has answered that it lacks `futex_waitv` (before Linux 5.16).
static NO_WAITV: AtomicBool = AtomicBool::new(cfg!(miri));

/// Sleeps while `first` and `second` both hold their expected values.
///
/// On a kernel without `futex_waitv` it sleeps on `first` alone, at most 20 ms,
/// so that a change of `second` is still seen.
pub fn wait_two(first: (&AtomicU32, u32), second: (&AtomicU32, u32), deadline: Deadline) -> Woken {
    if NO_WAITV.load(Ordering::Relaxed) {
        return wait_two_by_turns(first, second, deadline);
    }
    match waitv(&[first, second].map(waiter), deadline) {
        Some(woken) => woken,
        None => wait_two_by_turns(first, second, deadline),
    }
}

/// Words that [`wait_many`] can sleep on at once.
pub const MANY: usize = 128;

/// Sleeps while all words hold their expected values: at most [`MANY`] of them.
///
/// On a kernel without `futex_waitv` it sleeps for 20 ms at most, on the first word.
pub fn wait_many(words: &[(&AtomicU32, u32)], deadline: Deadline) -> Woken {
    let waiters: Vec<Waiter> = words.iter().copied().map(waiter).collect();
    let without = || match words {
        [first, rest @ ..] => {
            wait_two_by_turns(*first, rest.last().copied().unwrap_or(*first), deadline)
        }
        [] => Woken::Woken,
    };
    if NO_WAITV.load(Ordering::Relaxed) {
        return without();
    }
    waitv(&waiters, deadline).unwrap_or_else(without)
}

fn waiter((word, value): (&AtomicU32, u32)) -> Waiter {
    Waiter {
        value: u64::from(value),
        address: word.as_ptr() as u64,
        flags: FUTEX2_SIZE_U32,
        reserved: 0,
    }
}

/// `None` when the kernel has no such call.
fn waitv(waiters: &[Waiter], deadline: Deadline) -> Option<Woken> {
    let ts = deadline.timespec();
    let ts_ptr = ts.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the waiters, their words and `ts` outlive the call.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            waiters.as_ptr(),
            waiters.len(),
            0,
            ts_ptr,
            libc::CLOCK_MONOTONIC,
        )
    };
    if ret < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        NO_WAITV.store(true, Ordering::Relaxed);
        return None;
    }
    Some(outcome(ret))
}

fn wait_two_by_turns(
    first: (&AtomicU32, u32),
    second: (&AtomicU32, u32),
    deadline: Deadline,
) -> Woken {
    if second.0.load(Ordering::Acquire) != second.1 {
        return Woken::Woken;
    }
    let slice = Deadline::after(Some(std::time::Duration::from_millis(20)));
    let shorter = match (deadline.left(), slice.left()) {
        (Some(a), Some(b)) if a < b => deadline,
        _ => slice,
    };
    match wait(first.0, first.1, shorter) {
        Woken::TimedOut if !deadline.passed() => Woken::Woken,
        other => other,
    }
}

/// Wakes up to `count` sleepers of `word`.
pub fn wake(word: &AtomicU32, count: i32) {
    // SAFETY: FUTEX_WAKE does not read the word; the address is valid.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}

/// Wakes every sleeper of `word`.
pub fn wake_all(word: &AtomicU32) {
    wake(word, i32::MAX);
}
