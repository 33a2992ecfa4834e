//! How much memory is in use, and that there is no more.

use super::{page_map, size_classes, unit_table};
use crate::atomic::Ordering;
use crate::shm::arena::layout::{Class, UNIT};
use crate::shm::member::Member;

/// The arena has no room: neither panic nor signal, and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the shared memory is full: {wanted} bytes were asked for, {used} of {limit} are in use; \
     free something, or raise TAREFA_ARENA_MAX"
)]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub wanted: u64,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that may be in use.
    pub limit: u64,
}

impl OutOfMemory {
    /// Of so many bytes, asked for just now.
    #[must_use]
    pub fn new(me: &Member, wanted: u64) -> Self {
        Self { wanted, used: in_use(me), limit: me.header().limit.load(Ordering::Relaxed) }
    }
}

/// Bytes claimed from the system that blocks are in: neither kept by free runs, which keep 32 MiB
/// at most, nor by empty slabs, of which there is one of each class at most.
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
