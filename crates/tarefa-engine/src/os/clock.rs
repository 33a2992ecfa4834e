//! Monotonic time and deadlines.

use std::time::Duration;

use super::current::Current;
use super::system::System;

/// Nanoseconds of `CLOCK_MONOTONIC`: one clock for every process of a machine.
#[must_use]
pub fn now_ns() -> u64 {
    Current::now_ns()
}

/// The same clock as it was at its last tick, some milliseconds ago at most: read in a fraction
/// of the time.
#[must_use]
pub fn coarse_ns() -> u64 {
    Current::coarse_ns()
}

/// A point of `CLOCK_MONOTONIC` at which a wait gives up; `None` waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<u64>);

impl Deadline {
    /// Never.
    pub const NEVER: Self = Self(None);

    /// `timeout` from now; `None` is never. A sum past the clock's end is never.
    #[must_use]
    pub fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|t| now_ns().checked_add(u64::try_from(t.as_nanos()).ok()?)))
    }

    /// That point of the clock.
    #[must_use]
    pub const fn at(ns: u64) -> Self {
        Self(Some(ns))
    }

    /// The point of the clock, `None` for never.
    #[must_use]
    pub const fn at_ns(self) -> Option<u64> {
        self.0
    }

    /// The earlier of the two.
    #[must_use]
    pub fn or_earlier(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }

    /// Whether the point has passed.
    #[must_use]
    pub fn passed(self) -> bool {
        self.0.is_some_and(|at| now_ns() >= at)
    }

    /// The nearer of the two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.into_iter().chain(other.0).min())
    }

    /// What is left, `None` for never.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| Duration::from_nanos(at.saturating_sub(now_ns())))
    }
}
