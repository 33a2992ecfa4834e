//! What stands in for the system under Miri, which has one process, and no memory files, signals or
//! limits. Nothing of it runs elsewhere.

use std::alloc::{Layout, alloc_zeroed};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use crate::atomic::{AtomicPtr, Ordering};

/// The one arena of the process.
static BASE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

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
