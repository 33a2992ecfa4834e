//! `tarefa map`: a command for each of many arguments, several at once.
//!
//! ```text
//!   inputs ──▶ jobs ──▶ a pool of N threads ──▶ results, kept until it is their turn ──▶ standard output
//!                         │ each starts a program, watches and collects it (job.rs)   └▶ the log
//!                         └▶ a file in memory each for output and errors
//! ```
//!
//! - Jobs are processes that a worker of the pool spawns, without a shell: `posix_spawn` copies no memory.
//! - What a job writes is shown in one piece, when it has ended, in the order of the arguments.
//! - Each job is a process group: what ends a job ends what it has started, too (`../tree.rs`). When this process is
//!   killed another one does so (`guard.rs`).

mod guard;
mod inputs;
mod job;
mod log;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ArgMatches;
use serde_json::json;
use tarefa::{Pool, Scope};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::epoll::Poll;
use tarefa_engine::os::{machine, pipe, signal};

use self::inputs::{Inputs, Next, Template, parted, unknown_mark};
use self::job::{Ended, Job, Jobs};
use self::log::{Done, Log};
use crate::act::tree::SIGTERM;
use crate::terminal::Output;

pub use self::guard::{GUARD, guard};

/// More jobs than this that have failed are told as so many and one.
const MOST_FAILED: u64 = 100;
/// It could not be done, as GNU parallel has it.
const FAILED: u8 = 255;
/// Results that wait for their turn, for each job that runs at once: more jobs are not begun then.
const KEPT: usize = 1000;
/// Jobs that wait for a worker, for each that runs at once: so none waits for this thread.
const AHEAD: usize = 1;
/// Workers of a pool at most.
const MOST_AT_ONCE: usize = 1024;
/// How often progress is told.
const TOLD: Duration = Duration::from_millis(100);
/// The signals that end all of it.
const STOPS: [i32; 3] = [signal_hook::consts::SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
/// The signal of Ctrl-Z, which the terminal sends to no job, and what has them go on.
const SUSPEND: i32 = signal_hook::consts::SIGTSTP;
const CONTINUE: i32 = signal_hook::consts::SIGCONT;
/// The keys of new lines of standard input, of jobs that have ended, and of signals from this one on.
const LINES: u64 = 0;
const JOBS: u64 = 1;
const STOPPED: u64 = 2;
const SUSPENDED: u64 = STOPPED + SUSPEND as u64;

struct Map<'a> {
    out: &'a Output,
    template: Template,
    at_once: usize,
    retries: u64,
    progress: bool,
    inputs: Inputs,
    done: Done,
    log: Option<Log>,
    poll: Poll,
    jobs: &'a Jobs,
    /// Jobs that were given to the pool and have not ended.
    open: usize,
    /// To be tried again.
    again: Vec<Job>,
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
    /// Readable once a signal has come that ends all of it, and once the one that stops it has.
    _stops: Vec<UnixStream>,
    suspends: UnixStream,
}

/// A number of jobs, more than none, as `--jobs` takes it.
///
/// # Errors
/// What it should be.
pub fn at_once(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|jobs| (1..=MOST_AT_ONCE).contains(jobs))
        .ok_or_else(|| format!("1, 2, 3, ... {MOST_AT_ONCE}"))
}

/// A number, as `--retry` takes it.
///
/// # Errors
/// What it should be.
pub fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "0, 1, 2, 3".to_owned())
}

/// Runs the command for each argument.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    match work(out, given) {
        Ok(code) => code,
        Err(error) => {
            // Who reads no further wants no more, and no word about it.
            if error.kind() != io::ErrorKind::BrokenPipe {
                let _ = out.complain(error);
            }
            ExitCode::from(FAILED)
        }
    }
}

fn work(out: &Output, given: &ArgMatches) -> io::Result<ExitCode> {
    let words: Vec<OsString> =
        given.get_many::<OsString>("command").into_iter().flatten().cloned().collect();
    if let Some(mark) = unknown_mark(&words) {
        let mark = mark.to_string_lossy();
        return Ok(out.complain(out.language.pick(
            format!("there is no {mark} here: name arguments after :::, or give a file by < FILE"),
            format!("{mark} não existe aqui: diga os argumentos depois de :::, ou use < ARQUIVO"),
        )));
    }
    // One that its starter ignores would have nobody's exit code be known.
    signal::default(signal_hook::consts::SIGCHLD);
    let timeout = given.get_one::<Duration>("timeout").copied();
    let jobs = Jobs::new(timeout, given.get_one::<u64>("memory").copied())?;
    let mut map = start(out, given, &words, &jobs)?;
    // No more workers than there may be jobs.
    let workers = map.inputs.most().map_or(map.at_once, |most| map.at_once.min(most)).max(1);
    let pool = Pool::threads(workers).named("map");
    pool.scope(|scope| {
        let worked = map.work(scope);
        // The scope waits for those that run.
        if !matches!(worked, Ok(Worked::All)) {
            jobs.stop();
        }
        worked
    })
    .map_err(io::Error::other)?
    .map(|worked| match worked {
        Worked::All => map.code(),
        Worked::Stopped(number) => ExitCode::from(128 + number),
    })
}

/// How the work has ended: all jobs have, or a signal came.
enum Worked {
    All,
    Stopped(u8),
}

fn start<'a>(
    out: &'a Output,
    given: &ArgMatches,
    words: &[OsString],
    jobs: &'a Jobs,
) -> io::Result<Map<'a>> {
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
        poll.add(news.as_fd(), LINES)?;
    }
    poll.add(jobs.news().as_fd(), JOBS)?;
    let told_of = |number: i32| {
        let (ours, theirs) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(number, theirs)?;
        poll.add(ours.as_fd(), STOPPED + number as u64)?;
        Ok::<_, io::Error>(ours)
    };
    let stops = STOPS.into_iter().map(told_of).collect::<io::Result<_>>()?;
    let suspends = told_of(SUSPEND)?;
    suspends.set_nonblocking(true)?;
    let at_once = given.get_one::<usize>("jobs").copied();
    Ok(Map {
        out,
        template,
        at_once: at_once.unwrap_or_else(|| (machine::cpu_count() as usize).clamp(1, MOST_AT_ONCE)),
        retries: given.get_one::<u64>("retry").copied().unwrap_or(0),
        progress: given.get_flag("progress"),
        inputs,
        done,
        log,
        poll,
        jobs,
        open: 0,
        again: Vec::new(),
        next: 1,
        shown: 1,
        kept: BTreeMap::new(),
        all_read: false,
        succeeded: 0,
        failed: 0,
        told: None,
        begun: Instant::now(),
        _stops: stops,
        suspends,
    })
}

impl<'a> Map<'a> {
    fn work<'s>(&mut self, scope: &'s Scope<'s, 'a>) -> io::Result<Worked> {
        let mut keys = Vec::new();
        loop {
            self.give_out(scope)?;
            if self.open == 0 && self.all_read && self.again.is_empty() {
                break;
            }
            self.tell_progress(false);
            keys.clear();
            self.poll.wait(&mut keys, Deadline::after(self.progress.then_some(TOLD)));
            for key in &keys {
                match *key {
                    LINES => {
                        if let Some(news) = self.inputs.news() {
                            pipe::silence(news.as_fd());
                        }
                    }
                    JOBS => {
                        for ended in self.jobs.take_ended() {
                            self.open -= 1;
                            self.ended(ended?)?;
                        }
                    }
                    SUSPENDED => self.suspend(),
                    signal => {
                        self.tell_progress(true);
                        return Ok(Worked::Stopped((signal - STOPPED) as u8));
                    }
                }
            }
        }
        self.tell_progress(true);
        Ok(Worked::All)
    }

    /// Stops with all jobs, as the shell has it of a program alone, until both are told to go on.
    fn suspend(&mut self) {
        // More than one Ctrl-Z is one.
        let _ = io::copy(&mut self.suspends, &mut io::sink());
        self.jobs.while_none_begins(|jobs| {
            jobs.signal_all(SUSPEND);
            let _ = signal_hook::low_level::emulate_default_handler(SUSPEND);
            jobs.signal_all(CONTINUE);
        });
    }

    fn code(&self) -> ExitCode {
        let failed = self.failed.min(MOST_FAILED + 1);
        ExitCode::from(u8::try_from(failed).unwrap_or(FAILED))
    }

    fn give_out<'s>(&mut self, scope: &'s Scope<'s, 'a>) -> io::Result<()> {
        while self.open < (1 + AHEAD) * self.at_once {
            if let Some(job) = self.again.pop() {
                self.give(scope, job);
                continue;
            }
            if self.all_read || self.kept.len() >= KEPT * self.at_once {
                break;
            }
            match self.inputs.next() {
                Next::Argument(argument) => {
                    let number = self.next;
                    self.next += 1;
                    let words = self.template.with(&argument);
                    if self.done.has(number, &words) {
                        self.kept.insert(number, None);
                        self.show_in_order()?;
                    } else {
                        self.give(scope, Job { number, words, failures: 0 });
                    }
                }
                Next::Later => break,
                Next::None => self.all_read = true,
            }
        }
        Ok(())
    }

    fn give<'s>(&mut self, scope: &'s Scope<'s, 'a>, job: Job) {
        let jobs = self.jobs;
        self.open += 1;
        scope.spawn(move || jobs.run(job));
    }

    fn ended(&mut self, job: Ended) -> io::Result<()> {
        if job.is_failure() && job.attempts <= self.retries {
            let Ended { number, words, attempts, .. } = job;
            self.again.push(Job { number, words, failures: attempts });
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

    /// How far it is, on standard error: over and over on one line of a terminal, else in the end.
    fn tell_progress(&mut self, is_last: bool) {
        let is_terminal = io::stderr().is_terminal();
        let is_due = self.told.is_none_or(|told| told.elapsed() >= TOLD);
        if !self.progress || !is_last && (!is_terminal || !is_due) {
            return;
        }
        self.told = Some(Instant::now());
        let (done, failed) = (self.succeeded + self.failed, self.failed);
        let running = self.open.min(self.at_once);
        let seconds = format!("{:.1}", self.begun.elapsed().as_secs_f64());
        let seconds = self.out.language.number(&seconds);
        let known = if self.all_read { format!("/{}", self.next - 1) } else { String::new() };
        let line = self.out.language.pick(
            format!("{done}{known} done, {running} running, {failed} failed, {seconds} s"),
            format!("{done}{known} feitas, {running} rodando, {failed} falharam, {seconds} s"),
        );
        let text = match (is_terminal, is_last) {
            (true, false) => format!("\r{line}\x1b[K"),
            (true, true) => format!("\r{line}\x1b[K\n"),
            (false, _) => format!("{line}\n"),
        };
        let _ = io::stderr().lock().write_all(self.out.letters(&text).as_bytes());
    }
}
