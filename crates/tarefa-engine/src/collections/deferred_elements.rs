//! Words that a list has let go of, whose blobs are still to be freed.

use super::value;
use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::shm::Member;
use crate::shm::arena::layout::BlockHeader;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::tx::journal::Tx;

/// Blocks of words that a container has let go of.
pub(super) const DEFERRED_ELEMENTS: Kind = Kind::new(kinds::block::DEFERRED_ELEMENTS);

/// The start of a block of deferred_elements; its words follow.
#[repr(C)]
#[derive(Debug)]
pub(super) struct DeferredElements {
    block: BlockHeader,
    /// Words that count. Zero until the list has let go of them.
    pub(super) len: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for DeferredElements {}

/// The deferred_elements at `off`.
pub(super) fn at(me: &Member, off: Off) -> &'static DeferredElements {
    me.arena().at(off)
}

fn word(me: &Member, off: Off, i: u64) -> &'static AtomicU64 {
    me.arena().at(off.plus(size_of::<DeferredElements>() as u64 + i * 8))
}

/// Makes deferred_elements of `words`, hooked on the thread's chain, that does not count yet.
pub(super) fn create(me: &Member, words: &[u64]) -> Result<Off, OutOfMemory> {
    let size = size_of::<DeferredElements>() + words.len() * 8;
    let off = heap::alloc(me, Kind::RAW, size as u64)?;
    at(me, off).len.store(0, Ordering::Relaxed);
    crash_point!("deferred_elements.empty");
    for (i, w) in words.iter().enumerate() {
        word(me, off, i as u64).store(*w, Ordering::Relaxed);
        crash_point!("deferred_elements.word");
    }
    let info = &heap::header(me, off).info;
    info.store(DEFERRED_ELEMENTS.info(heap::size(me, off)), Ordering::Release);
    crash_point!("deferred_elements.made");
    Ok(off)
}

/// One step of taking deferred_elements apart: its last word.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let deferred_elements = at(me, off);
    let len = deferred_elements.len.load(Ordering::Relaxed);
    if len == 0 {
        return true;
    }
    let mut tx = Tx::begin(me);
    tx.set(&deferred_elements.len, len - 1);
    if let Some(blob) = value::blob_of(word(me, off, len - 1).load(Ordering::Relaxed)) {
        heap::defer_free(me, &mut tx, blob);
    }
    crash_point!("deferred_elements.emptied");
    tx.commit();
    crash_point!("deferred_elements.emptied_done");
    false
}
