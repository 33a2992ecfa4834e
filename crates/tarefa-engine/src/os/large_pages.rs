//! Large pages for shared memory: one entry of a page table for 2 MiB.
//!
//! The first store to each small page of a shared file is a fault of some microseconds, which for a
//! large array is most of what a copy into it costs. `MADV_COLLAPSE` (Linux 6.1) has the system make
//! one large page of what is backed, whatever its default for shared memory is, unless that says
//! *deny*. Where it is *always* or *within_size*, what is claimed comes in large pages anyway.

use std::io;
use std::ptr::NonNull;

use super::clock;
use crate::atomic::{AtomicU64, Ordering};

/// A large page.
pub const LARGE_PAGE: u64 = 2 << 20;

pub(super) const MADV_COLLAPSE: libc::c_int = 25;
/// Processor time for one page, in nanoseconds, behind which the system was looking for room: it takes a
/// third of a millisecond where there is some.
const SLOW: u64 = 3_000_000;
/// The same by the clock, which waits for other processors count in.
const LONG: u64 = 20_000_000;
/// For how long it is not asked again then.
const PAUSE: u64 = 1_000_000_000;
const NEVER: u64 = u64::MAX;

/// Until when the system is not asked, by the monotonic clock.
static NOT_BEFORE: AtomicU64 = AtomicU64::new(0);

/// Whether to ask for one.
#[must_use]
pub fn are_to_be_had() -> bool {
    if cfg!(any(miri, loom)) {
        return false;
    }
    let not_before = NOT_BEFORE.load(Ordering::Relaxed);
    not_before == 0 || (not_before != NEVER && clock::coarse_ns() >= not_before)
}

/// Has the large page at `start`, of whose memory some is backed, be one. Where it cannot be, all stays as
/// it was.
///
/// # Safety
/// All of it is mapped, shared, from a memory file.
pub unsafe fn make(start: NonNull<u8>) {
    let (before, began) = (processor_time(), clock::now_ns());
    // SAFETY: the caller's word; the content stays what it is.
    let ret = unsafe { libc::madvise(start.as_ptr().cast(), LARGE_PAGE as usize, MADV_COLLAPSE) };
    if ret != 0 {
        let refused = io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL);
        // EINVAL: the system has no such advice, or was told to deny it. Else it has no room now.
        let until = if refused { NEVER } else { clock::coarse_ns() + PAUSE };
        NOT_BEFORE.store(until, Ordering::Relaxed);
    } else if processor_time().saturating_sub(before) > SLOW
        || clock::now_ns().saturating_sub(began) > LONG
    {
        NOT_BEFORE.store(clock::coarse_ns() + PAUSE, Ordering::Relaxed);
    }
}

/// Nanoseconds that the calling thread has had of a processor.
fn processor_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
