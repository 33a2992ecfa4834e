//! Mapping a memory file into this process.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;

use super::large_pages::LARGE_PAGE;
use super::{miri, sysconf};

/// Maps `len` bytes of `fd`, shared and writable, kept out of core dumps.
///
/// The caller undoes it by [`unmap`], or never.
///
/// # Errors
/// `ENOMEM` when the address space (`RLIMIT_AS`) has no such room.
pub fn shared(fd: &OwnedFd, len: u64) -> io::Result<NonNull<u8>> {
    map(fd, len, libc::PROT_READ | libc::PROT_WRITE)
}

/// The same, for reading only.
///
/// # Errors
/// The same.
pub fn shared_to_read(fd: &OwnedFd, len: u64) -> io::Result<NonNull<u8>> {
    map(fd, len, libc::PROT_READ)
}

fn map(fd: &OwnedFd, len: u64, access: i32) -> io::Result<NonNull<u8>> {
    if cfg!(miri) {
        return miri::map(len);
    }
    // Where it begins at a large page, so do the large pages of the file in it.
    let at = reserve(len)?;
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: takes the place of a range that was reserved for it just above.
    let ptr = unsafe { libc::mmap(at.cast(), len as usize, access, flags, fd.as_raw_fd(), 0) };
    if ptr == libc::MAP_FAILED {
        // Whether the reservation is still there is up to the kernel, so nothing is unmapped.
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the range was mapped just above. Failure only means a larger core dump.
    unsafe { libc::madvise(ptr, len as usize, libc::MADV_DONTDUMP) };
    NonNull::new(ptr.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// Addresses for `len` bytes, with nothing behind them, that begin at a large page.
fn reserve(len: u64) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let (len, large) = (len as usize, LARGE_PAGE as usize);
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
    let ptr =
        unsafe { libc::mmap(std::ptr::null_mut(), len + large, libc::PROT_NONE, flags, -1, 0) };
    if ptr == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = ptr.cast::<u8>();
    let before = start.align_offset(large).min(large);
    // SAFETY: both inside of what was reserved just above, as is what lies between them; and nothing is
    // there.
    unsafe {
        if before > 0 {
            libc::munmap(ptr, before);
        }
        let at = start.add(before);
        let end = at.add(len);
        if large > before {
            libc::munmap(end.cast(), large - before);
        }
        Ok(at)
    }
}

/// Maps `len` bytes of memory of this process's own, for good.
///
/// # Errors
/// `ENOMEM` when the address space has no such room.
pub fn anonymous(len: usize) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
    let ptr = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
    if ptr == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(ptr.cast()) }
}

/// Undoes what [`shared`] did.
///
/// # Safety
/// `base` and `len` are those of a mapping of [`shared`], which nobody uses any more.
pub unsafe fn unmap(base: NonNull<u8>, len: u64) {
    if cfg!(miri) {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(base.as_ptr().cast(), len as usize) };
}

/// The size of a page of memory.
#[must_use]
pub fn page_size() -> u64 {
    sysconf(libc::_SC_PAGESIZE) as u64
}
