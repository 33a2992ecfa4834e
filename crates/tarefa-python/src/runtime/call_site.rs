//! Where in a Python program a thread stands, noted before it sleeps.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::sync::wait::wait_record;

use crate::runtime::hooks;
use crate::runtime::once::name;

/// Frames that are looked at, to find one that is not this package's.
const FRAMES: usize = 16;

struct Noted {
    /// The thread's name in the runtime: another one means that nothing is noted there yet.
    thread: u64,
    /// The code whose line was noted last.
    code: Py<PyAny>,
    line: i32,
}

thread_local! {
    static NOTED: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

static FOLDER: OnceLock<String> = OnceLock::new();

/// Learns in which folder this package is: of a thread that only `faulthandler` tells of, there is
/// nothing else to know its frames by.
pub(crate) fn learn_folder(py: Python<'_>) {
    if FOLDER.get().is_none() {
        let found = hooks::FOLDER.get(py).and_then(|folder| folder.extract());
        FOLDER.get_or_init(|| found.unwrap_or_else(|_| "\0".to_owned()));
    }
}

/// The folder of this package, once it is learnt; no path begins with what it is before.
pub(crate) fn known_folder() -> &'static str {
    FOLDER.get().map_or("\0", String::as_str)
}

/// Notes that the calling thread stands in the frame, or in the first around it that is not this
/// package's.
#[pyfunction]
pub(crate) fn note_frame(frame: &Bound<'_, PyAny>) {
    if let Some(runtime) = Runtime::existing_unlocked() {
        // What was noted last for the sake of reports is not there any more.
        let _ = NOTED.try_with(|noted| noted.try_borrow_mut().map(|mut noted| noted.take()).ok());
        if let Ok(me) = runtime.try_me() {
            let _ = note_outside(frame.py(), &me, frame);
        }
    }
}

/// Whether code of this package runs in the frame: by the name of its module.
fn is_own(frame: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = frame.py();
    let globals = frame.getattr(name!(py, "f_globals"))?.cast_into::<PyDict>()?;
    let name = globals.get_item(name!(py, "__name__"))?;
    let name = name.as_ref().and_then(|name| name.cast::<PyString>().ok());
    Ok(name.is_some_and(|name| {
        let name = name.to_string_lossy();
        name == "tarefa" || name.starts_with("tarefa.")
    }))
}

/// Notes where the calling thread stands, and once what it is called. Nothing is noted where
/// that cannot be found out.
#[inline]
pub(crate) fn note_place(py: Python<'_>, me: &Member) {
    // SAFETY: attached; borrowed from the running thread, and null outside of Python code.
    let frame = unsafe { ffi::PyEval_GetFrame() };
    if frame.is_null() {
        return;
    }
    // SAFETY: a frame that runs has a code; the reference is new.
    let code = unsafe { Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(frame).cast()) };
    // SAFETY: as above.
    let line = unsafe { ffi::PyFrame_GetLineNumber(frame) };
    let known = NOTED.try_with(|noted| {
        let Ok(noted) = noted.try_borrow() else { return false };
        noted.as_ref().is_some_and(|n| {
            n.thread == me.name() && n.line == line && n.code.as_ptr() == code.as_ptr()
        })
    });
    if known.unwrap_or(true) {
        return;
    }
    // SAFETY: the frame is alive, and gets a reference of its own.
    let frame = unsafe { Bound::from_borrowed_ptr(py, frame.cast()) };
    note_new(py, me, &frame, code, line);
}

#[cold]
fn note_new(
    py: Python<'_>,
    me: &Member,
    frame: &Bound<'_, PyAny>,
    code: Bound<'_, PyAny>,
    line: i32,
) {
    let mut names_it = false;
    let found = note_outside(py, me, frame);
    let _ = NOTED.try_with(|noted| {
        let Ok(mut noted) = noted.try_borrow_mut() else { return };
        names_it = noted.as_ref().is_none_or(|n| n.thread != me.name());
        // A line of this package's own says nothing of who called it.
        let line = if found == Ok(0) { line } else { -1 };
        let before = noted.replace(Noted { thread: me.name(), code: code.unbind(), line });
        drop(before);
    });
    if names_it {
        if let Ok(name) = thread_name(py) {
            wait_record::label(me, &name);
        }
    }
}

/// Notes the innermost frame outside of this package; how far out it is.
fn note_outside(py: Python<'_>, me: &Member, frame: &Bound<'_, PyAny>) -> Result<usize, ()> {
    if let Some((depth, file, line, function)) = outside(py, frame).map_err(drop)? {
        wait_record::place(me, &file, line, &function);
        return Ok(depth);
    }
    // A thread of ours, or a worker that waits for work: what was noted before is over.
    wait_record::no_place(me);
    Err(())
}

/// The innermost frame that is neither this package's nor what a thread or a process begins with: how
/// far out it is, its file, line and function.
fn outside(
    py: Python<'_>,
    frame: &Bound<'_, PyAny>,
) -> PyResult<Option<(usize, String, u32, String)>> {
    let mut at = frame.clone();
    let mut inner: Option<Bound<'_, PyAny>> = None;
    for depth in 0..FRAMES {
        if at.is_none() {
            break;
        }
        if !is_own(&at)? {
            if let Some(inner) = &inner {
                let (_, _, function) = parts(inner)?;
                if begins_process(&function.to_string_lossy()) {
                    break;
                }
            }
            let (file, line, function) = parts(&at)?;
            let (file, function) = (file.to_string_lossy(), function.to_string_lossy());
            if !begins_thread(&file, &function) {
                return Ok(Some((depth, file.into_owned(), line, function.into_owned())));
            }
        }
        let back = at.getattr(name!(py, "f_back"))?;
        inner = Some(std::mem::replace(&mut at, back));
    }
    Ok(None)
}

/// Whether a function of ours is the first of a process that we start: what is around it is not the
/// program's.
fn begins_process(function: &str) -> bool {
    matches!(function, "run_zygote" | "freeze_support")
}

/// Whether it is a function of `threading` with which each thread begins.
fn begins_thread(file: &str, function: &str) -> bool {
    file.ends_with("/threading.py") && matches!(function, "run" | "_bootstrap" | "_bootstrap_inner")
}

/// File, line and function of a frame.
fn parts<'py>(
    frame: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyString>, u32, Bound<'py, PyString>)> {
    let py = frame.py();
    let code = frame.getattr(name!(py, "f_code"))?;
    let line: Option<u32> = frame.getattr(name!(py, "f_lineno"))?.extract()?;
    let text = |name| -> PyResult<Bound<'py, PyString>> { Ok(code.getattr(name)?.cast_into()?) };
    let file = text(name!(py, "co_filename"))?;
    Ok((file, line.unwrap_or(0), text(name!(py, "co_name"))?))
}

/// The innermost place outside of this package in a stack as `faulthandler` writes it.
pub(crate) fn in_stack(text: &str) -> Option<String> {
    let own = known_folder();
    for line in text.lines() {
        let named = line.trim().strip_prefix("File \"").and_then(|l| l.rsplit_once("\", line "));
        let Some((file, rest)) = named else { continue };
        let function = rest.split_once(" in ").map_or("", |(_, function)| function);
        if file.starts_with(own) {
            if begins_process(function) {
                break;
            }
        } else if file != "<shim>" && !begins_thread(file, function) {
            return Some(format!("{file}:{rest}"));
        }
    }
    None
}

/// What `threading` calls the calling thread, if it knows it.
///
/// From where the property `name` takes it: that is Python code, in which the exception of a
/// signal's handler or of an interrupt would be raised, to be lost here.
fn thread_name(py: Python<'_>) -> PyResult<String> {
    let threading = PyModule::import(py, "threading")?;
    let ident = threading.call_method0(name!(py, "get_ident"))?;
    threading.getattr(name!(py, "_active"))?.get_item(ident)?.getattr("_name")?.extract()
}

/// Where all threads of this process stand, by their numbers in the system.
pub(crate) fn own_threads(py: Python<'_>) -> PyResult<BTreeMap<i32, String>> {
    let frames = PyModule::import(py, "sys")?.call_method0(name!(py, "_current_frames"))?;
    let active = PyModule::import(py, "threading")?.getattr(name!(py, "_active"))?;
    let mut places = BTreeMap::new();
    for pair in active.call_method0("copy")?.call_method0("items")?.try_iter()? {
        let (ident, thread): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let tid: Option<i32> = thread.getattr("native_id")?.extract()?;
        let at = frames.call_method1("get", (ident,))?;
        let Some(tid) = tid else { continue };
        if let Some((_, file, line, function)) = outside(py, &at)? {
            places.insert(tid, format!("{file}:{line} in {function}"));
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_or_process_begins_with_is_no_place() {
        FOLDER.get_or_init(|| "/lib/tarefa/".to_owned());
        let stack = |lines: &[(&str, &str)]| {
            let line = |(file, function): &(&str, &str)| {
                format!("  File \"{file}\", line 7 in {function}\n")
            };
            in_stack(&lines.iter().map(line).collect::<String>())
        };
        let worker = ("/lib/tarefa/_worker.py", "work");
        let zygote = ("/lib/tarefa/_hooks.py", "run_zygote");
        assert_eq!(stack(&[worker, zygote, ("<string>", "<module>")]), None);
        assert_eq!(
            stack(&[worker, ("<string>", "<module>")]).as_deref(),
            Some("<string>:7 in <module>")
        );
        let begins = [("/py/threading.py", "run"), ("/py/threading.py", "_bootstrap")];
        assert_eq!(stack(&[worker, begins[0], begins[1]]), None);
        assert_eq!(stack(&[worker, ("/a.py", "f"), begins[0]]).as_deref(), Some("/a.py:7 in f"));
    }
}
