//! An interrupt from outside: an observer only reads, so who interrupts a task joins its program for that
//! moment, as any program does that is given an address.

use crate::kinds;
use crate::os::signal;
use crate::shm::object::address::ObjectAddress;
use crate::shm::object::attach::{Refused, attach};
use crate::shm::object::refcount;
use crate::task::record::Task;

/// Interrupts the task at an address: a process at once where it waits or sleeps, a thread at its next
/// wait of the engine's. False where it has ended. This process is a member of the program from then on,
/// so one that only looks has another process do this.
///
/// # Errors
/// [`Refused`].
pub fn interrupt(at: &ObjectAddress) -> Result<bool, Refused> {
    if at.kind != kinds::TASK {
        return Err(Refused::Kind(at.kind));
    }
    let me = attach(at)?.me();
    let task = Task::at(&me, at.off);
    let lives = !task.state().is_final();
    if lives {
        task.request_interrupt();
        // One that may not be signalled hears of it at its next wait.
        let _ = task.send_signal(signal::interrupt_signal(), false);
    }
    refcount::release(&me, at.off);
    Ok(lives)
}
