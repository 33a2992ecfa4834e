//! Publishing the end of a dead process, and cleaning up after it.
//!
//! Ends are published first, of all that are known to have died; then all of them are released, and
//! who waits is told ([`recovery::release`]); then they leave queues, and what they held comes back.
//! Only then is it freed what they had, in portions, with a look for more deaths between two: so nobody
//! waits for a clean-up, however long it takes. Where a member is stopped in the middle of what one of
//! these needs, that waits until it goes on, and is tried again now and then; all else does not.

use std::time::Duration;

use super::state::{Dead, Progress, Supervisor};
use crate::atomic::Ordering;
use crate::os::clock::{self, Deadline};
use crate::os::pidfd::Exit;
use crate::os::rusage::Usage;
use crate::os::{futex, oom};
use crate::shm::arena::layout::process_state;
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::shm::recovery::{self, Round};
use crate::shm::trace::{self, Event, What};
use crate::task::process::requests;
use crate::task::process::spares::mailbox;
use crate::task::process::zygote_control;
use crate::task::process::zygote_control::Control;
use crate::task::record::{self, Task, flag};
use crate::task::role;

/// For how long it frees what the dead had before it looks for more deaths.
const FREES_FOR: Duration = Duration::from_millis(1);
/// After how many steps it looks at the clock.
const STEPS: u32 = 16;

impl Supervisor<'_> {
    /// Publishes the end of the process in slot `index`. Takes no latch: the dead may have held it.
    pub(super) fn announce(&mut self, index: u32, exit: Exit, usage: &Usage) {
        let (me, runtime) = (self.me, self.me.runtime());
        self.deadlines.remove(index);
        self.terminations.remove(index);
        let slot = slots::process_slot(runtime.arena(), index);
        // What the zygote saw is exact; it has told the task already.
        let told = record::exit_of(slot.exit.load(Ordering::Acquire));
        let exit = told.unwrap_or(exit);
        let task = Some(Off(slot.task.load(Ordering::Acquire))).filter(|o| !o.is_none());
        if let Some(task) = task {
            if told.is_none() {
                Task::at(me, task).process_ended(exit, usage);
            }
        }
        let flags = if self.ran_out_of_memory(exit) { flag::OUT_OF_MEMORY } else { 0 };
        if let Some(task) = task.filter(|_| flags != 0) {
            Task::at(me, task).change_flags(flags, 0);
        }
        if let Some(task) = task.map(|off| Task::at(me, off)) {
            if !task.state_now().is_final() {
                task.take_last_line(index);
            }
        }
        let generation = slots::lock_owner(runtime.arena(), index);
        trace::emit(me, || ended(generation, exit));
        // Before anybody can see that it is dead, and end the program for that.
        self.take_over_untold(index, generation);
        recovery::mark_dead(me, index);
        if let Some(task) = task {
            Task::at(me, task).killed();
            self.note_failure(task);
        }
        let (usage, had_task) = (*usage, task.is_some());
        self.dead.push_back(Dead {
            index,
            exit,
            usage,
            flags,
            generation,
            had_task,
            others_are_returned: false,
            progress: Progress::default(),
        });
    }

    /// Takes from those that have died since what others may wait for, and tells who waits. What a
    /// stopped member keeps it from is tried again each time.
    pub(super) fn release_dead(&mut self) {
        let me = self.me;
        let fresh: Vec<u32> =
            self.dead.iter().filter(|d| !d.progress.is_released).map(|d| d.index).collect();
        if !fresh.is_empty() {
            recovery::release(me, &fresh);
        }
        if self.dead.iter().all(Dead::is_done_with) {
            return;
        }
        let mut round = Round::short();
        for at in 0..self.dead.len() {
            self.dead[at].progress.is_released = true;
            if !self.dead[at].progress.work_is_ended {
                self.dead[at].progress.work_is_ended = self.end_its_work(at, &round);
            }
        }
        for dead in self.dead.iter_mut().filter(|dead| !dead.progress.has_left) {
            dead.progress.has_left = recovery::leave(me, dead.index, &mut round);
        }
    }

    /// What others may wait for of the task layer's. False if a member that is stopped keeps it from
    /// that.
    fn end_its_work(&mut self, at: usize, round: &Round) -> bool {
        let me = self.me;
        let Dead { index, exit, flags, generation, had_task, .. } = self.dead[at];
        let slot = slots::process_slot(me.arena(), index);
        let control = zygote_control::get(me).ok();
        // Who waits for whoever is giving it a task, or telling one, waits for its latch.
        if control.is_some_and(|control| !control.unlist_spare(me, index, round.limit())) {
            self.kill_started_by(generation);
            return false;
        }
        if !had_task {
            // A starter may just have given it a task.
            let late = Off(slot.task.load(Ordering::Acquire));
            if !late.is_none() {
                Task::at(me, late).process_ended(exit, &self.dead[at].usage);
                Task::at(me, late).change_flags(flags, 0);
                Task::at(me, late).killed();
                self.note_failure(late);
            }
        }
        if let Some(control) = control {
            self.unclaim(control, index);
            if slot.role.load(Ordering::Relaxed) == role::ZYGOTE {
                self.zygote_ended(control, slots::owner(slot).0, exit);
            }
        }
        self.kill_started_by(generation);
        true
    }

    /// Cleans up after the first of the dead that can be buried, for some time, and gives its slot back
    /// in the end.
    pub(super) fn bury(&mut self) {
        self.held_up = false;
        let Some(at) = self.dead.iter().position(Dead::is_done_with) else {
            return self.return_others();
        };
        let Dead { index, generation, .. } = self.dead[at];
        let me = self.me;
        self.held_up = recovery::is_held_up(me);
        if self.held_up {
            return;
        }
        if !recovery::return_memory(me, index, &mut pause()) {
            return;
        }
        let slot = slots::process_slot(me.arena(), index);
        let task = Off(slot.task.load(Ordering::Acquire));
        if !task.is_none() {
            Task::at(me, task).drop_payload_with_ends();
        }
        requests::drop_slot_task(me, slot);
        if let Ok(control) = zygote_control::get(me) {
            if !control.forget_requests_of(me, generation, Round::short().limit()) {
                self.held_up = true;
                return;
            }
        }
        // Those too that a request of its was just forked for.
        self.kill_started_by(generation);
        recovery::forget(me, index);
        self.dead.remove(at);
    }

    /// Gives back what those refer to that cannot be buried yet, for some object has to be left first that
    /// a stopped member has the latch of: all but such objects, of the first of them, for some time.
    fn return_others(&mut self) {
        let left = |dead: &Dead| dead.progress.is_released && !dead.others_are_returned;
        let Some(at) = self.dead.iter().position(left) else { return };
        if recovery::is_held_up(self.me) {
            return;
        }
        let done = recovery::return_others(self.me, self.dead[at].index, &mut pause());
        self.dead[at].others_are_returned = done;
    }

    /// Whether the kernel killed a process that ended so for want of memory, by its count, which
    /// says how many and not whom.
    pub(super) fn ran_out_of_memory(&mut self, exit: Exit) -> bool {
        let (Exit::Signal(libc::SIGKILL), Some(told)) = (exit, &mut self.out_of_memory) else {
            return false;
        };
        let more = oom::kills().is_some_and(|kills| kills > *told);
        *told += u64::from(more);
        more
    }

    /// What a dead process had claimed is free again.
    pub(super) fn unclaim(&self, control: &'static Control, index: u32) {
        let runtime = self.me.runtime();
        for other in slots::processes(runtime.arena()) {
            let slot = slots::process_slot(runtime.arena(), other);
            if slot.mailbox.load(Ordering::Acquire) != mailbox::CLAIMED | index << 8 {
                continue;
            }
            // Its claimer died: it may have given it a task already, which nobody waits for.
            let ends = slot.task.load(Ordering::Acquire) != 0
                || !control.list(self.me).any(|spare| spare.index() == other);
            let next = if ends { mailbox::LEAVE } else { mailbox::IDLE };
            slot.mailbox.store(next, Ordering::Release);
            crash_point!("supervisor.unclaimed");
            futex::wake_all(&slot.mailbox);
        }
    }

    /// Tasks end with the process that started them.
    pub(super) fn kill_started_by(&self, generation: u32) {
        let runtime = self.me.runtime();
        for other in slots::processes(runtime.arena()) {
            let slot = slots::process_slot(runtime.arena(), other);
            let (_, state) = slots::owner(slot);
            let started = slot.starter.load(Ordering::Acquire) == u64::from(generation)
                && slot.role.load(Ordering::Relaxed) == role::TASK;
            if started && state == process_state::LIVE {
                // Held by the slot until it is buried, which is this thread's to do.
                let task = Off(slot.task.load(Ordering::Acquire));
                if !task.is_none() {
                    Task::at(self.me, task).change_flags(flag::ENDED_WITH_STARTER, 0);
                }
                self.signal(other, libc::SIGKILL);
            }
        }
    }
}

/// Says when it has been freed for long enough to look for more deaths.
fn pause() -> impl FnMut() -> bool {
    let (mut steps, enough) = (0, Deadline::after(Some(FREES_FOR)));
    move || {
        steps += 1;
        steps % STEPS == 0 && enough.passed()
    }
}

/// What a trace says of the end of a process.
fn ended(owner: u32, exit: Exit) -> Event {
    let (signal, code) = match exit {
        Exit::Signal(signal) => (signal as u32, 0),
        Exit::Code(code) => (0, code as u32),
        Exit::Unknown => (0, 0),
    };
    Event { at_ns: clock::now_ns(), name: 0, what: What::ProcessEnds { owner, signal, code } }
}
