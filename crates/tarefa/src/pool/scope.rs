//! Tasks that borrow: they run on a pool's threads, and have ended before what they borrow does.
//!
//! What a scope spawns lies in a queue of its own; for each there is a ticket in the pool's queue, whose
//! worker takes the scope's next job. So the scope's caller, if it is a worker of the pool itself, runs jobs
//! as well, and a pool whose workers all wait in scopes goes on.
//!
//! Soundness: a job's type has lost its lifetime, and is run or dropped before [`scope`] returns or unwinds.
//! That waits without an end that anybody could bring about: no interrupt, no deadline, no error.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};

use tarefa_engine::os::clock::{self, Deadline};
use tarefa_engine::shm::Runtime;
use tarefa_engine::shm::trace::Ended;
use tarefa_engine::sync::wait::Plain;

use super::errors::{PoolError, TaskError};
use super::place::Place;
use super::settings::Limits;
use super::sink::{Sink, locked};
use super::threads::{Crew, Handed, Work};
use crate::task::target;

type Job = Box<dyn FnOnce() + Send>;

/// The jobs of a scope.
#[derive(Default)]
struct Jobs {
    /// Each with what it is called.
    waiting: VecDeque<(&'static str, Job)>,
    /// Those that wait or run.
    open: usize,
    /// Some were not run, for the pool takes nothing.
    refused: bool,
    /// What the first one that panicked did so with.
    panic: Option<Box<dyn Any + Send>>,
}

/// What the tickets of a scope have in common.
struct Shared(Mutex<Jobs>);

impl Shared {
    /// Runs a job that nobody has begun, at that place for a piece of work; false if there is none.
    fn run_one(&self, place: &Place, number: u64) -> bool {
        let Some((name, job)) = locked(&self.0).waiting.pop_front() else { return false };
        place.note_task(clock::coarse_ns());
        let act = || panic::catch_unwind(AssertUnwindSafe(job));
        let ended = place.call((name, number, 0), act, |ended| match ended {
            Ok(()) => Ended::Returned,
            Err(_) => Ended::Failed,
        });
        let mut jobs = locked(&self.0);
        jobs.open -= 1;
        if let Err(payload) = ended {
            if jobs.panic.is_none() {
                jobs.panic = Some(payload);
            } else {
                drop(jobs);
                target::drop_quietly(payload);
            }
        }
        true
    }

    /// Drops a job that nobody has begun, for the pool runs no more.
    fn refuse_one(&self) {
        let job = {
            let mut jobs = locked(&self.0);
            jobs.refused = true;
            jobs.waiting.pop_front()
        };
        if let Some(job) = job {
            target::drop_quietly(job);
            locked(&self.0).open -= 1;
        }
    }

    fn is_over(&self) -> bool {
        locked(&self.0).open == 0
    }
}

impl Sink for Shared {
    fn call(&self) -> &'static str {
        "a task of a scope"
    }

    fn words(&self, _: &'static Runtime, _: usize, _: &[u8]) {}

    fn value(&self, _: usize, _: &[u8]) {}

    fn failed(&self, _: usize, _: TaskError) {}
}

/// Has a worker take a job of the scope.
struct Ticket {
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    limits: Limits,
    used: Mutex<bool>,
}

impl Ticket {
    fn take(&self) -> bool {
        !std::mem::replace(&mut *locked(&self.used), true)
    }
}

impl Work for Ticket {
    fn sink(&self) -> &Arc<dyn Sink> {
        &self.sink
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn run(&self, number: u64, place: &Place, _: u32, handed: Handed<'_>) -> u32 {
        if !self.take() {
            return 0;
        }
        let ran = self.shared.run_one(place, number);
        handed(true);
        u32::from(ran)
    }

    fn left(&self) -> usize {
        usize::from(!*locked(&self.used))
    }

    fn flush(&self, _: Handed<'_>) {}

    fn take_rest(&self, _: Handed<'_>) -> Vec<Arc<dyn Work>> {
        Vec::new()
    }

    fn fail_rest(&self, _: &dyn Fn(&'static str) -> TaskError, handed: Handed<'_>) {
        if self.take() {
            self.shared.refuse_one();
            handed(true);
        }
    }
}

/// Where tasks that borrow are spawned: see [`Pool::scope`](crate::Pool::scope).
pub struct Scope<'scope, 'env: 'scope> {
    crew: Arc<Crew>,
    shared: Arc<Shared>,
    /// Neither may become shorter: a task of a shorter one would be spawned into a longer one.
    own: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Has `task` run by the next worker that is free. It may borrow whatever lives longer than the scope, and
    /// spawn more.
    pub fn spawn(&'scope self, task: impl FnOnce() + Send + 'scope) {
        let name = std::any::type_name_of_val(&task);
        let job: Box<dyn FnOnce() + Send + 'scope> = Box::new(task);
        // SAFETY: the two types differ in a lifetime alone. The job is run or dropped before `scope` returns
        // or unwinds, which is before `'scope` ends: it is counted as open from here on, until it was run or
        // dropped, and `scope` waits until none is.
        let job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + 'scope>, Job>(job) };
        {
            let mut jobs = locked(&self.shared.0);
            jobs.waiting.push_back((name, job));
            jobs.open += 1;
        }
        let sink = Arc::clone(&self.shared) as Arc<dyn Sink>;
        let shared = Arc::clone(&self.shared);
        let ticket = Ticket { shared, sink, limits: Limits::default(), used: Mutex::new(false) };
        if self.crew.put(Arc::new(ticket)).is_err() {
            self.shared.refuse_one();
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({} tasks have not ended)", locked(&self.shared.0).open)
    }
}

pub(super) fn scope<'env, R>(
    crew: &Arc<Crew>,
    act: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
) -> Result<R, PoolError> {
    // What could fail has not failed before anything is spawned.
    let me = crew.me()?;
    let shared = Arc::new(Shared(Mutex::default()));
    let scope = Scope {
        crew: Arc::clone(crew),
        shared: Arc::clone(&shared),
        own: PhantomData,
        env: PhantomData,
    };
    let acted = panic::catch_unwind(AssertUnwindSafe(|| act(&scope)));
    let sink = Arc::clone(&shared) as Arc<dyn Sink>;
    while !shared.is_over() {
        // Not even by a panic does this function end before that.
        let wait =
            || crew.wait(&me, Some(&sink), &|| shared.is_over(), &mut Plain, Deadline::NEVER);
        let _ = panic::catch_unwind(AssertUnwindSafe(wait));
    }
    let (panicked, refused) = {
        let mut jobs = locked(&shared.0);
        (jobs.panic.take(), jobs.refused)
    };
    match (acted, panicked) {
        (Err(payload), _) | (Ok(_), Some(payload)) => panic::resume_unwind(payload),
        (Ok(_), None) if refused => Err(crew.refusal()),
        (Ok(value), None) => Ok(value),
    }
}
