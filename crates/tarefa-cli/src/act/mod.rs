//! What the command does itself.

pub mod doctor;
mod python;
pub mod tour;
