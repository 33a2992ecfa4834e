//! Errors, one type for each operation.

use std::error::Error;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tarefa_engine::collections::dict as engine_dict;
use tarefa_engine::collections::list as engine_list;
use tarefa_engine::collections::updating::NestedUpdate as Nested;
use tarefa_engine::shm::TooManyThreads as NoSlot;
use tarefa_engine::shm::heap::OutOfMemory;
pub use tarefa_engine::sync::wait_queue::WaitError as QueueError;
pub use tarefa_engine::task::cause_of_death::{Cause as LikelyCause, Death as WorkerDied};
use tarefa_engine::task::process as engine_process;
use tarefa_engine::units::Seconds;

use crate::task::failure::Interrupted;

/// As many threads as can use shared objects at once do so already. What must not fail, as a guard
/// or a handle that is dropped, goes on in such a thread too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{most} threads use shared objects, and there can be no more at once: end some")]
pub struct TooManyThreads {
    /// How many there can be, over all processes.
    pub most: u64,
}

impl From<NoSlot> for TooManyThreads {
    fn from(error: NoSlot) -> Self {
        Self { most: error.most }
    }
}

macro_rules! from_no_slot {
    ($($error:ident)*) => {$(
        impl From<NoSlot> for $error {
            fn from(error: NoSlot) -> Self {
                Self::Threads(error.into())
            }
        }
    )*};
}

from_no_slot! {
    CreateError JoinError LockError DictError ListError SemaphoreError BarrierError CondvarError
    MutexError WaitError
}

macro_rules! from_nested {
    ($($error:ident)*) => {$(
        impl From<Nested> for $error {
            fn from(_: Nested) -> Self {
                Self::Nested(NestedUpdate)
            }
        }
    )*};
}

from_nested! { DictError ItemError ListError }

impl From<NoSlot> for ItemError {
    fn from(error: NoSlot) -> Self {
        Self::Lock(error.into())
    }
}

/// A shared object could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The system refused what the runtime needs: descriptors, address space, a thread.
    #[error("cannot set up the shared memory: {0}")]
    Runtime(#[source] io::Error),
    /// The shared memory is full.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

/// A value does not serialise.
#[derive(Debug, thiserror::Error)]
#[error("a value of type {what} does not serialise: {source}")]
pub struct EncodeError {
    /// The value's type.
    pub what: &'static str,
    /// What serde said.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Bytes do not make a value.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A handle among them leads nowhere.
    #[error("{0}")]
    Handle(String),
    /// They are of another type.
    #[error("these are not the bytes of a {what}: {source}")]
    Bytes {
        /// The type asked for.
        what: &'static str,
        /// What serde said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A value of another type lies there, perhaps put in by another language.
    #[error("this is not a {what}: {found}")]
    Type {
        /// The type asked for.
        what: &'static str,
        /// What is there, in words.
        found: String,
    },
}

/// A task could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It was started before: a task runs once.
    #[error("task {name:?} was started before: make a new one for each run")]
    AlreadyStarted {
        /// The task's name.
        name: String,
    },
    /// This handle came from elsewhere: only the one that made a task can start it.
    #[error(
        "task {name:?} cannot be started through a handle that was sent: start it where it was made"
    )]
    NotOurs {
        /// The task's name.
        name: String,
    },
    /// The arguments do not serialise.
    #[error("cannot start task {name:?}: {source}")]
    Arguments {
        /// The task's name.
        name: String,
        /// Which type, and why.
        #[source]
        source: EncodeError,
    },
    /// A limit of nothing at all.
    #[error("cannot start task {name:?}: its {what} limit is 0; a limit is above that, or not set")]
    Limit {
        /// The task's name.
        name: String,
        /// "time" or "memory".
        what: &'static str,
    },
    /// The shared memory cannot take the task.
    #[error("cannot start a task: {0}")]
    Create(#[from] CreateError),
    /// The process could not be made.
    #[error(transparent)]
    Process(#[from] engine_process::StartError),
    /// The thread could not be made.
    #[error(
        "cannot start thread {name:?}: {source}; join or end some tasks, or raise the limit (ulimit -u)"
    )]
    Thread {
        /// The task's name.
        name: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

/// A task could not be joined, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It was never started.
    #[error("task {name:?} was not started: call start() before join() or result()")]
    NotStarted {
        /// The task's name.
        name: String,
    },
    /// A task waits for itself.
    #[error("task {name:?} waits for its own end, which would never come")]
    Itself {
        /// The task's name.
        name: String,
    },
    /// It still runs.
    #[error("task {name:?} (pid {pid}) still runs after {timeout:?}")]
    TimedOut {
        /// The task's name.
        name: String,
        /// The process it runs in.
        pid: i32,
        /// How long was waited.
        timeout: Duration,
    },
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

/// A task has no result to give.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// It has not ended.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Its target panicked.
    #[error("task {name:?} (pid {pid}) panicked: {message}")]
    Panicked {
        /// The task's name.
        name: String,
        /// The process it ran in.
        pid: i32,
        /// What the panic said.
        message: String,
    },
    /// Its target returned an error, as far as that has words: for who does not know its type, as
    /// [`Task::error`](crate::Task::error).
    #[error("task {name:?} (pid {pid}) failed: {message}")]
    Failed {
        /// The task's name.
        name: String,
        /// The process it ran in.
        pid: i32,
        /// The texts in the error.
        message: String,
    },
    /// It ran longer than its time limit, and ended when it was interrupted for that; likewise.
    #[error(
        "task {name:?} (pid {pid}) ran longer than its time limit of {}: {message}", Seconds(*.limit)
    )]
    OverTime {
        /// The task's name.
        name: String,
        /// The process it ran in.
        pid: i32,
        /// How long it was to run.
        limit: Duration,
        /// The texts in the error that it returned.
        message: String,
    },
    /// Its process ended before the target did.
    #[error(transparent)]
    Died(#[from] WorkerDied),
    /// There was no room for the result.
    #[error(
        "the result of task {name:?} (pid {pid}) is lost: the shared memory was full; free something, or raise TAREFA_ARENA_MAX"
    )]
    Lost {
        /// The task's name.
        name: String,
        /// The process it ran in.
        pid: i32,
    },
    /// The result cannot be read here.
    #[error("the result of task {name:?} cannot be read: {source}")]
    Decode {
        /// The task's name.
        name: String,
        /// Why.
        #[source]
        source: DecodeError,
    },
}

/// A task could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// It was never started.
    #[error("task {name:?} was not started: there is nothing to stop")]
    NotStarted {
        /// The task's name.
        name: String,
    },
    /// The system refused the signal.
    #[error("task {name:?} (pid {pid}) cannot be signalled: {source}")]
    System {
        /// The task's name.
        name: String,
        /// Its process.
        pid: i32,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

/// The process that held a lock died with it. The lock is free again, and what it guards may
/// be half-changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error(
    "the process that held the lock died with it; what the lock guards may be half-changed: \
     check it, then take the lock again"
)]
pub struct OwnerDied;

/// A lock was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum LockError {
    /// See [`OwnerDied`].
    #[error(transparent)]
    OwnerDied(#[from] OwnerDied),
    /// The time was up first.
    #[error("the lock was still held when the time was up")]
    TimedOut,
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

/// A value that cannot be a key of a dict, or a member of a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// It equals nothing.
    #[error("a NaN cannot be a key: it equals nothing, itself included")]
    NotANumber,
    /// It is shared and changes.
    #[error("a shared object cannot be a key: what it holds changes")]
    Shared,
    /// It has no order of its own.
    #[error(
        "a map cannot be a key: equal ones may be written in different orders; use a sorted list of its pairs"
    )]
    Map,
    /// It is compared by its bytes, and stands where members are compared by value.
    #[error(
        "a struct or an enum inside a tuple or a sequence cannot be part of a key: make the whole key a struct"
    )]
    Inside,
    /// It does not serialise.
    #[error("the key does not serialise: {0}")]
    Refused(String),
}

/// An operation on a dict or a set failed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DictError {
    /// The system refused what the runtime needs.
    #[error("cannot set up the shared memory: {0}")]
    Runtime(#[source] io::Error),
    /// The shared memory is full.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// See [`NotAKey`].
    #[error(transparent)]
    Key(#[from] NotAKey),
    /// The value does not serialise.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A key or a value cannot be read here.
    #[error("a key or a value cannot be read: {0}")]
    Decode(#[source] DecodeError),
    /// The calling task was interrupted while another thread grouped its operations on it.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The value mentions the dict that it was to be put into, which would never be freed.
    #[error("a dict cannot be put into itself: it would never be freed")]
    Itself,
    /// See [`NestedUpdate`].
    #[error(transparent)]
    Nested(#[from] NestedUpdate),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

impl From<CreateError> for DictError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Memory(e) => Self::Memory(e),
            CreateError::Runtime(e) => Self::Runtime(e),
            CreateError::Threads(e) => Self::Threads(e),
        }
    }
}

impl From<engine_dict::DictError> for DictError {
    fn from(error: engine_dict::DictError) -> Self {
        match error {
            // Only an interrupt ends the wait for the lock of whoever groups operations.
            engine_dict::DictError::Locked(_) => Self::Interrupted(Interrupted),
            engine_dict::DictError::Memory(e) => Self::Memory(e),
        }
    }
}

/// No permit of a semaphore was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SemaphoreError {
    /// The time was up first.
    #[error("no permit of the semaphore was free when the time was up")]
    TimedOut,
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The wait, or the permit, cannot be noted in shared memory.
    #[error(transparent)]
    Wait(#[from] QueueError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

/// A semaphore has as many permits as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more permits were given back than were taken: {free} are free already, and at most {bound} \
     may be"
)]
pub struct TooManyPermits {
    /// Permits that are free.
    pub free: u64,
    /// The most that may be.
    pub bound: u64,
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

/// There is no such object at an [`address`](crate::address()).
#[derive(Debug, thiserror::Error)]
#[error("cannot attach: {0}")]
pub struct AttachError(pub(crate) String);

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

fn named(pid: Option<i32>) -> String {
    pid.map_or_else(|| "(of an unknown number)".to_owned(), |pid| pid.to_string())
}

/// Waiting for several tasks failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// One of them was never started.
    #[error("task {name:?} was not started: call start() before wait()")]
    NotStarted {
        /// The task's name.
        name: String,
    },
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

/// An operation on an item of a shared array, or on a value, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// No such item.
    #[error("index {index} is out of range: the array has {len} items")]
    OutOfRange {
        /// The index asked for.
        index: usize,
        /// The array's length.
        len: usize,
    },
    /// Its bytes are none of the type's values: somebody else has written them.
    #[error("item {index} is no {what}: its bytes are {bytes}")]
    Invalid {
        /// Which one; 0 of a value.
        index: usize,
        /// The type asked for.
        what: &'static str,
        /// Its bytes, in hexadecimal.
        bytes: String,
    },
    /// The lock, which items of more than one word are read and written under, was not to be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// See [`NestedUpdate`].
    #[error(transparent)]
    Nested(#[from] NestedUpdate),
}

/// What a closure was given to compute anew, it changed itself: it called `update` for the same
/// element, or changed the element in another way, or what it was called to sort. There would be no
/// end to it. What the closure returned is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error(
    "what computes an element's new value changes the element itself: return the new value, and \
     change nothing of the same element inside"
)]
pub struct NestedUpdate;

/// A mutex or a read-write lock was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MutexError {
    /// An owner died while it held the lock, and nobody has said since that the value is whole.
    #[error(
        "process {} died while it held the lock; the value may be half-changed: take the lock with \
         lock_poisoned() or write_poisoned(), and repair() the value",
        named(*.pid)
    )]
    OwnerDied {
        /// Its process, where that is known.
        pid: Option<i32>,
    },
    /// The time was up first.
    #[error("the mutex was still held when the time was up")]
    TimedOut,
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// It would wait for itself.
    #[error("this thread holds the mutex already: it would wait for itself")]
    Reentrant,
    /// What is there is no value of the type.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The wait, or what the thread gets, cannot be noted in shared memory.
    #[error(transparent)]
    Wait(#[from] QueueError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

/// An operation on a list failed; the list is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The system refused what the runtime needs.
    #[error("cannot set up the shared memory: {0}")]
    Runtime(#[source] io::Error),
    /// No such element.
    #[error("index {index} is out of range: the list has {len} elements")]
    OutOfRange {
        /// The index asked for.
        index: usize,
        /// The list's length.
        len: usize,
    },
    /// The shared memory is full.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The element does not serialise.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The element cannot be read here.
    #[error("element {index} cannot be read: {source}")]
    Decode {
        /// Which one.
        index: usize,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// The calling task was interrupted while another thread grouped its operations on the list.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The value mentions the list that it was to be put into, which would never be freed.
    #[error("a list cannot be put into itself: it would never be freed")]
    Itself,
    /// See [`NestedUpdate`].
    #[error(transparent)]
    Nested(#[from] NestedUpdate),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

impl From<CreateError> for ListError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Memory(e) => Self::Memory(e),
            CreateError::Runtime(e) => Self::Runtime(e),
            CreateError::Threads(e) => Self::Threads(e),
        }
    }
}

impl From<engine_list::ListError> for ListError {
    fn from(error: engine_list::ListError) -> Self {
        match error {
            engine_list::ListError::OutOfRange { index, len } => {
                Self::OutOfRange { index: index as usize, len: len as usize }
            }
            engine_list::ListError::Memory(e) => Self::Memory(e),
            // Only an interrupt ends the wait for the lock of whoever groups operations.
            engine_list::ListError::Locked(_) => Self::Interrupted(Interrupted),
            // Answered where it can arise, by trying again.
            engine_list::ListError::Changed => Self::OutOfRange { index: 0, len: 0 },
        }
    }
}
