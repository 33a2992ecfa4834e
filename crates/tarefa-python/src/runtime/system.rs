//! What the machine and the runtime are.

use std::ffi::CString;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tarefa_engine::atomic::Ordering;
use tarefa_engine::os::heap as own_memory;
use tarefa_engine::os::{cgroup, machine, process, procfs, rlimit, signal, spawn, title};
use tarefa_engine::shm::arena::layout::process_state;
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Runtime, heap};
use tarefa_engine::task::process::zygote_control;
use tarefa_engine::task::{role, thread_timer};
use tarefa_engine::units;

use crate::runtime::errors;
use crate::runtime::member;

/// Processors this process can use.
#[pyfunction]
pub(crate) fn cpu_count() -> usize {
    machine::cpu_count()
}

/// Threads of this process, by the system's count.
#[pyfunction]
pub(crate) fn own_threads() -> usize {
    procfs::own_threads()
}

/// `SIGKILL` for 9.
#[pyfunction]
pub(crate) fn signal_name(signal: i32) -> String {
    signal::name(signal)
}

/// Looks where this process's command line is, for `show_name` here and in children.
#[pyfunction]
pub(crate) fn prepare_title() {
    title::prepare();
}

/// Names the calling thread for `ps` and `top`, and the process, where it is known where its command
/// line is.
#[pyfunction]
pub(crate) fn show_name(name: &str) {
    process::set_thread_name(name);
    let title = ["tarefa: ", name.strip_prefix("tarefa-").unwrap_or(name)].concat();
    // SAFETY: the interpreter has copied its arguments before it runs any program.
    unsafe { title::set(&title) };
}

/// Whether this process made the runtime it is in; None without a runtime.
#[pyfunction]
pub(crate) fn is_root() -> Option<bool> {
    Runtime::existing().map(Runtime::is_root)
}

/// Whether this process has references to shared objects.
#[pyfunction]
pub(crate) fn has_references() -> bool {
    Runtime::existing().is_some_and(Runtime::has_references)
}

/// What this process has of shared objects stays from the calling thread's next fork on.
#[pyfunction]
pub(crate) fn keep_for_child() {
    refcount::keep_for_child();
}

/// In the parent of that fork: the child has references of its own, or there is none.
#[pyfunction]
pub(crate) fn child_is_there() {
    refcount::child_is_there();
}

/// In the child of a fork: makes it a member with references of its own, so that what it inherited stays.
#[pyfunction]
pub(crate) fn keep_after_fork() {
    if let Some(runtime) = Runtime::existing_unlocked() {
        runtime.with_me(|_| ());
    }
}

/// Whether this process was forked from a member of its runtime, otherwise than as a task.
#[pyfunction]
pub(crate) fn was_forked() -> bool {
    Runtime::existing().is_some_and(Runtime::was_forked)
}

/// (descriptors, processes, memory of the cgroup): None is unlimited.
#[pyfunction]
pub(crate) fn system_limits() -> (Option<u64>, Option<u64>, Option<u64>) {
    (rlimit::descriptors(), rlimit::processes(), cgroup::memory())
}

/// Has the system keep this process's own large pieces of memory in large pages.
#[pyfunction]
pub(crate) fn use_large_pages(least: u64) {
    own_memory::use_large_pages(least);
}

/// Which limit keeps this process from another thread, most likely, and what to do.
#[pyfunction]
pub(crate) fn no_thread() -> String {
    rlimit::no_thread()
}

/// Bytes of a size as in `64M`; None where it is none.
#[pyfunction]
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    units::parse_size(text)
}

/// The memory limit of the task that runs here, if any, holds no longer: its target is over.
#[pyfunction]
pub(crate) fn lift_memory_limit() {
    rlimit::lift_private_memory();
}

/// No thread of this process is interrupted for its time limit any more: the program ends.
#[pyfunction]
pub(crate) fn stop_thread_timer(py: Python<'_>) {
    py.detach(thread_timer::stop);
}

/// (root pid, descriptor, id) of the runtime.
#[pyfunction]
pub(crate) fn address(py: Python<'_>) -> PyResult<(i32, i32, u64)> {
    let a = member::me(py)?.runtime().address();
    Ok((a.root, a.memory_fd, a.id))
}

/// What is in the runtime now; None without one.
#[pyfunction]
pub(crate) fn diagnostics(py: Python<'_>) -> PyResult<Option<Bound<'_, PyDict>>> {
    let Some(runtime) = Runtime::existing() else { return Ok(None) };
    let me = runtime.try_me().map_err(errors::too_many_threads)?;
    let h = me.header();
    let d = PyDict::new(py);
    let claimed = h.claimed.load(Ordering::Relaxed);
    d.set_item("arena_claimed", claimed)?;
    d.set_item("arena_used", heap::in_use(&me))?;
    d.set_item("arena_limit", h.limit.load(Ordering::Relaxed))?;
    d.set_item("objects", h.objects.load(Ordering::Relaxed))?;
    let (mut tasks, mut members, mut zygote, mut pids) = (0, 0, None, Vec::new());
    for index in slots::processes(runtime.arena()) {
        let slot = slots::process_slot(runtime.arena(), index);
        let (pid, state) = slots::owner(slot);
        if state != process_state::LIVE {
            continue;
        }
        members += 1;
        match slot.role.load(Ordering::Relaxed) {
            role::ZYGOTE => zygote = Some(pid),
            role::TASK => tasks += 1,
            role::SPARE => {}
            _ => continue,
        }
        pids.push(pid);
    }
    let threads = slots::threads(runtime.arena())
        .filter(|t| slots::thread_slot(runtime.arena(), *t).tid.load(Ordering::Relaxed) != 0)
        .count();
    d.set_item("task_processes", tasks)?;
    d.set_item("process_slots", members)?;
    d.set_item("thread_slots", threads)?;
    d.set_item("zygote_pid", zygote)?;
    d.set_item("pids", pids)?;
    let (ready, all, wanted, misses, zygotes) =
        zygote_control::get(&me).map_or((0, 0, 0, 0, 0), |c| {
            let (ready, all) = c.count_spares(&me);
            let load = |w: &tarefa_engine::atomic::AtomicU64| w.load(Ordering::Relaxed);
            (ready, all, load(&c.spares_wanted), load(&c.misses), load(&c.zygotes))
        });
    d.set_item("spares", ready)?;
    d.set_item("spares_all", all)?;
    d.set_item("spares_wanted", wanted)?;
    d.set_item("misses", misses)?;
    d.set_item("zygotes", zygotes)?;
    Ok(Some(d))
}

/// For the crash harness: kills this process at the `nth` pass of a named point.
#[cfg(feature = "crash-points")]
#[pyfunction]
pub(crate) fn arm_crash_point(name: &str, nth: u64) {
    tarefa_engine::shm::tx::crash_point::arm(name, nth);
}

/// Starts a program that ends with the calling thread: the first of `paths` that can be
/// executed. `streams` become its input, output and error; -1 leaves this process's.
#[pyfunction]
pub(crate) fn spawn_program(
    py: Python<'_>,
    paths: Vec<Vec<u8>>,
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
    folder: Option<Vec<u8>>,
    streams: [i32; 3],
) -> PyResult<i32> {
    let strings =
        |list: Vec<Vec<u8>>| list.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    let named = strings(vec![argv.first().cloned().unwrap_or_default()])?;
    let (paths, argv, envp) = (strings(paths)?, strings(argv)?, strings(envp)?);
    let folder = folder.map(CString::new).transpose()?;
    let setup =
        spawn::Setup { streams: Some(streams), folder: folder.clone(), ..spawn::Setup::default() };
    let spawned = py.detach(|| spawn::spawn_any(&paths, &argv, &envp, &setup));
    spawned.map_err(|(e, folder_failed)| {
        let what = if folder_failed { folder.as_ref() } else { named.first() };
        let name = what.map(|n| n.to_string_lossy().into_owned());
        let number = e.raw_os_error().unwrap_or(0);
        // SAFETY: strerror answers any number with a string, used before the next call.
        let text = unsafe { std::ffi::CStr::from_ptr(libc::strerror(number)) };
        PyOSError::new_err((number, text.to_string_lossy().into_owned(), name))
    })
}

/// Makes the runtime of this process, if there is none.
#[pyfunction]
pub(crate) fn prepare_runtime(py: Python<'_>) -> PyResult<()> {
    member::me(py).map(drop)
}
