//! `tarefa run --trace FILE`: a program with a timeline of it, and of the programs that it starts.
//!
//! ```text
//!   tarefa run --trace FILE ── spawns ──▶ tarefa run [limits] ── becomes ──▶ the program
//!       │  waits under a name                                                  │
//!       │  ◀────── "here is my memory", at its first shared object or task ────┤
//!       │  joins, switches its trace on ──── "go on" ─────────────────────────▶│
//!       │  collects                                                            ▼
//!       └─ writes FILE, exits as the program did ◀──────────────────────── its end
//! ```
//!
//! So nothing is missed, and whatever ends this process switches the trace off and lets the program go on. Without a
//! first shared object there is nothing to record.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::ArgMatches;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::rendezvous::Rendezvous;
use tarefa_engine::os::replaced::Replaced;
use tarefa_engine::os::{clock, pidfd, pipe, process};
use tarefa_engine::settings::OBSERVER;
use tarefa_engine::task::announce;
use tarefa_engine::trace::observe::record;
use tarefa_engine::trace::timeline::{Options, Recording, Timeline};

use crate::look::timeline::{self, Stops};
use crate::terminal::Output;

/// How often what threads have written is fetched.
const EVERY: Duration = Duration::from_millis(20);
/// How long a program has to say where its memory is.
const PATIENCE: Duration = Duration::from_secs(1);
/// Signals that are given on to the program. Those of the terminal's keys it gets itself.
const GIVEN_ON: [i32; 2] = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];
const FROM_KEYS: [i32; 2] = [signal_hook::consts::SIGINT, signal_hook::consts::SIGQUIT];

/// The key of the program's end: no signal has this number.
const ENDED: u64 = 0;

/// Recordings of the programs that have come.
type Recordings = Arc<Mutex<Vec<Recording>>>;

/// Runs the program that the arguments name, and writes the file in the end.
pub(super) fn run(out: &Output, given: &ArgMatches, path: &Path) -> ExitCode {
    let file = match Replaced::at(path) {
        Ok(file) => file,
        Err(error) => return out.complain(format_args!("{}: {error}", path.display())),
    };
    let recordings = Recordings::default();
    let signals: Vec<i32> = GIVEN_ON.into_iter().chain(FROM_KEYS).collect();
    // Before there is a program that would go on without its timeline.
    let ended = Stops::new(&signals).and_then(|stops| {
        let mut child = start(out, given, &recordings)?;
        collect_until_end(&stops, &child, &recordings)?;
        child.wait()
    });
    let status = match ended {
        Ok(status) => status,
        Err(error) => return out.complain(error),
    };
    let mut recordings = recordings.lock().unwrap_or_else(PoisonError::into_inner);
    timeline::see_out(recordings.iter_mut());
    let mut all = Timeline::default();
    for recording in recordings.iter_mut() {
        all.join(recording.timeline());
    }
    if recordings.is_empty() {
        let _ = out.complain(out.language.pick(
            "nothing was recorded: the program made no task and no shared object of tarefa",
            "nada foi gravado: o programa não fez nenhuma tarefa nem objeto compartilhado de tarefa",
        ));
    } else if all.slices.is_empty() {
        timeline::tell_of_nothing(out);
    }
    // The programs have ended, and with them all of their memory.
    std::mem::take(&mut *recordings).into_iter().for_each(std::mem::forget);
    let written = timeline::write(&file, path, &all, out);
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    match written {
        Ok(()) => ExitCode::from(code as u8),
        Err(error) => {
            let said = out.complain(format_args!("{}: {error}", path.display()));
            if code == 0 { said } else { ExitCode::from(code as u8) }
        }
    }
}

/// Starts the program, and who waits for those that want to be recorded.
fn start(out: &Output, given: &ArgMatches, recordings: &Recordings) -> io::Result<Child> {
    let name = format!("tarefa-observer-{}-{}", process::pid(), clock::now_ns());
    let place = Rendezvous::open(&name)?;
    let (options, theirs) = (timeline::options(given), Arc::clone(recordings));
    let language = out.clone();
    thread::Builder::new().name("tarefa-waits".into()).spawn(move || {
        wait_for_programs(&language, &place, options, &theirs);
    })?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--lang", out.language.name(), "run"]);
    for name in ["limit-time", "limit-memory", "report-after", "kind"] {
        if let Some(value) = given.get_raw(name).and_then(|mut values| values.next()) {
            command.arg(format!("--{name}")).arg(value);
        }
    }
    let program = given.get_many::<OsString>("program").into_iter().flatten();
    command.arg("--").args(program).env(OBSERVER, name).spawn()
}

fn wait_for_programs(out: &Output, place: &Rendezvous, options: Options, recordings: &Recordings) {
    loop {
        let visitor = match place.next(PATIENCE) {
            Ok(Some(visitor)) => visitor,
            Ok(None) => continue,
            Err(error) => {
                let _ = out.complain(error);
                return;
            }
        };
        let Some(address) = announce::parse(&visitor.says) else { continue };
        match record(address, options) {
            Ok(recording) => {
                recordings.lock().unwrap_or_else(PoisonError::into_inner).push(recording);
            }
            Err(error) => {
                let _ = out.complain(error);
            }
        }
        visitor.answer();
    }
}

/// Fetches what is written until the program has ended.
fn collect_until_end(stops: &Stops, child: &Child, recordings: &Recordings) -> io::Result<()> {
    let program = pidfd::open(child.id() as i32)?;
    stops.poll.add(program.as_fd(), ENDED)?;
    let mut keys = Vec::new();
    while !keys.contains(&ENDED) {
        for recording in recordings.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            recording.collect();
        }
        keys.clear();
        stops.poll.wait(&mut keys, Deadline::after(Some(EVERY)));
        for (signal, came) in &stops.came {
            if keys.contains(&(*signal as u64)) {
                pipe::silence(came.as_fd());
                if GIVEN_ON.contains(signal) {
                    // One that has just ended needs none.
                    let _ = pidfd::send_signal(program.as_fd(), *signal);
                }
            }
        }
    }
    Ok(())
}
