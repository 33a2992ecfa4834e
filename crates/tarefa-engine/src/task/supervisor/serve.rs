//! The supervisor's thread: it sleeps until something is to be done, and does it.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::state::{Dead, Supervisor};
use super::terminations::Terminations;
use super::untold::Untold;
use crate::atomic::{AtomicI32, Ordering};
use crate::os::clock::Deadline;
use crate::os::epoll::Poll;
use crate::os::{pidfd, pipe, process, signal};
use crate::shm::arena::layout::process_state;
use crate::shm::member::fork_safe_lock::Latest;
use crate::shm::member::slots;
use crate::shm::{Runtime, recovery};
use crate::task::deadlines::Deadlines;
use crate::task::identity;
use crate::task::process::zygote_control::{self, zygote_state};
use crate::task::role;

/// Makes the reports that members have asked for; it must not block.
pub type Reporter = fn(&'static Runtime);

static REPORTER: Latest<Reporter> = Latest::none();

/// Says who makes reports.
pub fn set_reporter(reporter: Reporter) {
    if REPORTER.get().is_none() {
        REPORTER.set(reporter);
    }
}

/// The process in which it runs: a fork copies the number, and not the thread.
static RUNNING: AtomicI32 = AtomicI32::new(0);

const DOORBELL: u64 = u64::MAX;

/// How often the supervisor looks whether its descriptors are still there, while processes run.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Starts the supervisor, if this is the root and it does not run yet.
///
/// # Errors
/// What the system answered: no descriptors, no thread.
pub fn ensure(runtime: &'static Runtime) -> io::Result<()> {
    if cfg!(miri) {
        // There are no processes that could die.
        return Ok(());
    }
    // not shared: a number of this process alone.
    let seen = RUNNING.load(Ordering::Acquire);
    if seen == process::pid() && runtime.is_root() {
        return Ok(());
    }
    if !runtime.is_root() {
        if !runtime.has_lost_root() {
            return Ok(());
        }
        wait_for_old_zygote(runtime);
        dismiss_old_spares(runtime);
        if !runtime.succeed()? {
            return Ok(());
        }
        take_over(runtime);
    }
    let here = process::pid();
    // not shared: as above.
    if RUNNING.compare_exchange(seen, here, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return Ok(());
    }
    let started = start(runtime);
    if started.is_err() {
        // The next to come tries again.
        // not shared: as above.
        RUNNING.store(0, Ordering::Release);
    }
    started
}

/// Whether it runs in this process, if that is the root.
pub(in crate::task) fn runs_here() -> bool {
    RUNNING.load(Ordering::Acquire) == process::pid()
}

/// The root of this forked process has ended, and its zygote is about to: what it would still fork
/// ends with that root.
fn wait_for_old_zygote(runtime: &'static Runtime) {
    let me = runtime.me();
    let Ok(control) = zygote_control::get(&me) else { return };
    let Some(index) = control.zygote_slot.load(Ordering::Acquire).checked_sub(1) else { return };
    let slot = slots::process_slot(runtime.arena(), index as u32);
    if slot.role.load(Ordering::Acquire) != role::ZYGOTE || runtime.root_alive() {
        return;
    }
    let (pid, _) = slots::owner(slot);
    let Ok(zygote) = pidfd::open(pid) else { return };
    for step in 0..2000 {
        if pidfd::ended(zygote.as_fd()) {
            return;
        }
        if step == 500 {
            let _ = pidfd::send_signal(zygote.as_fd(), libc::SIGKILL);
        }
        process::nap();
    }
}

/// The old zygote's children end with it, and look idle until they do: what one of them were given
/// now would be lost. Nobody starts a process before there is a root again, so none is claimed anew.
fn dismiss_old_spares(runtime: &'static Runtime) {
    let me = runtime.me();
    if runtime.root_alive() {
        return;
    }
    if let Ok(control) = zygote_control::get(&me) {
        control.dismiss_all(&me);
    }
}

/// This process has come after a root that has ended: the supervisor finds all members unwatched.
fn take_over(runtime: &'static Runtime) {
    let me = runtime.me();
    for index in slots::processes(runtime.arena()) {
        let slot = slots::process_slot(runtime.arena(), index);
        let is_clean = slots::owner(slot).1 != process_state::DEAD;
        if index != runtime.process_index()
            && is_clean
            && slot.watched.load(Ordering::Acquire) >> 32 == 0
        {
            slot.watched.store(0, Ordering::Release);
            crash_point!("supervisor.unwatched");
        }
    }
    if let Ok(control) = zygote_control::get(&me) {
        // What the old one has asked for or begun: where there is a zygote of its, its end says so.
        let state = control.zygote.load(Ordering::Acquire);
        if state == zygote_state::WANTED || state == zygote_state::STARTING {
            control.zygote.store(zygote_state::NONE, Ordering::Release);
            crash_point!("supervisor.zygote_forgotten");
        }
    }
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
        identity::note_supervisor();
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
            terminations: Terminations::default(),
            out_of_memory: None,
            untold: Untold::default(),
            told_closed: false,
            dead: VecDeque::new(),
            held_up: false,
            begun: Vec::new(),
        };
        it.serve(doorbell);
    })?;
    Ok(())
}

impl Supervisor<'_> {
    fn serve(&mut self, doorbell: &OwnedFd) -> ! {
        let mut keys = Vec::new();
        // The root itself is not watched: with it ends this thread.
        self.me.runtime().process_slot().watched.store(1, Ordering::Release);
        crash_point!("supervisor.started");
        self.find_old_roots_work();
        // Nobody rings for those who were there before.
        self.watch_new();
        loop {
            self.finish_old_roots_work();
            let nap = self.nap();
            keys.clear();
            let all = [self.deadlines.first(), self.terminations.first(), self.untold.first()];
            let first = all.into_iter().flatten().min();
            let first = first.map_or(Deadline::NEVER, Deadline::at);
            let is_open = self.poll.wait(&mut keys, Deadline::after(nap).or_earlier(first));
            if !is_open || (keys.is_empty() && self.has_lost_some()) {
                self.watch_by_clock();
            }
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
            self.release_dead();
            self.end_over_time();
            self.end_terminated();
            self.remind();
            identity::lower_supervisor();
            self.start_zygote();
            self.report();
            self.bury();
        }
    }

    /// How long it sleeps at most, where nobody rings.
    fn nap(&self) -> Option<Duration> {
        if !self.held_up && self.dead.iter().any(Dead::is_done_with) {
            return Some(Duration::ZERO);
        }
        let looks = !self.by_clock.is_empty()
            || !self.ending.is_empty()
            || !self.begun.is_empty()
            || !self.dead.is_empty();
        // Closing a descriptor of the set wakes nobody.
        let around = (!self.watched.is_empty()).then_some(LOOK_AROUND);
        looks.then(|| Duration::from_millis(20)).or(around)
    }

    /// Whether the program has closed descriptors by which it is told of ends.
    fn has_lost_some(&self) -> bool {
        self.watched.values().any(|fd| !pidfd::is_open(fd.as_fd()))
    }

    /// The program has closed the descriptors of this process, those of the runtime too: says so
    /// once, and looks from time to time at what it was told of by them.
    fn watch_by_clock(&mut self) {
        for (index, fd) in std::mem::take(&mut self.watched) {
            // The number may be the program's by now.
            std::mem::forget(fd);
            let (pid, _) = slots::owner(slots::process_slot(self.me.arena(), index));
            self.by_clock.push((index, pid));
        }
        if !std::mem::replace(&mut self.told_closed, true) {
            let _ = writeln!(
                io::stderr(),
                "tarefa: this process (pid {}) has closed descriptors that belong to tarefa: it \
                 starts no tasks any more, and sees the ends of those that run late. Close only \
                 what is yours: os.closerange(3, 256), for example",
                process::pid()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
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
}
