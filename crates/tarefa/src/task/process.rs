//! A task as a process.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::task::State;
use tarefa_engine::task::process as engine;
use tarefa_engine::task::record::Task as Record;

use crate::convert::codec;
use crate::convert::codec::{Encoded, SERDE};
use crate::convert::errors::EncodeError;
use crate::runtime;
use crate::runtime::blocking::RustParker;
use crate::runtime::environment;
use crate::runtime::errors::CreateError;
use crate::runtime::own_copy;
use crate::task::errors::{ResultError, StartError};
use crate::task::target;
use crate::task::target::{Ended, Target};
use crate::task::task_methods;
use crate::task::zygote;
use crate::task::zygote::Trampoline;
use crate::task::{Core, HasCore, Kind, Slot, Typed};

/// Arguments that wait to be sent.
trait Job: Send {
    fn encode(&self) -> Result<Encoded, EncodeError>;
    fn trampoline(&self) -> Trampoline;
}

struct JobOf<F, A, M> {
    args: A,
    trampoline: Trampoline,
    target: std::marker::PhantomData<fn(F, M)>,
}

impl<F, A: Serialize + Send, M> Job for JobOf<F, A, M> {
    fn encode(&self) -> Result<Encoded, EncodeError> {
        codec::encode(&self.args)
    }

    fn trampoline(&self) -> Trampoline {
        self.trampoline
    }
}

/// What a child runs, one for each type of target and arguments.
fn trampoline<F, A, M>(bytes: &[u8]) -> Ended
where
    F: Target<A, M>,
    A: DeserializeOwned,
{
    match codec::decode::<A>(bytes) {
        Ok(args) => target::run::<F, A, M>(args),
        Err(e) => Ended::failed(format!("the arguments cannot be read: {e}")),
    }
}

/// A task that runs as a process of its own.
///
/// ```
/// use tarefa::{Process, Task};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let task = Process::new(|| std::process::id(), ());
/// task.start()?;
/// let inside = task.result(None)?;
/// assert_eq!(task.pid(), Some(inside as i32));
/// assert_ne!(inside, std::process::id());
/// # Ok(())
/// # }
/// ```
///
/// - Its memory is its own: statics have the values they have when a program starts, not
///   those of the process that started it. What is to be shared is an argument.
/// - It has of its starter, as they are at [`start`](Process::start): standard output and error
///   (standard input is what the program began with), environment variables and working
///   directory, the file mode mask, niceness, processors and resource limits. A niceness below its
///   own, or a hard limit above its own, it cannot take over without privileges.
/// - [`on_process_start`](crate::on_process_start) says what is called in it before its target.
/// - It ends when the process that started it does.
/// - Constructors that the program registers to run before `main` may not have run in it.
pub struct Process<R> {
    task: Typed<R>,
    job: Slot<Box<dyn Job>>,
    /// Variables of its environment that the starter's has not.
    variables: Vec<(String, String)>,
}

impl<R: Serialize + DeserializeOwned + 'static> Process<R> {
    /// A process that will call `target` with `args`, a tuple. See [`Target`].
    pub fn new<F, A, M>(target: F, args: A) -> Self
    where
        F: Target<A, M, Output = R>,
        A: Serialize + DeserializeOwned + Send + 'static,
        M: 'static,
    {
        const { target::check_captures_nothing::<F>() };
        // A copy of it is made from its type, where it is called.
        let _ = target;
        let job: Box<dyn Job> = Box::new(JobOf::<F, A, M> {
            args,
            trampoline: trampoline::<F, A, M>,
            target: std::marker::PhantomData,
        });
        Self::of(Typed::new(Kind::Process), Some(job))
    }

    /// Makes a process and starts it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn spawn<F, A, M>(target: F, args: A) -> Result<Self, StartError>
    where
        F: Target<A, M, Output = R>,
        A: Serialize + DeserializeOwned + Send + 'static,
        M: 'static,
    {
        let task = Self::new(target, args);
        task.start()?;
        Ok(task)
    }

    /// The same task, named.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.task.core.set_name(name.into());
        self
    }

    /// The same task, a daemon or not: a daemon does not keep the program alive.
    #[must_use]
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.task.core.set_daemon(daemon);
        self
    }

    /// The same task, which may run for `limit` at most from the moment its target does.
    ///
    /// When the time is up it is interrupted, and can clean up; what it returns then counts. Two
    /// seconds later its process is killed if it goes on, and its result is
    /// [`WorkerDied`](crate::WorkerDied) with [`LikelyCause::TimeLimit`](crate::LikelyCause).
    /// A limit of zero is an error at [`start`](Process::start).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tarefa::{Interrupted, Process, State, sleep};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// fn work() -> Result<(), Interrupted> {
    ///     sleep(Duration::from_secs(3600))
    /// }
    /// let task = Process::new(work, ()).time_limit(Duration::from_millis(100));
    /// task.start()?;
    /// assert!(task.result(None)?.is_err());
    /// assert_eq!((task.state(), task.ran_over_time()), (State::Interrupted, true));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.task.core.set_time_limit(limit);
        self
    }

    /// The same task, which may take so many bytes of private memory beyond what its process
    /// starts with: its arguments count, and the stacks of its threads, but no shared objects.
    ///
    /// What goes beyond is refused by the system. Most Rust code aborts then, and the result is
    /// [`WorkerDied`](crate::WorkerDied) with [`LikelyCause::MemoryLimit`](crate::LikelyCause);
    /// `try_reserve` and its like answer with an error. A limit of zero is an error at
    /// [`start`](Process::start).
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.task.core.set_memory_limit(bytes);
        self
    }

    /// What the target returned, once it has; waits for that at most `timeout`.
    ///
    /// # Errors
    /// [`ResultError`].
    #[track_caller]
    pub fn result(&self, timeout: Option<Duration>) -> Result<R, ResultError> {
        self.task.result(timeout)
    }

    task_methods!();
}

/// Sets how many processes are kept forked ahead of need: 0 to 64. With more, many processes
/// start at once without waiting for a fork; each takes a little memory.
///
/// # Errors
/// [`CreateError`].
pub fn set_spares(count: usize) -> Result<(), CreateError> {
    let mut set = spares_set();
    engine::set_spares(&runtime::get()?.try_me()?, count as u64)?;
    *set = true;
    Ok(())
}

/// Sets how deep processes may start processes: those that the program itself starts are at depth 1.
/// A start that would be deeper is [`StartError`]. 64 unless it is set, here or by
/// `TAREFA_MAX_DEPTH`.
///
/// # Errors
/// [`CreateError`].
pub fn set_max_depth(depth: usize) -> Result<(), CreateError> {
    engine::set_max_depth(&runtime::get()?.try_me()?, depth as u64)?;
    Ok(())
}

/// Whether a number of spares is set. One that the environment says wrongly is told each time.
static SPARES_SET: Mutex<bool> = Mutex::new(false);

fn spares_set() -> MutexGuard<'static, bool> {
    SPARES_SET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for the zygote and its spares ahead of need.
pub(crate) fn prepare() -> Result<(), CreateError> {
    let runtime = runtime::get()?;
    let me = runtime.try_me()?;
    own_copy::check().map_err(|e| CreateError::Runtime(io::Error::other(e)))?;
    if runtime.is_root() {
        let mut set = spares_set();
        if !*set {
            let count = engine::usual_spares().map_err(|bad| CreateError::Runtime(bad.into()))?;
            engine::set_spares(&me, count)?;
            *set = true;
        }
        let depth = engine::usual_depth().map_err(|bad| CreateError::Runtime(bad.into()))?;
        engine::set_usual_depth(&me, depth)?;
    }
    engine::prepare(&me)?;
    Ok(())
}

impl<R> Process<R> {
    fn of(task: Typed<R>, job: Option<Box<dyn Job>>) -> Self {
        Self { task, job: Slot::new(job), variables: Vec::new() }
    }

    /// The same task, in whose environment these variables are set.
    pub(crate) fn with_variables(mut self, variables: Vec<(String, String)>) -> Self {
        self.variables = variables;
        self
    }

    /// Puts what is to run into the record.
    fn fill(&self, task: &Record<'_>, job: &dyn Job) -> Result<(), StartError> {
        let failed = |source| StartError::Arguments { name: task.name(), source };
        let args = job.encode().map_err(failed)?;
        let around = environment::changed(&self.variables).map(|s| codec::encode(&s)).transpose();
        let around = around.map_err(failed)?.unwrap_or_default();
        let head = zygote::head(job.trampoline(), &around.bytes);
        let head = head.map_err(|source| StartError::Target { name: task.name(), source })?;
        let references = args.references(self.task.core.handle()?.runtime());
        task.set_payload(SERDE, &[&head, &around.bytes, &args.bytes], &references)
            .map_err(CreateError::from)?;
        Ok(())
    }
}

impl<R> HasCore for Process<R> {
    fn core(&self) -> &Core {
        &self.task.core
    }

    fn launch(&self) -> Result<(), StartError> {
        let core = &self.task.core;
        core.check_limits()?;
        let handle = core.handle()?;
        let me = handle.try_me().map_err(CreateError::from)?;
        let task = Record::at(&me, handle.off());
        own_copy::check().map_err(|source| StartError::Target { name: task.name(), source })?;
        if !*spares_set() {
            prepare()?;
        }
        let done = self.job.with(|job| {
            let Some(todo) = job.as_deref().filter(|_| task.state() == State::New) else {
                let name = task.name();
                return Err(match task.state() {
                    State::New => StartError::NotOurs { name },
                    _ => StartError::AlreadyStarted { name },
                });
            };
            engine::rouse(&me);
            // Before it begins: arguments that panic as they are serialised leave it new.
            self.fill(&task, todo)?;
            if !task.begin() {
                return Err(StartError::AlreadyStarted { name: task.name() });
            }
            engine::start(&me, &task, &[], &mut RustParker)?;
            core.note_started(handle, &task);
            Ok(job.take())
        });
        // Dropped only now: what the arguments mention is held by the payload.
        drop(done?);
        Ok(())
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process{:?}", self.task.core)
    }
}

impl<R> Serialize for Process<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.task.core.serialize(serializer)
    }
}

impl<'de, R: DeserializeOwned> Deserialize<'de> for Process<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let core = Core::deserialize(deserializer)?;
        Ok(Self::of(Typed::of(core), None))
    }
}
