//! Starting zygotes, and what follows from the end of one.

use std::ffi::CString;

use super::state::Supervisor;
use crate::atomic::{Ordering, fence};
use crate::os::clock::Deadline;
use crate::os::pidfd::Exit;
use crate::os::{oom, process, spawn};
use crate::shm::arena::layout::process_state;
use crate::shm::member::fork_safe_lock::Latest;
use crate::shm::member::slots;
use crate::shm::recovery;
use crate::task::identity;
use crate::task::process::requests;
use crate::task::process::zygote_control::{self, Control, NO_ZYGOTE, zygote_state};
use crate::task::record::Task;
use crate::task::role;
use crate::task::zygote::root_exit;

/// How to start a zygote.
#[derive(Clone, Debug)]
pub enum Zygote {
    /// Executes a program: arguments (the first a path), environment, and where in these the
    /// program finds the address of the runtime. The number of its slot is the last argument.
    Execute(Vec<CString>, Vec<CString>, AddressIn),
}

/// Where a program finds the address of the runtime: a successor of the root has another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressIn {
    /// It is in what was given.
    Given,
    /// Three arguments, before the slot: the root, its descriptor of the memory, the number.
    Arguments,
    /// A variable of that name: the same with commas between, the last in hexadecimal, and then
    /// that text.
    Variable(&'static str, String),
}

static ZYGOTE: Latest<Zygote> = Latest::none();
/// Says how a zygote is started: before the first process is.
pub fn set_zygote(zygote: Zygote) {
    ZYGOTE.set(zygote);
}

/// Whether [`set_zygote`] has been called.
#[must_use]
pub fn has_zygote() -> bool {
    ZYGOTE.get().is_some()
}

/// As many zygotes may be killed while they start as one that ends so of itself stands for;
/// after three of those, starts are refused.
const OWN_FAILURE: u32 = 8;
impl Supervisor<'_> {
    pub(super) fn zygote_ended(&mut self, control: &'static Control, pid: i32, exit: Exit) {
        let runtime = self.me.runtime();
        for index in slots::processes(runtime.arena()) {
            let slot = slots::process_slot(runtime.arena(), index);
            if slots::owner(slot) != (pid, process_state::EMBRYO) {
                continue;
            }
            // Once it is dead here, a child forked for it cannot hatch any more.
            if recovery::mark_dead(self.me, index) {
                if slot.task.load(Ordering::Acquire) != 0 {
                    control.unpop(self.me, slot);
                }
                control.unlist_spare(self.me, index, Deadline::NEVER);
                self.unclaim(control, index);
                recovery::forget(self.me, index);
            }
        }
        let was_ready = control.zygote.load(Ordering::Acquire) == zygote_state::READY;
        // A kill from outside says nothing of the next one's chances.
        let killed = matches!(exit, Exit::Signal(libc::SIGKILL | libc::SIGTERM));
        let weight = if killed { 1 } else { OWN_FAILURE };
        self.early_deaths = if was_ready { 0 } else { self.early_deaths + weight };
        control.zygote_slot.store(0, Ordering::Release);
        control.identity.store(0, Ordering::Release);
        control.zygote.store(zygote_state::NONE, Ordering::Release);
        crash_point!("supervisor.zygote_ended");
        // A starter that queued its request before this sees it, or is seen here.
        fence(Ordering::SeqCst);
        // Its children need one that watches the root for them.
        if control.has_requests() || root_exit::any_children(runtime) {
            control.want_zygote(self.me);
        }
        if self.early_deaths >= 3 * OWN_FAILURE {
            self.early_deaths = 0;
            self.refuse_all(control, NO_ZYGOTE);
        }
    }

    /// Tells everybody who waits for a fork that there will be none.
    pub(super) fn refuse_all(&self, control: &'static Control, error: i32) {
        let slot = self.me.runtime().process_slot();
        // First, so that who queues a request from now on asks for a zygote.
        control.zygote.store(zygote_state::NONE, Ordering::Release);
        crash_point!("supervisor.refused");
        fence(Ordering::SeqCst);
        while let Some(off) = control.pop_into(self.me, slot) {
            Task::at(self.me, off).not_forked(error);
            requests::drop_slot_task(self.me, slot);
        }
    }

    pub(super) fn start_zygote(&mut self) {
        let Ok(control) = zygote_control::get(self.me) else { return };
        if control.zygote.load(Ordering::Acquire) != zygote_state::WANTED {
            return;
        }
        let Some(Zygote::Execute(argv, envp, address_in)) = ZYGOTE.get() else {
            return self.refuse_all(control, NO_ZYGOTE);
        };
        if self.out_of_memory.is_none() {
            self.out_of_memory = oom::kills();
        }
        control.zygote.store(zygote_state::STARTING, Ordering::Release);
        control.zygotes.fetch_add(1, Ordering::Relaxed);
        crash_point!("supervisor.starting");
        let runtime = self.me.runtime();
        let Ok(index) = slots::take_embryo(runtime.arena()) else {
            return self.refuse_all(control, libc::EAGAIN);
        };
        let slot = slots::process_slot(runtime.arena(), index);
        slot.role.store(role::ZYGOTE, Ordering::Release);
        crash_point!("supervisor.zygote_slot");
        let (mut argv, mut envp) = (argv.clone(), envp.clone());
        let at = runtime.address();
        match address_in {
            AddressIn::Given => {}
            AddressIn::Arguments => {
                let numbers = [at.root.to_string(), at.memory_fd.to_string(), at.id.to_string()];
                argv.extend(numbers.iter().map(|number| c_string(number)));
            }
            AddressIn::Variable(name, rest) => {
                let text = format!("{name}={},{},{:x}{rest}", at.root, at.memory_fd, at.id);
                envp.push(c_string(&text));
            }
        }
        argv.push(c_string(&index.to_string()));
        identity::note_executed();
        match spawn::spawn(&argv, &envp, &runtime.shared_descriptors()) {
            Ok(pid) => {
                slots::hatch(slot, process::pid(), pid);
                self.watch_new();
            }
            Err(e) => {
                slots::free_process(runtime.arena(), index);
                self.refuse_all(control, e.raw_os_error().unwrap_or(NO_ZYGOTE));
            }
        }
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}
