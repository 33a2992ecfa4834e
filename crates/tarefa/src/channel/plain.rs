//! Channels whose messages are slices of plain data, copied as they are.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::channel::Content;
#[cfg(feature = "tokio")]
use tarefa_engine::channel::Wanted;
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;

use super::errors::{
    ChannelError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError,
};
#[cfg(feature = "tokio")]
use super::receiver::unless_empty;
use super::receiver::{Nothing, take};
#[cfg(feature = "tokio")]
use super::sender::unless_full;
use super::sender::{Refusal, put};
use super::side::{Direction, Side};
use crate::convert::address::{Object, sealed};
use crate::convert::errors::DecodeError;
use crate::convert::handle::Wire;
use crate::convert::plain::Plain;
use crate::runtime::blocking::Here;
use crate::runtime::errors::TooManyThreads;
use crate::sync::select::{Made, Selectable, Source};

/// The sending side of a [`plain_channel`](crate::plain_channel).
pub struct PlainSender<T> {
    side: Side,
    item: PhantomData<fn(T)>,
}

/// The receiving side of a [`plain_channel`](crate::plain_channel).
pub struct PlainReceiver<T> {
    side: Side,
    item: PhantomData<fn() -> T>,
}

impl<T: Plain> PlainSender<T> {
    /// Sends a slice as one message, waiting until there is room for it. One value is a slice of one:
    /// [`std::slice::from_ref`].
    ///
    /// # Errors
    /// [`SendError`].
    #[track_caller]
    pub fn send(&self, items: &[T]) -> Result<(), SendError<()>> {
        match self.put(items, Some(Deadline::NEVER), Here::now()) {
            Ok(()) => Ok(()),
            Err(Refusal::Failed(why)) => Err(SendError::Failed((), why)),
            Err(Refusal::Disconnected | Refusal::Full) => Err(SendError::Disconnected(())),
        }
    }

    /// The same, if there is room now.
    ///
    /// # Errors
    /// [`TrySendError`].
    #[track_caller]
    pub fn try_send(&self, items: &[T]) -> Result<(), TrySendError<()>> {
        match self.put(items, None, Here::now()) {
            Ok(()) => Ok(()),
            Err(Refusal::Full) => Err(TrySendError::Full(())),
            Err(Refusal::Disconnected) => Err(TrySendError::Disconnected(())),
            Err(Refusal::Failed(why)) => Err(TrySendError::Failed((), why)),
        }
    }

    /// The same, waiting for room at most so long.
    ///
    /// # Errors
    /// [`SendTimeoutError`].
    #[track_caller]
    pub fn send_timeout(&self, items: &[T], timeout: Duration) -> Result<(), SendTimeoutError<()>> {
        match self.put(items, Some(Deadline::after(Some(timeout))), Here::now()) {
            Ok(()) => Ok(()),
            Err(Refusal::Full) => Err(SendTimeoutError::Timeout(())),
            Err(Refusal::Disconnected) => Err(SendTimeoutError::Disconnected(())),
            Err(Refusal::Failed(why)) => Err(SendTimeoutError::Failed((), why)),
        }
    }

    /// The same; a task of an executor waits alone, with feature `tokio`: see
    /// [`Sender::send_async`](crate::Sender::send_async).
    ///
    /// # Cancel safety
    /// If the future is dropped before it is done the slice was not sent.
    ///
    /// # Errors
    /// [`SendError`].
    #[cfg(feature = "tokio")]
    pub async fn send_async(&self, items: &[T]) -> Result<(), SendError<()>> {
        let bytes = bytes_of(items);
        let room = Wanted::Room(bytes.len() as u64);
        let put = || unless_full(self.put_bytes(&bytes, None, Here::now()));
        match self.side.look_until(room, put).await.unwrap_or_else(|why| Err(why.into())) {
            Ok(()) => Ok(()),
            Err(Refusal::Failed(why)) => Err(SendError::Failed((), why)),
            Err(Refusal::Disconnected | Refusal::Full) => Err(SendError::Disconnected(())),
        }
    }

    fn put(&self, items: &[T], until: Option<Deadline>, here: Here) -> Result<(), Refusal> {
        self.put_bytes(&bytes_of(items), until, here)
    }

    fn put_bytes(
        &self,
        bytes: &[u8],
        until: Option<Deadline>,
        mut here: Here,
    ) -> Result<(), Refusal> {
        let me = self.side.me()?;
        let queue = self.side.queue(&me);
        put(&me, &queue, Item::Blob(tag::BYTES, bytes, &[]), until, &mut here)
    }
}

fn bytes_of<T: Plain>(items: &[T]) -> Vec<u8> {
    let mut bytes = vec![0; size_of_val(items)];
    // Of nothing there is nothing to put, and no piece of that size.
    for (item, bytes) in items.iter().zip(bytes.chunks_exact_mut(size_of::<T>().max(1))) {
        item.put(bytes);
    }
    bytes
}

impl<T: Plain> PlainReceiver<T> {
    /// Receives a message, waiting for it.
    ///
    /// # Errors
    /// [`RecvError`].
    #[track_caller]
    pub fn recv(&self) -> Result<Vec<T>, RecvError> {
        match self.next(Some(Deadline::NEVER), Here::now()) {
            Ok(items) => Ok(items),
            Err(Nothing::Failed(why)) => Err(RecvError::Failed(why)),
            Err(Nothing::Ever | Nothing::Yet) => Err(RecvError::Disconnected),
        }
    }

    /// Receives a message if there is one now.
    ///
    /// # Errors
    /// [`TryRecvError`].
    #[track_caller]
    pub fn try_recv(&self) -> Result<Vec<T>, TryRecvError> {
        match self.next(None, Here::now()) {
            Ok(items) => Ok(items),
            Err(Nothing::Yet) => Err(TryRecvError::Empty),
            Err(Nothing::Ever) => Err(TryRecvError::Disconnected),
            Err(Nothing::Failed(why)) => Err(TryRecvError::Failed(why)),
        }
    }

    /// Receives a message, waiting for it at most so long.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Vec<T>, RecvTimeoutError> {
        match self.next(Some(Deadline::after(Some(timeout))), Here::now()) {
            Ok(items) => Ok(items),
            Err(Nothing::Yet) => Err(RecvTimeoutError::Timeout),
            Err(Nothing::Ever) => Err(RecvTimeoutError::Disconnected),
            Err(Nothing::Failed(why)) => Err(RecvTimeoutError::Failed(why)),
        }
    }

    /// Receives a message; a task of an executor waits alone, with feature `tokio`: see
    /// [`Receiver::recv_async`](crate::Receiver::recv_async).
    ///
    /// # Cancel safety
    /// A future that is dropped before it is done has taken nothing.
    ///
    /// # Errors
    /// [`RecvError`].
    #[cfg(feature = "tokio")]
    pub async fn recv_async(&self) -> Result<Vec<T>, RecvError> {
        let take = || unless_empty(self.next(None, Here::now()));
        let taken = self.side.look_until(Wanted::Message, take).await;
        match taken.unwrap_or_else(|why| Err(why.into())) {
            Ok(items) => Ok(items),
            Err(Nothing::Failed(why)) => Err(RecvError::Failed(why)),
            Err(Nothing::Ever | Nothing::Yet) => Err(RecvError::Disconnected),
        }
    }

    /// Messages one after the other, waiting for each, until nothing more will come.
    pub fn iter(&self) -> impl Iterator<Item = Result<Vec<T>, RecvError>> + '_ {
        std::iter::from_fn(|| match self.recv() {
            Err(RecvError::Disconnected) => None,
            other => Some(other),
        })
    }

    fn next(&self, until: Option<Deadline>, mut here: Here) -> Result<Vec<T>, Nothing> {
        let me = self.side.me()?;
        let taken = take(&self.side.queue(&me), 1, until, &mut here)?;
        let pid = taken.signed_by(&me, 0);
        let wrong = |found: String| {
            let source = DecodeError::Type { what: std::any::type_name::<[T]>(), found };
            Nothing::Failed(ChannelError::unreadable(&me, pid, source))
        };
        let Some(Content::Blob(tag::BYTES | tag::RAW, bytes, _)) = taken.contents().next() else {
            return Err(wrong("a message that is no bytes".to_owned()));
        };
        let size = size_of::<T>();
        if size == 0 || bytes.len() % size != 0 {
            return Err(wrong(format!("{} bytes, for items of {size} bytes", bytes.len())));
        }
        let items = bytes.chunks_exact(size).map(T::take).collect::<Option<Vec<_>>>();
        items.ok_or_else(|| wrong("bytes that are no such value".to_owned()))
    }
}

/// What both sides have.
macro_rules! side {
    ($name:ident $direction:ident) => {
        impl<T> $name<T> {
            pub(super) fn of(side: Side) -> Self {
                Self { side, item: PhantomData }
            }

            /// Messages in the channel at this instant.
            #[must_use]
            pub fn len(&self) -> usize {
                self.side.len()
            }

            /// Whether there are none.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The most messages that it holds; `None` for any number.
            #[must_use]
            pub fn capacity(&self) -> Option<usize> {
                self.side.capacity()
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self::of(self.side.clone())
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} waiting)", stringify!($name), self.len())
            }
        }

        impl<T> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.side.serialize(serializer)
            }
        }

        impl<'de, T> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Side::deserialize(deserializer, Direction::$direction).map(Self::of)
            }
        }

        impl<T> sealed::Sealed for $name<T> {
            fn wire(&self) -> Option<Wire> {
                Some(self.side.queue_wire())
            }
        }

        impl<T> Object for $name<T> {}

        impl<T> Source for $name<T> {
            fn member(&self) -> Result<Option<Member>, TooManyThreads> {
                self.side.me().map(Some)
            }

            fn make<'a>(&'a self, me: &'a Member) -> Made<'a> {
                Made::Object(self.side.selectable(me))
            }
        }

        impl<T> Selectable for $name<T> {}
    };
}

side!(PlainSender Sends);
side!(PlainReceiver Receives);
