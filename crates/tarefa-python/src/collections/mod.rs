//! The native halves of the containers.

pub(crate) mod array;
pub(crate) mod dict;
pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod object_lock;
