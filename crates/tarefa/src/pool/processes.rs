//! A pool whose workers are processes: what was given out, and what comes back.
//!
//! ```text
//!  caller                             arena                         worker (worker.rs)
//!  put(tasks) ── encoded ──> tasks (a queue) ── get, to ack ──> begin on the board
//!                                     board <── claim ───────── each task
//!  Turns  <── take many ──── results (a queue) <── put ──────── each result, or those that are kept
//!    │                                tasks <── ack ─────────── the batch is done
//!    └─> Sink: the handle of one task, or a map
//! ```
//!
//! - Who owns what in the arena, which store publishes it, and what a death leaves at each step: the
//!   engine's `pool/README.md`. What is here is memory of this process alone.
//! - A task is *claimed* in its batch (`Batch::claim`) before its result is handed over, under the lock: so
//!   each gets one result, whoever tells it again after a death.
//! - The caller's own thread takes results where it waits for some (`turns.rs`). A thread in the background
//!   (`hiring.rs`) hears of the ends of workers and keeps time limits; it takes results only where nobody
//!   else does and something follows from them: another attempt, or units of a resource for the next.
//! - A worker that is stopped delays the task that it runs. The rest of its batch is taken from it when
//!   somebody waits for that (`share_out`).

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tarefa_engine::channel::{Content, PutError, Taken};
use tarefa_engine::collections::value::{Item, NONE};
use tarefa_engine::os::clock::{Deadline, now_ns};
use tarefa_engine::pool::{Schedule, Starts};
use tarefa_engine::shm::{Member, Runtime, TooManyThreads};
use tarefa_engine::sync::wait::{BlockingHooks, Plain};
use tarefa_engine::task::cause_of_death::Death as WorkerDied;
use tarefa_engine::task::record::Task as Record;

use super::batch::{Batch, Calls, Tasks};
use super::budget::Share;
use super::errors::{Attempt, PoolError, TaskError};
use super::settings::Settings;
use super::shared::{Messages, SharedBoard};
use super::sink::{Sink, locked};
use super::turns::{Turns, Waited};
use super::wire::{self, Head, Status};
use super::worker::Resource;
use crate::runtime::errors::CreateError;
use crate::sync::event::Event;
use crate::task::HasCore;
use crate::task::errors::ResultError;
use crate::task::process::Process;

/// How long a worker that is blamed may take to be seen dead.
const ENDS_SOON: Duration = Duration::from_secs(5);
/// Ends of workers that are remembered, for those whom a later worker blames.
const MOST_ENDS: usize = 1024;

/// A worker, as a task.
pub(super) type WorkerProcess = Process<Result<(), String>>;

/// A worker.
pub(super) struct Worker {
    pub(super) seat: u32,
    /// Which of the pool's places it has.
    pub(super) place: usize,
    pub(super) process: Arc<WorkerProcess>,
    /// When it was hired, in nanoseconds of the monotonic clock.
    pub(super) hired: u64,
    /// When it was stopped last because its initializer takes too long.
    pub(super) stopped: Option<u64>,
    /// Workers whose place it took.
    pub(super) restarts: u32,
}

/// A task that is being stopped.
pub(super) struct Stopping {
    /// Its time limit, if that is why; else somebody has cancelled it.
    pub(super) limit: Option<Duration>,
    /// When it was interrupted or killed last.
    pub(super) at: u64,
}

pub(super) struct State {
    pub(super) batches: HashMap<u64, Batch>,
    last_batch: u64,
    pub(super) last_serial: u64,
    /// Workers that took the place of others.
    pub(super) restarts: u64,
    pub(super) workers: BTreeMap<u64, Worker>,
    /// How workers have ended, by their serial numbers.
    ended: BTreeMap<u64, WorkerDied>,
    pub(super) stopping: HashMap<(u64, u32), Stopping>,
    schedule: Schedule,
    /// Batches that the schedule has given to workers.
    given: usize,
    /// Batches some task of which has no result.
    pub(super) open: usize,
    /// Batches for which something may have to be done while nobody waits.
    pub(super) watched: usize,
    pub(super) starts: Starts,
    pub(super) closed: bool,
    /// Nothing more is put in.
    pub(super) shut: bool,
    pub(super) terminated: bool,
    pub(super) broken: Option<Arc<str>>,
}

/// See the module.
pub(super) struct Crew {
    pub(super) settings: Arc<Settings>,
    pub(super) runtime: &'static Runtime,
    pub(super) tasks: Messages,
    pub(super) results: Messages,
    pub(super) board: SharedBoard,
    pub(super) resources: Vec<Resource>,
    pub(super) turns: Turns,
    /// Wakes the thread in the background.
    pub(super) bell: Event,
    pub(super) state: Mutex<State>,
    pub(super) background: Mutex<Option<JoinHandle<()>>>,
    /// How many processors each worker has.
    pub(super) share: Share,
}

/// What is sent of a batch.
struct Outgoing {
    head: Vec<u8>,
    calls: Arc<Calls>,
    range: Range<u32>,
}

impl Outgoing {
    fn of(number: u64, batch: &Batch) -> Self {
        let tasks = &batch.tasks;
        let (ends, _) = tasks.calls.part(&tasks.range);
        let head = Head {
            number,
            count: batch.count(),
            attempt: tasks.attempt,
            flags: if batch.timed { wire::TIMED } else { 0 },
            place: tasks.place,
        };
        let head = wire::batch(head, &tasks.units, &ends);
        Self { head, calls: Arc::clone(&tasks.calls), range: tasks.range.clone() }
    }
}

impl State {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            batches: HashMap::new(),
            last_batch: 0,
            last_serial: 0,
            restarts: 0,
            workers: BTreeMap::new(),
            ended: BTreeMap::new(),
            stopping: HashMap::new(),
            schedule: Schedule::new(settings.resources.iter().map(|(_, amount)| *amount)),
            given: 0,
            open: 0,
            watched: 0,
            starts: Starts::new(settings.workers as u32, settings.initializer.is_some()),
            closed: false,
            shut: false,
            terminated: false,
            broken: None,
        }
    }

    /// Why nothing can be put in.
    fn refusal(&self, settings: &Settings) -> Option<PoolError> {
        settings.refusal(self.broken.as_ref(), self.closed)
    }

    /// The workers, with their seats.
    pub(super) fn seated(&self) -> Vec<(u32, Arc<WorkerProcess>)> {
        self.workers.values().map(|it| (it.seat, Arc::clone(&it.process))).collect()
    }

    pub(super) fn note_end(&mut self, serial: u64, death: WorkerDied) {
        self.ended.insert(serial, death);
        if self.ended.len() > MOST_ENDS {
            self.ended.pop_first();
        }
    }
}

/// How a worker has ended.
pub(super) fn death_of(process: &WorkerProcess) -> Option<WorkerDied> {
    // Whoever asks is told, so that nobody else is.
    let error = process.error()?;
    if let ResultError::Died(death) = error {
        return Some(death);
    }
    // It gave up, and said why.
    let handle = process.core().handle().ok()?;
    let mut death = handle.with_me(|me| WorkerDied::of(&Record::at(me, handle.off())));
    death.note = Some(error.to_string().into());
    Some(death)
}

/// In short.
fn end_words(death: &WorkerDied) -> String {
    match (&death.signal, death.exit_code) {
        (Some(signal), _) => format!("ended by {signal}"),
        (None, Some(code)) => format!("exited with {code}"),
        (None, None) => "ended".to_owned(),
    }
}

impl Crew {
    pub(super) fn me(&self) -> Result<Member, TooManyThreads> {
        self.runtime.try_me()
    }

    // -- work ----------------------------------------------------------------------------

    /// Gives tasks to whoever is free next, or lets them wait for what they need.
    pub(super) fn put(&self, me: &Member, tasks: Tasks) -> Result<(), PoolError> {
        let (added, rings) = {
            let mut state = locked(&self.state);
            if let Some(refusal) = state.refusal(&self.settings) {
                return Err(refusal);
            }
            if tasks.limits.priority != 0 {
                self.order(me, &mut state);
            }
            let added = Self::add(&mut state, tasks);
            (added, state.watched > 0)
        };
        if rings {
            self.bell.set();
        }
        let Some((number, outgoing)) = added else {
            self.give_out(me);
            return Ok(());
        };
        // What is refused has no result.
        self.send(me, &outgoing).inspect_err(|_| self.withdraw(number))
    }

    /// From now on all goes by its priority, also what was sent before and nobody has begun.
    fn order(&self, me: &Member, state: &mut State) {
        if !state.schedule.take_all() {
            return;
        }
        let mut numbers: Vec<_> = state.batches.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let is_whole = |it: &Batch| !it.scheduled && it.left == it.count();
            if !state.batches.get(&number).is_some_and(is_whole)
                || !self.board.board(me).call_off(number)
            {
                continue;
            }
            let Some(batch) = state.batches.remove(&number) else { continue };
            state.open -= 1;
            state.watched -= usize::from(batch.is_watched());
            let sink = Arc::clone(&batch.tasks.sink);
            Self::add(state, batch.into_tasks());
            sink.batches(false);
        }
    }

    /// Notes a batch; what is to be sent of it, if it needs not wait.
    fn add(state: &mut State, tasks: Tasks) -> Option<(u64, Outgoing)> {
        state.last_batch += 1;
        let number = state.last_batch;
        let mut batch = Batch::new(tasks);
        let sink = &batch.tasks.sink;
        sink.moved_to(number);
        sink.batches(true);
        state.open += 1;
        let limits = &batch.tasks.limits;
        batch.scheduled = !limits.resources.is_empty() || state.schedule.is_for_all();
        state.watched += usize::from(batch.is_watched());
        // One that is tried again with its units has had its turn.
        let outgoing = if batch.scheduled && batch.tasks.units.is_empty() {
            state.schedule.add(number, limits.priority, limits.resources.clone());
            None
        } else {
            batch.counts = batch.scheduled;
            Some((number, Outgoing::of(number, &batch)))
        };
        state.batches.insert(number, batch);
        outgoing
    }

    fn send(&self, me: &Member, outgoing: &Outgoing) -> Result<(), PoolError> {
        let (_, bytes) = outgoing.calls.part(&outgoing.range);
        let references = outgoing.calls.references(self.runtime);
        let put = self.tasks.put(me, &[&outgoing.head, bytes], &references);
        match put {
            Ok(()) => Ok(()),
            Err(PutError::Memory(e)) => Err(CreateError::from(e).into()),
            Err(_) => Err(self.why_not()),
        }
    }

    fn why_not(&self) -> PoolError {
        let closed = || PoolError::Closed { pool: self.settings.name.clone() };
        locked(&self.state).refusal(&self.settings).unwrap_or_else(closed)
    }

    /// Forgets a batch that was not sent.
    fn withdraw(&self, number: u64) {
        let mut state = locked(&self.state);
        if let Some(batch) = state.batches.get_mut(&number) {
            batch.timed = false;
            let runs = batch.claim_all();
            let over =
                Self::count_off(&mut state, number, runs.iter().map(|run| run.len() as u32).sum());
            drop(state);
            self.after(over);
        }
    }

    /// Gives workers what is next of what waits for resources, as far as they are free.
    fn give_out(&self, me: &Member) {
        loop {
            let next = {
                let mut state = locked(&self.state);
                if state.given >= self.settings.workers
                    || state.terminated
                    || state.broken.is_some()
                {
                    return;
                }
                let Some((number, units)) = state.schedule.take_next() else { return };
                let Some(batch) = state.batches.get_mut(&number) else {
                    state.schedule.end(units);
                    continue;
                };
                batch.tasks.units = units;
                batch.counts = true;
                let outgoing = Outgoing::of(number, batch);
                state.given += 1;
                (number, outgoing)
            };
            if let Err(e) = self.send(me, &next.1) {
                self.fail(next.0, 0, e.into());
            }
        }
    }

    // -- results -------------------------------------------------------------------------

    /// Waits until `done()`, taking results. `done` is called by any thread.
    pub(super) fn wait(
        &self,
        me: &Member,
        done: &dyn Fn() -> bool,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Waited {
        let _leaves = Leaves(self);
        let handle = |taken: &Taken| self.handle(me, taken);
        self.turns.wait(me, &self.results, done, &handle, hooks, deadline)
    }

    /// Takes what has come, if nobody else is at that.
    pub(super) fn look(&self, me: &Member) {
        self.turns.look(me, &self.results, &|taken| self.handle(me, taken));
    }

    /// Has those who wait look around.
    pub(super) fn wake(&self, me: &Member) {
        if self.turns.is_taken() {
            // Without room for it there are other messages.
            let _ = self.results.queue(me).put(Item::Word(NONE), &mut Plain, Deadline::NEVER);
        }
        self.turns.notify(me);
    }

    fn handle(&self, me: &Member, taken: &Taken) {
        for (i, content) in taken.contents().enumerate() {
            let Content::Blob(_, bytes, _) = content else { continue };
            let Some((number, index, status, rest)) = wire::read_result(bytes) else { continue };
            match status {
                Status::Kept => self.take_words(number, index, rest),
                Status::Value => self.take_value(number, index, rest, false),
                Status::Interrupted => self.take_value(number, index, rest, true),
                Status::Died => {
                    let serial = rest.try_into().map(u64::from_le_bytes).unwrap_or_default();
                    self.take_death(me, number, index, serial);
                }
                Status::Took => self.take_time(number, rest),
                Status::Panicked | Status::Unread | Status::Unsent => {
                    let message = String::from_utf8_lossy(rest).into_owned();
                    let pid = taken.signed_by(me, i);
                    self.claimed(number, index, |sink, _| {
                        let call = sink.call();
                        Err(match status {
                            Status::Panicked => TaskError::Panicked { call, pid, message },
                            Status::Unread => TaskError::Unread { call, message },
                            _ => TaskError::Unsent { call, message },
                        })
                    });
                }
            }
        }
    }

    fn take_words(&self, number: u64, first: u32, words: &[u8]) {
        let (runs, sink, at) = {
            let mut state = locked(&self.state);
            let Some(batch) = state.batches.get_mut(&number) else { return };
            let runs = batch.claim_run(first, (words.len() / 8) as u32);
            let found = (runs, Arc::clone(&batch.tasks.sink), batch.tasks.first);
            if !state.stopping.is_empty() {
                for index in found.0.iter().cloned().flatten() {
                    state.stopping.remove(&(number, index));
                }
            }
            found
        };
        for run in runs {
            let (from, to) = ((run.start - first) as usize * 8, (run.end - first) as usize * 8);
            sink.words(self.runtime, at + run.start as usize, &words[from..to]);
            self.given(number, run.len() as u32);
        }
    }

    fn take_value(&self, number: u64, index: u32, bytes: &[u8], interrupted: bool) {
        self.claimed(number, index, |sink, stopping| {
            let call = sink.call();
            match stopping.filter(|_| interrupted) {
                Some(Stopping { limit: Some(limit), .. }) => {
                    Err(TaskError::OverTime { call, limit })
                }
                Some(Stopping { limit: None, .. }) => Err(TaskError::Cancelled { call }),
                None => Ok(bytes),
            }
        });
    }

    /// Hands over what becomes of a task, unless it has its result already.
    fn claimed<'b>(
        &self,
        number: u64,
        index: u32,
        result: impl FnOnce(&dyn Sink, Option<Stopping>) -> Result<&'b [u8], TaskError>,
    ) {
        let (sink, at, stopping) = {
            let mut state = locked(&self.state);
            let Some(batch) = state.batches.get_mut(&number) else { return };
            if !batch.claim(index) {
                return;
            }
            let found = (Arc::clone(&batch.tasks.sink), batch.tasks.first + index as usize);
            (found.0, found.1, state.stopping.remove(&(number, index)))
        };
        match result(&*sink, stopping) {
            Ok(bytes) => sink.value(at, bytes),
            Err(error) => sink.failed(at, error),
        }
        self.given(number, 1);
    }

    pub(super) fn fail(&self, number: u64, index: u32, error: TaskError) {
        self.claimed(number, index, |_, _| Err(error));
    }

    fn take_time(&self, number: u64, bytes: &[u8]) {
        let mut state = locked(&self.state);
        let Some(batch) = state.batches.get_mut(&number) else { return };
        if let (Some((took, ran)), Some(sizes)) = (wire::read_pair(bytes), &batch.tasks.sizes) {
            locked(sizes).measured(u32::try_from(ran).unwrap_or(u32::MAX), took);
        }
        batch.timed = false;
        if batch.left == 0 {
            state.batches.remove(&number);
        }
    }

    /// So many tasks of a batch have been given their results.
    fn given(&self, number: u64, count: u32) {
        let over = Self::count_off(&mut locked(&self.state), number, count);
        self.after(over);
    }

    /// The same, under the lock; what is left to be done after it.
    fn count_off(state: &mut State, number: u64, count: u32) -> Option<Over> {
        let batch = state.batches.get_mut(&number)?;
        batch.left -= count;
        if batch.left > 0 || count == 0 {
            return None;
        }
        let (timed, watched, counts) = (batch.timed, batch.is_watched(), batch.counts);
        let units = std::mem::take(&mut batch.tasks.units);
        let sink = Arc::clone(&batch.tasks.sink);
        if !timed {
            state.batches.remove(&number);
        }
        state.open -= 1;
        state.watched -= usize::from(watched);
        if counts {
            state.given -= 1;
        }
        let frees = counts || !units.is_empty() || state.schedule.withdraw(number);
        state.schedule.end(units);
        Some(Over { sink, frees, closes: state.closed && state.open == 0 })
    }

    /// What follows from the end of a batch.
    fn after(&self, over: Option<Over>) {
        let Some(over) = over else { return };
        over.sink.batches(false);
        if over.closes {
            self.bell.set();
        }
        if over.frees {
            self.runtime.with_me(|me| self.give_out(me));
        }
    }

    // -- deaths --------------------------------------------------------------------------

    /// A worker died in a task: it is tried again, or has failed.
    fn take_death(&self, me: &Member, number: u64, index: u32, serial: u64) {
        if !locked(&self.state).batches.get(&number).is_some_and(|batch| batch.lacks(index)) {
            return;
        }
        let death = self.death(me, serial);
        let attempt = Attempt { pid: death.pid, end: end_words(&death) };
        let mut state = locked(&self.state);
        let stopped = state.stopping.remove(&(number, index));
        let goes_on = state.broken.is_none() && !state.terminated;
        let Some(batch) = state.batches.get_mut(&number) else { return };
        if !batch.claim(index) {
            return;
        }
        let deaths = batch.deaths.entry(index).or_default();
        deaths.push(attempt);
        let attempts = deaths.clone();
        if stopped.is_none() && goes_on && attempts.len() <= batch.tasks.limits.retries as usize {
            let mut again = batch.tasks.single(index);
            again.attempt = attempts.len() as u32 + 1;
            again.deaths = attempts;
            // With what it had: that is free for it before anybody else can have it.
            again.units = std::mem::take(&mut batch.tasks.units);
            if batch.counts {
                batch.counts = false;
            }
            let (sink, at) = (Arc::clone(&again.sink), again.first);
            let added = Self::add(&mut state, again);
            let over = Self::count_off(&mut state, number, 1);
            drop(state);
            self.after(over);
            if let Some((number, outgoing)) = added {
                if let Err(e) = self.send(me, &outgoing) {
                    self.withdraw(number);
                    sink.failed(at, e.into());
                }
            }
            return;
        }
        let (sink, at) = (Arc::clone(&batch.tasks.sink), batch.tasks.first + index as usize);
        let at_call = batch.tasks.range.start + index;
        let calls = Arc::clone(&batch.tasks.calls);
        drop(state);
        let call = sink.call();
        sink.failed(
            at,
            match stopped {
                Some(Stopping { limit: None, .. }) => TaskError::Cancelled { call },
                other => {
                    let argument = calls.text(call, at_call);
                    let over_time = other.and_then(|it| it.limit);
                    TaskError::Died { argument, death: Box::new(death), attempts, over_time }
                }
            },
        );
        self.given(number, 1);
    }

    /// How that worker has ended.
    fn death(&self, me: &Member, serial: u64) -> WorkerDied {
        let process = {
            let state = locked(&self.state);
            if let Some(death) = state.ended.get(&serial) {
                return death.clone();
            }
            state.workers.get(&serial).map(|worker| Arc::clone(&worker.process))
        };
        let found = process.and_then(|process| {
            let handle = process.core().handle().ok()?;
            let record = Record::at(me, handle.off());
            record.join(&mut Plain, Deadline::after(Some(ENDS_SOON)));
            Some(death_of(&process).unwrap_or_else(|| WorkerDied::of(&record)))
        });
        // It is forgotten after many others.
        let again = || locked(&self.state).ended.get(&serial).cloned();
        found.or_else(again).unwrap_or_else(|| WorkerDied {
            name: format!("{}-{serial}", self.settings.name),
            pid: 0,
            exit_code: None,
            signal: None,
            peak_memory: 0,
            cause: tarefa_engine::task::cause_of_death::Cause::Unknown,
            over_time: None,
            last_line: None,
            note: None,
            at_exit: false,
        })
    }

    // -- what is not wanted any more -----------------------------------------------------

    /// Takes a task back that nobody has begun, by its batch.
    pub(super) fn cancel(&self, me: &Member, number: u64) -> bool {
        let found = {
            let mut state = locked(&self.state);
            let Some(batch) = state.batches.get_mut(&number) else { return false };
            if !batch.lacks(0) {
                return false;
            }
            let sink = Arc::clone(&batch.tasks.sink);
            if !state.schedule.withdraw(number) && !self.board.board(me).call_off(number) {
                return false;
            }
            sink
        };
        self.fail(number, 0, TaskError::Cancelled { call: found.call() });
        self.give_out(me);
        self.wake(me);
        true
    }

    /// Kills a task that runs, and none but that; false if none does.
    pub(super) fn kill(&self, me: &Member, number: u64) -> bool {
        let mut state = locked(&self.state);
        let Some((seat, process)) = self.runs(me, &state, number, 0) else { return false };
        if !self.board.board(me).hold(seat, number, 0) {
            return false;
        }
        state.stopping.insert((number, 0), Stopping { limit: None, at: now_ns() });
        let _ = process.kill();
        true
    }

    /// The seat and the process of the worker that runs a task.
    fn runs(
        &self,
        me: &Member,
        state: &State,
        number: u64,
        index: u32,
    ) -> Option<(u32, Arc<WorkerProcess>)> {
        let board = self.board.board(me);
        let is_it = |worker: &&Worker| {
            let running = board.running(worker.seat);
            running.is_some_and(|running| (running.batch, running.task) == (number, index))
        };
        state.workers.values().find(is_it).map(|w| (w.seat, Arc::clone(&w.process)))
    }

    /// The batches of a sink.
    fn batches_of(&self, sink: &Arc<dyn Sink>, of: impl Fn(&Batch) -> bool) -> Vec<u64> {
        let state = locked(&self.state);
        let mut found: Vec<_> = state
            .batches
            .iter()
            .filter(|(_, batch)| Arc::ptr_eq(&batch.tasks.sink, sink) && of(batch))
            .map(|(number, _)| *number)
            .collect();
        found.sort_unstable();
        found
    }

    /// What waits in batches behind tasks that take long goes to others, each by itself.
    pub(super) fn share_out(&self, me: &Member, sink: &Arc<dyn Sink>) {
        for number in self.batches_of(sink, |batch| batch.left > 1) {
            for kept in self.board.board(me).kept_of(number) {
                // By way of the queue, for results are taken by one thread at a time.
                let head = wire::result(number, kept.first, Status::Kept);
                let _ = self.results.put(me, &[&head, &kept.bytes], &[]);
            }
            let Some(rest) = self.take_rest(me, number) else { continue };
            for index in rest {
                let added = {
                    let mut state = locked(&self.state);
                    let Some(batch) = state.batches.get_mut(&number) else { break };
                    if !batch.claim(index) {
                        continue;
                    }
                    let single = batch.tasks.single(index);
                    let failed = (Arc::clone(&single.sink), single.first);
                    let added = Self::add(&mut state, single);
                    let over = Self::count_off(&mut state, number, 1);
                    drop(state);
                    self.after(over);
                    (added, failed)
                };
                if let (Some((number, outgoing)), (sink, at)) = added {
                    if let Err(e) = self.send(me, &outgoing) {
                        self.withdraw(number);
                        sink.failed(at, e.into());
                    }
                }
            }
        }
    }

    /// Takes back what nobody has begun of a batch that a worker is at.
    fn take_rest(&self, me: &Member, number: u64) -> Option<Range<u32>> {
        let seats: Vec<_> =
            locked(&self.state).workers.values().map(|worker| worker.seat).collect();
        let board = self.board.board(me);
        let found = seats.into_iter().find_map(|seat| board.take_rest(seat, number));
        found.map(|(first, end)| first..end)
    }

    /// Nobody wants the results of a sink any more: what was not begun is not run.
    pub(super) fn abandon(&self, me: &Member, sink: &Arc<dyn Sink>) {
        for number in self.batches_of(sink, |batch| batch.left > 0) {
            let off = self.board.board(me).call_off(number);
            let rest = if off { None } else { self.take_rest(me, number) };
            let mut state = locked(&self.state);
            let Some(batch) = state.batches.get_mut(&number) else { continue };
            let count = match rest {
                _ if off => {
                    batch.timed = false;
                    batch.claim_all().iter().map(|run| run.len() as u32).sum()
                }
                Some(rest) => {
                    let runs = batch.claim_run(rest.start, rest.len() as u32);
                    runs.iter().map(|run| run.len() as u32).sum()
                }
                None => 0,
            };
            let over = Self::count_off(&mut state, number, count);
            drop(state);
            self.after(over);
        }
    }

    /// All that has no result fails.
    pub(super) fn fail_all(&self, error: &dyn Fn(&'static str) -> TaskError) {
        let numbers: Vec<_> = locked(&self.state).batches.keys().copied().collect();
        for number in numbers {
            let (runs, sink, first) = {
                let mut state = locked(&self.state);
                let Some(batch) = state.batches.get_mut(&number) else { continue };
                batch.timed = false;
                let found = (batch.claim_all(), Arc::clone(&batch.tasks.sink), batch.tasks.first);
                if batch.left == 0 {
                    state.batches.remove(&number);
                }
                found
            };
            for run in runs {
                for index in run.clone() {
                    sink.failed(first + index as usize, error(sink.call()));
                }
                self.given(number, run.len() as u32);
            }
        }
        self.runtime.with_me(|me| self.wake(me));
    }
}

/// A batch has come to its end.
struct Over {
    sink: Arc<dyn Sink>,
    /// Others may be next.
    frees: bool,
    closes: bool,
}

/// Whoever waits takes results; when that is over, the thread in the background is to see to it.
struct Leaves<'a>(&'a Crew);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if locked(&self.0.state).watched > 0 {
            self.0.bell.set();
        }
    }
}
