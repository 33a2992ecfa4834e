//! One job: its program is started, watched and collected by the worker of the pool that runs it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{memfd, pidfd, pipe, poll};

use super::guard::Guard;
use crate::act::run::{NOT_EXECUTED, NOT_FOUND};
use crate::act::tree::{self, SIGKILL};

/// How long a job has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// A job that waits for a worker.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) words: Vec<OsString>,
    /// Attempts before this one.
    pub(super) failures: u64,
}

/// What came of a job.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) number: u64,
    pub(super) words: Vec<OsString>,
    pub(super) code: i32,
    pub(super) signal: i32,
    pub(super) timed_out: bool,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) attempts: u64,
}

impl Ended {
    pub(super) fn is_failure(&self) -> bool {
        self.code != 0 || self.signal != 0
    }
}

/// The process groups that run, by the numbers of their jobs: each with its place in the guard's table.
struct Running {
    guard: Guard,
    groups: HashMap<u64, (u32, u64)>,
}

/// What the workers of all jobs share with who gives them out.
pub(super) struct Jobs {
    timeout: Option<Duration>,
    memory: Option<u64>,
    running: Mutex<Running>,
    /// Who begins a job reads it until the job is among those that run.
    begins: RwLock<()>,
    ended: Mutex<Vec<io::Result<Ended>>>,
    /// Readable once something was put into `ended`.
    news: OwnedFd,
    /// No job begins any more; what is readable then.
    stops: AtomicBool,
    stopping: OwnedFd,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jobs {
    pub(super) fn new(timeout: Option<Duration>, memory: Option<u64>) -> io::Result<Self> {
        Ok(Self {
            timeout,
            memory,
            running: Mutex::new(Running { guard: Guard::new()?, groups: HashMap::new() }),
            begins: RwLock::default(),
            ended: Mutex::default(),
            news: pipe::event(0)?,
            stops: AtomicBool::new(false),
            stopping: pipe::event(0)?,
        })
    }

    /// What is readable once a job has ended.
    pub(super) fn news(&self) -> &OwnedFd {
        &self.news
    }

    /// The jobs that have ended since, or could not be looked after.
    pub(super) fn take_ended(&self) -> Vec<io::Result<Ended>> {
        pipe::silence(self.news.as_fd());
        std::mem::take(&mut *locked(&self.ended))
    }

    /// Runs a job to its end: what a worker does.
    pub(super) fn run(&self, job: Job) {
        if !self.stops.load(Ordering::SeqCst) {
            let ended = self.attempt(job);
            locked(&self.ended).push(ended);
        }
        pipe::signal_event(self.news.as_fd());
    }

    /// Has no job begin any more, and ends those that run.
    pub(super) fn stop(&self) {
        self.stops.store(true, Ordering::SeqCst);
        pipe::signal_event(self.stopping.as_fd());
    }

    /// Does something while each job that has begun is known.
    pub(super) fn while_none_begins(&self, act: impl FnOnce(&Self)) {
        let _begins = self.begins.write().unwrap_or_else(PoisonError::into_inner);
        act(self);
    }

    /// Sends a signal to all jobs. A number belongs to its job until that is taken out of the groups, under
    /// the same lock.
    pub(super) fn signal_all(&self, number: i32) {
        for (group, _) in locked(&self.running).groups.values() {
            tree::signal_group(*group, number);
        }
    }

    fn attempt(&self, job: Job) -> io::Result<Ended> {
        let Job { number, words, failures } = job;
        let (stdout, stderr) = (memfd::create_empty(c"stdout")?, memfd::create_empty(c"stderr")?);
        let (began, since) = (SystemTime::now(), Instant::now());
        let mut ended = Ended {
            number,
            words,
            code: 0,
            signal: 0,
            timed_out: false,
            began,
            took: Duration::ZERO,
            stdout: Vec::new(),
            stderr: Vec::new(),
            attempts: failures + 1,
        };
        let mut command = self.command(&ended.words, &stdout, &stderr)?;
        let begun = {
            let _begins = self.begins.read().unwrap_or_else(PoisonError::into_inner);
            command.spawn().map(|child| {
                let noted = self.note(number, &child);
                (child, noted)
            })
        };
        let (mut child, noted) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let is_missing = error.kind() == io::ErrorKind::NotFound;
                ended.code = i32::from(if is_missing { NOT_FOUND } else { NOT_EXECUTED });
                let name = ended.words[0].to_string_lossy();
                ended.stderr = format!("tarefa: {name}: {error}\n").into_bytes();
                ended.took = since.elapsed();
                return Ok(ended);
            }
        };
        let watched = noted.and_then(|()| self.watch(&child, since));
        ended.took = since.elapsed();
        if watched.is_err() {
            // Nobody would end it, or hear of its end.
            tree::signal_group(child.id(), SIGKILL);
        }
        self.leave(number)?;
        let status = child.wait()?;
        ended.timed_out = watched?;
        ended.code = status.code().unwrap_or(0);
        ended.signal = status.signal().unwrap_or(0);
        ended.stdout = whole(&stdout)?;
        ended.stderr = whole(&stderr)?;
        Ok(ended)
    }

    fn command(
        &self,
        words: &[OsString],
        stdout: &OwnedFd,
        stderr: &OwnedFd,
    ) -> io::Result<Command> {
        let mut command = match self.memory {
            None => Command::new(&words[0]),
            // The limit is on a process's own memory, and `run` sets it before the program is there.
            Some(bytes) => {
                let mut limited = Command::new(std::env::current_exe()?);
                limited.args([OsStr::new("run"), OsStr::new("--limit-memory")]);
                limited.arg(bytes.to_string()).arg("--").arg(&words[0]);
                limited
            }
        };
        command.args(&words[1..]).stdin(Stdio::null()).process_group(0);
        command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        Ok(command)
    }

    /// A job has begun: the end of this process ends it from now on.
    fn note(&self, number: u64, child: &Child) -> io::Result<()> {
        let mut running = locked(&self.running);
        let place = running.guard.begins(child.id())?;
        running.groups.insert(number, (child.id(), place));
        Ok(())
    }

    /// Waits until a job has ended, and ends it when its time is up; whether that was so.
    fn watch(&self, child: &Child, since: Instant) -> io::Result<bool> {
        let ended = pidfd::open(child.id() as i32)?;
        let left = self.timeout.map(|timeout| timeout.saturating_sub(since.elapsed()));
        // Once all are stopped that is readable for ever.
        poll::wait_any(&[ended.as_fd(), self.stopping.as_fd()], Deadline::after(left));
        if pidfd::ended(ended.as_fd()) {
            return Ok(false);
        }
        tree::end_group(child.id(), &ended, GRACE);
        Ok(!self.stops.load(Ordering::SeqCst))
    }

    /// A job has ended, and its number is its own until it is waited for.
    fn leave(&self, number: u64) -> io::Result<()> {
        let mut running = locked(&self.running);
        match running.groups.remove(&number) {
            Some((_, place)) => running.guard.ends(place),
            None => Ok(()),
        }
    }
}

/// All that was written to a file in memory.
fn whole(file: &OwnedFd) -> io::Result<Vec<u8>> {
    let length = usize::try_from(memfd::len(file)?).unwrap_or(0);
    let mut text = vec![0; length];
    if length > 0 {
        let file = File::from(file.try_clone()?);
        file.read_exact_at(&mut text, 0)?;
    }
    Ok(text)
}
