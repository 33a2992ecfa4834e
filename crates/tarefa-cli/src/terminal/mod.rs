//! What is written, and how: the language, the letters a terminal has, its width, tables.

mod ascii;
mod language;
mod output;
mod sized;
mod table;
mod wrap;

pub use language::Language;
pub use output::{EXIT_FAILED, EXIT_FOUND, Output};
pub use sized::sized;
pub use table::{Align, Column, Table, fit};
pub use wrap::wrap;
