//! `QueueCore`: what `tarefa.Queue` and its siblings are made of.

use std::sync::Arc;

use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple, PyType};
use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::channel::queue;
use tarefa_engine::channel::{
    GetError, Joined, MAX_BYTES, Order, Outgoing, PutError, Queue, Taken, blob_bytes, keyed,
};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::handle::Handle;

use super::deliveries::{self, Deliveries};
use super::messages::{decode, patience};
use super::messages_level::Messages;
use super::open_state::{ClosableWait, OpenState};
use super::receivable::Receivable;
use crate::collections::list::room_for;
use crate::convert::collector;
use crate::convert::encode;
use crate::convert::encode::Encoded;
use crate::convert::flat;
use crate::runtime::blocking::{self, PyBlockingHooks};
use crate::runtime::errors;
use crate::runtime::handle::{self, Slot};
use crate::runtime::hooks;
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry::SharedClass;
use crate::sync::level::{self, Level};
use crate::sync::select::Selectable;

/// What a message came through, in an error.
const CHANNEL: &str = "queue";

/// A queue in shared memory.
#[pyclass(frozen, subclass, weakref, name = "Queue", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct QueueCore {
    handle: Handle,
    /// Whether this process has said that it uses it no more.
    state: Arc<OpenState>,
    /// Bytes of the messages that went in and came out by this handle.
    traffic: AtomicU64,
}

impl QueueCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle, state: Arc::default(), traffic: AtomicU64::new(0) }
    }

    #[inline]
    fn count(&self, bytes: u64) {
        // crash: this process's own.
        self.traffic.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What is asked or told without waiting: a thread that has no slot can do it, too.
    fn ask<T>(&self, question: impl FnOnce(&Queue<'_>) -> T) -> T {
        self.handle.with_me(|me| question(&Queue::at(me, self.handle.off())))
    }

    #[inline]
    fn check_open(&self) -> PyResult<()> {
        if self.state.is_closed() { Err(self.is_closed()) } else { Ok(()) }
    }

    #[cold]
    fn is_closed(&self) -> PyErr {
        let text = format!("Queue {} is closed: this process has called close()", self.handle.id());
        PyValueError::new_err(text)
    }

    #[cold]
    fn put_failed(&self, py: Python<'_>, e: PutError, wait: ClosableWait<'_, '_>) -> PyErr {
        match e {
            PutError::Interrupted => wait.into_error(|| self.is_closed()),
            other => put_failed(py, other),
        }
    }
}

impl SharedClass for QueueCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle().clone())
    }
}

/// What is said of a message that cannot travel.
#[cold]
fn refused(py: Python<'_>, e: PyErr) -> PyErr {
    let ours = hooks::named(py, "NotPicklable").is_ok_and(|class| e.is_instance(py, &class));
    if !ours {
        return e;
    }
    let text = format!(
        "{}; a message is a copy, between threads too: for threads of one process alone, \
         queue.Queue hands over the object itself",
        e.value(py)
    );
    let new = errors::new(py, "NotPicklable", text);
    new.set_cause(py, e.cause(py));
    new
}

#[cold]
fn put_failed(py: Python<'_>, e: PutError) -> PyErr {
    match e {
        PutError::Full => errors::new(py, "Full", e.to_string()),
        PutError::ShutDown => errors::new(py, "ShutDown", e.to_string()),
        PutError::Interrupted => PyKeyboardInterrupt::new_err(()),
        PutError::TooLarge { size, most } => PyValueError::new_err(format!(
            "a message of {size} bytes is larger than the queue may hold, which is {most} bytes: \
             make the queue with a larger max_bytes, or send the message in parts"
        )),
        PutError::Memory(e) => errors::out_of_memory(py, e),
    }
}

#[cold]
fn get_failed(py: Python<'_>, e: GetError) -> PyErr {
    match e {
        GetError::Empty => errors::new(py, "Empty", e.to_string()),
        GetError::ShutDown => errors::new(py, "ShutDown", e.to_string()),
        GetError::Interrupted => PyKeyboardInterrupt::new_err(()),
        GetError::Memory(e) => errors::out_of_memory(py, e),
    }
}

/// An encoded message, with what counts beside it.
#[inline]
fn outgoing<'a>(encoded: &'a Encoded<'_>) -> PyResult<Outgoing<'a>> {
    Ok(Outgoing::with_beside(encoded.item()?, encoded.beside(), encoded))
}

#[pymethods]
impl QueueCore {
    /// Of a core, another handle of its queue; else a new one without bounds.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if let Some(core) = handle::core_in::<Self>(args) {
            return Ok(Self::of(core.get().handle.clone()));
        }
        if let Some(handle) = module_objects::find(cls, args, kwargs)? {
            return Ok(Self::of(handle));
        }
        let py = cls.py();
        let me = member::me(py)?;
        let order = match cls.getattr("_order")?.extract::<u8>()? {
            0 => Order::Fifo,
            1 => Order::Lifo,
            _ => Order::Priority,
        };
        let off = blocking::allocated(py, || queue::create(&me, order))?;
        Ok(Self::of(Handle::adopt(&me, off)))
    }

    /// In which order messages come out: 0 as they came in, 1 the last first, 2 the least first.
    #[classattr]
    fn _order() -> u8 {
        0
    }

    /// Bounds the queue, and says what class it is of.
    #[pyo3(name = "_set_up")]
    fn set_up(&self, maxsize: i64, max_bytes: Option<u64>, label: u64) {
        self.ask(|queue| {
            queue.set_bounds(u64::try_from(maxsize).unwrap_or(0), max_bytes.unwrap_or(MAX_BYTES));
            queue.set_label(label);
        });
    }

    /// What class it is of.
    #[getter]
    #[pyo3(name = "_label_of")]
    fn label(&self) -> u64 {
        self.ask(|queue| queue.label())
    }

    /// Puts an item in.
    #[pyo3(signature = (item, block = None, timeout = None),
           text_signature = "($self, item, block=True, timeout=None)")]
    fn put(
        &self,
        py: Python<'_>,
        item: &Bound<'_, PyAny>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.check_open()?;
        let until = patience(block, timeout)?;
        let me = self.handle.try_slot()?;
        let queue = Queue::at(&me, self.handle.off());
        let encoded;
        let item = if let Some(word) = encode::word(item) {
            Item::Word(word).into()
        } else {
            encoded = self.encode(&me, item)?;
            outgoing(&encoded)?
        };
        let Some(until) = until else {
            let put = queue.try_put(item);
            level::changed(py, self.handle.id());
            return put.inspect(|()| self.count(item.size())).map_err(|e| put_failed(py, e));
        };
        let mut hooks = ClosableWait::new(py, &self.state, me.index());
        let put = queue.put(item, &mut hooks, until);
        level::changed(py, self.handle.id());
        match put {
            Ok(()) => {
                self.count(item.size());
                Ok(())
            }
            Err(e) => Err(self.put_failed(py, e, hooks)),
        }
    }

    /// The same without waiting.
    fn put_nowait(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<()> {
        self.put(py, item, Some(&pyo3::types::PyBool::new(py, false).to_owned().into_any()), None)
    }

    /// Puts an item in without waiting; the bytes that it needs room for, if it is not in.
    #[pyo3(name = "_offer")]
    fn offer(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        self.check_open()?;
        let me = self.handle.try_slot()?;
        let encoded = self.encode(&me, item)?;
        let item = outgoing(&encoded)?;
        let put = Queue::at(&me, self.handle.off()).try_put(item);
        level::changed(py, self.handle.id());
        match put {
            Ok(()) => {
                self.count(item.size());
                Ok(None)
            }
            Err(PutError::Full) => Ok(Some(blob_bytes(item))),
            Err(e) => Err(put_failed(py, e)),
        }
    }

    /// Puts items in, in their order, as room comes; how many are in, and what kept the others out.
    #[pyo3(name = "_put_all")]
    fn put_all(
        &self,
        py: Python<'_>,
        items: &Bound<'_, PyList>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(usize, Option<Py<PyAny>>)> {
        self.check_open()?;
        let until = patience(block, timeout)?.unwrap_or(Deadline::at(0));
        let me = self.handle.try_slot()?;
        let off = self.handle.off();
        let mut encoded: Vec<Encoded<'_>> = room_for(items.len())?;
        for item in items.iter() {
            encoded.push(self.encode(&me, &item)?);
        }
        let mut items = room_for(encoded.len())?;
        for one in &encoded {
            items.push(outgoing(one)?);
        }
        let mut hooks = ClosableWait::new(py, &self.state, me.index());
        let put = Queue::at(&me, off).put_many(&items, &mut hooks, until);
        level::changed(py, self.handle.id());
        match put {
            Ok(()) => {
                self.count(items.iter().map(Outgoing::size).sum());
                Ok((items.len(), None))
            }
            Err((n, e)) => {
                self.count(items[..n].iter().map(Outgoing::size).sum());
                let error = self.put_failed(py, e, hooks);
                if error.is_instance_of::<PyException>(py) {
                    Ok((n, Some(error.into_value(py).into_any())))
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Takes an item; `ack`: it is the queue's until it is acknowledged.
    #[pyo3(signature = (block = None, timeout = None, *, ack = false),
           text_signature = "($self, block=True, timeout=None, *, ack=False)")]
    fn get(
        &self,
        py: Python<'_>,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        ack: bool,
    ) -> PyResult<Py<PyAny>> {
        let me = self.handle.try_slot()?;
        let taken = self.take(py, &me, 1, ack, block, timeout)?;
        if ack {
            return match self.decode_to_ack(py, &me, &taken)? {
                (_, Some(bad)) => Err(PyErr::from_value(bad.into_bound(py))),
                (items, None) => items.get_item(0).map(Bound::unbind),
            };
        }
        if let Some(word) = taken.word() {
            return encode::decode_word(py, word);
        }
        match taken.contents().next() {
            Some(content) => decode(py, &me, content, true, CHANNEL),
            None => Err(get_failed(py, GetError::Empty)),
        }
    }

    /// The same without waiting.
    #[pyo3(signature = (*, ack = false))]
    fn get_nowait(&self, py: Python<'_>, ack: bool) -> PyResult<Py<PyAny>> {
        self.get(py, Some(&pyo3::types::PyBool::new(py, false).to_owned().into_any()), None, ack)
    }

    /// Whether what this thread took last had been handed out before.
    #[getter]
    fn redelivered(&self) -> bool {
        deliveries::was_redelivered(&self.handle)
    }

    /// Messages that were taken to be acknowledged, and are not yet.
    #[getter]
    fn unacknowledged(&self) -> u64 {
        self.ask(|queue| queue.unacknowledged())
    }

    /// Whether nothing is in it, and nothing is to be acknowledged.
    #[pyo3(name = "_is_spent")]
    fn is_spent(&self) -> bool {
        self.ask(|queue| queue.is_spent())
    }

    /// Takes as many items as there are, at most `most`, waiting for the first. One that cannot be
    /// decoded is in the list as the error that says so.
    #[pyo3(name = "_take_many")]
    fn take_many<'py>(
        &self,
        py: Python<'py>,
        most: usize,
        ack: bool,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Bound<'py, PyList>, Option<Py<PyAny>>)> {
        let me = self.handle.try_slot()?;
        let taken = self.take(py, &me, most, ack, block, timeout)?;
        if ack {
            return self.decode_to_ack(py, &me, &taken);
        }
        let (items, mut bad) = (PyList::empty(py), None);
        for content in taken.contents() {
            match decode(py, &me, content, true, CHANNEL) {
                Ok(item) => items.append(item)?,
                Err(e) if e.is_instance_of::<PyException>(py) => {
                    if bad.is_none() {
                        bad = Some(e.into_value(py).into_any());
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok((items, bad))
    }

    /// Messages in it now.
    fn qsize(&self) -> u64 {
        self.ask(|queue| queue.len())
    }

    /// Whether there are none now.
    fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Whether a put would have to wait now.
    fn full(&self) -> bool {
        self.ask(|queue| queue.is_full())
    }

    /// The most messages; 0 or less for any number.
    #[getter]
    fn maxsize(&self) -> u64 {
        self.ask(|queue| queue.maxsize())
    }

    /// What is in it stays, also where that is more.
    #[setter]
    fn set_maxsize(&self, maxsize: i64) {
        self.ask(|queue| {
            queue.set_bounds(u64::try_from(maxsize).unwrap_or(0), queue.max_bytes());
        });
    }

    /// The most bytes.
    #[getter]
    fn max_bytes(&self) -> u64 {
        self.ask(|queue| queue.max_bytes())
    }

    /// Bytes in it now, as they count for `max_bytes`.
    #[getter]
    fn used_bytes(&self) -> u64 {
        self.ask(|queue| queue.used_bytes())
    }

    /// Bytes of the messages that went in and came out by this handle.
    #[getter(_traffic)]
    fn traffic(&self) -> u64 {
        self.traffic.load(Ordering::Relaxed)
    }

    /// Messages that were put and are not done.
    #[getter]
    fn unfinished_tasks(&self) -> u64 {
        self.ask(|queue| queue.pending())
    }

    /// Whether it was shut down.
    #[getter]
    fn is_shutdown(&self) -> bool {
        self.ask(|queue| queue.is_shut())
    }

    /// A message that was taken is done.
    fn task_done(&self, py: Python<'_>) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        let mut hooks = PyBlockingHooks::new(py);
        let done = Queue::at(&me, self.handle.off()).task_done_with(&mut hooks);
        let Some(done) = done else { return Err(hooks.into_error()) };
        done.map_err(|e| PyValueError::new_err(format!("task_done() called too many times: {e}")))
    }

    /// Waits until all that was put is done: whether it is, and what was lost.
    #[pyo3(name = "_wait_done")]
    fn wait_done(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(bool, u64, i32)> {
        let until = patience(None, timeout)?.unwrap_or(Deadline::NEVER);
        let me = self.handle.try_slot()?;
        let mut hooks = PyBlockingHooks::new(py);
        match Queue::at(&me, self.handle.off()).join(&mut hooks, until) {
            Joined::Yes => Ok((true, 0, 0)),
            Joined::Lost(count, pid) => Ok((true, count, pid)),
            Joined::TimedOut => Ok((false, 0, 0)),
            Joined::Interrupted => Err(hooks.into_error()),
        }
    }

    /// Lets nothing more in; `immediate`: what is in it is thrown away.
    #[pyo3(signature = (immediate = false))]
    fn shutdown(&self, immediate: bool) {
        self.ask(|queue| queue.shut_down(immediate));
    }

    /// What waits beside other things for an item, or the end of the queue.
    #[pyo3(name = "_selectable")]
    fn selectable(&self) -> PyResult<Selectable> {
        self.check_open()?;
        Ok(Selectable::new(Receivable {
            handle: self.handle.clone(),
            state: Arc::clone(&self.state),
        }))
    }

    /// What a descriptor for it shows.
    #[pyo3(name = "_level")]
    fn level(&self) -> PyResult<Level> {
        self.check_open()?;
        Ok(Level::new(Messages(self.handle.clone())))
    }

    /// This process uses it no more; its waits here end.
    fn close(&self) {
        self.handle.with_me(|me| self.state.close(me));
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        collector::reduce(py, &self.handle)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> (u64, u64) {
        (self.handle.runtime().id(), self.handle.id())
    }
}

impl QueueCore {
    /// What the item is as a message.
    fn encode<'py>(&self, me: &Member, item: &Bound<'py, PyAny>) -> PyResult<Encoded<'py>> {
        if let Some(bytes) = flat::encode(item) {
            return Ok(Encoded::Owned(tag::TUPLE, bytes, Vec::new()));
        }
        let failed = |e| refused(item.py(), e);
        if Queue::at(me, self.handle.off()).order() != Order::Priority {
            let queue = Queue::at(me, self.handle.off());
            let check = |size| queue.check_size(size).map_err(|e| put_failed(item.py(), e));
            let encoded = encode::message(me, item, &check).map_err(failed)?;
            encode::outside(&encoded, self.handle.off())?;
            return Ok(encoded);
        }
        let is_text = item.is_exact_instance_of::<PyString>()
            || item.is_exact_instance_of::<PyBytes>()
            || item.is_exact_instance_of::<PyInt>();
        if is_text {
            let encoded = encode::encode(me, item).map_err(failed)?;
            match &encoded {
                Encoded::Bytes(tag::INT, bytes) if bytes.as_bytes().len() > 16 => {
                    let text = "a PriorityQueue orders integers of at most 128 bits: put a tuple \
                                (priority, item) with a smaller one";
                    return Err(PyValueError::new_err(text));
                }
                Encoded::Pickled(..) => {}
                _ => return Ok(encoded),
            }
        }
        let key = flat::key(item)?;
        let dumps = hooks::DUMPS.get(item.py())?;
        let whole = encode::pickled(dumps, item, me.runtime().id()).map_err(failed)?;
        encode::outside(&whole, self.handle.off())?;
        match whole {
            Encoded::Pickled(bytes, references) => {
                let bytes = keyed(&key, encode::PICKLE, bytes.as_bytes());
                Ok(Encoded::Keyed(bytes, references))
            }
            other => Ok(other),
        }
    }

    #[inline]
    fn take(
        &self,
        py: Python<'_>,
        me: &Member,
        most: usize,
        ack: bool,
        block: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Taken> {
        self.check_open()?;
        let queue = Queue::at(me, self.handle.off());
        let Some(until) = patience(block, timeout)? else {
            let taken = if ack { queue.try_get_to_ack(most) } else { queue.try_get_many(most) };
            level::changed(py, self.handle.id());
            return taken.inspect(|taken| self.note(taken)).map_err(|e| get_failed(py, e));
        };
        let mut hooks = ClosableWait::new(py, &self.state, me.index());
        let taken = if ack {
            queue.get_to_ack(most, &mut hooks, until)
        } else {
            queue.get_many(most, &mut hooks, until)
        };
        level::changed(py, self.handle.id());
        match taken {
            Ok(taken) => {
                self.note(&taken);
                Ok(taken)
            }
            Err(GetError::Interrupted) => Err(hooks.into_error(|| self.is_closed())),
            Err(e) => Err(get_failed(py, e)),
        }
    }

    #[inline]
    fn note(&self, taken: &Taken) {
        self.count(taken.size());
        deliveries::note_redelivered(&self.handle, taken.redelivered());
    }

    /// What was taken to be acknowledged, and the error of the first that cannot be decoded. Such a one
    /// is gone, or it would come again and again; the others are noted as the calling consumer's.
    fn decode_to_ack<'py>(
        &self,
        py: Python<'py>,
        me: &Member,
        taken: &Taken,
    ) -> PyResult<(Bound<'py, PyList>, Option<Py<PyAny>>)> {
        let (items, mut bad) = (PyList::empty(py), None);
        let (mut good, mut undecodable) = (Vec::new(), Vec::new());
        let decoded = || -> PyResult<()> {
            for (content, delivery) in taken.contents().zip(taken.deliveries()) {
                match decode(py, me, content, false, CHANNEL) {
                    Ok(item) => {
                        items.append(item)?;
                        good.push(*delivery);
                    }
                    Err(e) if e.is_instance_of::<PyException>(py) => {
                        undecodable.push(*delivery);
                        if bad.is_none() {
                            bad = Some(e.into_value(py).into_any());
                        }
                    }
                    Err(e) => return Err(e),
                }
            }
            Ok(())
        };
        let queue = Queue::at(me, self.handle.off());
        if let Err(e) = { decoded }() {
            // This process holds them all.
            let _ = queue.give_back(taken.deliveries());
            return Err(e);
        }
        let _ = queue.ack(&undecodable);
        if !good.is_empty() {
            // Whatever happens in there, what is dropped goes back.
            let deliveries = Py::new(py, Deliveries::new(self.handle.clone(), good))?;
            hooks::named(py, "keep_deliveries")?.call1((self.object_id(), deliveries))?;
        }
        Ok((items, bad))
    }
}
