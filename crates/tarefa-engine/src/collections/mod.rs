//! Containers that threads and processes share.

pub mod array;
pub mod format;
pub mod guard;
pub mod list;
pub mod table;
pub mod trash;
pub mod value;

use crate::shm::heap;
use crate::shm::object;

/// Numbers of the object kinds of this layer.
pub mod kinds {
    /// A [`super::list`].
    pub const LIST: u64 = 8;
    /// An [`super::array`].
    pub const ARRAY: u64 = 13;
}

/// Tells the heap how this layer's things are taken apart.
pub fn register() {
    object::register(kinds::LIST, list::take_apart);
    object::register(kinds::ARRAY, array::take_apart);
    object::register(heap::TABLE, table::take_apart);
    object::register(heap::TRASH, trash::take_apart);
}
