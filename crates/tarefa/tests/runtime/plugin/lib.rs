//! A library with tarefa in it, for `tests/runtime/plugin.rs`.

use std::time::Duration;

use tarefa::{Process, Thread};

const LONG: Option<Duration> = Some(Duration::from_secs(50));

fn one_more(n: u32) -> u32 {
    n + 1
}

fn run(process: bool) -> Result<u32, Box<dyn std::error::Error>> {
    if process {
        Ok(Process::spawn(one_more, (41,))?.result(LONG)?)
    } else {
        Ok(Thread::spawn(one_more, (41,))?.result(LONG)?)
    }
}

/// Runs a task, a process or a thread, and writes what came of it to `answer`. Returns how many bytes.
///
/// # Safety
/// `answer` is writable for `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plugin_run(process: bool, answer: *mut u8, room: usize) -> usize {
    let text = run(process).map_or_else(|e| e.to_string(), |n| n.to_string());
    let len = text.len().min(room);
    // SAFETY: the caller's promise.
    unsafe { answer.copy_from_nonoverlapping(text.as_ptr(), len) };
    len
}
