//! Who ran what when: a trace put together, for people and for tools.
//!
//! ```text
//!   Reader (what threads wrote)  ─┐                         ┌─▶ protobuf, json (Perfetto's)
//!   seeds (what ran at the start) ─┼─▶ assemble ─▶ Timeline ─┼─▶ svg, html
//!   on_core (kernel, or sampled)  ─┘                       └─▶ text
//! ```
//!
//! - [`Recording`] switches the trace on, watches which thread is on a core, and collects both;
//! - a slice is a task or a call of a pool on a thread's row. Slices of a row lie inside each other or apart, and
//!   never across: [`check`] says so of any timeline, and of what Perfetto asks for;
//! - a slice whose process died ends at that death, with its signal: as a process that outlived it has written, else
//!   as the recording has noticed.

mod assemble;
pub mod check;
mod data;
mod deaths;
mod file;
mod html;
mod json;
mod on_core;
mod protobuf;
mod recording;
mod svg;
mod text;
mod wire;
mod words;

use std::io;

pub use data::{End, Kind, OnCore, Row, Slice, Source, Timeline};
pub use file::{Form, WrongEnding};
pub use recording::{NoRecording, Options, Recording};
pub use words::Words;

impl Timeline {
    /// Writes it as Perfetto and Chrome read it.
    ///
    /// # Errors
    /// What writing answered.
    pub fn write_json(&self, to: &mut dyn io::Write) -> io::Result<()> {
        json::write(self, to)
    }

    /// Writes it as Perfetto has it itself: smaller, and sooner loaded.
    ///
    /// # Errors
    /// What writing answered.
    pub fn write_protobuf(&self, to: &mut dyn io::Write) -> io::Result<()> {
        protobuf::write(self, to)
    }

    /// As a picture: an SVG document that needs nothing else.
    #[must_use]
    pub fn svg(&self, words: &Words) -> String {
        svg::document(self, words)
    }

    /// As a page: the picture, and a table of what ran.
    #[must_use]
    pub fn html(&self, words: &Words) -> String {
        html::page(self, words)
    }

    /// The inside of the page, for a page of others.
    #[must_use]
    pub fn html_part(&self, words: &Words) -> String {
        html::part(self, words)
    }

    /// As lines of text, so many characters wide.
    #[must_use]
    pub fn text(&self, width: usize, words: &Words) -> String {
        text::picture(self, width, words)
    }
}
