//! An event that threads and processes share.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::event;
use tarefa_engine::sync::wait::Outcome;

use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::{CreateError, TooManyThreads};
use crate::runtime::interrupt::Interrupted;
use crate::sync::select::{Made, Selectable, Source};

/// A flag that threads and processes wait for. Clones are handles of one event.
///
/// ```
/// use tarefa::{Event, Process};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ready = Event::new()?;
/// let task = Process::spawn(|ready: Event| ready.set(), (ready.clone(),))?;
/// assert!(ready.wait(None)?);
/// task.join(None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(Handle);

impl Event {
    /// An event whose flag is down.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new() -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        Ok(Self(Handle::adopt(&me, event::create(&me)?)))
    }

    /// Whether the flag is up.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.with_me(|me| event::is_set(me, self.0.off()))
    }

    /// Raises the flag and wakes all who wait.
    pub fn set(&self) {
        self.0.with_me(|me| event::set(me, self.0.off()));
    }

    /// Lowers the flag.
    pub fn clear(&self) {
        self.0.with_me(|me| event::clear(me, self.0.off()));
    }

    /// Waits until the flag is up, at most `timeout`. False when the time was up first.
    ///
    /// # Errors
    /// [`Interrupted`] when the task that waits is interrupted.
    #[track_caller]
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, Interrupted> {
        let deadline = Deadline::after(timeout);
        let Ok(me) = self.0.try_me() else { return Ok(self.wait_outside(deadline)) };
        match event::wait(&me, self.0.off(), &mut Here::now(), deadline) {
            Outcome::Ready => Ok(true),
            Outcome::TimedOut => Ok(false),
            Outcome::Interrupted => Err(Interrupted),
        }
    }
}

impl Event {
    /// The same for a thread that cannot sleep in shared memory, since too many others use that.
    #[cold]
    fn wait_outside(&self, deadline: Deadline) -> bool {
        while !self.is_set() {
            if deadline.passed() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

shared_object!([] Event);

impl Source for Event {
    fn member(&self) -> Result<Option<Member>, TooManyThreads> {
        Ok(Some(self.0.try_me()?))
    }

    fn make<'a>(&'a self, me: &'a Member) -> Made<'a> {
        Made::Object(Box::new(event::selectable(me, self.0.off())))
    }
}

impl Selectable for Event {}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        handle::deserialize(deserializer, kinds::EVENT).map(Self)
    }
}
