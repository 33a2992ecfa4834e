//! Waking who will run a task before the task is there.
//!
//! What sleeps takes tens of microseconds to wake up, and the starter takes as long to look at what the
//! process is to have and to encode what it is to run. So the starter wakes a spare, or the zygote where
//! there is none, as soon as it knows that it will start a process, and both are done at once:
//!
//! ```text
//!  starter                                    spare
//!  wakes it                                   sleeps
//!  encodes the task                           wakes up, looks at its mailbox again and again
//!  gives it the task               ------->   runs it
//! ```
//!
//! It is a hint, and nothing depends on it: the mailbox stays `IDLE`, whoever claims it claims it as
//! ever, and a spare that has looked for [`LOOK`] sleeps again. So a starter that dies or stops in
//! between, or starts nothing after all, leaves nothing; nor does one that gives its task to another
//! spare, because somebody was faster.

use std::time::Duration;

use super::spares::{Spare, mailbox};
use super::zygote_control::{self, Control};
use crate::atomic::{AtomicU32, Ordering};
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::shm::{Member, Runtime};

/// How long one looks: a little longer than most starts take.
const LOOK: Duration = Duration::from_micros(100);

/// In the starter, which is about to start a process: wakes who will run it. Where there is one
/// processor only they would take it from the starter, and nobody is woken.
pub fn rouse(me: &Member) {
    if me.runtime().spins(1) == 0 {
        return;
    }
    let Some(control) = zygote_control::there(me) else { return };
    if let Some(idle) = control.list(me).find(Spare::is_idle) {
        // One that looks already is not asleep, and is not woken.
        futex::wake(&idle.slot.mailbox, 1);
        return;
    }
    if !control.list(me).any(|spare| spare.is_warming()) {
        control.expect_request();
    }
}

impl Control {
    /// The zygote is about to be asked for a process.
    fn expect_request(&self) {
        if self.asleep.load(Ordering::Acquire) != 0 {
            self.expected.store(1, Ordering::Relaxed);
            crash_point!("process.request_expected");
            self.ring();
        }
    }

    /// In the zygote, which has nothing else to do: looks for the request that somebody has said to
    /// come.
    pub(in crate::task) fn look_for_request(&self, runtime: &Runtime) {
        if self.expected.swap(0, Ordering::Relaxed) != 0 {
            look(runtime, || self.has_requests());
        }
        crash_point!("zygote.looked");
    }
}

/// In a spare that was woken: looks whether a task comes.
pub(in crate::task) fn look_for_task(runtime: &Runtime, word: &AtomicU32) {
    let is_there =
        || !matches!(word.load(Ordering::Acquire) & 0xff, mailbox::IDLE | mailbox::CLAIMED);
    look(runtime, is_there);
}

/// Looks again and again, for a short time, whether what another process is about to do is done.
pub(in crate::task) fn look(runtime: &Runtime, is_there: impl Fn() -> bool) {
    if runtime.spins(1) == 0 {
        return;
    }
    let end = Deadline::after(Some(LOOK));
    while !is_there() && !end.passed() {
        for _ in 0..10 {
            std::hint::spin_loop();
        }
    }
}
