//! What the command does itself.

pub mod doctor;
pub mod map;
mod python;
pub mod run;
pub mod tour;
