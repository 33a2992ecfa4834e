//! The interpreter as a member of the runtime: handles, waiting, errors, the zygote.

pub(crate) mod blocking;
pub(crate) mod errors;
pub(crate) mod handle;
pub(crate) mod hooks;
pub(crate) mod member;
pub(crate) mod module_objects;
pub(crate) mod names;
pub(crate) mod program;
pub(crate) mod system;
pub(crate) mod unraisable;
pub(crate) mod zygote;
