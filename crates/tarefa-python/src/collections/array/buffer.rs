//! Memory as a buffer of Python's (PEP 3118).

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr;

use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use tarefa_engine::collections::array::pep3118;
use tarefa_engine::collections::array::pep3118::Scalar;

/// What a buffer says of its items. Lives as long as the object that lends.
#[derive(Debug)]
pub(super) struct Shape {
    format: CString,
    item: isize,
    len: isize,
    extents: Vec<isize>,
    strides: Vec<isize>,
}

impl Shape {
    /// Of items of `item` bytes along `extents`. An item that is itself an array of others,
    /// `(2,3)i`, makes more dimensions, as in ctypes and NumPy.
    pub(super) fn new(format: &str, item: usize, extents: &[usize]) -> PyResult<Self> {
        let mut extents: Vec<isize> = extents.iter().map(|n| *n as isize).collect();
        let (mut format, mut item) = (format, item as isize);
        let len = extents.iter().product::<isize>() * item;
        if let Some((inner, rest)) = format.strip_prefix('(').and_then(|f| f.split_once(')')) {
            for n in inner.split(',') {
                let n: isize = n
                    .parse()
                    .map_err(|_| PyValueError::new_err(format!("a broken format: {format:?}")))?;
                extents.push(n);
                item = item.checked_div(n).unwrap_or(0);
            }
            format = rest;
        }
        let mut strides = vec![item; extents.len()];
        for i in (1..extents.len()).rev() {
            strides[i - 1] = strides[i] * extents[i];
        }
        let format = CString::new(format)
            .map_err(|_| PyValueError::new_err("a format cannot hold a zero byte"))?;
        Ok(Self { format, item, len, extents, strides })
    }

    pub(super) fn extents(&self) -> &[isize] {
        &self.extents
    }

    /// Fills in `view`, with the memory at `address`.
    ///
    /// # Safety
    /// `view` is a buffer that `owner`, which keeps `self` and the memory alive, was asked to fill.
    pub(super) unsafe fn fill(
        &self,
        owner: &Bound<'_, PyAny>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
        address: *mut u8,
    ) -> PyResult<()> {
        let wants = |flag: c_int| flags & flag == flag;
        // SAFETY: the caller's.
        let Some(to) = (unsafe { view.as_mut() }) else {
            return Err(PyBufferError::new_err("no buffer to fill in"));
        };
        to.obj = ptr::null_mut();
        if wants(ffi::PyBUF_F_CONTIGUOUS)
            && !wants(ffi::PyBUF_ANY_CONTIGUOUS)
            && self.extents.len() > 1
        {
            return Err(PyBufferError::new_err("the items are in the order of C, not of Fortran"));
        }
        let formatted = wants(ffi::PyBUF_FORMAT);
        let shaped = wants(ffi::PyBUF_ND);
        to.buf = address.cast::<c_void>();
        to.len = self.len;
        to.readonly = 0;
        to.itemsize = self.item;
        to.format = if formatted { self.format.as_ptr().cast_mut() } else { ptr::null_mut() };
        to.ndim = if shaped { self.extents.len() as c_int } else { 1 };
        to.shape = if shaped { of(&self.extents) } else { ptr::null_mut() };
        to.strides = if wants(ffi::PyBUF_STRIDES) { of(&self.strides) } else { ptr::null_mut() };
        to.suboffsets = ptr::null_mut();
        to.internal = ptr::null_mut();
        to.obj = owner.clone().into_ptr();
        Ok(())
    }
}

fn of(numbers: &[isize]) -> *mut isize {
    if numbers.is_empty() { ptr::null_mut() } else { numbers.as_ptr().cast_mut() }
}

/// A buffer that another object lends, of items of a known type, one after the other.
pub(super) struct Borrowed(Box<ffi::Py_buffer>);

impl Borrowed {
    /// What `object` lends, if its items are `scalar`s along `extents`.
    pub(super) fn of(object: &Bound<'_, PyAny>, scalar: Scalar, extents: &[isize]) -> Option<Self> {
        // SAFETY: attached; a live object.
        if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } == 0 {
            return None;
        }
        let mut view = Box::new(ffi::Py_buffer::new());
        let flags = ffi::PyBUF_C_CONTIGUOUS | ffi::PyBUF_FORMAT;
        // SAFETY: as above; `view` is there to be filled in, and released when it is dropped.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *view, flags) } != 0 {
            drop(PyErr::take(object.py()));
            return None;
        }
        let lent = Self(view);
        let same = lent.extents() == extents && lent.scalar() == Some(scalar);
        same.then_some(lent)
    }

    fn scalar(&self) -> Option<Scalar> {
        if self.0.format.is_null() {
            return None;
        }
        // SAFETY: the lender's text, which lives as long as the buffer is lent.
        let format = unsafe { CStr::from_ptr(self.0.format) };
        let (found, size) = pep3118::layout(format.to_bytes())?;
        let [(0, scalar)] = found[..] else { return None };
        (size == scalar.size() && self.0.itemsize as u64 == size).then_some(scalar)
    }

    fn extents(&self) -> &[isize] {
        if self.0.shape.is_null() {
            return &[];
        }
        // SAFETY: so many numbers, which live as long as the buffer is lent.
        unsafe { std::slice::from_raw_parts(self.0.shape, self.0.ndim as usize) }
    }

    /// The items.
    pub(super) fn bytes(&self) -> &[u8] {
        if self.0.buf.is_null() || self.0.len <= 0 {
            return &[];
        }
        // SAFETY: contiguous, as was asked for, and alive while it is lent. The bytes are copied
        // from: what another thread writes meanwhile, as it may without the interpreter's lock, is
        // copied or not, as in every copy of a buffer there.
        unsafe { std::slice::from_raw_parts(self.0.buf.cast(), self.0.len as usize) }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // SAFETY: filled in by `of`; attached, as whoever holds a reference to the lender.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.0) };
    }
}
