//! What lies in the heap, for who looks while it is in use: without a latch, so what comes and goes
//! meanwhile may be seen or not, and what was read is checked before it is followed.

use super::blocks::header;
use super::kind::Kind;
use super::{size_classes, unit_table};
use crate::atomic::Ordering;
use crate::shm::arena::layout::{CLASSES, HEADER_WORDS, UNIT, unit_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;

/// A block in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it starts.
    pub off: Off,
    /// What it holds: one of [`crate::kinds::block`].
    pub kind: u8,
    /// Its bytes, its header included, as they were asked for.
    pub size: u64,
    /// The bytes that it takes.
    pub room: u64,
}

/// Shows each block in use to `see`, in the order of their places, until that says false; whether it
/// has seen all.
pub fn blocks(me: &Member, see: &mut dyn FnMut(Block) -> bool) -> bool {
    let frontier = me.header().frontier.load(Ordering::Acquire).min(unit_table::total(me));
    let mut unit = 0;
    while unit < frontier {
        let state = unit_table::entry(me, unit).state.load(Ordering::Acquire);
        let (order, class) = (state >> 8 & 0xff, (state >> 16 & 0xff) as usize);
        let (count, goes_on) = match state & 0xff {
            unit_state::FREE => (1 << order.min(40), true),
            unit_state::SLAB if class < CLASSES => {
                (size_classes::units(class), slab(me, unit, class, see))
            }
            unit_state::LARGE => {
                let count = unit_table::units_of(state);
                (count, large(me, unit, count, see))
            }
            unit_state::FLIGHT => (unit_table::units_of(state), true),
            _ => (1, true),
        };
        if !goes_on {
            return false;
        }
        unit += count.max(1);
    }
    true
}

fn slab(me: &Member, unit: u64, class: usize, see: &mut dyn FnMut(Block) -> bool) -> bool {
    let start = unit_table::at(me, unit);
    let room = size_classes::size_of_class(class);
    let carved = unit_table::entry(me, unit).carved.load(Ordering::Acquire);
    for i in 0..carved.min(size_classes::capacity(class)) {
        let off = start.plus(i * room);
        let info = header(me, off).info.load(Ordering::Acquire);
        let block = Block { off, kind: info as u8, size: (info >> 8).min(room), room };
        if Kind::of(info).is_some() && !see(block) {
            return false;
        }
    }
    true
}

fn large(me: &Member, unit: u64, count: u64, see: &mut dyn FnMut(Block) -> bool) -> bool {
    let off = unit_table::at(me, unit);
    let size = unit_table::entry(me, unit).head.load(Ordering::Acquire);
    let info = header(me, off).info.load(Ordering::Acquire);
    let room = count.saturating_mul(UNIT);
    Kind::of(info).is_none() || see(Block { off, kind: info as u8, size: size.min(room), room })
}

/// Offsets that the words of a block may be, in their order, until `see` says false: what looks like
/// the start of a block, which only who knows all blocks can tell.
pub fn candidates(me: &Member, block: &Block, see: &mut dyn FnMut(Off) -> bool) {
    let count = (block.size / 8).saturating_sub(HEADER_WORDS) as usize;
    let Some(words) = me.arena().words(block.off.plus(HEADER_WORDS * 8), count) else { return };
    for word in words {
        let word = word.load(Ordering::Relaxed);
        if word != 0 && word % 16 == 0 && word < me.arena().len() && !see(Off(word)) {
            return;
        }
    }
}
