//! Anonymous shared memory as a file descriptor.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

use super::{check, check_long, high_fd, miri, rlimit};

/// The largest that this process may make a file, which a memory file is (`RLIMIT_FSIZE`); `None`
/// without a limit. Who goes beyond gets a signal that ends it, so nobody may try.
#[must_use]
pub fn most() -> Option<u64> {
    rlimit::file_size()
}

/// Makes a sparse memory file of `len` bytes, sealed against shrinking and growing.
///
/// # Errors
/// What `memfd_create`, `ftruncate` or `fcntl` answered; `EFBIG` beyond [`most`].
pub fn create(name: &CStr, len: u64) -> io::Result<OwnedFd> {
    if cfg!(miri) {
        return miri::memory_file();
    }
    if most().is_some_and(|most| len > most) {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    let fd = high_fd::moved_up(make(name, libc::MFD_ALLOW_SEALING)?)?;
    // SAFETY: plain calls on a descriptor we own.
    unsafe {
        check(libc::ftruncate(fd.as_raw_fd(), len as libc::off_t))?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        check(libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals))?;
    }
    Ok(fd)
}

/// Makes an empty memory file that grows with what is written to it.
///
/// # Errors
/// What `memfd_create` answered.
pub fn create_empty(name: &CStr) -> io::Result<OwnedFd> {
    make(name, 0)
}

fn make(name: &CStr, flags: libc::c_uint) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | flags;
    // SAFETY: `name` is a C string that outlives the call.
    let fd = check_long(unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags) })?;
    // SAFETY: the kernel has just given this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Backs `len` bytes at `offset` with real memory, so that no later access can fail.
///
/// # Errors
/// `ENOSPC` or `ENOMEM` when there is none, `EFBIG` beyond [`most`]; some of it may be backed then.
pub fn claim(fd: &OwnedFd, offset: u64, len: u64) -> io::Result<()> {
    if cfg!(miri) {
        return Ok(());
    }
    if most().is_some_and(|most| offset + len > most) {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    let (mut done, mut step) = (0, len);
    while done < len {
        // SAFETY: a plain call on a descriptor we own.
        let ret = unsafe {
            libc::fallocate(
                fd.as_raw_fd(),
                libc::FALLOC_FL_KEEP_SIZE,
                (offset + done) as libc::off_t,
                step.min(len - done) as libc::off_t,
            )
        };
        match check(ret) {
            // The kernel has taken back what it gave before the signal came: where signals come
            // fast, only small steps come to an end.
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => step = (step / 2).max(SMALL_STEP),
            Err(e) => return Err(e),
            Ok(_) => done += step.min(len - done),
        }
    }
    Ok(())
}

/// What is claimed in a few microseconds.
const SMALL_STEP: u64 = 64 << 10;

/// Gives the memory behind `len` bytes at `offset` back to the system.
///
/// # Errors
/// What `fallocate` answered.
pub fn punch(fd: &OwnedFd, offset: u64, len: u64) -> io::Result<()> {
    if cfg!(miri) {
        miri::punch(offset, len);
        return Ok(());
    }
    // SAFETY: a plain call on a descriptor we own.
    check(unsafe {
        libc::fallocate(
            fd.as_raw_fd(),
            libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE,
            offset as libc::off_t,
            len as libc::off_t,
        )
    })
    .map(drop)
}

/// Tells files apart: the number of the one behind `fd`; 0 where that is no open descriptor.
#[must_use]
pub fn file_number(fd: &OwnedFd) -> u64 {
    if cfg!(miri) {
        return 0;
    }
    stat(fd).map_or(0, |stat| stat.st_ino)
}

/// As [`claim`] by the file's mapping, for who has lost its descriptor: the `len` bytes from `start` on.
///
/// # Errors
/// `EBADF` where the system cannot (Linux before 5.14); else what `madvise` answered.
///
/// # Safety
/// All of it is mapped, shared, from a memory file.
pub unsafe fn claim_mapped(start: NonNull<u8>, len: u64) -> io::Result<()> {
    const MADV_POPULATE_WRITE: i32 = 23;
    // SAFETY: the caller's word; the content stays what it is.
    let done =
        check(unsafe { libc::madvise(start.as_ptr().cast(), len as usize, MADV_POPULATE_WRITE) });
    match done {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
            Err(io::Error::from_raw_os_error(libc::EBADF))
        }
        other => other.map(drop),
    }
}

/// As [`punch`] by the file's mapping.
///
/// # Errors
/// What `madvise` answered.
///
/// # Safety
/// As of [`claim_mapped`], and nobody uses what is there.
pub unsafe fn punch_mapped(start: NonNull<u8>, len: u64) -> io::Result<()> {
    // SAFETY: the caller's word.
    check(unsafe { libc::madvise(start.as_ptr().cast(), len as usize, libc::MADV_REMOVE) })
        .map(drop)
}

/// Takes over a descriptor that this process was executed with, if it is open: it is closed in
/// programs that this one executes. 0 to 2 are the program's own.
#[must_use]
pub fn take_inherited(fd: i32) -> Option<OwnedFd> {
    // SAFETY: a plain call; the number is one that the parent has left open for us.
    (fd > 2 && unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0)
        // SAFETY: open, as just seen, and nobody else in this process knows of it.
        .then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The length of the file behind `fd`.
///
/// # Errors
/// What `fstat` answered.
pub fn len(fd: &OwnedFd) -> io::Result<u64> {
    Ok(stat(fd)?.st_size as u64)
}

/// Bytes of memory that the system holds for the file behind `fd`.
///
/// # Errors
/// What `fstat` answered.
pub fn held(fd: &OwnedFd) -> io::Result<u64> {
    // Counted in units of 512 bytes, whatever the size of a block.
    Ok(stat(fd)?.st_blocks as u64 * 512)
}

fn stat(fd: &OwnedFd) -> io::Result<libc::stat> {
    // SAFETY: stat is plain data, for which zeroes are a value.
    let mut st: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `st` is writable for the length of the call.
    check(unsafe { libc::fstat(fd.as_raw_fd(), &raw mut st) })?;
    Ok(st)
}

/// Makes an empty memory file under the descriptor number `fd`, whatever that was before.
/// Async-signal-safe.
///
/// # Errors
/// What `memfd_create` or `dup3` answered; `fd` is as it was.
pub fn create_at(name: &CStr, fd: i32) -> io::Result<()> {
    // SAFETY: `name` is a C string that outlives the call.
    let made = check_long(unsafe {
        libc::syscall(libc::SYS_memfd_create, name.as_ptr(), libc::MFD_CLOEXEC)
    })? as i32;
    // SAFETY: plain calls; `made` is ours alone.
    unsafe {
        let moved = check(libc::dup3(made, fd, libc::O_CLOEXEC));
        libc::close(made);
        moved.map(drop)
    }
}

/// Empties the file behind the descriptor `fd` and goes to its start. Async-signal-safe.
///
/// # Errors
/// What `ftruncate` answered.
pub fn empty(fd: i32) -> io::Result<()> {
    // SAFETY: plain calls; an invalid descriptor is an error.
    unsafe {
        check(libc::ftruncate(fd, 0))?;
        libc::lseek(fd, 0, libc::SEEK_SET);
    }
    Ok(())
}

/// Reads the beginning of the file behind `fd`: how many bytes that were. Async-signal-safe.
pub fn read_start(fd: i32, into: &mut [u8]) -> usize {
    // SAFETY: `into` is writable for its length; an invalid descriptor is an error.
    let read = unsafe { libc::pread(fd, into.as_mut_ptr().cast(), into.len(), 0) };
    usize::try_from(read).unwrap_or(0)
}

/// Writes `bytes` to the descriptor `fd`, as far as that is possible. Async-signal-safe.
pub fn write(fd: i32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: `bytes` is readable for its length; an invalid descriptor is an error.
        match unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) } {
            written @ 1.. => bytes = &bytes[written as usize..],
            -1 if super::process::errno() == libc::EINTR => {}
            _ => return,
        }
    }
}
