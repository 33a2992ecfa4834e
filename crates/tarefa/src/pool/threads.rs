//! A pool whose workers are threads: work lies in a queue of this process's own, and values stay what they
//! are.
//!
//! ```text
//!  caller: put(work) ──> queue ──> worker: claims the next task of it, runs it, notes its result
//!                                     │  at a tick of the clock, and at the end
//!                                     └──> Sink: the handle of one task, or a map
//! ```
//!
//! - A piece of work is run by one worker; what waits in it behind a long task is taken from it when
//!   somebody waits for that (`share_out`), and goes to others as pieces of its own.
//! - A task is *at* a worker's place from before its call until after it, under the place's lock; who stops
//!   it interrupts the worker under the same lock. So an interrupt never meets another task: the worker takes
//!   one that came too late before it goes on.
//! - A worker that waits for tasks of its own pool runs them itself, if nobody has begun them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tarefa_engine::os::clock::{Deadline, now_ns};
use tarefa_engine::os::process;
use tarefa_engine::pool::{Overtime, Schedule, Units, free_place, overtime};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Runtime, TooManyThreads};
use tarefa_engine::sync::event;
use tarefa_engine::sync::wait::{BlockingHooks, Outcome};

use super::errors::{PoolError, TaskError};
use super::place::{At, Place, Stop};
use super::running::{self, Running};
use super::settings::{self, Limits, Settings};
use super::sink::{Sink, locked};
use super::stats::{PoolStats, WorkerStats};
use super::turns::Waited;
use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::CreateError;
use crate::sync::event::Event;
use crate::task::errors::JoinError;
use crate::task::thread::Thread;

/// Called when results were handed over: with true once, when all have been.
pub(super) type Handed<'a> = &'a dyn Fn(bool);

/// Tasks that a worker runs one after the other.
pub(super) trait Work: Send + Sync {
    fn sink(&self) -> &Arc<dyn Sink>;

    fn limits(&self) -> &Limits;

    /// Runs what nobody has begun, at most so many; how many it were. Results that are there are handed over
    /// now and then.
    fn run(&self, number: u64, place: &Place, most: u32, handed: Handed<'_>) -> u32;

    /// How many nobody has begun.
    fn left(&self) -> usize;

    /// Whether something of it was not begun.
    fn waits(&self) -> bool {
        self.left() > 0
    }

    /// Hands over what is finished.
    fn flush(&self, handed: Handed<'_>);

    /// Takes away what nobody has begun, each by itself.
    fn take_rest(&self, handed: Handed<'_>) -> Vec<Arc<dyn Work>>;

    /// What nobody has begun has failed.
    fn fail_rest(&self, error: &dyn Fn(&'static str) -> TaskError, handed: Handed<'_>);
}

struct Worker {
    place: Arc<Place>,
    /// Which of the pool's places it has.
    at: usize,
    thread: Arc<Thread<()>>,
    /// Workers whose place it took.
    restarts: u32,
}

struct State {
    queue: VecDeque<(u64, Arc<dyn Work>)>,
    /// All that is not over.
    works: HashMap<u64, (Arc<dyn Work>, Units)>,
    schedule: Schedule,
    /// How many have units of resources.
    given: usize,
    last_work: u64,
    last_serial: u64,
    /// Workers that took the place of others.
    restarts: u64,
    workers: BTreeMap<u64, Worker>,
    /// Workers that have had their number of tasks, and are to be joined.
    leaving: Vec<Arc<Thread<()>>>,
    closed: bool,
    shut: bool,
    broken: Option<Arc<str>>,
}

/// See the module.
pub(super) struct Crew {
    pub(super) settings: Arc<Settings>,
    runtime: &'static Runtime,
    /// What idle workers sleep on.
    work: Handle,
    /// What those sleep on who wait for results.
    done: Handle,
    state: Mutex<State>,
    /// Wakes the thread that keeps time limits.
    bell: Event,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// What a worker is at that calls its initializer: tasks are counted from 1.
const INITIALIZER: u64 = 0;
/// A bit that no number of an object has.
const OF_THREADS: u64 = 1 << 63;
/// How soon the thread that keeps time limits looks again where it cannot wait.
const AGAIN: Duration = Duration::from_millis(50);

thread_local! {
    /// The crew whose worker the calling thread is, by its address, and its place there.
    static WORKS_FOR: RefCell<Option<(usize, Arc<Place>)>> = const { RefCell::new(None) };
}

fn notify(event: &Handle) {
    event.with_me(|me| event::set(me, event.off()));
}

impl State {
    /// Why nothing can be put in.
    fn refusal(&self, settings: &Settings) -> Option<PoolError> {
        settings.refusal(self.broken.as_ref(), self.closed)
    }
}

impl Crew {
    /// Makes the crew, and starts its workers.
    pub(super) fn start(settings: Arc<Settings>) -> Result<Arc<Self>, PoolError> {
        let runtime = runtime::get()?;
        let me = runtime.try_me()?;
        let event = || Ok::<_, CreateError>(Handle::adopt(&me, event::create(&me)?));
        let schedule = Schedule::new(settings.resources.iter().map(|(_, amount)| *amount));
        let crew = Arc::new(Self {
            runtime,
            work: event()?,
            done: event()?,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                works: HashMap::new(),
                schedule,
                given: 0,
                last_work: 0,
                last_serial: 0,
                restarts: 0,
                workers: BTreeMap::new(),
                leaving: Vec::new(),
                closed: false,
                shut: false,
                broken: None,
            }),
            bell: Event::new()?,
            keeper: Mutex::default(),
            settings,
        });
        for _ in 0..crew.settings.workers {
            if let Err(e) = crew.hire(0) {
                crew.shut();
                crew.join_workers();
                return Err(e);
            }
        }
        Ok(crew)
    }

    fn hire(self: &Arc<Self>, restarts: u32) -> Result<(), PoolError> {
        let mut state = locked(&self.state);
        state.last_serial += 1;
        let serial = state.last_serial;
        let place = Arc::new(Place::new(self.runtime, self.number()));
        let at = free_place(state.workers.values().map(|worker| worker.at));
        let (crew, own) = (Arc::clone(self), Arc::clone(&place));
        let thread = Thread::of_job(move || crew.be_worker(serial, at, &own))
            .named(format!("{}-{serial}", self.settings.name))
            .daemon(true);
        let pool = || self.settings.name.clone();
        // The worker waits for the lock, and finds itself among the others.
        thread.start().map_err(|source| PoolError::Start { pool: pool(), source })?;
        state.workers.insert(serial, Worker { place, at, thread: Arc::new(thread), restarts });
        Ok(())
    }

    pub(super) fn me(&self) -> Result<Member, TooManyThreads> {
        self.runtime.try_me()
    }

    /// Why it takes nothing.
    pub(super) fn refusal(&self) -> PoolError {
        let refusal = locked(&self.state).refusal(&self.settings);
        refusal.unwrap_or_else(|| PoolError::Closed { pool: self.settings.name.clone() })
    }

    fn id(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// What tells it from other pools in timelines: behind all numbers of boards, which pools of processes have.
    pub(super) fn number(&self) -> u64 {
        let here = (process::pid() as u64 & 0x7fff_ffff) << 32;
        OF_THREADS | here | (self.id() as u64 >> 4 & 0xffff_ffff)
    }

    // -- workers -------------------------------------------------------------------------

    fn be_worker(self: &Arc<Self>, serial: u64, at: usize, place: &Arc<Place>) {
        let begun = settings::pin(&self.settings.processors(at));
        if let Err(text) = begun.and_then(|()| self.initialize(place)) {
            return self.break_down(&text);
        }
        WORKS_FOR.set(Some((self.id(), Arc::clone(place))));
        place.note_ready();
        let mut left = self.settings.tasks_per_worker;
        while let Some((number, work)) = self.next() {
            let ran = self.run(number, &work, place, left.unwrap_or(u32::MAX));
            if work.waits() {
                // This worker has had its number of tasks.
                locked(&self.state).queue.push_front((number, work));
            }
            left = left.map(|left| left.saturating_sub(ran));
            if left == Some(0) {
                self.replace(serial);
                break;
            }
        }
        WORKS_FOR.set(None);
    }

    /// Calls the initializer, at which the worker is as at a task, but with a number that no task has.
    fn initialize(self: &Arc<Self>, place: &Place) -> Result<(), String> {
        let Some(initializer) = &self.settings.initializer else { return Ok(()) };
        let limit = self.settings.initializer_time_limit;
        let former = place.begin(INITIALIZER);
        if limit.is_some() {
            self.keep_time().map_err(|e| e.to_string())?;
        }
        // Who breaks the pool notes that before it looks who is at an initializer.
        if let Some(why) = &locked(&self.state).broken {
            return Err(why.to_string());
        }
        let called = initializer.call();
        let stop = former.end();
        if limit.is_some() {
            self.bell.set();
        }
        match stop.and_then(|stop| stop.limit) {
            Some(limit) => Err(format!("it ran longer than its time limit of {limit:?}")),
            None => called,
        }
    }

    /// The next piece of work; `None` when there is no more.
    fn next(&self) -> Option<(u64, Arc<dyn Work>)> {
        loop {
            if let Some(next) = locked(&self.state).queue.pop_front() {
                return Some(next);
            }
            let over = || {
                let state = locked(&self.state);
                !state.queue.is_empty() || state.shut
            };
            // A worker has a slot, for it runs as a task.
            let Ok(me) = self.me() else { return None };
            let mut met = over;
            event::wait_for(&me, self.work.off(), &mut Here::now(), &mut met, Deadline::NEVER);
            let state = locked(&self.state);
            if state.queue.is_empty() && state.shut {
                return None;
            }
        }
    }

    fn run(&self, number: u64, work: &Arc<dyn Work>, place: &Place, most: u32) -> u32 {
        let units = {
            let state = locked(&self.state);
            state.works.get(&number).map(|(_, units)| units.clone()).unwrap_or_default()
        };
        let name = |n: u32| self.settings.resources.get(n as usize).map(|(name, _)| name.as_str());
        let _running = Running::begin(1, running::leases(&units, name));
        let _at_work = place.work(work.sink().call());
        work.run(number, place, most, &|all| self.handed(number, all))
    }

    /// Another worker takes the place of one that has had its number of tasks.
    fn replace(self: &Arc<Self>, serial: u64) {
        let (goes_on, restarts) = {
            let mut state = locked(&self.state);
            let goes_on = !state.shut;
            state.restarts += u64::from(goes_on);
            let worker = state.workers.remove(&serial);
            let restarts = worker.as_ref().map_or(0, |worker| worker.restarts);
            state.leaving.extend(worker.map(|worker| worker.thread));
            (goes_on, restarts + 1)
        };
        if goes_on {
            if let Err(e) = self.hire(restarts) {
                if locked(&self.state).workers.is_empty() {
                    self.break_down(&e.to_string());
                }
            }
        }
    }

    fn break_down(&self, text: &str) {
        let why: Arc<str> = format!("its workers cannot begin: {text}").into();
        {
            let mut state = locked(&self.state);
            if state.broken.is_none() {
                state.broken = Some(Arc::clone(&why));
            }
        }
        self.shut();
        self.interrupt_workers(|at| at.number == INITIALIZER);
        let pool = self.settings.name.clone();
        self.fail_all(&|_| PoolError::Broken { pool: pool.clone(), why: Arc::clone(&why) }.into());
    }

    /// What the workers are at.
    pub(super) fn stats(&self) -> PoolStats {
        let state = locked(&self.state);
        let workers: Vec<_> = state
            .workers
            .values()
            .map(|worker| {
                let look = worker.place.look();
                WorkerStats {
                    name: worker.thread.name(),
                    pid: Some(process::pid()),
                    tasks: look.tasks,
                    running: look.call.map(str::to_owned),
                    running_for: look.call.map_or(Duration::ZERO, |_| look.running_for),
                    busy: look.busy,
                    waiting: look.waiting,
                    bytes: 0,
                    restarts: worker.restarts,
                }
            })
            .collect();
        PoolStats {
            running: workers.iter().filter(|it| it.running.is_some()).count(),
            waiting: state.works.values().map(|(work, _)| work.left()).sum(),
            restarts: state.restarts,
            workers,
        }
    }

    // -- work ----------------------------------------------------------------------------

    /// Gives work to whoever is free next, or lets it wait for what it needs; its number.
    pub(super) fn put(self: &Arc<Self>, work: Arc<dyn Work>) -> Result<(), PoolError> {
        {
            let mut state = locked(&self.state);
            if let Some(refusal) = state.refusal(&self.settings) {
                return Err(refusal);
            }
            Self::add(&mut state, Arc::clone(&work));
        }
        self.give_out();
        if work.limits().time_limit.is_some() {
            self.keep_time()?;
        }
        notify(&self.work);
        Ok(())
    }

    fn add(state: &mut State, work: Arc<dyn Work>) {
        state.last_work += 1;
        let number = state.last_work;
        work.sink().moved_to(number);
        work.sink().batches(true);
        state.works.insert(number, (Arc::clone(&work), Units::new()));
        let wants = work.limits().resources.clone();
        if wants.is_empty() {
            Self::enqueue(state, number, work);
        } else {
            state.schedule.add(number, work.limits().priority, wants);
        }
    }

    /// Puts work behind what has a higher priority, or came before.
    fn enqueue(state: &mut State, number: u64, work: Arc<dyn Work>) {
        let priority = work.limits().priority;
        let at = state.queue.partition_point(|(_, it)| it.limits().priority >= priority);
        state.queue.insert(at, (number, work));
    }

    fn give_out(&self) {
        let mut given = false;
        {
            let mut state = locked(&self.state);
            while state.given < self.settings.workers {
                let Some((number, units)) = state.schedule.take_next() else { break };
                let Some((work, has)) = state.works.get_mut(&number) else {
                    state.schedule.end(units);
                    continue;
                };
                *has = units;
                let work = Arc::clone(work);
                state.given += 1;
                given = true;
                Self::enqueue(&mut state, number, work);
            }
        }
        if given {
            notify(&self.work);
        }
    }

    /// Results of a piece of work are handed over, or all of them.
    fn handed(&self, number: u64, all: bool) {
        if all {
            self.over(number);
        }
        notify(&self.done);
    }

    fn over(&self, number: u64) {
        let found = {
            let mut state = locked(&self.state);
            let found = state.works.remove(&number);
            if let Some((_, units)) = &found {
                if !units.is_empty() {
                    state.given -= 1;
                    state.schedule.end(units.clone());
                }
            }
            found
        };
        if let Some((work, units)) = found {
            work.sink().batches(false);
            if !units.is_empty() {
                self.give_out();
            }
        }
    }

    /// Waits until `done()`. A worker of this crew runs what it waits for, if nobody has begun it.
    pub(super) fn wait(
        &self,
        me: &Member,
        sink: Option<&Arc<dyn Sink>>,
        done: &dyn Fn() -> bool,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Waited {
        while !done() {
            if sink.is_some_and(|sink| self.help(sink)) {
                continue;
            }
            let mut met = || done();
            match event::wait_for(me, self.done.off(), hooks, &mut met, deadline) {
                Outcome::Ready => return Waited::Done,
                Outcome::TimedOut => return Waited::TimedOut,
                Outcome::Interrupted => return Waited::Interrupted,
            }
        }
        Waited::Done
    }

    /// Runs work of that sink which nobody has begun, if the calling thread is a worker of this crew.
    fn help(&self, sink: &Arc<dyn Sink>) -> bool {
        let place = WORKS_FOR.with_borrow(|works| {
            works
                .as_ref()
                .filter(|(crew, _)| *crew == self.id())
                .map(|(_, place)| Arc::clone(place))
        });
        let Some(place) = place else { return false };
        let found = {
            let mut state = locked(&self.state);
            let at = state.queue.iter().position(|(_, work)| Arc::ptr_eq(work.sink(), sink));
            at.and_then(|at| state.queue.remove(at))
        };
        let Some((number, work)) = found else { return false };
        self.run(number, &work, &place, u32::MAX);
        true
    }

    // -- what is not wanted any more, or takes too long ----------------------------------

    fn works_of(&self, of: impl Fn(&dyn Work) -> bool) -> Vec<(u64, Arc<dyn Work>)> {
        let state = locked(&self.state);
        let mut found: Vec<_> = state
            .works
            .iter()
            .filter(|(_, (work, _))| of(&**work))
            .map(|(number, (work, _))| (*number, Arc::clone(work)))
            .collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        found
    }

    /// What waits behind tasks that take long goes to others, each by itself; what is finished is handed
    /// over.
    pub(super) fn share_out(&self, sink: &Arc<dyn Sink>) {
        for (number, work) in self.works_of(|work| Arc::ptr_eq(work.sink(), sink)) {
            let handed = |all| self.handed(number, all);
            work.flush(&handed);
            if locked(&self.state).queue.iter().any(|(waiting, _)| *waiting == number) {
                continue; // nobody is at it
            }
            let rest = work.take_rest(&handed);
            if !rest.is_empty() {
                let mut state = locked(&self.state);
                for single in rest {
                    Self::add(&mut state, single);
                }
            }
        }
        self.give_out();
        notify(&self.work);
        notify(&self.done);
    }

    /// Nobody wants the results of a sink any more: what was not begun is not run.
    pub(super) fn abandon(&self, sink: &Arc<dyn Sink>) {
        for (number, work) in self.works_of(|work| Arc::ptr_eq(work.sink(), sink)) {
            self.drop_from_queues(number);
            work.fail_rest(&|call| TaskError::Cancelled { call }, &|all| self.handed(number, all));
        }
    }

    fn drop_from_queues(&self, number: u64) {
        let mut state = locked(&self.state);
        state.queue.retain(|(waiting, _)| *waiting != number);
        state.schedule.withdraw(number);
    }

    /// Takes a task back that nobody has begun, by its number.
    pub(super) fn cancel(&self, number: u64) -> bool {
        let found = locked(&self.state).works.get(&number).map(|(work, _)| Arc::clone(work));
        let Some(work) = found.filter(|work| work.waits()) else { return false };
        self.drop_from_queues(number);
        let cancelled = Cell::new(false);
        let error = |call| {
            cancelled.set(true);
            TaskError::Cancelled { call }
        };
        work.fail_rest(&error, &|all| self.handed(number, all));
        self.give_out();
        cancelled.get()
    }

    /// Interrupts a task that runs, and none but that; false if none does.
    pub(super) fn interrupt(&self, number: u64) -> bool {
        let state = locked(&self.state);
        state.workers.values().any(|worker| {
            let mut at = locked(&worker.place.at);
            let Some(at) = at.as_mut().filter(|at| at.number == number) else { return false };
            at.stop = Some(Stop { limit: None, at: now_ns() });
            worker.thread.interrupt().is_ok()
        })
    }

    /// There is a thread that stops what runs longer than it may.
    fn keep_time(self: &Arc<Self>) -> Result<(), PoolError> {
        let mut keeper = locked(&self.keeper);
        if keeper.is_none() {
            let crew = Arc::clone(self);
            let name = format!("{} (time limits)", self.settings.name);
            let made = std::thread::Builder::new().name(name).spawn(move || crew.watch());
            let refused = |e| PoolError::Setting {
                pool: self.settings.name.clone(),
                what: format!("there is no thread that keeps its time limits: {e}"),
            };
            *keeper = Some(made.map_err(refused)?);
        }
        drop(keeper);
        self.bell.set();
        Ok(())
    }

    fn watch(&self) {
        loop {
            self.bell.clear();
            if self.keeps_no_more_time() {
                return;
            }
            let until = self.keep_time_limits();
            let timeout = until.map(|at| Duration::from_nanos(at.saturating_sub(now_ns())));
            if self.bell.wait(timeout).is_err() {
                std::thread::sleep(AGAIN);
            }
        }
    }

    /// Whether nothing has a time limit any more: also who ends a pool waits for initializers.
    fn keeps_no_more_time(&self) -> bool {
        let state = locked(&self.state);
        let begins = |worker: &Worker| {
            locked(&worker.place.at).as_ref().is_some_and(|at| at.number == INITIALIZER)
        };
        state.shut && !state.workers.values().any(begins)
    }

    /// Stops what runs longer than it may; when that is to be looked at again.
    fn keep_time_limits(&self) -> Option<u64> {
        let state = locked(&self.state);
        let limits = state.works.values().filter_map(|(work, _)| work.limits().time_limit);
        // One that begins after this look.
        let shortest = limits.chain(self.settings.initializer_time_limit).min()?;
        let shortest = u64::try_from(shortest.as_nanos()).unwrap_or(u64::MAX);
        let now = now_ns();
        let mut next = now.saturating_add(shortest);
        for worker in state.workers.values() {
            let mut place = locked(&worker.place.at);
            let Some(at) = place.as_mut() else { continue };
            let limit = match state.works.get(&at.number) {
                Some((work, _)) => work.limits().time_limit,
                None if at.number == INITIALIZER => self.settings.initializer_time_limit,
                None => None,
            };
            let Some(limit) = limit else { continue };
            match overtime(at.began, limit, at.stop.map(|stop| stop.at), now) {
                Overtime::Wait(until) => next = next.min(until),
                // A thread cannot be killed without its process.
                Overtime::Interrupt | Overtime::Kill => {
                    let limit = at.stop.map_or(Some(limit), |stop| stop.limit);
                    at.stop = Some(Stop { limit, at: now });
                    let _ = worker.thread.interrupt();
                    next = now;
                }
            }
        }
        Some(next)
    }

    // -- the end -------------------------------------------------------------------------

    fn fail_all(&self, error: &dyn Fn(&'static str) -> TaskError) {
        for (number, work) in self.works_of(|_| true) {
            self.drop_from_queues(number);
            work.fail_rest(error, &|all| self.handed(number, all));
        }
        notify(&self.done);
    }

    /// Interrupts workers by what they are at.
    fn interrupt_workers(&self, which: impl Fn(&At) -> bool) {
        let state = locked(&self.state);
        for worker in state.workers.values() {
            let mut place = locked(&worker.place.at);
            if let Some(at) = place.as_mut().filter(|at| which(at)) {
                at.stop = Some(Stop { limit: None, at: now_ns() });
                let _ = worker.thread.interrupt();
            }
        }
    }

    fn shut(&self) {
        {
            let mut state = locked(&self.state);
            (state.closed, state.shut) = (true, true);
        }
        notify(&self.work);
        self.bell.set();
    }

    fn join_workers(&self) {
        loop {
            // They stay among the workers until then, for whoever keeps their time limits.
            let threads: Vec<_> = {
                let mut state = locked(&self.state);
                let leaving = std::mem::take(&mut state.leaving);
                let workers = state.workers.values().map(|it| Arc::clone(&it.thread));
                leaving.into_iter().chain(workers).collect()
            };
            if threads.is_empty() {
                return;
            }
            for thread in &threads {
                // A worker that drops its own pool is told so, and ends by itself.
                while let Err(JoinError::Interrupted(_)) = thread.join(None) {}
            }
            let joined = |it: &Worker| threads.iter().any(|thread| Arc::ptr_eq(thread, &it.thread));
            locked(&self.state).workers.retain(|_, it| !joined(it));
        }
    }

    fn join_keeper(&self) {
        let thread = locked(&self.keeper).take();
        let here = std::thread::current().id();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != here) {
            let _ = thread.join();
        }
    }

    /// Takes no more tasks.
    pub(super) fn close(&self) {
        locked(&self.state).closed = true;
    }

    /// Waits until all is done, and for the workers; whether that was so.
    pub(super) fn finish(&self, me: &Member, hooks: &mut dyn BlockingHooks) -> bool {
        self.close();
        let done = || locked(&self.state).works.is_empty();
        if !matches!(self.wait(me, None, &done, hooks, Deadline::NEVER), Waited::Done) {
            return false;
        }
        self.shut();
        self.join_workers();
        self.join_keeper();
        true
    }

    /// Interrupts what runs; what was not begun has failed. Waits for what runs.
    pub(super) fn terminate(&self) {
        self.close();
        let pool = &self.settings.name;
        self.fail_all(&|call| TaskError::Terminated { call, pool: pool.clone() });
        self.interrupt_workers(|_| true);
        self.shut();
        self.join_workers();
        self.join_keeper();
    }
}
