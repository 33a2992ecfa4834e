//! What the command does itself.

pub mod tour;
