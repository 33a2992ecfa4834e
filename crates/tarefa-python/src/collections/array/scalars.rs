//! Scalars as Python objects, and the other way round; what does not fit is refused.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyComplex, PyString};
use tarefa_engine::collections::array::pep3118::Scalar;

use super::memory::ArrayMemory;

/// An item's bits; the second word is the imaginary part of a `Complex64`, else 0.
pub(super) type Bits = [u64; 2];

/// The type of an item, and where its typecode is for messages.
#[derive(Clone, Copy)]
pub(super) struct Type<'a> {
    pub(super) scalar: Scalar,
    pub(super) memory: &'a ArrayMemory,
}

/// An `int` of 64 bits; `None` for what is none, or larger.
#[inline]
pub(super) fn exact_int(object: &Bound<'_, PyAny>) -> Option<i64> {
    // SAFETY: attached; a live object, which is an int where that matters.
    unsafe {
        if ffi::PyLong_CheckExact(object.as_ptr()) == 0 {
            return None;
        }
        let mut overflow = 0;
        let n = ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow);
        (overflow == 0).then_some(n)
    }
}

/// `object` as a whole number of 64 bits; `None` for a larger one.
#[inline]
fn small_int(object: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    // SAFETY: attached; a live object.
    if unsafe { ffi::PyLong_CheckExact(object.as_ptr()) } != 0 {
        return Ok(exact_int(object));
    }
    // SAFETY: a new reference, or null with an exception set.
    let int =
        unsafe { Bound::from_owned_ptr_or_err(object.py(), ffi::PyNumber_Index(object.as_ptr()))? };
    let mut overflow = 0;
    // SAFETY: an int.
    let n = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &raw mut overflow) };
    Ok((overflow == 0).then_some(n))
}

impl Type<'_> {
    /// `object` as a whole number.
    ///
    /// # Errors
    /// `TypeError` if it is none; `Ok(None)` if no 128 bits hold it.
    #[inline]
    pub(super) fn int(self, object: &Bound<'_, PyAny>) -> PyResult<Option<i128>> {
        match small_int(object) {
            Ok(Some(n)) => Ok(Some(n.into())),
            Ok(None) => Ok(object.extract::<i128>().ok()),
            Err(e) if e.is_instance_of::<PyTypeError>(object.py()) => {
                Err(self.wrong(object, "a whole number"))
            }
            Err(e) => Err(e),
        }
    }

    #[cold]
    fn wrong(self, object: &Bound<'_, PyAny>, wanted: &str) -> PyErr {
        let found = object.get_type().name().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        let code = self.memory.code();
        PyTypeError::new_err(format!("an item of type {code:?} is {wanted}, not {found}"))
    }

    /// `OverflowError`, with the type and its range.
    #[cold]
    pub(super) fn out_of_range(self, object: &Bound<'_, PyAny>) -> PyErr {
        let shown = shown(object);
        PyOverflowError::new_err(format!("{shown} is out of range for {}", self.range()))
    }

    /// `type 'b' (a signed integer of 1 byte: -128 to 127)`.
    pub(super) fn range(self) -> String {
        let (code, name) = (self.memory.code(), self.scalar.name());
        match (self.scalar.range(), self.scalar) {
            (Some((least, greatest)), _) => {
                format!("type {code:?} ({name}: {least} to {greatest})")
            }
            (None, Scalar::F32 | Scalar::Complex32) => {
                format!("type {code:?} ({name}: up to {:e})", f32::MAX)
            }
            _ => format!("type {code:?} ({name})"),
        }
    }

    /// The bits of `object`.
    #[inline]
    pub(super) fn encode(self, object: &Bound<'_, PyAny>) -> PyResult<Bits> {
        if let Some((least, greatest)) = self.scalar.range() {
            return match self.int(object)? {
                Some(n) if (least..=greatest).contains(&n) => Ok([n as u64, 0]),
                _ => Err(self.out_of_range(object)),
            };
        }
        let one = match self.scalar {
            Scalar::F64 => self.float(object)?.to_bits(),
            Scalar::F32 => self.narrow(self.float(object)?, object)?,
            Scalar::Bool => object.is_truthy()?.into(),
            Scalar::Char => self.byte(object)?.into(),
            Scalar::Wide => self.character(object)?.into(),
            Scalar::Complex32 => {
                let z = self.complex(object)?;
                self.narrow(z.real(), object)? | self.narrow(z.imag(), object)? << 32
            }
            _ => {
                let z = self.complex(object)?;
                return Ok([z.real().to_bits(), z.imag().to_bits()]);
            }
        };
        Ok([one, 0])
    }

    #[inline]
    pub(super) fn float(self, object: &Bound<'_, PyAny>) -> PyResult<f64> {
        // SAFETY: attached; a live object; the exception, if any, is fetched just below.
        let x = unsafe { ffi::PyFloat_AsDouble(object.as_ptr()) };
        #[allow(clippy::float_cmp)]
        if x == -1.0 {
            if let Some(e) = PyErr::take(object.py()) {
                let wrong = e.is_instance_of::<PyTypeError>(object.py());
                return Err(if wrong { self.wrong(object, "a number") } else { e });
            }
        }
        Ok(x)
    }

    /// The bits of `x` as an `f32`.
    pub(super) fn narrow(self, x: f64, object: &Bound<'_, PyAny>) -> PyResult<u64> {
        let narrow = x as f32;
        if narrow.is_infinite() && x.is_finite() {
            return Err(self.out_of_range(object));
        }
        Ok(narrow.to_bits().into())
    }

    fn byte(self, object: &Bound<'_, PyAny>) -> PyResult<u8> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            if let [byte] = bytes.as_bytes() {
                return Ok(*byte);
            }
        } else if let Ok(bytes) = object.cast::<PyByteArray>() {
            if let [byte] = bytes.to_vec()[..] {
                return Ok(byte);
            }
        } else if let Ok(byte) = object.extract::<u8>() {
            return Ok(byte);
        }
        Err(self.wrong(object, "one byte: bytes or bytearray of length 1, or a number to 255"))
    }

    fn character(self, object: &Bound<'_, PyAny>) -> PyResult<u32> {
        if let Ok(text) = object.cast::<PyString>() {
            if text.len()? == 1 {
                // SAFETY: a string of one character.
                return Ok(unsafe { ffi::PyUnicode_ReadChar(text.as_ptr(), 0) });
            }
        }
        Err(self.wrong(object, "one character: str of length 1"))
    }

    fn complex<'py>(self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyComplex>> {
        if let Ok(z) = object.cast::<PyComplex>() {
            return Ok(z.clone());
        }
        if object.is_instance_of::<PyString>() {
            return Err(self.wrong(object, "a number"));
        }
        let class = object.py().get_type::<PyComplex>();
        let made = class.call1((object,)).map_err(|e| {
            if e.is_instance_of::<PyTypeError>(object.py()) {
                self.wrong(object, "a number")
            } else {
                e
            }
        })?;
        Ok(made.cast_into()?)
    }

    /// The object that `bits` stand for.
    #[inline]
    pub(super) fn decode(self, py: Python<'_>, bits: Bits) -> PyResult<Py<PyAny>> {
        let one = bits[0];
        let wide = |bits: u64| f64::from(f32::from_bits(bits as u32));
        // SAFETY: attached; each constructor gives a new reference, or null with an exception set.
        unsafe {
            let ptr = match self.scalar {
                Scalar::I8 => ffi::PyLong_FromLong((one as i8).into()),
                Scalar::I16 => ffi::PyLong_FromLong((one as i16).into()),
                Scalar::I32 => ffi::PyLong_FromLong((one as i32).into()),
                Scalar::I64 => ffi::PyLong_FromLongLong(one as i64),
                Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 => {
                    ffi::PyLong_FromUnsignedLongLong(one)
                }
                Scalar::F64 => ffi::PyFloat_FromDouble(f64::from_bits(one)),
                Scalar::F32 => ffi::PyFloat_FromDouble(wide(one)),
                Scalar::Bool => ffi::PyBool_FromLong((one != 0).into()),
                Scalar::Char => ffi::PyBytes_FromStringAndSize([one as u8].as_ptr().cast(), 1),
                // No character has that number: -1 is one that Python refuses, with a message.
                Scalar::Wide => ffi::PyUnicode_FromOrdinal(i32::try_from(one).unwrap_or(-1)),
                Scalar::Complex32 => ffi::PyComplex_FromDoubles(wide(one), wide(one >> 32)),
                Scalar::Complex64 => {
                    ffi::PyComplex_FromDoubles(f64::from_bits(one), f64::from_bits(bits[1]))
                }
            };
            Ok(Bound::from_owned_ptr_or_err(py, ptr)?.unbind())
        }
    }
}

/// A number as a message shows it: not all of a million digits.
pub(super) fn shown(object: &Bound<'_, PyAny>) -> String {
    let bits = object.call_method0("bit_length").and_then(|n| n.extract::<u64>());
    if let Ok(bits @ 1000..) = bits {
        return format!("a number of {bits} bits");
    }
    object.repr().map_or_else(|_| "it".to_owned(), |text| text.to_string())
}
