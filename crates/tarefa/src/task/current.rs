//! The task that runs on the calling thread, and its interruption.

use std::cell::Cell;
use std::panic::Location;
use std::time::Duration;

use tarefa_engine::atomic::AtomicU32;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::{Member, Off, Runtime};
use tarefa_engine::sync::wait::wait_record;
use tarefa_engine::sync::wait::{self, AdaptiveSpin, Awaited, BlockingHooks, Outcome};
use tarefa_engine::task::record::Task;

use crate::convert::handle::Handle;
use crate::task::TaskHandle;
use crate::task::failure::Interrupted;

thread_local! {
    static CURRENT: Cell<Option<(&'static Runtime, Off)>> = const { Cell::new(None) };
}

/// The calling thread runs the task at `off`, which somebody holds until [`leave`].
pub(crate) fn enter(runtime: &'static Runtime, off: Off) {
    CURRENT.set(Some((runtime, off)));
}

pub(crate) fn leave() {
    CURRENT.set(None);
}

/// The task that runs on the calling thread, if one does.
pub(crate) fn running() -> Option<(&'static Runtime, Off)> {
    CURRENT.get()
}

/// Whether the calling thread runs the task at `off` of `runtime`.
pub(crate) fn is(runtime: &'static Runtime, off: Off) -> bool {
    CURRENT.get().is_some_and(|(r, o)| o == off && std::ptr::eq(r, runtime))
}

/// The task that runs on the calling thread; `None` outside of one.
///
/// ```
/// use tarefa::{Thread, current_task};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let task = Thread::new(|| current_task().map(|t| t.name()), ()).named("ana");
/// task.start()?;
/// assert_eq!(task.result(None)?.as_deref(), Some("ana"));
/// assert!(current_task().is_none());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn current_task() -> Option<TaskHandle> {
    let (runtime, off) = CURRENT.get()?;
    runtime.with_me(|me| Handle::of(me, off)).map(TaskHandle::of)
}

/// Gives an interruption of the task that runs here its chance: call it now and then in a
/// computation that does not wait in tarefa. Each `interrupt()` is reported once, here or by
/// the wait it ends.
///
/// # Errors
/// [`Interrupted`] when `interrupt()` was called on the task.
#[inline]
pub fn check_interrupt() -> Result<(), Interrupted> {
    if taken() { Err(Interrupted) } else { Ok(()) }
}

/// How long the task that runs here was to run, if that has passed.
pub(crate) fn passed_limit() -> Option<Duration> {
    let (runtime, off) = CURRENT.get()?;
    runtime.with_me(|me| {
        let task = Task::at(me, off);
        task.time_limit().filter(|_| task.over_time())
    })
}

fn taken() -> bool {
    CURRENT.get().is_some_and(|(runtime, off)| {
        runtime.with_me(|me| {
            let task = Task::at(me, off);
            task.interrupt_due() && task.take_interrupt()
        })
    })
}

/// How a Rust thread waits in the engine: nothing to let go, and the task's interruption ends
/// the wait.
#[derive(Debug)]
pub(crate) struct RustParker;

impl BlockingHooks for RustParker {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        taken()
    }
}

/// The same, and says where the program stands meanwhile.
#[derive(Debug)]
pub(crate) struct Here(&'static Location<'static>);

impl Here {
    /// At the caller.
    #[track_caller]
    pub(crate) fn now() -> Self {
        Self(Location::caller())
    }
}

impl BlockingHooks for Here {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        taken()
    }

    fn place(&mut self, me: &Member) {
        wait_record::place(me, self.0.file(), self.0.line(), "");
        if me.slot().label.is_empty() {
            if let Some(name) = std::thread::current().name().filter(|n| *n != "main") {
                wait_record::label(me, name);
            }
        }
    }
}

/// Never comes: what a sleeper waits for.
struct Never {
    word: &'static AtomicU32,
    value: u32,
}

impl Awaited for Never {
    fn word(&self) -> &'static AtomicU32 {
        self.word
    }

    fn is_pause(&self) -> bool {
        true
    }

    fn ready(&mut self) -> bool {
        false
    }

    fn announce(&mut self) -> Option<u32> {
        Some(self.value)
    }
}

/// Sleeps until `deadline`, or until the task is interrupted.
#[track_caller]
pub(crate) fn sleep_until(me: &Member, deadline: Deadline) -> Result<(), Interrupted> {
    // The mailbox of a process that runs does not change.
    let word = &me.runtime().process_slot().mailbox;
    let value = word.load(tarefa_engine::atomic::Ordering::Relaxed);
    let mut never = Never { word, value };
    match wait::wait_spinning(me, &mut Here::now(), &mut never, deadline, &AdaptiveSpin::new(0, 0))
    {
        Outcome::Interrupted => Err(Interrupted),
        Outcome::TimedOut | Outcome::Ready => Ok(()),
    }
}

/// Sleeps, unless the task that runs here is interrupted.
///
/// # Errors
/// [`Interrupted`].
#[track_caller]
pub fn sleep(duration: Duration) -> Result<(), Interrupted> {
    let Some((runtime, _)) = CURRENT.get() else {
        std::thread::sleep(duration);
        return Ok(());
    };
    let Ok(me) = runtime.try_me() else {
        // In a destructor, after the task: nobody interrupts it any more.
        std::thread::sleep(duration);
        return Ok(());
    };
    sleep_until(&me, Deadline::after(Some(duration)))
}
