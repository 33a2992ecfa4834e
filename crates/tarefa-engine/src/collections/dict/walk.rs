//! Reading many keys: iterations and snapshots.

use super::{Dict, DictError};
use crate::atomic::Ordering;
use crate::collections::value::{self, Fetched};

/// What of each entry is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Keys.
    Keys,
    /// Values.
    Values,
    /// Both.
    Pairs,
}

/// From the oldest key to the newest, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they came.
    Up,
    /// The newest first.
    Down,
}

/// Keys by the numbers they were given as they came: `from <= number < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first number.
    pub from: u64,
    /// The number after the last.
    pub to: u64,
}

/// One entry, as far as it was wanted.
#[derive(Debug)]
pub struct Pair {
    /// The key's number.
    pub number: u64,
    /// The key, as it was given.
    pub key: Option<Fetched>,
    /// The value.
    pub value: Option<Fetched>,
}

/// What a dict looked like at one instant.
#[derive(Debug)]
pub struct Snapshot {
    /// For [`super::Terms`].
    pub version: u64,
    /// Its entries, in order.
    pub pairs: Vec<Pair>,
}

impl Dict<'_> {
    /// All keys there are now: an iteration that starts now shows no others.
    #[must_use]
    pub fn all(&self) -> Range {
        Range { from: 0, to: self.it.next.load(Ordering::Acquire) }
    }

    /// The first entries of a range, `most` of them at the most, at one instant. The range is
    /// then what is left of it, and empty once the end was reached.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn walk(
        &self,
        range: &mut Range,
        order: Order,
        what: What,
        most: usize,
    ) -> Result<Vec<Pair>, DictError> {
        let _latch = self.enter()?;
        self.walk_latched(range, order, what, most)
    }

    /// Everything at one instant.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn snapshot(&self, what: What) -> Result<Snapshot, DictError> {
        let _latch = self.enter()?;
        let pairs = self.walk_latched(&mut self.all(), Order::Up, what, usize::MAX)?;
        Ok(Snapshot { version: self.it.version.load(Ordering::Relaxed), pairs })
    }

    fn walk_latched(
        &self,
        range: &mut Range,
        order: Order,
        what: What,
        most: usize,
    ) -> Result<Vec<Pair>, DictError> {
        let mut pairs = Vec::new();
        let Some(store) = self.current() else {
            range.from = range.to;
            return Ok(pairs);
        };
        let (low, high) = (store.position_of(range.from), store.position_of(range.to));
        let mut left = low..high;
        while pairs.len() < most {
            let next = if order == Order::Up { left.next() } else { left.next_back() };
            let Some(position) = next else { break };
            let entry = store.entry(position);
            let key = entry.key.load(Ordering::Relaxed);
            if key == 0 {
                continue;
            }
            let get =
                |wanted: bool, word: u64| wanted.then(|| value::fetch(self.me, word)).transpose();
            pairs.push(Pair {
                number: entry.number.load(Ordering::Relaxed),
                key: get(what != What::Values, key)?,
                value: get(what != What::Keys, entry.value.load(Ordering::Relaxed))?,
            });
        }
        match (left.is_empty(), order, pairs.last()) {
            (false, Order::Up, Some(last)) => range.from = last.number + 1,
            (false, Order::Down, Some(last)) => range.to = last.number,
            _ => range.from = range.to,
        }
        Ok(pairs)
    }
}
