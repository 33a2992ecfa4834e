//! What is looked up once and kept, in a way that a fork cannot freeze.
//!
//! PyO3's own cell, and with it `intern!`, lets go of the interpreter while its value is being found.
//! A thread that forks just then leaves its child a cell that is being filled by a thread which is
//! not there: whoever asks for it there waits for ever. Here nothing is waited for: the value is
//! found first, by several threads if they come at once, and the first one to be stored is
//! everybody's.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// A value that is found when it is first asked for.
pub(crate) struct Once<T>(OnceLock<T>);

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(crate) fn get(&self, _: Python<'_>) -> Option<&T> {
        self.0.get()
    }

    pub(crate) fn get_or_init(&self, py: Python<'_>, find: impl FnOnce() -> T) -> &T {
        if let Some(found) = self.get(py) {
            return found;
        }
        let found = find();
        // Runs no Python code, so the interpreter stays with this thread and nobody forks.
        self.0.get_or_init(|| found)
    }

    /// As `get_or_init`; one that fails is tried again by the next who asks.
    pub(crate) fn get_or_try_init(
        &self,
        py: Python<'_>,
        find: impl FnOnce() -> PyResult<T>,
    ) -> PyResult<&T> {
        if let Some(found) = self.get(py) {
            return Ok(found);
        }
        let found = find()?;
        Ok(self.get_or_init(py, || found))
    }
}

/// A name that is made once: see [`name!`].
pub(crate) struct Name(&'static str, Once<Py<PyString>>);

impl Name {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self(text, Once::new())
    }

    pub(crate) fn get<'py>(&'static self, py: Python<'py>) -> &'py Bound<'py, PyString> {
        self.1.get_or_init(py, || PyString::intern(py, self.0).unbind()).bind(py)
    }
}

/// A name of Python's, made at its first use in this place.
macro_rules! name {
    ($py:expr, $text:literal) => {{
        static NAME: $crate::runtime::once::Name = $crate::runtime::once::Name::new($text);
        NAME.get($py)
    }};
}
pub(crate) use name;

/// Fill the cells of PyO3's that this extension comes by, while no other thread has its functions.
pub(crate) fn fill_foreign(py: Python<'_>) -> PyResult<()> {
    py.get_type::<PyDict>().name().map(drop)
}
