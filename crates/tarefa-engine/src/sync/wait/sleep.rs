//! Sleeping on a word, with a note of what is waited for, and a report if that lasts.

use std::cell::Cell;
use std::time::Duration;

use super::awaited::{Awaited, Outcome};
use super::wait_record;
use super::wait_record::{How, Wanted};
use crate::atomic::Ordering;
use crate::os::clock::Deadline;
use crate::os::futex::{self, Woken};
use crate::shm::Member;
use crate::shm::member::report_request;

/// How often a thread of a forked member looks, while it sleeps, whether the root has ended: nobody
/// would wake it for a death then.
const LOOK_FOR_ROOT: Duration = Duration::from_secs(1);

/// The report that is made of a wait which lasts, once.
#[derive(Debug, Default)]
pub struct Overdue(Cell<bool>);

impl Overdue {
    /// Of a wait that begins.
    #[must_use]
    pub const fn new() -> Self {
        Self(Cell::new(false))
    }

    /// When it is due, of a wait since `since`; never, if it was made.
    #[must_use]
    pub fn due(&self, me: &Member, since: u64) -> Deadline {
        let after = if self.0.get() { None } else { report_request::report_after(me) };
        let at = after.and_then(|a| since.checked_add(u64::try_from(a.as_nanos()).ok()?));
        at.map_or(Deadline::NEVER, Deadline::at)
    }

    /// Asks for it. The wait must be noted, for the report shows it.
    pub fn ask(&self, me: &Member) {
        self.0.set(true);
        report_request::ask_overdue(me);
    }
}

/// One sleep; `None` when the thread is to look around.
pub(super) fn sleep_once(
    me: &Member,
    condition: &mut dyn Awaited,
    deadline: Deadline,
    seen: u32,
    since: u64,
    overdue: &Overdue,
) -> Option<Outcome> {
    let slot = me.slot();
    let word = condition.word();
    let object = condition.object();
    let pause = condition.is_pause();
    let how = if pause { How::Pause } else { How::One };
    let objects = if object.is_none() { &[][..] } else { &[object][..] };
    let _noted = wait_record::note(me, word, Wanted { how, objects }, since, deadline);
    loop {
        let Some(value) = condition.announce() else { break Some(Outcome::Ready) };
        let due = if pause { Deadline::NEVER } else { overdue.due(me, since) };
        let look = if me.runtime().depends_on_root() {
            Deadline::after(Some(LOOK_FOR_ROOT))
        } else {
            Deadline::NEVER
        };
        let until = deadline.min(due).min(look).min(condition.look_again());
        let woken = futex::wait_two((word, value), (&slot.interrupt, seen), until);
        crash_point!("wait.slept");
        if woken == Woken::TimedOut {
            if condition.ready() {
                break Some(Outcome::Ready);
            }
            if until != deadline && !deadline.passed() {
                if due.passed() {
                    overdue.ask(me);
                } else {
                    me.runtime().look_for_root();
                }
                continue;
            }
            break Some(Outcome::TimedOut);
        }
        if woken == Woken::Signal || slot.interrupt.load(Ordering::Acquire) != seen {
            // The sleep may have taken a wake-up meant for one of several: announce, so that
            // the next release wakes the others.
            break condition.announce().is_none().then_some(Outcome::Ready);
        }
    }
}
