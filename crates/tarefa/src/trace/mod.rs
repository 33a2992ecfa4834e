//! Looking at a program while it runs or hangs.

pub(crate) mod deadlocks;
