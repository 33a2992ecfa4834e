//! A task as a thread.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::task::limits::TimeUp;
use tarefa_engine::task::record::Task as Record;
use tarefa_engine::task::{State, thread_timer};

use crate::runtime::errors::CreateError;
use crate::runtime::interrupt;
use crate::task::errors::{ResultError, StartError};
use crate::task::panics;
use crate::task::sentinel::Sentinel;
use crate::task::target;
use crate::task::target::{Ended, Target};
use crate::task::task_methods;
use crate::task::{Core, HasCore, Kind, Slot, Typed};

type Job = Box<dyn FnOnce() -> Ended + Send>;

/// A task that runs as a thread of this process.
///
/// ```
/// use tarefa::Thread;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let task = Thread::new(|a: u64, b: u64| a * b, (6, 7)).named("produto");
/// task.start()?;
/// assert_eq!(task.result(None)?, 42);
/// # Ok(())
/// # }
/// ```
///
/// A target that captures something is refused when the program is compiled:
///
/// ```compile_fail
/// let n = 3;
/// tarefa::Thread::new(move || n + 1, ());
/// ```
pub struct Thread<R> {
    task: Typed<R>,
    job: Arc<Slot<Job>>,
}

impl<R: Serialize + DeserializeOwned + 'static> Thread<R> {
    /// A thread that will call `target` with `args`, a tuple. See [`Target`].
    pub fn new<F, A, M>(target: F, args: A) -> Self
    where
        F: Target<A, M, Output = R>,
        A: Serialize + DeserializeOwned + Send + 'static,
    {
        const { target::check_captures_nothing::<F>() };
        // A copy of it is made from its type, where it is called.
        let _ = target;
        let job: Job = Box::new(move || target::run::<F, A, M>(args));
        Self { task: Typed::new(Kind::Thread), job: Arc::new(Slot::new(Some(job))) }
    }

    /// Makes a thread and starts it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn spawn<F, A, M>(target: F, args: A) -> Result<Self, StartError>
    where
        F: Target<A, M, Output = R>,
        A: Serialize + DeserializeOwned + Send + 'static,
    {
        let task = Self::new(target, args);
        task.start()?;
        Ok(task)
    }

    /// A thread that will do `job`.
    pub(crate) fn of_job(job: impl FnOnce() -> R + Send + 'static) -> Self {
        let job: Job = Box::new(move || target::ended(job()));
        Self { task: Typed::new(Kind::Thread), job: Arc::new(Slot::new(Some(job))) }
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
    /// When the time is up it is interrupted, and again every two seconds while it goes on: a
    /// thread cannot be killed without its process. A limit of zero is an error at
    /// [`start`](Thread::start).
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.task.core.set_time_limit(limit);
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

/// What the new thread does.
fn run(handle: &Handle, job: &Slot<Job>, sentinel: &Sentinel) {
    let Some(job) = job.with(Option::take) else { return };
    match handle.try_me() {
        Ok(me) => run_as(&me, handle, job),
        Err(e) => {
            // It was started, so it ends; there is nothing that it could run with.
            target::drop_quietly(job);
            handle.with_me(|me| {
                let task = Record::at(me, handle.off());
                if task.run_here() {
                    finish(&task, handle, &Ended::failed(e.to_string()));
                }
            });
        }
    }
    sentinel.signal();
}

fn run_as(me: &Member, handle: &Handle, job: Job) {
    let task = Record::at(me, handle.off());
    if !task.run_here() {
        return;
    }
    interrupt::enter(handle.runtime(), handle.off());
    let kept = task.deadline().map(|at| thread_timer::keep(at, interrupter(handle.clone())));
    let ended = if let Some(Err(e)) = &kept {
        target::drop_quietly(job);
        Ended::failed(format!("there is no thread that keeps its time: {e}"))
    } else {
        job()
    };
    drop(kept);
    interrupt::leave();
    if ended.panicked {
        // The hook was called in this very process, which is the starter's.
        task.mark_told_already();
    }
    finish(&task, handle, &ended);
}

fn finish(task: &Record<'_>, handle: &Handle, ended: &Ended) {
    let references: Vec<Off> = ended.outcome.references(handle.runtime());
    task.finish(ended.state, ended.code(), Some((ended.tag, &[&ended.outcome.bytes], &references)));
}

/// What is done when the thread's time is up.
fn interrupter(handle: Handle) -> thread_timer::Act {
    Arc::new(move || {
        handle.with_me(|me| {
            let task = Record::at(me, handle.off());
            if task.time_is_up() != TimeUp::Ended {
                task.request_interrupt();
            }
        });
    })
}

impl<R> HasCore for Thread<R> {
    fn core(&self) -> &Core {
        &self.task.core
    }

    fn launch(&self) -> Result<(), StartError> {
        let core = &self.task.core;
        core.check_limits()?;
        let handle = core.handle()?;
        let me = handle.try_me().map_err(CreateError::from)?;
        let task = Record::at(&me, handle.off());
        if task.state() == State::New && self.job.with(|job| job.is_none()) {
            return Err(StartError::NotOurs { name: task.name() });
        }
        if !task.begin() {
            return Err(StartError::AlreadyStarted { name: task.name() });
        }
        panics::listen();
        let (own, job, sentinel) =
            (handle.clone(), Arc::clone(&self.job), Arc::clone(&core.sentinel));
        // A zero byte in it would be a panic of the standard library's.
        let name = task.name().replace('\0', "?");
        let made = std::thread::Builder::new().name(name).spawn(move || run(&own, &job, &sentinel));
        match made {
            Ok(_) => {
                core.note_started(handle, &task);
                Ok(())
            }
            Err(source) => {
                task.unbegin();
                Err(StartError::Thread { name: task.name(), source })
            }
        }
    }
}

impl<R> fmt::Debug for Thread<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thread{:?}", self.task.core)
    }
}

impl<R> Serialize for Thread<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.task.core.serialize(serializer)
    }
}

impl<'de, R: DeserializeOwned> Deserialize<'de> for Thread<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let core = Core::deserialize(deserializer)?;
        Ok(Self { task: Typed::of(core), job: Arc::new(Slot::new(None)) })
    }
}
