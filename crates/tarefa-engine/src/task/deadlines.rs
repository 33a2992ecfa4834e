//! Points in time, each of somebody's: the next is at hand, any can be taken out.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// At most one point of the monotonic clock, in nanoseconds, for each key.
#[derive(Debug)]
pub(super) struct Deadlines<K> {
    by_time: BTreeSet<(u64, K)>,
    by_key: HashMap<K, u64>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash> Deadlines<K> {
    /// Sets the point of `key`.
    pub(super) fn set(&mut self, key: K, at: u64) {
        self.remove(key);
        self.by_key.insert(key, at);
        self.by_time.insert((at, key));
    }

    /// `key` has none any more.
    pub(super) fn remove(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// The point of `key`.
    pub(super) fn of(&self, key: K) -> Option<u64> {
        self.by_key.get(&key).copied()
    }

    /// The first point.
    pub(super) fn first(&self) -> Option<u64> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out the key whose point came first, if that is not after `now`.
    pub(super) fn take_passed(&mut self, now: u64) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.remove(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::Deadlines;

    #[test]
    fn they_pass_in_order_and_only_what_was_set_last_counts() {
        let mut all = Deadlines::default();
        for (key, at) in [(1, 30), (2, 10), (3, 20), (2, 40), (4, 20)] {
            all.set(key, at);
        }
        all.remove(4);
        all.remove(9);
        assert_eq!((all.first(), all.of(2), all.of(4)), (Some(20), Some(40), None));
        assert_eq!(all.take_passed(19), None);
        let passed: Vec<i32> = std::iter::from_fn(|| all.take_passed(30)).collect();
        assert_eq!(passed, [3, 1]);
        assert_eq!(all.first(), Some(40));
        all.remove(2);
        assert_eq!((all.first(), all.take_passed(u64::MAX)), (None, None));
    }
}
