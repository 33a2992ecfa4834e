//! `DictCore`, `SetCore` and `NamespaceCore`: what `tarefa.Dict`, `Counter`, `Set` and
//! `Namespace` are made of. The rest of their methods are in Python.

use crate::runtime::handle::Slot as _;
use crate::runtime::once::name;
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PySet, PyString, PyTuple, PyType};
use tarefa_engine::collections::dict::{Added, Dict, OptimisticRead};
use tarefa_engine::collections::updating::Element;
use tarefa_engine::collections::value::{self, Expected, Fetched, Item};
use tarefa_engine::shm::object::handle::Handle;

use crate::collections::map::MapCore;
use crate::collections::object_lock::insisting;
use crate::convert::encode;
use crate::convert::key::{PyKey, with_form, with_key};

/// Keys and values in shared memory.
#[pyclass(frozen, subclass, generic, extends = MapCore, name = "Dict", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct DictCore;

/// Keys in shared memory.
#[pyclass(frozen, subclass, generic, extends = MapCore, name = "Set", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct SetCore;

/// Names and values in shared memory.
#[pyclass(frozen, subclass, extends = MapCore, name = "Namespace", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct NamespaceCore;

/// A bare core of one of the classes, for a handle.
pub(crate) fn bare<T>(py: Python<'_>, handle: Handle, core: T) -> PyResult<Py<PyAny>>
where
    T: pyo3::PyClass<BaseType = MapCore>,
{
    let made = PyClassInitializer::from(MapCore::of(handle)).add_subclass(core);
    Ok(Py::new(py, made)?.into_any())
}

fn key_error(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}

fn none() -> Item<'static> {
    Item::Word(value::NONE)
}

/// The value of a key, decoded, if the key is there.
#[inline]
fn value_of(core: &MapCore, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let (py, me) = (key.py(), core.handle().try_slot()?);
    with_form(key, |form| match Dict::at(&me, core.handle().off()).read_optimistic(form) {
        OptimisticRead::Word(word) => encode::decode_word(py, word).map(Some),
        OptimisticRead::Absent => Ok(None),
        OptimisticRead::Unknown => {
            let fetched = core.with(py, &me, |dict| dict.get(form))?;
            fetched.map(|fetched| encode::decode(py, &me, fetched)).transpose()
        }
    })
}

#[inline]
fn set_value(core: &MapCore, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, me) = (key.py(), core.handle().try_slot()?);
    with_key(&me, key, core.handle().off(), |key| {
        if let Some(word) = encode::word(value) {
            return core.with(py, &me, |dict| dict.set(key, Item::Word(word)));
        }
        let value = core.encode_value(&me, value)?;
        let item = value.item()?;
        core.with(py, &me, |dict| dict.set(key, item))
    })
}

fn remove(core: &MapCore, key: &Bound<'_, PyAny>) -> PyResult<Option<Fetched>> {
    let me = core.handle().try_slot()?;
    with_form(key, |form| core.with(key.py(), &me, |dict| dict.remove(form)))
}

#[pymethods]
impl DictCore {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(MapCore::made::<Self>(cls, args, kwargs)?).add_subclass(Self))
    }

    fn __getitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if let Some(value) = value_of(slf.as_super().get(), key)? {
            return Ok(value);
        }
        match slf.get_type().getattr_opt(name!(key.py(), "__missing__"))? {
            Some(missing) => missing.call1((slf, key)).map(Bound::unbind),
            None => Err(key_error(key)),
        }
    }

    fn __setitem__(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        set_value(slf.as_super().get(), key, value)
    }

    fn __delitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        remove(slf.as_super().get(), key)?.map(drop).ok_or_else(|| key_error(key))
    }

    /// The key's value, or `default`.
    #[pyo3(signature = (key, default = None, /))]
    fn get(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let found = value_of(slf.as_super().get(), key)?;
        Ok(found.or(default).unwrap_or_else(|| key.py().None()))
    }

    /// The key's value, which is `default` now if it had none.
    #[pyo3(signature = (key, default = None, /))]
    fn setdefault(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (py, core) = (key.py(), slf.as_super().get());
        if let Some(there) = value_of(core, key)? {
            return Ok(there);
        }
        let me = core.handle().try_slot()?;
        let default = default.unwrap_or_else(|| py.None());
        let key = core.encode_key(&me, PyKey::of(key)?, key)?;
        let key = key.key()?;
        let value = core.encode_value(&me, default.bind(py))?;
        let item = value.item()?;
        match core.with(py, &me, |dict| dict.set_default(&key, item))? {
            Some(there) => encode::decode(py, &me, there),
            None => Ok(default),
        }
    }

    /// Takes a key out and returns its value, or `default`.
    #[pyo3(signature = (key, *default), text_signature = "($self, key, default=..., /)")]
    fn pop(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        default: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        if default.len() > 1 {
            let text = format!("pop expected at most 2 arguments, got {}", default.len() + 1);
            return Err(PyTypeError::new_err(text));
        }
        let core = slf.as_super().get();
        match remove(core, key)? {
            Some(taken) => encode::decode(key.py(), &core.handle().try_slot()?, taken),
            None => default.get_item(0).map(Bound::unbind).map_err(|_| key_error(key)),
        }
    }

    /// Takes out the pair whose key came last.
    fn popitem(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let (py, core) = (slf.py(), slf.as_super().get());
        let me = core.handle().try_slot()?;
        let taken = core.with(py, &me, |dict| dict.pop_last())?;
        let (key, value) =
            taken.ok_or_else(|| PyKeyError::new_err("popitem(): dictionary is empty"))?;
        Ok((encode::decode(py, &me, key)?, encode::decode(py, &me, value)?))
    }

    /// Adds `n` to the key's value, where a key that is not there counts as 0.
    #[pyo3(signature = (key, *n), text_signature = "($self, key, n=1, /)")]
    fn add(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        n: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        if n.len() > 1 {
            let text = format!("add expected at most 2 arguments, got {}", n.len() + 1);
            return Err(PyTypeError::new_err(text));
        }
        let (py, core) = (key.py(), slf.as_super().get());
        let n = n.get_item(0).ok();
        let word = n.as_ref().map_or(value::int_word(1), encode::word);
        if let Some(word) = word {
            let (me, n) = (core.handle().try_slot()?, value::small(word));
            if n != value::Small::None {
                let added = with_key(&me, key, core.handle().off(), |key| {
                    core.with(py, &me, |dict| dict.add(key, n))
                })?;
                match added {
                    Added::Now(sum) => {
                        return encode::decode_word(py, value::word_of(sum).unwrap_or(value::NONE));
                    }
                    Added::NotSmall => {}
                }
            }
        }
        let n = match n {
            Some(n) => n,
            None => 1_i32.into_pyobject(py)?.into_any(),
        };
        let zero = 0_i32.into_pyobject(py)?;
        change(core, key, Some(zero.as_any()), |value| value.add(&n))
    }

    /// Makes the key's value what `change` returns for it, at one instant.
    #[pyo3(signature = (key, change, *default), text_signature = "($self, key, change, default=..., /)")]
    fn update_value(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        change: &Bound<'_, PyAny>,
        default: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        if default.len() > 1 {
            let text =
                format!("update_value expected at most 3 arguments, got {}", default.len() + 2);
            return Err(PyTypeError::new_err(text));
        }
        let default = default.get_item(0).ok();
        self::change(slf.as_super().get(), key, default.as_ref(), |value| change.call1((value,)))
    }

    /// Makes all the pairs of a plain dict those keys' values, at one instant.
    #[pyo3(name = "_put_all")]
    fn put_all(slf: &Bound<'_, Self>, pairs: &Bound<'_, PyDict>) -> PyResult<()> {
        slf.as_super().get().put_all(slf.py(), pairs)
    }
}

/// Makes a key's value what `change` says of the one it has, or of `default`. If others change
/// the value meanwhile, again and again, they have to wait.
fn change<'py>(
    core: &MapCore,
    key: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
    change: impl Fn(Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (py, me) = (key.py(), core.handle().try_slot()?);
    let stored = core.encode_key(&me, PyKey::of(key)?, key)?;
    let stored = stored.key()?;
    let cell = Dict::at(&me, core.handle().off()).object_lock();
    let element = Element::Key(stored.canonical().clone().into_static());
    insisting(py, &me, cell, core.handle().off(), element, || {
        let read = core.with(py, &me, |dict| dict.get(stored.canonical()))?;
        let old = match (&read, default) {
            (Some(read), _) => encode::decode_ref(py, &me, read)?.into_bound(py),
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(key_error(key)),
        };
        let new = change(old)?;
        let value = core.encode_value(&me, &new)?;
        let item = value.item()?;
        let expected = Expected::of(read.as_ref());
        let done = core.with(py, &me, |dict| dict.replace_if(&stored, expected, Some(item)))?;
        Ok(done.then(|| new.unbind()))
    })
}

#[pymethods]
impl SetCore {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(MapCore::made::<Self>(cls, args, kwargs)?).add_subclass(Self))
    }

    /// Puts a member in.
    fn add(slf: &Bound<'_, Self>, member: &Bound<'_, PyAny>) -> PyResult<()> {
        let core = slf.as_super().get();
        let me = core.handle().try_slot()?;
        let form = PyKey::of(member)?;
        if let PyKey::Form(canonical) = &form {
            // Encoding it is much work, and for nothing if it is there.
            if core.with(member.py(), &me, |dict| dict.contains(canonical))? {
                return Ok(());
            }
        }
        let key = core.encode_key(&me, form, member)?;
        let key = key.key()?;
        core.with(member.py(), &me, |dict| dict.set_default(&key, none())).map(drop)
    }

    /// Whether there is such a member.
    fn __contains__(slf: &Bound<'_, Self>, member: &Bound<'_, PyAny>) -> PyResult<bool> {
        let core = slf.as_super().get();
        let me = core.handle().try_slot()?;
        let contains = |member: &Bound<'_, PyAny>| {
            with_form(member, |form| core.with(member.py(), &me, |set| set.contains(form)))
        };
        as_looked_up(member)?.map_or_else(|| contains(member), |frozen| contains(&frozen))
    }

    /// Takes a member out, if it is there.
    fn discard(slf: &Bound<'_, Self>, member: &Bound<'_, PyAny>) -> PyResult<()> {
        remove_member(slf, member).map(drop)
    }

    /// Takes a member out.
    fn remove(slf: &Bound<'_, Self>, member: &Bound<'_, PyAny>) -> PyResult<()> {
        remove_member(slf, member)?.map(drop).ok_or_else(|| key_error(member))
    }

    /// Takes out some member.
    fn pop(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let (py, core) = (slf.py(), slf.as_super().get());
        let me = core.handle().try_slot()?;
        let taken = core.with(py, &me, |dict| dict.pop_last())?;
        let (member, _) = taken.ok_or_else(|| PyKeyError::new_err("pop from an empty set"))?;
        encode::decode(py, &me, member)
    }
}

fn remove_member(slf: &Bound<'_, SetCore>, member: &Bound<'_, PyAny>) -> PyResult<Option<Fetched>> {
    let core = slf.as_super().get();
    as_looked_up(member)?.map_or_else(|| remove(core, member), |frozen| remove(core, &frozen))
}

/// What a plain set is looked up as, as in `set`: it has no hash, and is equal to a frozen one.
fn as_looked_up<'py>(member: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !member.is_instance_of::<PySet>() || member.hash().is_ok() {
        return Ok(None);
    }
    member.py().get_type::<PyFrozenSet>().call1((member,)).map(Some)
}

/// Whether a name is one of those that Python itself looks up.
fn is_special(name: &Bound<'_, PyString>) -> PyResult<bool> {
    let name = name.to_str()?;
    Ok(name.starts_with("__") && name.ends_with("__"))
}

#[pymethods]
impl NamespaceCore {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(MapCore::made::<Self>(cls, args, kwargs)?).add_subclass(Self))
    }

    fn __getattribute__(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>) -> PyResult<Py<PyAny>> {
        if !is_special(name)? {
            if let Some(value) = value_of(slf.as_super().get(), name.as_any())? {
                return Ok(value);
            }
        }
        // SAFETY: attached; live objects; a new reference, or null with an exception set.
        unsafe {
            let found = ffi::PyObject_GenericGetAttr(slf.as_ptr(), name.as_ptr());
            Ok(Bound::from_owned_ptr_or_err(slf.py(), found)?.unbind())
        }
    }

    fn __setattr__(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if is_special(name)? {
            let text = format!("a shared Namespace has no place for {:?}", name.to_str()?);
            return Err(PyAttributeError::new_err(text));
        }
        set_value(slf.as_super().get(), name.as_any(), value)
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>) -> PyResult<()> {
        remove(slf.as_super().get(), name.as_any())?
            .map(drop)
            .ok_or_else(|| PyAttributeError::new_err((name.clone().unbind(),)))
    }

    /// Makes all the pairs of a plain dict the names' values, at one instant.
    #[pyo3(name = "_put_all")]
    fn put_all(slf: &Bound<'_, Self>, pairs: &Bound<'_, PyDict>) -> PyResult<()> {
        slf.as_super().get().put_all(slf.py(), pairs)
    }
}
