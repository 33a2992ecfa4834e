//! The native halves of what carries data between tasks.

pub(crate) mod connection;
pub(crate) mod deliveries;
mod messages;
mod messages_level;
mod open_state;
pub(crate) mod queue;
mod receivable;
pub(crate) mod watch;

use pyo3::prelude::*;
use tarefa_engine::kinds;

use crate::runtime::registry::{add_class, add_kinds};
use connection::ConnectionCore;
use deliveries::Deliveries;
use queue::QueueCore;
use watch::QueueWatch;

/// Puts the room's classes into the module.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("QueueCore", m.py().get_type::<QueueCore>())?;
    m.add_class::<QueueWatch>()?;
    m.add("ConnectionCore", m.py().get_type::<ConnectionCore>())?;
    m.add_class::<Deliveries>()?;
    add_kinds(&[kinds::QUEUE], |py, h| Ok(Py::new(py, QueueCore::of(h))?.into_any()));
    add_class::<QueueCore>();
    add_kinds(&[kinds::PIPE_END], |py, h| Ok(Py::new(py, ConnectionCore::of(h))?.into_any()));
    add_class::<ConnectionCore>();
    Ok(())
}
