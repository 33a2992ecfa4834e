//! Python objects as words and blobs.
//!
//! int, float, bool, None, str and bytes have forms of the engine's own, which Rust reads too;
//! everything else is pickled by the package.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyFloat, PyInt, PyList, PyString};
use tarefa_engine::channel::Source;
use tarefa_engine::collections::dict::key;
use tarefa_engine::collections::value::{self, Fetched, Item, Small, tag};
use tarefa_engine::shm::object;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off};

use crate::convert::block;
use crate::convert::bytes::bytes_of;
use crate::convert::collector;
use crate::convert::collector::References;
use crate::convert::ndarray::{self, View};
use crate::convert::of_script;
use crate::convert::out_of_band;
use crate::convert::out_of_band::{Check, InBand, OutOfBand};
use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::hooks;
use crate::runtime::member;
use crate::runtime::registry;

/// The tag of pickled bytes.
pub(crate) const PICKLE: u8 = tag::FRONT;
/// The tag of a pickle with its buffers beside it.
pub(crate) const APART: u8 = tag::FRONT + 2;
/// The tag of a NumPy array that lies in the arena.
const VIEW: u8 = tag::FRONT + 4;
/// The tag of a `bytearray`.
const BYTEARRAY: u8 = tag::FRONT + 3;

/// An encoded object, ready for the engine.
pub(crate) enum Encoded<'py> {
    /// A word.
    Word(u64),
    /// Bytes of a Python object, and how to read them.
    Bytes(u8, Bound<'py, PyBytes>),
    /// UTF-8 that a Python string owns.
    Str(Bound<'py, PyString>),
    /// Bytes of our own, and objects mentioned.
    Owned(u8, Vec<u8>, Vec<Off>),
    /// One object; its handle keeps it until the blob does.
    Object(Vec<u8>, Vec<Off>, #[expect(dead_code, reason = "kept")] Handle),
    /// Pickled, and objects mentioned.
    Pickled(Bound<'py, PyBytes>, References),
    /// The same with large buffers beside the pickle.
    OutOfBand(OutOfBand<'py>, References),
    /// A pickle behind the key that a queue orders it by, and objects mentioned.
    Keyed(Vec<u8>, References),
    /// An array that lies in the arena.
    View(View),
    /// A `bytearray`, which keeps its size meanwhile.
    ByteArray(InBand),
}

impl Encoded<'_> {
    pub(crate) fn item(&self) -> PyResult<Item<'_>> {
        Ok(match self {
            Self::Word(word) => Item::Word(*word),
            Self::Bytes(tag, bytes) => Item::Blob(*tag, bytes.as_bytes(), &[]),
            Self::Str(text) => Item::Blob(tag::STR, text.to_str()?.as_bytes(), &[]),
            Self::Object(bytes, refs, _) => Item::Blob(tag::OBJECT, bytes, refs),
            Self::Owned(tag, bytes, refs) => Item::Blob(*tag, bytes, refs),
            Self::Pickled(bytes, refs) => Item::Blob(PICKLE, bytes.as_bytes(), refs),
            Self::Keyed(bytes, refs) => Item::Blob(tag::KEYED, bytes, refs),
            Self::OutOfBand(apart, refs) => Item::Parts(APART, apart.parts(), refs),
            Self::View(view) => Item::Blob(VIEW, &view.bytes, &view.block),
            Self::ByteArray(whole) => Item::Blob(BYTEARRAY, whole.bytes(), &[]),
        })
    }
}

impl Encoded<'_> {
    /// The objects it mentions.
    pub(crate) fn objects(&self) -> &[Off] {
        match self {
            Self::Object(_, refs, _) | Self::Owned(_, _, refs) => refs,
            Self::View(view) => &view.block,
            Self::Pickled(_, refs) | Self::Keyed(_, refs) | Self::OutOfBand(_, refs) => refs,
            Self::Word(_) | Self::Bytes(..) | Self::Str(_) | Self::ByteArray(_) => &[],
        }
    }

    /// Bytes of what it mentions that count with its own for a queue's bound.
    pub(crate) fn beside(&self) -> u64 {
        match self {
            Self::Pickled(_, refs) | Self::Keyed(_, refs) | Self::OutOfBand(_, refs) => refs.beside,
            Self::View(view) => view.beside,
            _ => 0,
        }
    }
}

impl Source for Encoded<'_> {
    fn stored(&self) {
        if let Self::OutOfBand(_, refs) = self {
            refs.let_go();
        }
    }
}

impl std::fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoded").field("objects", &self.objects()).finish_non_exhaustive()
    }
}

/// Encodes an object that goes into the container at `into`, which it may not mention.
#[inline]
pub(crate) fn encode_into<'py>(
    me: &Member,
    object: &Bound<'py, PyAny>,
    into: Off,
) -> PyResult<Encoded<'py>> {
    let encoded = encode(me, object)?;
    outside(&encoded, into)?;
    Ok(encoded)
}

/// Refuses what mentions the container at `into`: it would never be freed.
pub(crate) fn outside(encoded: &Encoded<'_>, into: Off) -> PyResult<()> {
    if encoded.objects().contains(&into) {
        return Err(pyo3::exceptions::PyValueError::new_err(
            "a container cannot be put into itself, nor anything that mentions it: shared \
             objects are counted, so it would never be freed; store a name or an index instead",
        ));
    }
    Ok(())
}

/// The word for `object`, if it needs no blob.
#[inline]
pub(crate) fn word(object: &Bound<'_, PyAny>) -> Option<u64> {
    let ptr = object.as_ptr();
    // SAFETY: `ptr` is a live object of the attached interpreter; the checks below are by exact
    // type, and the conversions are of that type.
    unsafe {
        if ffi::PyLong_CheckExact(ptr) != 0 {
            let mut overflow = 0;
            let n = ffi::PyLong_AsLongLongAndOverflow(ptr, &raw mut overflow);
            return if overflow == 0 { value::int_word(n) } else { None };
        }
        if ffi::PyFloat_CheckExact(ptr) != 0 {
            return value::float_word(ffi::PyFloat_AsDouble(ptr));
        }
        if ffi::PyBool_Check(ptr) != 0 {
            return Some(value::bool_word(ptr == ffi::Py_True()));
        }
        (ptr == ffi::Py_None()).then_some(value::NONE)
    }
}

/// Encodes any object.
pub(crate) fn encode<'py>(me: &Member, object: &Bound<'py, PyAny>) -> PyResult<Encoded<'py>> {
    encode_for(me, object, None)
}

/// Encodes a message, whose large buffers lie in blocks of their own.
pub(crate) fn message<'py>(
    me: &Member,
    object: &Bound<'py, PyAny>,
    check: Check<'_>,
) -> PyResult<Encoded<'py>> {
    encode_for(me, object, Some(check))
}

fn encode_for<'py>(
    me: &Member,
    object: &Bound<'py, PyAny>,
    message: Option<Check<'_>>,
) -> PyResult<Encoded<'py>> {
    if let Some(word) = word(object) {
        return Ok(Encoded::Word(word));
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return Ok(Encoded::Bytes(tag::BYTES, bytes.clone()));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        // A lone surrogate is not UTF-8: such a string is pickled.
        if text.to_str().is_ok() {
            return Ok(Encoded::Str(text.clone()));
        }
    }
    if let Ok(int) = object.cast_exact::<PyInt>() {
        return encode_int(int);
    }
    if let Ok(float) = object.cast_exact::<PyFloat>() {
        let bits = float.value().to_bits();
        return Ok(Encoded::Owned(tag::FLOAT, bits.to_le_bytes().to_vec(), Vec::new()));
    }
    if let Some(view) = ndarray::encode(me, object) {
        return Ok(Encoded::View(view));
    }
    if let Some(handle) = registry::of_object(object) {
        if std::ptr::eq(handle.runtime(), me.runtime()) {
            let mut bytes = handle.kind().to_le_bytes().to_vec();
            bytes.extend(handle.id().to_le_bytes());
            let refs = vec![handle.off()];
            return Ok(Encoded::Object(bytes, refs, handle));
        }
    }
    if object.is_exact_instance_of::<PyByteArray>() {
        return Ok(Encoded::ByteArray(InBand::new(object)?));
    }
    let runtime = me.runtime().id();
    let Some(check) = message else { return pickled_by(|| pickle(object), object.py(), runtime) };
    let (bytes, mut refs, buffers) = collector::collecting_all(|| pickle(object), runtime)?;
    if buffers.is_empty() {
        return Ok(Encoded::Pickled(bytes, refs));
    }
    let mut met = out_of_band::met(object.py(), &buffers, &mut refs, runtime)?;
    out_of_band::move_to_blocks(object.py(), me, &bytes, &mut met, &mut refs, check)?;
    Ok(Encoded::OutOfBand(OutOfBand::new(bytes, met), refs))
}

/// The pickle of what has no encoding of ours.
fn pickle<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Some(bytes) = of_script::message(object)? {
        return Ok(bytes);
    }
    let dumps = hooks::DUMPS_OUT_OF_BAND.get(object.py())?;
    Ok(dumps.call1((object,))?.cast_into()?)
}

/// What `dumps` makes of `object`, with the buffers that it keeps apart.
pub(crate) fn pickled<'py>(
    dumps: &Bound<'py, PyAny>,
    object: &Bound<'py, PyAny>,
    runtime: u64,
) -> PyResult<Encoded<'py>> {
    pickled_by(|| Ok(dumps.call1((object,))?.cast_into()?), object.py(), runtime)
}

fn pickled_by<'py>(
    dumps: impl FnOnce() -> PyResult<Bound<'py, PyBytes>>,
    py: Python<'py>,
    runtime: u64,
) -> PyResult<Encoded<'py>> {
    let (bytes, mut refs, buffers) = collector::collecting_all(dumps, runtime)?;
    if buffers.is_empty() {
        return Ok(Encoded::Pickled(bytes, refs));
    }
    let met = out_of_band::met(py, &buffers, &mut refs, runtime)?;
    Ok(Encoded::OutOfBand(OutOfBand::new(bytes, met), refs))
}

fn encode_int<'py>(int: &Bound<'py, PyInt>) -> PyResult<Encoded<'py>> {
    Ok(Encoded::Bytes(tag::INT, int_bytes(int)?))
}

/// An integer as little-endian two's complement.
pub(crate) fn int_bytes<'py>(int: &Bound<'py, PyInt>) -> PyResult<Bound<'py, PyBytes>> {
    let bits: usize = int.call_method0("bit_length")?.extract()?;
    let kwargs = pyo3::types::PyDict::new(int.py());
    kwargs.set_item("signed", true)?;
    let bytes = int.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&kwargs))?;
    Ok(bytes.cast_into()?)
}

/// The object that a word without a blob stands for.
#[inline]
pub(crate) fn decode_word(py: Python<'_>, word: u64) -> PyResult<Py<PyAny>> {
    // SAFETY: attached; each constructor gives a new reference or null with an exception set.
    unsafe {
        let ptr = match value::small(word) {
            Small::Int(n) => ffi::PyLong_FromLongLong(n),
            Small::Float(x) => ffi::PyFloat_FromDouble(x),
            Small::Bool(b) => ffi::PyBool_FromLong(b.into()),
            Small::None => ffi::Py_NewRef(ffi::Py_None()),
        };
        Ok(Bound::from_owned_ptr_or_err(py, ptr)?.unbind())
    }
}

/// Decodes what was read from a container.
pub(crate) fn decode(py: Python<'_>, me: &Member, mut fetched: Fetched) -> PyResult<Py<PyAny>> {
    if let Fetched::Blob(copied) = &mut fetched {
        if copied.tag == APART {
            let bytes = std::mem::take(&mut copied.bytes);
            return block::arriving(false, || load(py, out_of_band::taken_over(py, bytes)?));
        }
    }
    decode_ref(py, me, &fetched)
}

/// The same, lent.
pub(crate) fn decode_ref(py: Python<'_>, me: &Member, fetched: &Fetched) -> PyResult<Py<PyAny>> {
    match fetched {
        Fetched::Word(word) => decode_word(py, *word),
        Fetched::Blob(copied) => match copied.tag {
            tag::KEY => match key::given(copied) {
                (tag::OBJECT, _) => decode_object(py, me, copied.object()),
                (tag, bytes) => decode_bytes(py, tag, bytes),
            },
            tag::OBJECT => decode_object(py, me, copied.object()),
            tag => decode_bytes(py, tag, &copied.bytes),
        },
    }
}

/// A handle of the object that a blob stands for and keeps alive.
pub(crate) fn decode_object(
    py: Python<'_>,
    me: &Member,
    object: Option<Off>,
) -> PyResult<Py<PyAny>> {
    let Some(off) = object else {
        return Err(errors::new(py, "HandleGone", "the object is gone".to_owned()));
    };
    let h = object::header(me, off);
    let id = h.id.load(tarefa_engine::atomic::Ordering::Relaxed);
    let kind = h.kind.load(tarefa_engine::atomic::Ordering::Relaxed);
    registry::wrap(py, handle::acquire(py, me, off, id)?, kind)
}

fn load<'py>(
    py: Python<'py>,
    (pickle, buffers): (Bound<'py, PyBytes>, Bound<'py, PyList>),
) -> PyResult<Py<PyAny>> {
    let kwargs = pyo3::types::PyDict::new(py);
    kwargs.set_item("buffers", buffers)?;
    Ok(hooks::LOADS.get(py)?.call((pickle,), Some(&kwargs))?.unbind())
}

/// Decodes bytes by tag alone. What they mention is held meanwhile.
pub(crate) fn decode_bytes(py: Python<'_>, how: u8, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    decode_last(py, how, bytes, false)
}

/// The same; `last` if nothing but the caller has the bytes, which are freed then.
pub(crate) fn decode_last(
    py: Python<'_>,
    how: u8,
    bytes: &[u8],
    last: bool,
) -> PyResult<Py<PyAny>> {
    match how {
        tag::STR => {
            // SAFETY: attached; the length fits, since a slice's does.
            let ptr = unsafe {
                ffi::PyUnicode_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as isize)
            };
            // SAFETY: a new reference, or null with an exception set.
            Ok(unsafe { Bound::from_owned_ptr_or_err(py, ptr)? }.unbind())
        }
        tag::BYTES => Ok(bytes_of(py, bytes)?.into_any().unbind()),
        tag::INT => {
            let kwargs = pyo3::types::PyDict::new(py);
            kwargs.set_item("signed", true)?;
            let class = py.get_type::<PyInt>();
            let args = (bytes_of(py, bytes)?, "little");
            Ok(class.call_method("from_bytes", args, Some(&kwargs))?.unbind())
        }
        tag::FLOAT => {
            let bits = bytes.try_into().map_or(0, u64::from_le_bytes);
            Ok(PyFloat::new(py, f64::from_bits(bits)).into_any().unbind())
        }
        PICKLE => {
            let loads = hooks::LOADS.get(py)?;
            let bytes = bytes_of(py, bytes)?;
            block::arriving(last, || Ok(loads.call1((bytes,))?.unbind()))
        }
        APART => block::arriving(last, || load(py, out_of_band::taken(py, bytes)?)),
        VIEW => block::arriving(last, || ndarray::decode(py, &member::here(py)?, bytes)),
        BYTEARRAY => out_of_band::whole(py, bytes),
        _ => Err(errors::new(
            py,
            "NotReadable",
            "the element was written by another language in a form that Python does not read; \
             there, use numbers, strings, bytes or handles"
                .to_owned(),
        )),
    }
}
