//! Handles: what a Python object of tarefa holds, and how it travels.
//!
//! A handle is pickled as (address of the runtime, offset, id, kind). While the front encodes
//! something itself it collects the handles it meets ([`collecting`]), so that the bytes keep
//! their objects alive; a handle pickled by anyone else must be kept by its sender until the
//! receiver has it.

use std::cell::RefCell;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use tarefa_engine::kinds;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::object::address::ObjectAddress;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off, Runtime, object};
use tarefa_engine::task;

use crate::collections::array::{ArrayCore, ArrayMemory, ValueCore};
use crate::collections::dict;
use crate::collections::list::ListCore;
use crate::collections::map::MapCore;
use crate::runtime::errors;
use crate::runtime::hooks;
use crate::sync::barrier::BarrierCore;
use crate::sync::condition::ConditionCore;
use crate::sync::event::EventCore;
use crate::sync::lock::LockCore;
use crate::sync::rwlock::RWLockCore;
use crate::sync::semaphore::SemaphoreCore;
use crate::task::TaskCore;

/// One counted handle of an object in the arena.
#[derive(Debug)]
pub(crate) struct Handle {
    runtime: &'static Runtime,
    off: Off,
}

impl Handle {
    /// Takes over a reference that this process has just taken.
    pub(crate) fn adopt(me: &Member, off: Off) -> Self {
        Self { runtime: me.runtime(), off }
    }

    pub(crate) fn me(&self) -> Member {
        self.runtime.me()
    }

    pub(crate) fn off(&self) -> Off {
        self.off
    }

    pub(crate) fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    pub(crate) fn id(&self) -> u64 {
        object::header(&self.me(), self.off).id.load(tarefa_engine::atomic::Ordering::Relaxed)
    }

    pub(crate) fn kind(&self) -> u64 {
        object::header(&self.me(), self.off).kind.load(tarefa_engine::atomic::Ordering::Relaxed)
    }

    /// Takes one more handle of an object whose reference this process can see.
    pub(crate) fn acquire(py: Python<'_>, me: &Member, off: Off, id: u64) -> PyResult<Self> {
        match refcount::acquire(me, off, id) {
            Ok(true) => Ok(Self::adopt(me, off)),
            Ok(false) => Err(errors::new(
                py,
                "HandleGone",
                "the object is gone: nothing refers to it any more; \
                 keep it in the sending program until the receiver has it"
                    .to_owned(),
            )),
            Err(e) => Err(errors::out_of_memory(py, e)),
        }
    }

    /// Another process may get it, and may start tasks then.
    fn will_travel(&self, py: Python<'_>) -> PyResult<()> {
        if self.runtime.is_root() && !task::supervisor::has_zygote() {
            hooks::ENSURE_ZYGOTE_COMMAND.get(py)?.call0()?;
        }
        Ok(())
    }

    /// For `__reduce__`: (function, arguments). Notes the object for a running [`collecting`].
    pub(crate) fn reduce<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        COLLECTORS.with(|m| {
            if let Some(met) = m.borrow_mut().last_mut() {
                met.objects.push(self.clone());
            }
        });
        self.will_travel(py)?;
        let a = self.runtime.address();
        let args = (a.root, a.memory_fd, a.id, self.off.0, self.id(), self.kind());
        Ok((hooks::ATTACH.get(py)?.clone().unbind(), args.into_pyobject(py)?))
    }
}

/// Where a shared object is, as text; None for what is none, or has a part that is none.
#[pyfunction]
pub(crate) fn address_of(object: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let Some(handle) = of_object(object) else { return Ok(None) };
    handle.will_travel(object.py())?;
    let runtime = handle.runtime.address();
    let (off, kind, id) = (handle.off, handle.kind(), handle.id());
    Ok(Some(ObjectAddress { runtime, off, kind, id }.to_string()))
}

/// The arguments of [`attach`] that a text stands for.
#[pyfunction]
pub(crate) fn parse_address(text: &str) -> PyResult<(i32, i32, u64, u64, u64, u64)> {
    let address: ObjectAddress = text.parse().map_err(|e| PyValueError::new_err(format!("{e}")))?;
    let Address { root, memory_fd, id } = address.runtime;
    Ok((root, memory_fd, id, address.off.0, address.id, address.kind))
}

/// The only argument, if it is a bare core: a constructor then shares its handle.
pub(crate) fn core_in<'py, T: pyo3::PyClass>(args: &Bound<'py, PyTuple>) -> Option<Bound<'py, T>> {
    if args.len() != 1 {
        return None;
    }
    args.get_item(0).ok()?.cast_exact::<T>().ok().cloned()
}

/// The handle of one of this package's own objects; not of a subclass of a user's.
pub(crate) fn of_object(object: &Bound<'_, PyAny>) -> Option<Handle> {
    let ours = |object: &Bound<'_, PyAny>| {
        let module = object.get_type().getattr("__module__").ok();
        module.and_then(|m| m.extract::<String>().ok()).is_some_and(|m| m == "tarefa")
    };
    let handle = if let Ok(map) = object.cast::<MapCore>() {
        map.get().handle().clone()
    } else if let Ok(list) = object.cast::<ListCore>() {
        list.get().handle().clone()
    } else if let Ok(lock) = object.cast::<LockCore>() {
        lock.get().handle().clone()
    } else if let Ok(event) = object.cast::<EventCore>() {
        event.get().handle().clone()
    } else if let Ok(semaphore) = object.cast::<SemaphoreCore>() {
        semaphore.get().handle().clone()
    } else if let Ok(condition) = object.cast::<ConditionCore>() {
        condition.get().handle().clone()
    } else if let Ok(lock) = object.cast::<RWLockCore>() {
        lock.get().handle().clone()
    } else if let Ok(barrier) = object.cast::<BarrierCore>() {
        // Its action goes with it; where that fails, pickling says why.
        object.call_method0("_publish").ok()?;
        barrier.get().handle().clone()
    } else if let Ok(array) = object.cast::<ArrayCore>() {
        array.get().cells().by_reference()?
    } else if let Ok(value) = object.cast::<ValueCore>() {
        value.get().cells().by_reference()?
    } else {
        return None;
    };
    ours(object).then_some(handle)
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        // The object lives, for this handle does; so this only counts, and cannot fail.
        let _ = refcount::acquire(&self.me(), self.off, self.id());
        Self { runtime: self.runtime, off: self.off }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        refcount::release(&self.me(), self.off);
    }
}

/// What an encoding that is going on has met so far.
#[derive(Default)]
struct ReferenceCollector {
    /// Objects, held: what mentions them may be gone when the pickle is made.
    objects: Vec<Handle>,
    /// Memory views of buffers that lie beside the pickle.
    buffers: Vec<Py<PyAny>>,
}

thread_local! {
    /// Of the encodings that are going on in this thread, innermost last.
    static COLLECTORS: RefCell<Vec<ReferenceCollector>> = const { RefCell::new(Vec::new()) };
}

/// The object of another process's handle, attached to here.
#[pyfunction]
pub(crate) fn attach(
    py: Python<'_>,
    root: i32,
    memory_fd: i32,
    runtime: u64,
    off: u64,
    id: u64,
    kind: u64,
) -> PyResult<Py<PyAny>> {
    task::register();
    let runtime = Runtime::attach(Address { root, memory_fd, id: runtime })
        .map_err(|e| errors::attach(py, &e))?;
    if runtime.is_root() {
        let _ = task::supervisor::ensure(runtime);
    }
    let me = runtime.me();
    crate::trace::stack::offer_once(py);
    let handle = Handle::acquire(py, &me, Off(off), id)?;
    if handle.kind() != kind {
        let text = "the address is of an object of another sort: it was changed on its way";
        return Err(PyValueError::new_err(text));
    }
    wrap(py, handle, kind)
}

/// The Python object for a handle.
pub(crate) fn wrap(py: Python<'_>, handle: Handle, kind: u64) -> PyResult<Py<PyAny>> {
    let core: Py<PyAny> = match kind {
        kinds::LOCK | kinds::RLOCK => Py::new(py, LockCore::of(handle))?.into_any(),
        kinds::EVENT => Py::new(py, EventCore::of(handle))?.into_any(),
        kinds::SEMAPHORE => Py::new(py, SemaphoreCore::of(handle))?.into_any(),
        kinds::CONDITION => Py::new(py, ConditionCore::of(handle))?.into_any(),
        kinds::BARRIER => Py::new(py, BarrierCore::of(handle))?.into_any(),
        kinds::RWLOCK => Py::new(py, RWLockCore::of(handle))?.into_any(),
        kinds::LIST => Py::new(py, ListCore::of(handle))?.into_any(),
        kinds::DICT | kinds::COUNTER => dict::bare(py, handle, dict::DictCore)?,
        kinds::SET => dict::bare(py, handle, dict::SetCore)?,
        kinds::NAMESPACE => dict::bare(py, handle, dict::NamespaceCore)?,
        kinds::ARRAY => Py::new(py, ArrayMemory::of(handle)?)?.into_any(),
        kinds::TASK => Py::new(py, TaskCore::of(handle))?.into_any(),
        other => {
            let text = format!("the object is of a kind ({other}) that this version does not know");
            return Err(errors::new(py, "HandleGone", text));
        }
    };
    hooks::public(py, kinds::name(kind).unwrap_or_default(), core)
}

/// The objects that an encoding mentions, each once, and held until this is dropped.
#[derive(Default)]
pub(crate) struct References {
    places: Vec<Off>,
    _held: Vec<Handle>,
}

impl References {
    /// Those of `met` that are of that runtime: others are kept by their own holders only.
    fn of(met: Vec<Handle>, runtime: u64) -> Self {
        let ours = met.iter().filter(|h| h.runtime.id() == runtime);
        let mut places: Vec<Off> = ours.map(|h| h.off).collect();
        places.sort_unstable();
        places.dedup();
        Self { places, _held: met }
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
    let (bytes, refs, _) = collecting_all(encode, value, runtime)?;
    Ok((bytes, refs))
}

/// The same, with the buffers for which `encode` has asked [`keep_out_of_band`].
pub(crate) fn collecting_all<'py>(
    encode: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
    runtime: u64,
) -> PyResult<(Bound<'py, PyBytes>, References, Vec<Py<PyAny>>)> {
    COLLECTORS.with(|m| m.borrow_mut().push(ReferenceCollector::default()));
    let result = encode.call1((value,));
    let ReferenceCollector { objects, buffers } =
        COLLECTORS.with(|m| m.borrow_mut().pop()).unwrap_or_default();
    let bytes = result?.cast_into::<PyBytes>()?;
    Ok((bytes, References::of(objects, runtime), buffers))
}

/// From this many bytes on a buffer lies beside the pickle: a smaller one is copied sooner than
/// it is noted down.
const APART: usize = 1 << 14;

/// For `pickle`, of a `PickleBuffer` that it meets: whether it is to be in the pickle. Else it is
/// noted for the encoding that is going on.
#[pyfunction]
#[pyo3(signature = (buffer, /))]
pub(crate) fn keep_out_of_band(buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = buffer.py();
    let raw = match buffer.call_method0(intern!(py, "raw")) {
        Ok(raw) => raw,
        // Not contiguous: pickle says that it cannot be.
        Err(e) if e.is_instance_of::<pyo3::exceptions::PyBufferError>(py) => return Ok(true),
        Err(e) => return Err(e),
    };
    if raw.len()? < APART {
        return Ok(true);
    }
    Ok(COLLECTORS.with(|m| match m.borrow_mut().last_mut() {
        Some(met) => {
            met.buffers.push(raw.unbind());
            false
        }
        None => true,
    }))
}

/// Has a running encoding keep a shared object alive without its being in the bytes.
#[pyfunction]
pub(crate) fn mention(object: &Bound<'_, PyAny>) {
    if let Some(handle) = of_object(object) {
        COLLECTORS.with(|m| {
            if let Some(met) = m.borrow_mut().last_mut() {
                met.objects.push(handle);
            }
        });
    }
}

/// How much the innermost encoding has collected so far: for [`discard_collected`].
#[pyfunction]
pub(crate) fn collected() -> (usize, usize) {
    COLLECTORS
        .with(|m| m.borrow().last().map_or((0, 0), |met| (met.objects.len(), met.buffers.len())))
}

/// Drops what the innermost encoding has collected since [`collected`] said that: a part of it
/// starts anew.
#[pyfunction]
pub(crate) fn discard_collected(since: (usize, usize)) {
    // Dropped outside of the borrow: what it frees may run Python code.
    let _met = COLLECTORS.with(|m| {
        m.borrow_mut().last_mut().map(|met| {
            let (objects, buffers) =
                (since.0.min(met.objects.len()), since.1.min(met.buffers.len()));
            (met.objects.split_off(objects), met.buffers.split_off(buffers))
        })
    });
}
