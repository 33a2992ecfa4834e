//! Objects of another program, by address.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarefa_engine::shm::Off;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::object::address::ObjectAddress;

use crate::convert::codec;
use crate::convert::handle::Wire;

pub(crate) mod sealed {
    pub trait Sealed {
        /// Where the object is, if another than what is serialised is meant.
        #[doc(hidden)]
        fn wire(&self) -> Option<crate::convert::handle::Wire> {
            None
        }
    }
}

/// A shared object that has an [`address`].
pub trait Object: sealed::Sealed + Serialize + DeserializeOwned {}

/// Makes a type an [`Object`]; stands beside the type.
macro_rules! shared_object {
    ([$($of:tt)*] $object:ty) => {
        impl<$($of)*> $crate::convert::address::sealed::Sealed for $object {}
        impl<$($of)*> $crate::convert::address::Object for $object {}
    };
}
pub(crate) use shared_object;

/// Where an object is, as text: for a program of the same user that is no task of this one, be it
/// in Rust or in Python, where `tarefa.attach` reads it. Tasks are given objects as they are.
///
/// The text keeps nothing alive: keep the object until the other program has it.
///
/// | in Python | in Rust |
/// |---|---|
/// | `List`, `Dict`, `Set` | [`List`], [`Dict`], [`Set`] |
/// | `Value`, `Array` | [`Value`] and [`Mutex`], [`Array`] |
/// | `Lock`, `RLock` | [`Lock`], [`ReentrantLock`] |
/// | `Queue` | [`Sender`], [`Receiver`], [`PlainSender`], [`PlainReceiver`] |
/// | `Event`, `Semaphore`, `Barrier`, `Condition` | [`Event`], [`Semaphore`], [`Barrier`], [`Condvar`] |
///
/// Numbers, texts, bytes, booleans and `None` are read by both languages; anything else by the one
/// that it was stored by.
///
/// ```
/// use tarefa::{List, address, attach};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let list: List<i64> = List::new()?;
/// let text = address(&list);
/// // In another program, which was given the text:
/// let same: List<i64> = attach(&text)?;
/// same.append(42)?;
/// assert_eq!(list.get(0)?, 42);
/// # Ok(())
/// # }
/// ```
///
/// [`List`]: crate::List
/// [`Dict`]: crate::Dict
/// [`Set`]: crate::Set
/// [`Value`]: crate::Value
/// [`Mutex`]: crate::Mutex
/// [`Array`]: crate::Array
/// [`Lock`]: crate::Lock
/// [`ReentrantLock`]: crate::ReentrantLock
/// [`Event`]: crate::Event
/// [`Semaphore`]: crate::Semaphore
/// [`Barrier`]: crate::Barrier
/// [`Condvar`]: crate::Condvar
/// [`Sender`]: crate::Sender
/// [`Receiver`]: crate::Receiver
/// [`PlainSender`]: crate::PlainSender
/// [`PlainReceiver`]: crate::PlainReceiver
#[must_use]
pub fn address<T: Object>(object: &T) -> String {
    let written = || codec::encode(object).ok().and_then(|e| codec::decode::<Wire>(&e.bytes).ok());
    let wire = object.wire().or_else(written);
    let (kind, root, memory_fd, id, off, object) = wire.expect("an object is written as its place");
    let runtime = Address { root: root as i32, memory_fd: memory_fd as i32, id };
    ObjectAddress { runtime, off: Off(off), kind, id: object }.to_string()
}

/// The object at an [`address`], which may be another program's. This process is a member of that
/// program's runtime from then on: what it holds when it dies is seen to be without an owner.
///
/// # Errors
/// [`AttachError`]: no address, one of another kind of object, or the object or its program is gone.
pub fn attach<T: Object>(address: &str) -> Result<T, AttachError> {
    let at: ObjectAddress = address.parse().map_err(|e| AttachError(format!("{e}")))?;
    let Address { root, memory_fd, id } = at.runtime;
    let wire: Wire = (at.kind, root as u64, memory_fd as u64, id, at.off.0, at.id);
    let encoded = codec::encode(&wire).map_err(|e| AttachError(e.to_string()))?;
    codec::decode(&encoded.bytes).map_err(|e| AttachError(e.to_string()))
}

/// There is no such object at an [`address`](crate::address()).
#[derive(Debug, thiserror::Error)]
#[error("cannot attach: {0}")]
pub struct AttachError(pub(crate) String);
