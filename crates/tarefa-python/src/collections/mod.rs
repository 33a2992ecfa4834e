//! The native halves of the containers.

pub(crate) mod array;
pub(crate) mod dict;
pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod object_lock;

use pyo3::prelude::*;
use tarefa_engine::kinds;

use crate::runtime::registry::{add_class, add_kinds};
use array::{ArrayCore, ArrayMemory, ValueCore};
use dict::{DictCore, NamespaceCore, SetCore};
use list::ListCore;
use map::{MapCore, MapIterator};

/// Puts the room's classes and functions into the module.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("ListCore", m.py().get_type::<ListCore>())?;
    m.add("MapCore", m.py().get_type::<MapCore>())?;
    m.add_class::<MapIterator>()?;
    m.add("DictCore", m.py().get_type::<DictCore>())?;
    m.add("SetCore", m.py().get_type::<SetCore>())?;
    m.add("NamespaceCore", m.py().get_type::<NamespaceCore>())?;
    m.add_class::<ArrayMemory>()?;
    m.add("ValueCore", m.py().get_type::<ValueCore>())?;
    m.add("ArrayCore", m.py().get_type::<ArrayCore>())?;
    m.add_function(wrap_pyfunction!(list::check_room, m)?)?;
    m.add_function(wrap_pyfunction!(array::make_array, m)?)?;
    m.add_function(wrap_pyfunction!(array::has_arrays, m)?)?;
    add_kinds(&[kinds::LIST], |py, h| Ok(Py::new(py, ListCore::of(h))?.into_any()));
    add_kinds(&[kinds::DICT, kinds::COUNTER], |py, h| dict::bare(py, h, DictCore));
    add_kinds(&[kinds::SET], |py, h| dict::bare(py, h, SetCore));
    add_kinds(&[kinds::NAMESPACE], |py, h| dict::bare(py, h, NamespaceCore));
    add_kinds(&[kinds::ARRAY], |py, h| Ok(Py::new(py, ArrayMemory::of(h)?)?.into_any()));
    add_class::<MapCore>();
    add_class::<ListCore>();
    add_class::<ArrayCore>();
    add_class::<ValueCore>();
    Ok(())
}
