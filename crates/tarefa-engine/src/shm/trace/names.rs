//! Names of tasks and functions, each kept once.
//!
//! A place is taken by one swap of its `hash`, filled, and published by a store of the same with its last bit set. Who dies in
//! between leaves a place that nobody uses until the trace is over: another with the same name takes the next one.

use crate::atomic::Ordering;
use crate::shm::arena::Arena;
use crate::shm::arena::layout::{TRACE_NAMES, TraceName, trace_at};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;

/// Places that are looked at for a name.
const TRIES: u64 = 16;

fn place(arena: &'static Arena, index: u64) -> &'static TraceName {
    arena.at(Off(trace_at(arena.len()) + index * size_of::<TraceName>() as u64))
}

/// The number of a name, for events; 0 where there is no room for it, or no trace. What is too long is cut.
pub fn intern(me: &Member, name: &[u8]) -> u16 {
    if name.is_empty() || !super::is_on(me) {
        return 0;
    }
    super::write::inside(me, || find_or_keep(me, name)).unwrap_or(0)
}

/// FNV-1a, with its last bit clear and not 0.
fn hash(name: &[u8]) -> u64 {
    let start: u64 = 0xcbf2_9ce4_8422_2325;
    let all = name.iter().fold(start, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    (all | 2) & !1
}

fn find_or_keep(me: &Member, name: &[u8]) -> u16 {
    let hash = hash(name);
    for step in 0..TRIES {
        let index = (hash >> 2).wrapping_add(step) % TRACE_NAMES;
        let at = place(me.arena(), index);
        let seen = at.hash.load(Ordering::Acquire);
        if seen == hash | 1 {
            return index as u16 + 1;
        }
        if seen == 0
            && at.hash.compare_exchange(0, hash, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            crash_point!("trace.name_taken");
            at.text.set(name);
            // SYNC POINT: publishes the text; pairs with the acquire loads here and in `name_of`.
            at.hash.store(hash | 1, Ordering::Release);
            crash_point!("trace.name_kept");
            return index as u16 + 1;
        }
    }
    0
}

/// The name with that number.
pub(super) fn name_of(arena: &'static Arena, number: u16) -> Option<String> {
    let index = u64::from(number).checked_sub(1).filter(|i| *i < TRACE_NAMES)?;
    let at = place(arena, index);
    (at.hash.load(Ordering::Acquire) & 1 == 1).then(|| at.text.get())
}
