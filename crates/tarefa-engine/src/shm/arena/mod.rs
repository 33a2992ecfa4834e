//! The arena: one memory file, mapped once, reached by offsets.

pub mod inline_text;
pub mod layout;
pub mod offset;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use crate::atomic::AtomicU64;
#[cfg(loom)]
use crate::atomic::{AtomicU8, Ordering};
use crate::os::large_pages::{self, LARGE_PAGE};
use crate::os::{memfd, mmap};
use crate::shm::arena::layout::{Header, PAGE};
use crate::shm::arena::offset::{Off, Shared};
use crate::units::Size;

/// The address space an arena asks for first.
const RESERVATION: u64 = if cfg!(any(miri, loom)) { SMALLEST } else { 1 << 40 };
/// The smallest arena worth having.
const SMALLEST: u64 = if cfg!(miri) { 1 << 28 } else { 1 << 30 };

/// One memory file in this process's address space, unmapped when this is dropped: what lies in it
/// is lent by arenas that never are ([`Arena::at`]).
pub struct Arena {
    base: NonNull<u8>,
    len: u64,
    fd: OwnedFd,
    /// What file that is: the number of a descriptor may be another's by now.
    file: u64,
}

// SAFETY: the memory is reached through atomics only; the descriptor is plain data.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, with that length; whatever was lent out of it came from an arena
        // that lives for ever, which this one does not.
        unsafe { mmap::unmap(self.base, self.len) };
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arena({} bytes)", self.len)
    }
}

impl Arena {
    /// What the system calls its file, where it shows the descriptors of a process.
    pub(in crate::shm) const FILE: &str = "/memfd:tarefa (deleted)";

    /// Makes a new, empty arena, as large as the limits of this process allow.
    ///
    /// # Errors
    /// `EMFILE` without descriptors, `ENOMEM` without a GiB of address space; and where files may not
    /// be a GiB long.
    pub fn create() -> io::Result<Self> {
        let mut len = RESERVATION;
        if let Some(most) = memfd::most() {
            if most < SMALLEST {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    format!(
                        "the limit on file sizes, which counts for shared memory, is {}, and at \
                         least {} are needed (RLIMIT_FSIZE, ulimit -f)",
                        Size(most),
                        Size(SMALLEST)
                    ),
                ));
            }
            while len > most {
                len /= 2;
            }
        }
        loop {
            let made = memfd::create(c"tarefa", len).and_then(|fd| Self::map(fd, len));
            match made {
                Err(_) if len > SMALLEST => len /= 2,
                other => return other,
            }
        }
    }

    /// Maps the arena behind `fd`.
    ///
    /// # Errors
    /// What `fstat` or `mmap` answered.
    pub fn open(fd: OwnedFd) -> io::Result<Self> {
        let len = memfd::len(&fd)?;
        Self::map(fd, len)
    }

    /// The same, for one who only reads: a store into it ends the process.
    ///
    /// # Errors
    /// The same.
    pub(in crate::shm) fn open_to_read(fd: OwnedFd) -> io::Result<Self> {
        let len = memfd::len(&fd)?;
        let base = mmap::shared_to_read(&fd, len)?;
        let file = memfd::file_number(&fd);
        Ok(Self { base, len, fd, file })
    }

    fn map(fd: OwnedFd, len: u64) -> io::Result<Self> {
        let base = mmap::shared(&fd, len)?;
        let file = memfd::file_number(&fd);
        Ok(Self { base, len, fd, file })
    }

    /// The same memory, as another process of a model has it.
    #[cfg(loom)]
    pub(in crate::shm) fn twin(&self) -> io::Result<Self> {
        use std::os::fd::AsFd;
        let fd = self.fd.as_fd().try_clone_to_owned()?;
        Ok(Self { base: self.base, len: self.len, fd, file: self.file })
    }

    /// What it begins with.
    #[must_use]
    #[inline]
    pub fn header(&'static self) -> &'static Header {
        self.at(Off(0))
    }

    /// Bytes of address space.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: an arena has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Backs `len` bytes at `offset`, whole pages, with real memory, so that no later access can fail: with
    /// large pages where these fit in and the system has them. Also where the program has closed the
    /// descriptor, or another file has its number.
    ///
    /// # Errors
    /// As of [`memfd::claim`]; `EBADF` without the descriptor, where the system can do it no other way.
    pub(in crate::shm) fn claim(&self, offset: u64, len: u64) -> io::Result<()> {
        if len >= LARGE_PAGE {
            self.claim_large(offset, len);
        }
        self.claim_small(offset, len)
    }

    /// Backs the large pages that lie in there, as far as the system has some.
    #[cold]
    fn claim_large(&self, offset: u64, len: u64) {
        let mut at = offset.next_multiple_of(LARGE_PAGE);
        while at + LARGE_PAGE <= offset + len && large_pages::are_to_be_had() {
            // The system makes one only of what has begun to be there.
            if self.claim_small(at, PAGE).is_err() {
                return;
            }
            // SAFETY: `map` has mapped all of it.
            unsafe { large_pages::make(self.place(at)) };
            at += LARGE_PAGE;
        }
    }

    fn claim_small(&self, offset: u64, len: u64) -> io::Result<()> {
        if self.has_file() {
            return memfd::claim(&self.fd, offset, len);
        }
        // SAFETY: `map` has mapped all of it.
        unsafe { memfd::claim_mapped(self.place(offset), len) }
    }

    /// Gives the memory behind `len` bytes at `offset`, whole pages, back to the system.
    ///
    /// # Errors
    /// What the system answered.
    pub(in crate::shm) fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        if self.has_file() {
            return memfd::punch(&self.fd, offset, len);
        }
        // SAFETY: as above; the caller gives it back.
        unsafe { memfd::punch_mapped(self.place(offset), len) }
    }

    /// Whether the descriptor is still the memory's: what is done to a file of the program's instead
    /// would lose its content.
    pub(in crate::shm) fn has_file(&self) -> bool {
        memfd::file_number(&self.fd) == self.file
    }

    fn place(&self, offset: u64) -> NonNull<u8> {
        debug_assert!(offset < self.len);
        // SAFETY: inside the mapping.
        unsafe { self.base.add(offset as usize) }
    }

    /// The memory file.
    #[must_use]
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// What lies at `off`.
    ///
    /// # Panics
    /// When it would reach over the arena's end, or is not aligned: a broken offset.
    #[must_use]
    pub fn at<T: Shared>(&'static self, off: Off) -> &'static T {
        let fits = off.0.checked_add(size_of::<T>() as u64).is_some_and(|end| end <= self.len);
        assert!(fits && off.0 % align_of::<T>() as u64 == 0, "broken offset {off:?}");
        // SAFETY: inside the mapping, which is never undone, and aligned; `Shared` promises
        // that any bytes are a value and that all access is atomic.
        unsafe { self.base.add(off.0 as usize).cast::<T>().as_ref() }
    }

    /// `count` words at `off`; `None` where that is no place for words. For readers that look
    /// at what may have been freed meanwhile: whatever the words hold, reading them is no fault.
    #[must_use]
    #[inline]
    pub fn words(&'static self, off: Off, count: usize) -> Option<&'static [AtomicU64]> {
        let end = off.0.checked_add((count as u64).checked_mul(8)?)?;
        if off.0 % 8 != 0 || end > self.len {
            return None;
        }
        // SAFETY: inside the mapping, which is never undone, and aligned; atomics are valid for
        // every bit pattern.
        let words = unsafe {
            std::slice::from_raw_parts(self.base.as_ptr().add(off.0 as usize).cast(), count)
        };
        Some(words)
    }

    /// The offset of something in this arena.
    #[must_use]
    pub fn offset_of<T: Shared>(&self, thing: &T) -> Off {
        let address = std::ptr::from_ref(thing) as usize;
        debug_assert!(address >= self.base.as_ptr() as usize);
        Off((address - self.base.as_ptr() as usize) as u64)
    }

    /// Its first byte in this process.
    #[must_use]
    pub fn start(&self) -> *const u8 {
        self.base.as_ptr()
    }

    fn bytes(&self, off: Off, len: usize) -> *mut u8 {
        let fits = off.0.checked_add(len as u64).is_some_and(|end| end <= self.len);
        assert!(fits, "broken offset {off:?}");
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.base.as_ptr().add(off.0 as usize) }
    }

    /// Copies `from` into the arena. The caller alone owns those bytes.
    // crash: the block hangs on the caller's chain, and is freed from there.
    pub fn write(&self, off: Off, from: &[u8]) {
        #[cfg(loom)]
        if crate::atomic::model::running() {
            return self.write_words(off, from);
        }
        let to = self.bytes(off, from.len());
        // SAFETY: the range is in the mapping; `from` is not (it is a Rust slice), and the
        // caller owns the bytes, so nobody reads them at the same time.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    }

    /// Zeroes bytes. The caller alone owns them.
    // crash: the block hangs on the caller's chain, raw, and is freed from there.
    pub fn clear(&self, off: Off, len: usize) {
        #[cfg(loom)]
        if crate::atomic::model::running() {
            return self.write_words(off, &vec![0; len]);
        }
        let to = self.bytes(off, len);
        // SAFETY: the range is in the mapping, and the caller owns the bytes.
        unsafe { std::ptr::write_bytes(to, 0, len) };
    }

    /// Copies bytes out of the arena.
    // not shared: the copy is this process's.
    pub fn read(&self, off: Off, to: &mut [u8]) {
        #[cfg(loom)]
        if crate::atomic::model::running() {
            return self.read_words(off, to);
        }
        let from = self.bytes(off, to.len());
        // SAFETY: the range is in the mapping; callers read what is published and, while they
        // hold the latch or own the block, not being written.
        unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
    }

    /// Lends bytes of the arena.
    ///
    /// # Safety
    /// Nobody may write or free them while the slice lives.
    #[must_use]
    pub unsafe fn slice(&'static self, off: Off, len: usize) -> &'static [u8] {
        // SAFETY: in the mapping; the caller's promise for the rest.
        unsafe { std::slice::from_raw_parts(self.bytes(off, len), len) }
    }
}

/// Bytes of a model, some of whose words are loom's: so they go word by word.
#[cfg(loom)]
impl Arena {
    /// The word at `off`, or its byte where less than a word is wanted.
    fn part(&self, off: Off, left: usize) -> (Option<&AtomicU64>, &AtomicU8) {
        let at = self.bytes(off, left);
        let whole = off.0 % 8 == 0 && left >= 8;
        // SAFETY: inside the mapping, as just checked, and aligned where it is a word.
        #[expect(clippy::cast_ptr_alignment, reason = "looked at")]
        unsafe {
            (whole.then(|| &*at.cast::<AtomicU64>()), &*at.cast::<AtomicU8>())
        }
    }

    // crash: as `write`.
    fn write_words(&self, mut off: Off, mut from: &[u8]) {
        while !from.is_empty() {
            let done = match self.part(off, from.len()) {
                (Some(word), _) => {
                    let value = u64::from_le_bytes(from[..8].try_into().expect("eight"));
                    word.store(value, Ordering::Relaxed);
                    8
                }
                (None, byte) => {
                    byte.store(from[0], Ordering::Relaxed);
                    1
                }
            };
            (off, from) = (off.plus(done as u64), &from[done..]);
        }
    }

    fn read_words(&self, mut off: Off, mut to: &mut [u8]) {
        while !to.is_empty() {
            let done = match self.part(off, to.len()) {
                (Some(word), _) => {
                    to[..8].copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
                    8
                }
                (None, byte) => {
                    to[0] = byte.load(Ordering::Relaxed);
                    1
                }
            };
            (off, to) = (off.plus(done as u64), &mut to[done..]);
        }
    }
}
