//! Runs of units: a buddy allocator.
//!
//! After Knowlton, "A fast storage allocator" (CACM 8(10), 1965). Free runs have a power of two
//! of units and start at a multiple of their length; two of a kind that make up a larger one are
//! always joined. A run in use starts like a free one, but ends where its user wants: what is
//! left over of the power of two becomes free runs, in steps of a unit (`take`, `put_back`).
//! Only what is used is backed by memory ([`crate::shm::heap::backed_pages`]).
//!
//! All of it under `units_latch`. A run between its list and its user is in the thread's slot
//! (`run`), so that a death gives it back.

use std::time::Duration;

use super::backed_pages;
use super::backed_pages::STEP;
use super::page_map;
use super::runs::{self, Age};
use super::unit_table::{at, entry, free, in_flight, total, units_of};
use super::usage::OutOfMemory;
use crate::atomic::Ordering;
use crate::os::clock::Deadline;
use crate::shm::arena::layout::{ORDERS, UNIT, unit_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// Takes a run of `count` units, the first `backed` bytes of it backed by memory; it is
/// in the thread's `run` then. See [`backed_pages::claim`] for the rest.
pub(super) fn take_backed(
    me: &Member,
    count: u64,
    backed: u64,
    to_come: u64,
    kept: &mut dyn FnMut(Off, u64),
) -> Result<u64, OutOfMemory> {
    loop {
        let unit = take(me, count)?;
        match backed_pages::claim(me, at(me, unit), backed, to_come, kept) {
            Ok(()) => return Ok(unit),
            Err(e) => {
                give_back(me);
                if !trim(me) {
                    return Err(e);
                }
            }
        }
    }
}

/// Gives back to the system what free runs keep claimed, for somebody needs it elsewhere. False
/// if there was nothing.
pub(super) fn trim(me: &Member) -> bool {
    let all = &me.header().retained;
    let before = all.load(Ordering::Relaxed);
    while let Some((unit, order)) = runs::oldest(me) {
        let left = all.load(Ordering::Relaxed);
        withdraw(me, unit, order);
        put_back(me, 0, Age::New);
        if all.load(Ordering::Relaxed) >= left {
            break;
        }
    }
    all.load(Ordering::Relaxed) < before
}

/// Gives back to the system what free runs keep claimed beyond what they may, the oldest first, a
/// step at a time: the latch is taken for each. Where it is not to be had for so long, they wait for the
/// next who does this.
pub(super) fn shed(me: &Member, patience: Option<Duration>) {
    let h = me.header();
    loop {
        let most = backed_pages::most_retained(me);
        if h.retained.load(Ordering::Relaxed) <= most {
            return;
        }
        let limit = || Deadline::after(patience);
        let Some(_latch) = h.units_latch.lock_until(me, limit) else { return };
        let before = h.retained.load(Ordering::Relaxed);
        let Some((unit, order)) = runs::oldest(me) else { return };
        let Some(over) = before.checked_sub(most).filter(|n| *n > 0) else { return };
        let stamp = entry(me, unit).stamp.load(Ordering::Relaxed);
        let has = entry(me, unit).retained.load(Ordering::Relaxed);
        withdraw(me, unit, order);
        put_back(me, has.saturating_sub(over.min(STEP)), Age::Oldest(stamp));
        if h.retained.load(Ordering::Relaxed) >= before {
            return;
        }
    }
}

/// Moves a free run from its list to the thread's `run`.
fn withdraw(me: &Member, unit: u64, order: usize) {
    let mut tx = Tx::begin(me);
    runs::unlink(me, &mut tx, unit, order);
    tx.set(&entry(me, unit).state, in_flight(1 << order));
    tx.set(&me.slot().run, unit + 1);
    crash_point!("units.unlinked");
    tx.commit();
    crash_point!("units.taken");
}

/// Takes a run of `count` units, with pages if there is one.
fn take(me: &Member, count: u64) -> Result<u64, OutOfMemory> {
    let order = count.next_power_of_two().trailing_zeros() as usize;
    if order >= ORDERS {
        return Err(OutOfMemory::new(me, count.saturating_mul(UNIT)));
    }
    let Some((mut unit, have)) = runs::find(me, order) else {
        return take_new(me, count, order);
    };
    let mut retained = entry(me, unit).retained.load(Ordering::Relaxed);
    withdraw(me, unit, have);
    // Most large runs were never used: nothing to count.
    let pages = |retained: u64, unit: u64, order: usize| {
        if retained == 0 { 0 } else { page_map::count(me, at(me, unit), UNIT << order) }
    };
    for half in (order..have).rev() {
        let (lower, upper) = (unit, unit + (1 << half));
        let of_upper = pages(retained, upper, half);
        let of_lower = retained - of_upper;
        // The half with more memory is used, the other becomes free.
        let (used, free, of_free) =
            if of_upper > of_lower { (upper, lower, of_lower) } else { (lower, upper, of_upper) };
        retained -= of_free;
        let mut tx = Tx::begin(me);
        runs::link(me, &mut tx, free, half, of_free, Age::New);
        tx.set(&entry(me, used).state, in_flight(1 << half));
        tx.set(&me.slot().run, used + 1);
        crash_point!("units.split");
        tx.commit();
        crash_point!("units.split_done");
        unit = used;
    }
    // What is behind the last unit wanted becomes free, the largest pieces first.
    let mut end = 1 << order;
    for piece in (0..order).rev() {
        if end - (1 << piece) < count {
            continue;
        }
        end -= 1 << piece;
        let of_piece = pages(retained, unit + end, piece);
        retained -= of_piece;
        let mut tx = Tx::begin(me);
        runs::link(me, &mut tx, unit + end, piece, of_piece, Age::New);
        tx.set(&entry(me, unit).state, in_flight(end));
        crash_point!("units.cut");
        tx.commit();
        crash_point!("units.cut_done");
    }
    Ok(unit)
}

/// Takes a run that was never used.
fn take_new(me: &Member, count: u64, order: usize) -> Result<u64, OutOfMemory> {
    let frontier = &me.header().frontier;
    loop {
        let at = frontier.load(Ordering::Relaxed);
        if at + count > total(me) {
            return Err(OutOfMemory::new(me, count * UNIT));
        }
        // What alignment skips becomes a free run first.
        let aligned = at.trailing_zeros() as usize;
        let skips = at != 0 && aligned < order;
        let taken = if skips { 1 << aligned } else { count };
        let mut tx = Tx::begin(me);
        tx.set(&entry(me, at).state, in_flight(taken));
        tx.set(frontier, at + taken);
        tx.set(&me.slot().run, at + 1);
        crash_point!("units.grown");
        tx.commit();
        crash_point!("units.grown_done");
        if skips {
            put_back(me, 0, Age::New);
            crash_point!("units.skipped");
            continue;
        }
        return Ok(at);
    }
}

/// Gives the run in the thread's slot back, joined with its free neighbours, with its pages. The
/// caller calls [`shed`] once it has let go of the latch.
pub(super) fn give_back(me: &Member) {
    put_back(me, u64::MAX, Age::New);
}

/// The same for what a dead thread was about to use or to give back: its pages may be marked
/// without being backed, and go.
pub(in crate::shm) fn give_back_for_dead(me: &Member) {
    put_back(me, 0, Age::New);
}

/// Gives the run in the thread's slot back, joined with its free neighbours; `keep` bytes of it
/// stay claimed.
///
/// Each step leaves a run in the slot that this can begin with.
fn put_back(me: &Member, keep: u64, age: Age) {
    let mut unit = me.slot().run.load(Ordering::Relaxed) - 1;
    let mut count = units_of(entry(me, unit).state.load(Ordering::Relaxed));
    let mut retained = backed_pages::release(me, at(me, unit), UNIT * count, keep);
    loop {
        // The last piece of the run, and the run that makes up a larger one with it: for a
        // piece among several that is the one behind it.
        let order = count.trailing_zeros() as usize;
        let whole = count.is_power_of_two();
        let last = unit + count - (1 << order);
        let buddy = last ^ (1 << order);
        let in_use = me.header().frontier.load(Ordering::Relaxed);
        let joins = order + 1 < ORDERS
            && buddy + (1 << order) <= in_use
            && entry(me, buddy).state.load(Ordering::Relaxed) == free(order);
        let mut tx = Tx::begin(me);
        if joins {
            retained += entry(me, buddy).retained.load(Ordering::Relaxed);
            runs::unlink(me, &mut tx, buddy, order);
            let first = unit.min(buddy);
            count += 1 << order;
            tx.set(&entry(me, unit.max(buddy)).state, unit_state::BODY);
            tx.set(&entry(me, first).state, in_flight(count));
            tx.set(&me.slot().run, first + 1);
            crash_point!("units.joined");
            tx.commit();
            crash_point!("units.joined_done");
            unit = first;
        } else if whole {
            runs::link(me, &mut tx, unit, order, retained, age);
            tx.set(&me.slot().run, 0);
            crash_point!("units.linked");
            tx.commit();
            crash_point!("units.given_back");
            return;
        } else {
            let of_last =
                if retained == 0 { 0 } else { page_map::count(me, at(me, last), UNIT << order) };
            retained -= of_last;
            count -= 1 << order;
            runs::link(me, &mut tx, last, order, of_last, age);
            tx.set(&entry(me, unit).state, in_flight(count));
            crash_point!("units.shortened");
            tx.commit();
            crash_point!("units.shortened_done");
        }
    }
}
