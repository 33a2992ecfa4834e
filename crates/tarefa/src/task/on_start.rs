//! What is called in each process before its target.

use std::panic;

use tarefa_engine::atomic::{AtomicPtr, Ordering};
use tarefa_engine::os::code_place::CodePlace;

use crate::runtime::own_copy::{self, Unreachable};
use crate::task::target::{self, Ended};

/// A function of this program, or null.
static FUNCTION: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Has `function` called in each process before its target: in those that this process starts
/// from now on, and in those that they start. A process begins with fresh statics, so this is where
/// what a program sets up at its start (a logger, a random generator) is set up once more. The
/// last call counts.
///
/// If it panics, the task has failed, with what the panic said. Threads do not call it.
///
/// ```
/// use std::sync::OnceLock;
/// use tarefa::{Process, on_process_start};
///
/// static PREFIX: OnceLock<String> = OnceLock::new();
///
/// fn set_up() {
///     PREFIX.get_or_init(|| format!("[{}]", std::process::id()));
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// on_process_start(set_up);
/// let task = Process::spawn(|| PREFIX.get().cloned(), ())?;
/// assert_eq!(task.result(None)?, task.pid().map(|pid| format!("[{pid}]")));
/// # Ok(())
/// # }
/// ```
pub fn on_process_start(function: fn()) {
    // not shared: a pointer of this process alone.
    FUNCTION.store(function as *mut (), Ordering::Release);
}

/// Where that function lies, for another process; `None` without one.
pub(super) fn place() -> Result<Option<CodePlace>, Unreachable> {
    match FUNCTION.load(Ordering::Acquire) as usize {
        0 => Ok(None),
        address => own_copy::place(address).map(Some),
    }
}

/// In a task's process: calls the function at `address`; what it panics with is the end of the
/// task.
///
/// # Safety
/// The address is that of a place which [`place`] gave, in this process or another of the program.
pub(super) unsafe fn run(address: usize) -> Result<(), Ended> {
    // SAFETY: the caller's promise: such a place is that of a `fn()`, which `on_process_start` took.
    let function = unsafe { std::mem::transmute::<usize, fn()>(address) };
    on_process_start(function);
    panic::catch_unwind(function).map_err(target::panicked)
}
