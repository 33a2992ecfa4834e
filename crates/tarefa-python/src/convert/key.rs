//! Python objects as keys: what they are compared by, so that `Dict` finds what `dict` would.
//!
//! int, float, bool, None, str and bytes are the engine's own. A tuple, a frozenset, or what
//! `tarefa._hooks.reduce_key` takes apart is written by [`wire`], the same for all languages.

use std::borrow::Cow;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFrozenSet, PyInt, PyString, PyTuple};
use tarefa_engine::collections::dict::wire::Composite;
use tarefa_engine::collections::dict::{Canonical, Key, KeyError, wire};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::shm::{Member, Off};

use crate::convert::encode;
use crate::convert::encode::Encoded;
use crate::runtime::hooks;

/// A key's canonical form, and what it borrows from.
pub(crate) enum PyKey<'py> {
    /// One that a word stands for.
    Word(u64),
    /// UTF-8 that a Python string owns.
    Str(Bound<'py, PyString>),
    /// Bytes of a Python object.
    Bytes(Bound<'py, PyBytes>),
    /// An integer of any size.
    Int(Bound<'py, PyBytes>),
    /// Any other.
    Form(Canonical<'static>),
}

/// A key as it is stored.
pub(crate) struct Stored<'py> {
    key: PyKey<'py>,
    given: Option<Encoded<'py>>,
}

/// Where in a key something is, for messages.
#[derive(Clone, Copy)]
enum Place<'a> {
    Key,
    Index(&'a Place<'a>, usize),
    Member(&'a Place<'a>),
    Part(&'a Place<'a>, &'a str),
}

impl Place<'_> {
    fn text(&self) -> String {
        match self {
            Self::Key => "key".to_owned(),
            Self::Index(of, index) => format!("{}[{index}]", of.text()),
            Self::Member(of) => format!("a member of {}", of.text()),
            Self::Part(of, name) => format!("{}{name}", of.text()),
        }
    }
}

/// The error for something that cannot be a key; no reason means that it is unhashable.
fn refusal(object: &Bound<'_, PyAny>, place: Place<'_>, reason: Option<&str>) -> PyErr {
    let py = object.py();
    let made = hooks::KEY_REFUSAL.get(py).and_then(|f| f.call1((object, place.text(), reason)));
    made.map_or_else(|e| e, PyErr::from_value)
}

fn of_word<'a>(
    object: &Bound<'_, PyAny>,
    place: Place<'_>,
    form: Result<Canonical<'a>, KeyError>,
) -> PyResult<Canonical<'a>> {
    form.map_err(|e| refusal(object, place, Some(&e.to_string())))
}

impl<'py> PyKey<'py> {
    /// What a key is compared by.
    #[inline]
    pub(crate) fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = object.cast_exact::<PyString>() {
            if text.to_str().is_ok() {
                return Ok(Self::Str(text.clone()));
            }
        } else if let Some(word) = encode::word(object) {
            return match of_word(object, Place::Key, Canonical::of_word(word))? {
                Canonical::Word(word) => Ok(Self::Word(word)),
                bytes @ Canonical::Bytes(..) => Ok(Self::Form(bytes)),
            };
        } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            return Ok(Self::Bytes(bytes.clone()));
        } else if let Ok(int) = object.cast_exact::<PyInt>() {
            return Ok(Self::Int(encode::int_bytes(int)?));
        }
        Ok(Self::Form(canonical(object, Place::Key)?))
    }

    /// The same, lent.
    #[inline]
    pub(crate) fn canonical(&self) -> PyResult<Canonical<'_>> {
        Ok(match self {
            Self::Word(word) | Self::Form(Canonical::Word(word)) => Canonical::Word(*word),
            Self::Str(text) => Canonical::Bytes(tag::STR, Cow::Borrowed(text.to_str()?.as_bytes())),
            Self::Bytes(bytes) => Canonical::Bytes(tag::BYTES, Cow::Borrowed(bytes.as_bytes())),
            Self::Int(bytes) => Canonical::of_int(bytes.as_bytes()),
            Self::Form(Canonical::Bytes(how, bytes)) => {
                Canonical::Bytes(*how, Cow::Borrowed(bytes))
            }
        })
    }
}

/// Runs `act` with what a key is compared by.
#[inline]
pub(crate) fn with_form<T>(
    object: &Bound<'_, PyAny>,
    act: impl FnOnce(&Canonical<'_>) -> PyResult<T>,
) -> PyResult<T> {
    // What most keys are, by the shortest way.
    if let Ok(text) = object.cast_exact::<PyString>() {
        if let Ok(text) = text.to_str() {
            return act(&Canonical::Bytes(tag::STR, Cow::Borrowed(text.as_bytes())));
        }
    }
    act(&PyKey::of(object)?.canonical()?)
}

/// Runs `act` with a key that is to be put into the container at `into`.
#[inline]
pub(crate) fn with_key<T>(
    me: &Member,
    object: &Bound<'_, PyAny>,
    into: Off,
    act: impl FnOnce(&Key<'_>) -> PyResult<T>,
) -> PyResult<T> {
    // What most keys are, by the shortest way.
    if let Ok(text) = object.cast_exact::<PyString>() {
        if let Ok(text) = text.to_str() {
            let form = Canonical::Bytes(tag::STR, Cow::Borrowed(text.as_bytes()));
            return act(&Key::of_form(form));
        }
    } else if let Some(word) = encode::word(object) {
        let form = of_word(object, Place::Key, Canonical::of_word(word))?;
        return act(&Key::with_form(form, Item::Word(word)));
    }
    let stored = Stored::from(me, PyKey::of(object)?, object)?;
    if let Some(given) = &stored.given {
        encode::outside(given, into)?;
    }
    act(&stored.key()?)
}

impl<'py> Stored<'py> {
    /// A key, ready to be stored.
    pub(crate) fn from(me: &Member, key: PyKey<'py>, object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let given = match &key {
            // The word that was given may be another one: True, 1.0.
            PyKey::Word(_) | PyKey::Form(_) => Some(encode::encode(me, object)?),
            PyKey::Str(_) | PyKey::Bytes(_) | PyKey::Int(_) => None,
        };
        Ok(Self { key, given })
    }

    /// The same, lent to the engine.
    pub(crate) fn key(&self) -> PyResult<Key<'_>> {
        let canonical = self.key.canonical()?;
        Ok(match &self.given {
            Some(encoded) => Key::with_form(canonical, encoded.item()?),
            None => Key::of_form(canonical),
        })
    }

    /// What it is encoded as, if that is more than its canonical form.
    pub(crate) fn given(&self) -> Option<&Encoded<'py>> {
        self.given.as_ref()
    }
}

/// The canonical form of any key.
fn canonical(object: &Bound<'_, PyAny>, place: Place<'_>) -> PyResult<Canonical<'static>> {
    if let Some(word) = encode::word(object) {
        return of_word(object, place, Canonical::of_word(word));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        if let Ok(text) = text.to_str() {
            return Ok(bytes_of(tag::STR, text.as_bytes().to_vec()));
        }
        // UTF-8 has no form for a lone surrogate; this one is no other string's.
        let bytes = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
        return Ok(bytes_of(tag::STR, bytes.extract()?));
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return Ok(bytes_of(tag::BYTES, bytes.as_bytes().to_vec()));
    }
    if let Ok(int) = object.cast_exact::<PyInt>() {
        let bytes = encode::int_bytes(int)?;
        return Ok(Canonical::of_int(bytes.as_bytes()).into_static());
    }
    let _deeper = Deeper::enter(object.py())?;
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        let mut out = Composite::tuple();
        for (i, part) in tuple.iter().enumerate() {
            out.push(&canonical(&part, Place::Index(&place, i))?);
        }
        return Ok(out.finish());
    }
    if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
        let mut members = Vec::with_capacity(set.len());
        for member in set.iter() {
            members.push(canonical(&member, Place::Member(&place))?);
        }
        return Ok(wire::set(members));
    }
    reduced(object, place)
}

/// What the package says of a key: an equal one, its kind and parts, or why it is none.
fn reduced(object: &Bound<'_, PyAny>, place: Place<'_>) -> PyResult<Canonical<'static>> {
    let said = hooks::REDUCE_KEY.get(object.py())?.call1((object,))?;
    let Ok(parts) = said.cast_exact::<PyTuple>() else {
        let reason: Option<String> = said.extract()?;
        return Err(refusal(object, place, reason.as_deref()));
    };
    let (kind, payload) = (parts.get_item(0)?, parts.get_item(1)?);
    if kind.is_none() {
        return canonical(&payload, place);
    }
    let names: Option<Vec<String>> = parts.get_item(2).ok().map(|n| n.extract()).transpose()?;
    let mut out = Composite::reduced(&canonical(&kind, place)?);
    for (i, part) in payload.cast::<PyTuple>()?.iter().enumerate() {
        let name = names.as_ref().and_then(|names| names.get(i)).map_or("", String::as_str);
        out.push(&canonical(&part, Place::Part(&place, name))?);
    }
    Ok(out.finish())
}

fn bytes_of(how: u8, bytes: Vec<u8>) -> Canonical<'static> {
    Canonical::Bytes(how, Cow::Owned(bytes))
}

/// One level of Python's limit on recursion.
struct Deeper;

impl Deeper {
    fn enter(py: Python<'_>) -> PyResult<Self> {
        // SAFETY: attached; the text is static and ends with a zero.
        if unsafe { ffi::Py_EnterRecursiveCall(c" in a key".as_ptr()) } != 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(Self)
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        // SAFETY: attached, since `enter` was and its caller still is.
        unsafe { ffi::Py_LeaveRecursiveCall() };
    }
}
