//! What receives values.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
#[cfg(feature = "tokio")]
use tarefa_engine::channel::Wanted;
use tarefa_engine::channel::{GetError, Queue, Taken};
use tarefa_engine::collections::value::Fetched;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;

use super::errors::{ChannelError, RecvError, RecvTimeoutError, TryRecvError};
use super::side::{Direction, Side};
use crate::convert::address::{Object, sealed};
use crate::convert::element;
use crate::convert::handle::Wire;
use crate::runtime::blocking::Here;
use crate::runtime::errors::TooManyThreads;
use crate::runtime::interrupt::Interrupted;
use crate::sync::select::{Made, Selectable, Source};

/// The receiving side of a [`channel`](crate::channel()). Clones receive from the same one: each value comes
/// to one of them. What it is to programs in Python: see [`Sender`](crate::Sender).
pub struct Receiver<T> {
    side: Side,
    value: PhantomData<fn() -> T>,
}

/// Why there is nothing.
pub(super) enum Nothing {
    Yet,
    Ever,
    Failed(ChannelError),
}

impl<E: Into<ChannelError>> From<E> for Nothing {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What was taken, unless one has to wait for it.
#[cfg(feature = "tokio")]
pub(super) fn unless_empty<T>(taken: Result<T, Nothing>) -> Option<Result<T, Nothing>> {
    Some(taken).filter(|taken| !matches!(taken, Err(Nothing::Yet)))
}

/// Takes as many as there are, at most `most`, at once or until that time.
#[inline]
pub(super) fn take(
    queue: &Queue<'_>,
    most: usize,
    until: Option<Deadline>,
    here: &mut Here,
) -> Result<Taken, Nothing> {
    let taken = match until {
        None => queue.try_get_many(most),
        Some(until) => queue.get_many(most, here, until),
    };
    taken.map_err(|e| match e {
        GetError::Empty => Nothing::Yet,
        GetError::ShutDown => Nothing::Ever,
        GetError::Interrupted => Interrupted.into(),
        GetError::Memory(e) => e.into(),
    })
}

impl<T: DeserializeOwned + 'static> Receiver<T> {
    /// Receives a value, waiting for it.
    ///
    /// # Errors
    /// [`RecvError`].
    #[track_caller]
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        match self.next(Some(Deadline::NEVER), Here::now()) {
            Ok(value) => Ok(value),
            Err(Nothing::Failed(why)) => Err(RecvError::Failed(why)),
            Err(Nothing::Ever | Nothing::Yet) => Err(RecvError::Disconnected),
        }
    }

    /// Receives a value if there is one now.
    ///
    /// # Errors
    /// [`TryRecvError`].
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.next(None, Here::now()) {
            Ok(value) => Ok(value),
            Err(Nothing::Yet) => Err(TryRecvError::Empty),
            Err(Nothing::Ever) => Err(TryRecvError::Disconnected),
            Err(Nothing::Failed(why)) => Err(TryRecvError::Failed(why)),
        }
    }

    /// Receives a value, waiting for it at most so long.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match self.next(Some(Deadline::after(Some(timeout))), Here::now()) {
            Ok(value) => Ok(value),
            Err(Nothing::Yet) => Err(RecvTimeoutError::Timeout),
            Err(Nothing::Ever) => Err(RecvTimeoutError::Disconnected),
            Err(Nothing::Failed(why)) => Err(RecvTimeoutError::Failed(why)),
        }
    }

    /// Receives as many values as there are, at most `most`, waiting for the first: cheaper than one by
    /// one. Each has its own fate.
    ///
    /// # Errors
    /// [`RecvError`]: there is not even one.
    ///
    /// # Panics
    /// If `most` is 0.
    #[track_caller]
    pub fn recv_many(&self, most: usize) -> Result<Vec<Result<T, RecvError>>, RecvError> {
        assert!(most > 0, "recv_many() of no value");
        let mut here = Here::now();
        let me = self.side.me().map_err(ChannelError::from)?;
        let taken = take(&self.side.queue(&me), most, Some(Deadline::NEVER), &mut here);
        match taken {
            Ok(taken) => Ok((0..taken.len())
                .map(|i| self.read(&me, &taken, i).map_err(RecvError::Failed))
                .collect()),
            Err(Nothing::Failed(why)) => Err(RecvError::Failed(why)),
            Err(Nothing::Ever | Nothing::Yet) => Err(RecvError::Disconnected),
        }
    }

    #[inline]
    fn next(&self, until: Option<Deadline>, mut here: Here) -> Result<T, Nothing> {
        let me = self.side.me()?;
        let taken = take(&self.side.queue(&me), 1, until, &mut here)?;
        Ok(self.read(&me, &taken, 0)?)
    }

    /// A value that was taken.
    #[inline]
    fn read(&self, me: &Member, taken: &Taken, i: usize) -> Result<T, ChannelError> {
        let fetched = match taken.word() {
            Some(word) if i == 0 => Fetched::Word(word),
            _ => taken.fetch(me, i)?,
        };
        element::load(self.side.handle().runtime(), fetched)
            .map_err(|source| ChannelError::unreadable(me, taken.signed_by(me, i), source))
    }

    /// Values one after the other, waiting for each, until nothing more will come.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Those values that are there, without waiting.
    #[must_use]
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }
}

/// With feature `tokio`: waits in the task alone.
#[cfg(feature = "tokio")]
impl<T: DeserializeOwned + 'static> Receiver<T> {
    /// Receives a value; the task waits for it, and its thread does other things.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use tarefa::{Process, Sender, channel};
    ///
    /// let (squares, received) = channel(0)?;
    /// let work = |squares: Sender<u64>| (0..3).all(|n| squares.send(n * n).is_ok());
    /// let task = Process::spawn(work, (squares,))?;
    /// let mut all = Vec::new();
    /// while let Ok(square) = received.recv_async().await {
    ///     all.push(square);
    /// }
    /// assert_eq!(all, [0, 1, 4]);
    /// # assert!(task.result(None)?);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// It runs on any executor; on tokio's it takes part in the budget of its tasks.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is done has taken nothing: the value is there for the next
    /// that receives. So it can stand in a `select!`, or under a time limit.
    ///
    /// # Errors
    /// [`RecvError`]. An [`interrupt()`](crate::Task::interrupt) ends no wait of this kind.
    pub async fn recv_async(&self) -> Result<T, RecvError> {
        let take = || unless_empty(self.next(None, Here::now()));
        let taken = self.side.look_until(Wanted::Message, take).await;
        match taken.unwrap_or_else(|why| Err(why.into())) {
            Ok(value) => Ok(value),
            Err(Nothing::Failed(why)) => Err(RecvError::Failed(why)),
            Err(Nothing::Ever | Nothing::Yet) => Err(RecvError::Disconnected),
        }
    }
}

impl<T> Receiver<T> {
    pub(super) fn of(side: Side) -> Self {
        Self { side, value: PhantomData }
    }

    /// Values in the channel at this instant.
    #[must_use]
    pub fn len(&self) -> usize {
        self.side.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a `send` would have to wait now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.side.ask(|queue| queue.is_full())
    }

    /// The most values that it holds; `None` for any number.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.side.capacity()
    }

    /// Whether both receive from the same senders.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.side.is_of_one_channel(&other.side)
    }
}

/// See [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// See [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// As [`Iter`], with the receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

fn unless_over<T>(received: Result<T, RecvError>) -> Option<Result<T, RecvError>> {
    match received {
        Err(RecvError::Disconnected) => None,
        other => Some(other),
    }
}

impl<T: DeserializeOwned + 'static> Iterator for Iter<'_, T> {
    type Item = Result<T, RecvError>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        unless_over(self.receiver.recv())
    }
}

impl<T: DeserializeOwned + 'static> Iterator for TryIter<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.receiver.try_recv() {
            Ok(value) => Some(Ok(value)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
            Err(TryRecvError::Failed(why)) => Some(Err(RecvError::Failed(why))),
        }
    }
}

impl<T: DeserializeOwned + 'static> Iterator for IntoIter<T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        unless_over(self.receiver.recv())
    }
}

impl<'a, T: DeserializeOwned + 'static> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: DeserializeOwned + 'static> IntoIterator for Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::of(self.side.clone())
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({} waiting)", self.len())
    }
}

impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.side.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Side::deserialize(deserializer, Direction::Receives).map(Self::of)
    }
}

impl<T> sealed::Sealed for Receiver<T> {
    fn wire(&self) -> Option<Wire> {
        Some(self.side.queue_wire())
    }
}

impl<T> Object for Receiver<T> {}

impl<T> Source for Receiver<T> {
    fn member(&self) -> Result<Option<Member>, TooManyThreads> {
        self.side.me().map(Some)
    }

    fn make<'a>(&'a self, me: &'a Member) -> Made<'a> {
        Made::Object(self.side.selectable(me))
    }
}

impl<T> Selectable for Receiver<T> {}
