//! The methods of [`TaskCore`].

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyWeakrefReference};
use tarefa_engine::collections::value::{self, Item};
use tarefa_engine::os::clock;
use tarefa_engine::os::pidfd;
use tarefa_engine::os::pipe;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::blob;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::{select, wait::Overdue};
use tarefa_engine::task::cause_of_death::Death;
use tarefa_engine::task::last_line::LastLine;
use tarefa_engine::task::limits;
use tarefa_engine::task::record::{self, ReturnWhen, Task, flag};
use tarefa_engine::task::thread_timer;
use tarefa_engine::task::{State, process};
use tarefa_engine::units::{Seconds, Size};

use crate::convert::collector;
use crate::convert::encode::{APART, PICKLE};
use crate::convert::{bytes, encode, out_of_band};
use crate::runtime::blocking::{self, DetachedHooks, PyBlockingHooks, deadline, tick};
use crate::runtime::handle::Slot as _;
use crate::runtime::signals::mind_signals_of_main;
use crate::runtime::{call_site, errors, member};
use crate::sync::select::{Selectable, Waitable};
use crate::task::core::{ERROR, TaskCore, exit_code};
use crate::task::unraisable;

/// What is to run: bytes, and the buffers beside them.
type Payload<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyList>>);

#[pymethods]
impl TaskCore {
    #[new]
    fn new(
        py: Python<'_>,
        thread: bool,
        daemon: bool,
        name: &Bound<'_, PyString>,
    ) -> PyResult<Self> {
        let me = member::me(py)?;
        let kind = if thread { flag::THREAD } else { flag::INTERRUPT_SIGNAL };
        let flags = kind | if daemon { flag::DAEMON } else { 0 };
        let off = if let Ok(name) = name.to_str() {
            blocking::allocated(py, || record::create(&me, flags, name))?
        } else {
            let name = with_surrogates(name)?;
            blocking::allocated(py, || record::create(&me, flags, &name))?
        };
        Ok(Self::of(Handle::adopt(&me, off)))
    }

    /// What waits for its end beside other things.
    fn selectable(&self) -> Selectable {
        Selectable::new(Ended(self.handle.clone()))
    }

    /// The number of its state.
    #[getter]
    fn state(&self) -> u32 {
        self.with(|t| t.state() as u32)
    }

    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        match String::from_utf8(self.with(|t| t.name_bytes())) {
            Ok(name) => Ok(PyString::new(py, &name)),
            Err(other) => {
                let bytes = PyBytes::new(py, other.as_bytes());
                Ok(bytes.call_method1("decode", ("utf-8", "surrogatepass"))?.cast_into()?)
            }
        }
    }

    #[setter]
    fn set_name(&self, name: &Bound<'_, PyString>) -> PyResult<()> {
        let bytes = with_surrogates(name)?;
        blocking::allocated(name.py(), || self.with(|t| t.set_name(&bytes)))
    }

    #[getter]
    fn daemon(&self) -> bool {
        self.with(|t| t.flags() & flag::DAEMON != 0)
    }

    #[setter]
    fn set_daemon(&self, daemon: bool) {
        let (set, clear) = if daemon { (flag::DAEMON, 0) } else { (0, flag::DAEMON) };
        self.with(|t| t.change_flags(set, clear));
    }

    #[getter]
    fn is_thread(&self) -> bool {
        self.with(|t| t.is_thread())
    }

    #[getter]
    fn outcome_lost(&self) -> bool {
        self.with(|t| t.flags() & flag::OUTCOME_LOST != 0)
    }

    #[getter]
    fn pid(&self) -> Option<i32> {
        Some(self.with(|t| t.pid())).filter(|p| *p != 0)
    }

    #[getter]
    fn tid(&self) -> Option<i32> {
        Some(self.with(|t| t.tid())).filter(|t| *t != 0)
    }

    /// The process that started it, while that lives: (its pid, the task that it runs, or None).
    fn starter(&self, py: Python<'_>) -> PyResult<Option<(i32, Option<Self>)>> {
        let me = self.handle.try_slot()?;
        let Some((pid, off)) = self.with(|t| t.starter()) else { return Ok(None) };
        let task = off.and_then(|off| Self::at(py, &me, off).ok());
        // What lies there now may be something else, if that process has ended meanwhile.
        let same = self.with(|t| t.starter()) == Some((pid, off));
        Ok(Some((pid, task.filter(|_| same))))
    }

    /// The exit code, or minus the signal's number; None while there is none.
    #[getter]
    fn exitcode(&self) -> Option<i32> {
        self.with(|t| t.exit()).map(|exit| exit_code(Some(exit)))
    }

    /// Sets how many nanoseconds it may run, and how many bytes of memory it may take beyond what
    /// its process starts with; before it is started.
    #[pyo3(signature = (time = None, memory = None))]
    fn set_limits(&self, time: Option<u64>, memory: Option<u64>) {
        self.with(|t| t.set_limits(time.map(Duration::from_nanos), memory));
    }

    /// How many seconds it may run.
    #[getter]
    fn time_limit(&self) -> Option<f64> {
        self.with(|t| t.time_limit()).map(|t| t.as_secs_f64())
    }

    /// How many bytes of memory it may take.
    #[getter]
    fn memory_limit(&self) -> Option<u64> {
        self.with(|t| t.memory_limit())
    }

    /// `ran longer than its time limit of 0.5 s`: what is said of one whose time is up.
    fn over_time_words(&self) -> String {
        limits::over_time_words(self.with(|t| t.time_limit()).unwrap_or_default())
    }

    /// `0.5 s`: its time limit, in words.
    fn time_limit_words(&self) -> String {
        Seconds(self.with(|t| t.time_limit()).unwrap_or_default()).to_string()
    }

    /// `512 MiB`: its memory limit, in words.
    fn memory_limit_words(&self) -> String {
        Size(self.with(|t| t.memory_limit()).unwrap_or_default()).to_string()
    }

    /// What there is to say of the end of its process, of a task that was killed: `was ended by
    /// SIGKILL before it had a result; ...`.
    fn death_words(&self) -> String {
        self.with(|t| Death::of(t).words().to_string())
    }

    /// Where in its program it was when its process died, as far as that is known: the line where
    /// it was broken (true), or where it was seen last.
    fn last_line(&self) -> Option<(String, bool)> {
        let line = self.with(|t| t.last_line())?;
        Some((line.place().to_owned(), matches!(line, LastLine::Broken(_))))
    }

    /// Whether its time was up before it ended.
    #[getter]
    fn over_time(&self) -> bool {
        self.with(|t| t.over_time())
    }

    /// In its thread, whose number is `ident`: has `exception` raised there when its time is up.
    fn arm_time_limit(
        slf: Py<Self>,
        py: Python<'_>,
        ident: u64,
        exception: Py<PyAny>,
    ) -> PyResult<()> {
        let core = slf.get();
        let Some(at) = core.with(|t| t.deadline()) else { return Ok(()) };
        let shared = slf.clone_ref(py);
        let act = move || {
            Python::try_attach(|py| shared.get().time_is_up(py, ident, &exception));
        };
        let kept = thread_timer::keep(at, Arc::new(act)).map_err(|e| {
            let errno = e.raw_os_error().unwrap_or(0);
            errors::new(py, "StartError", (errno, format!("no thread to keep its time: {e}")))
        })?;
        *core.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(())
    }

    /// New becomes Starting; false if it was started before. Who will run a process is woken, and
    /// wakes up while the task is encoded.
    fn begin(&self) -> bool {
        self.handle.with_me(|me| {
            let task = Task::at(me, self.handle.off());
            let begun = task.begin();
            if begun && !task.is_thread() {
                process::rouse(me);
            }
            begun
        })
    }

    /// Back to New, after a start that failed.
    fn unbegin(&self) {
        self.with(|t| t.unbegin());
    }

    /// Encodes and stores what is to run.
    fn set_payload(
        &self,
        py: Python<'_>,
        payload: &Bound<'_, PyAny>,
        dumps: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let runtime = self.handle.runtime().id();
        let made = encode::pickled(dumps, payload, runtime)?;
        let item = made.item()?;
        blocking::allocated(py, || match item {
            Item::Blob(tag, bytes, refs) => self.with(|t| t.set_payload(tag, &[bytes], refs)),
            Item::Parts(tag, parts, refs) => self.with(|t| t.set_payload(tag, parts, refs)),
            Item::Word(_) => Ok(()),
        })
    }

    /// The bytes of what is to run, and the buffers beside them.
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Option<Payload<'py>>> {
        let me = self.handle.try_slot()?;
        let Some(off) = Task::at(&me, self.handle.off()).payload() else { return Ok(None) };
        // SAFETY: the payload of a task that runs is freed by its process alone, which is this one, with
        // the interpreter's lock.
        let bytes = unsafe { blob::bytes(&me, off) };
        Ok(Some(if blob::tag(&me, off) == APART {
            let (pickle, buffers) = out_of_band::taken(py, bytes)?;
            (pickle, Some(buffers))
        } else {
            (bytes::bytes_of(py, bytes)?, None)
        }))
    }

    /// Frees what was to run, which this process has read, if it mentions ends of pipes.
    fn drop_payload(&self) {
        self.with(|t| t.drop_payload_with_ends());
    }

    /// Starts it as a process.
    /// `descriptors` come with it.
    #[pyo3(signature = (descriptors = Vec::new()))]
    fn start_process(&self, py: Python<'_>, descriptors: Vec<i32>) -> PyResult<()> {
        let handle = &self.handle;
        let me = handle.try_slot()?;
        let mut hooks = DetachedHooks::default();
        let result = py
            .detach(|| process::start(&me, &Task::at(&me, handle.off()), &descriptors, &mut hooks));
        result.map_err(|e| hooks.into_error().unwrap_or_else(|| errors::start(py, e)))
    }

    /// The calling thread, a process's main one, runs it from now on; false if it is not to be run.
    fn run_here(slf: &Bound<'_, Self>) -> bool {
        unraisable::runs_here(slf, true);
        slf.get().with(|t| t.run_here())
    }

    /// Has its outcome before it ends: `finish` without one follows.
    #[pyo3(signature = (is_error = false, value = None, dumps = None))]
    fn deliver(
        &self,
        is_error: bool,
        value: Option<&Bound<'_, PyAny>>,
        dumps: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.with_outcome(is_error, value, dumps, |task, outcome| task.deliver(outcome))
    }

    /// Whether its outcome is there, though it may run still.
    fn delivered(&self) -> bool {
        self.with(|t| t.delivered())
    }

    /// Waits for its outcome; false when `timeout` seconds pass first.
    #[pyo3(signature = (timeout = None))]
    fn join_outcome(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let until = deadline(timeout)?;
        let mut hooks = PyBlockingHooks::new(py);
        let outcome = self.with(|t| t.join_outcome(&mut hooks, until));
        hooks.verdict(outcome)
    }

    /// Ends it. `encoded` is None, or (is an error, value, function that encodes).
    #[pyo3(signature = (state, code, is_error = false, value = None, dumps = None))]
    fn finish(
        &self,
        state: u32,
        code: i32,
        is_error: bool,
        value: Option<&Bound<'_, PyAny>>,
        dumps: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let state = State::from_number(state);
        self.with_outcome(is_error, value, dumps, |task, outcome| task.finish(state, code, outcome))
    }

    /// (is an error, value), once there is an outcome.
    fn outcome(&self, py: Python<'_>) -> PyResult<Option<(bool, Py<PyAny>)>> {
        let me = self.handle.try_slot()?;
        let Some(off) = Task::at(&me, self.handle.off()).outcome() else { return Ok(None) };
        let tag = blob::tag(&me, off);
        // SAFETY: an outcome does not change, and is freed with the record, which this handle keeps.
        let bytes = unsafe { blob::bytes(&me, off) };
        if tag == 0 {
            let word = bytes.try_into().map_or(0, u64::from_le_bytes);
            return Ok(Some((false, encode::decode_word(py, word)?)));
        }
        if tag == value::tag::OBJECT {
            // Held by the outcome, until there is a handle of its own.
            let held = blob::hold(&me, off).map_err(|e| errors::out_of_memory(py, e))?;
            return Ok(Some((false, encode::decode_object(py, &me, held.first())?)));
        }
        let how = if tag == ERROR { PICKLE } else { tag };
        Ok(Some((tag == ERROR, encode::decode_bytes(py, how, bytes)?)))
    }

    /// Waits for its end; false when `timeout` seconds pass first.
    #[pyo3(signature = (timeout = None))]
    fn join(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let until = deadline(timeout)?;
        let mut hooks = PyBlockingHooks::new(py);
        let outcome = Task::at(&self.handle.try_slot()?, self.handle.off()).join(&mut hooks, until);
        hooks.verdict(outcome)
    }

    /// Has `join`, of `threading`, join the thread `thread`, which runs it, and says meanwhile
    /// that the calling thread waits for it. Whether it has ended: a join that a signal cuts short
    /// makes `threading`, up to 3.12, take it for that.
    #[pyo3(signature = (join, thread, timeout = None))]
    fn join_thread(
        &self,
        py: Python<'_>,
        join: &Bound<'_, PyAny>,
        thread: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<bool> {
        let until = deadline(timeout)?;
        let me = self.handle.try_slot()?;
        let task = Task::at(&me, self.handle.off());
        let state = task.state();
        if state == State::New {
            return Ok(false);
        }
        let join = |timeout: Option<f64>| match timeout {
            None => join.call1((thread,)),
            some => join.call1((thread, some)),
        };
        if state.is_final() {
            return join(timeout).map(|_| true);
        }
        call_site::note_place(py, &me);
        mind_signals_of_main(&me);
        let start = clock::now_ns();
        let _noted = task.note_join(start, until);
        let overdue = Overdue::new();
        let due = overdue.due(&me, start);
        let first = until.min(due).left().map(|d| d.as_secs_f64());
        join(first.or(timeout))?;
        if until.min(due) == until || !due.passed() || task.state().is_final() {
            return Ok(task.state().is_final());
        }
        overdue.ask(&me);
        join(until.left().map(|d| d.as_secs_f64()))?;
        Ok(task.state().is_final())
    }

    /// Asks for an interrupt and makes its thread look around.
    #[pyo3(name = "request_interrupt")]
    fn py_request_interrupt(&self) {
        self.request_interrupt();
    }

    /// Makes its thread look around.
    fn wake(&self) {
        self.with(|t| t.wake());
    }

    /// Has `exception` raised in the thread `ident`, which runs it; false if its target is over.
    #[pyo3(name = "raise_in_target")]
    fn py_raise_in_target(&self, ident: u64, exception: &Bound<'_, PyAny>) -> bool {
        self.raise_in_target(ident, exception)
    }

    /// In its process: that exception is raised in its target now, for it was interrupted.
    fn note_delivered(&self, interrupt: &Bound<'_, PyAny>) -> PyResult<()> {
        let weak = PyWeakrefReference::new(interrupt)?.unbind();
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let before = delivered.replace(weak);
        drop(delivered);
        drop(before);
        Ok(())
    }

    /// In its thread: the target is over. What is still to be raised there is dropped.
    fn end_target(&self, py: Python<'_>) {
        unraisable::ended_here();
        let mut raising = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        raising.over = true;
        let set = raising.set;
        drop(raising);
        if set {
            // Raised and dropped, not taken back: before CPython 3.13 the evaluation loop would be
            // told to look for it for ever, and with a tracer it does nothing else then.
            let _ = tick(py);
        }
        drop(self.kept.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The calling thread, of a task that is one, runs it from now on. Whether it was interrupted
    /// before. An error where the thread has no slot: it was started, so it ends, by that error.
    fn run_thread(slf: &Bound<'_, Self>) -> PyResult<bool> {
        unraisable::runs_here(slf, false);
        let core = slf.get();
        let has_slot = core.handle.try_slot();
        let interrupted = core.with(|t| t.run_here() && t.interrupt_due() && t.take_interrupt());
        has_slot.map(|_| interrupted)
    }

    /// Takes an interrupt that was asked for and not delivered.
    fn take_interrupt(&self) -> bool {
        self.with(|t| t.take_interrupt())
    }

    /// Whether an interrupt was asked for and not delivered.
    fn interrupt_due(&self) -> bool {
        self.with(|t| t.interrupt_due())
    }

    /// Whether its thread sleeps in a wait of tarefa's.
    fn waits_here(&self) -> bool {
        self.with(|t| t.waits_here())
    }

    /// Sends a signal to its process; false when that has ended. `kills` says that a death that
    /// follows is our own doing.
    #[pyo3(signature = (signal, kills = false))]
    fn send_signal(&self, signal: i32, kills: bool) -> PyResult<bool> {
        let sent = self.with(|t| t.send_signal(signal, kills));
        sent.map_err(|e| PyOSError::new_err((e.raw_os_error().unwrap_or(0), e.to_string())))
    }

    /// Whether somebody has sent it a signal that kills.
    #[getter]
    fn killed_by_us(&self) -> bool {
        self.with(|t| t.flags() & flag::KILLED_BY_US != 0)
    }

    /// Notes that somebody has asked for its outcome and gets it.
    fn note_retrieved(&self) {
        self.with(|t| t.mark_retrieved());
    }

    /// Whether it has failed, and nobody has asked about that or told of it.
    fn is_untold(&self) -> bool {
        self.with(|t| t.is_untold())
    }

    /// Whether the caller is to tell of its failure: says so once.
    fn claim_telling(&self) -> bool {
        self.with(|t| t.mark_told())
    }

    /// Before its end, by who runs it: nobody is to be told of that.
    fn keep_quiet(&self) {
        self.with(|t| t.mark_told_already());
    }

    /// When its failure is to be told at the latest, on the monotonic clock in nanoseconds.
    #[getter]
    fn tell_at(&self) -> Option<u64> {
        self.with(|t| t.tell_at())
    }

    /// When who is to tell of it is to be reminded.
    #[getter]
    fn remind_at(&self) -> u64 {
        self.with(|t| t.remind_at())
    }

    /// Whether nothing refers to it but this process's handles, of which there are no more than
    /// `handles`.
    fn is_last_handle(&self, handles: u64) -> bool {
        self.with(|t| t.is_last_handle(handles))
    }

    /// A new descriptor, the caller's to close, that is readable once its process has ended.
    fn process_descriptor(&self, py: Python<'_>) -> PyResult<i32> {
        let me = self.handle.try_slot()?;
        let task = Task::at(&me, self.handle.off());
        if let Ok(fd) = pidfd::open_kept(task.pid()) {
            if task.process().is_some() {
                return Ok(fd.into_raw_fd());
            }
        }
        Ok(event(py, 1)?.into_raw_fd())
    }

    /// (user s, system s, wall s, peak bytes, voluntary, involuntary) of a task that has ended.
    fn usage(&self) -> (f64, f64, f64, u64, u64, u64) {
        let (u, wall) = self.with(|t| (t.usage(), t.wall_ns()));
        let s = |ns: u64| ns as f64 / 1e9;
        (s(u.user_ns), s(u.system_ns), s(wall), u.peak_bytes, u.voluntary, u.involuntary)
    }

    /// The process slot it runs in, for asking for its stacks.
    fn process_slot(&self) -> Option<u32> {
        self.with(|t| t.process())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        collector::reduce(py, &self.handle)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> (u64, u64) {
        (self.handle.runtime().id(), self.handle.id())
    }

    /// A new event descriptor, the caller's to close; readable at once if `ready`.
    #[staticmethod]
    fn event_descriptor(py: Python<'_>, ready: bool) -> PyResult<i32> {
        Ok(event(py, u32::from(ready))?.into_raw_fd())
    }

    /// Makes an event descriptor readable.
    #[staticmethod]
    fn signal_descriptor(fd: i32) {
        // SAFETY: the caller, `tarefa._task._thread`, owns the descriptor while this call lasts.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        debug_assert!(fd.as_raw_fd() >= 0);
        pipe::signal_event(fd);
    }
}

/// A name's text, of which lone surrogates have the bytes that UTF-8 would give them.
fn with_surrogates(name: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    name.call_method1("encode", ("utf-8", "surrogatepass"))?.extract()
}

impl TaskCore {
    /// Encodes an outcome and gives it to `act`.
    fn with_outcome(
        &self,
        is_error: bool,
        value: Option<&Bound<'_, PyAny>>,
        dumps: Option<&Bound<'_, PyAny>>,
        act: impl FnOnce(&Task<'_>, Option<record::Outgoing<'_>>),
    ) -> PyResult<()> {
        let Some(value) = value else {
            self.with(|task| act(task, None));
            return Ok(());
        };
        let me = self.handle.try_slot()?;
        let task = Task::at(&me, self.handle.off());
        let encoded = match dumps {
            Some(dumps) => encode::pickled(dumps, value, self.handle.runtime().id())?,
            None => encode::encode(&me, value)?,
        };
        match encoded.item()? {
            Item::Word(word) => act(&task, Some((0, &[&word.to_le_bytes()], &[]))),
            Item::Blob(tag, bytes, refs) => {
                let tag = if is_error { ERROR } else { tag };
                act(&task, Some((tag, &[bytes], refs)));
            }
            Item::Parts(tag, parts, refs) => act(&task, Some((tag, parts, refs))),
        }
        Ok(())
    }
}

/// The descriptors that came with this process's task, the caller's to close.
#[pyfunction]
pub(crate) fn take_descriptors() -> Vec<i32> {
    process::take_descriptors().into_iter().map(IntoRawFd::into_raw_fd).collect()
}

/// The most descriptors that come with a task.
#[pyfunction]
pub(crate) fn most_descriptors() -> usize {
    process::MOST_DESCRIPTORS
}

struct Ended(Handle);

impl Waitable for Ended {
    fn handle(&self) -> &Handle {
        &self.0
    }

    fn selectable<'a>(&'a self, me: &'a Member) -> Box<dyn select::Selectable + 'a> {
        Box::new(Task::at(me, self.0.off()).selectable())
    }
}

fn event(py: Python<'_>, value: u32) -> PyResult<OwnedFd> {
    pipe::event(value).map_err(|e| {
        let errno = e.raw_os_error().unwrap_or(0);
        errors::new(
            py,
            "StartError",
            (errno, format!("no descriptor for the sentinel: {e} [RLIMIT_NOFILE]")),
        )
    })
}

/// Waits for tasks until `when`, a constant of `concurrent.futures`, is met; false when `timeout`
/// seconds pass first.
#[pyfunction]
pub(crate) fn join_several(
    py: Python<'_>,
    tasks: Vec<Py<TaskCore>>,
    timeout: Option<f64>,
    when: &str,
) -> PyResult<bool> {
    let when = match when {
        "FIRST_COMPLETED" => ReturnWhen::FirstCompleted,
        "FIRST_EXCEPTION" => ReturnWhen::FirstFailed,
        "ALL_COMPLETED" => ReturnWhen::AllCompleted,
        _ => return Err(PyValueError::new_err(format!("no such constant: {when}"))),
    };
    let until = deadline(timeout)?;
    let handles: Vec<_> = tasks.iter().map(|task| &task.get().handle).collect();
    let mes = handles.iter().map(|handle| handle.try_slot()).collect::<PyResult<Vec<_>>>()?;
    let Some(me) = mes.first() else { return Ok(true) };
    let records: Vec<_> =
        handles.iter().zip(&mes).map(|(handle, me)| Task::at(me, handle.off())).collect();
    let mut hooks = PyBlockingHooks::new(py);
    let outcome = record::join_several(me, &records, when, &mut hooks, until);
    hooks.verdict(outcome)
}
