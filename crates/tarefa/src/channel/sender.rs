//! What sends values.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
#[cfg(feature = "tokio")]
use tarefa_engine::channel::Wanted;
use tarefa_engine::channel::{PutError, Queue};
use tarefa_engine::collections::value::Item;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;

use super::errors::{ChannelError, SendError, SendTimeoutError, TrySendError};
use super::side::{Direction, Side};
use crate::convert::address::{Object, sealed};
use crate::convert::element::{self, Stored};
use crate::convert::handle::Wire;
use crate::runtime::blocking::Here;
use crate::runtime::errors::TooManyThreads;
use crate::runtime::interrupt::Interrupted;
use crate::sync::select::{Made, Selectable, Source};

/// The sending side of a [`channel`](crate::channel()). Clones send into the same one.
///
/// By [`address`](crate::address()) a program in Python has it as its `Queue`, and by
/// [`attach`](crate::attach) it is one of a `Queue` in Python. Such a program is not counted: what it has
/// keeps the channel as an object, but it is connected as long as there are a `Sender` and a `Receiver`
/// of the program that made it. A queue of Python's is connected until its `shutdown()`.
pub struct Sender<T> {
    side: Side,
    value: PhantomData<fn(T)>,
}

/// Why something is not in the queue.
pub(super) enum Refusal {
    Full,
    Disconnected,
    Failed(ChannelError),
}

impl<E: Into<ChannelError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How putting something in went, unless it has to wait.
#[cfg(feature = "tokio")]
pub(super) fn unless_full(put: Result<(), Refusal>) -> Option<Result<(), Refusal>> {
    Some(put).filter(|put| !matches!(put, Err(Refusal::Full)))
}

/// Puts an item in, at once or until that time.
#[inline]
pub(super) fn put(
    me: &Member,
    queue: &Queue<'_>,
    item: Item<'_>,
    until: Option<Deadline>,
    here: &mut Here,
) -> Result<(), Refusal> {
    let put = match until {
        None => queue.try_put(item),
        Some(until) => queue.put(item, here, until),
    };
    put.map_err(|e| refused(me, queue, e))
}

/// With feature `tokio`: waits in the task alone.
#[cfg(feature = "tokio")]
impl<T: Serialize + 'static> Sender<T> {
    /// Sends a value; the task waits until there is room for it, and its thread does other things.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use tarefa::{Process, Receiver, channel};
    ///
    /// let (numbers, received) = channel(1)?;
    /// let sum = |numbers: Receiver<u64>| numbers.iter().map(Result::unwrap).sum::<u64>();
    /// let task = Process::spawn(sum, (received,))?;
    /// for n in 0..100 {
    ///     numbers.send_async(n).await?;
    /// }
    /// drop(numbers);
    /// assert_eq!(task.result(None)?, 4950);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// It runs on any executor; on tokio's it takes part in the budget of its tasks.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is done the value was not sent, and is dropped with it.
    /// Tasks of one process have their turns in the order in which they began to wait.
    ///
    /// # Errors
    /// [`SendError`], with the value. An [`interrupt()`](crate::Task::interrupt) ends no wait of this
    /// kind.
    pub async fn send_async(&self, value: T) -> Result<(), SendError<T>> {
        let stored = match element::store(&value) {
            Ok(stored) => stored,
            Err(why) => return Err(SendError::Failed(value, why.into())),
        };
        let room = Wanted::Room(stored.len() as u64);
        let put = || unless_full(self.put_stored(&stored, None, Here::now()));
        match self.side.look_until(room, put).await.unwrap_or_else(|why| Err(why.into())) {
            Ok(()) => Ok(()),
            Err(Refusal::Failed(why)) => Err(SendError::Failed(value, why)),
            Err(Refusal::Disconnected | Refusal::Full) => Err(SendError::Disconnected(value)),
        }
    }
}

#[cold]
fn refused(me: &Member, queue: &Queue<'_>, error: PutError) -> Refusal {
    match error {
        PutError::Full => Refusal::Full,
        PutError::ShutDown => {
            if me.is_here() {
                // What came after the last receiver had gone.
                queue.throw_away();
            }
            Refusal::Disconnected
        }
        PutError::Interrupted => Interrupted.into(),
        PutError::TooLarge { size, most } => Refusal::Failed(ChannelError::TooLarge { size, most }),
        PutError::Memory(e) => e.into(),
    }
}

impl<T: Serialize + 'static> Sender<T> {
    /// Sends a value, waiting until there is room for it.
    ///
    /// # Errors
    /// [`SendError`], with the value.
    #[track_caller]
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.put(&value, Some(Deadline::NEVER), Here::now()) {
            Ok(()) => Ok(()),
            Err(Refusal::Failed(why)) => Err(SendError::Failed(value, why)),
            Err(Refusal::Disconnected | Refusal::Full) => Err(SendError::Disconnected(value)),
        }
    }

    /// Sends a value if there is room now.
    ///
    /// # Errors
    /// [`TrySendError`], with the value.
    #[track_caller]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.put(&value, None, Here::now()) {
            Ok(()) => Ok(()),
            Err(Refusal::Full) => Err(TrySendError::Full(value)),
            Err(Refusal::Disconnected) => Err(TrySendError::Disconnected(value)),
            Err(Refusal::Failed(why)) => Err(TrySendError::Failed(value, why)),
        }
    }

    /// Sends a value, waiting for room at most so long.
    ///
    /// # Errors
    /// [`SendTimeoutError`], with the value.
    #[track_caller]
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match self.put(&value, Some(Deadline::after(Some(timeout))), Here::now()) {
            Ok(()) => Ok(()),
            Err(Refusal::Full) => Err(SendTimeoutError::Timeout(value)),
            Err(Refusal::Disconnected) => Err(SendTimeoutError::Disconnected(value)),
            Err(Refusal::Failed(why)) => Err(SendTimeoutError::Failed(value, why)),
        }
    }

    #[inline]
    fn put(&self, value: &T, until: Option<Deadline>, here: Here) -> Result<(), Refusal> {
        self.put_stored(&element::store(value)?, until, here)
    }

    #[inline]
    fn put_stored(
        &self,
        stored: &Stored,
        until: Option<Deadline>,
        mut here: Here,
    ) -> Result<(), Refusal> {
        let me = self.side.me()?;
        let queue = self.side.queue(&me);
        if let Stored::Word(word) = stored {
            return put(&me, &queue, Item::Word(*word), until, &mut here);
        }
        let runtime = self.side.handle().runtime();
        if self.side.is_led_to(&me, &stored.references(runtime)) {
            return Err(Refusal::Failed(ChannelError::Itself));
        }
        stored.with(runtime, |item| put(&me, &queue, item, until, &mut here))
    }
}

impl<T> Sender<T> {
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

    /// Whether what both send goes to the same receivers.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.side.is_of_one_channel(&other.side)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::of(self.side.clone())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({} waiting)", self.len())
    }
}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.side.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Side::deserialize(deserializer, Direction::Sends).map(Self::of)
    }
}

impl<T> sealed::Sealed for Sender<T> {
    fn wire(&self) -> Option<Wire> {
        Some(self.side.queue_wire())
    }
}

impl<T> Object for Sender<T> {}

impl<T> Source for Sender<T> {
    fn member(&self) -> Result<Option<Member>, TooManyThreads> {
        self.side.me().map(Some)
    }

    fn make<'a>(&'a self, me: &'a Member) -> Made<'a> {
        Made::Object(self.side.selectable(me))
    }
}

impl<T> Selectable for Sender<T> {}
