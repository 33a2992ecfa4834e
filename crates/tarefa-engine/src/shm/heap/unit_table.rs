//! The table of units: what each unit of the heap is in use for.

use crate::shm::arena::layout::{UNIT, UNITS_AT, Unit, heap_at, unit_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;

/// The table's entry for `unit`.
#[must_use]
pub(super) fn entry(me: &Member, unit: u64) -> &'static Unit {
    me.arena().at(Off(UNITS_AT + unit * size_of::<Unit>() as u64))
}

/// The unit that holds `block`.
#[must_use]
pub(super) fn of(me: &Member, block: Off) -> u64 {
    (block.0 - heap_at(me.arena().len())) / UNIT
}

/// Where `unit` starts.
pub(super) fn at(me: &Member, unit: u64) -> Off {
    Off(heap_at(me.arena().len()) + unit * UNIT)
}

pub(super) fn total(me: &Member) -> u64 {
    (me.arena().len() - heap_at(me.arena().len())) / UNIT
}

/// The state of the head of a free run.
pub(super) fn free(order: usize) -> u64 {
    (order as u64) << 8 | unit_state::FREE
}

/// The state of the head of a run in flight.
pub(super) fn in_flight(count: u64) -> u64 {
    count << 24 | unit_state::FLIGHT
}

/// The state of the head of a run that holds one large block.
pub(super) fn large(count: u64) -> u64 {
    count << 24 | unit_state::LARGE
}

/// The units of a run in flight, or of a large block.
pub(super) fn units_of(state: u64) -> u64 {
    state >> 24
}
