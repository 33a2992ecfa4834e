//! Which names of a module have changed since the last look.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use tarefa_engine::atomic::{AtomicUsize, Ordering};

/// What a dict's names stood for at one time, to tell quickly which of them stand for something
/// else now. It keeps nothing alive: whoever needs a value to be that very one later keeps it.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct Names {
    known: Vec<(Py<PyString>, AtomicUsize)>,
}

#[pymethods]
impl Names {
    #[new]
    fn new(of: &Bound<'_, PyDict>) -> Self {
        let mut known = Vec::with_capacity(of.len());
        for (key, value) in of.iter() {
            if let Ok(key) = key.cast_into_exact::<PyString>() {
                known.push((key.unbind(), AtomicUsize::new(value.as_ptr() as usize)));
            }
        }
        Self { known }
    }

    /// From now on this name has changed, whatever it stands for: what it stood for may go, and
    /// something else be where it was.
    #[pyo3(signature = (name, /))]
    fn forget(&self, py: Python<'_>, name: &str) {
        for (known, was) in &self.known {
            if known.bind(py) == name {
                was.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Names that are new, or stand for something else, or for nothing: (those, these gone). None
    /// if all is as it was.
    #[pyo3(signature = (now, /))]
    fn changed<'py>(
        &self,
        now: &Bound<'py, PyDict>,
    ) -> PyResult<Option<(Bound<'py, PyList>, Bound<'py, PyList>)>> {
        let py = now.py();
        let mut known = self.known.iter();
        let same = now.len() == self.known.len()
            && now.iter().all(|(key, value)| {
                known.next().is_some_and(|(name, was)| {
                    let was = was.load(Ordering::Relaxed);
                    name.as_ptr() == key.as_ptr() && was == value.as_ptr() as usize
                })
            });
        if same {
            return Ok(None);
        }
        let (changed, gone) = (PyList::empty(py), PyList::empty(py));
        let before = PyDict::new(py);
        for (name, was) in &self.known {
            before.set_item(name, was.load(Ordering::Relaxed))?;
            if !now.contains(name)? {
                gone.append(name)?;
            }
        }
        for (key, value) in now.iter() {
            if !key.is_exact_instance_of::<PyString>() {
                continue;
            }
            let was: Option<usize> = before.get_item(&key)?.map(|w| w.extract()).transpose()?;
            if was != Some(value.as_ptr() as usize) {
                changed.append(key)?;
            }
        }
        if changed.is_empty() && gone.is_empty() {
            return Ok(None);
        }
        Ok(Some((changed, gone)))
    }
}
