//! What the system knows of a task now.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tarefa_engine::os::proc;

/// The thread `tid` of process `pid` as a dict; None when there is none.
#[pyfunction]
pub(crate) fn thread_context(
    py: Python<'_>,
    pid: i32,
    tid: i32,
) -> PyResult<Option<Bound<'_, PyDict>>> {
    let Some(stat) = proc::thread_stat(pid, tid) else { return Ok(None) };
    let d = PyDict::new(py);
    d.set_item("pid", pid)?;
    d.set_item("tid", tid)?;
    d.set_item("letter", stat.state.to_string())?;
    d.set_item("user", stat.user_ns as f64 / 1e9)?;
    d.set_item("system", stat.system_ns as f64 / 1e9)?;
    d.set_item("cpu", stat.cpu)?;
    d.set_item("threads", proc::stat(pid).map_or(stat.threads, |s| s.threads))?;
    d.set_item("memory", proc::status_number(pid, tid, "VmRSS").unwrap_or(0))?;
    d.set_item("peak_memory", proc::status_number(pid, tid, "VmHWM").unwrap_or(0))?;
    d.set_item("voluntary", proc::status_number(pid, tid, "voluntary_ctxt_switches"))?;
    d.set_item("involuntary", proc::status_number(pid, tid, "nonvoluntary_ctxt_switches"))?;
    d.set_item("open_files", proc::open_files(pid))?;
    d.set_item("syscall", proc::stands(pid, tid).system_call())?;
    Ok(Some(d))
}
