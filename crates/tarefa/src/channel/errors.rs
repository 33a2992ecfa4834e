//! Why a value was not sent, or none received.

use std::error::Error;
use std::fmt;

use tarefa_engine::shm::Member;
use tarefa_engine::shm::heap::OutOfMemory;
use tarefa_engine::task::origin;

use crate::convert::errors::{DecodeError, EncodeError};
use crate::runtime::errors::TooManyThreads;
use crate::runtime::interrupt::Interrupted;

/// What keeps a value from travelling, beside a channel that is full, empty or disconnected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The calling task was interrupted while it waited.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The shared memory is full.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The value does not serialise.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// What came is no value of the channel's type. It is gone; the next one comes next.
    #[error("a message, put in by {origin}, cannot be read: {source}")]
    Decode {
        /// Who put it in, in words: the task's name and its process.
        origin: String,
        /// The process that put it in.
        pid: i32,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// The value mentions a side of the channel that it was to go through, which would keep itself open
    /// for ever.
    #[error(
        "a side of a channel cannot travel through that channel: it would keep itself open for ever; \
         hand it over as an argument of a task, or through another channel"
    )]
    Itself,
    /// A queue of another program's is bounded by fewer bytes than the value has.
    #[error("a message of {size} bytes is larger than the queue may hold, which is {most} bytes")]
    TooLarge {
        /// Bytes of the message.
        size: u64,
        /// Bytes that the queue may hold.
        most: u64,
    },
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
    /// With feature `tokio`: the system has no thread for the tasks that wait.
    #[error("cannot start the thread that waits for the channel: {0}")]
    Thread(#[source] std::io::Error),
}

impl ChannelError {
    /// For a message that `pid` has put in, whose value `source` is the lack of.
    #[cold]
    pub(super) fn unreadable(me: &Member, pid: i32, source: DecodeError) -> Self {
        Self::Decode { origin: origin::of_process(me, pid), pid, source }
    }
}

const NOBODY_RECEIVES: &str = "nobody receives any more: all receivers are dropped, or their processes \
                               have ended, or the queue was shut down";
const NOBODY_SENDS: &str = "nothing more will come: all senders are dropped, or their processes have \
                            ended, or the queue was shut down";

/// An error that gives the value back.
macro_rules! send_error {
    ($(#[$doc:meta])* $name:ident { $($(#[$late_doc:meta])* $late:ident $text:literal)? }) => {
        $(#[$doc])*
        pub enum $name<T> {
            $($(#[$late_doc])* $late(T),)?
            /// All receivers are dropped, or their processes have ended, or the queue was shut down.
            Disconnected(T),
            /// Something else.
            Failed(T, ChannelError),
        }

        impl<T> $name<T> {
            /// The value that was not sent.
            #[must_use]
            pub fn into_inner(self) -> T {
                match self {
                    $(Self::$late(value) => value,)?
                    Self::Disconnected(value) | Self::Failed(value, _) => value,
                }
            }

            /// Whether nobody receives any more.
            #[must_use]
            pub fn is_disconnected(&self) -> bool {
                matches!(self, Self::Disconnected(_))
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$late(_) => f.write_str(concat!(stringify!($late), "(..)")),)?
                    Self::Disconnected(_) => f.write_str("Disconnected(..)"),
                    Self::Failed(_, why) => f.debug_tuple("Failed").field(why).finish_non_exhaustive(),
                }
            }
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$late(_) => f.write_str($text),)?
                    Self::Disconnected(_) => write!(f, "not sent: {NOBODY_RECEIVES}"),
                    Self::Failed(_, why) => write!(f, "not sent: {why}"),
                }
            }
        }

        impl<T> Error for $name<T> {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                match self {
                    Self::Failed(_, why) => Some(why),
                    _ => None,
                }
            }
        }
    };
}

send_error! {
    /// A value was not sent; it is in here.
    SendError {}
}

send_error! {
    /// A value was not sent at once; it is in here.
    TrySendError {
        /// There is no room now.
        Full "not sent: the channel is full"
    }
}

send_error! {
    /// A value was not sent in time; it is in here.
    SendTimeoutError {
        /// There was no room in time.
        Timeout "not sent: the channel was full until the time had passed"
    }
}

/// An error of receiving.
macro_rules! receive_error {
    ($(#[$doc:meta])* $name:ident { $($(#[$none_doc:meta])* $none:ident $text:literal)? }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {
            $($(#[$none_doc])* $none,)?
            /// All is received, and all senders are dropped, or their processes have ended, or the queue
            /// was shut down.
            Disconnected,
            /// Something else.
            Failed(ChannelError),
        }

        impl $name {
            /// Whether nothing more will come.
            #[must_use]
            pub fn is_disconnected(&self) -> bool {
                matches!(self, Self::Disconnected)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$none => f.write_str($text),)?
                    Self::Disconnected => f.write_str(NOBODY_SENDS),
                    Self::Failed(why) => write!(f, "nothing received: {why}"),
                }
            }
        }

        impl Error for $name {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                match self {
                    Self::Failed(why) => Some(why),
                    _ => None,
                }
            }
        }

        impl From<ChannelError> for $name {
            fn from(why: ChannelError) -> Self {
                Self::Failed(why)
            }
        }
    };
}

receive_error! {
    /// Nothing was received.
    RecvError {}
}

receive_error! {
    /// Nothing was received at once.
    TryRecvError {
        /// There is nothing now.
        Empty "the channel is empty"
    }
}

receive_error! {
    /// Nothing was received in time.
    RecvTimeoutError {
        /// There was nothing in time.
        Timeout "the channel was empty until the time had passed"
    }
}
