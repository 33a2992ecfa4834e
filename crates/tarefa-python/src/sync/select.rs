//! `select`: waiting for the first of several things.

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::prelude::*;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::select::{self, SelectError, Source};

use crate::runtime::blocking::{PyBlockingHooks, deadline};
use crate::runtime::handle::Slot;
use crate::runtime::member;

/// `EBADF`.
const NOT_OPEN: i32 = 9;

/// What an object gives to be waited for.
pub(crate) trait Waitable: Send + Sync {
    /// What keeps it.
    fn handle(&self) -> &Handle;

    /// What the engine waits for.
    fn selectable<'a>(&'a self, me: &'a Member) -> Box<dyn select::Selectable + 'a>;
}

/// An object to be waited for beside others.
#[pyclass(frozen, module = "tarefa._engine")]
pub(crate) struct Selectable(Box<dyn Waitable>);

impl Selectable {
    pub(crate) fn new(it: impl Waitable + 'static) -> Self {
        Self(Box::new(it))
    }
}

/// Waits until one of the sources is ready: the numbers of all that are, none when `timeout` seconds
/// pass first.
#[pyfunction]
#[pyo3(name = "select")]
pub(crate) fn select_(
    py: Python<'_>,
    sources: Vec<Bound<'_, PyAny>>,
    timeout: Option<f64>,
) -> PyResult<Vec<usize>> {
    let until = deadline(timeout)?;
    let me = member::me(py)?;
    let mut objects = Vec::new();
    let mut fds = Vec::new();
    for source in &sources {
        if let Ok(object) = source.cast::<Selectable>() {
            fds.push(None);
            objects.push(object.get());
        } else {
            let fd: i32 = source.extract().map_err(|_| {
                let what = source.get_type();
                PyTypeError::new_err(format!("select() takes descriptors as int, not {what}"))
            })?;
            fds.push(Some(fd));
        }
    }
    let mes: Vec<_> =
        objects.iter().map(|object| object.0.handle().try_slot()).collect::<PyResult<_>>()?;
    let mut made: Vec<_> =
        objects.iter().zip(&mes).map(|(object, me)| object.0.selectable(me)).collect();
    let mut made = made.iter_mut();
    let mut sources: Vec<Source<'_>> = fds
        .into_iter()
        .filter_map(|fd| match fd {
            Some(fd) => Some(Source::Descriptor(fd)),
            None => made.next().map(|it| Source::Object(it.as_mut())),
        })
        .collect();
    let mut hooks = PyBlockingHooks::new(py);
    select::select(&me, &mut hooks, &mut sources, until).map_err(|e| match e {
        SelectError::Interrupted => hooks.into_error(),
        SelectError::Closed(..) => PyOSError::new_err((NOT_OPEN, e.to_string())),
        SelectError::System(ref system) => {
            PyOSError::new_err((system.raw_os_error().unwrap_or(0), e.to_string()))
        }
    })
}
