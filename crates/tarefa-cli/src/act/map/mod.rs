//! `tarefa map`: a command for each of many arguments, several at once.
//!
//! ```text
//!   inputs ──▶ at most N jobs at once ──▶ results, kept until it is their turn ──▶ standard output
//!                │ a file in memory each for output and errors                    └▶ the log
//! ```
//!
//! - Jobs are processes that this one spawns, without a shell: `posix_spawn` copies no memory. A pool of
//!   the library's has workers that stay, and here each job executes a program of its own.
//! - What a job writes is shown in one piece, when it has ended, in the order of the arguments.
//! - Each job is a process group: what ends a job ends what it has started, too. When this process is killed
//!   another one does so (`guard.rs`).

mod ended;
mod guard;
mod inputs;
mod log;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use clap::ArgMatches;
use serde_json::json;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::epoll::Poll;
use tarefa_engine::os::{machine, memfd, pidfd, pipe, signal};

use self::ended::Ended;
use self::guard::{Guard, SIGKILL};
use self::inputs::{Inputs, Next, Template, parted};
use self::log::{Done, Log};
use super::run::{NOT_EXECUTED, NOT_FOUND};
use crate::terminal::Output;

pub use self::guard::{GUARD, guard};

/// More jobs than this that have failed are told as so many and one.
const MOST_FAILED: u64 = 100;
/// It could not be done, as GNU parallel has it.
const FAILED: u8 = 255;
/// How long a job has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Results that wait for their turn, for each job that runs at once: more jobs are not begun then.
const KEPT: usize = 1000;
/// How often progress is told.
const TOLD: Duration = Duration::from_millis(100);
const SIGTERM: i32 = 15;
/// The signals that end all of it.
const STOPS: [i32; 3] = [signal_hook::consts::SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
/// The key of new lines of standard input, and that from which on signals have theirs. Jobs have their
/// numbers.
const NEWS: u64 = u64::MAX;
const STOPPED: u64 = 1 << 63;

/// A job that runs.
struct Running {
    number: u64,
    words: Vec<OsString>,
    child: Child,
    /// Its place in the guard's table.
    place: u64,
    ended: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    began: SystemTime,
    since: Instant,
    /// When it is ended, and by which signal next.
    limit: Option<(Instant, i32)>,
    /// Attempts before this one.
    failures: u64,
}

/// What is asked for.
struct Wanted {
    template: Template,
    at_once: usize,
    retries: u64,
    timeout: Option<Duration>,
    memory: Option<u64>,
    progress: bool,
}

struct Map<'a> {
    out: &'a Output,
    wanted: Wanted,
    inputs: Inputs,
    done: Done,
    log: Option<Log>,
    poll: Poll,
    guard: Guard,
    running: Vec<Running>,
    /// To be tried again, with how often they have failed.
    again: Vec<(u64, Vec<OsString>, u64)>,
    /// The number of the next argument, and of the next result to be shown.
    next: u64,
    shown: u64,
    /// Results that wait for their turn; `None` of a job that was done before.
    kept: BTreeMap<u64, Option<Ended>>,
    all_read: bool,
    succeeded: u64,
    failed: u64,
    /// When progress was told last.
    told: Option<Instant>,
    begun: Instant,
    /// Readable once a signal has come that ends all of it.
    stops: Vec<UnixStream>,
}

/// A number of jobs, more than none, as `--jobs` takes it.
///
/// # Errors
/// What it should be.
pub fn at_once(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|jobs| *jobs > 0).ok_or_else(|| "1, 2, 3".to_owned())
}

/// Runs the command for each argument.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let words: Vec<OsString> =
        given.get_many::<OsString>("command").into_iter().flatten().cloned().collect();
    match start(out, given, &words) {
        Ok(mut map) => match map.work() {
            Ok(code) => code,
            Err(error) => {
                map.end_all(SIGTERM);
                // Who reads no further wants no more, and no word about it.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    let _ = out.complain(error);
                }
                ExitCode::from(FAILED)
            }
        },
        Err(error) => {
            let _ = out.complain(error);
            ExitCode::from(FAILED)
        }
    }
}

fn start<'a>(out: &'a Output, given: &ArgMatches, words: &[OsString]) -> io::Result<Map<'a>> {
    let (template, named) = parted(words);
    let path = given.get_one::<PathBuf>("joblog");
    let resumes = given.get_flag("resume");
    let named_file = |error: io::Error| {
        let path = path.map(|path| path.display().to_string()).unwrap_or_default();
        io::Error::new(error.kind(), format!("{path}: {error}"))
    };
    let done = match path.filter(|_| resumes) {
        Some(path) => Done::read(path).map_err(named_file)?,
        None => Done::default(),
    };
    let log = path.map(|path| Log::open(path, resumes)).transpose().map_err(named_file)?;
    let inputs = Inputs::new(named)?;
    let poll = Poll::new()?;
    if let Some(news) = inputs.news() {
        poll.add(news.as_fd(), NEWS)?;
    }
    let mut stops = Vec::new();
    for number in STOPS {
        let (ours, theirs) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(number, theirs)?;
        poll.add(ours.as_fd(), STOPPED + number as u64)?;
        stops.push(ours);
    }
    let at_once = given.get_one::<usize>("jobs").copied();
    Ok(Map {
        out,
        wanted: Wanted {
            template,
            at_once: at_once.unwrap_or_else(|| machine::cpu_count().max(1) as usize),
            retries: given.get_one::<u64>("retry").copied().unwrap_or(0),
            timeout: given.get_one::<Duration>("timeout").copied(),
            memory: given.get_one::<u64>("memory").copied(),
            progress: given.get_flag("progress"),
        },
        inputs,
        done,
        log,
        poll,
        guard: Guard::new()?,
        running: Vec::new(),
        again: Vec::new(),
        next: 1,
        shown: 1,
        kept: BTreeMap::new(),
        all_read: false,
        succeeded: 0,
        failed: 0,
        told: None,
        begun: Instant::now(),
        stops,
    })
}

impl Map<'_> {
    fn work(&mut self) -> io::Result<ExitCode> {
        let mut keys = Vec::new();
        loop {
            self.begin_jobs()?;
            if self.running.is_empty() && self.all_read && self.again.is_empty() {
                break;
            }
            self.tell_progress(false);
            keys.clear();
            self.poll.wait(&mut keys, self.soonest());
            for key in &keys {
                if let Some(number) = key.checked_sub(STOPPED).filter(|number| *number < 128) {
                    self.tell_progress(true);
                    self.end_all(SIGTERM);
                    return Ok(ExitCode::from(128 + number as u8));
                } else if *key == NEWS {
                    if let Some(news) = self.inputs.news() {
                        pipe::silence(news.as_fd());
                    }
                } else {
                    self.collect(*key)?;
                }
            }
            self.enforce_limits();
        }
        self.tell_progress(true);
        let failed = self.failed.min(MOST_FAILED + 1);
        Ok(ExitCode::from(u8::try_from(failed).unwrap_or(FAILED)))
    }

    /// When somebody has to look at the latest.
    fn soonest(&self) -> Deadline {
        let limit = self.running.iter().filter_map(|job| job.limit).map(|(at, _)| at).min();
        let left = limit.map(|at| at.saturating_duration_since(Instant::now()));
        let progress = self.wanted.progress.then_some(TOLD);
        Deadline::after(left.into_iter().chain(progress).min())
    }

    fn begin_jobs(&mut self) -> io::Result<()> {
        while self.running.len() < self.wanted.at_once {
            if let Some((number, words, failures)) = self.again.pop() {
                self.begin(number, words, failures)?;
                continue;
            }
            if self.all_read || self.kept.len() >= KEPT * self.wanted.at_once {
                break;
            }
            match self.inputs.next() {
                Next::Argument(argument) => {
                    let number = self.next;
                    self.next += 1;
                    let words = self.wanted.template.with(&argument);
                    if self.done.has(number, &words) {
                        self.kept.insert(number, None);
                        self.show_in_order()?;
                    } else {
                        self.begin(number, words, 0)?;
                    }
                }
                Next::Later => break,
                Next::None => self.all_read = true,
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: u64, words: Vec<OsString>, failures: u64) -> io::Result<()> {
        let (stdout, stderr) = (memfd::create_empty(c"stdout")?, memfd::create_empty(c"stderr")?);
        let mut command = match self.wanted.memory {
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
        let (began, since) = (log::now(), Instant::now());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let text = format!("tarefa: {}: {error}\n", words[0].to_string_lossy());
                let is_missing = error.kind() == io::ErrorKind::NotFound;
                return self.ended(Ended {
                    number,
                    words,
                    code: i32::from(if is_missing { NOT_FOUND } else { NOT_EXECUTED }),
                    signal: 0,
                    timed_out: false,
                    began,
                    took: since.elapsed(),
                    stdout: Vec::new(),
                    stderr: text.into_bytes(),
                    attempts: failures + 1,
                });
            }
        };
        let (place, ended) = match self.watch(&child, number) {
            Ok(watched) => watched,
            Err(error) => {
                // Nobody would end it, or hear of its end.
                end(&child, SIGKILL);
                let _ = child.wait();
                return Err(error);
            }
        };
        let limit = self.wanted.timeout.map(|after| (since + after, SIGTERM));
        self.running.push(Running {
            number,
            words,
            child,
            place,
            ended,
            stdout,
            stderr,
            began,
            since,
            limit,
            failures,
        });
        Ok(())
    }

    /// Has the end of this process end a job, and the end of the job noticed: its place in the guard's
    /// table, and what is readable then.
    fn watch(&mut self, child: &Child, number: u64) -> io::Result<(u64, OwnedFd)> {
        let place = self.guard.begins(child.id())?;
        let ended = pidfd::open(child.id() as i32)?;
        self.poll.add(ended.as_fd(), number)?;
        Ok((place, ended))
    }

    /// A job has ended, and is shown or tried again.
    fn collect(&mut self, number: u64) -> io::Result<()> {
        let Some(at) = self.running.iter().position(|job| job.number == number) else {
            return Ok(());
        };
        let mut job = self.running.swap_remove(at);
        self.poll.remove(job.ended.as_fd());
        let took = job.since.elapsed();
        self.guard.ends(job.place)?;
        let status: ExitStatus = job.child.wait()?;
        let (stdout, stderr) = (whole(&job.stdout)?, whole(&job.stderr)?);
        let timed_out = job.limit.is_some_and(|(_, next)| next != SIGTERM);
        self.ended(Ended {
            number,
            words: job.words,
            code: status.code().unwrap_or(0),
            signal: status.signal().unwrap_or(0),
            timed_out,
            began: job.began,
            took,
            stdout,
            stderr,
            attempts: job.failures + 1,
        })
    }

    fn ended(&mut self, job: Ended) -> io::Result<()> {
        if job.is_failure() && job.attempts <= self.wanted.retries {
            self.again.push((job.number, job.words, job.attempts));
            return Ok(());
        }
        if let Some(log) = &mut self.log {
            log.note(&job)?;
        }
        if job.is_failure() {
            self.failed += 1;
        } else {
            self.succeeded += 1;
        }
        self.kept.insert(job.number, Some(job));
        self.show_in_order()
    }

    /// Shows those whose turn it is.
    fn show_in_order(&mut self) -> io::Result<()> {
        while let Some(job) = self.kept.remove(&self.shown) {
            self.shown += 1;
            if let Some(job) = job {
                self.show(&job)?;
            }
        }
        Ok(())
    }

    fn show(&self, job: &Ended) -> io::Result<()> {
        if self.out.json {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let words: Vec<_> = job.words.iter().map(|word| word.to_string_lossy()).collect();
            self.out.say_json(&json!({
                "number": job.number,
                "command": words,
                "exit": job.code,
                "signal": job.signal,
                "timed_out": job.timed_out,
                "seconds": job.took.as_secs_f64(),
                "attempts": job.attempts,
                "stdout": text(&job.stdout),
                "stderr": text(&job.stderr),
            }));
            return Ok(());
        }
        if !job.stderr.is_empty() {
            let _ = io::stderr().lock().write_all(&job.stderr);
        }
        if !job.stdout.is_empty() {
            let mut out = io::stdout().lock();
            out.write_all(&job.stdout)?;
            out.flush()?;
        }
        if job.timed_out {
            let _ = self.out.complain(self.out.language.pick(
                format!("{}: its time is up, it was ended", job.words[0].to_string_lossy()),
                format!("{}: o seu tempo acabou, foi encerrado", job.words[0].to_string_lossy()),
            ));
        }
        Ok(())
    }

    /// Ends jobs whose time is up, first by SIGTERM.
    fn enforce_limits(&mut self) {
        let now = Instant::now();
        for job in &mut self.running {
            if let Some((at, number)) = job.limit.filter(|(at, _)| *at <= now) {
                end(&job.child, number);
                job.limit = Some((at.max(now) + GRACE, SIGKILL));
            }
        }
    }

    /// Ends all jobs, and waits for their ends.
    fn end_all(&mut self, number: i32) {
        for job in &self.running {
            end(&job.child, number);
        }
        // What may be readable again and again.
        for stop in self.stops.drain(..) {
            self.poll.remove(stop.as_fd());
        }
        if let Some(news) = self.inputs.news() {
            self.poll.remove(news.as_fd());
        }
        let until = Deadline::after(Some(GRACE));
        let mut keys = Vec::new();
        while self.running.iter().any(|job| !pidfd::ended(job.ended.as_fd())) && !until.passed() {
            keys.clear();
            self.poll.wait(&mut keys, until);
            for job in self.running.iter().filter(|job| keys.contains(&job.number)) {
                self.poll.remove(job.ended.as_fd());
            }
        }
        for job in &mut self.running {
            end(&job.child, SIGKILL);
            let _ = self.guard.ends(job.place);
            let _ = job.child.wait();
        }
        self.running.clear();
    }

    /// How far it is, on standard error: over and over on one line of a terminal, else in the end.
    fn tell_progress(&mut self, is_last: bool) {
        let is_terminal = io::stderr().is_terminal();
        let is_due = self.told.is_none_or(|told| told.elapsed() >= TOLD);
        if !self.wanted.progress || !is_last && (!is_terminal || !is_due) {
            return;
        }
        self.told = Some(Instant::now());
        let (done, failed, running) =
            (self.succeeded + self.failed, self.failed, self.running.len());
        let seconds = self.begun.elapsed().as_secs_f64();
        let known = if self.all_read { format!("/{}", self.next - 1) } else { String::new() };
        let line = self.out.language.pick(
            format!("{done}{known} done, {running} running, {failed} failed, {seconds:.1} s"),
            format!("{done}{known} feitas, {running} rodando, {failed} falharam, {seconds:.1} s"),
        );
        let text = match (is_terminal, is_last) {
            (true, false) => format!("\r{line}\x1b[K"),
            (true, true) => format!("\r{line}\x1b[K\n"),
            (false, _) => format!("{line}\n"),
        };
        let _ = io::stderr().lock().write_all(self.out.letters(&text).as_bytes());
    }
}

/// Sends a signal to a job and all in its process group. Its number is its own until it is waited for.
fn end(child: &Child, number: i32) {
    let _ = signal::send_process(-(child.id() as i32), number);
}

/// All that was written to a file in memory.
fn whole(file: &OwnedFd) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let length = usize::try_from(memfd::len(file)?).unwrap_or(0);
    let mut text = vec![0; length];
    if length > 0 {
        let file = File::from(file.try_clone()?);
        file.read_exact_at(&mut text, 0)?;
    }
    Ok(text)
}
