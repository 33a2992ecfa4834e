//! Waiting for the first of several things.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::sync::select as engine;

use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;

pub(crate) use sealed::{Made, Source};

mod sealed {
    use tarefa_engine::shm::Member;
    use tarefa_engine::sync::select as engine;

    use crate::runtime::errors::TooManyThreads;

    /// What the engine waits for.
    #[doc(hidden)]
    #[allow(missing_debug_implementations)]
    pub enum Made<'a> {
        Object(Box<dyn engine::Selectable + 'a>),
        Descriptor(i32),
        /// A task that was never started.
        NotStarted,
    }

    /// What [`super::Selectable`] needs of a type.
    pub trait Source {
        /// This process in the runtime of the object; none of what is no object.
        #[doc(hidden)]
        fn member(&self) -> Result<Option<Member>, TooManyThreads>;
        #[doc(hidden)]
        fn make<'a>(&'a self, me: &'a Member) -> Made<'a>;
    }
}

/// What [`select()`] waits for: both sides of channels, [`Event`](crate::Event)s, tasks, and descriptors as
/// [`BorrowedFd`].
pub trait Selectable: Source {}

impl Source for BorrowedFd<'_> {
    fn member(&self) -> Result<Option<Member>, TooManyThreads> {
        Ok(None)
    }

    fn make<'a>(&'a self, _: &'a Member) -> Made<'a> {
        Made::Descriptor(self.as_raw_fd())
    }
}

impl Selectable for BorrowedFd<'_> {}

/// Waits for the first of several things, at most `timeout`. Returns the indices of all that are ready, none
/// when the time was up first.
///
/// | what | is ready when |
/// |---|---|
/// | [`Receiver`](crate::Receiver), [`PlainReceiver`](crate::PlainReceiver) | there is a value, or none will come any more |
/// | [`Sender`](crate::Sender), [`PlainSender`](crate::PlainSender) | there is room for a small value, or nobody receives any more |
/// | [`Event`](crate::Event) | its flag is up, or was since the call |
/// | a task | it has ended |
/// | [`BorrowedFd`] | it is readable, at its end, or in error |
///
/// Nothing is taken, and nothing put: where several receive from one channel, or send into one, somebody
/// else may be faster. The order begins somewhere else each time, so who serves only the first serves all of them alike.
///
/// ```
/// use tarefa::{Event, Selectable, channel, select};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (numbers, received) = channel::<u64>(0)?;
/// let stop = Event::new()?;
/// numbers.send(7)?;
/// let ready = select(&[&received as &dyn Selectable, &stop], None)?;
/// assert_eq!(ready, [0]);
/// assert_eq!(received.recv()?, 7);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`SelectError`].
#[track_caller]
pub fn select(
    sources: &[&dyn Selectable],
    timeout: Option<Duration>,
) -> Result<Vec<usize>, SelectError> {
    let deadline = Deadline::after(timeout);
    let mut here = Here::now();
    let mine = runtime::get()?.try_me()?;
    let members = sources.iter().map(|source| source.member()).collect::<Result<Vec<_>, _>>()?;
    let mut made: Vec<_> = sources
        .iter()
        .zip(&members)
        .map(|(source, me)| source.make(me.as_ref().unwrap_or(&mine)))
        .collect();
    let mut list = Vec::with_capacity(made.len());
    for (i, made) in made.iter_mut().enumerate() {
        list.push(match made {
            Made::Object(it) => engine::Source::Object(it.as_mut()),
            Made::Descriptor(fd) => engine::Source::Descriptor(*fd),
            Made::NotStarted => return Err(SelectError::NotStarted(i)),
        });
    }
    if list.is_empty() && timeout.is_none() {
        return Err(SelectError::Nothing);
    }
    engine::select(&mine, &mut here, &mut list, deadline).map_err(|e| match e {
        engine::SelectError::Interrupted => SelectError::Interrupted(Interrupted),
        engine::SelectError::Closed(i, fd) => SelectError::Closed(i, fd),
        engine::SelectError::System(e) => SelectError::System(e),
    })
}

/// Waiting for several things failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The calling task was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// A task was never started.
    #[error("number {0} is a task that was not started: call start() before select()")]
    NotStarted(usize),
    /// A descriptor is not open.
    #[error("number {0} is descriptor {1}, which is not open")]
    Closed(usize, i32),
    /// There is nothing to wait for, and no time limit.
    #[error("select() of nothing, without a timeout, would wait for ever")]
    Nothing,
    /// The system cannot look at the descriptors, or has no thread or descriptor for the wait.
    #[error("cannot wait for several things at once: {0}")]
    System(#[source] io::Error),
    /// There is no shared memory.
    #[error(transparent)]
    Runtime(#[from] CreateError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(SelectError);
