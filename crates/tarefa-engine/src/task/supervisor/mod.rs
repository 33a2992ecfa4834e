//! The supervisor: a thread of the root that notices every death, once, and cleans up.
//!
//! It sleeps on the descriptors of all member processes and on a doorbell that new members ring, and
//! until the first of the deadlines of tasks with a time limit: see [`super::limits`].
//! It never needs a language's locks, and a failure of the system makes it slower (it looks
//! around by the clock where it has no descriptor), never silent.

pub mod untold;

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::deadlines::Deadlines;
use super::limits::{GRACE, TimeUp};
use super::process::NO_ZYGOTE;
use super::record::{self, Task, flag};
use super::role;
use crate::atomic::{AtomicBool, Ordering, fence};
use crate::os::clock::{Deadline, now_ns};
use crate::os::epoll::Poll;
use crate::os::pidfd::{self, Exit};
use crate::os::rusage::Usage;
use crate::os::{child, oom, pipe, process, procfs, signal, spawn};
use crate::shm::arena::layout::{ProcessSlot, process_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::fork_safe_lock::Latest;
use crate::shm::member::slots;
use crate::shm::{Member, Runtime, recovery};
use crate::task::process::zygote_control;
use crate::task::process::zygote_control::{Control, mailbox, zygote_state};
use crate::task::zygote::root_exit;
use untold::Untold;

/// How to start a zygote.
#[derive(Clone, Debug)]
pub enum Zygote {
    /// Executes a program: arguments (the first a path) and environment.
    Execute(Vec<CString>, Vec<CString>),
}

static ZYGOTE: Latest<Zygote> = Latest::none();
/// Makes the reports that members have asked for; it must not block.
pub type Reporter = fn(&'static Runtime);

static REPORTER: Latest<Reporter> = Latest::none();

/// Says who makes reports.
pub fn set_reporter(reporter: Reporter) {
    if REPORTER.get().is_none() {
        REPORTER.set(reporter);
    }
}

static RUNNING: AtomicBool = AtomicBool::new(false);

/// Says how a zygote is started: before the first process is.
pub fn set_zygote(zygote: Zygote) {
    ZYGOTE.set(zygote);
}

/// Whether [`set_zygote`] has been called.
#[must_use]
pub fn has_zygote() -> bool {
    ZYGOTE.get().is_some()
}

/// Starts the supervisor, if this is the root and it does not run yet.
///
/// # Errors
/// What the system answered: no descriptors, no thread.
pub fn ensure(runtime: &'static Runtime) -> io::Result<()> {
    if cfg!(miri) {
        // There are no processes that could die.
        return Ok(());
    }
    // not shared: a flag of this process alone.
    if RUNNING.load(Ordering::Acquire) || !runtime.is_root() || RUNNING.swap(true, Ordering::AcqRel)
    {
        return Ok(());
    }
    let started = start(runtime);
    if started.is_err() {
        // The next to come tries again.
        // not shared: as above.
        RUNNING.store(false, Ordering::Release);
    }
    started
}

fn start(runtime: &'static Runtime) -> io::Result<()> {
    let poll = Poll::new()?;
    let doorbell =
        runtime.doorbell_reader().ok_or_else(|| io::Error::other("a root has a doorbell"))?;
    poll.add(doorbell.as_fd(), DOORBELL)?;
    let thread = std::thread::Builder::new().name("tarefa".into()).stack_size(256 * 1024);
    thread.spawn(move || {
        signal::block_all();
        recovery::become_cleaner();
        let me = runtime.me();
        let mut it = Supervisor {
            me: &me,
            poll: &poll,
            watched: HashMap::new(),
            by_clock: Vec::new(),
            ending: Vec::new(),
            early_deaths: 0,
            reports_seen: 0,
            deadlines: Deadlines::default(),
            out_of_memory: None,
            untold: Untold::default(),
        };
        it.serve(doorbell);
    })?;
    Ok(())
}

/// Asks for a zygote if there is none.
pub(super) fn want_zygote(me: &Member, control: &Control) {
    // The request before the look at the state: see `zygote_ended`.
    fence(Ordering::SeqCst);
    let swap = control.zygote.compare_exchange(
        zygote_state::NONE,
        zygote_state::WANTED,
        Ordering::AcqRel,
        Ordering::Relaxed,
    );
    crash_point!("supervisor.wanted");
    if swap.is_ok() {
        me.runtime().ring();
    }
}

const DOORBELL: u64 = u64::MAX;
/// As many zygotes may be killed while they start as one that ends so of itself stands for;
/// after three of those, starts are refused.
const OWN_FAILURE: u32 = 8;
/// How long a zygote may leave a child that has ended.
const COLLECTING: Duration = Duration::from_millis(100);

/// How the process `pid` ended, as exactly as this process can know.
fn how_it_ended(pid: i32, fd: Option<&OwnedFd>, ours: bool) -> (Exit, Usage) {
    let Some(fd) = fd else {
        let collected = ours.then(|| child::reap_by_number(pid).ok().flatten()).flatten();
        return collected.unwrap_or((Exit::Unknown, Usage::default()));
    };
    if ours {
        if let Ok(Some(status)) = pidfd::reap(fd.as_fd()) {
            if status.0 != Exit::Unknown {
                return status;
            }
        }
    }
    // Somebody else collects it. Either it is seen before that, or the kernel has noted it.
    let exit = match pidfd::exit_of_collected(fd.as_fd()) {
        Exit::Unknown => procfs::exit_of_zombie(pid)
            .map_or_else(|| pidfd::exit_of_collected(fd.as_fd()), |(exit, _)| exit),
        known => known,
    };
    (exit, Usage::default())
}

struct Supervisor<'a> {
    me: &'a Member,
    poll: &'a Poll,
    /// By process slot.
    watched: HashMap<u32, OwnedFd>,
    /// Process slots (with pids) for which there was no descriptor.
    by_clock: Vec<(u32, i32)>,
    /// Process slots of children that have ended and that their zygote has yet to collect, and
    /// how long it may take.
    ending: Vec<(u32, Deadline)>,
    /// Zygotes in a row that ended before they were ready.
    early_deaths: u32,
    /// Requests for reports that were passed on.
    reports_seen: u64,
    /// By process slot: when its task's time is up, or the grace after it.
    deadlines: Deadlines<u32>,
    /// How many deaths of the kernel's making for want of memory are accounted for, once there
    /// is a zygote.
    out_of_memory: Option<u64>,
    untold: Untold,
}

impl Supervisor<'_> {
    fn serve(&mut self, doorbell: &OwnedFd) -> ! {
        let mut keys = Vec::new();
        // The root itself is not watched: with it ends this thread.
        self.me.runtime().process_slot().watched.store(1, Ordering::Release);
        crash_point!("supervisor.started");
        loop {
            let looks = !self.by_clock.is_empty() || !self.ending.is_empty();
            let nap = looks.then(|| Duration::from_millis(20));
            keys.clear();
            let first = [self.deadlines.first(), self.untold.first()].into_iter().flatten().min();
            let first = first.map_or(Deadline::NEVER, Deadline::at);
            self.poll.wait(&mut keys, Deadline::after(nap).or_earlier(first));
            for key in &keys {
                if *key == DOORBELL {
                    pipe::silence(doorbell.as_fd());
                } else if self.watched.contains_key(&(*key as u32)) {
                    self.ended(*key as u32);
                }
            }
            self.look_by_clock();
            self.watch_new();
            self.look_at_ending();
            self.end_over_time();
            self.remind();
            self.start_zygote();
            self.report();
        }
    }

    /// Passes requests for reports on.
    fn report(&mut self) {
        let asked = self.me.header().reports_asked.load(Ordering::Acquire);
        if asked != self.reports_seen {
            self.reports_seen = asked;
            if let Some(reporter) = REPORTER.get() {
                reporter(self.me.runtime());
            }
        }
    }

    /// Finds members that nobody watches yet, and deadlines that nobody keeps yet.
    fn watch_new(&mut self) {
        let runtime = self.me.runtime();
        for index in slots::processes(runtime) {
            let slot = slots::process_slot(runtime, index);
            let (pid, state) = slots::owner(slot);
            if state != process_state::LIVE {
                continue;
            }
            if slot.deadline.load(Ordering::Acquire) != 0 {
                self.deadlines.set(index, slot.deadline.swap(0, Ordering::AcqRel));
                crash_point!("supervisor.deadline");
            }
            if slot.remind_at.load(Ordering::Acquire) != 0 {
                self.untold.remind(index, slot.remind_at.swap(0, Ordering::AcqRel));
                crash_point!("supervisor.remind_at");
            }
            if slot.watched.load(Ordering::Acquire) != 0 {
                continue;
            }
            slot.watched.store(1, Ordering::Release);
            crash_point!("supervisor.watched");
            self.watch(index, pid);
        }
    }

    /// Has the poll report the end of process `pid` in slot `index`; where there is no
    /// descriptor to spare, it is looked at by the clock.
    fn watch(&mut self, index: u32, pid: i32) {
        let slot = slots::process_slot(self.me.runtime(), index);
        let ended = match pidfd::open(pid) {
            // The number of a foreign process may have been reused already.
            Ok(_) if procfs::is_another(pid, slot.start_time.load(Ordering::Acquire)) => true,
            Ok(fd) => {
                let polled = self.poll.add(fd.as_fd(), u64::from(index)).is_ok();
                let ended = !polled && pidfd::ended(fd.as_fd());
                if polled || ended {
                    self.watched.insert(index, fd);
                } else {
                    self.by_clock.push((index, pid));
                }
                ended
            }
            Err(e) if pidfd::says_gone(&e) => true,
            Err(_) => {
                let uncollected =
                    slot.role.load(Ordering::Relaxed) == role::ZYGOTE && child::is_ended(pid);
                let ended = uncollected || !process::exists(pid);
                if !ended {
                    self.by_clock.push((index, pid));
                }
                ended
            }
        };
        if ended {
            self.ended(index);
        }
    }

    /// The process in slot `index` has ended.
    fn ended(&mut self, index: u32) {
        let slot = slots::process_slot(self.me.runtime(), index);
        if slot.zygote.load(Ordering::Acquire) != 0 && !self.collected(slot) {
            // Its zygote collects it and rings.
            if let Some(fd) = self.watched.get(&index) {
                self.poll.remove(fd.as_fd());
            }
            self.ending.push((index, Deadline::after(Some(COLLECTING))));
            return;
        }
        let (pid, _) = slots::owner(slot);
        let fd = self.watched.remove(&index);
        if let Some(fd) = &fd {
            self.poll.remove(fd.as_fd());
        }
        // Only the zygote is this thread's to collect, and its children where the system hands
        // them to this process when it ends: another child is the program's own.
        let ours = slot.role.load(Ordering::Relaxed) == role::ZYGOTE
            || slot.zygote.load(Ordering::Acquire) != 0;
        let (exit, usage) = how_it_ended(pid, fd.as_ref(), ours);
        self.reap(index, exit, &usage);
    }

    /// Whether a child of a zygote has been collected, or its zygote is gone.
    fn collected(&self, slot: &ProcessSlot) -> bool {
        slot.exit.load(Ordering::Acquire) != 0
            || zygote_control::get(self.me).map_or(true, |c| {
                c.zygote.load(Ordering::Acquire) != zygote_state::READY
                    || c.zygotes.load(Ordering::Acquire)
                        != u64::from(slot.zygote.load(Ordering::Acquire))
            })
    }

    /// Interrupts the tasks whose time is up, and kills those that went on after the grace.
    fn end_over_time(&mut self) {
        let now = now_ns();
        while let Some(index) = self.deadlines.take_passed(now) {
            let slot = slots::process_slot(self.me.runtime(), index);
            let off = Off(slot.task.load(Ordering::Acquire));
            // Held by the slot until it is buried, which is this thread's to do.
            if off.is_none() || !self.lives(index, slot) {
                continue;
            }
            let task = Task::at(self.me, off);
            match task.time_is_up() {
                TimeUp::Ended => {}
                TimeUp::Interrupt => {
                    task.request_interrupt();
                    if task.wants_signal() {
                        self.signal(index, signal::interrupt_signal());
                    }
                    self.deadlines.set(index, now.saturating_add(GRACE.as_nanos() as u64));
                }
                TimeUp::GoesOn => {
                    if task.grace_is_over() {
                        self.signal(index, libc::SIGKILL);
                    }
                }
            }
        }
    }

    /// Whether the process in slot `index` has not ended.
    fn lives(&self, index: u32, slot: &ProcessSlot) -> bool {
        let (pid, state) = slots::owner(slot);
        let collected = slot.exit.load(Ordering::Acquire) != 0;
        state == process_state::LIVE
            && !collected
            && self.watched.get(&index).map_or_else(
                || process::exists(pid) && procfs::exit_of_zombie(pid).is_none(),
                |fd| !pidfd::ended(fd.as_fd()),
            )
    }

    /// Sends a signal to the process in slot `index`.
    fn signal(&self, index: u32, number: i32) {
        if let Some(fd) = self.watched.get(&index) {
            let _ = pidfd::send_signal(fd.as_fd(), number);
        } else {
            let (pid, _) = slots::owner(slots::process_slot(self.me.runtime(), index));
            let _ = signal::send_process(pid, number);
        }
    }

    /// Buries children that their zygote has collected by now, or is too busy to collect.
    fn look_at_ending(&mut self) {
        let runtime = self.me.runtime();
        for (index, limit) in std::mem::take(&mut self.ending) {
            let slot = slots::process_slot(runtime, index);
            if self.collected(slot) {
                self.ended(index);
                continue;
            }
            // An import in the zygote may take long, and nobody is to wait for that.
            let zombie = || procfs::exit_of_zombie(slots::owner(slot).0);
            match limit.passed().then(zombie).flatten() {
                None => self.ending.push((index, limit)),
                Some((exit, stat)) => {
                    self.watched.remove(&index);
                    let (user_ns, system_ns) = (stat.user_ns, stat.system_ns);
                    self.reap(index, exit, &Usage { user_ns, system_ns, ..Usage::default() });
                }
            }
        }
    }

    /// Looks at those for which there was no descriptor; by now there may be one.
    fn look_by_clock(&mut self) {
        for (index, pid) in std::mem::take(&mut self.by_clock) {
            self.watch(index, pid);
        }
    }

    /// Cleans up after the process in slot `index` and publishes its end.
    fn reap(&mut self, index: u32, exit: Exit, usage: &Usage) {
        let (me, runtime) = (self.me, self.me.runtime());
        self.deadlines.remove(index);
        let slot = slots::process_slot(runtime, index);
        // What the zygote saw is exact; it has told the task already.
        let told = record::exit_of(slot.exit.load(Ordering::Acquire));
        let exit = told.unwrap_or(exit);
        let task = Some(Off(slot.task.load(Ordering::Acquire))).filter(|o| !o.is_none());
        if let Some(task) = task {
            if told.is_none() {
                Task::at(me, task).process_ended(exit, usage);
            }
        }
        let flags = if self.ran_out_of_memory(exit) { flag::OUT_OF_MEMORY } else { 0 };
        if let Some(task) = task.filter(|_| flags != 0) {
            Task::at(me, task).change_flags(flags, 0);
        }
        let generation = slots::lock_owner(runtime, index);
        recovery::mark_dead(me, index);
        if let Some(task) = task {
            Task::at(me, task).killed();
            self.note_failure(task);
        }
        self.take_over_untold(index, generation);
        // Before any latch is taken: the dead process may have held it.
        recovery::clean_up(me, index);
        let control = zygote_control::get(me).ok();
        if let Some(control) = control {
            control.release_finished(me);
        }
        if task.is_none() {
            // A starter may just have given it a task.
            let late = Off(slot.task.load(Ordering::Acquire));
            if !late.is_none() {
                Task::at(me, late).process_ended(exit, usage);
                Task::at(me, late).change_flags(flags, 0);
                Task::at(me, late).killed();
                self.note_failure(late);
            }
        }
        zygote_control::drop_slot_task(me, slot);
        if let Some(control) = control {
            while control.forget_request_of(me, generation) {}
            self.unlist(control, index);
            if slot.role.load(Ordering::Relaxed) == role::ZYGOTE {
                self.zygote_ended(control, slots::owner(slot).0, exit);
            }
        }
        self.kill_started_by(generation);
        recovery::forget(me, index);
    }

    /// Whether the kernel killed a process that ended so for want of memory, by its count, which
    /// says how many and not whom.
    fn ran_out_of_memory(&mut self, exit: Exit) -> bool {
        let (Exit::Signal(libc::SIGKILL), Some(told)) = (exit, &mut self.out_of_memory) else {
            return false;
        };
        let more = oom::kills().is_some_and(|kills| kills > *told);
        *told += u64::from(more);
        more
    }

    /// A dead process is no spare any more, and what it had claimed is free again.
    fn unlist(&self, control: &'static Control, index: u32) {
        control.unlist_spare(self.me, index);
        let runtime = self.me.runtime();
        for other in slots::processes(runtime) {
            let slot = slots::process_slot(runtime, other);
            if slot.mailbox.load(Ordering::Acquire) != mailbox::CLAIMED | index << 8 {
                continue;
            }
            // Its claimer died: it may have given it a task already, which nobody waits for.
            let ends = slot.task.load(Ordering::Acquire) != 0
                || !control
                    .spares
                    .iter()
                    .any(|e| e.load(Ordering::Acquire) == u64::from(other) + 1);
            let next = if ends { mailbox::LEAVE } else { mailbox::IDLE };
            slot.mailbox.store(next, Ordering::Release);
            crash_point!("supervisor.unclaimed");
            crate::os::futex::wake_all(&slot.mailbox);
        }
    }

    /// Tasks end with the process that started them.
    fn kill_started_by(&self, generation: u32) {
        let runtime = self.me.runtime();
        for other in slots::processes(runtime) {
            let slot = slots::process_slot(runtime, other);
            let (_, state) = slots::owner(slot);
            let started = slot.starter.load(Ordering::Acquire) == u64::from(generation)
                && slot.role.load(Ordering::Relaxed) == role::TASK;
            if started && state == process_state::LIVE {
                // Held by the slot until it is buried, which is this thread's to do.
                let task = Off(slot.task.load(Ordering::Acquire));
                if !task.is_none() {
                    Task::at(self.me, task).change_flags(flag::ENDED_WITH_STARTER, 0);
                }
                self.signal(other, libc::SIGKILL);
            }
        }
    }

    fn zygote_ended(&mut self, control: &'static Control, pid: i32, exit: Exit) {
        let runtime = self.me.runtime();
        for index in slots::processes(runtime) {
            let slot = slots::process_slot(runtime, index);
            if slots::owner(slot) != (pid, process_state::EMBRYO) {
                continue;
            }
            // Once it is dead here, a child forked for it cannot hatch any more.
            if recovery::mark_dead(self.me, index) {
                if slot.task.load(Ordering::Acquire) != 0 {
                    control.unpop(self.me, slot);
                }
                self.unlist(control, index);
                recovery::forget(self.me, index);
            }
        }
        let was_ready = control.zygote.load(Ordering::Acquire) == zygote_state::READY;
        // A kill from outside says nothing of the next one's chances.
        let killed = matches!(exit, Exit::Signal(libc::SIGKILL | libc::SIGTERM));
        let weight = if killed { 1 } else { OWN_FAILURE };
        self.early_deaths = if was_ready { 0 } else { self.early_deaths + weight };
        control.zygote_slot.store(0, Ordering::Release);
        control.zygote.store(zygote_state::NONE, Ordering::Release);
        crash_point!("supervisor.zygote_ended");
        // A starter that queued its request before this sees it, or is seen here.
        fence(Ordering::SeqCst);
        // Its children need one that watches the root for them.
        if control.has_requests() || root_exit::any_children(runtime) {
            want_zygote(self.me, control);
        }
        if self.early_deaths >= 3 * OWN_FAILURE {
            self.early_deaths = 0;
            self.refuse_all(control, NO_ZYGOTE);
        }
    }

    /// Tells everybody who waits for a fork that there will be none.
    fn refuse_all(&self, control: &'static Control, error: i32) {
        let slot = self.me.runtime().process_slot();
        // First, so that who queues a request from now on asks for a zygote.
        control.zygote.store(zygote_state::NONE, Ordering::Release);
        crash_point!("supervisor.refused");
        fence(Ordering::SeqCst);
        while let Some(off) = control.pop_into(self.me, slot) {
            Task::at(self.me, off).not_forked(error);
            zygote_control::drop_slot_task(self.me, slot);
        }
    }

    fn start_zygote(&mut self) {
        let Ok(control) = zygote_control::get(self.me) else { return };
        if control.zygote.load(Ordering::Acquire) != zygote_state::WANTED {
            return;
        }
        let Some(Zygote::Execute(argv, envp)) = ZYGOTE.get() else {
            return self.refuse_all(control, NO_ZYGOTE);
        };
        if self.out_of_memory.is_none() {
            self.out_of_memory = oom::kills();
        }
        control.zygote.store(zygote_state::STARTING, Ordering::Release);
        control.zygotes.fetch_add(1, Ordering::Relaxed);
        crash_point!("supervisor.starting");
        let runtime = self.me.runtime();
        let Ok(index) = slots::take_embryo(runtime) else {
            return self.refuse_all(control, libc::EAGAIN);
        };
        let slot = slots::process_slot(runtime, index);
        slot.role.store(role::ZYGOTE, Ordering::Release);
        crash_point!("supervisor.zygote_slot");
        let mut argv = argv.clone();
        argv.push(c_string(&index.to_string()));
        match spawn::spawn(&argv, envp) {
            Ok(pid) => {
                slots::hatch(slot, process::pid(), pid);
                self.watch_new();
            }
            Err(e) => {
                slots::free_process(runtime, index);
                self.refuse_all(control, e.raw_os_error().unwrap_or(NO_ZYGOTE));
            }
        }
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}
