//! Backing pages of the heap with memory, and the limit on them.
//!
//! Memory is claimed before it is used, so a full machine is an error at a call
//! and never a signal later. Free runs keep some MiB claimed for the next user (`retained`,
//! counted in `super::runs` as runs become free or cease to be); beyond that their pages go
//! back to the system. All of it under `units_latch`.

use super::page_map::{count, words};
use super::usage::OutOfMemory;
use crate::atomic::Ordering;
use crate::os::{cgroup, memfd};
use crate::shm::arena::layout::PAGE;
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// Bytes of free runs that stay claimed at most.
const RETAIN: u64 = 32 << 20;
/// What a request claims at a time, and so the longest that others wait for the units.
pub(super) const STEP: u64 = 4 << 20;
/// A claim at least this large looks at what the cgroup has left.
const LOOK_AT_CGROUP: u64 = 1 << 20;

/// Bytes of free runs that stay claimed at most, in this arena.
pub(super) fn most_retained(me: &Member) -> u64 {
    RETAIN.min(me.header().limit.load(Ordering::Relaxed) / 8)
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
    if sum <= h.limit.load(Ordering::Relaxed) { Ok(()) } else { Err(OutOfMemory::new(me, wanted)) }
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
            .is_some_and(|sum| sum <= h.limit.load(Ordering::Relaxed));
        let all = wanted + to_come;
        let fits_cgroup =
            all < LOOK_AT_CGROUP || cgroup::memory_left().is_none_or(|left| all + (4 << 20) < left);
        if !fits || !fits_cgroup || !back(me, off, len) {
            return Err(OutOfMemory::new(me, len + to_come));
        }
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
fn back(me: &Member, off: Off, len: u64) -> bool {
    let (first, end) = (off.0 / PAGE, (off.0 + len).div_ceil(PAGE));
    debug_assert!(end - first < 1 << 16);
    me.slot().claiming.store(first << 16 | (end - first), Ordering::Release);
    crash_point!("backed_pages.noted");
    let backed = memfd::claim(me.arena().fd(), first * PAGE, (end - first) * PAGE).is_ok();
    crash_point!("backed_pages.backed");
    if !backed {
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
            let _ = memfd::punch(me.arena().fd(), at.0, PAGE);
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
    if memfd::punch(me.arena().fd(), cut.0, len).is_err() {
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
