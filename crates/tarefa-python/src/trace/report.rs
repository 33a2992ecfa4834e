//! Reports of who waits for whom, as Python sees them.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tarefa_engine::os::clock;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::member::report_request;
use tarefa_engine::sync::object_kinds::Seen;
use tarefa_engine::trace::report::{self, Report, Standing};
use tarefa_engine::trace::report_words::Words;

use crate::runtime::call_site;
use crate::runtime::handle;
use crate::runtime::member;
use crate::runtime::registry;

/// The task of a thread, if it is there still.
fn task(py: Python<'_>, me: &Member, seen: Option<Seen>) -> PyResult<Py<PyAny>> {
    let Some(seen) = seen else { return Ok(py.None()) };
    match handle::acquire(py, me, seen.off, seen.id) {
        Ok(handle) => registry::wrap(py, handle, seen.kind),
        Err(_) => Ok(py.None()),
    }
}

fn standing<'py>(
    py: Python<'py>,
    me: &Member,
    report: &Report,
    it: &Standing,
) -> PyResult<Bound<'py, PyDict>> {
    let ago = |since: u64| report.at_ns.saturating_sub(since) as f64 / 1e9;
    let d = PyDict::new(py);
    d.set_item("task", task(py, me, it.task)?)?;
    d.set_item("pid", it.pid)?;
    d.set_item("thread", it.tid)?;
    d.set_item("name", it.to_string())?;
    d.set_item("line", &it.place)?;
    let holds: Vec<_> = it.holds.iter().map(|h| (&h.name, h.since_ns.map(ago))).collect();
    d.set_item("holds", holds)?;
    match &it.waits {
        None => d.set_item("waits_for", py.None())?,
        Some(waits) => {
            let names: Vec<_> = waits.things.iter().map(|t| &t.name).collect();
            d.set_item("waits_for", names)?;
            d.set_item("ago", ago(waits.since_ns))?;
            let left = waits.until_ns.map(|u| u.saturating_sub(report.at_ns) as f64 / 1e9);
            d.set_item("left", left)?;
        }
    }
    Ok(d)
}

/// A coroutine that waits: its thread, by its place in the list of threads; name, what it waits for,
/// for how long, where.
type RawAwait = (usize, String, Vec<String>, f64, Option<String>);

/// See [`deadlocks`].
type Raw<'py> =
    (String, f64, Bound<'py, PyList>, Vec<RawAwait>, Vec<Vec<usize>>, Vec<Vec<usize>>, String);

/// Who waits for whom: (text, seconds since it was taken, threads, coroutines, cycles, cycles that will end, a
/// picture).
#[pyfunction]
pub(crate) fn deadlocks(py: Python<'_>) -> PyResult<Raw<'_>> {
    let me = member::me(py)?;
    call_site::note_place(py, &me);
    let known = call_site::own_threads(py).unwrap_or_default();
    let report = py.detach(|| report::deadlocks_with(&me, &known));
    let threads = PyList::empty(py);
    for thread in &report.threads {
        threads.append(standing(py, &me, &report, thread)?)?;
    }
    let awaits = report.awaits.iter().map(|it| {
        let things = it.waits.things.iter().map(|thing| thing.name.clone()).collect();
        let ago = report.at_ns.saturating_sub(it.waits.since_ns) as f64 / 1e9;
        (it.thread, it.name.clone(), things, ago, it.place.clone())
    });
    let awaits = awaits.collect();
    let age = clock::now_ns().saturating_sub(report.at_ns) as f64 / 1e9;
    let picture = report.svg(&Words::ENGLISH);
    Ok((report.to_string(), age, threads, awaits, report.cycles, report.passing, picture))
}

/// Has a wait that lasts longer than so many seconds reported; None turns that off.
#[pyfunction]
pub(crate) fn set_report_after(py: Python<'_>, seconds: Option<f64>) -> PyResult<()> {
    let me = member::me(py)?;
    let after = match seconds {
        None => None,
        Some(s) if s > 0.0 => Duration::try_from_secs_f64(s).ok(),
        Some(s) => {
            let text = format!("report_after must be a number of seconds above 0, or None: {s}");
            return Err(PyValueError::new_err(text));
        }
    };
    report_request::set_report_after(&me, after);
    Ok(())
}

/// After how many seconds a wait is reported; None for never.
#[pyfunction]
pub(crate) fn report_after(py: Python<'_>) -> PyResult<Option<f64>> {
    Ok(report_request::report_after(&member::me(py)?).map(|d| d.as_secs_f64()))
}
