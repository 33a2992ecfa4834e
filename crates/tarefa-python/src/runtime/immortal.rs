//! Objects that the interpreter does not count any more, for `tarefa._task._immortal`, which knows
//! where a count may say so.

use std::collections::{HashMap, HashSet};
use std::ffi::{c_int, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple, PyType};

/// Gives objects the count of those that are never freed, and what only the garbage collector does
/// not know: numbers, texts and code that they refer to.
///
/// Not objects of the types in `passing`, which are what runs at the moment.
#[pyfunction]
pub(crate) fn make_immortal(objects: &Bound<'_, PyList>, passing: &Bound<'_, PyTuple>) {
    let passing = passing.iter().filter_map(|one| one.cast_into::<PyType>().ok());
    let mut found = Found {
        seen: HashSet::with_capacity(4 * objects.len()),
        todo: Vec::new(),
        types: HashMap::new(),
        passing: passing.map(|one| one.as_type_ptr()).collect(),
    };
    for object in objects {
        found.follow(object.as_ptr());
    }
    for object in found.seen {
        // SAFETY: the caller answers for an interpreter whose objects begin with the count, of
        // which the lower half, all ones, means immortal; both processors of this crate store it
        // first. The interpreter's lock is held, and the object is alive: the list has it, or an
        // object that is alive refers to it, and nothing ran since that was seen.
        unsafe { object.cast::<u32>().write(u32::MAX) };
    }
}

/// How objects of a type are asked what they refer to, and whether they are to be asked.
type Asked = (ffi::traverseproc, Option<ffi::inquiry>);

struct Found {
    seen: HashSet<*mut ffi::PyObject>,
    todo: Vec<*mut ffi::PyObject>,
    /// None for types whose objects the collector does not know.
    types: HashMap<*mut ffi::PyTypeObject, Option<Asked>>,
    passing: Vec<*mut ffi::PyTypeObject>,
}

impl Found {
    /// Notes an object, and what can be reached from it without passing others that the collector
    /// knows. In Python that takes ten times as long, and somebody may wait for a process meanwhile.
    fn follow(&mut self, first: *mut ffi::PyObject) {
        self.todo.push(first);
        while let Some(object) = self.todo.pop() {
            // SAFETY: the object is alive, for what refers to it is, and nothing else runs.
            let kind = unsafe { ffi::Py_TYPE(object) };
            if self.passing.contains(&kind) || self.seen.contains(&object) {
                continue;
            }
            let asked = *self.types.entry(kind).or_insert_with(|| asked(kind));
            // SAFETY: the type's own functions, called with an object of that type. A traversal only
            // visits: it neither counts nor frees, and runs no code of Python.
            unsafe {
                let asked = asked.filter(|(_, ask)| ask.is_none_or(|ask| ask(object) != 0));
                if let Some((traverse, _)) = asked {
                    // One that it knows is in the list by itself, or is not to be touched.
                    if object != first && ffi::PyObject_GC_IsTracked(object) != 0 {
                        continue;
                    }
                    traverse(object, visit, (&raw mut self.todo).cast());
                }
            }
            self.seen.insert(object);
        }
    }
}

fn asked(kind: *mut ffi::PyTypeObject) -> Option<Asked> {
    // SAFETY: the type is alive, for an object of it is. The slots have the functions that their
    // numbers stand for, or nothing.
    unsafe {
        if ffi::PyType_GetFlags(kind) & ffi::Py_TPFLAGS_HAVE_GC == 0 {
            return None;
        }
        let traverse = ffi::PyType_GetSlot(kind, ffi::Py_tp_traverse);
        let is_collected = ffi::PyType_GetSlot(kind, ffi::Py_tp_is_gc);
        if traverse.is_null() {
            return None;
        }
        let traverse = std::mem::transmute::<*mut c_void, ffi::traverseproc>(traverse);
        let ask = std::mem::transmute::<*mut c_void, Option<ffi::inquiry>>(is_collected);
        Some((traverse, ask))
    }
}

extern "C" fn visit(object: *mut ffi::PyObject, todo: *mut c_void) -> c_int {
    // SAFETY: `follow` hands over its own vector, which nothing else looks at during a traversal.
    unsafe { (*todo.cast::<Vec<*mut ffi::PyObject>>()).push(object) };
    0
}
