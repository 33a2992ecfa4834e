//! What stands in for the system under Miri, which has one process, and no memory files, signals or
//! limits. Nothing of it runs elsewhere.

use std::alloc::{Layout, alloc_zeroed};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use super::linux::Linux;
use super::system::{System, Woken};
use crate::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The one arena of the process.
static BASE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

#[cfg_attr(not(miri), allow(dead_code))]
pub(super) struct Miri;

/// A sleep is a yield: it reads no word, for Miri's kernel would read it as a program does, which
/// may not read half of a larger one.
impl System for Miri {
    fn now_ns() -> u64 {
        Linux::now_ns()
    }

    fn coarse_ns() -> u64 {
        Linux::coarse_ns()
    }

    fn wait(_: &[(&AtomicU32, u32)], until: Option<u64>) -> Woken {
        Self::yield_now();
        if until.is_some_and(|until| Self::now_ns() >= until) {
            Woken::TimedOut
        } else {
            Woken::Woken
        }
    }

    fn wake(_: &AtomicU32, _: i32) -> i32 {
        0
    }

    fn yield_now() {
        std::thread::yield_now();
    }
}

/// A descriptor to stand for the arena's file.
pub(super) fn memory_file() -> io::Result<OwnedFd> {
    File::open("/dev/null").map(OwnedFd::from)
}

/// Zeroed memory.
pub(super) fn map(len: u64) -> io::Result<NonNull<u8>> {
    let layout = Layout::from_size_align(len as usize, 4096).map_err(io::Error::other)?;
    // SAFETY: the layout has a size.
    let base = unsafe { alloc_zeroed(layout) };
    BASE.store(base, Ordering::Release);
    NonNull::new(base).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// Zeroes again what was punched out of the file.
pub(super) fn punch(offset: u64, len: u64) {
    // SAFETY: the caller alone owns these bytes of the one arena.
    unsafe { BASE.load(Ordering::Acquire).add(offset as usize).write_bytes(0, len as usize) };
}

/// The sizes of a small machine.
pub(super) fn sysconf(name: libc::c_int) -> libc::c_long {
    match name {
        libc::_SC_PAGESIZE => 4096,
        libc::_SC_PHYS_PAGES => 1 << 18,
        libc::_SC_CLK_TCK => 100,
        libc::_SC_NPROCESSORS_ONLN => 2,
        _ => -1,
    }
}
