//! How a Rust thread waits in the engine: it has nothing to let go, and its task's interruption ends
//! the wait.

use std::panic::Location;
use std::time::Duration;

use tarefa_engine::atomic::{AtomicU32, Ordering};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::sync::wait::wait_record;
use tarefa_engine::sync::wait::{self, AdaptiveSpin, Awaited, BlockingHooks, Outcome};

use crate::runtime::interrupt::Interrupted;
use crate::runtime::interrupt::{running, taken};

/// See the module.
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
    let value = word.load(Ordering::Relaxed);
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
    let Some((runtime, _)) = running() else {
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
