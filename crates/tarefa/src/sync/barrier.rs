//! A barrier that threads and processes share.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::barrier::{self, Passed, Why};
use tarefa_engine::sync::wait_queue::WaitError as QueueError;

use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;

/// A place where a number of threads and processes wait for one another. Clones are handles of
/// one barrier.
///
/// A party that dies while it waits breaks the barrier, and the others are told.
///
/// ```
/// use tarefa::{Barrier, Process};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let barrier = Barrier::new(2)?;
/// let task = Process::spawn(
///     |b: Barrier| b.wait(None).map(|r| r.is_leader()).map_err(|e| e.to_string()),
///     (barrier.clone(),),
/// )?;
/// let here = barrier.wait(None)?.is_leader();
/// assert_ne!(Ok(here), task.result(None)?); // one of the two leads
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier(Handle);

/// What a party of a round learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(u64);

impl BarrierWaitResult {
    /// Whether this party is the one of its round that may do what is to be done once.
    #[must_use]
    pub fn is_leader(self) -> bool {
        self.0 == 0
    }

    /// A number that each party of the round has for itself, from 0 on.
    #[must_use]
    pub fn index(self) -> u64 {
        self.0
    }
}

impl Barrier {
    /// A barrier for that many parties; none is as one, as in the standard library.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new(parties: u32) -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        let off = barrier::create(&me)?;
        barrier::set_up(&me, off, parties.max(1), None, false);
        Ok(Self(Handle::adopt(&me, off)))
    }

    /// Waits until all parties have come, at most `timeout`, which breaks the barrier.
    ///
    /// # Errors
    /// [`BarrierError`].
    #[track_caller]
    pub fn wait(&self, timeout: Option<Duration>) -> Result<BarrierWaitResult, BarrierError> {
        let until = Deadline::after(timeout);
        match barrier::wait(&self.0.try_me()?, self.0.off(), &mut Here::now(), until)? {
            Passed::Yes(index) => Ok(BarrierWaitResult(index)),
            // Made by Python with an action, which only Python can run: it breaks when dropped.
            Passed::Act(acting) => {
                acting.failed();
                Err(BarrierError::Action)
            }
            Passed::Broken(why) => Err(broken(why)),
            Passed::TimedOut => Err(BarrierError::TimedOut),
            Passed::Interrupted => Err(Interrupted.into()),
        }
    }

    /// Breaks the barrier: all who wait or come are told, until [`reset`](Barrier::reset).
    pub fn abort(&self) {
        self.0.with_me(|me| barrier::abort(me, self.0.off()));
    }

    /// Makes the barrier whole and empty; who waits is told that it was broken.
    pub fn reset(&self) {
        self.0.with_me(|me| barrier::reset(me, self.0.off()));
    }

    /// Whether it is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.0.with_me(|me| barrier::broken(me, self.0.off())).is_some()
    }

    /// How many have to come.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.0.with_me(|me| barrier::parties(me, self.0.off()))
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.0.with_me(|me| barrier::waiting(me, self.0.off()))
    }
}

fn broken(why: Why) -> BarrierError {
    match why {
        Why::Aborted => BarrierError::Aborted,
        Why::Reset => BarrierError::Reset,
        Why::TimedOut => BarrierError::OtherTimedOut,
        Why::ActionFailed => BarrierError::Action,
        Why::Died(pid) => BarrierError::Died { pid },
    }
}

shared_object!([] Barrier);

impl Serialize for Barrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Barrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        handle::deserialize(deserializer, kinds::BARRIER).map(Self)
    }
}

/// A round of a barrier did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarrierError {
    /// The caller's time was up first, which broke the barrier.
    #[error("not all parties had come when the time was up; the barrier is broken: reset() it")]
    TimedOut,
    /// Another party's time was up.
    #[error("the barrier is broken: the time of another party was up; reset() it")]
    OtherTimedOut,
    /// Somebody broke it.
    #[error("the barrier is broken: abort() was called; reset() it")]
    Aborted,
    /// Somebody reset it while this party waited.
    #[error("the barrier was reset while this party waited; come again")]
    Reset,
    /// The action that was to run failed, or is one that this language cannot run.
    #[error("the barrier is broken: its action failed, or is not one of this program; reset() it")]
    Action,
    /// A party died.
    #[error("the barrier is broken: process {pid} died while it waited or acted; reset() it")]
    Died {
        /// Its process.
        pid: i32,
    },
    /// The task that waits was interrupted; it does not count as come.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The wait cannot be noted in shared memory.
    #[error(transparent)]
    Wait(#[from] QueueError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(BarrierError);
