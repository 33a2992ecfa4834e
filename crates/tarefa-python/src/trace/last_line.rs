//! The last Python line of a process that a fault is about to end.

use pyo3::prelude::*;
use tarefa_engine::os::fault;
use tarefa_engine::shm::Runtime;
use tarefa_engine::task::last_line::{self, ROOM};

use crate::runtime::call_site;
use crate::trace::stack;

/// In the zygote: from now on its children note where they were when a fault ends them.
#[pyfunction]
pub(crate) fn watch_faults(py: Python<'_>) -> PyResult<()> {
    // What `look` only reads.
    call_site::learn_folder(py);
    // SAFETY: it makes system calls, and reads and writes memory that is there for good; the
    // interpreter's own, which may be half changed, is looked at by a copy of the process.
    unsafe { fault::watch(look)? };
    Ok(())
}

fn look() {
    let Some(runtime) = Runtime::existing_unlocked() else { return };
    let mut text = [0; 4096];
    let len = stack::dying(&mut text);
    let mut place = [0; ROOM];
    if let Some(len) = innermost(&text[..len], call_site::known_folder(), &mut place) {
        last_line::note_here(runtime, &place[..len]);
    }
}

/// The innermost line outside of the folder `own` in a stack as `faulthandler` writes it, into
/// `place`; of one that is too long the end of the path. Allocates nothing.
fn innermost(stack: &[u8], own: &str, place: &mut [u8; ROOM]) -> Option<usize> {
    let (file, rest) = stack.split(|b| *b == b'\n').find_map(|line| {
        let named = line.trim_ascii().strip_prefix(b"File \"")?;
        let at = find_last(named, b"\", line ")?;
        let (file, rest) = (&named[..at], &named[at + b"\", line ".len()..]);
        // What a zygote begins with, and what CPython 3.12 puts between C and Python.
        let is_nobodys = file == b"<string>" || file == b"<shim>";
        let is_own = is_nobodys || file.starts_with(own.as_bytes());
        (!is_own).then_some((file, rest))
    })?;
    let rest = &rest[..rest.len().min(ROOM / 2)];
    let file = &file[file.len().saturating_sub(ROOM - 1 - rest.len())..];
    let mut len = 0;
    for part in [file, b":", rest] {
        place[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    Some(len)
}

fn find_last(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).rposition(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(stack: &str) -> Option<String> {
        let mut place = [0; ROOM];
        let len = innermost(stack.as_bytes(), "/lib/tarefa/", &mut place)?;
        Some(String::from_utf8_lossy(&place[..len]).into_owned())
    }

    #[test]
    fn the_innermost_line_of_the_programs_own() {
        let stack = "Stack (most recent call first):\n  File \"/lib/tarefa/_task/_child.py\", line 3 \
                     in run\n  File \"/a \"b\", line 1.py\", line 7 in f\n  File \"/c.py\", line 8 in g\n";
        assert_eq!(found(stack).as_deref(), Some("/a \"b\", line 1.py:7 in f"));
        assert_eq!(found("  File \"<string>\", line 1 in <module>\n"), None);
        assert_eq!(found("  File \"<shim>\", line ??? in <interpreter trampoline>\n"), None);
        assert_eq!(found("  File \"/cut off"), None);
        let long = format!("  File \"/{}/end.py\", line 12 in f\n", "x".repeat(500));
        let place = found(&long).unwrap();
        assert!(place.len() == ROOM && place.ends_with("x/end.py:12 in f"), "{place}");
    }
}
