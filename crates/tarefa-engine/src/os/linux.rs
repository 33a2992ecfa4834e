//! Linux: the system itself.

use std::io;

use super::system::{System, Woken};
use crate::atomic::{AtomicBool, AtomicU32, Ordering};

pub(super) struct Linux;

impl System for Linux {
    fn now_ns() -> u64 {
        clock(libc::CLOCK_MONOTONIC)
    }

    fn coarse_ns() -> u64 {
        clock(libc::CLOCK_MONOTONIC_COARSE)
    }

    fn wait(words: &[(&AtomicU32, u32)], until: Option<u64>) -> Woken {
        match *words {
            [] => Woken::Woken,
            [(word, expected)] => wait_one(word, expected, until),
            [first, second] => wait_several(words, &[first, second].map(waiter), until),
            _ => {
                let waiters: Vec<_> = words.iter().copied().map(waiter).collect();
                wait_several(words, &waiters, until)
            }
        }
    }

    fn wake(word: &AtomicU32, count: i32) -> i32 {
        // SAFETY: FUTEX_WAKE does not read the word; the address is valid.
        let woken =
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
        // It fails for an address that is none, and that is not so.
        i32::try_from(woken).unwrap_or(0).max(0)
    }

    fn yield_now() {
        // SAFETY: cannot fail.
        unsafe { libc::sched_yield() };
    }
}

/// Nanoseconds since boot, time asleep included: the clock of [`super::procfs::Stat::start_time`].
pub(super) fn boot_ns() -> u64 {
    clock(if cfg!(miri) { libc::CLOCK_MONOTONIC } else { libc::CLOCK_BOOTTIME })
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid, writable timespec for the length of the call.
    unsafe { libc::clock_gettime(id, &raw mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

fn timespec(ns: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as libc::c_long,
    }
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

fn wait_one(word: &AtomicU32, expected: u32, until: Option<u64>) -> Woken {
    let ts = until.map(timespec);
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

/// A `futex_waitv` of the kernel's.
#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

const FUTEX2_SIZE_U32: u32 = 0x02;

/// Set once the kernel has answered that it lacks `futex_waitv` (before Linux 5.16).
static NO_WAITV: AtomicBool = AtomicBool::new(false);

fn waiter((word, value): (&AtomicU32, u32)) -> Waiter {
    Waiter {
        value: u64::from(value),
        address: word.as_ptr() as u64,
        flags: FUTEX2_SIZE_U32,
        reserved: 0,
    }
}

/// Sleeps on two words or more.
fn wait_several(words: &[(&AtomicU32, u32)], waiters: &[Waiter], until: Option<u64>) -> Woken {
    let waitv = if NO_WAITV.load(Ordering::Relaxed) { None } else { waitv(waiters, until) };
    waitv.unwrap_or_else(|| wait_by_turns(words[0], words[words.len() - 1], until))
}

/// `None` when the kernel has no such call.
fn waitv(waiters: &[Waiter], until: Option<u64>) -> Option<Woken> {
    let ts = until.map(timespec);
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

/// How long a sleep on one word lasts, where it is to be on two.
const TURN_NS: u64 = 20_000_000;

fn wait_by_turns(first: (&AtomicU32, u32), last: (&AtomicU32, u32), until: Option<u64>) -> Woken {
    if last.0.load(Ordering::Acquire) != last.1 {
        return Woken::Woken;
    }
    let turn = clock(libc::CLOCK_MONOTONIC) + TURN_NS;
    match wait_one(first.0, first.1, Some(until.unwrap_or(u64::MAX).min(turn))) {
        Woken::TimedOut if until.is_none_or(|until| turn < until) => Woken::Woken,
        other => other,
    }
}
