//! Errors that nearly every operation shares.

use std::io;

use serde::{Deserialize, Serialize};
use tarefa_engine::shm::TooManyThreads as NoSlot;
use tarefa_engine::shm::heap::OutOfMemory;

/// That a thread finds no slot is an error of the operation too.
macro_rules! from_no_slot {
    ($error:ident) => {
        impl From<tarefa_engine::shm::TooManyThreads> for $error {
            fn from(error: tarefa_engine::shm::TooManyThreads) -> Self {
                Self::Threads(error.into())
            }
        }
    };
}
pub(crate) use from_no_slot;

/// As many threads as can use shared objects at once do so already. What must not fail, as a guard
/// or a handle that is dropped, goes on in such a thread too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{most} threads use shared objects, and there can be no more at once: end some")]
pub struct TooManyThreads {
    /// How many there can be, over all processes.
    pub most: u64,
}

impl From<NoSlot> for TooManyThreads {
    fn from(error: NoSlot) -> Self {
        Self { most: error.most }
    }
}

/// A shared object could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The system refused what the runtime needs: descriptors, address space, a thread.
    #[error("cannot set up the shared memory: {0}")]
    Runtime(#[source] io::Error),
    /// The shared memory is full.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(CreateError);
