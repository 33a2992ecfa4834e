//! Runs of units: a buddy allocator.
//!
//! After Knowlton, "A fast storage allocator" (CACM 8(10), 1965). Runs have a power of two of
//! units and start at a multiple of their length. Address space is plentiful, so a run is
//! rounded up freely: only what is used of it is backed by memory ([`super::claims`]).
//!
//! All of it under `units_latch`. A run between its list and its user is in the thread's slot
//! (`run`), so that a death gives it back.

use std::sync::atomic::Ordering;

use super::OutOfMemory;
use super::claims;
use crate::shm::journal::Tx;
use crate::shm::layout::{ORDERS, UNIT, UNITS_AT, Unit, heap_at, unit_state};
use crate::shm::me::Me;
use crate::shm::offset::Off;

/// The table's entry for `unit`.
#[must_use]
pub fn entry(me: &Me, unit: u64) -> &'static Unit {
    me.arena().at(Off(UNITS_AT + unit * size_of::<Unit>() as u64))
}

/// The unit that holds `block`.
#[must_use]
pub fn of(me: &Me, block: Off) -> u64 {
    (block.0 - heap_at(me.arena().len())) / UNIT
}

/// Where `unit` starts.
pub(super) fn at(me: &Me, unit: u64) -> Off {
    Off(heap_at(me.arena().len()) + unit * UNIT)
}

pub(super) fn total(me: &Me) -> u64 {
    (me.arena().len() - heap_at(me.arena().len())) / UNIT
}

/// Takes a run of at least `count` units, the first `backed` bytes of it backed by memory; it is
/// in the thread's `run` then. See [`claims::claim`] for the rest.
pub(super) fn take_backed(
    me: &Me,
    count: u64,
    backed: u64,
    to_come: u64,
    kept: &mut dyn FnMut(Off, u64),
) -> Result<u64, OutOfMemory> {
    loop {
        let unit = take(me, count)?;
        match claims::claim(me, at(me, unit), backed, to_come, kept) {
            Ok(()) => return Ok(unit),
            Err(e) => {
                give_back(me, true);
                if !trim(me) {
                    return Err(e);
                }
            }
        }
    }
}

/// Gives back to the system what free runs keep claimed, for somebody needs it elsewhere. False
/// if there was nothing.
pub(super) fn trim(me: &Me) -> bool {
    let all = &me.header().retained;
    let before = all.load(Ordering::Relaxed);
    while let Some((unit, order)) = first_retaining(me) {
        let left = all.load(Ordering::Relaxed);
        withdraw(me, unit, order);
        give_back(me, false);
        if all.load(Ordering::Relaxed) >= left {
            break;
        }
    }
    all.load(Ordering::Relaxed) < before
}

/// A free run that keeps pages claimed, and its order.
fn first_retaining(me: &Me) -> Option<(u64, usize)> {
    (0..ORDERS).find_map(|order| {
        let mut next = me.header().free_runs[order].load(Ordering::Relaxed);
        while let Some(unit) = next.checked_sub(1) {
            let e = entry(me, unit);
            if e.retained.load(Ordering::Relaxed) != 0 {
                return Some((unit, order));
            }
            next = e.next.load(Ordering::Relaxed);
        }
        None
    })
}

/// Moves a free run from its list to the thread's `run`.
fn withdraw(me: &Me, unit: u64, order: usize) {
    let mut tx = Tx::begin(me);
    unlink(me, &mut tx, unit, order);
    tx.set(&entry(me, unit).state, state(order, unit_state::FLIGHT));
    tx.set(&me.slot().run, unit + 1);
    crash_point!("units.unlinked");
    tx.commit();
    crash_point!("units.taken");
}

fn take(me: &Me, count: u64) -> Result<u64, OutOfMemory> {
    let order = count.next_power_of_two().trailing_zeros() as usize;
    if order >= ORDERS {
        return Err(OutOfMemory::new(me, count.saturating_mul(UNIT)));
    }
    let lists = &me.header().free_runs;
    let found = (order..ORDERS).find(|&o| lists[o].load(Ordering::Relaxed) != 0);
    let Some(mut have) = found else { return take_new(me, order) };
    let unit = lists[have].load(Ordering::Relaxed) - 1;
    let mut retained = entry(me, unit).retained.load(Ordering::Relaxed);
    withdraw(me, unit, have);
    while have > order {
        have -= 1;
        let upper = unit + (1 << have);
        // Most large runs were never used: nothing to count.
        let of_upper =
            if retained == 0 { 0 } else { claims::count(me, at(me, upper), UNIT << have) };
        retained -= of_upper;
        let mut tx = Tx::begin(me);
        link(me, &mut tx, upper, have, of_upper);
        tx.set(&entry(me, unit).state, state(have, unit_state::FLIGHT));
        crash_point!("units.split");
        tx.commit();
        crash_point!("units.split_done");
    }
    Ok(unit)
}

/// Takes a run that was never used.
fn take_new(me: &Me, order: usize) -> Result<u64, OutOfMemory> {
    let frontier = &me.header().frontier;
    loop {
        let at = frontier.load(Ordering::Relaxed);
        if at + (1 << order) > total(me) {
            return Err(OutOfMemory::new(me, UNIT << order));
        }
        let aligned = at.trailing_zeros() as usize;
        let mut tx = Tx::begin(me);
        if at != 0 && aligned < order {
            // What alignment skips becomes free runs.
            link(me, &mut tx, at, aligned, 0);
            tx.set(frontier, at + (1 << aligned));
            crash_point!("units.skipped");
            tx.commit();
            crash_point!("units.skipped_done");
            continue;
        }
        tx.set(&entry(me, at).state, state(order, unit_state::FLIGHT));
        tx.set(frontier, at + (1 << order));
        tx.set(&me.slot().run, at + 1);
        crash_point!("units.grown");
        tx.commit();
        crash_point!("units.grown_done");
        return Ok(at);
    }
}

/// Gives the run in the thread's slot back, joined with its free neighbours. Its pages may
/// stay claimed if `keep`.
///
/// Each step leaves a run in the slot that this can begin with.
pub(in crate::shm) fn give_back(me: &Me, keep: bool) {
    let mut unit = me.slot().run.load(Ordering::Relaxed) - 1;
    let mut order = order_of(entry(me, unit).state.load(Ordering::Relaxed));
    let mut retained = claims::release(me, at(me, unit), UNIT << order, keep);
    loop {
        let buddy = unit ^ (1 << order);
        let in_use = me.header().frontier.load(Ordering::Relaxed);
        let joins = order + 1 < ORDERS
            && buddy + (1 << order) <= in_use
            && entry(me, buddy).state.load(Ordering::Relaxed) == state(order, unit_state::FREE);
        let mut tx = Tx::begin(me);
        if !joins {
            link(me, &mut tx, unit, order, retained);
            tx.set(&me.slot().run, 0);
            crash_point!("units.linked");
            tx.commit();
            crash_point!("units.given_back");
            return;
        }
        retained += entry(me, buddy).retained.load(Ordering::Relaxed);
        unlink(me, &mut tx, buddy, order);
        let (low, high) = (unit.min(buddy), unit.max(buddy));
        order += 1;
        tx.set(&entry(me, high).state, unit_state::BODY);
        tx.set(&entry(me, low).state, state(order, unit_state::FLIGHT));
        tx.set(&me.slot().run, low + 1);
        crash_point!("units.joined");
        tx.commit();
        crash_point!("units.joined_done");
        unit = low;
    }
}

fn state(order: usize, what: u64) -> u64 {
    (order as u64) << 8 | what
}

fn order_of(state: u64) -> usize {
    (state >> 8 & 0xff) as usize
}

/// Makes `unit` the head of a free run, `retained` bytes of which are claimed.
fn link(me: &Me, tx: &mut Tx<'_>, unit: u64, order: usize, retained: u64) {
    let list = &me.header().free_runs[order];
    let first = list.load(Ordering::Relaxed);
    let e = entry(me, unit);
    tx.set(&e.next, first);
    tx.set(&e.prev, 0);
    tx.set(&e.state, state(order, unit_state::FREE));
    tx.set(&e.retained, retained);
    let all = &me.header().retained;
    tx.set(all, all.load(Ordering::Relaxed) + retained);
    if first != 0 {
        tx.set(&entry(me, first - 1).prev, unit + 1);
    }
    tx.set(list, unit + 1);
    crash_point!("units.link");
}

fn unlink(me: &Me, tx: &mut Tx<'_>, unit: u64, order: usize) {
    let e = entry(me, unit);
    let (next, prev) = (e.next.load(Ordering::Relaxed), e.prev.load(Ordering::Relaxed));
    if prev == 0 {
        tx.set(&me.header().free_runs[order], next);
    } else {
        tx.set(&entry(me, prev - 1).next, next);
    }
    if next != 0 {
        tx.set(&entry(me, next - 1).prev, prev);
    }
    let all = &me.header().retained;
    tx.set(all, all.load(Ordering::Relaxed) - e.retained.load(Ordering::Relaxed));
    crash_point!("units.unlink");
}
