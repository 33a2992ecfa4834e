//! Backing pages of the heap with memory, and the limit on them.
//!
//! Memory is claimed before it is used, so a full machine is an error at a call
//! and never a signal later. Free runs keep some MiB claimed for the next user (`retained`,
//! counted in `super::runs` as runs become free or cease to be); beyond that their pages go
//! back to the system. All of it under `units_latch`.

use std::cell::Cell;
use std::io;

use super::limit;
use super::page_map::{count, words};
use super::usage::{Cause, OutOfMemory};
use crate::atomic::Ordering;
use crate::os::cgroup;
use crate::shm::arena::layout::PAGE;
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// Bytes of free runs that stay claimed at most while little is in use.
const RETAIN: u64 = 32 << 20;
/// The same while much is in use: as much as that, but not more than this.
const MOST_RETAINED: u64 = 256 << 20;
/// What a request claims at a time, and so the longest that others wait for the units.
pub(super) const STEP: u64 = 4 << 20;
/// Without a limit of a cgroup, so much is claimed before it is looked for again.
const UNLIMITED: u64 = 256 << 20;
/// What is left in a cgroup for the private memory of its processes: an eighth of its limit, but not
/// less nor more than this.
const LEAST_LEFT: u64 = 8 << 20;
const MOST_LEFT: u64 = 512 << 20;
/// A claim up to this, as of a slab, may take half of that; one that must not fail, three quarters.
const SMALL: u64 = 64 << 10;

/// Bytes of free runs that stay claimed at most, in this arena: as much as is in use, so that a stream
/// of large blocks, which are freed and made again, needs no new memory, and all is given back with
/// the last of them.
pub(super) fn most_retained(me: &Member) -> u64 {
    let h = me.header();
    let used = h.claimed.load(Ordering::Relaxed).saturating_sub(h.retained.load(Ordering::Relaxed));
    RETAIN.max(used.min(MOST_RETAINED)).min(h.limit.load(Ordering::Relaxed) / 8)
}

/// Whether `wanted` more bytes may be claimed: a first look at the limit, which counts all that
/// free runs keep as there for the taking, before a request is met step by step.
///
/// # Errors
/// [`OutOfMemory`]: it cannot be met.
pub(super) fn fits(me: &Member, wanted: u64) -> Result<(), OutOfMemory> {
    let h = me.header();
    let claimed = h.claimed.load(Ordering::Relaxed);
    let used = claimed.saturating_sub(h.retained.load(Ordering::Relaxed));
    let sum = used.saturating_add(wanted);
    if sum <= limit(me) { Ok(()) } else { Err(OutOfMemory::new(me, wanted)) }
}

thread_local! {
    static OVERDRAWN: Cell<bool> = const { Cell::new(false) };
}

/// Runs `act`, which in the end frees memory, and for which the limit is twice as high: what frees
/// must not fail for want of what it takes for a moment.
pub fn overdrawn<T>(act: impl FnOnce() -> T) -> T {
    let before = OVERDRAWN.replace(true);
    let result = act();
    OVERDRAWN.set(before);
    result
}

/// Runs `act`, and where there is no room for what it allocates once more [above the limit](overdrawn):
/// for notes of a few bytes that somebody needs who is about to take something out.
///
/// # Errors
/// [`OutOfMemory`], where the system has no memory either, or a stopped member has a latch of the heap.
#[inline]
pub fn whatever_is_full<T>(
    mut act: impl FnMut() -> Result<T, OutOfMemory>,
) -> Result<T, OutOfMemory> {
    act().or_else(|e| if e.is_held_up() { Err(e) } else { overdrawn(act) })
}

/// Bytes that the calling thread may have claimed now.
fn limit(me: &Member) -> u64 {
    let limit = me.header().limit.load(Ordering::Relaxed);
    if OVERDRAWN.get() { limit.saturating_mul(2) } else { limit }
}

/// Whether the cgroup has room for `wanted` bytes now and `to_come` more, beside what the
/// processes in it need for themselves. To look takes tens of microseconds: once it has looked, a
/// part of what there is may be claimed without.
///
/// crash: a word that says less than it might makes the next claim look.
fn fits_cgroup(me: &Member, wanted: u64, to_come: u64) -> Result<(), Cause> {
    let credit = &me.header().cgroup_credit;
    let before = credit.load(Ordering::Relaxed);
    if let Some(rest) = before.checked_sub(wanted).filter(|_| to_come <= before) {
        credit.store(rest, Ordering::Relaxed);
        return Ok(());
    }
    let Some(room) = cgroup::memory_left() else {
        credit.store(UNLIMITED, Ordering::Relaxed);
        return Ok(());
    };
    let kept = (room.limit / 8).clamp(LEAST_LEFT, MOST_LEFT);
    let kept = match wanted.saturating_add(to_come) {
        _ if OVERDRAWN.get() => kept / 4,
        0..=SMALL => kept / 2,
        _ => kept,
    };
    let free = room.left.saturating_sub(kept);
    let Some(rest) = free.checked_sub(wanted.saturating_add(to_come)) else {
        credit.store(0, Ordering::Relaxed);
        return Err(Cause::Cgroup { left: room.left, limit: room.limit });
    };
    credit.store(rest / 8, Ordering::Relaxed);
    Ok(())
}

/// Whether there is room for `wanted` more bytes, as far as can be told before the work begins.
///
/// # Errors
/// [`OutOfMemory`].
pub fn check_room(me: &Member, wanted: u64) -> Result<(), OutOfMemory> {
    fits(me, wanted)?;
    if wanted < STEP {
        return Ok(());
    }
    let _latch = limit::lock(&me.header().units_latch, me, wanted)?;
    fits_cgroup(me, 0, wanted).map_err(|cause| OutOfMemory::because(me, wanted, cause))
}

/// Backs the pages that hold `len` bytes at `off` with memory; `to_come` bytes more follow in the
/// same request. Tells `kept` of each range that was backed already, so holds what a former user
/// left there; all else is zero.
pub(super) fn claim(
    me: &Member,
    off: Off,
    len: u64,
    to_come: u64,
    kept: &mut dyn FnMut(Off, u64),
) -> Result<(), OutOfMemory> {
    if len == 0 {
        return Ok(());
    }
    let missing: u64 = words(me, off, len)
        .map(|(word, mask)| u64::from((mask & !word.load(Ordering::Relaxed)).count_ones()))
        .sum();
    let h = me.header();
    let wanted = missing * PAGE;
    if missing > 0 {
        let fits = h
            .claimed
            .load(Ordering::Relaxed)
            .checked_add(wanted)
            .is_some_and(|sum| sum <= limit(me));
        if !fits {
            return Err(OutOfMemory::new(me, len + to_come));
        }
        fits_cgroup(me, wanted, to_come)
            .map_err(|cause| OutOfMemory::because(me, len + to_come, cause))?;
        back(me, off, len).map_err(|e| OutOfMemory::of_claim(me, len + to_come, &e))?;
    }
    let first = off.0 / PAGE / 64 * 64;
    for (i, (word, mask)) in words(me, off, len).enumerate() {
        let before = word.load(Ordering::Relaxed);
        let page = Off((first + i as u64 * 64) * PAGE);
        let mut old = mask & before;
        while old != 0 {
            let (at, count) = (old.trailing_zeros(), (old >> old.trailing_zeros()).trailing_ones());
            kept(page.plus(u64::from(at) * PAGE), u64::from(count) * PAGE);
            old &= u64::MAX.checked_shl(at + count).unwrap_or(0);
        }
        let new = u64::from((mask & !before).count_ones()) * PAGE;
        if new == 0 {
            continue;
        }
        let mut tx = Tx::begin(me);
        tx.set(word, before | mask);
        tx.set(&h.claimed, h.claimed.load(Ordering::Relaxed) + new);
        crash_point!("backed_pages.marked");
        tx.commit();
        crash_point!("backed_pages.marked_done");
    }
    me.slot().claiming.store(0, Ordering::Release);
    crash_point!("backed_pages.claimed");
    Ok(())
}

/// Backs the pages of `len` bytes at `off`, and notes them as about to be marked.
fn back(me: &Member, off: Off, len: u64) -> io::Result<()> {
    let (first, end) = (off.0 / PAGE, (off.0 + len).div_ceil(PAGE));
    debug_assert!(end - first < 1 << 16);
    me.slot().claiming.store(first << 16 | (end - first), Ordering::Release);
    crash_point!("backed_pages.noted");
    let backed = me.arena().claim(first * PAGE, (end - first) * PAGE);
    crash_point!("backed_pages.backed");
    if backed.is_err() {
        return_unmarked(me);
    }
    backed
}

/// A dead thread was about to claim pages: those that it has not marked go back.
pub(in crate::shm) fn unclaim(dead: &Member) {
    if dead.slot().claiming.load(Ordering::Acquire) != 0 {
        // Others may have claimed the same since: they hold the latch from backing to marking.
        let _latch = dead.header().units_latch.lock(dead);
        return_unmarked(dead);
    }
}

/// Gives back the pages of `claiming` that nobody has marked.
fn return_unmarked(me: &Member) {
    let claiming = &me.slot().claiming;
    let noted = claiming.load(Ordering::Relaxed);
    let (first, end) = (noted >> 16, (noted >> 16) + (noted & 0xffff));
    for page in first..end {
        let at = Off(page * PAGE);
        if count(me, at, PAGE) == 0 {
            // A failure leaves the page backed: it is used again by the next claim.
            let _ = me.arena().punch(at.0, PAGE);
        }
    }
    claiming.store(0, Ordering::Release);
    crash_point!("backed_pages.unclaimed");
}

/// The run at `off` is about to be free: the first `keep` bytes of its pages stay claimed, or a
/// little less, and the others are given back. Returns how many bytes stay claimed.
///
/// The run is the thread's, so this can be done again from the start after a death.
pub(super) fn release(me: &Member, off: Off, len: u64, keep: u64) -> u64 {
    let have = count(me, off, len);
    if have <= keep {
        return have;
    }
    let (mut kept, mut cut) = (0, off);
    for (i, (word, mask)) in words(me, off, len).enumerate() {
        let here = u64::from((mask & word.load(Ordering::Relaxed)).count_ones()) * PAGE;
        if kept + here > keep {
            break;
        }
        kept += here;
        cut = Off((off.0 / PAGE / 64 + i as u64 + 1) * 64 * PAGE);
    }
    let len = off.0 + len - cut.0;
    // The memory first: as long as the bits are there, whoever cleans up comes here again.
    // A failure leaves the pages backed: they are used again by the next claim.
    if me.arena().punch(cut.0, len).is_err() {
        return have;
    }
    crash_point!("backed_pages.punched");
    let h = me.header();
    for (word, mask) in words(me, cut, len) {
        let before = word.load(Ordering::Relaxed);
        let gone = u64::from((mask & before).count_ones()) * PAGE;
        if gone == 0 {
            continue;
        }
        let mut tx = Tx::begin(me);
        tx.set(word, before & !mask);
        tx.set(&h.claimed, h.claimed.load(Ordering::Relaxed) - gone);
        crash_point!("backed_pages.unmarked");
        tx.commit();
        crash_point!("backed_pages.unmarked_done");
    }
    kept
}
