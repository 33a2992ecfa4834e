//! What all tasks have in common.

pub(crate) mod context;
pub(crate) mod current;
pub(crate) mod errors;
pub(crate) mod failure;
pub(crate) mod lifecycle;
pub(crate) mod on_start;
pub(crate) mod outcome;
pub(crate) mod panics;
pub(crate) mod process;
pub(crate) mod program;
mod select;
pub(crate) mod sentinel;
pub(crate) mod target;
pub(crate) mod thread;
pub(crate) mod unretrieved;
pub(crate) mod usage;
pub(crate) mod wait;
pub(crate) mod zygote;

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::atomic::{AtomicBool, AtomicU64, Ordering};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::pidfd::Exit;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::wait::Outcome;
use tarefa_engine::task::State;
use tarefa_engine::task::record::{self, Task as Record, flag};

use crate::convert::codec;
use crate::convert::handle;
use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::CreateError;
use crate::runtime::interrupt;
use crate::runtime::interrupt::Interrupted;
use crate::task::context::Context;
use crate::task::errors::{JoinError, ResultError, SignalError, StartError};
use crate::task::sentinel::Sentinel;
use crate::task::usage::Usage;

/// How long the joiner of a thread offers its processor to others before it sleeps. It does
/// not spin: the new thread may well wait for this very processor.
const THREAD_YIELD_NS: u64 = 20_000;

/// Counts the tasks without a name of their own.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Which kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Thread,
    Process,
}

/// Everything about a task but its result's type.
#[doc(hidden)]
pub struct Core {
    handle: OnceLock<Handle>,
    pub(crate) sentinel: Arc<Sentinel>,
    /// Whether it has started the task.
    started: AtomicBool,
    kind: Kind,
    daemon: bool,
    name: Option<String>,
    time_limit: Option<Duration>,
    memory_limit: Option<u64>,
}

impl Core {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            handle: OnceLock::new(),
            sentinel: Arc::default(),
            started: AtomicBool::new(false),
            kind,
            daemon: false,
            name: None,
            time_limit: None,
            memory_limit: None,
        }
    }

    /// It has started its task.
    pub(crate) fn note_started(&self, handle: &Handle, task: &Record<'_>) {
        self.started.store(true, Ordering::Relaxed);
        unretrieved::note_started(handle, task);
    }

    fn of(handle: Handle) -> Self {
        let task = Self::new(Kind::Process);
        let _ = task.handle.set(handle);
        task
    }

    pub(crate) fn set_name(&mut self, name: String) {
        self.name = Some(name);
    }

    pub(crate) fn set_daemon(&mut self, daemon: bool) {
        self.daemon = daemon;
    }

    pub(crate) fn set_time_limit(&mut self, limit: Duration) {
        self.time_limit = Some(limit);
    }

    pub(crate) fn set_memory_limit(&mut self, bytes: u64) {
        self.memory_limit = Some(bytes);
    }

    /// Refuses limits that are none.
    pub(crate) fn check_limits(&self) -> Result<(), StartError> {
        let what = if self.time_limit == Some(Duration::ZERO) {
            "time"
        } else if self.memory_limit == Some(0) {
            "memory"
        } else {
            return Ok(());
        };
        Err(StartError::Limit { name: self.name(), what })
    }

    /// The record, made now if there is none.
    pub(crate) fn handle(&self) -> Result<&Handle, CreateError> {
        if let Some(handle) = self.handle.get() {
            return Ok(handle);
        }
        let me = runtime::get()?.try_me()?;
        let number = || COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let (bits, name) = match (self.kind, &self.name) {
            (Kind::Thread, Some(name)) => (flag::THREAD, name.clone()),
            (Kind::Thread, None) => (flag::THREAD, format!("Thread-{}", number())),
            (Kind::Process, Some(name)) => (0, name.clone()),
            (Kind::Process, None) => (0, format!("Process-{}", number())),
        };
        let bits = bits | if self.daemon { flag::DAEMON } else { 0 };
        let made = Handle::adopt(&me, record::create(&me, bits, &name)?);
        if self.time_limit.is_some() || self.memory_limit.is_some() {
            Record::at(&me, made.off()).set_limits(self.time_limit, self.memory_limit);
        }
        // Of two threads that get here at once one wins; the other's record is freed.
        Ok(self.handle.get_or_init(|| made))
    }

    /// The record of a task that has one, for what neither blocks nor fails.
    fn record<T>(&self, with: impl FnOnce(&Record<'_>) -> T) -> Option<T> {
        let handle = self.handle.get()?;
        Some(handle.with_me(|me| with(&Record::at(me, handle.off()))))
    }

    pub(crate) fn state(&self) -> State {
        self.record(|task| task.state()).unwrap_or(State::New)
    }

    pub(crate) fn name(&self) -> String {
        let unnamed = || self.name.clone().unwrap_or_default();
        self.handle().map_or_else(|_| unnamed(), |h| h.with_me(|me| Record::at(me, h.off()).name()))
    }

    fn time_limit(&self) -> Option<Duration> {
        self.record(|task| task.time_limit()).unwrap_or(self.time_limit)
    }

    fn memory_limit(&self) -> Option<u64> {
        self.record(|task| task.memory_limit()).unwrap_or(self.memory_limit)
    }

    fn ran_over_time(&self) -> bool {
        self.record(|task| task.over_time()).unwrap_or(false)
    }

    fn is_daemon(&self) -> bool {
        self.record(|task| task.flags() & flag::DAEMON != 0).unwrap_or(self.daemon)
    }

    fn pid(&self) -> Option<i32> {
        self.record(|task| task.pid()).filter(|pid| *pid != 0)
    }

    fn native_id(&self) -> Option<i32> {
        self.record(|task| task.tid()).filter(|tid| *tid != 0)
    }

    fn exit_code(&self) -> Option<i32> {
        self.record(|task| {
            let exit = task.state().is_final().then(|| task.exit()).flatten()?;
            Some(match exit {
                Exit::Code(code) => code,
                Exit::Signal(signal) => -signal,
                Exit::Unknown => return None,
            })
        })
        .flatten()
    }

    #[track_caller]
    pub(crate) fn join(&self, timeout: Option<Duration>) -> Result<(), JoinError> {
        let mut here = Here::now();
        let not_started = || JoinError::NotStarted { name: self.name() };
        let handle = self.handle.get().ok_or_else(not_started)?;
        let me = handle.try_me()?;
        let task = Record::at(&me, handle.off());
        if task.state() == State::New {
            return Err(not_started());
        }
        if task.state().is_final() {
            return Ok(());
        }
        if interrupt::is(handle.runtime(), handle.off()) {
            return Err(JoinError::Itself { name: task.name() });
        }
        let deadline = Deadline::after(timeout);
        if task.is_thread() {
            let until = Deadline::after(Some(Duration::from_nanos(THREAD_YIELD_NS)));
            while !until.passed() && !deadline.passed() {
                std::thread::yield_now();
                if task.state().is_final() {
                    return Ok(());
                }
            }
        }
        match task.join(&mut here, deadline) {
            Outcome::Ready => Ok(()),
            Outcome::Interrupted => Err(Interrupted.into()),
            Outcome::TimedOut => Err(JoinError::TimedOut {
                name: task.name(),
                pid: task.pid(),
                timeout: timeout.unwrap_or_default(),
            }),
        }
    }

    /// Its result, once it has ended.
    #[track_caller]
    fn result<R: DeserializeOwned>(&self, timeout: Option<Duration>) -> Result<R, ResultError> {
        self.join(timeout)?;
        let not_started = || JoinError::NotStarted { name: self.name() };
        let handle = self.handle.get().ok_or_else(not_started)?;
        let me = handle.try_me().map_err(JoinError::from)?;
        let task = Record::at(&me, handle.off());
        task.mark_retrieved();
        let bytes = outcome::returned(&me, &task)?;
        codec::decode(bytes).map_err(|source| ResultError::Decode { name: task.name(), source })
    }

    /// Why it failed, once it has.
    fn error(&self) -> Option<ResultError> {
        let handle = self.handle.get()?;
        handle.with_me(|me| {
            let task = Record::at(me, handle.off());
            let error = outcome::failure(me, &task)?;
            task.mark_retrieved();
            Some(error)
        })
    }

    fn interrupt(&self) -> Result<(), SignalError> {
        // Not the method by name: it is generic over a lifetime that `started` chooses.
        #[allow(clippy::redundant_closure_for_method_calls)]
        self.started(|task| task.request_interrupt())
    }

    fn started(&self, act: impl FnOnce(&Record<'_>)) -> Result<(), SignalError> {
        let done = self.record(|task| (task.state() != State::New).then(|| act(task)).is_some());
        if done == Some(true) { Ok(()) } else { Err(SignalError::NotStarted { name: self.name() }) }
    }

    fn signal(&self, number: i32) -> Result<(), SignalError> {
        let mut answer = Ok(());
        self.started(|task| {
            if task.is_thread() {
                task.request_interrupt();
                return;
            }
            if let Err(source) = task.send_signal(number, true) {
                answer = Err(SignalError::System { name: task.name(), pid: task.pid(), source });
            }
        })?;
        answer
    }

    fn usage(&self) -> Usage {
        self.record(Usage::of).unwrap_or_default()
    }

    fn context(&self) -> Option<Context> {
        self.record(Context::of).flatten()
    }

    fn sentinel(&self) -> std::io::Result<OwnedFd> {
        let fd = self.record(|task| sentinel::open(task, &self.sentinel));
        fd.unwrap_or_else(|| self.sentinel.descriptor())
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let (true, Some(handle)) = (self.started.load(Ordering::Relaxed), self.handle.get()) {
            unretrieved::handle_goes(handle);
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:?}, {}", self.name(), self.state().name())?;
        match self.pid() {
            Some(pid) => write!(f, ", pid {pid})"),
            None => f.write_str(")"),
        }
    }
}

impl Serialize for Core {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(self.handle().map_err(serde::ser::Error::custom)?, serializer)
    }
}

impl<'de> Deserialize<'de> for Core {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        handle::deserialize(deserializer, kinds::TASK).map(Self::of)
    }
}

mod sealed {
    /// What [`super::Task`] needs of a type.
    pub trait HasCore {
        #[doc(hidden)]
        fn core(&self) -> &super::Core;
        #[doc(hidden)]
        fn launch(&self) -> Result<(), super::StartError>;
    }
}

pub(crate) use sealed::HasCore;

/// A task: one run of a target, as a [`Thread`](crate::Thread) or a
/// [`Process`](crate::Process).
///
/// The part that does not depend on the result's type, so that tasks of all sorts fit in one
/// list:
///
/// ```
/// use tarefa::{Process, State, Task, Thread};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tasks: Vec<Box<dyn Task>> = vec![
///     Box::new(Thread::new(|n: u64| n + 1, (1,))),
///     Box::new(Process::new(|text: String| text.len(), ("four".to_owned(),))),
/// ];
/// for task in &tasks {
///     task.start()?;
/// }
/// for task in &tasks {
///     task.join(None)?;
///     assert_eq!(task.state(), State::Finished);
/// }
/// # Ok(())
/// # }
/// ```
///
/// A box of a task, and a reference to one, are tasks as well.
pub trait Task: HasCore + Send + Sync + fmt::Debug {
    /// Starts it. A process exists, and a thread is made, when this returns.
    ///
    /// # Errors
    /// [`StartError`]: it was started before, its arguments do not serialise, or a limit of
    /// the system's is reached. Where the system refused, the task is new again.
    fn start(&self) -> Result<(), StartError> {
        self.launch()
    }

    /// Waits until it has ended, at most `timeout`; at once if it has.
    ///
    /// # Errors
    /// [`JoinError`].
    #[track_caller]
    fn join(&self, timeout: Option<Duration>) -> Result<(), JoinError> {
        self.core().join(timeout)
    }

    /// Its state now.
    fn state(&self) -> State {
        self.core().state()
    }

    /// Whether it was started and has not ended.
    fn is_alive(&self) -> bool {
        matches!(self.state(), State::Starting | State::Running)
    }

    /// Its name.
    fn name(&self) -> String {
        self.core().name()
    }

    /// Whether it ends with the program instead of keeping it alive.
    fn is_daemon(&self) -> bool {
        self.core().is_daemon()
    }

    /// The most time it may run; `None` for no limit.
    fn time_limit(&self) -> Option<Duration> {
        self.core().time_limit()
    }

    /// The most memory it may take beyond what its process starts with, in bytes; `None` for no
    /// limit.
    fn memory_limit(&self) -> Option<u64> {
        self.core().memory_limit()
    }

    /// Whether its time limit passed before it ended.
    fn ran_over_time(&self) -> bool {
        self.core().ran_over_time()
    }

    /// The process it runs or ran in; `None` before that is known.
    fn pid(&self) -> Option<i32> {
        self.core().pid()
    }

    /// The number the system has for the thread it runs in; `None` before it runs.
    fn native_id(&self) -> Option<i32> {
        self.core().native_id()
    }

    /// 0 when it finished, 1 when it failed, 130 when it was interrupted, the process's own
    /// code when it called `exit`, the negative number of the signal that killed it; `None`
    /// before it has ended.
    fn exit_code(&self) -> Option<i32> {
        self.core().exit_code()
    }

    /// Why it failed, whatever the type of its result: it panicked, its process died, or its target
    /// returned an `Err`. `None` while it runs, and if it finished. Who asks is told, and so nobody
    /// else is any more.
    fn error(&self) -> Option<ResultError> {
        self.core().error()
    }

    /// Asks the target to stop: what it waits for in tarefa ends with
    /// [`Interrupted`], and so does its next
    /// [`check_interrupt`](crate::check_interrupt). Nothing happens to a task that has ended.
    ///
    /// # Errors
    /// [`SignalError::NotStarted`].
    fn interrupt(&self) -> Result<(), SignalError> {
        self.core().interrupt()
    }

    /// Sends SIGTERM to a process, and kills it two seconds later if it blocks or ignores that; a
    /// handler of its own decides itself what follows. A thread cannot be ended without its process: it is
    /// interrupted. Nothing happens to a task that has ended.
    ///
    /// # Errors
    /// [`SignalError`].
    fn terminate(&self) -> Result<(), SignalError> {
        self.core().signal(libc::SIGTERM)
    }

    /// Sends SIGKILL to a process. A thread cannot be killed without its process: it is
    /// interrupted. Nothing happens to a task that has ended.
    ///
    /// # Errors
    /// [`SignalError`].
    fn kill(&self) -> Result<(), SignalError> {
        self.core().signal(libc::SIGKILL)
    }

    /// What it has used, so far or in all.
    fn usage(&self) -> Usage {
        self.core().usage()
    }

    /// What the system knows of it at this moment; `None` unless it runs.
    fn context(&self) -> Option<Context> {
        self.core().context()
    }

    /// A descriptor that becomes readable when the task ends, for `poll`, `select`, `epoll`.
    /// It is the caller's, to close.
    ///
    /// # Errors
    /// What the system answered: no descriptors left; `Unsupported` for a thread of another
    /// process.
    fn sentinel(&self) -> std::io::Result<OwnedFd> {
        self.core().sentinel()
    }
}

impl<T: HasCore + Send + Sync + fmt::Debug> Task for T {}

impl<T: HasCore + ?Sized> HasCore for Box<T> {
    fn core(&self) -> &Core {
        (**self).core()
    }

    fn launch(&self) -> Result<(), StartError> {
        (**self).launch()
    }
}

impl<T: HasCore + ?Sized> HasCore for &T {
    fn core(&self) -> &Core {
        (**self).core()
    }

    fn launch(&self) -> Result<(), StartError> {
        (**self).launch()
    }
}

/// The methods of [`Task`] on a type itself, so that the trait need not be in scope, and what
/// depends on the result's type.
macro_rules! task_methods {
    () => {
        /// See [`Task::start`](crate::Task::start).
        ///
        /// # Errors
        /// [`StartError`].
        pub fn start(&self) -> Result<(), crate::task::errors::StartError> {
            crate::task::Task::start(self)
        }
        crate::task::task_methods!(handle);
    };
    (handle) => {
        /// See [`Task::join`](crate::Task::join).
        ///
        /// # Errors
        /// [`JoinError`](crate::JoinError).
        #[track_caller]
        pub fn join(
            &self,
            timeout: Option<std::time::Duration>,
        ) -> Result<(), crate::task::errors::JoinError> {
            crate::task::Task::join(self, timeout)
        }
        /// See [`Task::state`](crate::Task::state).
        pub fn state(&self) -> tarefa_engine::task::State {
            crate::task::Task::state(self)
        }
        /// See [`Task::is_alive`](crate::Task::is_alive).
        pub fn is_alive(&self) -> bool {
            crate::task::Task::is_alive(self)
        }
        /// See [`Task::name`](crate::Task::name).
        pub fn name(&self) -> String {
            crate::task::Task::name(self)
        }
        /// See [`Task::is_daemon`](crate::Task::is_daemon).
        pub fn is_daemon(&self) -> bool {
            crate::task::Task::is_daemon(self)
        }
        /// See [`Task::ran_over_time`](crate::Task::ran_over_time).
        pub fn ran_over_time(&self) -> bool {
            crate::task::Task::ran_over_time(self)
        }
        /// See [`Task::pid`](crate::Task::pid).
        pub fn pid(&self) -> Option<i32> {
            crate::task::Task::pid(self)
        }
        /// See [`Task::native_id`](crate::Task::native_id).
        pub fn native_id(&self) -> Option<i32> {
            crate::task::Task::native_id(self)
        }
        /// See [`Task::exit_code`](crate::Task::exit_code).
        pub fn exit_code(&self) -> Option<i32> {
            crate::task::Task::exit_code(self)
        }
        /// See [`Task::error`](crate::Task::error).
        pub fn error(&self) -> Option<crate::task::errors::ResultError> {
            crate::task::Task::error(self)
        }
        /// See [`Task::interrupt`](crate::Task::interrupt).
        ///
        /// # Errors
        /// [`SignalError`](crate::SignalError).
        pub fn interrupt(&self) -> Result<(), crate::task::errors::SignalError> {
            crate::task::Task::interrupt(self)
        }
        /// See [`Task::terminate`](crate::Task::terminate).
        ///
        /// # Errors
        /// [`SignalError`](crate::SignalError).
        pub fn terminate(&self) -> Result<(), crate::task::errors::SignalError> {
            crate::task::Task::terminate(self)
        }
        /// See [`Task::kill`](crate::Task::kill).
        ///
        /// # Errors
        /// [`SignalError`](crate::SignalError).
        pub fn kill(&self) -> Result<(), crate::task::errors::SignalError> {
            crate::task::Task::kill(self)
        }
        /// See [`Task::usage`](crate::Task::usage).
        pub fn usage(&self) -> crate::task::usage::Usage {
            crate::task::Task::usage(self)
        }
        /// See [`Task::context`](crate::Task::context).
        pub fn context(&self) -> Option<crate::task::context::Context> {
            crate::task::Task::context(self)
        }
        /// See [`Task::sentinel`](crate::Task::sentinel).
        ///
        /// # Errors
        /// What the system answered.
        pub fn sentinel(&self) -> std::io::Result<std::os::fd::OwnedFd> {
            crate::task::Task::sentinel(self)
        }
    };
}
pub(crate) use task_methods;

/// A task of either kind, and the type of its result.
pub(crate) struct Typed<R> {
    pub(crate) core: Core,
    pub(crate) result: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Typed<R> {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { core: Core::new(kind), result: PhantomData }
    }

    pub(crate) fn of(core: Core) -> Self {
        Self { core, result: PhantomData }
    }

    #[track_caller]
    pub(crate) fn result(&self, timeout: Option<Duration>) -> Result<R, ResultError> {
        self.core.result(timeout)
    }
}

/// A handle of some task: what [`current_task`](crate::current_task) returns. It can be sent
/// to other tasks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskHandle {
    core: Core,
}

impl TaskHandle {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { core: Core::of(handle) }
    }

    task_methods!(handle);
}

impl HasCore for TaskHandle {
    fn core(&self) -> &Core {
        &self.core
    }

    fn launch(&self) -> Result<(), StartError> {
        match self.state() {
            State::New => Err(StartError::NotOurs { name: self.name() }),
            _ => Err(StartError::AlreadyStarted { name: self.name() }),
        }
    }
}

/// What is to run, until it is started.
pub(crate) struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    pub(crate) fn new(value: Option<T>) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn with<U>(&self, act: impl FnOnce(&mut Option<T>) -> U) -> U {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
