//! Small blocks: slabs of one to four units, each for blocks of one size.
//!
//! After Bonwick, "The slab allocator" (USENIX Summer 1994). A slab carves blocks from its
//! start as they are asked for, then reuses freed ones from a list threaded through them.
//! All of a class under the class's latch; a class takes units under `units_latch` inside it.

use std::time::Duration;

use super::blocks::{defer_free, header};
use super::kind::Kind;
use super::limit;
use super::size_classes::{self, MOST_UNITS, SIZES, backed, capacity};
use super::unit_table;
use super::units;
use super::usage::OutOfMemory;
use super::{backed_pages, page_map};
use crate::atomic::Ordering;
use crate::os::clock::Deadline;
use crate::shm::arena::layout::{CLASSES, Class, PAGE, UNIT, heap_at, unit_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// The unit that heads the slab of that class which holds `block`.
fn head_of(me: &Member, block: Off, class: usize) -> u64 {
    unit_table::of(me, block) & !(size_classes::units(class) - 1)
}

/// Whether `block`, in `unit`, is one that a slab has carved: for offsets that come from outside.
pub(super) fn holds(me: &Member, block: Off, unit: u64) -> bool {
    let heads = (0..=MOST_UNITS.trailing_zeros()).map(|order| unit >> order << order);
    heads.into_iter().any(|head| {
        let entry = unit_table::entry(me, head);
        let state = entry.state.load(Ordering::Acquire);
        let class = (state >> 16 & 0xff) as usize;
        if state & 0xff != unit_state::SLAB
            || class >= CLASSES
            || unit - head >= size_classes::units(class)
        {
            return false;
        }
        let at = block.0 - unit_table::at(me, head).0;
        at % SIZES[class] == 0 && at / SIZES[class] < entry.carved.load(Ordering::Acquire)
    })
}

pub(super) fn alloc(me: &Member, kind: Kind, class: usize, size: u64) -> Result<Off, OutOfMemory> {
    let shared: &'static Class = &me.header().classes[class];
    let latch = limit::lock(&shared.latch, me, size)?;
    let unit = match with_room(me, shared) {
        Some(unit) => unit,
        None => grow(me, class)?,
    };
    let slab = unit_table::entry(me, unit);
    let head = slab.head.load(Ordering::Relaxed);
    let carve = if head == 0 { carve(me, unit, class)? } else { (Off::NONE, 0) };
    let mut tx = Tx::begin(me);
    let block = if head == 0 {
        let (block, carved) = carve;
        tx.set(&slab.carved, carved + 1);
        block
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
    tx.set(&header(me, block).info, kind.info(size));
    defer_free(me, &mut tx, block);
    crash_point!("slab.hooked");
    tx.commit();
    crash_point!("slab.allocated");
    drop(latch);
    Ok(block)
}

/// The block that comes next of those that the slab has not carved yet, and its number; its pages
/// are backed. The class's latch is held.
fn carve(me: &Member, unit: u64, class: usize) -> Result<(Off, u64), OutOfMemory> {
    let carved = unit_table::entry(me, unit).carved.load(Ordering::Relaxed);
    let size = SIZES[class];
    let block = Off(heap_at(me.arena().len()) + unit * UNIT + carved * size);
    let pages = (block.0 + size).div_ceil(PAGE) - block.0 / PAGE;
    if page_map::count(me, block, size) < pages * PAGE {
        let _units = limit::lock(&me.header().units_latch, me, size)?;
        backed_pages::claim(me, block, size, 0, &mut |_, _| {})?;
    }
    Ok((block, carved))
}

/// A slab with room: the empty one only if there is no other, so that it can go when memory is
/// needed elsewhere.
fn with_room(me: &Member, shared: &Class) -> Option<u64> {
    let unit = shared.partial.load(Ordering::Relaxed).checked_sub(1)?;
    if unit + 1 != shared.empty.load(Ordering::Relaxed) {
        return Some(unit);
    }
    Some(unit_table::entry(me, unit).next.load(Ordering::Relaxed).checked_sub(1).unwrap_or(unit))
}

/// Makes an empty slab of `class`, which has none with room. Its latch is held.
fn grow(me: &Member, class: usize) -> Result<u64, OutOfMemory> {
    let shared: &'static Class = &me.header().classes[class];
    let units_latch = limit::lock(&me.header().units_latch, me, SIZES[class])?;
    let take = |bytes| units::take_backed(me, size_classes::units(class), bytes, 0, &mut |_, _| {});
    // Where there is not so much, for the first block: `carve` backs the others as they are wanted.
    let unit = take(backed(class)).or_else(|e| take(SIZES[class]).map_err(|_| e))?;
    drop(units_latch);
    let slab = unit_table::entry(me, unit);
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

/// Frees the first block of the thread's chain; false where the latches were not to be had in time.
#[inline]
pub(super) fn free_head(me: &Member, block: Off, class: usize, patience: Option<Duration>) -> bool {
    let shared: &'static Class = &me.header().classes[class];
    let limit = || Deadline::after(patience);
    let Some(latch) = shared.latch.lock_until(me, limit) else { return false };
    let unit = head_of(me, block, class);
    let slab = unit_table::entry(me, unit);
    let used = slab.used.load(Ordering::Relaxed);
    // One empty slab stays, so that a block made and freed in turns does not cost a run.
    let unneeded = used == 1 && shared.empty.load(Ordering::Relaxed) != 0;
    // What it becomes is to be given back at once: a thread has one run in hand.
    let both = unneeded && patience.is_some();
    let units_latch = if both { me.header().units_latch.lock_until(me, limit) } else { None };
    if both && units_latch.is_none() {
        return false;
    }
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
    if unneeded {
        give_up(me, &mut tx, shared, unit, class);
    } else if used == 1 {
        tx.set(&shared.empty, unit + 1);
    }
    crash_point!("slab.unhooked");
    tx.commit();
    crash_point!("slab.freed");
    if let Some(units_latch) = units_latch {
        units::give_back(me);
        drop((units_latch, latch));
        units::shed(me, patience);
        return true;
    }
    drop(latch);
    if unneeded {
        give_back(me);
    }
    true
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

/// A slab that is empty becomes a run that the thread gives back.
fn give_up(me: &Member, tx: &mut Tx<'_>, shared: &Class, unit: u64, class: usize) {
    unlink(me, tx, shared, unit);
    tx.set(&unit_table::entry(me, unit).state, unit_table::in_flight(size_classes::units(class)));
    tx.set(&me.slot().run, unit + 1);
    crash_point!("slab.give_up");
}

fn give_back(me: &Member) {
    {
        let _units = me.header().units_latch.lock(me);
        units::give_back(me);
    }
    units::shed(me, None);
}

fn link(me: &Member, tx: &mut Tx<'_>, class: &Class, unit: u64) {
    let first = class.partial.load(Ordering::Relaxed);
    let slab = unit_table::entry(me, unit);
    tx.set(&slab.next, first);
    tx.set(&slab.prev, 0);
    if first != 0 {
        tx.set(&unit_table::entry(me, first - 1).prev, unit + 1);
    }
    tx.set(&class.partial, unit + 1);
    crash_point!("slab.link");
}

fn unlink(me: &Member, tx: &mut Tx<'_>, class: &Class, unit: u64) {
    let slab = unit_table::entry(me, unit);
    let (next, prev) = (slab.next.load(Ordering::Relaxed), slab.prev.load(Ordering::Relaxed));
    if prev == 0 {
        tx.set(&class.partial, next);
    } else {
        tx.set(&unit_table::entry(me, prev - 1).next, next);
    }
    if next != 0 {
        tx.set(&unit_table::entry(me, next - 1).prev, prev);
    }
    crash_point!("slab.unlink");
}
