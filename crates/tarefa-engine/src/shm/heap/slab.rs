//! Small blocks: slabs of one unit, each for blocks of one size.
//!
//! After Bonwick, "The slab allocator" (USENIX Summer 1994). A slab carves blocks from its
//! start as they are asked for, then reuses freed ones from a list threaded through them.
//! All of a class under the class's latch; a class takes units under `units_latch` inside it.

use std::sync::atomic::Ordering;

use super::{Kind, OutOfMemory, header, hook, units};
use crate::shm::journal::Tx;
use crate::shm::layout::{CLASSES, Class, UNIT, heap_at, unit_state};
use crate::shm::me::Me;
use crate::shm::offset::Off;

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

pub(super) fn alloc(me: &Me, kind: Kind, class: usize, size: u64) -> Result<Off, OutOfMemory> {
    let shared: &'static Class = &me.header().classes[class];
    let latch = shared.latch.lock(me);
    if shared.partial.load(Ordering::Relaxed) == 0 {
        grow(me, class)?;
    }
    let unit = shared.partial.load(Ordering::Relaxed) - 1;
    let slab = units::entry(me, unit);
    let block_size = SIZES[class];
    let capacity = UNIT / block_size;
    let mut tx = Tx::begin(me);
    let head = slab.head.load(Ordering::Relaxed);
    let block = if head == 0 {
        let carved = slab.carved.load(Ordering::Relaxed);
        tx.set(&slab.carved, carved + 1);
        Off(heap_at(me.arena().len()) + unit * UNIT + carved * block_size)
    } else {
        tx.set(&slab.head, header(me, Off(head)).next.load(Ordering::Relaxed));
        Off(head)
    };
    let used = slab.used.load(Ordering::Relaxed) + 1;
    tx.set(&slab.used, used);
    if used == capacity {
        unlink(me, &mut tx, shared, unit);
    }
    tx.set(&header(me, block).info, size << 8 | kind as u64);
    hook(me, &mut tx, block);
    crash_point!("slab.hooked");
    tx.commit();
    crash_point!("slab.allocated");
    drop(latch);
    Ok(block)
}

/// Makes a unit a slab of `class`. Its latch is held.
fn grow(me: &Me, class: usize) -> Result<(), OutOfMemory> {
    let units_latch = me.header().units_latch.lock(me);
    let unit = units::take_backed(me, 1, UNIT, 0, &mut |_, _| {})?;
    drop(units_latch);
    let (slab, shared) = (units::entry(me, unit), &me.header().classes[class]);
    let mut tx = Tx::begin(me);
    tx.set(&slab.state, (class as u64) << 16 | unit_state::SLAB);
    tx.set(&slab.head, 0);
    tx.set(&slab.used, 0);
    tx.set(&slab.carved, 0);
    link(me, &mut tx, shared, unit);
    tx.set(&me.slot().run, 0);
    crash_point!("slab.linked");
    tx.commit();
    crash_point!("slab.grown");
    Ok(())
}

/// Frees the first block of the thread's chain.
pub(super) fn free_head(me: &Me, block: Off, class: usize) {
    let shared: &'static Class = &me.header().classes[class];
    let _latch = shared.latch.lock(me);
    let unit = units::of(me, block);
    let slab = units::entry(me, unit);
    let capacity = UNIT / SIZES[class];
    let used = slab.used.load(Ordering::Relaxed);
    let mut tx = Tx::begin(me);
    let b = header(me, block);
    tx.set(&me.slot().chain, b.next.load(Ordering::Relaxed));
    tx.set(&b.info, 0);
    tx.set(&b.next, slab.head.load(Ordering::Relaxed));
    tx.set(&slab.head, block.0);
    tx.set(&slab.used, used - 1);
    if used == capacity {
        link(me, &mut tx, shared, unit);
    }
    // One empty slab stays, so that a block made and freed in turns does not cost a unit.
    let only = used != capacity
        && shared.partial.load(Ordering::Relaxed) == unit + 1
        && slab.next.load(Ordering::Relaxed) == 0;
    let empty = used == 1 && !only;
    if empty {
        unlink(me, &mut tx, shared, unit);
        tx.set(&slab.state, unit_state::FLIGHT);
        tx.set(&me.slot().run, unit + 1);
    }
    crash_point!("slab.unhooked");
    tx.commit();
    crash_point!("slab.freed");
    if empty {
        let _units = me.header().units_latch.lock(me);
        units::give_back(me, true);
    }
}

fn link(me: &Me, tx: &mut Tx<'_>, class: &Class, unit: u64) {
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

fn unlink(me: &Me, tx: &mut Tx<'_>, class: &Class, unit: u64) {
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
}
