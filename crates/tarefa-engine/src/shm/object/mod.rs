//! Objects: what handles refer to, counted and freed when nothing refers to them.

pub mod address;
pub mod attach;
pub mod blob;
pub mod entries;
pub mod handle;
pub mod refcount;
pub mod robust_list;

use std::sync::OnceLock;

use super::heap::{self, Kind, OutOfMemory, limit};
use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::shm::arena::layout::{BlockHeader, REFERENCE_LATCHES};
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::Latch;

/// Blocks that are objects.
pub const OBJECT: Kind = Kind::new(kinds::block::OBJECT);

/// What every object starts with.
#[repr(C)]
#[derive(Debug)]
pub struct ObjectHeader {
    /// The heap's part.
    pub block: BlockHeader,
    /// Never given twice in a runtime: tells an object from what lay there before.
    pub id: AtomicU64,
    /// References: of processes, and of blobs that mention it.
    pub references: AtomicU64,
    /// What it is: one of [`crate::kinds`].
    pub kind: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for ObjectHeader {}

/// Takes one step of taking an object apart; true once nothing is left but its own block.
pub type Destructor = fn(&Member, Off) -> bool;

static DESTRUCTORS: [OnceLock<Destructor>; kinds::COUNT] =
    [const { OnceLock::new() }; kinds::COUNT];

/// Says how objects of `kind` are taken apart. The first call for a kind counts.
pub fn register(kind: u64, destructor: Destructor) {
    let _ = DESTRUCTORS[kind as usize].set(destructor);
}

/// How objects of `kind` are taken apart; a kind nobody registered refers to nothing.
fn destructor(kind: u64) -> Destructor {
    let found = DESTRUCTORS.get(kind as usize).and_then(|d| d.get());
    found.copied().unwrap_or(|_, _| true)
}

/// The header of the object at `off`.
#[must_use]
pub fn header(me: &Member, off: Off) -> &'static ObjectHeader {
    me.arena().at(off)
}

/// The latch that guards the reference count of the object at `off`.
pub fn latch(me: &Member, off: Off) -> &'static Latch {
    &me.header().reference_latches[(off.0 / 64) as usize % REFERENCE_LATCHES]
}

/// Makes an object of `size` bytes, cleared but for its header, hooked on the thread's chain.
/// It has no references yet. However large, it costs little more than claiming its memory.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member, kind: u64, size: u64) -> Result<Off, OutOfMemory> {
    let size = size.max(size_of::<ObjectHeader>() as u64);
    let savepoint = heap::savepoint(me);
    let off = heap::alloc_cleared(me, size)?;
    give_birth(me, off, kind, size).inspect_err(|_| heap::free_deferred(me, savepoint))
}

/// The same with only the first `cleared` bytes cleared: for what is written over at once.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create_unfilled(
    me: &Member,
    kind: u64,
    size: u64,
    cleared: u64,
) -> Result<Off, OutOfMemory> {
    let cleared = cleared.max(size_of::<ObjectHeader>() as u64);
    let size = size.max(cleared);
    let savepoint = heap::savepoint(me);
    let off = heap::alloc(me, Kind::RAW, size)?;
    me.arena().clear(off.plus(heap::HEADER), (cleared - heap::HEADER) as usize);
    crash_point!("object.unfilled");
    give_birth(me, off, kind, size).inspect_err(|_| heap::free_deferred(me, savepoint))
}

/// Makes a raw block on the thread's chain an object, whose header is cleared; on an error it stays
/// there, and nothing in it is to be taken apart.
fn give_birth(me: &Member, off: Off, kind: u64, size: u64) -> Result<Off, OutOfMemory> {
    let h = header(me, off);
    h.kind.store(kind, Ordering::Relaxed);
    crash_point!("object.cleared");
    // An object from here on; an id of zero says that there is nothing to take apart yet.
    h.block.info.store(OBJECT.info(size), Ordering::Release);
    crash_point!("object.empty");
    let _latch = limit::lock(&me.header().objects_latch, me, size)?;
    let ids = &me.header().object_ids;
    let id = ids.load(Ordering::Relaxed) + 1;
    let mut tx = Tx::begin(me);
    tx.set(ids, id);
    tx.set(&me.header().objects, me.header().objects.load(Ordering::Relaxed) + 1);
    tx.set(&h.id, id);
    crash_point!("object.born");
    tx.commit();
    crash_point!("object.created");
    Ok(off)
}

/// One step of taking an object apart: true once nothing is left but its own block.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let h = header(me, off);
    if h.id.load(Ordering::Acquire) != 0 {
        if !destructor(h.kind.load(Ordering::Relaxed))(me, off) {
            return false;
        }
        let _latch = me.header().objects_latch.lock(me);
        let mut tx = Tx::begin(me);
        tx.set(&h.id, 0);
        tx.set(&me.header().objects, me.header().objects.load(Ordering::Relaxed) - 1);
        crash_point!("object.dying");
        tx.commit();
        crash_point!("object.dead");
    }
    true
}

/// Adds a reference inside a change of the caller's, which holds the object's latch.
pub fn add(me: &Member, tx: &mut Tx<'_>, off: Off) {
    let count = &header(me, off).references;
    tx.set(count, count.load(Ordering::Relaxed) + 1);
    crash_point!("object.referenced");
}

/// Takes a reference away inside a change of the caller's, which holds the object's latch;
/// the last one hooks the object on the thread's chain.
pub fn remove(me: &Member, tx: &mut Tx<'_>, off: Off) {
    let count = &header(me, off).references;
    let left = count.load(Ordering::Relaxed) - 1;
    tx.set(count, left);
    if left == 0 {
        heap::defer_free(me, tx, off);
    }
    crash_point!("object.unreferenced");
}

/// Whether `off` is a living object with that id: for handles that come from outside.
#[must_use]
pub fn exists(me: &Member, off: Off, id: u64) -> bool {
    heap::is_block(me, off, OBJECT)
        && header(me, off).id.load(Ordering::Acquire) == id
        && header(me, off).references.load(Ordering::Acquire) > 0
}
