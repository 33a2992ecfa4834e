//! Channels: data between threads and processes.
//!
//! Contract, for a [`queue`]:
//! - a message is in the queue, or its taker's, at every instant; never both, never neither, whoever
//!   is killed;
//! - messages of one producer come out in their order, and each once;
//! - a message that is to be acknowledged stays the queue's until it is, and is the next that comes out
//!   when its consumer gives it back or dies;
//! - a queue is bounded by messages and by bytes; who puts more waits;
//! - who waits is woken by what it waits for, by its deadline, by an interrupt, by the end of the
//!   queue, and looks around whenever a member dies.
//!
//! A [`pipe`] is two queues, or one, and an object for each of its ends.
//!
//! `README.md` beside this file says who owns each byte. Checked by `tests/crash/channels`,
//! `tests/property/queue.rs`, the model `tests/loom/queue.rs` and `tests/python/channel`.

mod gate;
mod get;
mod pending;
pub mod pipe;
mod priority;
mod put;
pub mod queue;
mod resize;
mod ring;
mod taken;
mod unacked;
mod watch;

pub use get::GetError;
pub use pending::{Joined, TooManyDone};
pub use priority::{keyed, unkeyed};
pub use put::{Outgoing, PutError, Source, blob_bytes};
pub use queue::{MAX_BYTES, Order, Queue};
pub use taken::{Content, Delivery, Taken};
pub use unacked::NotHeld;
pub use watch::{SelectQueue, Wanted};

use crate::collections;
use crate::kinds;
use crate::shm::object;
use crate::sync::object_kinds::{self, KindInfo};

/// Tells the heap how this layer's things are taken apart, and what they are to those who wait.
pub fn register() {
    collections::register();
    object::register(kinds::QUEUE, queue::destroy_step);
    object_kinds::register(kinds::QUEUE, KindInfo::unheld());
    object::register(kinds::PIPE_END, pipe::destroy_step);
    object_kinds::register(kinds::PIPE_END, KindInfo::unheld());
}
