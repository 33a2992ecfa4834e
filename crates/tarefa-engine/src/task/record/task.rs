//! A task's record, for those who hold a reference to it: how it moves from state to state.

use super::layout::{
    DELIVERED, FORKED, OVER_TIME, OVER_TIME_KILLED, Record, SLEEPERS, STARTER, exit_of, exit_word,
    flag, note_words,
};
use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::os::clock::now_ns;
use crate::os::futex;
use crate::os::pidfd::Exit;
use crate::os::rusage::Usage;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::member::slots;
use crate::shm::object;
use crate::shm::object::{blob, refcount};
use crate::shm::tx::journal::Tx;
use crate::sync::wait;
use crate::task::depth;
use crate::task::identity;
use crate::task::state::State;

/// An outcome on its way in: its tag, its bytes in parts, and the objects these mention.
pub type Outgoing<'a> = (u8, &'a [&'a [u8]], &'a [Off]);

/// A task's record, for a thread that holds a reference to it.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub(super) me: &'a Member,
    pub(super) off: Off,
    pub(super) it: &'static Record,
}

/// Makes a record; this process holds a reference to it.
///
/// The name is text as its front encodes it: UTF-8, but for what a language has in its strings that
/// UTF-8 has not.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member, flags: u32, name: impl AsRef<[u8]>) -> Result<Off, OutOfMemory> {
    let name = name.as_ref();
    let savepoint = heap::savepoint(me);
    let mut named = false;
    let note = if flags & flag::THREAD == 0 { note_words() as u64 * 8 } else { 0 };
    let made = object::create(me, kinds::TASK, size_of::<Record>() as u64 + note).and_then(|off| {
        let it = Task::at(me, off).it;
        it.flags.store(flags, Ordering::Relaxed);
        crash_point!("task.flags");
        named = it.set_short_name(name);
        refcount::adopt(me, off, savepoint).map(|()| off)
    });
    match made {
        Err(_) => heap::free_deferred(me, savepoint),
        Ok(_) if named => {}
        Ok(off) => {
            if let Err(e) = Task::at(me, off).set_name(name) {
                refcount::release(me, off);
                return Err(e);
            }
        }
    }
    made
}

/// One step of taking a record apart: its blobs.
pub(in crate::task) fn destroy_step(me: &Member, off: Off) -> bool {
    let it = Task::at(me, off).it;
    let [first_note, second_note] = &it.notes;
    for word in [&it.payload, &it.outcome, &it.name, first_note, second_note, &it.identity] {
        let blob = Off(word.load(Ordering::Relaxed));
        if !blob.is_none() {
            let mut tx = Tx::begin(me);
            tx.set(word, 0);
            heap::defer_free(me, &mut tx, blob);
            crash_point!("task.dismantled");
            tx.commit();
            crash_point!("task.dismantled_done");
            return false;
        }
    }
    true
}

impl<'a> Task<'a> {
    /// The record at `off`.
    #[must_use]
    pub fn at(me: &'a Member, off: Off) -> Self {
        Self { me, off, it: me.arena().at(off) }
    }

    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> Off {
        self.off
    }

    pub(in crate::task) fn it(&self) -> &'static Record {
        self.it
    }

    pub(in crate::task) fn me(&self) -> &'a Member {
        self.me
    }

    /// The state's word, with its marks.
    pub(in crate::task) fn word(&self) -> u32 {
        self.it.state.load(Ordering::Acquire)
    }

    /// Its state as its word says, whatever has become of its process.
    pub(in crate::task) fn state_now(&self) -> State {
        State::from_number(self.word() & 0xff)
    }

    /// Sets `savepoint` if it runs, has the savepoint `after` (0 for any) and not `savepoint` yet.
    pub(in crate::task) fn mark_while_running(&self, savepoint: u32, after: u32) -> bool {
        let marked = self.it.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |seen| {
            let fits = State::from_number(seen & 0xff) == State::Running
                && seen & savepoint == 0
                && seen & after == after;
            fits.then_some(seen | savepoint)
        });
        crash_point!("task.marked");
        marked.is_ok()
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self) -> State {
        let word = self.it.state.load(Ordering::Acquire);
        let state = State::from_number(word & 0xff);
        if matches!(state, State::Starting | State::Running) && self.process_died() {
            self.publish(State::Killed);
            return State::from_number(self.it.state.load(Ordering::Acquire) & 0xff);
        }
        state
    }

    pub(super) fn process_died(&self) -> bool {
        let owner = self.it.owner.load(Ordering::Acquire) as u32;
        owner != 0 && slots::living_owner(self.me.arena(), owner).is_none()
    }

    /// Moves on if the state is one of `from`. Wakes joiners.
    fn advance(&self, from: &[State], to: u32) -> bool {
        wait::waking(self.me, &self.it.state, || {
            loop {
                let seen = self.it.state.load(Ordering::Acquire);
                if !from.contains(&State::from_number(seen & 0xff)) {
                    return false;
                }
                let mut kept = OVER_TIME | OVER_TIME_KILLED | DELIVERED;
                if to == State::Running as u32 && seen & STARTER == 0 {
                    // They wait for its end, and sleep on.
                    kept |= SLEEPERS;
                }
                let to = to | seen & kept;
                // SYNC POINT: publishes the outcome; pairs with the acquire load in `state`.
                let swap =
                    self.it.state.compare_exchange(seen, to, Ordering::AcqRel, Ordering::Acquire);
                crash_point!("task.advanced");
                if swap.is_ok() {
                    if (seen & !to) & SLEEPERS != 0 {
                        futex::wake_all(&self.it.state);
                    }
                    return true;
                }
            }
        })
    }

    fn publish(&self, end: State) -> bool {
        self.advance(&[State::Starting, State::Running], end as u32)
    }

    /// `New → Starting`; false if it was started before.
    #[must_use]
    pub fn begin(&self) -> bool {
        let it = self.it;
        if it.state_now() == State::New as u32 {
            // What is left of an attempt that failed.
            for word in [&it.kill_with, &it.owner, &it.pid] {
                if word.load(Ordering::Relaxed) != 0 {
                    word.store(0, Ordering::Release);
                    crash_point!("task.attempt_forgotten");
                }
            }
        }
        self.advance(&[State::New], State::Starting as u32)
    }

    /// Back to `New`, after a start that failed.
    pub fn unbegin(&self) {
        self.advance(&[State::Starting], State::New as u32);
    }

    /// The process has been forked for it.
    pub(in crate::task) fn forked(&self, pid: i32) {
        self.it.pid.store(pid as u64, Ordering::Release);
        crash_point!("task.pid");
        wait::waking(self.me, &self.it.state, || {
            let starting = State::Starting as u32;
            for sleepers in [0, SLEEPERS, SLEEPERS | STARTER] {
                let swap = self.it.state.compare_exchange(
                    starting | sleepers,
                    starting | FORKED,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                crash_point!("task.forked");
                if swap.is_ok() && sleepers != 0 {
                    futex::wake_all(&self.it.state);
                }
            }
        });
    }

    /// The process could not be forked.
    pub(in crate::task) fn not_forked(&self, error: i32) {
        self.it.error.store(error as u64, Ordering::Release);
        crash_point!("task.error");
        self.advance(&[State::Starting], State::New as u32);
    }

    /// Says in which process it is to run, before it does.
    pub(in crate::task) fn assign(&self, process: u32, pid: i32) {
        let owner = slots::lock_owner(self.me.arena(), process);
        self.it.owner.store(u64::from(owner), Ordering::Release);
        crash_point!("task.owner");
        self.it.pid.store(pid as u64, Ordering::Release);
        crash_point!("task.assigned");
    }

    /// The calling thread runs it from now on. False if it is not to be run.
    #[must_use]
    pub fn run_here(&self) -> bool {
        let runtime = self.me.runtime();
        let index = runtime.process_index();
        let (pid, _) = slots::owner(slots::process_slot(runtime.arena(), index));
        self.assign(index, pid);
        if !self.is_thread() {
            self.die_if_wanted();
        }
        self.it.tid.store(self.me.slot().tid.load(Ordering::Relaxed), Ordering::Relaxed);
        self.it.thread.store(u64::from(self.me.index()) + 1, Ordering::Release);
        self.it.started_ns.store(now_ns(), Ordering::Relaxed);
        self.me.slot().task.store(self.off.0, Ordering::Release);
        crash_point!("task.here");
        if !self.is_thread() {
            depth::is_here(self.it.depth.load(Ordering::Relaxed));
            self.take_over_here();
            // Last of what the starter's ways are: it may take the right to the others away.
            let number = self.it.identity_number.load(Ordering::Acquire);
            let noted = Off(self.it.identity.load(Ordering::Acquire));
            if !identity::take_on_here(self.me, number, noted) {
                return false;
            }
            self.limit_memory_here();
        }
        let runs = self.advance(&[State::Starting], State::Running as u32);
        if runs {
            self.trace_begins();
        }
        if runs && !self.is_thread() {
            self.arm_deadline();
        }
        runs
    }

    /// Ends it: stores the outcome (its tag and bytes, and the objects these mention), the exit
    /// code and the usage, then the state. With no memory for the outcome, the flag
    /// `OUTCOME_LOST` says so.
    pub fn finish(&self, end: State, code: i32, outcome: Option<Outgoing<'_>>) {
        self.store_outcome(outcome);
        let usage = if self.is_thread() { Usage::of_thread() } else { Usage::of_process() };
        self.set_usage(&usage);
        self.it.exit.store(1 << 32 | u64::from(code as u32), Ordering::Relaxed);
        self.it.ended_ns.store(now_ns(), Ordering::Relaxed);
        self.me.slot().task.store(0, Ordering::Release);
        crash_point!("task.ended");
        self.trace_ends(end);
        self.publish(end);
    }

    /// Has its outcome (see [`Task::finish`]) before it ends: who asks for that need not wait for
    /// what it does at its end. [`Task::finish`] without an outcome follows; if it dies before,
    /// the outcome stays.
    pub fn deliver(&self, outcome: Option<Outgoing<'_>>) {
        self.store_outcome(outcome);
        wait::waking(self.me, &self.it.state, || {
            // SYNC POINT: publishes the outcome; pairs with the acquire load in `delivered`.
            let before = self.it.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |seen| {
                Some((seen | DELIVERED) & !SLEEPERS)
            });
            crash_point!("task.delivered");
            if before.is_ok_and(|seen| seen & SLEEPERS != 0) {
                futex::wake_all(&self.it.state);
            }
        });
    }

    /// Whether its outcome is there, though it may run still.
    #[must_use]
    pub fn delivered(&self) -> bool {
        self.word() & DELIVERED != 0
    }

    fn store_outcome(&self, outcome: Option<Outgoing<'_>>) {
        let savepoint = heap::savepoint(self.me);
        if let Some((tag, parts, mentioned)) = outcome {
            if let Ok(blob) = blob::create(self.me, tag, parts, mentioned) {
                let mut tx = Tx::begin(self.me);
                tx.set(&self.it.outcome, blob.0);
                heap::release_to(self.me, &mut tx, savepoint);
                crash_point!("task.outcome");
                tx.commit();
                crash_point!("task.outcome_done");
            } else {
                self.it.flags.fetch_or(flag::OUTCOME_LOST, Ordering::AcqRel);
                crash_point!("task.outcome_lost");
            }
        }
        heap::free_deferred(self.me, savepoint);
    }

    /// Its process has ended, as `exit` says. Keeps an outcome it has published itself.
    pub(in crate::task) fn process_ended(&self, exit: Exit, usage: &Usage) {
        // Not `state`, which would publish the end of a dead process's task before its exit.
        if State::from_number(self.it.state.load(Ordering::Acquire) & 0xff).is_final() {
            return;
        }
        self.it.exit.store(exit_word(exit), Ordering::Relaxed);
        self.it.ended_ns.store(now_ns(), Ordering::Relaxed);
        crash_point!("task.process_ended");
        self.set_usage(usage);
    }

    /// Publishes the end of a task whose process has died.
    pub(in crate::task) fn killed(&self) {
        self.publish(State::Killed);
    }

    fn set_usage(&self, usage: &Usage) {
        let numbers =
            [usage.user_ns, usage.system_ns, usage.peak_bytes, usage.voluntary, usage.involuntary];
        for (word, n) in self.it.usage.iter().zip(numbers) {
            word.store(n, Ordering::Relaxed);
            crash_point!("task.usage");
        }
    }

    /// What it used, once it has ended.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let [user_ns, system_ns, peak_bytes, voluntary, involuntary] =
            std::array::from_fn(|i| self.it.usage[i].load(Ordering::Relaxed));
        Usage { user_ns, system_ns, peak_bytes, voluntary, involuntary }
    }

    /// Nanoseconds it ran, or has run so far.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        let start = self.it.started_ns.load(Ordering::Relaxed);
        let end = self.it.ended_ns.load(Ordering::Relaxed);
        if start == 0 {
            return 0;
        }
        if end == 0 { now_ns() } else { end }.saturating_sub(start)
    }

    pub(in crate::task) fn set_blob(
        &self,
        word: &AtomicU64,
        tag: u8,
        bytes: &[&[u8]],
        refs: &[Off],
    ) -> Result<(), OutOfMemory> {
        let savepoint = heap::savepoint(self.me);
        let result = blob::create(self.me, tag, bytes, refs).map(|blob| {
            let old = Off(word.load(Ordering::Relaxed));
            let mut tx = Tx::begin(self.me);
            tx.set(word, blob.0);
            heap::release_to(self.me, &mut tx, savepoint);
            if !old.is_none() {
                heap::defer_free(self.me, &mut tx, old);
            }
            crash_point!("task.blob");
            tx.commit();
            crash_point!("task.blob_done");
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// Stores what is to run: only before it is started.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn set_payload(&self, tag: u8, bytes: &[&[u8]], refs: &[Off]) -> Result<(), OutOfMemory> {
        self.set_blob(&self.it.payload, tag, bytes, refs)
    }

    /// Frees what was to run.
    pub fn drop_payload(&self) {
        let savepoint = heap::savepoint(self.me);
        let old = Off(self.it.payload.load(Ordering::Relaxed));
        if !old.is_none() {
            let mut tx = Tx::begin(self.me);
            tx.set(&self.it.payload, 0);
            heap::defer_free(self.me, &mut tx, old);
            crash_point!("task.payload_dropped");
            tx.commit();
            crash_point!("task.payload_gone");
        }
        heap::free_deferred(self.me, savepoint);
    }

    /// Frees what was to run if it mentions an end of a pipe: the other side is to see that it is closed
    /// when the last who uses it closes it or dies, and not when the last handle of the task goes. The same
    /// of a slice, whose memory is to be free with the last who looks at it. By the process that has read
    /// it, or after its end.
    pub fn drop_payload_with_ends(&self) {
        let mentions = |at, kind| blob::mentions_kind(self.me, at, kind);
        let ends = |at| mentions(at, kinds::PIPE_END) || mentions(at, kinds::SLICE);
        if self.payload().is_some_and(ends) {
            self.drop_payload();
        }
    }

    /// What is to run. Changes no more after the start, until it is dropped.
    #[must_use]
    pub fn payload(&self) -> Option<Off> {
        Some(Off(self.it.payload.load(Ordering::Acquire))).filter(|o| !o.is_none())
    }

    /// The outcome, once there is one. Never changes.
    #[must_use]
    pub fn outcome(&self) -> Option<Off> {
        Some(Off(self.it.outcome.load(Ordering::Acquire))).filter(|o| !o.is_none())
    }

    /// Its name, to be shown.
    #[must_use]
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.name_bytes()).into_owned()
    }

    /// Its name, as its front encoded it.
    #[must_use]
    pub fn name_bytes(&self) -> Vec<u8> {
        let blob = self.it.name_now();
        if blob.is_none() {
            return self.it.short_name();
        }
        blob::read(self.me, blob)
    }

    /// Names it; before it is started.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn set_name(&self, name: impl AsRef<[u8]>) -> Result<(), OutOfMemory> {
        self.set_blob(&self.it.name, crate::collections::value::tag::STR, &[name.as_ref()], &[])
    }

    /// Whether it is a thread.
    #[must_use]
    pub fn is_thread(&self) -> bool {
        self.flags() & flag::THREAD != 0
    }

    /// See [`flag`].
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.it.flags.load(Ordering::Acquire)
    }

    /// Sets or clears flags.
    pub fn change_flags(&self, set: u32, clear: u32) {
        self.it.flags.fetch_or(set, Ordering::AcqRel);
        self.it.flags.fetch_and(!clear, Ordering::AcqRel);
        crash_point!("task.flags_changed");
    }

    /// The process it runs in; 0 before it is known.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.it.pid.load(Ordering::Acquire) as i32
    }

    /// The thread it runs in; 0 before it is known.
    #[must_use]
    pub fn tid(&self) -> i32 {
        self.it.tid.load(Ordering::Acquire) as i32
    }

    /// The slot of the process it runs in, while that lives.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        slots::living_owner(self.me.arena(), self.it.owner.load(Ordering::Acquire) as u32)
    }

    /// The process that started it, while that lives: its pid, and the task that it runs.
    #[must_use]
    pub fn starter(&self) -> Option<(i32, Option<Off>)> {
        let arena = self.me.arena();
        let starter = self.it.starter.load(Ordering::Acquire) as u32;
        let slot = slots::process_slot(arena, slots::living_owner(arena, starter)?);
        let task = Off(slot.task.load(Ordering::Acquire));
        Some((slots::owner(slot).0, Some(task).filter(|task| !task.is_none())))
    }

    /// How it exited: a code, or a signal.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        exit_of(self.it.exit.load(Ordering::Acquire))
    }

    /// Asks for an interrupt. Who delivers it to the target is the front's affair; a wait of
    /// the engine's looks around at once.
    pub fn request_interrupt(&self) {
        self.it.interrupts.fetch_add(1, Ordering::AcqRel);
        crash_point!("task.interrupt");
        self.wake();
    }

    /// Makes the thread that runs it look around.
    pub fn wake(&self) {
        if let Some(index) = self.it.thread.load(Ordering::Acquire).checked_sub(1) {
            wait::wake(self.me, index as u32);
        }
    }

    /// Takes one interrupt that was asked for and not yet delivered.
    #[must_use]
    pub fn take_interrupt(&self) -> bool {
        let asked = self.it.interrupts.load(Ordering::Acquire);
        let before = self.it.delivered.swap(asked, Ordering::AcqRel);
        crash_point!("task.interrupt_taken");
        before != asked
    }

    /// Whether an interrupt was asked for and not yet delivered.
    #[must_use]
    pub fn interrupt_due(&self) -> bool {
        self.it.interrupts.load(Ordering::Acquire) != self.it.delivered.load(Ordering::Acquire)
    }

    /// Whether its thread sleeps in a wait of the engine's.
    #[must_use]
    pub fn waits_here(&self) -> bool {
        self.it.thread.load(Ordering::Acquire).checked_sub(1).is_some_and(|index| {
            let slot = slots::thread_slot(self.me.arena(), index as u32);
            // Not `waiting_on`, which is noted for waking others too.
            slot.waiting_since.load(Ordering::Acquire) != 0
        })
    }
}
