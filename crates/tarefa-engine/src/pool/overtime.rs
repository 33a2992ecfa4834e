//! What is done to a task that runs longer than its limit: it is interrupted, and after a grace time
//! killed, where it can be.

use std::time::Duration;

use crate::task::limits::GRACE;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overtime {
    /// Nothing before that point of the monotonic clock, in nanoseconds.
    Wait(u64),
    /// Interrupt it.
    Interrupt,
    /// It went on after the interrupt: kill it, or interrupt it again where it cannot be killed.
    Kill,
}

fn later(ns: u64, by: Duration) -> u64 {
    ns.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX))
}

/// For a task that began at `began`, may run for `limit`, and was last stopped at `stopped`.
#[must_use]
pub fn overtime(began: u64, limit: Duration, stopped: Option<u64>, now: u64) -> Overtime {
    let due = stopped.map_or_else(|| later(began, limit), |at| later(at, GRACE));
    match (now < due, stopped) {
        (true, _) => Overtime::Wait(due),
        (false, None) => Overtime::Interrupt,
        (false, Some(_)) => Overtime::Kill,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_an_interrupt_then_the_end() {
        let limit = Duration::from_nanos(100);
        let grace = u64::try_from(GRACE.as_nanos()).unwrap();
        assert_eq!(overtime(5, limit, None, 104), Overtime::Wait(105));
        assert_eq!(overtime(5, limit, None, 105), Overtime::Interrupt);
        assert_eq!(overtime(5, limit, Some(105), 106), Overtime::Wait(105 + grace));
        assert_eq!(overtime(5, limit, Some(105), 105 + grace), Overtime::Kill);
        assert_eq!(overtime(5, Duration::MAX, None, u64::MAX - 1), Overtime::Wait(u64::MAX));
    }
}
