//! Objects of the script's classes, pickled without running Python code of ours.
//!
//! A child of the zygote shares the interpreter's pages until it writes to them, and running a
//! function for the first time writes to several: what pickles a result in Python takes ten times as
//! long there as when it is repeated. What most results consist of is known here: instances, and
//! classes that every process of the program finds by name. All else is left to the picklers in
//! `tarefa._convert`, which know everything.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBytes, PyDict, PyFrozenSet, PyNotImplemented, PySet, PyString, PyTuple, PyType,
    PyWeakrefReference,
};

use super::collector;
use crate::runtime::once::{Once, name};

/// What the package has for this.
struct Tools {
    /// `io.BytesIO`, and a pickler whose `reducer_override` is [`reduce_of_script`].
    buffer: Py<PyAny>,
    pickler: Py<PyAny>,
    /// For pickles whose large buffers lie beside them.
    keep: Py<PyAny>,
    /// How definitions are pickled by name, by weak reference; and the digests of those that every
    /// process finds.
    mentions: Py<PyDict>,
    found: Py<PySet>,
    function: Py<PyAny>,
    /// Types that only the other picklers know, and modules that have such types.
    kinds: Py<PyFrozenSet>,
    modules: Py<PyFrozenSet>,
    /// The module that knows which types have ways of their own.
    own_ways: Py<PyAny>,
    /// `sys.modules` and `copyreg`'s table.
    loaded: Py<PyDict>,
    table: Py<PyDict>,
    /// What picklers raise for what they cannot do.
    refusals: Py<PyTuple>,
}

static TOOLS: Once<Tools> = Once::new();

/// Hands over what [`Tools`] has, by position.
#[pyfunction]
#[pyo3(signature = (*tools))]
pub(crate) fn give_script_pickler(tools: &Bound<'_, PyTuple>) -> PyResult<()> {
    let (
        buffer,
        pickler,
        keep,
        mentions,
        found,
        function,
        kinds,
        modules,
        own_ways,
        loaded,
        table,
        refusals,
    ) = tools.extract()?;
    TOOLS.get_or_init(tools.py(), || Tools {
        buffer,
        pickler,
        keep,
        mentions,
        found,
        function,
        kinds,
        modules,
        own_ways,
        loaded,
        table,
        refusals,
    });
    Ok(())
}

/// Whether plain `pickle` would name `__main__` for it.
pub(crate) fn is_of_script(object: &Bound<'_, PyAny>) -> bool {
    let module = object.get_type().getattr(name!(object.py(), "__module__"));
    module.is_ok_and(|module| is_main(&module))
}

fn is_main(module: &Bound<'_, PyAny>) -> bool {
    let name = module.cast::<PyString>();
    name.is_ok_and(|name| name == "__main__" || name == "__mp_main__")
}

/// The pickle of a message's object, with large buffers beside it; None as of [`pickle_of_script`].
pub(crate) fn message<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let py = object.py();
    match TOOLS.get(py) {
        Some(tools) if is_of_script(object) => tools.try_pickle(object, tools.keep.bind(py)),
        _ => Ok(None),
    }
}

/// The pickle of an object; `keep` is asked which buffers are in it. None where the other picklers
/// are to make it, or to say why it cannot be.
#[pyfunction]
#[pyo3(signature = (object, keep, /))]
pub(crate) fn pickle_of_script<'py>(
    object: &Bound<'py, PyAny>,
    keep: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    TOOLS.get(object.py()).map_or(Ok(None), |tools| tools.try_pickle(object, keep))
}

/// How an object is pickled, asked by the pickler of each that has no way of the interpreter's own.
#[pyfunction]
#[pyo3(signature = (object, /))]
pub(crate) fn reduce_of_script<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let found = match TOOLS.get(py) {
        Some(tools) => tools.reduce(object)?,
        None => None,
    };
    // The same as the other picklers raise; nobody reads it.
    found.ok_or_else(|| PyTypeError::new_err("for another pickler"))
}

impl Tools {
    fn try_pickle<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        keep: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let py = object.py();
        let before = collector::collected();
        match self.pickle(object, keep) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.matches(py, self.refusals.bind(py))? => {
                collector::discard_collected(before);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn pickle<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        keep: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let py = object.py();
        self.look_for_own_ways(py)?;
        let buffer = self.buffer.bind(py).call0()?;
        let pickler = self.pickler.bind(py).call1((&buffer, 5, true, keep))?;
        pickler.call_method1(name!(py, "dump"), (object,))?;
        Ok(buffer.call_method0(name!(py, "getvalue"))?.cast_into()?)
    }

    /// How an object is pickled; None for what is left to others.
    fn reduce<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = object.py();
        let kind = object.get_type();
        let own = self.own_ways.bind(py).getattr(name!(py, "_own"))?.cast_into::<PyDict>()?;
        if let Some(reduce) = own.get_item(&kind)? {
            return Ok(Some(reduce.call1((object,))?));
        }
        if self.kinds.bind(py).contains(&kind)? {
            return Ok(None);
        }
        let usual = Some(PyNotImplemented::get(py).to_owned().into_any());
        if object.is_instance_of::<PyType>() {
            let module = object.getattr(name!(py, "__module__"))?;
            return if is_main(&module) { self.mentioned(object) } else { Ok(usual) };
        }
        if kind.is(self.function.bind(py)) {
            return Ok(if is_found_by_name(object)? { usual } else { None });
        }
        let module = kind.getattr(name!(py, "__module__"))?;
        let is_others =
            module.is_instance_of::<PyString>() && self.modules.bind(py).contains(module)?;
        Ok(if is_others { None } else { usual })
    }

    /// How a class of the script is pickled, where it is known that every process finds it.
    fn mentioned<'py>(&self, class: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = class.py();
        let reference = PyWeakrefReference::new(class)?;
        let Some(mention) = self.mentions.bind(py).get_item(reference)? else { return Ok(None) };
        let digest = mention.get_item(1)?.get_item(1)?;
        Ok(self.found.bind(py).contains(digest)?.then_some(mention))
    }

    /// Modules that were loaded since may have brought types with ways of their own.
    fn look_for_own_ways(&self, py: Python<'_>) -> PyResult<()> {
        let own_ways = self.own_ways.bind(py);
        let seen: (usize, usize, usize) = own_ways.getattr(name!(py, "_seen"))?.extract()?;
        if seen != reducers_known(self.loaded.bind(py), self.table.bind(py))? {
            own_ways.call_method0(name!(py, "reducers"))?;
        }
        Ok(())
    }
}

/// Whether a function is one of a module that others import, and find it in.
fn is_found_by_name(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = function.py();
    let module = function.getattr(name!(py, "__module__"))?;
    let names = function.getattr(name!(py, "__globals__"))?.cast_into::<PyDict>()?;
    let home = names.get_item(name!(py, "__name__"))?;
    let made_while_running = function.getattr(name!(py, "__qualname__"))?.contains("<")?;
    Ok(!is_main(&module) && !home.is_some_and(|home| is_main(&home)) && !made_while_running)
}

/// How many modules are loaded, and how many types have told `copyreg`, whose table that is, and
/// `multiprocessing` how they are pickled.
#[pyfunction]
#[pyo3(signature = (modules, table, /))]
pub(crate) fn reducers_known(
    modules: &Bound<'_, PyDict>,
    table: &Bound<'_, PyDict>,
) -> PyResult<(usize, usize, usize)> {
    let py = modules.py();
    let reduction = modules.get_item(name!(py, "multiprocessing.reduction"))?;
    // Without it while another thread imports the module.
    let pickler = match reduction {
        Some(reduction) => reduction.getattr_opt(name!(py, "ForkingPickler"))?,
        None => None,
    };
    let more = match pickler {
        Some(pickler) => pickler.getattr(name!(py, "_extra_reducers"))?.len()?,
        None => 0,
    };
    Ok((modules.len(), table.len(), more))
}
