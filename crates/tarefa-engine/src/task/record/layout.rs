//! What lies in the arena of a task, and what its words mean.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::os::inherited::Inherited;
use crate::os::pidfd::Exit;
use crate::os::streams;
use crate::shm::arena::inline_text::Text;
use crate::shm::arena::layout::THREAD_SLOTS;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::object::ObjectHeader;

pub(super) const SLEEPERS: u32 = 1 << 31;
/// One of them is the starter, who waits for the process to be there, or to run the task: the
/// others need not be woken for that.
pub(super) const STARTER: u32 = 1 << 30;
/// The process exists, its id is known, the target does not run yet.
pub(super) const FORKED: u32 = 1 << 8;
/// Its time limit passed while it ran; and it was killed for that. See [`crate::task::limits`].
pub(in crate::task) const OVER_TIME: u32 = 1 << 9;
pub(in crate::task) const OVER_TIME_KILLED: u32 = 1 << 10;
/// It runs still, but its outcome is there: see [`Task::deliver`](super::Task::deliver).
pub(super) const DELIVERED: u32 = 1 << 11;

/// Bits of `flags`.
pub mod flag {
    /// A thread; else a process.
    pub const THREAD: u32 = 1;
    /// Does not keep the program alive.
    pub const DAEMON: u32 = 2;
    /// There was no memory for the outcome.
    pub const OUTCOME_LOST: u32 = 4;
    /// Somebody called `kill()` or `terminate()`.
    pub const KILLED_BY_US: u32 = 8;
    /// An interrupt of it is `os::signal::interrupt_signal` to its process as well.
    pub const INTERRUPT_SIGNAL: u32 = 16;
    /// Somebody has asked for the outcome. See [`unretrieved`](crate::task::unretrieved).
    pub const RETRIEVED: u32 = 32;
    /// Somebody tells of the failure, or has.
    pub const TOLD: u32 = 64;
    /// The kernel killed its process for want of memory.
    pub const OUT_OF_MEMORY: u32 = 128;
    /// Its process was killed because its starter's had ended.
    pub const ENDED_WITH_STARTER: u32 = 256;
    /// Its last line is where it was broken, and not where it was seen last.
    pub const BROKEN_THERE: u32 = 512;
}

/// Bytes of the name in the record, with its length.
const SHORT: usize = 32;

/// Of the note behind a process's record, words before those of [`Inherited`]: the number of the zygote with whose streams the starter
/// has compared its own; how these are, a byte each, and how many other descriptors come with
/// the task; the length of the offer's name, and the name.
pub(in crate::task) const NOTE_HEAD: usize = 3 + streams::NAME.div_ceil(8);

/// How many words that note has.
pub(super) fn note_words() -> usize {
    NOTE_HEAD + Inherited::word_count()
}

/// What lies in the arena.
#[repr(C)]
#[derive(Debug)]
pub struct Record {
    object: ObjectHeader,
    pub(super) state: AtomicU32,
    pub(in crate::task) flags: AtomicU32,
    pub(super) pid: AtomicU64,
    pub(super) tid: AtomicU64,
    /// [`slots::lock_owner`] of the process it runs in.
    pub(in crate::task) owner: AtomicU64,
    /// Thread slot plus 1, while it runs.
    pub(super) thread: AtomicU64,
    /// 0, or a kind (1 code, 2 signal, 3 unknown) shifted by 32, and the number.
    pub(super) exit: AtomicU64,
    pub(super) payload: AtomicU64,
    pub(super) outcome: AtomicU64,
    /// The blob of a name that is too long for `short_name`, or was given later.
    pub(super) name: AtomicU64,
    /// The name it was made with: its length in the first byte, then the text.
    pub(super) short_name: [AtomicU64; SHORT / 8],
    pub(in crate::task) started_ns: AtomicU64,
    pub(in crate::task) ended_ns: AtomicU64,
    pub(super) usage: [AtomicU64; 5],
    /// A signal that ends it, for the process that is to run it and is not there yet; 0 for none. See
    /// [`Task::send_signal`](super::Task::send_signal).
    pub(super) kill_with: AtomicU64,
    /// Interrupts asked for, and delivered.
    pub(super) interrupts: AtomicU32,
    pub(super) delivered: AtomicU32,
    /// A number of the user, groups and so on that it is to have, and a blob of them where the zygote
    /// has others: see [`crate::task::identity`].
    pub(in crate::task) identity_number: AtomicU64,
    pub(in crate::task) identity: AtomicU64,
    /// Of a process: whether what follows the record says what it is to have of its starter. See
    /// [`crate::task::process::starter`].
    pub(in crate::task) noted: AtomicU32,
    _padding: AtomicU32,
    /// The next in the queue of requests.
    pub(in crate::task) next_request: AtomicU64,
    /// Why it could not be started.
    pub(in crate::task) error: AtomicU64,
    /// [`slots::lock_owner`] of the process that started it.
    pub(in crate::task) starter: AtomicU64,
    /// How long it may run, and how much private memory it may take; 0 without a limit.
    pub(in crate::task) time_limit_ns: AtomicU64,
    pub(in crate::task) memory_limit: AtomicU64,
    /// See [`crate::task::last_line`].
    pub(in crate::task) last_line: Text<20>,
    /// How many processes started one another from the program to it; 0 for a thread.
    pub(in crate::task) depth: AtomicU64,
    /// See [`crate::task::crash_note`].
    pub(in crate::task) notes: [AtomicU64; 2],
    pub(in crate::task) note_now: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Record {}

impl Record {
    /// The number of its state, as it stands in the record.
    pub(in crate::task) fn state_now(&self) -> u32 {
        self.state.load(Ordering::Acquire) & 0xff
    }

    /// The blob of its name, if it has one.
    pub(in crate::task) fn name_now(&self) -> Off {
        Off(self.name.load(Ordering::Acquire))
    }

    /// The name without a blob.
    pub(in crate::task) fn short_name(&self) -> Vec<u8> {
        let mut bytes = [0; SHORT];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(&self.short_name) {
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let len = usize::from(bytes[0]).min(SHORT - 1);
        bytes[1..=len].to_vec()
    }

    /// Before anybody else sees the record. False if the name is too long.
    pub(super) fn set_short_name(&self, name: &[u8]) -> bool {
        let mut bytes = [0; SHORT];
        let Some(room) = bytes[1..].get_mut(..name.len()) else { return false };
        room.copy_from_slice(name);
        bytes[0] = name.len() as u8;
        for (chunk, word) in bytes.chunks_exact(8).zip(&self.short_name) {
            word.store(u64::from_le_bytes(std::array::from_fn(|i| chunk[i])), Ordering::Relaxed);
            crash_point!("task.short_name");
        }
        true
    }

    /// The slot of the thread that runs it, and since when.
    pub(in crate::task) fn runs_in(&self) -> Option<(u32, u64)> {
        let thread = self.thread.load(Ordering::Acquire).checked_sub(1)?;
        (thread < THREAD_SLOTS).then(|| (thread as u32, self.started_ns.load(Ordering::Relaxed)))
    }
}

/// How a process ended as a word: a kind (1 code, 2 signal, 3 unknown) shifted by 32, and the
/// number. Never 0.
pub(in crate::task) fn exit_word(exit: Exit) -> u64 {
    match exit {
        Exit::Code(code) => 1 << 32 | u64::from(code as u32),
        Exit::Signal(signal) => 2 << 32 | u64::from(signal as u32),
        Exit::Unknown => 3 << 32,
    }
}

/// What [`exit_word`] said; `None` for 0.
pub(in crate::task) fn exit_of(word: u64) -> Option<Exit> {
    Some(match word >> 32 {
        1 => Exit::Code(word as u32 as i32),
        2 => Exit::Signal(word as u32 as i32),
        3 => Exit::Unknown,
        _ => return None,
    })
}
