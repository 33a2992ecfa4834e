//! The zygote: a single-threaded process that forks the children that run tasks.
//!
//! ```text
//!  starter                     zygote                          child
//!  -------                     ------                          -----
//!  idle spare? mailbox=TASK ------------------------------->  wakes, runs the task
//!  else push request, ring ->  take slot (EMBRYO)
//!                              pop request into slot.task
//!                              fork sibling ---------------->  hatch: slot is LIVE
//!                              hatch (either may be first)     Running ... outcome
//!  sees FORKED          <----  state |= FORKED                 state = Finished, ring, _exit
//! ```
//!
//! The zygote collects its children and leaves their status in their slots, where the root's
//! supervisor finds it: a program that waits for any child of its own never meets a task. What
//! happens when the root or the zygote ends is in `crate::task::zygote::root_exit`.

pub(crate) mod root_exit;

use std::time::Duration;

use super::record::{self, Task};
use super::role;
use crate::atomic::{Ordering, fence};
use crate::os::clock::Deadline;
use crate::os::{child, futex, process, rlimit, spawn};
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::member::slots;
use crate::shm::object::blob;
use crate::shm::tx::journal::Tx;
use crate::shm::{Member, Runtime};
use crate::task::process::zygote_control;
use crate::task::process::zygote_control::{Control, mailbox, zygote_state};

/// What a language does in the zygote and in its children.
pub trait Front {
    /// Before a fork, in the zygote.
    fn before_fork(&mut self);
    /// After it, in the zygote.
    fn after_fork_in_parent(&mut self);
    /// After it, in the child; `spare` says that no task waits yet, so there is time to warm up.
    fn after_fork_in_child(&mut self, runtime: &'static Runtime, spare: bool);
    /// Runs the task in the child, then ends it with [`leave`].
    fn run(&mut self, runtime: &'static Runtime, task: Off) -> !;
    /// A message for the zygote: what to import. True if children forked from now on differ
    /// from those forked before, so that spares are to be replaced.
    fn message(&mut self, bytes: &[u8]) -> bool;
}

/// Serves until the root ends.
pub fn serve(runtime: &'static Runtime, front: &mut dyn Front) -> ! {
    let me = runtime.me();
    let Ok(control) = zygote_control::get(&me) else { process::exit_now(70) };
    let number = control.zygotes.load(Ordering::Acquire) as u32;
    root_exit::watch_in_zygote(runtime, control, number);
    if !runtime.root_alive() || process::parent() != runtime.root_pid() {
        process::exit_now(0);
    }
    runtime.process_slot().role.store(role::ZYGOTE, Ordering::Release);
    control.zygote_slot.store(u64::from(runtime.process_index()) + 1, Ordering::Release);
    control.zygote.store(zygote_state::READY, Ordering::Release);
    crash_point!("zygote.ready");
    let mut failures = 0;
    // What was to be imported before the first start is there for all.
    let mut message = take_message(&me, control, front);
    loop {
        let seen = control.zygote_futex.load(Ordering::Acquire);
        collect_children(&me, control, number);
        while control.has_requests() {
            serve_request(&me, control, front);
        }
        if std::mem::take(&mut message) || take_message(&me, control, front) {
            for _ in 0..zygote_control::SPARES {
                dismiss_one(&me, control);
            }
            continue;
        }
        let wanted = control.spares_wanted.load(Ordering::Acquire);
        let (_, have) = control.count_spares(&me);
        if have > wanted {
            if !dismiss_one(&me, control) {
                // All are warming up: they are dismissed once they are idle.
                std::thread::sleep(Duration::from_millis(1));
            }
            continue;
        }
        if have < wanted && failures < 3 {
            // The task just started gets its turn first.
            let pause = Deadline::after(Some(Duration::from_micros(300)));
            futex::wait(&control.zygote_futex, seen, pause);
            if !control.has_requests() {
                failures = if fork_spare(&me, control, front) { 0 } else { failures + 1 };
            }
            continue;
        }
        failures = 0;
        control.asleep.store(1, Ordering::Release);
        crash_point!("zygote.asleep");
        // Pairs with the fence in `Control::ring`.
        fence(Ordering::SeqCst);
        let asked = control.spares_asked.load(Ordering::Acquire);
        let calm = Deadline::after((wanted > asked).then_some(CALM));
        let woken = futex::wait(&control.zygote_futex, seen, calm);
        control.asleep.store(0, Ordering::Release);
        crash_point!("zygote.awake");
        if woken == futex::Woken::TimedOut {
            // The burst that made more of them wanted is over.
            // Unless another number was asked for in this very moment.
            let asked = control.spares_asked.load(Ordering::Acquire);
            let _ = control.spares_wanted.compare_exchange(
                wanted,
                asked,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            crash_point!("zygote.calmed");
        }
    }
}

/// Without a start for this long the zygote keeps no more spares than were asked for.
const CALM: Duration = Duration::from_secs(10);

/// Leaves the status of children that have ended where the supervisor finds it.
fn collect_children(me: &Member, control: &'static Control, number: u32) {
    let runtime = me.runtime();
    while let Some((pid, exit, usage)) = child::reap_any() {
        let found = slots::processes(runtime)
            .map(|i| slots::process_slot(runtime, i))
            .find(|s| slots::owner(s).0 == pid && s.zygote.load(Ordering::Relaxed) == number);
        let Some(slot) = found else { continue };
        control.with_task(me, slot, pid, |task| {
            if let Some(task) = task {
                task.process_ended(exit, &usage);
            }
            slot.exit.store(record::exit_word(exit), Ordering::Release);
            crash_point!("zygote.collected");
        });
        runtime.ring();
    }
}

fn take_message(me: &Member, control: &Control, front: &mut dyn Front) -> bool {
    if control.message.load(Ordering::Acquire) == 0 {
        return false;
    }
    let mark = heap::savepoint(me);
    let message;
    {
        let _latch = me.header().roots_latch.lock(me);
        // Only now: what stood there before may be replaced, or undone.
        message = Off(control.message.load(Ordering::Acquire));
        if message.is_none() {
            return false;
        }
        let mut tx = Tx::begin(me);
        tx.set(&control.message, 0);
        heap::defer_free(me, &mut tx, message);
        crash_point!("zygote.message");
        tx.commit();
        crash_point!("zygote.message_taken");
    }
    let bytes = blob::read(me, message);
    heap::free_deferred(me, mark);
    front.message(&bytes)
}

/// Sends the zygote's front a message, after what is already waiting (the parts are joined).
///
/// # Errors
/// [`heap::OutOfMemory`].
pub fn send_message(me: &Member, control: &Control, bytes: &[u8]) -> Result<(), heap::OutOfMemory> {
    let mark = heap::savepoint(me);
    let result = {
        let _latch = me.header().roots_latch.lock(me);
        let old = Off(control.message.load(Ordering::Acquire));
        let before = if old.is_none() { Vec::new() } else { blob::read(me, old) };
        blob::create(me, 0, &[&before, bytes], &[]).map(|new| {
            let mut tx = Tx::begin(me);
            tx.set(&control.message, new.0);
            heap::release_to(me, &mut tx, mark);
            if !old.is_none() {
                heap::defer_free(me, &mut tx, old);
            }
            crash_point!("zygote.message_sent");
            tx.commit();
            crash_point!("zygote.message_sent_done");
        })
    };
    heap::free_deferred(me, mark);
    control.ring();
    result
}

fn serve_request(me: &Member, control: &'static Control, front: &mut dyn Front) {
    let runtime = me.runtime();
    let Ok(index) = slots::take_embryo(runtime) else {
        // No slot: this process's own holds the request while it is refused.
        let slot = runtime.process_slot();
        if let Some(off) = control.pop_into(me, slot) {
            Task::at(me, off).not_forked(libc::EAGAIN);
            zygote_control::drop_slot_task(me, slot);
        }
        return;
    };
    let slot = slots::process_slot(runtime, index);
    slot.role.store(role::TASK, Ordering::Relaxed);
    crash_point!("zygote.embryo");
    let Some(off) = control.pop_into(me, slot) else {
        slots::free_process(runtime, index);
        return;
    };
    let task = Task::at(me, off);
    slot.starter.store(task.it().starter.load(Ordering::Relaxed), Ordering::Release);
    crash_point!("zygote.starter");
    match fork(me, index, front) {
        Ok(0) => {
            // Whoever cleans up after the starter kills what it finds alive; what it finds not
            // yet alive finds the starter dead.
            fence(Ordering::SeqCst);
            let starter = runtime.process_slot().starter.load(Ordering::Acquire) as u32;
            if slots::living_owner(runtime, starter).is_none() {
                process::exit_now(0);
            }
            front.after_fork_in_child(runtime, false);
            front.run(runtime, off)
        }
        Ok(pid) => {
            control.with_task(me, slot, pid, |task| {
                if let Some(task) = task {
                    task.assign(index, pid);
                    task.forked(pid);
                }
            });
        }
        Err(error) => {
            task.not_forked(error);
            zygote_control::drop_slot_task(me, slot);
            slots::free_process(runtime, index);
        }
    }
}

/// Forks a spare; false when the system refuses.
fn fork_spare(me: &Member, control: &'static Control, front: &mut dyn Front) -> bool {
    let runtime = me.runtime();
    let Ok(index) = slots::take_embryo(runtime) else { return false };
    let slot = slots::process_slot(runtime, index);
    slot.role.store(role::SPARE, Ordering::Release);
    crash_point!("zygote.spare");
    if !control.list_spare(me, index) {
        slots::free_process(runtime, index);
        return false;
    }
    match fork(me, index, front) {
        Ok(0) => {
            front.after_fork_in_child(runtime, true);
            wait_for_task(runtime, front)
        }
        Ok(_) => true,
        Err(_) => {
            control.unlist_spare(me, index);
            slots::free_process(runtime, index);
            crash_point!("zygote.spare_refused");
            false
        }
    }
}

/// Forks; in the child the engine is ready when it returns 0.
fn fork(me: &Member, index: u32, front: &mut dyn Front) -> Result<i32, i32> {
    let runtime = me.runtime();
    let parent = process::pid();
    let number = zygote_control::get(me).map_or(0, |c| c.zygotes.load(Ordering::Relaxed)) as u32;
    slots::process_slot(runtime, index).zygote.store(number, Ordering::Release);
    crash_point!("zygote.numbered");
    // The limit is the program's, which may have changed it since this process was made.
    rlimit::follow_processes_of(runtime.root_pid());
    front.before_fork();
    // SAFETY: the fronts keep the zygote single-threaded (they refuse what starts threads).
    match unsafe { spawn::fork_child() } {
        Ok(0) => {
            root_exit::watch_in_child(parent);
            let slot = slots::process_slot(runtime, index);
            // The zygote may have died before the child said LIVE.
            if !slots::hatch(slot, parent, process::pid()) {
                process::exit_now(0);
            }
            runtime.hatch(index);
            Ok(0)
        }
        Ok(pid) => {
            slots::hatch(slots::process_slot(runtime, index), parent, pid);
            runtime.ring();
            front.after_fork_in_parent();
            Ok(pid)
        }
        Err(e) => {
            front.after_fork_in_parent();
            Err(e.raw_os_error().unwrap_or(libc::EAGAIN))
        }
    }
}

fn wait_for_task(runtime: &'static Runtime, front: &mut dyn Front) -> ! {
    let slot = runtime.process_slot();
    slot.mailbox.store(mailbox::IDLE, Ordering::Release);
    crash_point!("zygote.spare_idle");
    loop {
        match slot.mailbox.load(Ordering::Acquire) & 0xff {
            mailbox::TASK => {
                front.run(runtime, Off(slot.task.load(Ordering::Acquire)));
            }
            mailbox::LEAVE => process::exit_now(0),
            _ => {
                let seen = slot.mailbox.load(Ordering::Acquire);
                if matches!(seen & 0xff, mailbox::IDLE | mailbox::CLAIMED) {
                    futex::wait(&slot.mailbox, seen, Deadline::NEVER);
                }
            }
        }
    }
}

/// Sends one idle spare away: fewer are wanted.
fn dismiss_one(me: &Member, control: &Control) -> bool {
    for entry in &control.spares {
        let Some(index) = entry.load(Ordering::Acquire).checked_sub(1) else { continue };
        let slot = slots::process_slot(me.runtime(), index as u32);
        let swap = slot.mailbox.compare_exchange(
            mailbox::IDLE,
            mailbox::LEAVE,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        crash_point!("zygote.dismissed");
        if swap.is_ok() {
            entry.store(0, Ordering::Release);
            crash_point!("zygote.unlisted");
            futex::wake_all(&slot.mailbox);
            return true;
        }
    }
    false
}

/// Ends a child whose task has its outcome: a spare may take its place now.
pub fn leave(runtime: &'static Runtime, code: i32) -> ! {
    let me = runtime.me();
    if let Ok(control) = zygote_control::get(&me) {
        let (_, have) = control.count_spares(&me);
        if have < control.spares_wanted.load(Ordering::Relaxed) {
            control.ring();
        }
    }
    process::exit_now(code)
}
