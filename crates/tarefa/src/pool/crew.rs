//! The workers of a pool, of either kind.

use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::pool::Sizing;
use tarefa_engine::shm::{Member, TooManyThreads};
use tarefa_engine::sync::wait::BlockingHooks;

use super::batch::{self, Tasks};
use super::call::{Trampoline, trampoline};
use super::errors::{PoolError, TaskError};
use super::settings::{Kind, Limits, Settings};
use super::sink::{Sink, TypedSink};
use super::stats::PoolStats;
use super::turns::Waited;
use super::work;
use super::{processes, threads};
use crate::runtime::own_copy;
use crate::task::target::Target;

/// See the module.
#[derive(Clone)]
pub(super) enum Crew {
    Threads(Arc<threads::Crew>),
    Processes(Arc<processes::Crew>),
}

/// Inputs of tasks that go to a worker together.
pub(super) struct Inputs<A> {
    /// What the sink calls the first.
    pub(super) first: usize,
    pub(super) args: Vec<A>,
    pub(super) limits: Limits,
    pub(super) sizes: Option<Arc<Mutex<Sizing>>>,
}

impl Crew {
    pub(super) fn start(settings: Arc<Settings>) -> Result<Self, PoolError> {
        settings.check()?;
        Ok(match settings.kind {
            Kind::Threads => Self::Threads(threads::Crew::start(settings)?),
            Kind::Processes => Self::Processes(processes::Crew::start(settings)?),
        })
    }

    pub(super) fn me(&self) -> Result<Member, TooManyThreads> {
        match self {
            Self::Threads(crew) => crew.me(),
            Self::Processes(crew) => crew.me(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        match self {
            Self::Threads(crew) => &crew.settings,
            Self::Processes(crew) => &crew.settings,
        }
    }

    /// What tells the pool from others in timelines.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Threads(crew) => crew.number(),
            Self::Processes(crew) => crew.board.number(),
        }
    }

    /// What its workers are at.
    pub(super) fn stats(&self) -> PoolStats {
        match self {
            Self::Threads(crew) => crew.stats(),
            Self::Processes(crew) => crew.runtime.with_me(|me| crew.stats(me)),
        }
    }

    /// Gives tasks out. One of a map whose arguments cannot be sent fails by itself.
    pub(super) fn put<F, A, M, R, S>(
        &self,
        me: &Member,
        sink: &Arc<S>,
        inputs: Inputs<A>,
    ) -> Result<(), PoolError>
    where
        F: Target<A, M, Output = R>,
        A: Serialize + DeserializeOwned + Send + 'static,
        M: 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
        S: TypedSink<R> + 'static,
    {
        let Inputs { first, args, limits, sizes } = inputs;
        let crew = match self {
            Self::Threads(crew) => {
                let sink = Arc::clone(sink);
                let work = work::Calls::<F, A, M, R>::new(sink, first, args, limits, sizes);
                return crew.put(Arc::new(work));
            }
            Self::Processes(crew) => crew,
        };
        let trampoline: Trampoline = trampoline::<F, A, M>;
        let call = sink.call();
        let place = own_copy::place(trampoline as usize);
        let place = place.map_err(|source| PoolError::Target { call, source })?;
        let put = |first, calls: batch::Calls| {
            let range = 0..calls.len();
            if range.is_empty() {
                return Ok(());
            }
            let sink = Arc::clone(sink) as Arc<dyn Sink>;
            crew.put(
                me,
                Tasks {
                    calls: Arc::new(calls),
                    range,
                    place,
                    sink,
                    first,
                    limits: limits.clone(),
                    sizes: sizes.clone(),
                    attempt: 1,
                    deaths: Vec::new(),
                    units: Vec::new(),
                },
            )
        };
        let alone = sizes.is_none();
        let mut calls = batch::Calls::default();
        let mut from = first;
        for (i, args) in args.iter().enumerate() {
            match calls.encoded().push(args) {
                Ok(()) => calls.note_end(),
                Err(source) => {
                    let error = PoolError::Arguments { call, source };
                    if alone {
                        return Err(error);
                    }
                    put(from, std::mem::take(&mut calls))?;
                    sink.failed(first + i, error.into());
                    from = first + i + 1;
                }
            }
        }
        put(from, calls)
    }

    /// Waits until `done()`, which any thread may call, for results of that sink.
    pub(super) fn wait(
        &self,
        me: &Member,
        sink: &Arc<dyn Sink>,
        done: &dyn Fn() -> bool,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Waited {
        match self {
            Self::Threads(crew) => crew.wait(me, Some(sink), done, hooks, deadline),
            Self::Processes(crew) => crew.wait(me, done, hooks, deadline),
        }
    }

    /// Takes what has come.
    pub(super) fn look(&self, me: &Member) {
        if let Self::Processes(crew) = self {
            crew.look(me);
        }
    }

    /// Takes a task back that nobody has begun.
    pub(super) fn cancel(&self, me: &Member, number: u64) -> bool {
        match self {
            Self::Threads(crew) => crew.cancel(number),
            Self::Processes(crew) => crew.cancel(me, number),
        }
    }

    /// Stops a task that runs.
    pub(super) fn stop(&self, me: &Member, number: u64) -> bool {
        match self {
            Self::Threads(crew) => crew.interrupt(number),
            Self::Processes(crew) => crew.kill(me, number),
        }
    }

    /// What waits behind tasks that take long goes to others.
    pub(super) fn share_out(&self, me: &Member, sink: &Arc<dyn Sink>) {
        match self {
            Self::Threads(crew) => crew.share_out(sink),
            Self::Processes(crew) => crew.share_out(me, sink),
        }
    }

    /// Nobody wants the results of a sink any more.
    pub(super) fn abandon(&self, me: &Member, sink: &Arc<dyn Sink>) {
        match self {
            Self::Threads(crew) => crew.abandon(sink),
            Self::Processes(crew) => crew.abandon(me, sink),
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::Threads(crew) => crew.close(),
            Self::Processes(crew) => crew.close(),
        }
    }

    /// Waits until all is done, and for the workers; whether that was so.
    pub(super) fn finish(&self, me: &Member, hooks: &mut dyn BlockingHooks) -> bool {
        match self {
            Self::Threads(crew) => crew.finish(me, hooks),
            Self::Processes(crew) => crew.finish(me, hooks),
        }
    }

    pub(super) fn terminate(&self, me: &Member) {
        match self {
            Self::Threads(crew) => crew.terminate(),
            Self::Processes(crew) => crew.terminate(me),
        }
    }
}

/// Why a wait has nothing.
pub(super) fn unless_done(
    waited: Waited,
    timed_out: impl FnOnce() -> TaskError,
) -> Result<(), TaskError> {
    match waited {
        Waited::Done => Ok(()),
        Waited::TimedOut => Err(timed_out()),
        Waited::Interrupted => Err(crate::runtime::interrupt::Interrupted.into()),
        Waited::Memory(e) => {
            Err(PoolError::from(crate::runtime::errors::CreateError::from(e)).into())
        }
    }
}
