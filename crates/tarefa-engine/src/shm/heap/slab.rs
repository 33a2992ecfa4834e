//! Small blocks: slabs of one to four units, each for blocks of one size.
//!
//! After Bonwick, "The slab allocator" (USENIX Summer 1994). A slab carves blocks from its
//! start as they are asked for, then reuses freed ones from a list threaded through them.
//! All of a class under the class's latch; a class takes units under `units_latch` inside it.

use super::{Kind, OutOfMemory, defer_free, header, units};
use crate::atomic::Ordering;
use crate::shm::arena::layout::{CLASSES, Class, PAGE, UNIT, heap_at, unit_state};
use crate::shm::arena::offset::Off;
use crate::shm::heap::backed_pages;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// The sizes: multiples of 16 up to 128, then four to each doubling.
const SIZES: [u64; CLASSES] = {
    let mut sizes = [0; CLASSES];
    let mut i = 0;
    let mut size: u64 = 16;
    while i < CLASSES {
        sizes[i] = size;
        let step = if size < 128 { 16 } else { 1 << (size.ilog2() - 2) };
        size += step;
        i += 1;
    }
    sizes
};

/// Blocks larger than this are runs of their own.
pub const LARGEST: u64 = SIZES[CLASSES - 1];

/// The class for blocks of `size` bytes; `None` above [`LARGEST`].
#[must_use]
pub fn class_of(size: u64) -> Option<usize> {
    if size <= 128 {
        return Some((size.max(1).div_ceil(16) - 1) as usize);
    }
    if size > LARGEST {
        return None;
    }
    let log = (size - 1).ilog2();
    let quarter = (size - 1) >> (log - 2) & 3;
    Some(8 + ((log - 7) * 4) as usize + quarter as usize)
}

/// Bytes of a class's blocks.
#[must_use]
pub fn size_of_class(class: usize) -> u64 {
    SIZES[class]
}

/// The order of the runs that are slabs of that class: small ones for small blocks, so that few
/// of them hold little memory.
const fn order(class: usize) -> usize {
    match SIZES[class] {
        0..=1024 => 0,
        1025..=2048 => 1,
        _ => MOST_UNITS.trailing_zeros() as usize,
    }
}

/// Units of the largest slab.
const MOST_UNITS: u64 = 4;

/// Units of a slab of that class.
#[must_use]
pub const fn units(class: usize) -> u64 {
    1 << order(class)
}

/// Blocks of a slab of that class.
#[must_use]
pub const fn capacity(class: usize) -> u64 {
    UNIT * units(class) / SIZES[class]
}

/// Bytes of a slab that are backed by memory: those of its blocks, in whole pages.
#[must_use]
pub fn backed(class: usize) -> u64 {
    (capacity(class) * SIZES[class]).next_multiple_of(PAGE)
}

/// The unit that heads the slab of that class which holds `block`.
fn head_of(me: &Member, block: Off, class: usize) -> u64 {
    units::of(me, block) & !(units(class) - 1)
}

/// Whether `block`, in `unit`, is one that a slab has carved: for offsets that come from outside.
pub(super) fn holds(me: &Member, block: Off, unit: u64) -> bool {
    let heads = (0..=MOST_UNITS.trailing_zeros()).map(|order| unit >> order << order);
    heads.into_iter().any(|head| {
        let entry = units::entry(me, head);
        let state = entry.state.load(Ordering::Acquire);
        let class = (state >> 16 & 0xff) as usize;
        if state & 0xff != unit_state::SLAB || class >= CLASSES || unit - head >= units(class) {
            return false;
        }
        let at = block.0 - units::at(me, head).0;
        at % SIZES[class] == 0 && at / SIZES[class] < entry.carved.load(Ordering::Acquire)
    })
}

pub(super) fn alloc(me: &Member, kind: Kind, class: usize, size: u64) -> Result<Off, OutOfMemory> {
    let shared: &'static Class = &me.header().classes[class];
    let latch = shared.latch.lock(me);
    let unit = match with_room(me, shared) {
        Some(unit) => unit,
        None => grow(me, class)?,
    };
    let slab = units::entry(me, unit);
    let mut tx = Tx::begin(me);
    let head = slab.head.load(Ordering::Relaxed);
    let block = if head == 0 {
        let carved = slab.carved.load(Ordering::Relaxed);
        tx.set(&slab.carved, carved + 1);
        Off(heap_at(me.arena().len()) + unit * UNIT + carved * SIZES[class])
    } else {
        tx.set(&slab.head, header(me, Off(head)).next.load(Ordering::Relaxed));
        Off(head)
    };
    let used = slab.used.load(Ordering::Relaxed) + 1;
    tx.set(&slab.used, used);
    if used == 1 {
        tx.set(&shared.empty, 0);
    } else if used == capacity(class) {
        unlink(me, &mut tx, shared, unit);
    }
    tx.set(&header(me, block).info, size << 8 | kind as u64);
    defer_free(me, &mut tx, block);
    crash_point!("slab.hooked");
    tx.commit();
    crash_point!("slab.allocated");
    drop(latch);
    Ok(block)
}

// A slab that gets its first block has room for more.
const _: () = assert!(capacity(CLASSES - 1) >= 2);

/// A slab with room: the empty one only if there is no other, so that it can go when memory is
/// needed elsewhere.
fn with_room(me: &Member, shared: &Class) -> Option<u64> {
    let unit = shared.partial.load(Ordering::Relaxed).checked_sub(1)?;
    if unit + 1 != shared.empty.load(Ordering::Relaxed) {
        return Some(unit);
    }
    Some(units::entry(me, unit).next.load(Ordering::Relaxed).checked_sub(1).unwrap_or(unit))
}

/// Makes an empty slab of `class`, which has none with room. Its latch is held.
fn grow(me: &Member, class: usize) -> Result<u64, OutOfMemory> {
    let shared: &'static Class = &me.header().classes[class];
    let units_latch = me.header().units_latch.lock(me);
    let unit = units::take_backed(me, units(class), backed(class), 0, &mut |_, _| {})?;
    drop(units_latch);
    let slab = units::entry(me, unit);
    let mut tx = Tx::begin(me);
    tx.set(&slab.state, (class as u64) << 16 | unit_state::SLAB);
    tx.set(&slab.head, 0);
    tx.set(&slab.used, 0);
    tx.set(&slab.carved, 0);
    tx.set(&shared.empty, unit + 1);
    link(me, &mut tx, shared, unit);
    tx.set(&me.slot().run, 0);
    crash_point!("slab.linked");
    tx.commit();
    crash_point!("slab.grown");
    Ok(unit)
}

/// Frees the first block of the thread's chain.
pub(super) fn free_head(me: &Member, block: Off, class: usize) {
    let shared: &'static Class = &me.header().classes[class];
    let latch = shared.latch.lock(me);
    let unit = head_of(me, block, class);
    let slab = units::entry(me, unit);
    let used = slab.used.load(Ordering::Relaxed);
    let mut tx = Tx::begin(me);
    let b = header(me, block);
    tx.set(&me.slot().chain, b.next.load(Ordering::Relaxed));
    tx.set(&b.info, 0);
    tx.set(&b.next, slab.head.load(Ordering::Relaxed));
    tx.set(&slab.head, block.0);
    tx.set(&slab.used, used - 1);
    if used == capacity(class) {
        link(me, &mut tx, shared, unit);
    }
    // One empty slab stays, so that a block made and freed in turns does not cost a run.
    let unneeded = used == 1 && shared.empty.load(Ordering::Relaxed) != 0;
    if unneeded {
        give_up(me, &mut tx, shared, unit, class);
    } else if used == 1 {
        tx.set(&shared.empty, unit + 1);
    }
    crash_point!("slab.unhooked");
    tx.commit();
    crash_point!("slab.freed");
    drop(latch);
    if unneeded {
        give_back(me);
    }
}

/// Gives the empty slabs of all classes back, for memory is needed elsewhere. False if there
/// were none. The thread holds no latch of the heap.
pub(super) fn give_back_empty(me: &Member) -> bool {
    let mut some = false;
    for (class, shared) in me.header().classes.iter().enumerate() {
        let latch = shared.latch.lock(me);
        let Some(unit) = shared.empty.load(Ordering::Relaxed).checked_sub(1) else { continue };
        let mut tx = Tx::begin(me);
        tx.set(&shared.empty, 0);
        give_up(me, &mut tx, shared, unit, class);
        crash_point!("slab.unneeded");
        tx.commit();
        crash_point!("slab.given_up");
        drop(latch);
        give_back(me);
        some = true;
    }
    some
}

/// Bytes that empty slabs keep.
#[must_use]
pub fn kept(me: &Member) -> u64 {
    let kept = |(class, shared): (usize, &Class)| {
        let unit = shared.empty.load(Ordering::Relaxed).checked_sub(1)?;
        Some(backed_pages::count(me, units::at(me, unit), UNIT * units(class)))
    };
    me.header().classes.iter().enumerate().filter_map(kept).sum()
}

/// A slab that is empty becomes a run that the thread gives back.
fn give_up(me: &Member, tx: &mut Tx<'_>, shared: &Class, unit: u64, class: usize) {
    unlink(me, tx, shared, unit);
    tx.set(&units::entry(me, unit).state, units::in_flight(units(class)));
    tx.set(&me.slot().run, unit + 1);
    crash_point!("slab.give_up");
}

fn give_back(me: &Member) {
    {
        let _units = me.header().units_latch.lock(me);
        units::give_back(me);
    }
    units::shed(me);
}

fn link(me: &Member, tx: &mut Tx<'_>, class: &Class, unit: u64) {
    let first = class.partial.load(Ordering::Relaxed);
    let slab = units::entry(me, unit);
    tx.set(&slab.next, first);
    tx.set(&slab.prev, 0);
    if first != 0 {
        tx.set(&units::entry(me, first - 1).prev, unit + 1);
    }
    tx.set(&class.partial, unit + 1);
    crash_point!("slab.link");
}

fn unlink(me: &Member, tx: &mut Tx<'_>, class: &Class, unit: u64) {
    let slab = units::entry(me, unit);
    let (next, prev) = (slab.next.load(Ordering::Relaxed), slab.prev.load(Ordering::Relaxed));
    if prev == 0 {
        tx.set(&class.partial, next);
    } else {
        tx.set(&units::entry(me, prev - 1).next, next);
    }
    if next != 0 {
        tx.set(&units::entry(me, next - 1).prev, prev);
    }
    crash_point!("slab.unlink");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for size in 1..=LARGEST {
            let class = class_of(size).unwrap();
            assert!(SIZES[class] >= size, "{size}");
            assert!(class == 0 || SIZES[class - 1] < size, "{size}");
        }
        assert_eq!(class_of(LARGEST + 1), None);
    }

    #[test]
    fn little_is_wasted() {
        for (class, &size) in SIZES.iter().enumerate() {
            let below = class.checked_sub(1).map_or(0, |c| SIZES[c]);
            let inside = size - (below + 1);
            assert!(inside <= 15 || inside * 5 <= size, "{size}: {inside} bytes");
            let behind = backed(class) - capacity(class) * size;
            assert!(behind * 40 <= backed(class), "{size}: {behind} bytes behind the last");
            assert!(capacity(class) >= 2 && backed(class) <= UNIT * units(class), "{size}");
        }
    }
}
