//! The zygote's children: forking one for a task or ahead of one, and collecting those that ended.

use super::front::Front;
use super::root_exit;
use crate::atomic::{Ordering, fence};
use crate::os::clock::Deadline;
use crate::os::{child, futex, process, rlimit, spawn};
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::shm::{Member, Runtime};
use crate::task::identity;
use crate::task::process::requests;
use crate::task::process::rouse;
use crate::task::process::spares::{self, mailbox};
use crate::task::process::zygote_control::{self, Control};
use crate::task::record::{self, Task};
use crate::task::role;

/// How a child ends that finds no slot for its thread.
const NO_SLOT: i32 = 70;

/// Leaves the status of children that have ended where the supervisor finds it.
pub(super) fn collect_children(me: &Member, control: &'static Control, number: u32) {
    let runtime = me.runtime();
    // It is collected last: the latch below may be held by the very one that has died, and the
    // supervisor, which frees it, takes nobody for dead whose status nobody has and who is gone.
    while let Some((pid, exit, usage)) = child::look_at_any() {
        let found = slots::processes(runtime.arena())
            .map(|i| slots::process_slot(runtime.arena(), i))
            .find(|s| slots::owner(s).0 == pid && s.zygote.load(Ordering::Relaxed) == number);
        let Some(slot) = found else {
            let _ = child::reap_by_number(pid);
            continue;
        };
        control.with_task(me, slot, pid, |task| {
            if let Some(task) = task {
                task.process_ended(exit, &usage);
            }
            slot.exit.store(record::exit_word(exit), Ordering::Release);
            crash_point!("zygote.collected");
        });
        let _ = child::reap_by_number(pid);
        runtime.ring();
    }
}

/// Forks a process for the first request.
pub(super) fn serve_request(me: &Member, control: &'static Control, front: &mut dyn Front) {
    let runtime = me.runtime();
    let Ok(index) = slots::take_embryo(runtime.arena()) else {
        // No slot: this process's own holds the request while it is refused.
        let slot = runtime.process_slot();
        if let Some(off) = control.pop_into(me, slot) {
            Task::at(me, off).not_forked(libc::EAGAIN);
            requests::drop_slot_task(me, slot);
        }
        return;
    };
    let slot = slots::process_slot(runtime.arena(), index);
    slot.role.store(role::TASK, Ordering::Relaxed);
    crash_point!("zygote.embryo");
    let Some(off) = control.pop_into(me, slot) else {
        slots::free_process(runtime.arena(), index);
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
            if slots::living_owner(runtime.arena(), starter).is_none() {
                process::exit_now(0);
            }
            front.after_fork_in_child(runtime, false);
            run(runtime, off, front)
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
            requests::drop_slot_task(me, slot);
            slots::free_process(runtime.arena(), index);
        }
    }
}

/// Forks a spare; false when the system refuses.
pub(super) fn fork_spare(me: &Member, control: &'static Control, front: &mut dyn Front) -> bool {
    let runtime = me.runtime();
    let Ok(index) = slots::take_embryo(runtime.arena()) else { return false };
    let slot = slots::process_slot(runtime.arena(), index);
    slot.role.store(role::SPARE, Ordering::Release);
    crash_point!("zygote.spare");
    if !control.list_spare(me, index) {
        slots::free_process(runtime.arena(), index);
        return false;
    }
    match fork(me, index, front) {
        Ok(0) => {
            // Unless it was sent away already.
            spares::change(runtime.process_slot(), mailbox::COLD, mailbox::WARMING);
            crash_point!("zygote.spare_warming");
            front.after_fork_in_child(runtime, true);
            wait_for_task(runtime, front)
        }
        Ok(_) => true,
        Err(_) => {
            control.unlist_spare(me, index, Deadline::NEVER);
            slots::free_process(runtime.arena(), index);
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
    slots::process_slot(runtime.arena(), index).zygote.store(number, Ordering::Release);
    crash_point!("zygote.numbered");
    // The limit is the program's, which may have changed it since this process was made.
    rlimit::follow_processes_of(runtime.root_pid());
    front.before_fork();
    // SAFETY: the fronts keep the zygote single-threaded (they refuse what starts threads).
    match unsafe { spawn::fork_child() } {
        Ok(0) => {
            root_exit::watch_in_child(runtime, parent);
            let slot = slots::process_slot(runtime.arena(), index);
            // The zygote may have died before the child said LIVE.
            if !slots::hatch(slot, parent, process::pid()) {
                process::exit_now(0);
            }
            runtime.hatch(index);
            Ok(0)
        }
        Ok(pid) => {
            slots::hatch(slots::process_slot(runtime.arena(), index), parent, pid);
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
    // Unless it was sent away, or got its task, before it was ready.
    spares::change(slot, mailbox::WARMING, mailbox::IDLE);
    crash_point!("zygote.spare_idle");
    loop {
        match slot.mailbox.load(Ordering::Acquire) & 0xff {
            mailbox::TASK => {
                run(runtime, Off(slot.task.load(Ordering::Acquire)), front);
            }
            mailbox::LEAVE => process::exit_now(0),
            _ => {
                let seen = slot.mailbox.load(Ordering::Acquire);
                if matches!(seen & 0xff, mailbox::IDLE | mailbox::CLAIMED) {
                    futex::wait(&slot.mailbox, seen, Deadline::NEVER);
                    // Perhaps by one who is still busy with what it is to run.
                    rouse::look_for_task(runtime, &slot.mailbox);
                }
            }
        }
    }
}

fn run(runtime: &'static Runtime, off: Off, front: &mut dyn Front) -> ! {
    let me = runtime.try_me().unwrap_or_else(|refused| {
        // A front has nothing to say it with. Whoever asks for the task hears of it as the cause.
        runtime.with_me(|me| {
            let _ = Task::at(me, off).leave_note(&refused.to_string(), true);
        });
        process::exit_now(NO_SLOT)
    });
    let record = Task::at(&me, off).it();
    if identity::is_other(record.identity_number.load(Ordering::Acquire)) {
        front.get_ready();
    }
    front.run(runtime, off)
}

/// Ends a child whose task has its outcome: a spare may take its place now.
pub fn leave(runtime: &'static Runtime, code: i32) -> ! {
    let me = runtime.me();
    if let Some(error) = identity::refusal() {
        // Its starter waits, and hears of it; what this process had of the task is gone before the
        // process is, or its end would be taken for that of another attempt.
        let slot = runtime.process_slot();
        let off = Off(slot.task.load(Ordering::Acquire));
        if !off.is_none() {
            Task::at(&me, off).not_forked(error);
            requests::drop_slot_task(&me, slot);
        }
    }
    if let Ok(control) = zygote_control::get(&me) {
        let (_, have) = control.count_spares(&me);
        if have < control.spares_wanted.load(Ordering::Relaxed) {
            control.ring();
        }
    }
    process::exit_now(code)
}
