//! The shared array: items of one size and format in one block; a single value is an array
//! without dimensions.
//!
//! - Its size, format and shape never change, so they are read without a latch.
//! - An item of 1, 2, 4 or 8 bytes is one atomic word: read, stored, swapped at one instant, in
//!   one total order for all who look (`SeqCst`). There is nothing to lock and nothing to mend:
//!   a member killed here has either changed the item or not.
//! - A larger item is several words, each of which is atomic; who wants it whole takes the
//!   guard (see below). A death in the middle of [`Array::put`] leaves it whole: see `redo.rs`.
//! - Several items are several words. Nothing orders them but the guard, and a death in the
//!   middle is what the guard's next owner is told of.
//!
//! ```text
//! ArrayObject | extents, 8 bytes each | format | padding | items ... | padding, redo record
//! ```
//!
//! The creator fills it while nobody else has a handle; the reference is what publishes it.

pub mod pep3118;

mod items;
mod redo;

use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::blob;
use crate::shm::object::refcount;
use crate::shm::object::{self, ObjectHeader};
use crate::shm::tx::journal::Tx;
use crate::sync::lock::word::{Holder, LockWord, Recursion};

/// What lies in the arena. Once a handle is out, only the guard changes, and `note` at the end.
#[repr(C)]
#[derive(Debug)]
struct ArrayObject {
    object: ObjectHeader,
    /// Bytes of an item.
    item: AtomicU64,
    /// Items.
    len: AtomicU64,
    /// Offset of the first item.
    data: AtomicU64,
    /// Bytes of the format, shifted left by 32; [`GUARDED`]; the number of dimensions.
    form: AtomicU64,
    /// A blob of the front that made it, 0 for none.
    note: AtomicU64,
    /// The lock of those who want several items, or a large one, at one instant.
    object_lock: LockWord,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for ArrayObject {}

const FIXED: u64 = size_of::<ArrayObject>() as u64;
/// Bit of `form`: operations of the fronts take the guard.
const GUARDED: u64 = 1 << 8;
/// Bit of `form`: it came to be as a part of a message.
const CARRIED: u64 = 1 << 9;
/// Bytes of the words that a redo record is made of.
const WORD: u64 = 8;
/// Items that fill a line of the cache or more start at one.
const LINE: u64 = 64;

/// Dimensions there can be, as in NumPy.
pub const DIMENSIONS: usize = 64;
/// Bytes of a format there can be.
pub const FORMAT: usize = 64 * 1024;
/// Bytes of a [`create_buffer`] that are copied between two points at which its maker may die in a test.
const PIECE: usize = 4 << 20;

/// What an array is to be.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// How an item looks: see [`crate::collections::array::pep3118`].
    pub format: &'a [u8],
    /// Bytes of an item.
    pub item: u64,
    /// How many items along each dimension; none for a single value.
    pub extents: &'a [u64],
    /// Whether the fronts are to take its guard.
    pub guarded: bool,
}

/// Why there is no array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// The item's type is too long to write down.
    #[error("the format has {0} bytes; {FORMAT} is the most")]
    Format(usize),
    /// Too many of them.
    #[error("an array of {0} dimensions; {DIMENSIONS} is the most")]
    Dimensions(usize),
    /// See [`OutOfMemory`].
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

/// Makes an array of zeroes; this process holds a reference to it.
///
/// # Errors
/// [`ArrayError`].
pub fn create(me: &Member, form: Form<'_>) -> Result<Off, ArrayError> {
    create_kind(me, kinds::ARRAY, form)
}

/// Makes an array of zeroes that is a slice: once others have it, nobody changes it. This process holds
/// a reference to it.
///
/// # Errors
/// [`ArrayError`].
pub fn create_slice(me: &Member, form: Form<'_>) -> Result<Off, ArrayError> {
    create_kind(me, kinds::SLICE, form)
}

fn create_kind(me: &Member, kind: u64, form: Form<'_>) -> Result<Off, ArrayError> {
    if form.format.len() > FORMAT {
        return Err(ArrayError::Format(form.format.len()));
    }
    if form.extents.len() > DIMENSIONS {
        return Err(ArrayError::Dimensions(form.extents.len()));
    }
    let some = form.extents.iter().filter(|n| **n > 0);
    let all = some.fold(1u64, |all, n| all.saturating_mul(*n));
    let len = if form.extents.contains(&0) { 0 } else { all };
    let bytes = all.saturating_mul(form.item);
    // A block's size has 56 bits.
    if bytes >= 1 << 54 {
        return Err(OutOfMemory::new(me, bytes).into());
    }
    let bytes = if len == 0 { 0 } else { bytes };
    let recorded = has_record(form.item, form.guarded, len);
    let record = if recorded { redo_size(form.item) } else { 0 };
    let before = FIXED + 8 * form.extents.len() as u64 + form.format.len() as u64;
    let align = if bytes >= LINE { LINE } else { 16 };
    // Blocks start at multiples of 16.
    let items = (bytes.next_multiple_of(8) + record).next_multiple_of(16);
    let size = before.next_multiple_of(16) + (align - 16) + items;
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kind, size).and_then(|off| {
        let it: &ArrayObject = me.arena().at(off);
        it.item.store(form.item, Ordering::Relaxed);
        it.len.store(len, Ordering::Relaxed);
        let data = (off.0 + before).next_multiple_of(align);
        it.data.store(data, Ordering::Relaxed);
        let guarded = if form.guarded { GUARDED } else { 0 };
        let of_format = (form.format.len() as u64) << 32;
        it.form.store(of_format | guarded | form.extents.len() as u64, Ordering::Relaxed);
        for (i, n) in form.extents.iter().enumerate() {
            extent(me, off, i).store(*n, Ordering::Relaxed);
        }
        me.arena().write(off.plus(FIXED + 8 * form.extents.len() as u64), form.format);
        crash_point!("array.formed");
        refcount::adopt(me, off, savepoint).map(|()| off)
    });
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    Ok(made?)
}

/// Makes a buffer of `len` bytes, an array of format `B`; this process holds a reference to it.
///
/// It begins with `content` if that is given, copied once, and has else what the memory had before.
/// `carried`: it is made for a message, and counts for the queue that it is in.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create_buffer(
    me: &Member,
    len: u64,
    content: Option<&[u8]>,
    carried: bool,
) -> Result<Off, OutOfMemory> {
    if len >= 1 << 54 {
        return Err(OutOfMemory::new(me, len));
    }
    let before = (FIXED + 8 + 1).next_multiple_of(16);
    let align = if len >= LINE { LINE } else { 16 };
    let size = before + (align - 16) + len.next_multiple_of(16);
    let savepoint = heap::savepoint(me);
    let made = object::create_unfilled(me, kinds::ARRAY, size, before).and_then(|off| {
        let it: &ArrayObject = me.arena().at(off);
        it.item.store(1, Ordering::Relaxed);
        it.len.store(len, Ordering::Relaxed);
        let data = Off((off.0 + FIXED + 8 + 1).next_multiple_of(align));
        it.data.store(data.0, Ordering::Relaxed);
        let carried = if carried { CARRIED } else { 0 };
        it.form.store(1 << 32 | carried | 1, Ordering::Relaxed);
        extent(me, off, 0).store(len, Ordering::Relaxed);
        me.arena().write(off.plus(FIXED + 8), b"B");
        crash_point!("array.buffer_formed");
        for (i, piece) in content.unwrap_or(&[]).chunks(PIECE).enumerate() {
            me.arena().write(data.plus((i * PIECE) as u64), piece);
            crash_point!("array.buffer_filled");
        }
        refcount::adopt(me, off, savepoint).map(|()| off)
    });
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

/// Whether an item of so many bytes is one word of the memory.
#[must_use]
#[inline]
pub const fn is_word(item: u64) -> bool {
    matches!(item, 1 | 2 | 4 | 8)
}

/// Whether a redo record follows the items of such an array.
#[inline]
fn has_record(item: u64, guarded: bool, len: u64) -> bool {
    !is_word(item) && guarded && len > 0
}

/// Bytes of the redo record of an array with such items; a multiple of [`WORD`], as its place is.
fn redo_size(item: u64) -> u64 {
    WORD.saturating_add(item.checked_next_multiple_of(WORD).unwrap_or(u64::MAX))
}

fn extent(me: &Member, off: Off, dimension: usize) -> &'static AtomicU64 {
    me.arena().at(off.plus(FIXED + 8 * dimension as u64))
}

/// One step of taking an array apart: its note.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let it: &ArrayObject = me.arena().at(off);
    let note = Off(it.note.load(Ordering::Relaxed));
    if note.is_none() {
        return true;
    }
    let mut tx = Tx::begin(me);
    tx.set(&it.note, 0);
    heap::defer_free(me, &mut tx, note);
    crash_point!("array.dismantled");
    tx.commit();
    crash_point!("array.dismantled_done");
    false
}

/// An array, for a thread that holds a reference to it.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    me: &'a Member,
    off: Off,
    it: &'static ArrayObject,
}

/// Who has its lock; for [`crate::sync::object_kinds`].
pub(super) fn holders(me: &Member, off: Off) -> Vec<Holder> {
    let array: &ArrayObject = me.arena().at(off);
    array.object_lock.taken_by(me, Recursion::Allowed).into_iter().collect()
}

/// What it is for people: one item without dimensions is a value.
pub(super) fn sort_name(me: &Member, off: Off) -> &'static str {
    if Array::at(me, off).dimensions() == 0 { "Value" } else { "Array" }
}

impl<'a> Array<'a> {
    /// The array at `off`.
    #[must_use]
    #[inline]
    pub fn at(me: &'a Member, off: Off) -> Self {
        Self { me, off, it: me.arena().at(off) }
    }

    /// Items.
    #[must_use]
    #[inline]
    pub fn len(&self) -> u64 {
        self.it.len.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of an item.
    #[must_use]
    #[inline]
    pub fn item(&self) -> u64 {
        self.it.item.load(Ordering::Relaxed)
    }

    /// Whether the fronts take its guard.
    #[must_use]
    #[inline]
    pub fn guarded(&self) -> bool {
        self.it.form.load(Ordering::Relaxed) & GUARDED != 0
    }

    /// Whether it came to be as a part of a message: see [`create_buffer`].
    #[must_use]
    pub fn carried(&self) -> bool {
        self.it.form.load(Ordering::Relaxed) & CARRIED != 0
    }

    /// The lock that it carries; who takes it is agreed among the fronts: see [`Form::guarded`].
    #[must_use]
    #[inline]
    pub fn object_lock(&self) -> &'static LockWord {
        &self.it.object_lock
    }

    /// The first whole word after the items, as an offset.
    #[inline]
    fn items_end(&self) -> u64 {
        let bytes = self.len() * self.item();
        self.it.data.load(Ordering::Relaxed) + bytes.next_multiple_of(8)
    }

    fn dimensions(&self) -> usize {
        (self.it.form.load(Ordering::Relaxed) & 0xff) as usize
    }

    /// Items along each dimension; none for a single value.
    #[must_use]
    pub fn extents(&self) -> Vec<u64> {
        let n = self.dimensions();
        (0..n).map(|i| extent(self.me, self.off, i).load(Ordering::Relaxed)).collect()
    }

    /// How an item looks: see [`crate::collections::array::pep3118`].
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let mut format = vec![0; (self.it.form.load(Ordering::Relaxed) >> 32) as usize];
        self.me.arena().read(self.off.plus(FIXED + 8 * self.dimensions() as u64), &mut format);
        format
    }

    /// Where its items are, in this process.
    #[must_use]
    pub fn address(&self) -> *mut u8 {
        let start = self.me.arena().start();
        start.wrapping_add(self.it.data.load(Ordering::Relaxed) as usize).cast_mut()
    }

    /// Keeps bytes of the front's own with it, with the objects that they mention. Once, before
    /// anybody else has a handle.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn set_note(&self, tag: u8, bytes: &[u8], references: &[Off]) -> Result<(), OutOfMemory> {
        let savepoint = heap::savepoint(self.me);
        let blob = match blob::create(self.me, tag, &[bytes], references) {
            Ok(blob) => blob,
            Err(e) => {
                heap::free_deferred(self.me, savepoint);
                return Err(e);
            }
        };
        let mut tx = Tx::begin(self.me);
        tx.set(&self.it.note, blob.0);
        heap::release_to(self.me, &mut tx, savepoint);
        crash_point!("array.noted");
        tx.commit();
        crash_point!("array.noted_done");
        Ok(())
    }

    /// The note, if it has one: how to read it, and its bytes.
    #[must_use]
    pub fn note(&self) -> Option<(u8, Vec<u8>)> {
        let blob = Off(self.it.note.load(Ordering::Acquire));
        (!blob.is_none()).then(|| (blob::tag(self.me, blob), blob::read(self.me, blob)))
    }

    /// Where item `index` is.
    ///
    /// # Panics
    /// When there is no such item: the front has checked.
    #[inline]
    fn place(&self, index: u64) -> Off {
        assert!(index < self.len(), "no item {index}");
        Off(self.it.data.load(Ordering::Relaxed) + index * self.item())
    }
}

#[cfg(test)]
mod tests;
