//! A condition that threads and processes share.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::condition::{self, Refused, Waited};
use tarefa_engine::sync::wait_queue::WaitError as QueueError;

use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;
use crate::sync::errors::named;
use crate::sync::items::ItemError;

pub(crate) mod sealed {
    use crate::sync::items::ItemError;

    /// A guard of a lock that a condition can let go and take again.
    pub trait Guard: std::fmt::Debug {
        /// The lock.
        fn lock(&self) -> tarefa_engine::sync::condition::Lock;

        /// The lock is about to be let go.
        fn leave(&mut self) {}

        /// The lock was taken again.
        fn come_back(&mut self) -> Result<(), ItemError> {
            Ok(())
        }
    }
}

use sealed::Guard;

/// A condition: who holds a lock waits, letting it go, until somebody notifies. Clones are
/// handles of one condition.
///
/// It belongs to the lock that it is first waited for with. Who waits is notified in the order
/// in which they came, and a notification is never lost to a waiter that has died.
///
/// ```
/// use tarefa::{Condvar, Event, Lock, Thread};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (lock, changed, done) = (Lock::new()?, Condvar::new()?, Event::new()?);
/// let task = Thread::spawn(
///     |lock: Lock, changed: Condvar, done: Event| {
///         let _guard = lock.lock(None).unwrap();
///         done.set();
///         changed.notify_all();
///     },
///     (lock.clone(), changed.clone(), done.clone()),
/// )?;
/// let mut guard = lock.lock(None)?;
/// while !done.is_set() {
///     guard = changed.wait(guard).map_err(|e| e.to_string())?;
/// }
/// # drop(guard);
/// # task.join(None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condvar(Handle);

/// Whether a wait ended because its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was up before a notification came.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition without a lock so far.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new() -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        Ok(Self(Handle::adopt(&me, condition::create(&me)?)))
    }

    /// Lets the lock go, waits to be notified, and takes the lock again.
    ///
    /// # Errors
    /// [`CondvarError`]; the guard is dropped then.
    #[track_caller]
    pub fn wait<G: Guard>(&self, guard: G) -> Result<G, CondvarError> {
        self.wait_until(guard, Deadline::NEVER, Here::now()).map(|(guard, _)| guard)
    }

    /// The same, waiting at most `timeout` to be notified.
    ///
    /// # Errors
    /// [`CondvarError`]; the guard is dropped then.
    #[track_caller]
    pub fn wait_timeout<G: Guard>(
        &self,
        guard: G,
        timeout: Duration,
    ) -> Result<(G, WaitTimeoutResult), CondvarError> {
        self.wait_until(guard, Deadline::after(Some(timeout)), Here::now())
    }

    /// Waits, again and again, as long as `condition` is true of what the guard guards.
    ///
    /// # Errors
    /// [`CondvarError`]; the guard is dropped then.
    #[track_caller]
    pub fn wait_while<G: Guard>(
        &self,
        mut guard: G,
        mut condition: impl FnMut(&mut G) -> bool,
    ) -> Result<G, CondvarError> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// The same for at most `timeout`.
    ///
    /// # Errors
    /// [`CondvarError`]; the guard is dropped then.
    #[track_caller]
    pub fn wait_timeout_while<G: Guard>(
        &self,
        mut guard: G,
        timeout: Duration,
        mut condition: impl FnMut(&mut G) -> bool,
    ) -> Result<(G, WaitTimeoutResult), CondvarError> {
        let until = Deadline::after(Some(timeout));
        while condition(&mut guard) {
            let (back, result) = self.wait_until(guard, until, Here::now())?;
            guard = back;
            if result.timed_out() {
                let still = condition(&mut guard);
                return Ok((guard, WaitTimeoutResult(still)));
            }
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    fn wait_until<G: Guard>(
        &self,
        mut guard: G,
        until: Deadline,
        mut here: Here,
    ) -> Result<(G, WaitTimeoutResult), CondvarError> {
        let (me, off, lock) = (self.0.try_me()?, self.0.off(), guard.lock());
        let bound = condition::lock(&me, off).or_else(|| {
            condition::set_lock(&me, off, lock.off);
            condition::lock(&me, off)
        });
        if bound != Some(lock.off) {
            return Err(CondvarError::AnotherLock);
        }
        guard.leave();
        let waited = condition::wait(&me, off, lock, &mut here, until);
        match waited {
            Ok(Waited::GaveUp) => {
                // The lock is not the guard's any more, so it must not let it go.
                std::mem::forget(guard);
                return Err(Interrupted.into());
            }
            // Another thread took the lock for this guard, which was sent here.
            Err(Refused::NotHeld) => return Err(CondvarError::AnotherLock),
            _ => guard.come_back()?,
        }
        match waited {
            Ok(Waited::TimedOut) => Ok((guard, WaitTimeoutResult(true))),
            Ok(Waited::Interrupted) => Err(Interrupted.into()),
            Ok(Waited::OwnerDied(pid)) => Err(CondvarError::OwnerDied { pid }),
            Err(Refused::Wait(source)) => Err(source.into()),
            _ => Ok((guard, WaitTimeoutResult(false))),
        }
    }

    /// Wakes the one who has waited longest. Who calls it need not hold the lock.
    pub fn notify_one(&self) {
        self.0.with_me(|me| condition::notify_unheld(me, self.0.off(), 1));
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.0.with_me(|me| condition::notify_unheld(me, self.0.off(), u64::MAX));
    }
}

shared_object!([] Condvar);

impl Serialize for Condvar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Condvar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        handle::deserialize(deserializer, kinds::CONDITION).map(Self)
    }
}

/// A wait for a condition did not end with a notification. The lock is let go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CondvarError {
    /// An owner of the lock died meanwhile: what it guards may be half-changed. A mutex says so
    /// again when it is locked, until it is repaired; a lock does not.
    #[error("process {} held the lock of the condition and died; check what it guards", named(*.pid))]
    OwnerDied {
        /// Its process, where that is known.
        pid: Option<i32>,
    },
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The condition belongs to another lock, or the guard to another thread.
    #[error(
        "the condition was used with another lock before, or its guard was taken by another thread"
    )]
    AnotherLock,
    /// What the lock guards was written meanwhile by somebody, and is no value of its type.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The wait cannot be noted in shared memory.
    #[error(transparent)]
    Wait(#[from] QueueError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(CondvarError);
