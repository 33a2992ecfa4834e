//! The stack of a thread of another process, without disturbing it: how Python writes it. How it is
//! asked for, see [`tarefa_engine::trace::stack_request`].
//!
//! A signal may come between any two instructions of the evaluation loop, where the chain of
//! frames is half changed: `faulthandler` in a handler reads what is not there and crashes, about
//! once in a thousand times where functions are called all the time. So what answers depends on
//! where the thread is:
//!
//! - in a system call its frames stand still: `faulthandler` writes them in the handler;
//! - else the interpreter is asked, whose own handler runs between two bytecodes;
//! - else, so in a call of native code that computes, `faulthandler` writes them in a copy of the
//!   process, which may crash without harm.
//!
//! A thread that the interpreter does not know has no stack of Python, and says so.

use std::fmt::Write as _;
use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicUsize, Ordering};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{fork_probe, memfd, process, signal};
use tarefa_engine::shm::member::slots;
use tarefa_engine::trace::stack_request::{self, Asks};

use crate::runtime::{call_site, member};

/// As many frames as `faulthandler` writes.
const FRAMES: usize = 100;

/// `faulthandler`'s handler of the stack signal, and the interpreter's.
static FAULTHANDLER: AtomicUsize = AtomicUsize::new(0);
static INTERPRETER: AtomicUsize = AtomicUsize::new(0);
/// In the handler of a signal that ends this process: the beginning of the calling thread's stack,
/// innermost first; how many bytes. Async-signal-safe.
pub(crate) fn dying(into: &mut [u8]) -> usize {
    let Some(fd) = stack_request::empty_file() else { return 0 };
    // Its frames may be half changed, or nonsense.
    fork_probe::run(|| call(&FAULTHANDLER, signal::stack_signal()));
    memfd::read_start(fd, into)
}

fn call(handler: &AtomicUsize, signal: i32) {
    let address = handler.load(Ordering::Acquire);
    if address != 0 {
        // SAFETY: `prepare_stacks` has stored a handler that was installed for this signal
        // without SA_SIGINFO.
        let handler: extern "C" fn(i32) = unsafe { std::mem::transmute(address) };
        handler(signal);
    }
}

extern "C" fn on_stack_signal(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(runtime) = tarefa_engine::shm::Runtime::existing_unlocked() else { return };
    let errno = process::errno();
    let slot = runtime.process_slot();
    // SAFETY: the kernel hands a handler of SA_SIGINFO what came with the signal.
    stack_request::note_carried(slot, unsafe { signal::queued_value(info) });
    // SAFETY: it looks at a variable of the thread, and may be called without being attached.
    let is_native = unsafe { ffi::PyGILState_GetThisThreadState() }.is_null();
    // SAFETY: the kernel hands a handler of SA_SIGINFO this thread's own context.
    let in_system_call = unsafe { signal::in_system_call(context) };
    if is_native {
        stack_request::answer(slot, |_| ());
    } else if in_system_call {
        stack_request::answer(slot, |_| call(&FAULTHANDLER, number));
    } else if stack_request::is_wanted_in_native(slot) {
        stack_request::answer(slot, |_| fork_probe::run(|| call(&FAULTHANDLER, number)));
    } else {
        call(&INTERPRETER, number);
    }
    process::set_errno(errno);
}

/// The interpreter's handler of the stack signal: writes the stack that ends with `frame`.
#[pyfunction]
#[pyo3(signature = (signal, frame, /))]
pub(crate) fn write_stack(signal: i32, frame: &Bound<'_, PyAny>) {
    debug_assert_eq!(signal, signal::stack_signal());
    if let Some(runtime) = tarefa_engine::shm::Runtime::existing_unlocked() {
        let text = stack_text(frame);
        stack_request::answer(runtime.process_slot(), |fd| memfd::write(fd, text.as_bytes()));
    }
}

/// As `faulthandler` writes it; what cannot be read ends it.
fn stack_text(innermost: &Bound<'_, PyAny>) -> String {
    let mut text = String::new();
    let mut next = Some(innermost.clone());
    let mut left = FRAMES;
    while let Some(frame) = next.take().filter(|f| left > 0 && !f.is_none()) {
        left -= 1;
        next = write_frame(&mut text, &frame).ok();
    }
    text
}

fn write_frame<'py>(text: &mut String, frame: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let code = frame.getattr("f_code")?;
    let (file, name) = (code.getattr("co_filename")?, code.getattr("co_name")?);
    let line: Option<u32> = frame.getattr("f_lineno")?.extract()?;
    let line = line.map_or_else(|| "???".to_owned(), |n| n.to_string());
    let _ = writeln!(text, "  File \"{file}\", line {line} in {name}");
    frame.getattr("f_back")
}

/// The signal that makes a process write its stack.
#[pyfunction]
pub(crate) fn stack_signal() -> i32 {
    signal::stack_signal()
}

/// Takes over the stack signal, with `install_faulthandler` and `install_interpreter` installing
/// what writes the stack to `fd`; the latter may be None.
#[pyfunction]
pub(crate) fn prepare_stacks(
    fd: i32,
    install_faulthandler: &Bound<'_, PyAny>,
    install_interpreter: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let number = signal::stack_signal();
    stack_request::set_file(fd);
    let installs =
        [(Some(install_faulthandler), &FAULTHANDLER), (install_interpreter, &INTERPRETER)];
    for (install, handler) in installs {
        let Some(install) = install else { continue };
        install.call0()?;
        handler.store(signal::handler(number)?, Ordering::Release);
    }
    // SAFETY: the handler touches atomics, makes system calls, and calls what was installed as a
    // handler.
    unsafe { signal::handle_with_context(number, on_stack_signal)? };
    Ok(())
}

/// In the child of a fork of the program's own: what its parent wrote to is not its.
#[pyfunction]
pub(crate) fn forget_stack() {
    member::set_offered(false);
    stack_request::forget_file();
}

/// Where the thread `tid` of the process in slot `process` stands, in the words of
/// [`tarefa_engine::sync::wait::wait_record::place`]; needs no interpreter of this process's.
pub(crate) fn locate(process: u32, pid: i32, tid: i32, millis: u64) -> Option<String> {
    let runtime = tarefa_engine::shm::Runtime::existing_unlocked()?;
    let slot = slots::process_slot(runtime.arena(), process);
    if slots::owner(slot).0 != pid {
        return None;
    }
    let until = Deadline::after(Some(Duration::from_millis(millis)));
    let text = stack_request::text(slot, tid, until, Asks::BySlot)?;
    call_site::in_stack(&String::from_utf8_lossy(&text))
}

/// Says that this process writes its stack when it is asked.
#[pyfunction]
pub(crate) fn offer_stack(py: Python<'_>) -> PyResult<()> {
    member::set_offered(true);
    let me = member::me(py)?;
    stack_request::offer(me.runtime().process_slot());
    Ok(())
}

/// Has the process in that slot write the stack of its main thread; the text, or None when it
/// does not answer within `timeout` seconds.
#[pyfunction]
pub(crate) fn request_stack(py: Python<'_>, slot: u32, timeout: f64) -> PyResult<Option<String>> {
    let me = member::me(py)?;
    let slot = slots::process_slot(me.arena(), slot);
    let until = Deadline::after(Some(Duration::from_secs_f64(timeout.clamp(0.0, 60.0))));
    let pid = slots::owner(slot).0;
    let text = py.detach(|| stack_request::text(slot, pid, until, Asks::BySlot));
    Ok(text.map(|t| String::from_utf8_lossy(&t).into_owned()))
}
