//! How much memory is in use, and that there is no more.

use std::fmt;
use std::io;

use super::{page_map, size_classes, unit_table};
use crate::atomic::Ordering;
use crate::os::memfd;
use crate::shm::arena::layout::{Class, UNIT};
use crate::shm::member::Member;
use crate::units::Size;

/// The arena has no room: neither panic nor signal, and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub wanted: u64,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that may be in use.
    pub limit: u64,
    /// What there was too little of.
    pub cause: Cause,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The arena's own limit.
    Limit,
    /// The memory cgroup of the process: what it had left, and its limit.
    Cgroup {
        /// Bytes that it had left.
        left: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// The limit on the size of files (`RLIMIT_FSIZE`), which counts for shared memory.
    FileSize(u64),
    /// An error number of the system's.
    System(i32),
    /// Somebody has a latch of the heap for long, and whoever asked does not want to wait: see
    /// [`within`](super::within).
    HeldUp,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, used, limit, cause } = self;
        match cause {
            Cause::Limit => write!(
                f,
                "the shared memory is full: {wanted} bytes were asked for, {used} of {limit} are \
                 in use; free something, or raise TAREFA_ARENA_MAX"
            ),
            Cause::Cgroup { left, limit } => write!(
                f,
                "the shared memory is full: {wanted} bytes were asked for, {used} are in use, and \
                 the memory cgroup of the program has {} left of {}, a part of which its processes \
                 need; free something, or raise the cgroup's limit",
                Size(*left),
                Size(*limit)
            ),
            Cause::FileSize(most) => write!(
                f,
                "the shared memory is full: {wanted} bytes were asked for, {used} are in use, and \
                 the limit on file sizes, which counts for shared memory, is {} (RLIMIT_FSIZE, \
                 ulimit -f); free something, or raise it",
                Size(*most)
            ),
            Cause::HeldUp => write!(
                f,
                "a process that is stopped has what is needed to give {wanted} bytes of shared memory \
                 out"
            ),
            Cause::System(libc::EBADF) => write!(
                f,
                "this process cannot have {wanted} bytes of shared memory: the descriptor of it, which \
                 belongs to tarefa, was closed; close only what is yours"
            ),
            Cause::System(libc::ENOSYS | libc::EOPNOTSUPP) => write!(
                f,
                "this system cannot reserve shared memory: it refuses fallocate for memory files \
                 ({}), which tarefa needs so that full memory is an error and no crash",
                self.system()
            ),
            Cause::System(_) => write!(
                f,
                "the system has no room for shared memory: {wanted} bytes were asked for, {used} \
                 of {limit} are in use, and fallocate answered: {}; free something",
                self.system()
            ),
        }
    }
}

impl std::error::Error for OutOfMemory {}

impl OutOfMemory {
    /// Whether there may be room: only whoever has a latch of the heap did not let go of it in time.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.cause == Cause::HeldUp
    }

    /// Of so many bytes, asked for just now: more than the limit allows.
    #[must_use]
    pub fn new(me: &Member, wanted: u64) -> Self {
        Self::because(me, wanted, Cause::Limit)
    }

    /// The same for another reason.
    #[must_use]
    pub fn because(me: &Member, wanted: u64, cause: Cause) -> Self {
        Self { wanted, used: in_use(me), limit: me.header().limit.load(Ordering::Relaxed), cause }
    }

    /// After what the system answered to a claim.
    #[must_use]
    pub fn of_claim(me: &Member, wanted: u64, error: &io::Error) -> Self {
        let cause = match error.raw_os_error() {
            Some(libc::EFBIG) => Cause::FileSize(memfd::most().unwrap_or_default()),
            error => Cause::System(error.unwrap_or(libc::ENOSPC)),
        };
        Self::because(me, wanted, cause)
    }

    fn system(&self) -> io::Error {
        let Cause::System(error) = self.cause else { return io::Error::other("refused") };
        io::Error::from_raw_os_error(error)
    }
}

/// Bytes claimed from the system that blocks are in: neither kept by free runs, which keep 32 MiB
/// at most, or as much as is in use, nor by empty slabs, of which there is one of each class at most.
#[must_use]
pub fn in_use(me: &Member) -> u64 {
    let [claimed, retained] =
        [&me.header().claimed, &me.header().retained].map(|word| word.load(Ordering::Relaxed));
    claimed.saturating_sub(retained).saturating_sub(kept(me))
}

/// Bytes that empty slabs keep.
#[must_use]
pub fn kept(me: &Member) -> u64 {
    let kept = |(class, shared): (usize, &Class)| {
        let unit = shared.empty.load(Ordering::Relaxed).checked_sub(1)?;
        Some(page_map::count(me, unit_table::at(me, unit), UNIT * size_classes::units(class)))
    };
    me.header().classes.iter().enumerate().filter_map(kept).sum()
}
