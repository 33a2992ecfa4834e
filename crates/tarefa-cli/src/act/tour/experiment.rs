//! What an experiment is, and what comes of one.

use std::error::Error;

use super::numbers::{number, whole};
use super::picture::Picture;
use crate::terminal::Language;

/// What goes wrong while something is measured.
pub(super) type Measured = Result<Outcome, Box<dyn Error>>;

/// A statement of the lesson, and what shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Experiment {
    /// Its place in the whole tour.
    pub number: usize,
    /// What it is called by.
    pub key: &'static str,
    /// In both languages, as all texts.
    pub title: [&'static str; 2],
    /// What the lesson says.
    pub lesson: [&'static str; 2],
    /// What shows it.
    pub measure: fn(Language) -> Measured,
}

/// One number that was measured.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// Its name, in JSON.
    pub key: &'static str,
    /// What people call it.
    pub label: String,
    /// The number.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

impl Figure {
    /// One with a unit.
    pub(super) fn new(key: &'static str, label: &str, value: f64, unit: &'static str) -> Self {
        Self { key, label: label.to_owned(), value, unit }
    }

    /// So many.
    pub(super) fn count(key: &'static str, label: &str, value: usize) -> Self {
        Self::new(key, label, whole(value), "")
    }

    /// As people read it.
    pub(super) fn shown(&self, language: Language) -> String {
        format!("{} {}", number(self.value, language), self.unit).trim_end().to_owned()
    }
}

/// What an experiment has found on this machine.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Whether the statement holds here.
    pub holds: bool,
    /// What the figures say.
    pub sentence: String,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// A small picture.
    pub picture: Picture,
    /// Why it may not hold, where it does not.
    pub because: Option<String>,
}
