//! Finding a key, with the latch or without.

use super::key::Canonical;
use super::store::{DUMMY, Store};
use crate::atomic::Ordering;
use crate::shm::Member;

/// Where a key is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) slot: u64,
    pub(super) position: u64,
}

/// Where a key is, or where it would go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probe {
    /// It is there.
    Found(Found),
    /// The first slot on its way that may be taken.
    Free(u64),
}

/// Looks for a key. Without the latch what it says may be nonsense, but it ends, and nothing it
/// reads is a fault.
#[inline]
pub(super) fn probe(me: &Member, store: &Store, hash: u64, key: &Canonical<'_>) -> Probe {
    let (mask, capacity) = (store.mask(), store.capacity());
    let (mut at, mut free) = (hash & mask, None);
    for _ in 0..=mask {
        let seen = store.slot(at).load(Ordering::Acquire);
        if seen == 0 {
            return Probe::Free(free.unwrap_or(at));
        }
        let position = (seen & DUMMY).wrapping_sub(1);
        if position >= capacity {
            free = free.or(Some(at));
        } else if (seen ^ hash) & !DUMMY == 0 {
            let entry = store.entry(position);
            if entry.hash.load(Ordering::Relaxed) == hash
                && key.is_of(me, entry.key.load(Ordering::Relaxed))
            {
                return Probe::Found(Found { slot: at, position });
            }
        }
        at = (at + 1) & mask;
    }
    Probe::Free(free.unwrap_or(at))
}

/// The same, if it is there.
#[inline]
pub(super) fn find(me: &Member, store: &Store, hash: u64, key: &Canonical<'_>) -> Option<Found> {
    match probe(me, store, hash, key) {
        Probe::Found(found) => Some(found),
        Probe::Free(_) => None,
    }
}
