//! Blobs: bytes in the arena, with the objects that the bytes mention.
//!
//! Bytes written by a front may hold handles (offsets) of objects. The blob keeps a reference
//! to each, so an object lives as long as bytes that lead to it.

use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::shm::arena::layout::BlockHeader;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap;
use crate::shm::heap::{Kind, OutOfMemory, limit};
use crate::shm::member::Member;
use crate::shm::object;
use crate::shm::object::refcount;
use crate::shm::tx::journal::Tx;

/// Blocks that are blobs.
pub const BLOB: Kind = Kind::new(kinds::block::BLOB);

/// What a blob starts with; its references follow, then its bytes.
#[repr(C)]
#[derive(Debug)]
pub struct BlobHeader {
    block: BlockHeader,
    /// Bytes of content.
    len: AtomicU64,
    /// How to read the content (low byte: the layer above's), and above it, where that was noted, who
    /// made it ([`PID`] bits) and what it has beside it.
    tag: AtomicU64,
    /// References counted so far.
    counted: AtomicU64,
    /// Room for references.
    room: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for BlobHeader {}

const HEADER: u64 = size_of::<BlobHeader>() as u64;
/// Bits of a process's number: the kernel gives none above 2^22.
const PID: u32 = 22;
/// Bytes beside a blob are counted in these.
const BESIDE: u64 = 64;

fn header(me: &Member, blob: Off) -> &'static BlobHeader {
    me.arena().at(blob)
}

fn reference(me: &Member, blob: Off, i: u64) -> &'static AtomicU64 {
    me.arena().at(blob.plus(HEADER + i * 8))
}

/// Makes a blob of the concatenated `parts`, hooked on the thread's chain.
///
/// The objects in `references` must be held by this process.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(
    me: &Member,
    tag: u8,
    parts: &[&[u8]],
    references: &[Off],
) -> Result<Off, OutOfMemory> {
    let len: u64 = parts.iter().map(|p| p.len() as u64).sum();
    let room = references.len() as u64;
    let savepoint = heap::savepoint(me);
    let blob = heap::alloc_fresh(me, BLOB, HEADER + room * 8 + len)?;
    let h = header(me, blob);
    h.tag.store(u64::from(tag), Ordering::Relaxed);
    h.room.store(room, Ordering::Relaxed);
    h.len.store(len, Ordering::Relaxed);
    crash_point!("blob.filled");
    let mut at = content(me, blob);
    for part in parts {
        me.arena().write(at, part);
        at = at.plus(part.len() as u64);
    }
    crash_point!("blob.written");
    for (i, &object) in references.iter().enumerate() {
        let _latch = limit::lock(object::latch(me, object), me, len)
            .inspect_err(|_| heap::free_deferred(me, savepoint))?;
        let mut tx = Tx::begin(me);
        tx.set(reference(me, blob, i as u64), object.0);
        tx.set(&h.counted, i as u64 + 1);
        object::add(me, &mut tx, object);
        crash_point!("blob.reference");
        tx.commit();
        crash_point!("blob.referenced");
    }
    Ok(blob)
}

fn content(me: &Member, blob: Off) -> Off {
    blob.plus(HEADER + header(me, blob).room.load(Ordering::Relaxed) * 8)
}

/// How to read the content.
#[must_use]
pub fn tag(me: &Member, blob: Off) -> u8 {
    header(me, blob).tag.load(Ordering::Relaxed) as u8
}

/// Bytes beside a blob as they count: see [`sign`].
#[must_use]
pub fn rounded(beside: u64) -> u64 {
    beside.div_ceil(BESIDE).min((1 << (u64::BITS - 8 - PID)) - 1) * BESIDE
}

/// Notes in a blob that hangs on the thread's chain that process `pid` made it, and that what it
/// mentions has so many bytes that count with its own.
pub fn sign(me: &Member, blob: Off, pid: i32, beside: u64) {
    let tag = &header(me, blob).tag;
    let by = u64::from(pid.unsigned_abs()) & ((1 << PID) - 1);
    let mark = by << 8 | (rounded(beside) / BESIDE) << (8 + PID);
    // crash: the blob is the thread's own.
    tag.store(tag.load(Ordering::Relaxed) & 0xff | mark, Ordering::Relaxed);
}

/// The process that made the blob; 0 where it was not noted.
#[must_use]
pub fn signed_by(me: &Member, blob: Off) -> i32 {
    (header(me, blob).tag.load(Ordering::Relaxed) >> 8 & ((1 << PID) - 1)) as i32
}

/// Bytes of content, and of what was noted as beside it.
#[must_use]
#[inline]
pub fn weight(me: &Member, blob: Off) -> u64 {
    let h = header(me, blob);
    let beside = h.tag.load(Ordering::Relaxed) >> (8 + PID);
    h.len.load(Ordering::Relaxed) + beside * BESIDE
}

/// Stores eight bytes of the content, those of the number `i`, of a blob that hangs on the thread's chain.
pub fn set_content_word(me: &Member, blob: Off, i: u64, value: u64) {
    // crash: the blob is the thread's own.
    me.arena().write(content(me, blob).plus(i * 8), &value.to_le_bytes());
}

/// Whether its bytes mention an object of that kind. The blob must not be freed meanwhile.
#[must_use]
pub fn mentions_kind(me: &Member, blob: Off, kind: u64) -> bool {
    (0..header(me, blob).counted.load(Ordering::Relaxed)).any(|i| {
        let object = Off(reference(me, blob, i).load(Ordering::Relaxed));
        object::header(me, object).kind.load(Ordering::Relaxed) == kind
    })
}

/// Bytes of content.
#[must_use]
pub fn len(me: &Member, blob: Off) -> usize {
    header(me, blob).len.load(Ordering::Relaxed) as usize
}

/// A blob as a reader without the latch sees it, who may look at one that was just freed:
/// what it says may be nonsense, but asking is never a fault.
#[derive(Clone, Copy, Debug)]
pub struct OptimisticBlob {
    me: Member,
    /// How to read the content.
    pub tag: u8,
    at: Off,
    len: u64,
}

/// A look at the blob at `off`, or at what is there now; `None` where no blob can be.
#[must_use]
#[inline]
pub fn read_optimistic(me: &Member, off: Off) -> Option<OptimisticBlob> {
    let words = me.arena().words(off, size_of::<BlobHeader>() / 8)?;
    let [len, tag, room] = [2, 3, 5].map(|i| words[i].load(Ordering::Relaxed));
    let at = off.0.checked_add(HEADER)?.checked_add(room.checked_mul(8)?)?;
    Some(OptimisticBlob { me: *me, tag: tag as u8, at: Off(at), len })
}

impl OptimisticBlob {
    /// Bytes of content.
    #[must_use]
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The eight bytes of content from `at` on, which is a multiple of 8.
    #[must_use]
    pub fn word(&self, at: u64) -> Option<u64> {
        let words = self.me.arena().words(Off(self.at.0.checked_add(at)?), 1)?;
        Some(words[0].load(Ordering::Relaxed))
    }

    /// Whether the content from `at` on, a multiple of 8, begins with `bytes`.
    #[must_use]
    #[inline]
    pub fn matches(&self, at: u64, bytes: &[u8]) -> bool {
        let fits = at.checked_add(bytes.len() as u64).is_some_and(|end| end <= self.len);
        let Some(off) = self.at.0.checked_add(at).filter(|_| fits) else { return false };
        // A block has room for a multiple of 16 bytes, so the last word is the blob's own.
        let Some(words) = self.me.arena().words(Off(off), bytes.len().div_ceil(8)) else {
            return false;
        };
        let mut chunks = bytes.chunks_exact(8);
        let same = words.iter().zip(chunks.by_ref()).all(|(word, chunk)| {
            chunk.try_into().is_ok_and(|c| word.load(Ordering::Relaxed) == u64::from_ne_bytes(c))
        });
        same && words[bytes.len() / 8..].iter().all(|word| {
            let last = word.load(Ordering::Relaxed).to_ne_bytes();
            last.starts_with(&bytes[bytes.len() / 8 * 8..])
        })
    }
}

/// Handles, taken for this process, of the objects a blob mentions; given back on drop.
#[derive(Debug)]
pub struct HeldBlob {
    me: Member,
    objects: Vec<Off>,
}

impl HeldBlob {
    /// The first object mentioned.
    #[must_use]
    pub fn first(&self) -> Option<Off> {
        self.objects.first().copied()
    }
}

impl Drop for HeldBlob {
    fn drop(&mut self) {
        // The thread that drops it may be another one than the one that made it.
        let (runtime, objects) = (self.me.runtime(), &mut self.objects);
        runtime.with_me(|me| {
            for object in objects.drain(..) {
                refcount::release(me, object);
            }
        });
    }
}

/// Holds all objects the blob mentions for this process. The blob must not be freed meanwhile.
///
/// # Errors
/// [`OutOfMemory`].
pub fn hold(me: &Member, blob: Off) -> Result<HeldBlob, OutOfMemory> {
    let mut held = HeldBlob { me: *me, objects: Vec::new() };
    for i in 0..header(me, blob).counted.load(Ordering::Relaxed) {
        let object = Off(reference(me, blob, i).load(Ordering::Relaxed));
        let id = object::header(me, object).id.load(Ordering::Relaxed);
        if refcount::acquire(me, object, id)? {
            held.objects.push(object);
        }
    }
    Ok(held)
}

/// Lends the content.
///
/// # Safety
/// The blob must not be freed while the slice lives: the caller owns it, or holds the latch
/// of the structure that does.
#[must_use]
pub unsafe fn bytes(me: &Member, blob: Off) -> &'static [u8] {
    // SAFETY: a blob's content never changes after it is made; the caller keeps it alive.
    unsafe { me.arena().slice(content(me, blob), len(me, blob)) }
}

/// Copies the content.
#[must_use]
pub fn read(me: &Member, blob: Off) -> Vec<u8> {
    let mut out = vec![0; len(me, blob)];
    me.arena().read(content(me, blob), &mut out);
    out
}

/// The first bytes of its content as text, for somebody who does not keep it alive: what it is
/// if the blob is freed meanwhile is nonsense, and no more than that.
#[must_use]
pub fn glimpse_text(me: &Member, blob: Off, most: usize) -> String {
    let arena = me.arena().len();
    let h = header(me, blob);
    let room = h.room.load(Ordering::Relaxed).saturating_mul(8);
    let len = len(me, blob).min(most);
    let at = blob.0.saturating_add(HEADER).saturating_add(room);
    if at.checked_add(len as u64).is_none_or(|end| end > arena) {
        return String::new();
    }
    let mut out = vec![0; len];
    me.arena().read(Off(at), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// One step of taking a blob apart: true once it refers to nothing.
pub(in crate::shm) fn destroy_step(me: &Member, blob: Off) -> bool {
    let h = header(me, blob);
    let counted = h.counted.load(Ordering::Relaxed);
    if counted == 0 {
        return true;
    }
    let word = reference(me, blob, counted - 1);
    let object = Off(word.load(Ordering::Relaxed));
    let _latch = object::latch(me, object).lock(me);
    let mut tx = Tx::begin(me);
    tx.set(&h.counted, counted - 1);
    object::remove(me, &mut tx, object);
    crash_point!("blob.dereference");
    tx.commit();
    crash_point!("blob.dereferenced");
    false
}
