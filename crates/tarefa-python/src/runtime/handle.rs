//! Handles: what a Python object of tarefa holds.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off, Runtime, object};
use tarefa_engine::task;

use crate::runtime::{errors, hooks};

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

    fn header(&self) -> &'static object::ObjectHeader {
        self.runtime.arena().at(self.off)
    }

    pub(crate) fn id(&self) -> u64 {
        self.header().id.load(tarefa_engine::atomic::Ordering::Relaxed)
    }

    pub(crate) fn kind(&self) -> u64 {
        self.header().kind.load(tarefa_engine::atomic::Ordering::Relaxed)
    }

    /// The same for one of `runtime`.
    pub(crate) fn adopt_in(runtime: &'static Runtime, off: Off) -> Self {
        Self { runtime, off }
    }

    /// Takes one more handle of an object whose reference this process can see.
    pub(crate) fn acquire(py: Python<'_>, me: &Member, off: Off, id: u64) -> PyResult<Self> {
        match refcount::acquire(me, off, id) {
            Ok(true) => Ok(Self::adopt(me, off)),
            Ok(false) => Err(errors::gone(py)),
            Err(e) => Err(errors::out_of_memory(py, e)),
        }
    }

    /// Another process may get it, and may start tasks then.
    pub(crate) fn will_travel(&self, py: Python<'_>) -> PyResult<()> {
        if self.runtime.is_root() && !task::supervisor::has_zygote() {
            hooks::ENSURE_ZYGOTE_COMMAND.get(py)?.call0()?;
        }
        Ok(())
    }
}

/// The only argument, if it is a bare core: a constructor then shares its handle.
pub(crate) fn core_in<'py, T: pyo3::PyClass>(args: &Bound<'py, PyTuple>) -> Option<Bound<'py, T>> {
    if args.len() != 1 {
        return None;
    }
    args.get_item(0).ok()?.cast_exact::<T>().ok().cloned()
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        // The object lives, for this handle does; so this only counts, and cannot fail.
        let _ = self.runtime.with_me(|me| refcount::acquire(me, self.off, self.id()));
        Self { runtime: self.runtime, off: self.off }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.runtime.with_me(|me| refcount::release(me, self.off));
    }
}
