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

// The conversions are of a type that a macro or a parameter gives; to one of them they are none.
#![allow(clippy::useless_conversion)]

pub mod pep3118;

mod redo;

use crate::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use crate::collections::array::pep3118::Scalar;
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
/// Items that fill a line of the cache or more start at one.
const LINE: u64 = 64;

/// Dimensions there can be, as in NumPy.
pub const DIMENSIONS: usize = 64;
/// Bytes of a format there can be.
pub const FORMAT: usize = 64 * 1024;

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
    let record = if recorded { redo::size(form.item) } else { 0 };
    let before = FIXED + 8 * form.extents.len() as u64 + form.format.len() as u64;
    let align = if bytes >= LINE { LINE } else { 16 };
    // Blocks start at multiples of 16.
    let items = (bytes.next_multiple_of(8) + record).next_multiple_of(16);
    let size = before.next_multiple_of(16) + (align - 16) + items;
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kinds::ARRAY, size).and_then(|off| {
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

/// One item's word.
#[derive(Clone, Copy, Debug)]
enum Word {
    One(&'static AtomicU8),
    Two(&'static AtomicU16),
    Four(&'static AtomicU32),
    Eight(&'static AtomicU64),
}

macro_rules! each {
    ($word:expr, $it:ident: $type:ident => $act:expr) => {
        match $word {
            Word::One($it) => {
                type $type = u8;
                $act
            }
            Word::Two($it) => {
                type $type = u16;
                $act
            }
            Word::Four($it) => {
                type $type = u32;
                $act
            }
            Word::Eight($it) => {
                type $type = u64;
                $act
            }
        }
    };
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

// `each!` converts words of eight bytes as it does the smaller ones.
#[allow(clippy::useless_conversion)]
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

    /// The word `part` of an item, `size` bytes long.
    #[inline(always)]
    fn word_at(&self, place: Off, size: u64) -> Word {
        let arena = self.me.arena();
        match size {
            1 => Word::One(arena.at(place)),
            2 => Word::Two(arena.at(place)),
            4 => Word::Four(arena.at(place)),
            _ => Word::Eight(arena.at(place)),
        }
    }

    /// The bytes that are read and written at once.
    #[inline]
    fn grain(&self) -> u64 {
        1 << self.item().trailing_zeros().min(3)
    }

    /// The only word of an item of 1, 2, 4 or 8 bytes.
    #[inline(always)]
    fn word(&self, index: u64) -> Word {
        let item = self.item();
        assert!(is_word(item), "an item of {item} bytes is no word");
        self.word_at(self.place(index), item)
    }

    /// Whether an item is one word, so that [`Array::load`] and the like may be used.
    #[must_use]
    #[inline]
    pub fn is_atomic(&self) -> bool {
        is_word(self.item())
    }

    /// The item's bits, at one instant.
    ///
    /// # Panics
    /// When there is no such item, or it is no word. So do the others below.
    #[must_use]
    #[inline]
    pub fn load(&self, index: u64) -> u64 {
        each!(self.word(index), it: T => T::into(it.load(Ordering::SeqCst)))
    }

    /// Stores the low bytes of `bits`, at one instant.
    #[inline]
    pub fn store(&self, index: u64, bits: u64) {
        each!(self.word(index), it: T => it.store(bits as T, Ordering::SeqCst));
        crash_point!("array.stored");
    }

    /// Stores the low bytes of `bits` and returns what was there, at one instant.
    #[inline]
    #[must_use]
    pub fn swap(&self, index: u64, bits: u64) -> u64 {
        let old = each!(self.word(index), it: T => T::into(it.swap(bits as T, Ordering::SeqCst)));
        crash_point!("array.swapped");
        old
    }

    /// Stores `new` where `old` is, at one instant; what is there instead, if it is not `old`.
    ///
    /// # Errors
    /// What the item is.
    #[inline]
    pub fn compare_exchange(&self, index: u64, old: u64, new: u64) -> Result<u64, u64> {
        let swap = each!(self.word(index), it: T => {
            it.compare_exchange(old as T, new as T, Ordering::SeqCst, Ordering::SeqCst)
                .map(T::into)
                .map_err(T::into)
        });
        crash_point!("array.exchanged");
        swap
    }

    /// Stores what `change` makes of the item, at one instant, and returns what was there; the
    /// item stays, and is returned, where `change` says `None`. It may be called several times.
    ///
    /// # Errors
    /// What the item is.
    #[inline]
    pub fn update(
        &self,
        index: u64,
        mut change: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        let swap = each!(self.word(index), it: T => {
            it.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| {
                change(old.into()).map(|new| new as T)
            })
            .map(T::into)
            .map_err(T::into)
        });
        crash_point!("array.updated");
        swap
    }

    /// Adds to an integer of at most 63 bits and a sign, at one instant: what it is now.
    ///
    /// # Errors
    /// What it was and stays, if the sum is out of its range.
    #[inline]
    pub fn add_small(&self, index: u64, scalar: Scalar, n: i64) -> Result<i64, i64> {
        let sum = |was: i64| was.checked_add(n).filter(|sum| scalar.small(*sum as u64) == *sum);
        match self.update(index, |old| sum(scalar.small(old)).map(|sum| sum as u64)) {
            Ok(old) => Ok(scalar.small(old) + n),
            Err(old) => Err(scalar.small(old)),
        }
    }

    /// Adds to an integer, at one instant: what it is now.
    ///
    /// # Errors
    /// What it was and stays, if the sum is out of its range.
    #[inline]
    pub fn add(&self, index: u64, scalar: Scalar, n: i128) -> Result<i128, i128> {
        let (least, greatest) = scalar.range().unwrap_or((0, 0));
        let sum = |old: u64| {
            let sum = scalar.integer(old).checked_add(n)?;
            (least..=greatest).contains(&sum).then_some(sum)
        };
        match self.update(index, |old| sum(old).map(|sum| sum as u64)) {
            Ok(old) => Ok(scalar.integer(old) + n),
            Err(old) => Err(scalar.integer(old)),
        }
    }

    /// Copies the items from `first` on out, word by word: as many as `to` has room for.
    pub fn read(&self, first: u64, to: &mut [u8]) {
        let (place, grain) = self.run(first, to.len() as u64);
        for (i, to) in to.chunks_exact_mut(grain as usize).enumerate() {
            match self.word_at(place.plus(i as u64 * grain), grain) {
                Word::One(it) => to[0] = it.load(Ordering::Acquire),
                Word::Two(it) => to.copy_from_slice(&it.load(Ordering::Acquire).to_ne_bytes()),
                Word::Four(it) => to.copy_from_slice(&it.load(Ordering::Acquire).to_ne_bytes()),
                Word::Eight(it) => to.copy_from_slice(&it.load(Ordering::Acquire).to_ne_bytes()),
            }
        }
    }

    /// Stores items from `first` on, word by word.
    pub fn write(&self, first: u64, from: &[u8]) {
        let (place, _) = self.run(first, from.len() as u64);
        self.write_at(place, from);
    }

    /// The same at a place of whole grains within the items.
    fn write_at(&self, place: Off, from: &[u8]) {
        let grain = self.grain();
        for (i, from) in from.chunks_exact(grain as usize).enumerate() {
            let mut bits = [0; 8];
            bits[..from.len()].copy_from_slice(from);
            let bits = u64::from_le_bytes(bits);
            let word = self.word_at(place.plus(i as u64 * grain), grain);
            each!(word, it: T => it.store(bits as T, Ordering::Release));
            crash_point!("array.written");
        }
    }

    /// Where `bytes` of items from `first` on are, and how they are copied.
    ///
    /// # Panics
    /// When there are no such items: the front has checked.
    fn run(&self, first: u64, bytes: u64) -> (Off, u64) {
        let (item, len) = (self.item(), self.len());
        let room = len.checked_sub(first).map(|n| n * item);
        assert!(
            room.is_some_and(|room| bytes <= room) && bytes.checked_rem(item).unwrap_or(0) == 0,
            "no {bytes} bytes of items from {first} on"
        );
        (Off(self.it.data.load(Ordering::Relaxed) + first * item), self.grain())
    }

    /// Copies `from` over the items, all at once and without order: for the creator, who alone
    /// has a handle.
    pub fn fill(&self, from: &[u8]) {
        let (place, _) = self.run(0, from.len() as u64);
        self.me.arena().write(place, from);
        crash_point!("array.filled");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::Runtime;

    fn array(me: &Member, format: &[u8], item: u64, extents: &[u64]) -> Off {
        create(me, Form { format, item, extents, guarded: false }).unwrap()
    }

    #[test]
    fn it_is_what_was_asked_for() {
        let me = Runtime::default().unwrap().me();
        super::super::register();
        for (format, item, extents) in [
            (&b"i"[..], 4, &[][..]),
            (b"d", 8, &[1000]),
            (b"Zd", 16, &[3, 5]),
            (b"T{<b:a:}", 1, &[0]),
            (b"q", 8, &[5, 0, 3]),
            (b"3x", 3, &[7]),
        ] {
            let off = array(&me, format, item, extents);
            let it = Array::at(&me, off);
            assert_eq!(
                (it.format(), it.item(), it.extents()),
                (format.to_vec(), item, extents.to_vec())
            );
            assert_eq!(it.len(), extents.iter().product::<u64>());
            let bytes = it.len() * item;
            let align = if bytes >= 64 { 64 } else { 16 };
            assert_eq!(it.address() as usize % align, 0);
            let mut all = vec![1; bytes as usize];
            it.read(0, &mut all);
            assert!(all.iter().all(|b| *b == 0));
            let pattern: Vec<u8> = (0..bytes).map(|i| (i * 7 + 1) as u8).collect();
            it.write(0, &pattern);
            it.read(0, &mut all);
            assert_eq!(all, pattern);
            it.fill(&pattern);
            refcount::release(&me, off);
        }
    }

    #[test]
    fn a_record_takes_no_place_of_the_items() {
        let me = Runtime::default().unwrap().me();
        super::super::register();
        for (item, extents) in [(16, &[][..]), (3, &[7]), (24, &[5]), (100, &[2, 2]), (16, &[0])] {
            let form = Form { format: b"x", item, extents, guarded: true };
            let off = create(&me, form).unwrap();
            let neighbour = create(&me, form).unwrap();
            let it = Array::at(&me, off);
            let all = |of: u64| {
                let mut bytes = vec![0; (it.len() * item) as usize];
                Array::at(&me, Off(of)).read(0, &mut bytes);
                bytes
            };
            for i in 0..it.len() {
                it.put(i, &vec![i as u8 + 1; item as usize]);
                it.apply_redo();
            }
            let expected: Vec<u8> =
                (0..it.len()).flat_map(|i| vec![i as u8 + 1; item as usize]).collect();
            assert_eq!(all(off.0), expected);
            assert!(all(neighbour.0).iter().all(|b| *b == 0));
            refcount::release(&me, neighbour);
            refcount::release(&me, off);
        }
    }

    #[test]
    #[should_panic(expected = "not the bytes of one item")]
    fn a_part_of_an_item_is_not_put() {
        let me = Runtime::default().unwrap().me();
        super::super::register();
        let off =
            create(&me, Form { format: b"x", item: 16, extents: &[2], guarded: true }).unwrap();
        Array::at(&me, off).put(0, &[1; 8]);
    }

    #[test]
    fn the_note_is_kept_and_freed() {
        let me = Runtime::default().unwrap().me();
        super::super::register();
        let objects = || me.header().objects.load(Ordering::Relaxed);
        let mentioned = array(&me, b"i", 4, &[]);
        let off = array(&me, b"i", 4, &[2]);
        assert_eq!(Array::at(&me, off).note(), None);
        Array::at(&me, off).set_note(17, b"a note", &[mentioned]).unwrap();
        refcount::release(&me, mentioned);
        let before = objects();
        assert_eq!(Array::at(&me, off).note(), Some((17, b"a note".to_vec())));
        refcount::release(&me, off);
        assert!(objects() < before);
    }

    #[test]
    fn sums_stay_in_range() {
        let me = Runtime::default().unwrap().me();
        super::super::register();
        for code in [&b"b"[..], b"B", b"h", b"H", b"i", b"I", b"q", b"Q"] {
            let scalar = Scalar::of(code).unwrap();
            let off = array(&me, code, scalar.size(), &[3]);
            let it = Array::at(&me, off);
            let (least, greatest) = scalar.range().unwrap();
            if let Ok(most) = i64::try_from(greatest) {
                let small = |n: i64| it.add_small(1, scalar, n);
                assert_eq!(small(most), Ok(most));
                assert_eq!(small(1), Err(most));
                assert_eq!(small(i64::MAX), Err(most));
                assert_eq!(small(-most), Ok(0));
                assert_eq!(small(least as i64), Ok(least as i64));
                assert_eq!(small(-1), Err(least as i64));
                it.store(1, 0);
            }
            assert_eq!(it.add(1, scalar, greatest), Ok(greatest));
            assert_eq!(it.add(1, scalar, 1), Err(greatest));
            assert_eq!(it.add(1, scalar, least - greatest), Ok(least));
            assert_eq!(it.add(1, scalar, -1), Err(least));
            assert_eq!(it.add(1, scalar, i128::MIN), Err(least));
            assert_eq!(it.load(0) | it.load(2), 0);
            it.store(0, 5);
            assert_eq!((it.swap(0, 7), it.load(0)), (5, 7));
            assert_eq!(it.compare_exchange(0, 5, 9), Err(7));
            assert_eq!(it.compare_exchange(0, 7, 9), Ok(7));
            assert_eq!(it.update(0, |n| (n == 9).then_some(1)), Ok(9));
            assert_eq!(it.update(0, |n| (n == 9).then_some(1)), Err(1));
            refcount::release(&me, off);
        }
    }

    #[test]
    fn too_much_is_refused() {
        let me = Runtime::default().unwrap().me();
        let make = |item, extents: &[u64]| {
            create(&me, Form { format: b"x", item, extents, guarded: false }).unwrap_err()
        };
        for extents in [&[u64::MAX][..], &[1 << 40, 1 << 40], &[1 << 40], &[1 << 50]] {
            assert!(matches!(make(8, extents), ArrayError::Memory(_)));
        }
        assert_eq!(make(1, &[1; 65]), ArrayError::Dimensions(65));
    }
}
