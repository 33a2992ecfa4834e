//! What the system knows of a task now.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tarefa_engine::os::procfs;

/// The thread `tid` of process `pid` as a dict; None when there is none.
#[pyfunction]
pub(crate) fn thread_context(
    py: Python<'_>,
    pid: i32,
    tid: i32,
) -> PyResult<Option<Bound<'_, PyDict>>> {
    let Some(stat) = procfs::thread_stat(pid, tid) else { return Ok(None) };
    let d = PyDict::new(py);
    d.set_item("pid", pid)?;
    d.set_item("tid", tid)?;
    d.set_item("letter", stat.state.to_string())?;
    d.set_item("user", stat.user_ns as f64 / 1e9)?;
    d.set_item("system", stat.system_ns as f64 / 1e9)?;
    d.set_item("cpu", stat.cpu)?;
    d.set_item("threads", procfs::stat(pid).map_or(stat.threads, |s| s.threads))?;
    d.set_item("memory", procfs::status_number(pid, tid, "VmRSS").unwrap_or(0))?;
    d.set_item("peak_memory", procfs::status_number(pid, tid, "VmHWM").unwrap_or(0))?;
    d.set_item("voluntary", procfs::status_number(pid, tid, "voluntary_ctxt_switches"))?;
    d.set_item("involuntary", procfs::status_number(pid, tid, "nonvoluntary_ctxt_switches"))?;
    d.set_item("open_files", procfs::open_files(pid))?;
    d.set_item("syscall", procfs::stands(pid, tid).system_call())?;
    Ok(Some(d))
}
