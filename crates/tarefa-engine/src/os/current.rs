//! The system that this build runs on.

#[cfg(loom)]
pub(super) use super::model::Model as Current;

#[cfg(all(miri, not(loom)))]
pub(super) use super::miri::Miri as Current;

#[cfg(not(any(miri, loom)))]
pub(super) use super::linux::Linux as Current;
