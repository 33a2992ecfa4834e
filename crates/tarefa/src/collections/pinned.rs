//! Memory that stays where it is.

use std::fmt;

use tarefa_engine::shm::object::handle::Handle;

/// The memory of a [`SharedSlice`](crate::SharedSlice) that stays where it is until this is dropped: see
/// [`SharedSlice::pin`](crate::SharedSlice::pin).
pub struct Pinned {
    /// A reference of this process's, which whoever cleans up after it gives back.
    _handle: Handle,
    address: usize,
    len: usize,
}

impl Pinned {
    pub(super) fn new(handle: Handle, address: usize, len: usize) -> Self {
        Self { _handle: handle, address, len }
    }

    /// Where it begins, in this process: at a multiple of 16.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        std::ptr::with_exposed_provenance(self.address)
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({} bytes at {:#x})", self.len, self.address)
    }
}
