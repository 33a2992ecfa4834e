//! When a thread is put on a core and taken off it, as the kernel says (`PERF_RECORD_SWITCH`).
//!
//! An event that counts nothing (a software dummy) has the bit `context_switch` set; the kernel writes a record
//! into a ring that both have mapped each time the thread goes on a core or off it. Other threads of the
//! same user may be watched where `perf_event_paranoid` is 2 or less; containers often refuse it.
//!
//! Layouts are those of `perf_event_open(2)`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

use super::{check_long, mmap};
use crate::atomic::{AtomicU64, Ordering};

/// `struct perf_event_attr`, as far as `PERF_ATTR_SIZE_VER5` knows it.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    config1: u64,
    config2: u64,
    branches: u64,
    registers: u64,
    stack: u32,
    clock: i32,
    registers_at_interrupt: u64,
    aux_watermark: u32,
    more: u32,
}

const SOFTWARE: u32 = 1;
const DUMMY: u64 = 9;
const SAMPLE_TIME: u64 = 1 << 2;
const SAMPLE_CPU: u64 = 1 << 7;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const SAMPLE_ID_ALL: u64 = 1 << 18;
const USE_CLOCK: u64 = 1 << 25;
const CONTEXT_SWITCH: u64 = 1 << 26;
const FLAG_CLOEXEC: u64 = 1 << 3;

const RECORD_LOST: u32 = 2;
const RECORD_SWITCH: u32 = 14;
const SWITCH_OUT: u16 = 1 << 13;

/// Pages of a ring, but for the first one, which says how far it is; and where the system locks no more in
/// memory for this user.
const PAGES: [u64; 2] = [8, 1];
/// Where the first page says so.
const HEAD: u64 = 1024;
const TAIL: u64 = 1032;

/// The thread goes on a core, or off it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// When, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// The core.
    pub cpu: u32,
    /// Whether it goes off it.
    pub is_out: bool,
}

/// What the kernel writes down of one thread, until this is dropped.
#[derive(Debug)]
pub struct Switches {
    base: NonNull<u8>,
    len: u64,
    _fd: OwnedFd,
}

// SAFETY: the mapping is reached through this alone, and belongs to no thread.
unsafe impl Send for Switches {}

impl Switches {
    /// Watches thread `tid` from now on.
    ///
    /// # Errors
    /// What `perf_event_open` or `mmap` answered: `EACCES` and `EPERM` where it is not granted.
    pub fn of(tid: i32) -> io::Result<Self> {
        let attributes = Attributes {
            kind: SOFTWARE,
            size: size_of::<Attributes>() as u32,
            config: DUMMY,
            sample_type: SAMPLE_TIME | SAMPLE_CPU,
            flags: EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR | SAMPLE_ID_ALL | USE_CLOCK | CONTEXT_SWITCH,
            clock: libc::CLOCK_MONOTONIC,
            ..Attributes::default()
        };
        // SAFETY: `attributes` is what the call takes, for its length.
        let fd = check_long(unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attributes,
                tid,
                -1,
                -1,
                FLAG_CLOEXEC,
            )
        })?;
        // SAFETY: the kernel has just given this descriptor to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let mut refused = None;
        for pages in PAGES {
            match Self::map(&fd, (1 + pages) * mmap::page_size()) {
                Ok((base, len)) => return Ok(Self { base, len, _fd: fd }),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(io::Error::last_os_error))
    }

    fn map(fd: &OwnedFd, len: u64) -> io::Result<(NonNull<u8>, u64)> {
        // SAFETY: a new mapping, where the system likes.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(base.cast()).map(|base| (base, len)).ok_or_else(io::Error::last_os_error)
    }

    /// Appends what was written since the last time; and says how many records are lost.
    pub fn read(&self, into: &mut Vec<Switch>) -> u64 {
        let word = |at: u64| self.word(at);
        let room = self.len - mmap::page_size();
        // Pairs with the kernel's store: what is before the head is written.
        let (head, mut tail) =
            (word(HEAD).load(Ordering::Acquire), word(TAIL).load(Ordering::Relaxed));
        let mut lost = 0;
        while tail < head {
            let first = self.byte8(tail, room);
            let (kind, size) = (first as u32, first >> 48);
            let misc = (first >> 32) as u16;
            if size < 8 || tail + size > head {
                break;
            }
            lost += self.record(tail, room, kind, misc, into);
            tail += size;
        }
        // The kernel may write there again.
        word(TAIL).store(head, Ordering::Release);
        lost
    }

    fn record(&self, at: u64, room: u64, kind: u32, misc: u16, into: &mut Vec<Switch>) -> u64 {
        match kind {
            RECORD_SWITCH => {
                let (at_ns, cpu) = (self.byte8(at + 8, room), self.byte8(at + 16, room) as u32);
                into.push(Switch { at_ns, cpu, is_out: misc & SWITCH_OUT != 0 });
                0
            }
            RECORD_LOST => self.byte8(at + 16, room),
            _ => 0,
        }
    }

    /// The word at that place of the ring. Records are whole words, and begin at one.
    fn byte8(&self, at: u64, room: u64) -> u64 {
        self.word((mmap::page_size() + at % room) & !7).load(Ordering::Relaxed)
    }

    #[expect(clippy::cast_ptr_alignment, reason = "a mapping begins with a page")]
    fn word(&self, at: u64) -> &AtomicU64 {
        assert!(at % 8 == 0 && at < self.len, "{at} is no place of a word");
        // SAFETY: inside the mapping, which lasts as long as this, and aligned.
        unsafe { &*self.base.as_ptr().add(at as usize).cast::<AtomicU64>() }
    }
}

impl Drop for Switches {
    fn drop(&mut self) {
        // SAFETY: mapped by `of` with that length, and lent to nobody.
        unsafe { mmap::unmap(self.base, self.len) };
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;
    use crate::os::{clock, process};

    #[test]
    fn a_thread_that_sleeps_goes_off_its_core() {
        let Ok(switches) = Switches::of(process::tid()) else { return };
        let before = clock::now_ns();
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut seen = Vec::new();
        switches.read(&mut seen);
        let after = clock::now_ns();
        assert!(seen.iter().filter(|s| s.is_out).count() >= 5, "{seen:?}");
        assert!(seen.iter().all(|s| s.at_ns >= before && s.at_ns <= after), "{seen:?}");
        assert!(seen.windows(2).all(|w| w[0].at_ns <= w[1].at_ns && w[0].is_out != w[1].is_out));
    }
}
