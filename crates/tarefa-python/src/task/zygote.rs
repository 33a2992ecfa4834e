//! The zygote of Python programs: a fresh interpreter that forks children.

use std::ffi::CString;
use std::os::raw::c_int;

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use tarefa_engine::os::{rlimit, signal};
use tarefa_engine::settings;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::{Off, Runtime};
use tarefa_engine::task;
use tarefa_engine::task::process;
use tarefa_engine::task::process::zygote_control;
use tarefa_engine::task::record::Task;
use tarefa_engine::task::supervisor::{self, AddressIn, Zygote};
use tarefa_engine::task::zygote::{self, Front};

use crate::runtime::errors;
use crate::runtime::hooks;
use crate::runtime::member;
use crate::task::core::TaskCore;

unsafe extern "C" {
    fn PyOS_BeforeFork();
    fn PyOS_AfterFork_Parent();
    fn PyOS_AfterFork_Child();
}

/// Says how the zygote's interpreter is started: arguments, which the address of the runtime and a
/// slot follow, and environment.
#[pyfunction]
pub(crate) fn set_zygote(argv: Vec<Vec<u8>>, envp: Vec<Vec<u8>>) -> PyResult<()> {
    let strings =
        |list: Vec<Vec<u8>>| list.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    supervisor::set_zygote(Zygote::Execute(strings(argv)?, strings(envp)?, AddressIn::Arguments));
    Ok(())
}

/// Whether `set_zygote` has been called.
#[pyfunction]
pub(crate) fn has_zygote() -> bool {
    supervisor::has_zygote()
}

/// Asks for a zygote before one is needed; how it is started is said first.
#[pyfunction]
pub(crate) fn prepare_zygote(py: Python<'_>) -> PyResult<()> {
    if !supervisor::has_zygote() {
        hooks::ENSURE_ZYGOTE_COMMAND.get(py)?.call0()?;
    }
    let me = member::me(py)?;
    process::prepare(&me).map_err(|e| errors::out_of_memory(py, e))
}

/// Sends the zygote bytes, which reach its `message`; whether its spares are of no use from now on
/// until it has heard of them.
#[pyfunction]
#[pyo3(signature = (bytes, makes_spares_stale = false))]
pub(crate) fn send_to_zygote(
    py: Python<'_>,
    bytes: &[u8],
    makes_spares_stale: bool,
) -> PyResult<()> {
    let me = member::me(py)?;
    let sent = zygote_control::get(&me)
        .and_then(|c| zygote::send_message(&me, c, bytes, makes_spares_stale));
    sent.map_err(|e| errors::out_of_memory(py, e))
}

/// How many spares are kept unless somebody sets another number.
#[pyfunction]
pub(crate) fn usual_spares() -> PyResult<u64> {
    process::usual_spares().map_err(|e| PyValueError::new_err(e.to_string()))
}

/// What the tasks of a pool run on where its maker does not say it.
#[pyfunction]
pub(crate) fn usual_kind() -> PyResult<&'static str> {
    let kind = settings::kind().map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok(kind.unwrap_or(settings::KINDS[0]))
}

/// The most spares that may be asked for.
#[pyfunction]
pub(crate) fn most_spares() -> u64 {
    settings::MOST_SPARES
}

/// Sets how many spares are kept.
#[pyfunction]
pub(crate) fn set_spares(py: Python<'_>, count: u64) -> PyResult<()> {
    let me = member::me(py)?;
    process::set_spares(&me, count).map_err(|e| errors::out_of_memory(py, e))
}

/// How deep processes may start processes unless somebody says so.
#[pyfunction]
pub(crate) fn usual_depth() -> PyResult<u64> {
    process::usual_depth().map_err(|e| PyValueError::new_err(e.to_string()))
}

/// Sets that, unless somebody has set another.
#[pyfunction]
pub(crate) fn set_usual_depth(py: Python<'_>, depth: u64) -> PyResult<()> {
    let me = member::me(py)?;
    process::set_usual_depth(&me, depth).map_err(|e| errors::out_of_memory(py, e))
}

/// Sets how deep processes may start processes.
#[pyfunction]
pub(crate) fn set_max_depth(py: Python<'_>, depth: u64) -> PyResult<()> {
    let me = member::me(py)?;
    process::set_max_depth(&me, depth).map_err(|e| errors::out_of_memory(py, e))
}

struct PyFront<'py> {
    py: Python<'py>,
    child: Bound<'py, PyModule>,
}

impl PyFront<'_> {
    fn call(&self, name: &str, args: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>) {
        let result = self.child.getattr(name).and_then(|f| args(&f));
        if let Err(e) = result {
            e.print(self.py);
        }
    }

    fn ask(&self, name: &str) -> bool {
        let mut answer = false;
        self.call(name, |f| {
            answer = f.call0()?.is_truthy()?;
            Ok(())
        });
        answer
    }
}

impl Front for PyFront<'_> {
    fn before_fork(&mut self) {
        // SAFETY: attached; single-threaded.
        unsafe { PyOS_BeforeFork() };
    }

    fn after_fork_in_parent(&mut self) {
        // SAFETY: attached; follows PyOS_BeforeFork.
        unsafe { PyOS_AfterFork_Parent() };
    }

    fn after_fork_in_child(&mut self, _runtime: &'static Runtime, spare: bool) {
        // SAFETY: attached; follows PyOS_BeforeFork; this is the child's only thread.
        unsafe { PyOS_AfterFork_Child() };
        self.call("after_fork", |f| f.call1((spare,)).map(drop));
    }

    fn run(&mut self, runtime: &'static Runtime, task: Off) -> ! {
        let core = TaskCore::at(self.py, &runtime.me(), task);
        let ran = self.child.getattr("run").and_then(|f| f.call1((Py::new(self.py, core?)?,)));
        // `run` leaves by itself; this is an error in it.
        if let Err(e) = ran {
            let why = e.to_string().trim_end_matches([':', ' ']).to_owned();
            let limit = e.is_instance_of::<PyMemoryError>(self.py).then(rlimit::no_private_memory);
            let text = match limit.flatten() {
                Some(limit) => format!("{why}: {limit}"),
                None => why,
            };
            let _ = Task::at(&runtime.me(), task).leave_note(&text, true);
            e.print(self.py);
        }
        zygote::leave(runtime, 70)
    }

    fn message(&mut self, bytes: &[u8]) -> bool {
        let mut changed = false;
        self.call("message", |f| {
            changed = f.call1((bytes,))?.is_truthy()?;
            Ok(())
        });
        changed
    }

    fn before_request(&mut self) -> bool {
        self.ask("before_request")
    }

    fn get_ready(&mut self) {
        self.call("get_ready", |f| f.call0().map(drop));
    }

    fn warm_up(&mut self) -> bool {
        self.ask("warm_up")
    }
}

/// Joins the runtime at that address, in the process slot that its root has taken for this
/// process.
#[pyfunction]
pub(crate) fn join_runtime(
    py: Python<'_>,
    root: i32,
    memory_fd: i32,
    id: u64,
    slot: u32,
) -> PyResult<()> {
    task::register();
    Runtime::attach_in(Address { root, memory_fd, id }, slot)
        .map_err(|e| errors::attach(py, &e))?;
    // What a panic prints takes memory, which a task past its limit has none of.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        rlimit::lift_private_memory();
        print(info);
    }));
    // Ctrl-C in a terminal reaches every process of the group; it is the root's to answer.
    signal::ignore_until_exec(SIGINT, true);
    signal::unblock(SIGINT);
    Ok(())
}

/// Serves as the zygote of the runtime this process has joined; never returns.
#[pyfunction]
pub(crate) fn serve(py: Python<'_>, child: Bound<'_, PyModule>) -> PyResult<()> {
    let runtime = member::me(py)?.runtime();
    zygote::serve(runtime, &mut PyFront { py, child })
}

const SIGINT: c_int = 2;

/// Ends a child whose task has its outcome.
#[pyfunction]
pub(crate) fn leave(code: i32) {
    match Runtime::existing() {
        Some(runtime) => zygote::leave(runtime, code),
        None => tarefa_engine::os::process::exit_now(code),
    }
}
