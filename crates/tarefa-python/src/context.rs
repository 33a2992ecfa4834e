//! What the system knows of a task now, and its stacks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{futex, memfd, proc, signal};
use tarefa_engine::shm::slots;

use crate::member;

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
    d.set_item("syscall", proc::blocked_syscall(pid, tid).map(|s| s.0))?;
    Ok(Some(d))
}

extern "C" fn dumped(_: i32) {
    if let Some(runtime) = tarefa_engine::shm::Runtime::existing_unlocked() {
        let slot = runtime.process_slot();
        slot.stack_dumps.fetch_add(1, Ordering::AcqRel);
        futex::wake_all(&slot.stack_dumps);
    }
}

/// Installs what runs after `faulthandler` has written the stacks: before it is registered.
#[pyfunction]
pub(crate) fn prepare_stacks() -> PyResult<()> {
    // SAFETY: the handler only touches atomics and a futex.
    unsafe { signal::handle(signal::stack_signal(), dumped, true)? };
    Ok(())
}

/// Says that this process writes its stacks to descriptor `fd` on the stack signal.
#[pyfunction]
pub(crate) fn offer_stack(py: Python<'_>, fd: i32) -> PyResult<()> {
    let me = member::me(py)?;
    me.runtime().process_slot().stack_fd.store(fd as u32 + 1, Ordering::Release);
    Ok(())
}

/// Has the process in that slot write its stacks; their text, or None when it does not answer
/// within `timeout` seconds.
#[pyfunction]
pub(crate) fn request_stack(py: Python<'_>, slot: u32, timeout: f64) -> PyResult<Option<String>> {
    let me = member::me(py)?;
    let slot = slots::process_slot(me.runtime(), slot);
    let (pid, _) = slots::owner(slot);
    let Some(fd) = slot.stack_fd.load(Ordering::Acquire).checked_sub(1) else { return Ok(None) };
    let path = format!("/proc/{pid}/fd/{fd}");
    // All children of a zygote write to one file: one asks at a time.
    let Ok(file) = std::fs::OpenOptions::new().read(true).write(true).open(&path) else {
        return Ok(None);
    };
    let until = Deadline::after(Some(Duration::from_secs_f64(timeout.clamp(0.0, 60.0))));
    let text = py.detach(|| {
        while !memfd::try_lock(&file) {
            if until.passed() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = slot.stack_dumps.load(Ordering::Acquire);
        file.set_len(0).ok()?;
        signal::send_process(pid, signal::stack_signal()).ok()?;
        while slot.stack_dumps.load(Ordering::Acquire) == before {
            if until.passed() {
                return None;
            }
            futex::wait(&slot.stack_dumps, before, until);
        }
        std::fs::read(&path).ok()
    });
    Ok(text.map(|t| String::from_utf8_lossy(&t).into_owned()))
}
