//! Tasks as processes: starting one, and what the root, the zygote and the starters share for it.

pub mod max_depth;
pub(in crate::task) mod requests;
pub(in crate::task) mod rouse;
pub mod spares;
mod start;
pub(in crate::task) mod starter;
pub mod zygote_control;

pub use max_depth::{set_max_depth, set_usual_depth, usual_depth};
pub use rouse::rouse;
pub use spares::{set_spares, usual_spares};
pub use start::{MOST_DESCRIPTORS, StartError, prepare, start};
pub use starter::take_descriptors;
