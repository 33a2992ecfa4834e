//! The supervisor's thread: it sleeps until something is to be done, and does it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::state::Supervisor;
use super::untold::Untold;
use crate::atomic::{AtomicBool, Ordering};
use crate::os::clock::Deadline;
use crate::os::epoll::Poll;
use crate::os::{pipe, process, signal};
use crate::shm::member::fork_safe_lock::Latest;
use crate::shm::member::slots;
use crate::shm::{Runtime, recovery};
use crate::task::deadlines::Deadlines;
use crate::task::identity;

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

const DOORBELL: u64 = u64::MAX;
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

/// Whether it runs in this process, if that is the root.
pub(in crate::task) fn runs_here() -> bool {
    RUNNING.load(Ordering::Acquire)
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
            out_of_memory: None,
            untold: Untold::default(),
            told_closed: false,
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
        loop {
            let looks = !self.by_clock.is_empty() || !self.ending.is_empty();
            let nap = looks.then(|| Duration::from_millis(20));
            keys.clear();
            let first = [self.deadlines.first(), self.untold.first()].into_iter().flatten().min();
            let first = first.map_or(Deadline::NEVER, Deadline::at);
            if !self.poll.wait(&mut keys, Deadline::after(nap).or_earlier(first)) {
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
            self.end_over_time();
            self.remind();
            identity::lower_supervisor();
            self.start_zygote();
            self.report();
        }
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
