//! `ConnectionCore`: what an end of a pipe is made of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyBrokenPipeError, PyEOFError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};
use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::channel::pipe::{self, End};
use tarefa_engine::channel::{Content, GetError, Outgoing, PutError, Taken, Wanted};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::{self, handle::Handle};
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::wait::Outcome;

use super::messages::decode;
use super::messages_level::Messages;
use super::open_state::{ClosableWait, OpenState};
use super::receivable::Receivable;
use crate::convert::bytes::bytes_of;
use crate::convert::collector;
use crate::convert::encode::{self, Encoded};
use crate::convert::flat;
use crate::convert::out_of_band::InBand;
use crate::runtime::blocking::{self, deadline};
use crate::runtime::errors;
use crate::runtime::handle::{self, Slot};
use crate::runtime::hooks as python;
use crate::runtime::member;
use crate::runtime::registry::SharedClass;
use crate::sync::level::{self, Level};
use crate::sync::select::Selectable;

/// What a message came through, in an error.
const CHANNEL: &str = "pipe";
/// `EPIPE`.
const BROKEN: i32 = 32;

/// An end of a pipe in shared memory.
#[pyclass(frozen, subclass, weakref, name = "Connection", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct ConnectionCore {
    /// None once it is closed.
    handle: Mutex<Option<Handle>>,
    id: (u64, u64),
    reads: AtomicBool,
    writes: bool,
    state: Arc<OpenState>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConnectionCore {
    pub(crate) fn of(handle: Handle) -> Self {
        let (reads, writes) = handle.with_me(|me| {
            let end = End::at(me, handle.off());
            (end.reads().is_some(), end.writes().is_some())
        });
        Self {
            id: (handle.runtime().id(), handle.id()),
            reads: AtomicBool::new(reads),
            writes,
            state: Arc::default(),
            handle: Mutex::new(Some(handle)),
        }
    }

    /// A handle for the time of a call, whoever closes the connection meanwhile.
    fn open(&self) -> PyResult<Handle> {
        locked(&self.handle).clone().ok_or_else(is_closed)
    }

    fn open_to_read(&self) -> PyResult<Handle> {
        let handle = self.open()?;
        if self.reads.load(Ordering::Relaxed) {
            return Ok(handle);
        }
        Err(PyOSError::new_err("connection is write-only"))
    }

    fn open_to_write(&self) -> PyResult<Handle> {
        let handle = self.open()?;
        if self.writes { Ok(handle) } else { Err(PyOSError::new_err("connection is read-only")) }
    }

    fn take(&self, py: Python<'_>, me: &Member, end: &End<'_>) -> PyResult<Taken> {
        let Some(queue) = end.reads() else { return Err(PyEOFError::new_err(())) };
        let mut hooks = ClosableWait::new(py, &self.state, me.index());
        let taken = queue.get(&mut hooks, Deadline::NEVER);
        level::changed(py, Self::id_of(me, queue.offset()));
        taken.map_err(|e| match e {
            GetError::ShutDown | GetError::Empty => PyEOFError::new_err(
                "the other end of the pipe is closed, or all who had it have ended",
            ),
            GetError::Interrupted => hooks.into_error(is_closed),
            GetError::Memory(e) => errors::out_of_memory(py, e),
        })
    }

    fn put<'a>(
        &self,
        py: Python<'_>,
        handle: &Handle,
        item: impl Into<Outgoing<'a>>,
    ) -> PyResult<()> {
        let me = handle.try_slot()?;
        let Some(queue) = End::at(&me, handle.off()).writes() else { return Ok(()) };
        let mut hooks = ClosableWait::new(py, &self.state, me.index());
        let put = queue.put(item, &mut hooks, Deadline::NEVER);
        level::changed(py, Self::id_of(&me, queue.offset()));
        put.map_err(|e| match e {
            PutError::ShutDown => {
                // Nobody reads it any more.
                queue.throw_away();
                PyBrokenPipeError::new_err((
                    BROKEN,
                    "the other end of the pipe is closed, or all who had it have ended",
                ))
            }
            PutError::Interrupted => hooks.into_error(is_closed),
            PutError::Memory(e) => errors::out_of_memory(py, e),
            PutError::Full | PutError::TooLarge { .. } => PyOSError::new_err(e.to_string()),
        })
    }

    /// The id of a queue that one of the ends holds.
    fn id_of(me: &Member, queue: Off) -> u64 {
        object::header(me, queue).id.load(Ordering::Acquire)
    }

    /// Refuses what mentions an end of this pipe: the pipe would hold itself, for ever.
    fn check_outside(handle: &Handle, encoded: &Encoded<'_>) -> PyResult<()> {
        let me = handle.try_slot()?;
        let end = End::at(&me, handle.off());
        let is_own = |off: &Off| {
            let kind = object::header(&me, *off).kind.load(Ordering::Relaxed);
            kind == kinds::PIPE_END && end.is_of_one_pipe(&End::at(&me, *off))
        };
        if encoded.objects().iter().any(is_own) {
            return Err(PyValueError::new_err(
                "an end of a pipe cannot travel through that pipe: it would keep itself open for \
                 ever; hand it over as an argument of a task, or through another pipe or a queue",
            ));
        }
        Ok(())
    }

    /// The bytes of a message: of an object those of its pickle.
    fn bytes<'py>(
        py: Python<'py>,
        me: &Member,
        content: Content<'_>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if let Content::Blob(tag::RAW | encode::PICKLE, bytes, _) = content {
            return bytes_of(py, bytes);
        }
        let object = decode(py, me, content, true, CHANNEL)?;
        Ok(python::DUMPS.get(py)?.call1((object,))?.cast_into()?)
    }
}

impl SharedClass for ConnectionCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        locked(&object.get().handle).clone()
    }
}

#[cold]
fn is_closed() -> PyErr {
    PyOSError::new_err("handle is closed")
}

#[pymethods]
impl ConnectionCore {
    /// Of a core, another handle of its end.
    #[new]
    #[classmethod]
    fn new(_cls: &Bound<'_, PyType>, core: &Bound<'_, Self>) -> PyResult<Self> {
        Ok(Self::of(core.get().open()?))
    }

    /// The ends of a new pipe.
    #[staticmethod]
    #[pyo3(name = "_pair")]
    fn pair(py: Python<'_>, duplex: bool) -> PyResult<(Self, Self)> {
        let me = member::me(py)?;
        let (a, b) = blocking::allocated(py, || pipe::create(&me, duplex))?;
        Ok((Self::of(Handle::adopt(&me, a)), Self::of(Handle::adopt(&me, b))))
    }

    /// Whether this process has closed it.
    #[getter]
    fn closed(&self) -> bool {
        self.state.is_closed()
    }

    /// Whether it reads.
    #[getter]
    fn readable(&self) -> bool {
        self.reads.load(Ordering::Relaxed)
    }

    /// Whether it writes.
    #[getter]
    fn writable(&self) -> bool {
        self.writes
    }

    /// Reads no more.
    #[pyo3(name = "_stop_reading")]
    fn stop_reading(&self) {
        self.reads.store(false, Ordering::Relaxed);
    }

    /// Sends an object.
    fn send(&self, py: Python<'_>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = self.open_to_write()?;
        if let Some(word) = encode::word(obj) {
            return self.put(py, &handle, Item::Word(word));
        }
        if let Some(bytes) = flat::encode(obj) {
            return self.put(py, &handle, Item::Blob(tag::TUPLE, &bytes, &[]));
        }
        // In a pipe whatever is alone fits.
        let encoded = encode::message(&handle.try_slot()?, obj, &|_| Ok(()))?;
        Self::check_outside(&handle, &encoded)?;
        self.put(py, &handle, Outgoing::with_beside(encoded.item()?, encoded.beside(), &encoded))
    }

    /// Sends the bytes of a contiguous buffer.
    #[pyo3(name = "_put_bytes")]
    fn put_bytes(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = self.open_to_write()?;
        let buffer = InBand::new(buffer)?;
        self.put(py, &handle, Item::Blob(tag::RAW, buffer.bytes(), &[]))
    }

    /// Receives an object.
    fn recv(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let handle = self.open_to_read()?;
        let me = handle.try_slot()?;
        let taken = self.take(py, &me, &End::at(&me, handle.off()))?;
        if let Some(word) = taken.word() {
            return encode::decode_word(py, word);
        }
        match taken.contents().next() {
            Some(Content::Blob(tag::RAW, bytes, _)) => {
                Ok(python::LOADS.get(py)?.call1((bytes_of(py, bytes)?,))?.unbind())
            }
            Some(content) => decode(py, &me, content, true, CHANNEL),
            None => Err(PyEOFError::new_err(())),
        }
    }

    /// Receives the bytes of a message.
    #[pyo3(name = "_take_bytes")]
    fn take_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let handle = self.open_to_read()?;
        let me = handle.try_slot()?;
        let taken = self.take(py, &me, &End::at(&me, handle.off()))?;
        match taken.contents().next() {
            Some(content) => Self::bytes(py, &me, content),
            None => Err(PyEOFError::new_err(())),
        }
    }

    /// Whether there is something to receive, or the end of it.
    #[pyo3(signature = (timeout = Some(0.0)))]
    fn poll(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let handle = self.open_to_read()?;
        let me = handle.try_slot()?;
        let Some(queue) = End::at(&me, handle.off()).reads() else { return Ok(true) };
        if queue.has(Wanted::Message) {
            return Ok(true);
        }
        let until = deadline(timeout)?;
        let mut hooks = ClosableWait::new(py, &self.state, me.index());
        match queue.look_out(Wanted::Message, &AtomicBool::new(false), &mut hooks, until) {
            Outcome::Ready => Ok(true),
            Outcome::TimedOut => Ok(false),
            Outcome::Interrupted => Err(hooks.into_error(is_closed)),
        }
    }

    /// Lets this process's handle go, and ends its waits here.
    fn close(&self) {
        let Some(handle) = locked(&self.handle).take() else { return };
        handle.with_me(|me| self.state.close(me));
    }

    /// What waits beside other things for a message, for the end of them, or for `close()` here.
    #[pyo3(name = "_selectable")]
    fn selectable(&self) -> PyResult<Selectable> {
        let handle = self.open_to_read()?;
        Ok(Selectable::new(Receivable { handle, state: Arc::clone(&self.state) }))
    }

    /// What a descriptor for it shows.
    #[pyo3(name = "_level")]
    fn level(&self, py: Python<'_>) -> PyResult<Level> {
        let handle = self.open_to_read()?;
        let me = handle.try_slot()?;
        let Some(queue) = End::at(&me, handle.off()).reads() else { return Err(is_closed()) };
        let off = queue.offset();
        Ok(Level::new(Messages(handle::acquire(py, &me, off, Self::id_of(&me, off))?)))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        collector::reduce(py, &self.open()?)
    }

    /// Tells ends apart: the same for all handles of one end.
    #[getter]
    fn object_id(&self) -> (u64, u64) {
        self.id
    }
}
