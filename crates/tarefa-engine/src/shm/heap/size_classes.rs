//! The sizes of small blocks, and how slabs of them are made up.

use crate::shm::arena::layout::{CLASSES, PAGE, UNIT};

/// The sizes: multiples of 16 up to 128, then four to each doubling.
pub(super) const SIZES: [u64; CLASSES] = {
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
pub(super) const MOST_UNITS: u64 = 4;

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

// A slab that gets its first block has room for more.
const _: () = assert!(capacity(CLASSES - 1) >= 2);

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
