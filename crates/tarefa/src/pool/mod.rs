//! Pools: functions over many inputs, on threads or processes.
//!
//! ```text
//!  Pool ── submit ──> PoolFuture ──┐            ┌── processes (a queue in the arena, worker.rs)
//!    └──── map ─────> Map ─────────┴── Crew ────┤
//!                       Sink <── results ───────┴── threads (a queue of this process's own, work.rs)
//! ```
//!
//! What of a pool of processes lies in the arena, who owns each byte of it, which store publishes it, and what
//! a death leaves at each step is written in the engine's `pool/README.md`: the board, the two queues and
//! the rule of sizes are those of the Python package's pools. `processes.rs` says what this process keeps
//! of its own.
//!
//! - Work lies in one queue, and goes to whoever is free. A map gives out batches as results are taken, of a
//!   size that follows from the measured length of tasks; each result commits by itself.
//! - A worker's death fails the task that it ran, or repeats it as often as `retries` says; the rest of its
//!   batch goes to others, and what has its result is not run again.
//! - What waits behind a long task in a batch is taken from its worker when somebody waits for it.
//!
//! Checked by `tests/pool/` over both kinds, and by the engine's crash table and the storm.

mod batch;
mod budget;
mod call;
mod crew;
mod errors;
mod future;
mod hiring;
mod map;
mod place;
mod processes;
mod running;
mod scope;
mod settings;
mod shared;
mod sink;
mod stats;
mod threads;
mod timeline;
mod turns;
mod wire;
mod work;
mod worker;

pub use budget::cores;
pub use errors::{Attempt, PoolError, TaskError};
pub use future::PoolFuture;
pub use map::Map;
pub use running::{attempt, leased};
pub use scope::Scope;
pub use stats::{PoolStats, WorkerStats};
pub use timeline::{OnCore, Recording, Slice, SliceKind, Timeline, TimelineError, timeline};

use std::any::type_name;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::pool::Pinning;

use crate::runtime::blocking::Here;
use crate::task::target::{self, Target};
use call::Call;
use crew::{Crew, Inputs};
use settings::{Kind, Limits, Settings};
use sink::{One, locked};

/// Counts the pools without a name of their own.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Workers that run functions: threads of this process, or processes.
///
/// ```
/// use tarefa::Pool;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::processes(2);
/// let squares = pool.map(|n: u64| n * n, 0..5).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(squares, [0, 1, 4, 9, 16]);
/// assert_eq!(pool.submit(|a: u64, b: u64| a + b, (2, 3))?.result()?, 5);
/// # Ok(())
/// # }
/// ```
///
/// The same program with [`threads`](Pool::threads) in the place of [`processes`](Pool::processes) gives the
/// same results, in the same order, with the same errors. What a function is, and what travels, is the same as
/// for a [`Process`](crate::Process): see [`Target`].
///
/// - The workers start with the first task, or with [`start`](Pool::start). What is said of the pool is said
///   before that.
/// - **A worker that dies** fails the task that it ran, with [`TaskError::Died`], or has it repeated as often
///   as [`retries`](Pool::retries) says. Others do the rest of its batch; what has its result is never run
///   again; another worker takes its place.
/// - **A panic** fails its task alone, and is told who asks for the result.
/// - **Dropped**, a pool waits for all that was submitted, and for its workers. If the thread panics, or its
///   task is interrupted meanwhile, the pool is [terminated](Pool::terminate) instead.
///
/// ```
/// use tarefa::{Pool, TaskError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// fn careful(n: u32) -> u32 {
///     if n == 3 {
///         std::process::abort();
///     }
///     n
/// }
///
/// let pool = Pool::processes(2);
/// let results: Vec<_> = pool.map(careful, 0..6).collect();
/// let Err(TaskError::Died { death, attempts, .. }) = &results[3] else { panic!() };
/// assert_eq!((death.signal.as_deref(), attempts.len()), (Some("SIGABRT"), 1));
/// assert_eq!(results.iter().flatten().copied().collect::<Vec<_>>(), [0, 1, 2, 4, 5]);
/// # Ok(())
/// # }
/// ```
pub struct Pool {
    state: Mutex<State>,
    /// What its workers do, if somebody wants to know.
    recording: Mutex<Option<Recording>>,
}

enum State {
    New(Box<Settings>),
    Started(Crew),
    /// It could not start.
    Failed(Arc<Settings>),
}

impl Pool {
    /// A pool of so many threads of this process.
    #[must_use]
    pub fn threads(workers: usize) -> Self {
        Self::new(Kind::Threads, workers)
    }

    /// A pool of so many processes.
    #[must_use]
    pub fn processes(workers: usize) -> Self {
        Self::new(Kind::Processes, workers)
    }

    fn new(kind: Kind, workers: usize) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let settings = Settings::new(kind, format!("Pool-{number}"), workers);
        let state = Mutex::new(State::New(Box::new(settings)));
        Self { state, recording: Mutex::default() }
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        if let State::New(settings) = &mut *locked(&self.state) {
            change(settings);
        }
        self
    }

    /// The same pool, named: its workers have its name, with a number.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.with(|it| it.name = name.into())
    }

    /// The same pool, in each worker of which `function` is called with `args` before its first task. If it
    /// panics or returns an `Err`, the pool is broken: all that was submitted fails with
    /// [`PoolError::Broken`].
    #[must_use]
    pub fn initializer<F, A, M>(self, function: F, args: A) -> Self
    where
        F: Target<A, M>,
        A: Serialize + DeserializeOwned + Send + 'static,
    {
        const { target::check_captures_nothing::<F>() };
        // A copy of it is made from its type, where it is called.
        let _ = function;
        self.with(|it| match Call::new::<F, A, M>(&args) {
            Ok(call) => it.initializer = Some(call),
            Err(e) => it.fault(format!("its initializer cannot be sent to its workers: {e}")),
        })
    }

    /// The same pool, whose initializer may take so long in each worker. Then it is interrupted, and two seconds
    /// later its process is killed if it goes on; the pool is broken.
    #[must_use]
    pub fn initializer_time_limit(self, limit: Duration) -> Self {
        self.with(|it| it.initializer_time_limit = Some(limit))
    }

    /// The same pool, whose workers end after so many tasks, and others take their places: for functions
    /// that leave something behind.
    #[must_use]
    pub fn tasks_per_worker(self, tasks: u32) -> Self {
        self.with(|it| it.tasks_per_worker = Some(tasks))
    }

    /// The same pool, each process of which may take so many bytes of private memory beyond what it starts
    /// with: see [`Process::memory_limit`](crate::Process::memory_limit).
    #[must_use]
    pub fn memory_limit(self, bytes: u64) -> Self {
        self.with(|it| it.memory_limit = Some(bytes))
    }

    /// The same pool, whose workers end after a batch in which their private memory has grown by more than
    /// so many bytes since they were ready, and others take their places: for functions that leave a lot
    /// behind. No task fails for it.
    #[must_use]
    pub fn soft_memory_limit(self, bytes: u64) -> Self {
        self.with(|it| it.soft_memory_limit = Some(bytes))
    }

    /// The same pool, each worker of which runs on one processor alone: the first on the first that this
    /// process may use, and so on, and over again. Who takes the place of another takes his processor.
    #[must_use]
    pub fn pinned(self) -> Self {
        self.with(|it| it.pinning = Some(Pinning::one_each()))
    }

    /// The same pool, each worker of which runs on the processors of one of these sets alone, by their
    /// numbers: the first on those of the first, and so on, and over again.
    ///
    /// # Errors
    /// A pool with no set, an empty one, or with a processor that this process may not use, is refused at
    /// its first task.
    #[must_use]
    pub fn pinned_to<S: IntoIterator<Item = usize>>(
        self,
        sets: impl IntoIterator<Item = S>,
    ) -> Self {
        let sets = sets.into_iter().map(|set| set.into_iter().collect()).collect();
        self.with(|it| match Pinning::new(sets) {
            Ok(pinning) => it.pinning = Some(pinning),
            Err(e) => it.fault(e.to_string()),
        })
    }

    /// The same pool, each task of which may run for `limit` at most. Then it is interrupted, and can clean
    /// up; a value that it returns counts, an error with an [`Interrupted`](crate::Interrupted) in it is
    /// [`TaskError::OverTime`]. Two seconds later its worker is killed, if it goes on; a thread is
    /// interrupted again.
    #[must_use]
    pub fn time_limit(self, limit: Duration) -> Self {
        self.with(|it| it.limits.time_limit = Some(limit))
    }

    /// The same pool, which tries a task so many times again whose worker has died in it. See
    /// [`attempt`](crate::attempt).
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        self.with(|it| it.limits.retries = retries)
    }

    /// The same pool, with so much of a resource. Tasks ask for it by [`PoolOptions::resource`], wait until it
    /// is there, and find by [`leased`] which units they have. Who dies gives them back.
    #[must_use]
    pub fn resource(self, name: impl Into<String>, amount: u32) -> Self {
        let name = name.into();
        self.with(|it| {
            if it.resources.iter().any(|(known, _)| *known == name) {
                it.fault(format!("resource {name:?} is there twice"));
            } else {
                it.resources.push((name, amount));
            }
        })
    }

    /// The same pool, whose workers write down when each call begins and ends, from the start: see
    /// [`timeline`](Pool::timeline).
    #[must_use]
    pub fn recorded(self) -> Self {
        self.with(|it| it.recorded = true)
    }

    /// Starts the workers, which the first task would do.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn start(&self) -> Result<(), PoolError> {
        self.crew().map(drop)
    }

    fn crew(&self) -> Result<Crew, PoolError> {
        let mut state = locked(&self.state);
        let settings = match &mut *state {
            State::Started(crew) => return Ok(crew.clone()),
            State::Failed(settings) => Arc::clone(settings),
            State::New(settings) => {
                let nothing = Settings::new(settings.kind, settings.name.clone(), 0);
                Arc::new(std::mem::replace(&mut **settings, nothing))
            }
        };
        *state = State::Failed(Arc::clone(&settings));
        let known = locked(&self.recording).clone();
        let recording = match known {
            None if settings.recorded => {
                let pool = || settings.name.clone();
                let refused = |source| PoolError::Timeline { pool: pool(), source };
                Some(self.record().map_err(refused)?)
            }
            other => other,
        };
        let crew = Crew::start(settings)?;
        if let Some(recording) = recording {
            recording.add(crew.number());
        }
        *state = State::Started(crew.clone());
        Ok(crew)
    }

    /// Has `function` called with `args`, a tuple, by the next worker that is free.
    ///
    /// # Errors
    /// [`PoolError`]: the pool cannot start, or is broken; the arguments do not serialise.
    pub fn submit<F, A, M>(&self, function: F, args: A) -> Result<PoolFuture<F::Output>, PoolError>
    where
        F: Target<A, M>,
        F::Output: Send,
        A: Serialize + DeserializeOwned + Send + 'static,
        M: 'static,
    {
        self.options().submit(function, args)
    }

    /// The results of `function` for each input, in the order of the inputs. Each has its own fate: one that
    /// failed is an `Err`, and the others go on.
    ///
    /// Inputs are taken as results are, some batches ahead of what the workers are at: endless ones take bounded
    /// memory. Batches grow and shrink with the measured length of tasks.
    ///
    /// ```
    /// use tarefa::Pool;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::threads(2);
    /// let first = pool.map(|n: u64| n * n, 0..).take(3).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(first, [0, 1, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<F, M, I>(
        &self,
        function: F,
        inputs: I,
    ) -> Map<'_, I::IntoIter, I::Item, F::Output, F, M>
    where
        I: IntoIterator,
        I::Item: Serialize + DeserializeOwned + Send + 'static,
        F: Target<(I::Item,), M>,
        F::Output: Send,
        M: 'static,
    {
        self.options().map(function, inputs)
    }

    /// The same, with results as they come.
    pub fn map_unordered<F, M, I>(
        &self,
        function: F,
        inputs: I,
    ) -> Map<'_, I::IntoIter, I::Item, F::Output, F, M>
    where
        I: IntoIterator,
        I::Item: Serialize + DeserializeOwned + Send + 'static,
        F: Target<(I::Item,), M>,
        F::Output: Send,
        M: 'static,
    {
        self.options().map_unordered(function, inputs)
    }

    /// The same pool, with other limits for what is submitted through this.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tarefa::{Interrupted, Pool, TaskError, sleep};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// fn work() -> Result<(), Interrupted> {
    ///     sleep(Duration::from_secs(3600))
    /// }
    ///
    /// let pool = Pool::threads(1);
    /// let late = pool.options().time_limit(Duration::from_millis(50)).submit(work, ())?;
    /// assert!(matches!(late.result(), Err(TaskError::OverTime { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn options(&self) -> PoolOptions<'_> {
        let limits = match &*locked(&self.state) {
            State::New(settings) => settings.limits.clone(),
            State::Started(crew) => crew.settings().limits.clone(),
            State::Failed(settings) => settings.limits.clone(),
        };
        PoolOptions { pool: self, limits, wants: Vec::new() }
    }

    /// Calls `act` with a scope, whose tasks may borrow what lives longer than it: it returns once all of them
    /// have ended. Threads alone can do that.
    ///
    /// ```
    /// use tarefa::Pool;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::threads(2);
    /// let mut halves = [vec![3, 1, 2], vec![6, 5, 4]];
    /// pool.scope(|scope| {
    ///     for half in &mut halves {
    ///         scope.spawn(|| half.sort());
    ///     }
    /// })?;
    /// assert_eq!(halves, [[1, 2, 3], [4, 5, 6]]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PoolError`]: it has processes, cannot start, or its workers could not begin; then some tasks were not
    /// run.
    ///
    /// # Panics
    /// With the panic of `act`, or else with the first one of a task; once all of them have ended.
    pub fn scope<'env, R>(
        &'env self,
        act: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    ) -> Result<R, PoolError> {
        match self.crew()? {
            Crew::Threads(crew) => scope::scope(&crew, act),
            crew @ Crew::Processes(_) => {
                Err(PoolError::NotThreads { pool: crew.settings().name.clone() })
            }
        }
    }

    /// Takes no more tasks: who submits one is told so. Those that are there go on.
    pub fn close(&self) {
        match &mut *locked(&self.state) {
            State::New(settings) => settings.closed = true,
            State::Started(crew) => crew.close(),
            State::Failed(_) => {}
        }
    }

    /// What the workers are at, and how much waits; nothing of a pool that has not started.
    ///
    /// ```
    /// use tarefa::Pool;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::processes(2);
    /// assert_eq!(pool.submit(|n: u64| n * n, (5,))?.result()?, 25);
    /// let stats = pool.stats();
    /// assert_eq!((stats.workers.len(), stats.waiting), (2, 0));
    /// println!("{stats}");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let crew = match &*locked(&self.state) {
            State::Started(crew) => crew.clone(),
            State::New(_) | State::Failed(_) => return PoolStats::default(),
        };
        crew.stats()
    }

    /// Records from now on.
    fn record(&self) -> Result<Recording, TimelineError> {
        let mut recording = locked(&self.recording);
        if let Some(recording) = &*recording {
            return Ok(recording.clone());
        }
        let made = Recording::of_pool()?;
        *recording = Some(made.clone());
        Ok(made)
    }

    /// Who ran what when: all calls since the start of a pool that is [`recorded`](Pool::recorded), else
    /// since the first call of this. A call of a worker that was killed ends at its death, with the signal.
    ///
    /// ```
    /// use tarefa::Pool;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::processes(2).recorded();
    /// let squares = pool.map(|n: u64| n * n, 0..5).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(squares, [0, 1, 4, 9, 16]);
    /// let timeline = pool.timeline()?;
    /// assert_eq!(timeline.slices().len(), 5);
    /// println!("{timeline}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TimelineError`].
    pub fn timeline(&self) -> Result<Timeline, TimelineError> {
        self.recording().map(|recording| recording.timeline())
    }

    /// What records [`timeline`](Pool::timeline), and has it once the pool has ended, too.
    ///
    /// ```
    /// use tarefa::Pool;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::threads(2);
    /// let recording = pool.recording()?;
    /// pool.submit(|n: u64| n * n, (5,))?;
    /// pool.join()?;
    /// assert_eq!(recording.timeline().slices().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TimelineError`].
    pub fn recording(&self) -> Result<Recording, TimelineError> {
        let state = locked(&self.state);
        let is_new = locked(&self.recording).is_none();
        let recording = self.record()?;
        if let (true, State::Started(crew)) = (is_new, &*state) {
            recording.add(crew.number());
        }
        Ok(recording)
    }

    /// Writes [`timeline`](Pool::timeline) to a file, in the form that its name ends with: see
    /// [`Timeline::save`].
    ///
    /// # Errors
    /// [`TimelineError`]: nothing is recorded yet, the file's name has another ending, or the file cannot be
    /// written.
    pub fn save_timeline(&self, path: impl AsRef<Path>) -> Result<(), TimelineError> {
        timeline::check_ending(path.as_ref())?;
        let Some(recording) = locked(&self.recording).clone() else {
            return Err(TimelineError::NotRecorded { pool: self.name() });
        };
        recording.save(path)
    }

    /// Waits until all that was submitted has its result, and until the workers have ended. Dropping the pool
    /// does the same.
    ///
    /// # Errors
    /// [`TaskError::Interrupted`]: the calling task was interrupted; the pool is terminated.
    #[track_caller]
    pub fn join(self) -> Result<(), TaskError> {
        if let State::Started(crew) = &*locked(&self.state) {
            let me = crew.me()?;
            if !crew.finish(&me, &mut Here::now()) {
                crew.terminate(&me);
                return Err(crate::runtime::interrupt::Interrupted.into());
            }
        }
        Ok(())
    }

    /// Ends the pool now: processes are killed, and tasks on threads interrupted and waited for. What has no
    /// result fails with [`TaskError::Terminated`].
    pub fn terminate(self) {
        if let State::Started(crew) = &*locked(&self.state) {
            if let Ok(me) = crew.me() {
                crew.terminate(&me);
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        match &*locked(&self.state) {
            State::New(settings) => settings.name.clone(),
            State::Started(crew) => crew.settings().name.clone(),
            State::Failed(settings) => settings.name.clone(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let State::Started(crew) = state {
            let Ok(me) = crew.me() else { return };
            if std::thread::panicking() || !crew.finish(&me, &mut Here::now()) {
                crew.terminate(&me);
            }
        }
        if let Some(recording) = locked(&self.recording).take() {
            recording.end();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, workers) = match &*locked(&self.state) {
            State::New(settings) => (settings.kind, settings.workers),
            State::Started(crew) => (crew.settings().kind, crew.settings().workers),
            State::Failed(settings) => (settings.kind, settings.workers),
        };
        write!(f, "Pool({:?}, {workers} {kind:?})", self.name())
    }
}

/// A pool, with limits for what is submitted through this: see [`Pool::options`].
#[derive(Clone, Debug)]
#[must_use = "it changes nothing but what is submitted through it"]
pub struct PoolOptions<'p> {
    pool: &'p Pool,
    limits: Limits,
    wants: Vec<(String, u32)>,
}

impl<'p> PoolOptions<'p> {
    /// See [`Pool::time_limit`].
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limits.time_limit = Some(limit);
        self
    }

    /// See [`Pool::retries`].
    pub fn retries(mut self, retries: u32) -> Self {
        self.limits.retries = retries;
        self
    }

    /// Tasks with a higher priority go before those that no worker has begun; without one a task has 0.
    ///
    /// ```
    /// use tarefa::Pool;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::processes(2);
    /// let urgent = pool.options().priority(1).submit(|n: u32| n + 1, (1,))?;
    /// assert_eq!(urgent.result()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn priority(mut self, priority: i64) -> Self {
        self.limits.priority = priority;
        self
    }

    /// Each task needs so much of a resource, waits until that is free, and has it until its end: see
    /// [`Pool::resource`] and [`leased`]. Tasks that are given out as a batch have it in common, for they run
    /// one after the other.
    pub fn resource(mut self, name: impl Into<String>, amount: u32) -> Self {
        self.wants.push((name.into(), amount));
        self
    }

    /// Of a map, the most inputs that are given out and whose results are not taken: 16,384 if nothing is
    /// said.
    pub fn read_ahead(mut self, inputs: usize) -> Self {
        self.limits.read_ahead = Some(inputs);
        self
    }

    fn crew(&self) -> Result<(Crew, Limits), PoolError> {
        let crew = self.pool.crew()?;
        let mut limits = self.limits.clone();
        crew.settings().check_limits(&limits)?;
        for (name, amount) in &self.wants {
            let number = crew.settings().resource(name, *amount)?;
            limits.resources.push((number, *amount));
        }
        Ok((crew, limits))
    }

    /// See [`Pool::submit`].
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn submit<F, A, M>(&self, function: F, args: A) -> Result<PoolFuture<F::Output>, PoolError>
    where
        F: Target<A, M>,
        F::Output: Send,
        A: Serialize + DeserializeOwned + Send + 'static,
        M: 'static,
    {
        const { target::check_captures_nothing::<F>() };
        // A copy of it is made from its type, where it is called.
        let _ = function;
        let (crew, limits) = self.crew()?;
        let me = crew.me()?;
        let one = Arc::new(One::new(type_name::<F>()));
        let inputs = Inputs { first: 0, args: vec![args], limits, sizes: None };
        crew.put::<F, A, M, F::Output, _>(&me, &one, inputs)?;
        Ok(PoolFuture::new(crew, one))
    }

    /// See [`Pool::map`].
    pub fn map<F, M, I>(
        &self,
        function: F,
        inputs: I,
    ) -> Map<'p, I::IntoIter, I::Item, F::Output, F, M>
    where
        I: IntoIterator,
        I::Item: Serialize + DeserializeOwned + Send + 'static,
        F: Target<(I::Item,), M>,
        F::Output: Send,
        M: 'static,
    {
        self.mapped(function, inputs, true)
    }

    /// See [`Pool::map_unordered`].
    pub fn map_unordered<F, M, I>(
        &self,
        function: F,
        inputs: I,
    ) -> Map<'p, I::IntoIter, I::Item, F::Output, F, M>
    where
        I: IntoIterator,
        I::Item: Serialize + DeserializeOwned + Send + 'static,
        F: Target<(I::Item,), M>,
        F::Output: Send,
        M: 'static,
    {
        self.mapped(function, inputs, false)
    }

    fn mapped<F, M, I>(
        &self,
        function: F,
        inputs: I,
        ordered: bool,
    ) -> Map<'p, I::IntoIter, I::Item, F::Output, F, M>
    where
        I: IntoIterator,
        I::Item: Serialize + DeserializeOwned + Send + 'static,
        F: Target<(I::Item,), M>,
        F::Output: Send,
        M: 'static,
    {
        const { target::check_captures_nothing::<F>() };
        // A copy of it is made from its type, where it is called.
        let _ = function;
        let (crew, limits) = match self.crew() {
            Ok((crew, limits)) => (Ok(crew), limits),
            Err(error) => (Err(error), Limits::default()),
        };
        Map::start(crew, type_name::<F>(), inputs.into_iter(), limits, ordered)
    }
}
