//! Tasks that this process has started: those it waits for at its end, and failures that nobody asks
//! about.
//!
//! Which failures are told, and that each is told once, is the engine's: `tarefa_engine`'s
//! `task::unretrieved`. Here is when this front tells, on standard error:
//!
//! | the handle that started the task is dropped, and the task has ended | at once |
//! |---|---|
//! | nobody has asked for ten seconds after the end | by the process's clock, which looks now and then |
//! | the program ends | for what has ended; it waits for the others a while, see [`at_exit`] |
//! | a task's process ends | it joins the tasks that it has started, and tells |

use std::io::Write as _;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use tarefa_engine::atomic::{AtomicPtr, Ordering};
use tarefa_engine::os::clock::{Deadline, now_ns};
use tarefa_engine::os::process;
use tarefa_engine::os::process::on_exit;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::wait::{Outcome, Plain};
use tarefa_engine::task::record::{Task as Record, flag};
use tarefa_engine::task::thread_timer::{self, Kept};
use tarefa_engine::task::unretrieved::TELL_AFTER;

use crate::task::outcome;

/// How often the clock looks, while there are tasks that nobody has asked about. What it finds ended
/// it tells when its time has come, so nothing is told later than [`TELL_AFTER`] its end.
const LOOK: Duration = Duration::from_secs(9);

/// Tasks that this process started. Some have ended meanwhile.
///
/// In the child of a fork it is the parent's, and a thread that is not there may hold its lock; so the
/// child has one of its own. None is ever freed.
static STARTED: AtomicPtr<OfProcess> = AtomicPtr::new(ptr::null_mut());

struct OfProcess {
    pid: i32,
    started: Mutex<Started>,
}

#[derive(Default)]
struct Started {
    tasks: Vec<One>,
    /// Those that are over are dropped when there are so many, and 64.
    sweep_at: usize,
    clock: Option<Kept>,
}

struct One {
    /// The thread that started it.
    by: ThreadId,
    /// The program waits for it.
    keeps: bool,
    handle: Handle,
}

impl One {
    fn with<T>(&self, act: impl FnOnce(&Record<'_>) -> T) -> T {
        self.handle.with_me(|me| act(&Record::at(me, self.handle.off())))
    }

    fn ended(&self) -> bool {
        self.with(|task| task.state().is_final())
    }

    /// Whether nothing is left to do for it.
    fn is_over(&self) -> bool {
        self.with(|task| task.state().is_final() && !task.is_untold())
    }
}

impl OfProcess {
    /// This process's, if it has started anything.
    fn here() -> Option<&'static Self> {
        // SAFETY: made by `make`, and never freed.
        let found = unsafe { STARTED.load(Ordering::Acquire).as_ref() };
        found.filter(|it| it.pid == process::pid())
    }

    fn make() {
        let before = STARTED.load(Ordering::Acquire);
        let pid = process::pid();
        let made = Box::into_raw(Box::new(Self { pid, started: Mutex::default() }));
        // not shared: a pointer of this process alone.
        if STARTED.compare_exchange(before, made, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // SAFETY: nobody else knows of it.
            drop(unsafe { Box::from_raw(made) });
        } else if before.is_null() {
            // Also for the children of forks.
            on_exit(at_exit);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn started() -> MutexGuard<'static, Started> {
    loop {
        if let Some(here) = OfProcess::here() {
            return here.lock();
        }
        OfProcess::make();
    }
}

/// Remembers a task that this process has started.
pub(crate) fn note_started(handle: &Handle, task: &Record<'_>) {
    let keeps = task.flags() & flag::DAEMON == 0;
    let one = One { by: std::thread::current().id(), keeps, handle: handle.clone() };
    let mut over = Vec::new();
    let mut started = started();
    if started.tasks.len() >= started.sweep_at.max(64) {
        (over, started.tasks) =
            std::mem::take(&mut started.tasks).into_iter().partition(One::is_over);
        started.sweep_at = started.tasks.len() * 2;
    }
    started.tasks.push(one);
    if started.clock.is_none() {
        // Without a thread to be had the other occasions remain.
        started.clock = thread_timer::keep(after(LOOK), Arc::new(look)).ok();
    }
    drop(started);
    drop(over);
}

fn after(time: Duration) -> u64 {
    now_ns().saturating_add(time.as_nanos() as u64)
}

/// What the clock does: tells what has waited long enough, and says when to look again.
fn look() {
    let mut started = started();
    let (over, tasks) = std::mem::take(&mut started.tasks).into_iter().partition(One::is_over);
    started.tasks = tasks;
    let now = now_ns();
    let (mut due, mut next) = (Vec::new(), after(LOOK));
    for one in &started.tasks {
        match one.with(|task| task.tell_at()) {
            Some(at) if at <= now => due.push(one.handle.clone()),
            Some(at) => next = next.min(at),
            None => {}
        }
    }
    let old = if started.tasks.is_empty() {
        started.clock.take()
    } else {
        let again = thread_timer::keep(next, Arc::new(look)).ok();
        std::mem::replace(&mut started.clock, again)
    };
    drop(started);
    drop((over, old));
    due.iter().for_each(tell);
}

/// The handle that started a task is dropped.
pub(crate) fn handle_goes(handle: &Handle) {
    // Not a copy of it in the child of a fork.
    let ours = OfProcess::here().is_some();
    if ours && handle.with_me(|me| Record::at(me, handle.off()).is_untold()) {
        tell(handle);
    }
}

/// Tells of a failure, if nobody has asked about it or told of it.
fn tell(handle: &Handle) {
    let error = handle.with_me(|me| {
        let task = Record::at(me, handle.off());
        task.mark_told().then(|| outcome::failure(me, &task)).flatten()
    });
    if let Some(error) = error {
        let text = format!("tarefa: nobody asked about it: {error}\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Waits for all tasks that keep this process alive, and tells of those that failed.
pub(crate) fn join_all() {
    join_those(|_| true);
}

/// The same for those that `wanted` says the starter's thread is one of.
pub(crate) fn join_those(wanted: impl Fn(ThreadId) -> bool) {
    loop {
        let next = {
            let mut started = started();
            let found = started.tasks.iter().rposition(|one| one.keeps && wanted(one.by));
            found.map(|i| started.tasks.swap_remove(i))
        };
        let Some(one) = next else { break };
        // The program's end is not interrupted: who wants that kills the process.
        join(&one, Deadline::NEVER);
        tell(&one.handle);
    }
    let (ended, left) = {
        let mut started = started();
        let of = |one: &One| wanted(one.by) && one.ended();
        std::mem::take(&mut started.tasks).into_iter().partition::<Vec<_>, _>(of)
    };
    started().tasks.extend(left);
    for one in &ended {
        tell(&one.handle);
    }
}

/// Whether it has ended by then.
fn join(one: &One, deadline: Deadline) -> bool {
    if let Ok(me) = one.handle.try_me() {
        let task = Record::at(&me, one.handle.off());
        return task.join(&mut Plain, deadline) == Outcome::Ready;
    }
    // As many threads use the runtime as can: this one looks from outside.
    while !one.ended() {
        if deadline.passed() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// The program ends with that status. A task that keeps it alive, and that nobody has waited for, has
/// a while to end; what failed and nobody has asked about is told.
///
/// A program that ends because it failed does not wait, and neither does one that a thread other than
/// the main one ends: it may be the very task.
fn at_exit(status: i32) {
    if OfProcess::here().is_none() {
        return;
    }
    let mut all: Vec<One> = {
        let mut started = started();
        std::mem::take(&mut started.tasks)
    };
    let waits = status == 0 && process::tid() == process::pid();
    let deadline = Deadline::after(Some(if waits { TELL_AFTER } else { Duration::ZERO }));
    // The clock looks no more: it may not tell what is told here.
    for one in &all {
        if one.keeps && waits && !join(one, deadline) {
            let (name, pid) = one.with(|task| (task.name(), task.pid()));
            let text = format!(
                "tarefa: task {name:?} (pid {pid}) still runs, and ends with the program: join() it, \
                 or make it a daemon\n"
            );
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        tell(&one.handle);
    }
    // Nothing is given back any more: the process ends, and with it all it holds.
    std::mem::forget(std::mem::take(&mut all));
}
