//! What the command does itself.

pub mod doctor;
mod python;
pub mod run;
pub mod tour;
