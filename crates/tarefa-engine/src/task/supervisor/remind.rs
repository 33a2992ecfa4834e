//! Reminding those who have still to tell of a failure, and telling for those who died before.

use std::sync::PoisonError;

use super::state::Supervisor;
use super::untold::{Failure, ORPHANED, Orphaned, TELLER};
use crate::atomic::Ordering;
use crate::os::clock::now_ns;
use crate::os::{futex, signal};
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::shm::object::{self, blob, refcount};
use crate::task::cause_of_death::Death;
use crate::task::record::Task;
use crate::task::state::State;

/// After how long a teller that could not is called again, in nanoseconds.
const AGAIN: u64 = 1_000_000_000;

impl Supervisor<'_> {
    /// The process of the task at `off` has ended. Its slot holds the record.
    pub(super) fn note_failure(&mut self, off: Off) {
        let task = Task::at(self.me, off);
        if !task.is_untold() {
            return;
        }
        let starter = task.it().starter.load(Ordering::Acquire) as u32;
        if let Some(index) = slots::living_owner(self.me.arena(), starter) {
            let id = object::header(self.me, off).id.load(Ordering::Relaxed);
            self.untold.failures.push(Failure { record: off, id, starter });
            self.untold.remind(index, task.remind_at());
        } else {
            self.tell_for_the_dead(&task);
        }
    }

    /// The process in slot `index` has died, which locks remember as `generation`; it is not
    /// cleaned up after. Its failures that it has not told become the root's.
    pub(super) fn take_over_untold(&mut self, index: u32, generation: u32) {
        self.untold.reminders.remove(index);
        let failures = std::mem::take(&mut self.untold.failures);
        let (its, others) = failures.into_iter().partition(|f| f.starter == generation);
        self.untold.failures = others;
        for failure in its {
            // What it does not hold it has let go: told, or somebody else's to ask about.
            if refcount::is_held_by(self.me, index, failure.record) {
                if let Some(task) = failure.untold(self.me) {
                    self.tell_for_the_dead(&task);
                }
            }
        }
    }

    /// Copies what there is to tell of a task that nobody frees meanwhile.
    fn tell_for_the_dead(&mut self, task: &Task<'_>) {
        if TELLER.get().is_none() || !task.mark_told() {
            return;
        }
        let outcome = task.outcome().map(|b| (blob::tag(self.me, b), blob::read(self.me, b)));
        let (name, pid, exit) = (task.name(), task.pid(), task.exit());
        let death = (task.state() == State::Killed).then(|| Death::of(task));
        let mut orphaned = ORPHANED.lock().unwrap_or_else(PoisonError::into_inner);
        orphaned.push(Orphaned { name, pid, exit, death, outcome });
        drop(orphaned);
        self.untold.remind(self.me.runtime().process_index(), now_ns());
    }

    /// Reminds those whose time has come.
    pub(super) fn remind(&mut self) {
        let now = now_ns();
        while let Some(index) = self.untold.reminders.take_passed(now) {
            let me = self.me;
            self.untold.failures.retain(|failure| failure.untold(me).is_some());
            let runtime = me.runtime();
            let slot = slots::process_slot(runtime.arena(), index);
            slot.reminders.fetch_add(1, Ordering::AcqRel);
            crash_point!("untold.reminded");
            futex::wake_all(&slot.reminders);
            if index == runtime.process_index() {
                if TELLER.get().is_some_and(|teller| !teller(runtime)) {
                    self.untold.remind(index, now.saturating_add(AGAIN));
                }
                continue;
            }
            // Held by the slot until it is buried, which is this thread's to do.
            let running = Off(slot.task.load(Ordering::Acquire));
            if !running.is_none() && self.lives(index, slot) && Task::at(me, running).wants_signal()
            {
                self.signal(index, signal::interrupt_signal());
            }
        }
    }
}
