//! The record of a task: what everybody who has a handle can see of it.
//!
//! The state is one word that joiners sleep on: the state in the low byte, `FORKED`, and a
//! bit that says somebody sleeps. All that a state promises (the outcome, the exit code, the
//! usage) is stored before the state is. A task whose process is dead, by its slot's
//! generation, counts as killed even before the supervisor has said so.

use super::state::State;
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::kinds;
use crate::os::clock::{Deadline, now_ns};
use crate::os::futex;
use crate::os::pidfd::Exit;
use crate::os::rusage::Usage;
use crate::shm::Member;
use crate::shm::arena::layout::THREADS;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::member::slots;
use crate::shm::object::{self, ObjectHeader};
use crate::shm::object::{blob, refcount};
use crate::shm::tx::journal::Tx;
use crate::sync::wait::wait_record;
use crate::sync::wait::wait_record::{How, Noted, Wanted};
use crate::sync::wait::{self, AdaptiveSpin, Awaited, BlockingHooks, Outcome, Overdue};

const SLEEPERS: u32 = 1 << 31;
/// The process exists, its id is known, the target does not run yet.
const FORKED: u32 = 1 << 8;
/// Its time limit passed while it ran; and it was killed for that. See [`super::limits`].
pub(super) const OVER_TIME: u32 = 1 << 9;
pub(super) const OVER_TIME_KILLED: u32 = 1 << 10;

/// Bits of `flags`.
pub mod flag {
    /// A thread; else a process.
    pub const THREAD: u32 = 1;
    /// Does not keep the program alive.
    pub const DAEMON: u32 = 2;
    /// There was no memory for the outcome.
    pub const OUTCOME_LOST: u32 = 4;
    /// Somebody called `kill()` or `terminate()`.
    pub const KILLED_BY_US: u32 = 8;
    /// An interrupt of it is `os::signal::interrupt_signal` to its process as well.
    pub const INTERRUPT_SIGNAL: u32 = 16;
    /// Somebody has asked for the outcome. See [`unretrieved`](super::super::unretrieved).
    pub const RETRIEVED: u32 = 32;
    /// Somebody tells of the failure, or has.
    pub const TOLD: u32 = 64;
    /// The kernel killed its process for want of memory.
    pub const OUT_OF_MEMORY: u32 = 128;
    /// Its process was killed because its starter's had ended.
    pub const ENDED_WITH_STARTER: u32 = 256;
}

/// Bytes of the name in the record, with its length.
const SHORT: usize = 32;

/// What lies in the arena.
#[repr(C)]
#[derive(Debug)]
pub struct Record {
    object: ObjectHeader,
    state: AtomicU32,
    pub(super) flags: AtomicU32,
    pid: AtomicU64,
    tid: AtomicU64,
    /// [`slots::lock_owner`] of the process it runs in.
    pub(super) owner: AtomicU64,
    /// Thread slot plus 1, while it runs.
    thread: AtomicU64,
    /// 0, or a kind (1 code, 2 signal, 3 unknown) shifted by 32, and the number.
    exit: AtomicU64,
    payload: AtomicU64,
    outcome: AtomicU64,
    /// The blob of a name that is too long for `short_name`, or was given later.
    name: AtomicU64,
    /// The name it was made with: its length in the first byte, then the text.
    short_name: [AtomicU64; SHORT / 8],
    pub(super) started_ns: AtomicU64,
    pub(super) ended_ns: AtomicU64,
    usage: [AtomicU64; 5],
    /// Interrupts asked for, and delivered.
    interrupts: AtomicU32,
    delivered: AtomicU32,
    /// The next in the queue of requests.
    pub(super) next_request: AtomicU64,
    /// Why it could not be started.
    pub(super) error: AtomicU64,
    /// [`slots::lock_owner`] of the process that started it.
    pub(super) starter: AtomicU64,
    /// How long it may run, and how much private memory it may take; 0 without a limit.
    pub(super) time_limit_ns: AtomicU64,
    pub(super) memory_limit: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Record {}

impl Record {
    /// The number of its state, as it stands in the record.
    pub(super) fn state_now(&self) -> u32 {
        self.state.load(Ordering::Acquire) & 0xff
    }

    /// The blob of its name, if it has one.
    pub(super) fn name_now(&self) -> Off {
        Off(self.name.load(Ordering::Acquire))
    }

    /// The name without a blob.
    pub(super) fn short_name(&self) -> String {
        let mut bytes = [0; SHORT];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(&self.short_name) {
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let len = usize::from(bytes[0]).min(SHORT - 1);
        String::from_utf8_lossy(&bytes[1..=len]).into_owned()
    }

    /// Before anybody else sees the record. False if the name is too long.
    fn set_short_name(&self, name: &str) -> bool {
        let mut bytes = [0; SHORT];
        let Some(room) = bytes[1..].get_mut(..name.len()) else { return false };
        room.copy_from_slice(name.as_bytes());
        bytes[0] = name.len() as u8;
        for (chunk, word) in bytes.chunks_exact(8).zip(&self.short_name) {
            word.store(u64::from_le_bytes(std::array::from_fn(|i| chunk[i])), Ordering::Relaxed);
            crash_point!("task.short_name");
        }
        true
    }

    /// The slot of the thread that runs it, and since when.
    pub(super) fn runs_in(&self) -> Option<(u32, u64)> {
        let thread = self.thread.load(Ordering::Acquire).checked_sub(1)?;
        (thread < THREADS).then(|| (thread as u32, self.started_ns.load(Ordering::Relaxed)))
    }
}

/// An outcome on its way in: its tag, its bytes in parts, and the objects these mention.
pub type Outgoing<'a> = (u8, &'a [&'a [u8]], &'a [Off]);

/// A task's record, for a thread that holds a reference to it.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    me: &'a Member,
    off: Off,
    it: &'static Record,
}

/// How a wait for a task's start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// Its process exists.
    Yes,
    /// It could not be made: an error number of the system.
    Error(i32),
}

/// Makes a record; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member, flags: u32, name: &str) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let mut named = false;
    let made = object::create(me, kinds::TASK, size_of::<Record>() as u64).and_then(|off| {
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
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let it = Task::at(me, off).it;
    for word in [&it.payload, &it.outcome, &it.name] {
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

    pub(super) fn it(&self) -> &'static Record {
        self.it
    }

    pub(super) fn me(&self) -> &'a Member {
        self.me
    }

    /// The state's word, with its marks.
    pub(super) fn word(&self) -> u32 {
        self.it.state.load(Ordering::Acquire)
    }

    /// Its state as its word says, whatever has become of its process.
    pub(super) fn state_now(&self) -> State {
        State::from_number(self.word() & 0xff)
    }

    /// Sets `savepoint` if it runs, has the savepoint `after` (0 for any) and not `savepoint` yet.
    pub(super) fn mark_while_running(&self, savepoint: u32, after: u32) -> bool {
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

    fn process_died(&self) -> bool {
        let owner = self.it.owner.load(Ordering::Acquire) as u32;
        owner != 0 && slots::living_owner(self.me.runtime(), owner).is_none()
    }

    /// Moves on if the state is one of `from`. Wakes joiners.
    fn advance(&self, from: &[State], to: u32) -> bool {
        wait::waking(self.me, &self.it.state, || {
            loop {
                let seen = self.it.state.load(Ordering::Acquire);
                if !from.contains(&State::from_number(seen & 0xff)) {
                    return false;
                }
                let to = to | seen & (OVER_TIME | OVER_TIME_KILLED);
                // SYNC POINT: publishes the outcome; pairs with the acquire load in `state`.
                let swap =
                    self.it.state.compare_exchange(seen, to, Ordering::AcqRel, Ordering::Acquire);
                crash_point!("task.advanced");
                if swap.is_ok() {
                    if seen & SLEEPERS != 0 {
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
        self.advance(&[State::New], State::Starting as u32)
    }

    /// Back to `New`, after a start that failed.
    pub fn unbegin(&self) {
        self.advance(&[State::Starting], State::New as u32);
    }

    /// The process has been forked for it.
    pub(super) fn forked(&self, pid: i32) {
        self.it.pid.store(pid as u64, Ordering::Release);
        crash_point!("task.pid");
        wait::waking(self.me, &self.it.state, || {
            let starting = State::Starting as u32;
            for sleepers in [0, SLEEPERS] {
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
    pub(super) fn not_forked(&self, error: i32) {
        self.it.error.store(error as u64, Ordering::Release);
        crash_point!("task.error");
        self.advance(&[State::Starting], State::New as u32);
    }

    /// Says in which process it is to run, before it does.
    pub(super) fn assign(&self, process: u32, pid: i32) {
        let owner = slots::lock_owner(self.me.runtime(), process);
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
        let (pid, _) = slots::owner(slots::process_slot(runtime, index));
        self.assign(index, pid);
        self.it.tid.store(self.me.slot().tid.load(Ordering::Relaxed), Ordering::Relaxed);
        self.it.thread.store(u64::from(self.me.index()) + 1, Ordering::Release);
        self.it.started_ns.store(now_ns(), Ordering::Relaxed);
        self.me.slot().task.store(self.off.0, Ordering::Release);
        crash_point!("task.here");
        if !self.is_thread() {
            self.limit_memory_here();
        }
        let runs = self.advance(&[State::Starting], State::Running as u32);
        if runs && !self.is_thread() {
            self.arm_deadline();
        }
        runs
    }

    /// Ends it: stores the outcome (its tag and bytes, and the objects these mention), the exit
    /// code and the usage, then the state. With no memory for the outcome, the flag
    /// `OUTCOME_LOST` says so.
    pub fn finish(&self, end: State, code: i32, outcome: Option<Outgoing<'_>>) {
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
        let usage = if self.is_thread() { Usage::of_thread() } else { Usage::of_process() };
        self.set_usage(&usage);
        self.it.exit.store(1 << 32 | u64::from(code as u32), Ordering::Relaxed);
        self.it.ended_ns.store(now_ns(), Ordering::Relaxed);
        self.me.slot().task.store(0, Ordering::Release);
        crash_point!("task.ended");
        self.publish(end);
    }

    /// Its process has ended, as `exit` says. Keeps an outcome it has published itself.
    pub(super) fn process_ended(&self, exit: Exit, usage: &Usage) {
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
    pub(super) fn killed(&self) {
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

    fn set_blob(
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

    /// What is to run. Never changes between start and end.
    #[must_use]
    pub fn payload(&self) -> Option<Off> {
        Some(Off(self.it.payload.load(Ordering::Acquire))).filter(|o| !o.is_none())
    }

    /// The outcome, once there is one. Never changes.
    #[must_use]
    pub fn outcome(&self) -> Option<Off> {
        Some(Off(self.it.outcome.load(Ordering::Acquire))).filter(|o| !o.is_none())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        let blob = self.it.name_now();
        if blob.is_none() {
            return self.it.short_name();
        }
        String::from_utf8_lossy(&blob::read(self.me, blob)).into_owned()
    }

    /// Names it; before it is started.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn set_name(&self, name: &str) -> Result<(), OutOfMemory> {
        self.set_blob(&self.it.name, crate::collections::value::tag::STR, &[name.as_bytes()], &[])
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
        slots::living_owner(self.me.runtime(), self.it.owner.load(Ordering::Acquire) as u32)
    }

    /// How it exited: a code, or a signal.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        exit_of(self.it.exit.load(Ordering::Acquire))
    }

    /// Waits for its end. `Ready` means that [`Task::state`] is final.
    pub fn join(&self, hooks: &mut dyn BlockingHooks, deadline: Deadline) -> Outcome {
        let mut ending = Ending { task: *self };
        if self.is_thread() {
            return wait::wait(self.me, hooks, &mut ending, deadline);
        }
        JOINING.with(|p| wait::wait_spinning(self.me, hooks, &mut ending, deadline, p))
    }

    /// Notes, until that is dropped, that the calling thread waits for the task's end in a way
    /// of its own.
    pub fn note_join(&self, since_ns: u64, deadline: Deadline) -> Noted {
        let objects = &[self.off];
        let wanted = Wanted { how: How::One, objects };
        wait_record::note(self.me, &self.it.state, wanted, since_ns, deadline)
    }

    /// Waits until its process exists, or could not be made.
    pub(super) fn wait_forked(&self) -> Started {
        let mut forking = Forking { task: *self };
        wait::wait(self.me, &mut wait::Plain, &mut forking, Deadline::NEVER);
        match self.it.error.swap(0, Ordering::AcqRel) {
            0 => {
                crash_point!("task.no_error");
                Started::Yes
            }
            error => Started::Error(error as i32),
        }
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
            let slot = slots::thread_slot(self.me.runtime(), index as u32);
            // Not `waiting_on`, which is noted for waking others too.
            slot.waiting_since.load(Ordering::Acquire) != 0
        })
    }
}

/// How a process ended as a word: a kind (1 code, 2 signal, 3 unknown) shifted by 32, and the
/// number. Never 0.
pub(super) fn exit_word(exit: Exit) -> u64 {
    match exit {
        Exit::Code(code) => 1 << 32 | u64::from(code as u32),
        Exit::Signal(signal) => 2 << 32 | u64::from(signal as u32),
        Exit::Unknown => 3 << 32,
    }
}

/// What [`exit_word`] said; `None` for 0.
pub(super) fn exit_of(word: u64) -> Option<Exit> {
    Some(match word >> 32 {
        1 => Exit::Code(word as u32 as i32),
        2 => Exit::Signal(word as u32 as i32),
        3 => Exit::Unknown,
        _ => return None,
    })
}

/// Waits until one of `tasks` has ended; `all` says that the caller wants to see them all end,
/// one after the other.
pub fn join_any(
    me: &Member,
    tasks: &[Task<'_>],
    all: bool,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Outcome {
    let interrupt = &me.slot().interrupt;
    let (start, overdue) = (now_ns(), Overdue::new());
    let objects: Vec<Off> = tasks.iter().map(|t| t.off).collect();
    let how = if all { How::All } else { How::Any };
    let first = tasks.first().map_or(interrupt, |t| &t.it.state);
    loop {
        let seen = interrupt.load(Ordering::Acquire);
        if hooks.interrupted() {
            return Outcome::Interrupted;
        }
        let mut words = Vec::new();
        for task in tasks.iter().take(futex::MANY - 1) {
            let mut ending = Ending { task: *task };
            match ending.announce() {
                Some(value) => words.push((&task.it.state, value)),
                None => return Outcome::Ready,
            }
        }
        if tasks.iter().skip(words.len()).any(|t| t.state().is_final()) {
            return Outcome::Ready;
        }
        words.push((interrupt, seen));
        // More than one call can sleep on: look at the others from time to time.
        let nap = (tasks.len() >= futex::MANY).then(|| std::time::Duration::from_millis(20));
        let until = match (nap, deadline.left()) {
            (Some(nap), left) if left.is_none_or(|l| l > nap) => Deadline::after(Some(nap)),
            _ => deadline,
        };
        let mut woken = futex::Woken::Woken;
        hooks.place(me);
        hooks.release(&mut || {
            let wanted = Wanted { how, objects: &objects };
            let _noted = wait_record::note(me, first, wanted, start, deadline);
            let due = overdue.due(me, start);
            woken = futex::wait_many(&words, until.min(due));
            if woken == futex::Woken::TimedOut && due.passed() {
                overdue.ask(me);
                // Under the same note, in which the report finds this wait.
                woken = futex::wait_many(&words, until);
            }
        });
        if woken == futex::Woken::TimedOut && deadline.passed() {
            let over = tasks.iter().any(|t| t.state().is_final());
            return if over { Outcome::Ready } else { Outcome::TimedOut };
        }
    }
}

struct Ending<'a> {
    task: Task<'a>,
}

impl Awaited for Ending<'_> {
    fn word(&self) -> &'static AtomicU32 {
        &self.task.it.state
    }

    fn object(&self) -> Off {
        self.task.off
    }

    fn ready(&mut self) -> bool {
        self.task.state().is_final()
    }

    fn announce(&mut self) -> Option<u32> {
        let seen = self.task.it.state.fetch_or(SLEEPERS, Ordering::AcqRel) | SLEEPERS;
        crash_point!("task.joining");
        // After the announcement: a death before it is seen here, one after it wakes us.
        (!self.task.state().is_final()).then_some(seen)
    }
}

thread_local! {
    /// A short task in a spare ends within this time, and a wake-up costs a good part of it.
    static JOINING: AdaptiveSpin = const { AdaptiveSpin::new(200_000, 300_000) };
}

struct Forking<'a> {
    task: Task<'a>,
}

impl Awaited for Forking<'_> {
    fn word(&self) -> &'static AtomicU32 {
        &self.task.it.state
    }

    fn object(&self) -> Off {
        self.task.off
    }

    fn ready(&mut self) -> bool {
        let word = self.task.it.state.load(Ordering::Acquire);
        word & 0xff != State::Starting as u32 || word & FORKED != 0 || self.task.process_died()
    }

    fn announce(&mut self) -> Option<u32> {
        let seen = self.task.it.state.fetch_or(SLEEPERS, Ordering::AcqRel) | SLEEPERS;
        crash_point!("task.awaiting_fork");
        (!self.ready()).then_some(seen)
    }
}
