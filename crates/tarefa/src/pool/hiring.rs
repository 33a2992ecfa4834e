//! The workers of a pool of processes: who is hired, what follows from their ends, and the thread that sees
//! to that in the background.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tarefa_engine::channel::Wanted;
use tarefa_engine::os::clock::{Deadline, now_ns};
use tarefa_engine::pool::{Overtime, WorkerEnd, free_place, overtime};
use tarefa_engine::shm::Member;
use tarefa_engine::sync::wait::BlockingHooks;

use super::budget::Share;
use super::errors::{PoolError, TaskError};
use super::processes::{Crew, State, Stopping, Worker, WorkerProcess, death_of};
use super::settings::Settings;
use super::shared::{Messages, SharedBoard};
use super::sink::locked;
use super::stats::{PoolStats, WorkerStats};
use super::turns::{Turns, Waited};
use super::worker::{self, Job, Resource};
use crate::runtime;
use crate::runtime::errors::{CreateError, TooManyThreads};
use crate::sync::event::Event;
use crate::sync::lock::Lock;
use crate::sync::select::{Made, Selectable, Source, select};
use crate::task::process::Process;

/// How soon the thread in the background looks again at what it could not wait for.
const AGAIN: Duration = Duration::from_millis(50);

impl Crew {
    /// Makes the crew, and starts its workers.
    pub(super) fn start(settings: Arc<Settings>) -> Result<Arc<Self>, PoolError> {
        let runtime = runtime::get()?;
        let me = runtime.try_me()?;
        let mut resources = Vec::new();
        for (name, amount) in &settings.resources {
            let units = (0..*amount).map(|_| Lock::new()).collect::<Result<_, CreateError>>()?;
            resources.push(Resource { name: name.clone(), units });
        }
        let crew = Arc::new(Self {
            runtime,
            tasks: Messages::new(&me)?,
            results: Messages::new(&me)?,
            board: SharedBoard::new(&me, 4 * settings.workers as u32 + 16)?,
            resources,
            turns: Turns::new(&me)?,
            bell: Event::new()?,
            state: Mutex::new(State::new(&settings)),
            background: Mutex::default(),
            share: Share::of_one(settings.workers),
            settings,
        });
        for _ in 0..crew.settings.workers {
            if let Err(e) = crew.hire(&me, 0) {
                crew.end_workers();
                return Err(e);
            }
        }
        let watched = Arc::clone(&crew);
        let name = format!("{} (watches workers)", crew.settings.name);
        match std::thread::Builder::new().name(name).spawn(move || watched.watch()) {
            Ok(thread) => *locked(&crew.background) = Some(thread),
            Err(e) => {
                crew.end_workers();
                let what = format!("there is no thread to watch its workers: {e}");
                return Err(PoolError::Setting { pool: crew.settings.name.clone(), what });
            }
        }
        Ok(crew)
    }

    fn hire(&self, me: &Member, restarts: u32) -> Result<(), PoolError> {
        let mut state = locked(&self.state);
        state.last_serial += 1;
        let serial = state.last_serial;
        let Some(seat) = self.free_seat(me, &state) else {
            let what = "more of its workers have died at once than it has seats".to_owned();
            return Err(PoolError::Setting { pool: self.settings.name.clone(), what });
        };
        self.board.board(me).assign(seat, serial);
        let place = free_place(state.workers.values().map(|worker| worker.place));
        let job = Job {
            seat,
            board: self.board.clone(),
            tasks: self.tasks.clone(),
            results: self.results.clone(),
            limit: self.settings.tasks_per_worker,
            soft_memory_limit: self.settings.soft_memory_limit,
            resources: self.resources.clone(),
            share: self.share,
            processors: self.settings.processors(place),
        };
        let initializer = self.settings.initializer.clone();
        let mut process = Process::new(worker::main, (job, initializer))
            .named(format!("{}-{serial}", self.settings.name))
            .daemon(true)
            .with_variables(self.share.variables());
        if let Some(bytes) = self.settings.memory_limit {
            process = process.memory_limit(bytes);
        }
        let pool = || self.settings.name.clone();
        process.start().map_err(|source| PoolError::Start { pool: pool(), source })?;
        let process = Arc::new(process);
        let worker = Worker { seat, place, process, hired: now_ns(), stopped: None, restarts };
        state.workers.insert(serial, worker);
        Ok(())
    }

    fn free_seat(&self, me: &Member, state: &State) -> Option<u32> {
        let board = self.board.board(me);
        let tasks = self.tasks.queue(me);
        // What a dead worker left is read there until another has taken it over, also where all of its
        // results have come.
        let nothing_left = tasks.is_spent();
        (0..board.seats()).find(|seat| {
            !state.workers.values().any(|worker| worker.seat == *seat)
                && (nothing_left || board.batch_of(*seat) == 0)
        })
    }

    /// What the workers are at.
    pub(super) fn stats(&self, me: &Member) -> PoolStats {
        self.look(me);
        let (now, board) = (now_ns(), self.board.board(me));
        let state = locked(&self.state);
        let workers: Vec<_> = state
            .workers
            .values()
            .map(|worker| {
                let usage = board.usage(worker.seat);
                let at = board.running(worker.seat).and_then(|at| {
                    let batch = state.batches.get(&at.batch).filter(|it| it.lacks(at.task))?;
                    Some((batch.text(at.task), now.saturating_sub(at.began)))
                });
                let (running, since) = at.unzip();
                WorkerStats {
                    name: worker.process.name(),
                    pid: worker.process.pid(),
                    tasks: usage.claimed,
                    running,
                    running_for: Duration::from_nanos(since.unwrap_or(0)),
                    busy: Duration::from_nanos(usage.busy_ns),
                    waiting: Duration::from_nanos(usage.waiting_ns),
                    bytes: usage.bytes,
                    restarts: worker.restarts,
                }
            })
            .collect();
        let running = workers.iter().filter(|it| it.running.is_some()).count();
        let left: usize = state.batches.values().map(|batch| batch.left as usize).sum();
        let waiting = left.saturating_sub(running);
        PoolStats { workers, waiting, running, restarts: state.restarts }
    }

    // -- the background ------------------------------------------------------------------

    fn watch(&self) {
        let me = loop {
            match self.me() {
                Ok(me) => break me,
                // There is a slot for it as soon as another thread ends.
                Err(_) => std::thread::sleep(AGAIN),
            }
        };
        loop {
            self.bell.clear();
            let (workers, takes) = {
                let mut state = locked(&self.state);
                if state.closed && state.open == 0 && !state.shut {
                    state.shut = true;
                    self.tasks.queue(&me).shut_down(false);
                }
                if state.workers.is_empty() && (state.shut || state.broken.is_some()) {
                    return;
                }
                let workers: Vec<_> = state
                    .workers
                    .iter()
                    .map(|(serial, worker)| (*serial, Arc::clone(&worker.process)))
                    .collect();
                (workers, state.watched > 0)
            };
            if takes {
                self.look(&me);
            }
            let until = [self.keep_time_limits(&me), self.keep_starts(&me)];
            let until = until.into_iter().flatten().min();
            self.wait_for_news(&me, &workers, takes, until);
            for (serial, process) in &workers {
                if !process.is_alive() {
                    self.has_ended(&me, *serial, process);
                }
            }
        }
    }

    /// Waits until a worker has ended, the bell rings, results are to be taken, or that point has come.
    fn wait_for_news(
        &self,
        me: &Member,
        workers: &[(u64, Arc<WorkerProcess>)],
        takes: bool,
        until: Option<u64>,
    ) {
        let results = ResultsOf { crew: self, me };
        let mut sources: Vec<&dyn Selectable> = vec![&self.bell];
        sources.extend(workers.iter().map(|(_, process)| &**process as &dyn Selectable));
        if takes && !self.turns.is_taken() {
            sources.push(&results);
        }
        let timeout = until.map(|at| Duration::from_nanos(at.saturating_sub(now_ns())));
        if select(&sources, timeout).is_err() {
            // The system has no room for such a wait now.
            std::thread::sleep(AGAIN);
        }
    }

    fn has_ended(&self, me: &Member, serial: u64, process: &WorkerProcess) {
        let death = death_of(process);
        let hires = {
            let mut state = locked(&self.state);
            let Some(worker) = state.workers.remove(&serial) else { return };
            let board = self.board.board(me);
            let ready = board.is_ready(worker.seat);
            let another = state.workers.values().any(|it| board.is_ready(it.seat));
            let goes_on = !state.terminated && state.broken.is_none();
            let end = match &death {
                _ if ready => WorkerEnd::Ready,
                Some(death) if death.exit_code.is_none() => WorkerEnd::Killed,
                _ => WorkerEnd::Failed,
            };
            let gives_up = state.starts.ended(end, another);
            let text = match (&death, self.settings.initializer_time_limit) {
                (Some(death), Some(limit)) if worker.stopped.is_some() => {
                    format!("it ran longer than its time limit of {limit:?}: {death}")
                }
                (Some(death), _) => death.to_string(),
                (None, _) => "a worker ended before it took work".to_owned(),
            };
            if let Some(death) = death {
                state.note_end(serial, death);
            }
            if goes_on && gives_up && !state.shut {
                drop(state);
                return self.break_down(&text);
            }
            let hires = goes_on && !state.shut;
            state.restarts += u64::from(hires);
            hires.then_some(worker.restarts + 1)
        };
        if let Some(restarts) = hires {
            if let Err(e) = self.hire(me, restarts) {
                if locked(&self.state).workers.is_empty() {
                    self.break_down(&e.to_string());
                }
            }
        }
    }

    /// The pool cannot go on.
    fn break_down(&self, text: &str) {
        let what = if self.settings.initializer.is_some() {
            "its initializer failed"
        } else {
            "its workers cannot begin"
        };
        let why: Arc<str> = format!("{what}: {text}").into();
        locked(&self.state).broken = Some(Arc::clone(&why));
        self.end_workers();
        let pool = self.settings.name.clone();
        self.fail_all(&|_| PoolError::Broken { pool: pool.clone(), why: Arc::clone(&why) }.into());
    }

    /// Stops what runs longer than it may; when that is to be looked at again.
    fn keep_time_limits(&self, me: &Member) -> Option<u64> {
        let mut state = locked(&self.state);
        let limited = state.batches.values().filter(|batch| batch.left > 0);
        // One that begins after this look.
        let shortest = limited.filter_map(|batch| batch.time_limit()).min()?;
        let now = now_ns();
        let mut next = now.saturating_add(u64::try_from(shortest.as_nanos()).unwrap_or(u64::MAX));
        let board = self.board.board(me);
        for (seat, process) in state.seated() {
            let Some(running) = board.running(seat) else { continue };
            let (number, index) = (running.batch, running.task);
            let batch = state.batches.get(&number).filter(|batch| batch.lacks(index));
            let Some(limit) = batch.and_then(|batch| batch.time_limit()) else { continue };
            let stopped = state.stopping.get(&(number, index)).map(|it| it.at);
            match overtime(running.began, limit, stopped, now) {
                Overtime::Wait(at) => next = next.min(at),
                Overtime::Interrupt => {
                    if board.hold(seat, number, index) {
                        let stopping = Stopping { limit: Some(limit), at: now };
                        state.stopping.insert((number, index), stopping);
                        let _ = process.interrupt();
                    }
                    next = now;
                }
                Overtime::Kill => {
                    if let Some(stopping) = state.stopping.get_mut(&(number, index)) {
                        stopping.at = now;
                    }
                    if board.is_held(seat) {
                        let _ = process.kill();
                    }
                    next = now;
                }
            }
        }
        Some(next)
    }

    /// Stops workers whose initializer takes too long; when that is to be looked at again.
    fn keep_starts(&self, me: &Member) -> Option<u64> {
        let limit = self.settings.initializer_time_limit?;
        let now = now_ns();
        let board = self.board.board(me);
        let mut state = locked(&self.state);
        let mut next = None;
        for worker in state.workers.values_mut().filter(|it| !board.is_ready(it.seat)) {
            let at = match overtime(worker.hired, limit, worker.stopped, now) {
                Overtime::Wait(at) => at,
                _ if !board.give_up(worker.seat) => continue,
                what => {
                    worker.stopped = Some(now);
                    let _ = match what {
                        Overtime::Kill => worker.process.kill(),
                        _ => worker.process.interrupt(),
                    };
                    now
                }
            };
            next = Some(next.map_or(at, |next: u64| next.min(at)));
        }
        next
    }

    // -- the end -------------------------------------------------------------------------

    /// Takes no more tasks.
    pub(super) fn close(&self) {
        locked(&self.state).closed = true;
        self.bell.set();
    }

    /// Waits until all is done, and for the workers; whether that was so.
    pub(super) fn finish(&self, me: &Member, hooks: &mut dyn BlockingHooks) -> bool {
        self.close();
        let done = || locked(&self.state).open == 0;
        if !matches!(self.wait(me, &done, hooks, Deadline::NEVER), Waited::Done) {
            return false;
        }
        self.bell.set();
        self.join_background();
        true
    }

    /// Ends the workers; what is not done has failed.
    pub(super) fn terminate(&self, me: &Member) {
        {
            let mut state = locked(&self.state);
            state.closed = true;
            state.terminated = true;
            if !state.shut {
                state.shut = true;
                self.tasks.queue(me).shut_down(false);
            }
        }
        self.end_workers();
        self.bell.set();
        self.join_background();
        self.look(me);
        let pool = &self.settings.name;
        self.fail_all(&|call| TaskError::Terminated { call, pool: pool.clone() });
    }

    fn end_workers(&self) {
        let state = locked(&self.state);
        for worker in state.workers.values() {
            let _ = worker.process.kill();
        }
        for worker in state.workers.values() {
            // Whoever asks is told, so that nobody else is.
            let _ = worker.process.join(None).map(|()| worker.process.error());
        }
    }

    fn join_background(&self) {
        let thread = locked(&self.background).take();
        let here = std::thread::current().id();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != here) {
            let _ = thread.join();
        }
    }
}

/// The queue of results, among other things that are waited for.
struct ResultsOf<'a> {
    crew: &'a Crew,
    me: &'a Member,
}

impl Source for ResultsOf<'_> {
    fn member(&self) -> Result<Option<Member>, TooManyThreads> {
        Ok(Some(*self.me))
    }

    fn make<'a>(&'a self, me: &'a Member) -> Made<'a> {
        Made::Object(Box::new(self.crew.results.queue(me).selectable(Wanted::Message)))
    }
}

impl Selectable for ResultsOf<'_> {}
