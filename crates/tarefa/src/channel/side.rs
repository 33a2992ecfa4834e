//! One side of a channel: an end, whose holders are counted, or the queue itself.

use serde::{Deserializer, Serializer, de};
use tarefa_engine::channel::pipe::End;
use tarefa_engine::channel::{Queue, Wanted, pipe};
use tarefa_engine::kinds;
use tarefa_engine::shm::object::address::ObjectAddress;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off, object};
use tarefa_engine::sync::select;

use crate::convert::handle::{self, Wire};
use crate::runtime::errors::TooManyThreads;

/// What a side is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Sends,
    Receives,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Side {
    handle: Handle,
    direction: Direction,
    #[cfg(feature = "tokio")]
    turns: super::turns::Turns,
}

impl Side {
    /// Of an end that this process holds.
    pub(super) fn adopt(me: &Member, end: Off, direction: Direction) -> Self {
        Self::of(Handle::adopt(me, end), direction)
    }

    fn of(handle: Handle, direction: Direction) -> Self {
        Self {
            handle,
            direction,
            #[cfg(feature = "tokio")]
            turns: super::turns::Turns::default(),
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn me(&self) -> Result<Member, TooManyThreads> {
        Ok(self.handle.try_me()?)
    }

    /// Its queue. An end has it for as long as somebody has the end.
    pub(super) fn queue<'a>(&self, me: &'a Member) -> Queue<'a> {
        let off = self.handle.off();
        if self.handle.kind() == kinds::QUEUE {
            return Queue::at(me, off);
        }
        let end = End::at(me, off);
        let queue = match self.direction {
            Direction::Sends => end.writes(),
            Direction::Receives => end.reads(),
        };
        queue.expect("an end of that direction, as was looked at when the side was made")
    }

    /// What is asked about its queue.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Queue<'_>) -> T) -> T {
        self.handle.with_me(|me| question(&self.queue(me)))
    }

    /// Values in its queue at this instant.
    pub(super) fn len(&self) -> usize {
        self.ask(|queue| queue.len()) as usize
    }

    /// The most values that its queue holds; `None` for any number.
    pub(super) fn capacity(&self) -> Option<usize> {
        Some(self.ask(|queue| queue.maxsize()) as usize).filter(|most| *most != 0)
    }

    /// Whether one of these objects leads to the queue, which would keep itself for ever.
    pub(super) fn is_led_to(&self, me: &Member, objects: &[Off]) -> bool {
        !objects.is_empty() && pipe::lead_to(me, objects, self.queue(me).offset())
    }

    /// Whether both are of one channel.
    pub(super) fn is_of_one_channel(&self, other: &Self) -> bool {
        std::ptr::eq(self.handle.runtime(), other.handle.runtime())
            && self.ask(|queue| queue.offset()) == other.ask(|queue| queue.offset())
    }

    /// Where the queue is, for programs that know no ends.
    pub(super) fn queue_wire(&self) -> Wire {
        let ObjectAddress { runtime: at, .. } = self.handle.address();
        let (off, id) = self.handle.with_me(|me| {
            let off = self.queue(me).offset();
            (off, object::header(me, off).id.load(tarefa_engine::atomic::Ordering::Acquire))
        });
        (kinds::QUEUE, at.root as u64, at.memory_fd as u64, at.id, off.0, id)
    }

    /// What waits until there is something to receive, or room for something small.
    pub(super) fn selectable<'a>(&self, me: &'a Member) -> Box<dyn select::Selectable + 'a> {
        let wanted = match self.direction {
            Direction::Sends => Wanted::Room(0),
            Direction::Receives => Wanted::Message,
        };
        Box::new(self.queue(me).selectable(wanted))
    }

    /// Looks until there is something, for a task of an executor, which waits for that in between.
    #[cfg(feature = "tokio")]
    pub(super) async fn look_until<T>(
        &self,
        wanted: Wanted,
        look: impl Fn() -> Option<T>,
    ) -> Result<T, super::errors::ChannelError> {
        let queue = || {
            let me = self.me()?;
            let held = Handle::of(&me, self.queue(&me).offset())?;
            Ok(held.expect("a queue that this side has"))
        };
        let mut turn = None;
        loop {
            // Who always finds something lets others have their turn.
            tokio::task::coop::consume_budget().await;
            if let Some(found) = look() {
                return Ok(found);
            }
            drop(turn.take());
            turn = Some(self.turns.next(wanted, queue).await?);
        }
    }

    pub(super) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.handle, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        direction: Direction,
    ) -> Result<Self, D::Error> {
        let handle = handle::deserialize_any(deserializer, &[kinds::PIPE_END, kinds::QUEUE])?;
        if handle.kind() == kinds::PIPE_END {
            let fits = handle.with_me(|me| {
                let end = End::at(me, handle.off());
                match direction {
                    Direction::Sends => end.writes().is_some(),
                    Direction::Receives => end.reads().is_some(),
                }
            });
            if !fits {
                let does = match direction {
                    Direction::Sends => "receives",
                    Direction::Receives => "sends",
                };
                return Err(de::Error::custom(format!("an end that only {does} was given")));
            }
        }
        Ok(Self::of(handle, direction))
    }
}
