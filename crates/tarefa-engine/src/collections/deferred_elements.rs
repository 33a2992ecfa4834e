//! Words that a list has let go of, whose blobs are still to be freed.

use super::value;
use crate::atomic::{AtomicU64, Ordering};
use crate::shm::Me;
use crate::shm::arena::layout::BlockHeader;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::tx::journal::Tx;

/// The start of a block of trash; its words follow.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Trash {
    block: BlockHeader,
    /// Words that count. Zero until the list has let go of them.
    pub(super) len: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Trash {}

/// The trash at `off`.
pub(super) fn at(me: &Me, off: Off) -> &'static Trash {
    me.arena().at(off)
}

fn word(me: &Me, off: Off, i: u64) -> &'static AtomicU64 {
    me.arena().at(off.plus(size_of::<Trash>() as u64 + i * 8))
}

/// Makes trash of `words`, hooked on the thread's chain, that does not count yet.
pub(super) fn create(me: &Me, words: &[u64]) -> Result<Off, OutOfMemory> {
    let size = size_of::<Trash>() + words.len() * 8;
    let off = heap::alloc(me, Kind::Raw, size as u64)?;
    at(me, off).len.store(0, Ordering::Relaxed);
    crash_point!("trash.empty");
    for (i, w) in words.iter().enumerate() {
        word(me, off, i as u64).store(*w, Ordering::Relaxed);
        crash_point!("trash.word");
    }
    let info = &heap::header(me, off).info;
    info.store(info.load(Ordering::Relaxed) & !0xff | Kind::Trash as u64, Ordering::Release);
    crash_point!("trash.made");
    Ok(off)
}

/// One step of taking trash apart: its last word.
pub(super) fn take_apart(me: &Me, off: Off) -> bool {
    let trash = at(me, off);
    let len = trash.len.load(Ordering::Relaxed);
    if len == 0 {
        return true;
    }
    let mut tx = Tx::begin(me);
    tx.set(&trash.len, len - 1);
    if let Some(blob) = value::blob_of(word(me, off, len - 1).load(Ordering::Relaxed)) {
        heap::hook(me, &mut tx, blob);
    }
    crash_point!("trash.emptied");
    tx.commit();
    crash_point!("trash.emptied_done");
    false
}
