//! What an encoding meets on its way: the objects that its bytes will mention, and the buffers that
//! lie beside them.
//!
//! A handle is pickled as a call of `attach` with its address. While the front encodes something
//! itself it collects the handles it meets ([`collecting`]), so that the bytes keep their objects
//! alive; a handle pickled by anyone else must be kept by its sender until the receiver has it.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use tarefa_engine::shm::Off;
use tarefa_engine::shm::object::handle::Handle;

use crate::runtime::handle;
use crate::runtime::{hooks, registry};

/// What an encoding that is going on has met so far.
#[derive(Default)]
struct ReferenceCollector {
    /// Objects, held: what mentions them may be gone when the pickle is made.
    objects: Vec<Handle>,
    /// Memory views of buffers that lie beside the pickle.
    buffers: Vec<Py<PyAny>>,
    /// Bytes of blocks that count with the value.
    beside: u64,
}

thread_local! {
    /// Of the encodings that are going on in this thread, innermost last.
    static COLLECTORS: RefCell<Vec<ReferenceCollector>> = const { RefCell::new(Vec::new()) };
}

/// For the `__reduce__` of an object: (function, arguments). Notes the object for a running
/// [`collecting`].
pub(crate) fn reduce<'py>(
    py: Python<'py>,
    handle: &Handle,
) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
    COLLECTORS.with(|m| {
        if let Some(met) = m.borrow_mut().last_mut() {
            met.objects.push(handle.clone());
        }
    });
    handle::will_travel(py, handle)?;
    let a = handle.runtime().address();
    let args = (a.root, a.memory_fd, a.id, handle.off().0, handle.id(), handle.kind());
    Ok((hooks::ATTACH.get(py)?.clone().unbind(), args.into_pyobject(py)?))
}

/// Notes a buffer for the encoding that is going on; false if there is none.
pub(crate) fn note_buffer(buffer: Bound<'_, PyAny>) -> bool {
    COLLECTORS.with(|m| match m.borrow_mut().last_mut() {
        Some(met) => {
            met.buffers.push(buffer.unbind());
            true
        }
        None => false,
    })
}

/// Counts bytes of a block that the encoding that is going on shows.
pub(crate) fn note_beside(bytes: u64) {
    COLLECTORS.with(|m| {
        if let Some(met) = m.borrow_mut().last_mut() {
            met.beside += bytes;
        }
    });
}

/// The objects that an encoding mentions, each once, and held until this is dropped.
#[derive(Default)]
pub(crate) struct References {
    places: Vec<Off>,
    held: Vec<Handle>,
    /// Of blocks that were made for a message, which is to be the only one that has them.
    made: RefCell<Vec<Handle>>,
    /// Bytes that lie in blocks and count with the value.
    pub(crate) beside: u64,
}

impl References {
    /// Those of `met` that are of that runtime: others are kept by their own holders only.
    fn of(met: Vec<Handle>, runtime: u64, beside: u64) -> Self {
        let ours = met.iter().filter(|h| h.runtime().id() == runtime);
        let mut places: Vec<Off> = ours.map(|h| h.off()).collect();
        places.sort_unstable();
        places.dedup();
        Self { places, held: met, made: RefCell::default(), beside }
    }

    /// Adds one.
    pub(crate) fn add(&mut self, object: Handle) {
        if let Err(at) = self.places.binary_search(&object.off()) {
            self.places.insert(at, object.off());
        }
        self.held.push(object);
    }

    /// Adds one that nothing else refers to: [`let_go`](Self::let_go) gives it over to the message.
    pub(crate) fn add_new(&mut self, object: Handle) {
        if let Err(at) = self.places.binary_search(&object.off()) {
            self.places.insert(at, object.off());
        }
        self.made.get_mut().push(object);
    }

    /// The message has its own references now.
    pub(crate) fn let_go(&self) {
        drop(self.made.take());
    }

    /// Leaves one out.
    pub(crate) fn forget(&mut self, object: Off) {
        self.places.retain(|place| *place != object);
    }
}

impl std::ops::Deref for References {
    type Target = [Off];

    fn deref(&self) -> &[Off] {
        &self.places
    }
}

/// Runs `encode(value)`, which returns bytes; returns them with the objects met on the way.
pub(crate) fn collecting<'py>(
    encode: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
    runtime: u64,
) -> PyResult<(Bound<'py, PyBytes>, References)> {
    let (bytes, refs, _) = collecting_all(|| Ok(encode.call1((value,))?.cast_into()?), runtime)?;
    Ok((bytes, refs))
}

/// The same, with the buffers for which `encode` has asked [`super::out_of_band::keep_out_of_band`].
pub(crate) fn collecting_all<'py>(
    encode: impl FnOnce() -> PyResult<Bound<'py, PyBytes>>,
    runtime: u64,
) -> PyResult<(Bound<'py, PyBytes>, References, Vec<Py<PyAny>>)> {
    COLLECTORS.with(|m| m.borrow_mut().push(ReferenceCollector::default()));
    let result = encode();
    let ReferenceCollector { objects, buffers, beside } =
        COLLECTORS.with(|m| m.borrow_mut().pop()).unwrap_or_default();
    Ok((result?, References::of(objects, runtime, beside), buffers))
}

/// Has a running encoding keep a shared object alive without its being in the bytes.
#[pyfunction]
pub(crate) fn mention(object: &Bound<'_, PyAny>) {
    if let Some(handle) = registry::of_object(object) {
        COLLECTORS.with(|m| {
            if let Some(met) = m.borrow_mut().last_mut() {
                met.objects.push(handle);
            }
        });
    }
}

/// How much the innermost encoding has collected so far: for [`discard_collected`].
#[pyfunction]
pub(crate) fn collected() -> (usize, usize, u64) {
    COLLECTORS.with(|m| {
        let of = |met: &ReferenceCollector| (met.objects.len(), met.buffers.len(), met.beside);
        m.borrow().last().map_or((0, 0, 0), of)
    })
}

/// Drops what the innermost encoding has collected since [`collected`] said that: a part of it
/// starts anew.
#[pyfunction]
pub(crate) fn discard_collected(since: (usize, usize, u64)) {
    // Dropped outside of the borrow: what it frees may run Python code.
    let _met = COLLECTORS.with(|m| {
        m.borrow_mut().last_mut().map(|met| {
            let (objects, buffers) =
                (since.0.min(met.objects.len()), since.1.min(met.buffers.len()));
            met.beside = since.2;
            (met.objects.split_off(objects), met.buffers.split_off(buffers))
        })
    });
}
