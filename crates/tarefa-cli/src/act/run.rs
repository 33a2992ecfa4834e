//! `tarefa run`: a program with limits, or with reports of waits that last.
//!
//! This process becomes the program, so nothing stands between it and its terminal, its signals and
//! its exit code; but where a timeline is wanted (`record`). A limit on its time is another process's to keep,
//! which the program is not the parent of:
//!
//! ```text
//!   tarefa run ── spawns ──▶ starter ── spawns ──▶ watcher: sleeps on a descriptor of the program
//!       │                       │
//!       │ ◀── has ended ────────┘
//!       └─ executes the program
//! ```

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::ArgMatches;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{pidfd, poll, process, procfs, rlimit};
use tarefa_engine::settings;
use tarefa_engine::units::{Seconds, parse_size};

use super::{record, tree};
use crate::terminal::Output;

/// The command that watches, which nobody types.
pub const WATCH: &str = "watch-program";

/// The program could not be executed, as `env` and shells have it.
pub(super) const NOT_EXECUTED: u8 = 126;
/// There is no such program.
pub(super) const NOT_FOUND: u8 = 127;

/// How long a program has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Becomes the program that is named.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let mut words = given.get_many::<OsString>("program").into_iter().flatten();
    let Some(program) = words.next() else { return out.complain("") };
    // What comes after the program is its own, so an option that is not known looks like one.
    let name = program.to_string_lossy();
    if name.starts_with('-') {
        return out.complain(out.language.pick(
            format!(
                "there is no {name} here, and no program begins like that: name it as ./{name}"
            ),
            format!("{name} não existe aqui, e nenhum programa começa assim: diga ./{name}"),
        ));
    }
    if let Some(path) = given.get_one::<PathBuf>("trace") {
        return record::run(out, given, path);
    }
    let mut command = Command::new(program);
    command.args(words);
    if let Some(seconds) = given.get_one::<Duration>("report-after") {
        command.env("TAREFA_REPORT_AFTER", seconds.as_secs_f64().to_string());
    }
    if let Some(kind) = given.get_one::<String>("kind") {
        command.env("TAREFA_KIND", kind);
    }
    if let Some(limit) = given.get_one::<Duration>("limit-time") {
        if let Err(error) = start_watcher(out, *limit) {
            return out.complain(error);
        }
    }
    if let Some(bytes) = given.get_one::<u64>("limit-memory") {
        if !rlimit::limit_private_memory(*bytes) {
            return out.complain(out.language.pick(
                "the memory cannot be limited: the system does not say how much is in use",
                "a memória não pode ser limitada: o sistema não diz quanto está em uso",
            ));
        }
        // What this process has is given up with it.
        rlimit::limit_program();
    }
    // Only returns where it could not be executed.
    let error = command.exec();
    let _ = out.complain(format_args!("{name}: {error}"));
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    ExitCode::from(if is_missing { NOT_FOUND } else { NOT_EXECUTED })
}

/// Starts who ends this process, which will be the program by then, when its time is up.
fn start_watcher(out: &Output, limit: Duration) -> io::Result<()> {
    let pid = process::pid();
    let status = watching(out, pid, procfs::start_time(pid), limit, true)?.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("no process to watch its time")) }
}

fn watching(
    out: &Output,
    pid: i32,
    start_time: u64,
    limit: Duration,
    is_starter: bool,
) -> io::Result<std::process::Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--lang", out.language.name(), WATCH]);
    if is_starter {
        command.arg("--start");
    }
    command.args([pid.to_string(), start_time.to_string(), limit.as_secs_f64().to_string()]);
    // Ctrl-C is for the program, and so are its streams but for the last word.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).spawn()
}

/// Ends the process when its time is up; for [`WATCH`] alone.
#[must_use]
pub fn watch(out: &Output, given: &ArgMatches) -> ExitCode {
    let of = |name| given.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let parsed = (of("pid").parse::<i32>(), of("start").parse::<u64>(), of("seconds").parse());
    let (Ok(pid), Ok(start_time), Ok(seconds)) = parsed else {
        return out.complain(WATCH);
    };
    let limit = Duration::from_secs_f64(seconds);
    if given.get_flag("start-it") {
        let started = watching(out, pid, start_time, limit, false);
        return started.map_or_else(|error| out.complain(error), |_| ExitCode::SUCCESS);
    }
    end_after(out, pid, start_time, limit);
    ExitCode::SUCCESS
}

fn end_after(out: &Output, pid: i32, start_time: u64, limit: Duration) {
    let Ok(program) = pidfd::open(pid) else { return };
    if procfs::is_another(pid, start_time) {
        return;
    }
    if poll::wait_any(&[program.as_fd()], Deadline::after(Some(limit))) {
        return;
    }
    let name = procfs::thread_name(pid, pid).unwrap_or_default();
    let limit = Seconds(limit);
    out.complain(out.language.pick(
        format!("{name} (pid {pid}) has run for its limit of {limit} and is ended"),
        format!("{name} (pid {pid}) rodou até o seu limite de {limit} e é encerrado"),
    ));
    tree::end_program(pid as u32, &program, GRACE);
}

/// What a pool's tasks may run on, as `--kind` takes it.
///
/// # Errors
/// What it should be.
pub fn kind(text: &str) -> Result<String, String> {
    let is_kind = settings::KINDS.contains(&text);
    is_kind.then(|| text.to_owned()).ok_or_else(|| settings::KINDS.join(", "))
}

/// A number of seconds, more than none, as `--limit-time` takes it.
///
/// # Errors
/// What it should be.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let wanted = "2, 0.5";
    let seconds = text.parse::<f64>().map_err(|_| wanted.to_owned())?;
    let found = Duration::try_from_secs_f64(seconds).map_err(|_| wanted.to_owned())?;
    if found.is_zero() { Err(wanted.to_owned()) } else { Ok(found) }
}

/// A size, as `--limit-memory` takes it.
///
/// # Errors
/// What it should be.
pub fn size(text: &str) -> Result<u64, String> {
    // With less the system ends the program before its first line, without a word.
    let is_enough = |bytes: &u64| *bytes >= 1 << 20;
    parse_size(text).filter(is_enough).ok_or_else(|| "512M, 2G; 1M or more".to_owned())
}
