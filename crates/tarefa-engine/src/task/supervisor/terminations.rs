//! Killing tasks that were told to end, by SIGTERM, and that do not take the signal.
//!
//! A task may block it or ignore it, on purpose or because a library does. So whoever sends it notes
//! that in the process's slot, and some time later it is looked at how it stands with the signal:
//!
//! | the signal is | the process |
//! |---|---|
//! | ignored, now or when it came | is killed |
//! | pending, and blocked | is killed |
//! | pending, and not blocked | has not come to run: is killed after the next look |
//! | not pending, with a handler | has been told, and it is its handler's to say what follows |
//! | not pending, blocked | has taken it by `sigwait`, unless it is about to come again |
//! | not pending, and would end it | is about to end, or has done away with the signal: the next look |
//!
//! docs/decisions/terminate.md says why.

use std::collections::HashMap;
use std::time::Duration;

use crate::os::clock::now_ns;
use crate::os::procfs::{SignalAction, SignalStands};
use crate::task::deadlines::Deadlines;
use crate::task::limits::GRACE;

/// A process may send the signal to itself again once the grace is over, and ends of that.
const FIRST_LOOK: Duration = GRACE.saturating_add(Duration::from_millis(200));
/// How long after the first look the second is.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Processes that were told to end, by their slots.
#[derive(Debug, Default)]
pub(super) struct Terminations {
    looks: Deadlines<u32>,
    told: HashMap<u32, Told>,
}

/// What is known of one of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// Whether the signal did nothing when it came.
    was_ignored: bool,
    /// Whether the process was looked at before.
    is_second: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Kill,
    LookAgain,
    Leave,
}

impl Told {
    fn what_now(self, stands: Option<SignalStands>) -> What {
        // Nobody can say: better one that goes on than one that ends in its handler.
        let Some(stands) = stands else { return What::Leave };
        if self.was_ignored || stands.action == SignalAction::Ignored {
            return What::Kill;
        }
        if stands.is_pending && (stands.is_blocked || self.is_second) {
            return What::Kill;
        }
        let is_handled = stands.action == SignalAction::Handled;
        match (stands.is_pending, is_handled, self.is_second) {
            (false, true, _) => What::Leave,
            (false, false, true) if stands.is_blocked => What::Leave,
            (_, _, true) => What::Kill,
            (_, _, false) => What::LookAgain,
        }
    }
}

impl Terminations {
    /// When somebody is to be looked at next.
    pub(super) fn first(&self) -> Option<u64> {
        self.looks.first()
    }

    /// The process in slot `index` has ended.
    pub(super) fn remove(&mut self, index: u32) {
        self.looks.remove(index);
        self.told.remove(&index);
    }

    fn look_in(&mut self, index: u32, pause: Duration, told: Told) {
        self.told.insert(index, told);
        self.looks.set(index, now_ns().saturating_add(pause.as_nanos() as u64));
    }

    /// The process in slot `index` was sent SIGTERM, and that stands so with it.
    pub(super) fn add(&mut self, index: u32, stands: Option<SignalStands>) {
        let was_ignored = stands.is_some_and(|stands| stands.action == SignalAction::Ignored);
        match self.told.get_mut(&index) {
            // Told again, it has no more time; but that it ignores it now counts.
            Some(told) => told.was_ignored |= was_ignored,
            None => self.look_in(index, FIRST_LOOK, Told { was_ignored, is_second: false }),
        }
    }

    /// The slot of a process that is to be looked at now.
    pub(super) fn take_due(&mut self) -> Option<(u32, Told)> {
        let index = self.looks.take_passed(now_ns())?;
        Some((index, self.told.remove(&index).unwrap_or_default()))
    }

    /// Whether the process, of which [`Terminations::take_due`] has said that, is to be killed, now that it
    /// stands so with the signal; else it is looked at once more, if it is not clear.
    pub(super) fn is_to_kill(
        &mut self,
        index: u32,
        told: Told,
        stands: Option<SignalStands>,
    ) -> bool {
        let what = told.what_now(stands);
        if what == What::LookAgain {
            self.look_in(index, SECOND_LOOK, Told { is_second: true, ..told });
        }
        what == What::Kill
    }
}

#[cfg(test)]
mod tests {
    use super::Told;
    use super::What::{Kill, Leave, LookAgain};
    use crate::os::procfs::{SignalAction, SignalStands};

    #[test]
    fn who_has_not_taken_it_is_killed_and_whose_handler_was_called_goes_on() {
        let stands = |text: &str| {
            let has = |letter| text.contains(letter);
            let action = match (has('i'), has('h')) {
                (true, _) => SignalAction::Ignored,
                (false, true) => SignalAction::Handled,
                (false, false) => SignalAction::Default,
            };
            Some(SignalStands { is_pending: has('p'), is_blocked: has('b'), action })
        };
        let looks = |was_ignored, text| {
            [false, true].map(|is_second| Told { was_ignored, is_second }.what_now(stands(text)))
        };
        for (text, expected) in [
            ("i", [Kill, Kill]),
            ("ib", [Kill, Kill]),
            ("pb", [Kill, Kill]),
            ("pbh", [Kill, Kill]),
            ("p", [LookAgain, Kill]),
            ("ph", [LookAgain, Kill]),
            ("h", [Leave, Leave]),
            ("bh", [Leave, Leave]),
            ("b", [LookAgain, Leave]),
            ("", [LookAgain, Kill]),
        ] {
            assert_eq!(looks(false, text), expected, "{text:?}");
            assert_eq!(looks(true, text), [Kill, Kill], "{text:?}");
        }
        assert_eq!(Told::default().what_now(None), Leave);
    }
}
