//! What the command does itself.

pub mod doctor;
pub mod map;
mod python;
mod record;
pub mod run;
pub mod tour;
mod tree;
