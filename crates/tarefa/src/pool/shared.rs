//! Objects of the engine's that a pool and its workers share, and that users do not see.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::channel::queue::{self, Order};
use tarefa_engine::channel::{PutError, Queue};
use tarefa_engine::collections::value::Item;
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::pool::{Board, board};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::wait::Plain;

use crate::convert::codec::SERDE;
use crate::convert::handle;
use crate::runtime::errors::CreateError;

/// Bytes that a queue of a pool may hold: what bounds it is how much is given out.
const UNBOUNDED: u64 = 1 << 62;

/// A queue of messages.
#[derive(Clone, Debug)]
pub(super) struct Messages(Handle);

impl Messages {
    pub(super) fn new(me: &Member) -> Result<Self, CreateError> {
        let off = queue::create(me, Order::Fifo)?;
        Queue::at(me, off).set_bounds(0, UNBOUNDED);
        Ok(Self(Handle::adopt(me, off)))
    }

    pub(super) fn queue<'a>(&self, me: &'a Member) -> Queue<'a> {
        Queue::at(me, self.0.off())
    }

    /// Puts a message in, whatever happens to the calling task meanwhile.
    pub(super) fn put(
        &self,
        me: &Member,
        parts: &[&[u8]],
        references: &[Off],
    ) -> Result<(), PutError> {
        let item = Item::Parts(SERDE, parts, references);
        self.queue(me).put(item, &mut Plain, Deadline::NEVER)
    }
}

/// The board: see `tarefa_engine::pool`.
#[derive(Clone, Debug)]
pub(super) struct SharedBoard(Handle);

impl SharedBoard {
    pub(super) fn new(me: &Member, seats: u32) -> Result<Self, CreateError> {
        Ok(Self(Handle::adopt(me, board::create(me, seats)?)))
    }

    /// What its pool is called in timelines.
    pub(super) fn number(&self) -> u64 {
        self.0.id()
    }

    pub(super) fn board<'a>(&self, me: &'a Member) -> Board<'a> {
        Board::at(me, self.0.off())
    }
}

macro_rules! travels {
    ($name:ident, $kind:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                handle::serialize(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                handle::deserialize(deserializer, $kind).map(Self)
            }
        }
    };
}

travels!(Messages, kinds::QUEUE);
travels!(SharedBoard, kinds::BOARD);
