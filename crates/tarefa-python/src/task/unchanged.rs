//! Whether what tasks inherit is as it was, looked at before each start, where most often all is; and
//! whether there is nothing to do at their end.

use std::env;
use std::os::unix::ffi::OsStrExt;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Things that are looked at in one go, without running Python code for each: a start comes when the
/// interpreter's code and data have left the processor's caches, and each line of them costs.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct Unchanged {
    /// These are the very same objects.
    same: Attributes,
    /// The same, of which equal ones will do.
    equal: Attributes,
    /// What is called, and what it returned: equal ones will do.
    calls: Vec<(Py<PyAny>, Py<PyAny>)>,
    modules: Py<PyDict>,
    count: usize,
    folder: Option<Vec<u8>>,
}

/// Objects, attributes of them, what these were.
type Attributes = Vec<(Py<PyAny>, Py<PyString>, Py<PyAny>)>;

#[pymethods]
impl Unchanged {
    #[new]
    #[pyo3(signature = (same, equal, calls, modules, folder = None))]
    fn new(
        same: Attributes,
        equal: Attributes,
        calls: Vec<(Py<PyAny>, Py<PyAny>)>,
        modules: &Bound<'_, PyDict>,
        folder: Option<Vec<u8>>,
    ) -> Self {
        let count = modules.len();
        Self { same, equal, calls, modules: modules.clone().unbind(), count, folder }
    }

    /// Whether all of it is as it was, and no module was loaded since. False where that cannot be
    /// told.
    fn holds(&self, py: Python<'_>) -> PyResult<bool> {
        match self.is_as_it_was(py) {
            // An interrupt is no answer.
            Err(e) if e.is_instance_of::<PyException>(py) => Ok(false),
            other => other,
        }
    }
}

fn is_equal(now: &Bound<'_, PyAny>, was: &Py<PyAny>) -> PyResult<bool> {
    Ok(now.is(was) || now.eq(was)?)
}

impl Unchanged {
    fn is_as_it_was(&self, py: Python<'_>) -> PyResult<bool> {
        if self.modules.bind(py).len() != self.count {
            return Ok(false);
        }
        for (of, name, was) in &self.same {
            if !of.bind(py).getattr(name)?.is(was) {
                return Ok(false);
            }
        }
        for (function, was) in &self.calls {
            if !is_equal(&function.bind(py).call0()?, was)? {
                return Ok(false);
            }
        }
        for (of, name, was) in &self.equal {
            if !is_equal(&of.bind(py).getattr(name)?, was)? {
                return Ok(false);
            }
        }
        Ok(self.is_in_folder())
    }

    fn is_in_folder(&self) -> bool {
        self.folder.as_ref().is_none_or(|folder| {
            env::current_dir().is_ok_and(|now| now.as_os_str().as_bytes() == folder)
        })
    }
}
