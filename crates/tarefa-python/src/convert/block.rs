//! `Block`: a buffer of the arena that arrays and memory views of Python look into.
//!
//! - It holds one handle, so the memory stays as long as anything looks into it: whoever made it, or
//!   sent it, or had it before may be gone.
//! - It is writable where it came out of a message as the last that refers to it, and for who made
//!   it; else read-only. See `crates/tarefa-engine/src/channel/README.md`.
//! - Whatever lies in one is found by its address, so what travels again is not copied, however it
//!   came to look there: a slice, a frame's column, a tensor.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tarefa_engine::atomic::{AtomicBool, AtomicUsize, Ordering};
use tarefa_engine::collections::array::{self, Array};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off, Runtime};

use crate::convert::collector;
use crate::runtime::{address, blocking, errors, handle, hooks, member};

/// From this many bytes on a copy into the arena lets other threads run meanwhile.
const LONG: usize = 1 << 18;

/// What this process has of a block: by how many objects.
#[derive(Clone, Copy)]
struct Living {
    len: usize,
    objects: usize,
    runtime: &'static Runtime,
    off: Off,
    id: u64,
    carried: bool,
}

/// By their addresses. Held with the interpreter's lock, so no fork finds it taken.
static LIVING: Mutex<BTreeMap<usize, Living>> = Mutex::new(BTreeMap::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static EVER: AtomicBool = AtomicBool::new(false);

fn living() -> MutexGuard<'static, BTreeMap<usize, Living>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process has blocks.
#[inline]
pub(crate) fn any() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

/// Whether it had any, ever.
pub(crate) fn any_ever() -> bool {
    EVER.load(Ordering::Relaxed)
}

/// See [the module](self).
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct Block {
    handle: Handle,
    address: usize,
    len: usize,
    carried: bool,
    readonly: bool,
}

impl Block {
    fn new(handle: Handle, readonly: bool) -> PyResult<Self> {
        let me = handle.try_me().map_err(errors::too_many_threads)?;
        let array = Array::at(&me, handle.off());
        let (address, len) = (array.address() as usize, array.len() as usize);
        let carried = array.carried();
        let id = handle.id();
        let new =
            Living { len, objects: 0, runtime: handle.runtime(), off: handle.off(), id, carried };
        living().entry(address).or_insert(new).objects += 1;
        EVER.store(true, Ordering::Relaxed);
        COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { handle, address, len, carried, readonly })
    }

    pub(crate) fn address(&self) -> usize {
        self.address
    }

    pub(crate) fn readonly(&self) -> bool {
        self.readonly
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut living = living();
        if let Some(it) = living.get_mut(&self.address) {
            it.objects -= 1;
            if it.objects == 0 {
                living.remove(&self.address);
            }
        }
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A part of a block that something of Python's shows.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) handle: Handle,
    /// Where it begins, from the start of the block.
    pub(crate) start: u64,
    /// Whether the block came to be as a part of a message.
    pub(crate) carried: bool,
}

/// The block of that runtime in which `len` bytes from `address` on lie.
pub(crate) fn find(runtime: u64, address: usize, len: usize) -> Option<Place> {
    if !any() {
        return None;
    }
    let (start, it) = {
        let living = living();
        let (start, it) = living.range(..=address).next_back()?;
        (*start, *it)
    };
    let inside = address.checked_add(len)? <= start + it.len;
    if !inside || it.runtime.id() != runtime {
        return None;
    }
    let me = it.runtime.try_me().ok()?;
    let handle = Handle::acquire(&me, it.off, it.id).ok()??;
    Some(Place { handle, start: (address - start) as u64, carried: it.carried })
}

/// A new block with a copy of `content`, for a message.
pub(crate) fn copied(py: Python<'_>, me: &Member, content: &'static [u8]) -> PyResult<Handle> {
    let make = || array::create_buffer(me, content.len() as u64, Some(content), true);
    let made =
        blocking::allocated(py, || if content.len() < LONG { make() } else { py.detach(make) });
    made.map(|off| Handle::adopt(me, off))
}

/// Blocks that the decoding of one value has met: each is one object, so that it counts once.
struct Arriving {
    /// References of the message to what it mentions that fall with it: one, or none if it stays.
    passing: u64,
    blocks: Vec<(Off, Py<Block>)>,
}

thread_local! {
    /// Of the decodings that are going on in this thread, innermost last.
    static ARRIVING: RefCell<Vec<Arriving>> = const { RefCell::new(Vec::new()) };
}

/// Decodes a value; `last` if nothing but its reader has its bytes, which are about to be freed.
pub(crate) fn arriving<T>(last: bool, decode: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let new = Arriving { passing: u64::from(last), blocks: Vec::new() };
    ARRIVING.with(|a| a.borrow_mut().push(new));
    let decoded = decode();
    // Dropped outside of the borrow: what it frees may run Python code.
    let _met = ARRIVING.with(|a| a.borrow_mut().pop());
    decoded
}

/// The block that a value mentions which is being decoded.
pub(crate) fn arrived(py: Python<'_>, handle: Handle) -> PyResult<Py<Block>> {
    let off = handle.off();
    let seen = ARRIVING.with(|a| {
        let arriving = a.borrow();
        let last = arriving.last()?;
        let known = last.blocks.iter().find(|(at, _)| *at == off);
        Some((last.passing, known.map(|(_, block)| block.clone_ref(py))))
    });
    let passing = match seen {
        Some((_, Some(known))) => return Ok(known),
        Some((passing, None)) => passing,
        None => 0,
    };
    let me = handle.try_me().map_err(errors::too_many_threads)?;
    let sole = refcount::is_sole(&me, off, passing);
    let block = Py::new(py, Block::new(handle, !sole)?)?;
    ARRIVING.with(|a| {
        if let Some(last) = a.borrow_mut().last_mut() {
            last.blocks.push((off, block.clone_ref(py)));
        }
    });
    Ok(block)
}

/// The same of a block whose place and number the value's bytes give.
pub(crate) fn arrived_at(py: Python<'_>, me: &Member, off: Off, id: u64) -> PyResult<Py<Block>> {
    arrived(py, handle::acquire(py, me, off, id)?)
}

#[pymethods]
impl Block {
    /// Counts what is shown of it for the message that is being encoded.
    fn show(&self, bytes: u64) {
        if self.carried {
            collector::note_beside(bytes);
        }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        let (_, args) = collector::reduce(py, &self.handle)?;
        Ok((hooks::ATTACH_BLOCK.get(py)?.clone().unbind(), args))
    }

    // SAFETY: called by the interpreter, with a view to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let it = slf.get();
        // SAFETY: the interpreter's view; the handle keeps the memory, and the view the block.
        unsafe { show(view, slf.as_any(), it.address, it.len, it.readonly, flags) }
    }
}

/// Fills in a view of `len` bytes at `start`, which `keeper` keeps.
///
/// # Safety
/// `view` is what the interpreter gave to be filled in, and the memory stays as long as `keeper`.
pub(crate) unsafe fn show(
    view: *mut ffi::Py_buffer,
    keeper: &Bound<'_, PyAny>,
    start: usize,
    len: usize,
    readonly: bool,
    flags: c_int,
) -> PyResult<()> {
    let start = std::ptr::with_exposed_provenance_mut(start);
    let (len, readonly) = (len as ffi::Py_ssize_t, c_int::from(readonly));
    // SAFETY: the caller's word; FillInfo takes a reference of its own, and sets an exception when it
    // fails.
    let filled =
        unsafe { ffi::PyBuffer_FillInfo(view, keeper.as_ptr(), start, len, readonly, flags) };
    if filled == 0 { Ok(()) } else { Err(PyErr::fetch(keeper.py())) }
}

/// A new block of that many bytes, which have what the memory had before.
#[pyfunction]
#[pyo3(signature = (len, /))]
pub(crate) fn make_block(py: Python<'_>, len: u64) -> PyResult<Block> {
    let me = member::me(py)?;
    let make = || py.detach(|| array::create_buffer(&me, len, None, false));
    Block::new(Handle::adopt(&me, blocking::allocated(py, make)?), false)
}

/// The block in which `len` bytes from `address` on lie, and how far from its start they begin; None
/// where they lie elsewhere.
#[pyfunction]
#[pyo3(signature = (address, len, /))]
pub(crate) fn block_at(
    py: Python<'_>,
    address: usize,
    len: usize,
) -> PyResult<Option<(Block, u64)>> {
    if !any() {
        return Ok(None);
    }
    let runtime = member::here(py)?.runtime().id();
    let Some(place) = find(runtime, address, len) else { return Ok(None) };
    Ok(Some((Block::new(place.handle, true)?, place.start)))
}

/// The block of another process's, attached to here.
#[pyfunction]
pub(crate) fn attach_block(
    py: Python<'_>,
    root: i32,
    memory_fd: i32,
    runtime: u64,
    off: u64,
    id: u64,
    kind: u64,
) -> PyResult<Py<Block>> {
    arrived(py, address::attached(py, root, memory_fd, runtime, off, id, kind)?)
}
