//! How many tasks go into a batch: as many as take about as long as a hand-over is worth, by what the
//! tasks before them took.

#![allow(clippy::cast_precision_loss)]

/// What a batch should take, in nanoseconds.
const WORTH: f64 = 2e6;
/// What one should take at least where tasks are few: a hand-over costs about a third of that.
const LEAST: f64 = 1e5;
/// A batch is at most so many times as large as those that were measured. What a longer task then holds
/// up is taken from its worker.
const GROWTH: u32 = 32;
/// The most tasks of a batch.
const MOST: u32 = 1 << 14;
/// How much a new measurement counts beside the former ones.
const WEIGHT: f64 = 0.5;

/// The measured length of tasks, and what follows from it. It is its owner's alone.
#[derive(Clone, Copy, Debug)]
pub struct Sizing {
    /// Tasks that are never separated; a batch is a number of these.
    unit: u32,
    /// The mean length of a task, in nanoseconds; `None` before one was measured.
    mean: Option<f64>,
    /// The largest batch that was measured.
    largest: u32,
}

impl Sizing {
    /// For batches of whole units.
    #[must_use]
    pub fn new(unit: u32) -> Self {
        Self { unit: unit.max(1), mean: None, largest: 0 }
    }

    /// Notes that a batch of `count` tasks took so long.
    pub fn measured(&mut self, count: u32, ns: u64) {
        if count == 0 {
            return;
        }
        let length = ns as f64 / f64::from(count);
        // One that is longer counts at once: too large a batch costs more than too small a one. A larger batch
        // counts more than those before it, which were few tasks and the first ones.
        let weight = if count > self.largest { 1.0 } else { WEIGHT };
        let mean = self.mean.map_or(length, |mean| {
            if length > mean { length } else { mean + (length - mean) * weight }
        });
        self.mean = Some(mean);
        self.largest = self.largest.max(count);
    }

    /// The mean length of a task, in nanoseconds.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.mean
    }

    /// How many tasks the next batch gets, for so many workers, with so many tasks left if that is
    /// known: at least one unit.
    #[must_use]
    pub fn next(&self, workers: u32, left: Option<u64>) -> u32 {
        let by_length = match self.mean {
            None => 1,
            Some(mean) => fitting(WORTH, mean).min(self.largest.saturating_mul(GROWTH)).max(1),
        };
        // The last batches are small, so that all workers end together; but none is too small for its way.
        let least = self.mean.map_or(1, |mean| fitting(LEAST, mean).max(1));
        let by_share = left.map_or(MOST, |left| {
            let share = left / u64::from(workers.max(1)) / 2;
            u32::try_from(share).unwrap_or(MOST).clamp(least, MOST)
        });
        let tasks = by_length.min(by_share);
        tasks.next_multiple_of(self.unit).min((MOST / self.unit).max(1) * self.unit)
    }
}

/// How many tasks take so long, if each takes `mean`.
fn fitting(ns: f64, mean: f64) -> u32 {
    (ns / mean.max(1.0)).min(f64::from(MOST)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_tasks_come_alone() {
        assert_eq!(Sizing::new(1).next(2, None), 1);
        assert_eq!(Sizing::new(5).next(2, Some(1000)), 5);
    }

    #[test]
    fn short_tasks_come_together_long_ones_alone() {
        let mut short = Sizing::new(1);
        for _ in 0..8 {
            let count = short.next(2, None);
            short.measured(count, u64::from(count) * 1000);
        }
        assert_eq!(short.next(2, None), 2000);
        short.measured(2000, 20_000_000_000);
        assert_eq!(short.next(2, None), 1);
    }

    #[test]
    fn the_last_are_shared_out() {
        let mut it = Sizing::new(1);
        it.measured(100, 10_000_000);
        assert_eq!(it.next(2, Some(40)), 10);
        assert_eq!(it.next(2, Some(1)), 1);
    }

    #[test]
    fn the_last_of_short_ones_are_worth_their_way() {
        let mut it = Sizing::new(1);
        it.measured(1000, 1_000_000);
        assert_eq!(it.next(2, Some(2000)), 500);
        assert_eq!(it.next(2, Some(40)), 100);
        assert_eq!(it.next(2, Some(1)), 100);
    }

    #[test]
    fn units_stay_whole() {
        let mut it = Sizing::new(7);
        it.measured(1000, 1_000_000);
        assert_eq!(it.next(2, None) % 7, 0);
        assert_eq!(Sizing::new(100_000).next(1, Some(3)), 100_000);
    }
}
