//! The stack of another process's main thread, without disturbing it.
//!
//! ```text
//!   asker                     the word `stack_dumps` of the asked process's slot
//!   WANTED, signal      ──▶   WRITING ──▶ count + 1, wake
//!   ... no answer ...
//!   WANTED | EVEN_IN_C, signal ──▶ the same
//! ```
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
//! The text goes to a file in the asked process's memory, made when it is first asked.

use std::fmt::Write as _;
use std::time::Duration;

use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{fork_probe, futex, memfd, process, signal};
use tarefa_engine::shm::arena::layout::ProcessSlot;
use tarefa_engine::shm::member::slots;

use crate::runtime::{call_site, member};

/// What `stack_dumps` says in its last bits; the rest counts the times.
const WANTED: u32 = 1;
const WRITING: u32 = 2;
const EVEN_IN_C: u32 = 4;
const STEP: u32 = 8;

/// How long the interpreter has to come to its next bytecode.
const ADAPTIVE_SPIN: Duration = Duration::from_millis(100);
/// As many frames as `faulthandler` writes.
const FRAMES: usize = 100;

/// `faulthandler`'s handler of the stack signal, and the interpreter's.
static FAULTHANDLER: AtomicUsize = AtomicUsize::new(0);
static INTERPRETER: AtomicUsize = AtomicUsize::new(0);
/// The descriptor that is written to.
static STACK_FD: AtomicI32 = AtomicI32::new(-1);
/// Whether a file in memory is behind that descriptor.
static HAS_FILE: AtomicBool = AtomicBool::new(false);

fn count(word: u32) -> u32 {
    word & !(STEP - 1)
}

/// Takes the request for a stack, if there is one, has `write` write it to the descriptor, and
/// says that it is written. Async-signal-safe if `write` is.
fn answer(slot: &ProcessSlot, write: impl FnOnce(i32)) {
    let word = &slot.stack_dumps;
    let asked = word.load(Ordering::Acquire);
    let taken = count(asked) | WRITING;
    if asked & WANTED == 0
        || word.compare_exchange(asked, taken, Ordering::AcqRel, Ordering::Relaxed).is_err()
    {
        return;
    }
    let fd = STACK_FD.load(Ordering::Acquire);
    if has_empty_file(fd) {
        write(fd);
    }
    // SYNC POINT: the text is complete for whoever sees this.
    word.store(count(asked).wrapping_add(STEP), Ordering::Release);
    futex::wake_all(word);
}

/// Has an empty file be behind `fd`. Async-signal-safe.
fn has_empty_file(fd: i32) -> bool {
    if HAS_FILE.load(Ordering::Acquire) {
        return memfd::empty(fd).is_ok();
    }
    let made = memfd::create_at(c"tarefa-stack", fd).is_ok();
    HAS_FILE.store(made, Ordering::Release);
    made
}

/// In the handler of a signal that ends this process: the beginning of the calling thread's stack,
/// innermost first; how many bytes. Async-signal-safe.
pub(crate) fn dying(into: &mut [u8]) -> usize {
    let fd = STACK_FD.load(Ordering::Acquire);
    if fd < 0 || !has_empty_file(fd) {
        return 0;
    }
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

extern "C" fn on_stack_signal(number: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(runtime) = tarefa_engine::shm::Runtime::existing_unlocked() else { return };
    let errno = process::errno();
    let slot = runtime.process_slot();
    // SAFETY: the kernel hands a handler of SA_SIGINFO this thread's own context.
    if unsafe { signal::in_system_call(context) } {
        answer(slot, |_| call(&FAULTHANDLER, number));
    } else if slot.stack_dumps.load(Ordering::Acquire) & EVEN_IN_C != 0 {
        answer(slot, |_| fork_probe::run(|| call(&FAULTHANDLER, number)));
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
        answer(runtime.process_slot(), |fd| memfd::write(fd, text.as_bytes()));
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
    STACK_FD.store(fd, Ordering::Release);
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
    HAS_FILE.store(false, Ordering::Release);
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
    let text = written_text(slot, Some(tid), until)?;
    call_site::in_stack(&String::from_utf8_lossy(&text))
}

/// Says that this process writes its stack when it is asked.
#[pyfunction]
pub(crate) fn offer_stack(py: Python<'_>) -> PyResult<()> {
    member::set_offered(true);
    let me = member::me(py)?;
    let fd = STACK_FD.load(Ordering::Acquire);
    if fd >= 0 {
        me.runtime().process_slot().stack_fd.store(fd as u32 + 1, Ordering::Release);
    }
    Ok(())
}

/// Has the process in that slot write the stack of its main thread; the text, or None when it
/// does not answer within `timeout` seconds.
#[pyfunction]
pub(crate) fn request_stack(py: Python<'_>, slot: u32, timeout: f64) -> PyResult<Option<String>> {
    let me = member::me(py)?;
    let slot = slots::process_slot(me.arena(), slot);
    let until = Deadline::after(Some(Duration::from_secs_f64(timeout.clamp(0.0, 60.0))));
    let text = py.detach(|| written_text(slot, None, until));
    Ok(text.map(|t| String::from_utf8_lossy(&t).into_owned()))
}

/// Of the main thread, or of the thread `tid`. Between two bytecodes the interpreter runs handlers
/// in its main thread only, so another thread is asked to write its stack wherever it stands.
///
/// A request stays one when who made it has given up or died: the next asker finds it made, and
/// sends the signal again.
fn written_text(slot: &'static ProcessSlot, tid: Option<i32>, until: Deadline) -> Option<Vec<u8>> {
    let owner = slots::owner(slot);
    let fd = slot.stack_fd.load(Ordering::Acquire).checked_sub(1)?;
    let word = &slot.stack_dumps;
    let gone = || slots::owner(slot) != owner || until.passed();
    let pid = owner.0;
    let tid = tid.unwrap_or(pid);
    let wishes = [(WANTED, Some(ADAPTIVE_SPIN)), (WANTED | EVEN_IN_C, None)];
    let wishes = if tid == pid { &wishes[..] } else { &wishes[1..] };
    loop {
        let now = word.load(Ordering::Acquire);
        let written = count(now).wrapping_add(STEP);
        for &(wish, patience) in wishes {
            if gone() {
                return None;
            }
            if ask(word, count(now), wish) {
                signal::send_thread(pid, tid, signal::stack_signal()).ok()?;
            }
            let patience = Deadline::after(patience).min(until);
            loop {
                let seen = word.load(Ordering::Acquire);
                if count(seen) != count(now) || gone() || patience.passed() {
                    break;
                }
                futex::wait(word, seen, patience);
            }
        }
        if gone() {
            return None;
        }
        let text = std::fs::read(format!("/proc/{pid}/fd/{fd}")).ok()?;
        // Otherwise it was written over meanwhile, by the answer to somebody else.
        if word.load(Ordering::Acquire) & !(WANTED | EVEN_IN_C) == written {
            return Some(text);
        }
    }
}

/// Notes a wish, unless the stack is being written or was written since; whether to send the
/// signal.
fn ask(word: &tarefa_engine::atomic::AtomicU32, count_before: u32, wish: u32) -> bool {
    word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
        (count(now) == count_before && now & WRITING == 0).then_some(now | wish)
    })
    .is_ok()
}
