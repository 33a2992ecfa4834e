//! Data that threads and processes share.

pub(crate) mod array;
pub(crate) mod dict;
pub(crate) mod list;
pub(crate) mod object_lock;
pub(crate) mod pinned;
pub(crate) mod set;
pub(crate) mod shared_slice;
pub(crate) mod value;
