//! The object at an address, which may be another program's.

use crate::atomic::Ordering;

use super::address::ObjectAddress;
use super::{header, refcount};
use crate::shm::heap::OutOfMemory;
use crate::shm::member::TooManyThreads;
use crate::shm::member::attach::AttachError;
use crate::shm::member::runtime::Runtime;

/// Why there is no such object here.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Its runtime cannot be joined.
    #[error(transparent)]
    Runtime(#[from] AttachError),
    /// The object is gone: nobody held it any more.
    #[error("the object is gone: nobody held it any more; keep it until the receiver has it")]
    Gone,
    /// It is of another kind than the address says: of that one.
    #[error("the address is of an object of another sort: it was changed on its way")]
    Kind(u64),
    /// There is no room to note that this process holds it.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The calling thread cannot use the runtime.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

/// Takes a handle of the object at an address for this process, which is a member of the object's
/// runtime then. The object is one of the kind that the address says.
///
/// # Errors
/// [`Refused`]; nothing has changed then, and nothing of a runtime that this process would have
/// joined is left in it: no mapping, no descriptor, no place among the members.
pub fn attach(at: &ObjectAddress) -> Result<&'static Runtime, Refused> {
    Runtime::attach_for(at.runtime, |runtime| {
        let me = runtime.try_me()?;
        if !refcount::acquire(&me, at.off, at.id)? {
            return Err(Refused::Gone);
        }
        let kind = header(&me, at.off).kind.load(Ordering::Relaxed);
        if kind != at.kind {
            refcount::release(&me, at.off);
            return Err(Refused::Kind(kind));
        }
        Ok(())
    })
}
