//! The lists of free runs, by order: those that keep memory claimed, and those without.
//!
//! All of it under `units_latch`, inside a change of the caller's.

use super::unit_table::{entry, free};
use crate::atomic::Ordering;
use crate::shm::arena::layout::{ORDERS, RunList};
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// Since when a run's memory is unused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Age {
    /// Since now.
    New,
    /// It is the oldest of all, with that stamp.
    Oldest(u64),
}

fn list(me: &Member, order: usize, retained: u64) -> &'static RunList {
    let h = me.header();
    if retained == 0 { &h.cold_runs[order] } else { &h.warm_runs[order] }
}

/// A free run of at least `order`, the smallest of those with memory if there are any; and its
/// order.
pub(super) fn find(me: &Member, order: usize) -> Option<(u64, usize)> {
    let h = me.header();
    [&h.warm_runs, &h.cold_runs].into_iter().find_map(|lists| {
        (order..ORDERS)
            .find_map(|o| Some((lists[o].first.load(Ordering::Relaxed).checked_sub(1)?, o)))
    })
}

/// The run whose memory is unused for longest, and its order.
pub(super) fn oldest(me: &Member) -> Option<(u64, usize)> {
    let last = |o: usize| me.header().warm_runs[o].last.load(Ordering::Relaxed).checked_sub(1);
    let all = (0..ORDERS).filter_map(|o| Some((last(o)?, o)));
    all.min_by_key(|(unit, _)| entry(me, *unit).stamp.load(Ordering::Relaxed))
}

/// Makes `unit` the head of a free run, `retained` bytes of which are claimed.
pub(super) fn link(me: &Member, tx: &mut Tx<'_>, unit: u64, order: usize, retained: u64, age: Age) {
    let (h, list, e) = (me.header(), list(me, order, retained), entry(me, unit));
    let (first, last) = (list.first.load(Ordering::Relaxed), list.last.load(Ordering::Relaxed));
    tx.set(&e.state, free(order));
    tx.set(&e.retained, retained);
    if retained != 0 {
        tx.set(&h.retained, h.retained.load(Ordering::Relaxed) + retained);
    }
    if let (Age::Oldest(stamp), true) = (age, retained != 0) {
        tx.set(&e.stamp, stamp);
        tx.set(&e.next, 0);
        tx.set(&e.prev, last);
        let before = last.checked_sub(1).map_or(&list.first, |last| &entry(me, last).next);
        tx.set(before, unit + 1);
        tx.set(&list.last, unit + 1);
        crash_point!("runs.link_last");
        return;
    }
    if retained != 0 {
        let stamp = h.run_stamps.load(Ordering::Relaxed) + 1;
        tx.set(&h.run_stamps, stamp);
        tx.set(&e.stamp, stamp);
    }
    tx.set(&e.next, first);
    tx.set(&e.prev, 0);
    let after = first.checked_sub(1).map_or(&list.last, |first| &entry(me, first).prev);
    tx.set(after, unit + 1);
    tx.set(&list.first, unit + 1);
    crash_point!("runs.link");
}

/// Takes the free run that `unit` heads out of its list.
pub(super) fn unlink(me: &Member, tx: &mut Tx<'_>, unit: u64, order: usize) {
    let (h, e) = (me.header(), entry(me, unit));
    let retained = e.retained.load(Ordering::Relaxed);
    let list = list(me, order, retained);
    let (next, prev) = (e.next.load(Ordering::Relaxed), e.prev.load(Ordering::Relaxed));
    tx.set(prev.checked_sub(1).map_or(&list.first, |prev| &entry(me, prev).next), next);
    tx.set(next.checked_sub(1).map_or(&list.last, |next| &entry(me, next).prev), prev);
    if retained != 0 {
        tx.set(&h.retained, h.retained.load(Ordering::Relaxed) - retained);
    }
    crash_point!("runs.unlink");
}
