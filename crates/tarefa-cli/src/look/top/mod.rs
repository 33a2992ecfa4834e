//! `tarefa top [PID]`: a running program on the screen, looked at again and again.
//!
//! ```text
//!   this thread                                   another, once a second
//!   sampler ── members, report, traffic           asks threads that wait for nothing of ours
//!      │            ◀── lines, as they come ──────── where they stand
//!      ▼
//!   view ── rows in order ──▶ screen ◀── keys        a third: a signal that ends this
//!                               │                    ends it whatever the first is at
//!                               ▼
//!                     question ── a deed, to a task
//! ```
//!
//! What is drawn is text of as many columns as there are, so that a narrow terminal, one without the
//! letters of Unicode, and tests have the same.

mod alternate;
mod hints;
mod interrupts;
mod keyboard;
mod keys;
mod lines;
mod question;
mod sample;
mod screen;
mod signals;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::{Value, json};
use tarefa_engine::trace::observe::Program;

use self::lines::Lines;
use self::sample::{Row, Sample, Sampler};
use super::found;
use crate::terminal::Output;

pub use self::interrupts::{INTERRUPT, interrupt_task};

/// How often is looked if nobody says otherwise.
const EVERY: Duration = Duration::from_millis(250);

/// Shows the program until somebody has seen enough, or it ends.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let program = match chosen(out, given) {
        Ok(program) => program,
        Err(code) => return code,
    };
    let lines = Lines::of(program.root(), !given.get_flag("no-stacks"));
    if out.json {
        out.say_json(&once(out, &program, &lines));
        return ExitCode::SUCCESS;
    }
    if let Some(lacks) = lacks(out) {
        let root = program.root();
        return out.complain(out.language.pick(
            format!(
                "{lacks}; once and without one say the same tarefa ps {root}, tarefa locks {root} \
                 and tarefa top {root} --json"
            ),
            format!(
                "{lacks}; uma vez e sem ele dizem o mesmo tarefa ps {root}, tarefa locks {root} e \
                 tarefa top {root} --json"
            ),
        ));
    }
    let every = given.get_one::<Duration>("every").copied().unwrap_or(EVERY);
    match screen::show(out, &program, &lines, every) {
        Ok(screen::End::Left) => ExitCode::SUCCESS,
        // As a shell tells it of who was ended by a signal.
        Ok(screen::End::Signal(number)) => {
            ExitCode::from(128 | u8::try_from(number).unwrap_or_default())
        }
        Ok(screen::End::Over) => {
            let root = program.root();
            out.say(
                out.language
                    .pick(format!("program {root} has ended"), format!("o programa {root} acabou")),
            );
            ExitCode::SUCCESS
        }
        Err(error) => out.complain(error),
    }
}

/// What is missing for the screen, if something is.
fn lacks(out: &Output) -> Option<String> {
    let t =
        |english: &str, portuguese: &str| Some(out.language.pick(english, portuguese).to_owned());
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return t("top needs a terminal", "top precisa de um terminal");
    }
    let kind = std::env::var_os("TERM").unwrap_or_default();
    if kind.is_empty() || kind == "dumb" {
        // What would be drawn is letters and numbers there, all over each other.
        return t(
            "top needs a terminal with a cursor that moves, and TERM is dumb or not set",
            "top precisa de um terminal cujo cursor se mova, e TERM é dumb ou não está definida",
        );
    }
    None
}

/// The program that is named, or the only one there is.
fn chosen(out: &Output, given: &ArgMatches) -> Result<Program, ExitCode> {
    if given.contains_id("pid") {
        return found::program(out, given);
    }
    let mut all: Vec<Program> =
        Program::all().into_iter().filter_map(|found| found.program.ok()).collect();
    let t = |english: String, portuguese: String| {
        Err(out.complain(out.language.pick(english, portuguese)))
    };
    match all.len() {
        1 => Ok(all.remove(0)),
        0 => t(
            "no program of yours uses tarefa now".to_owned(),
            "nenhum programa seu usa tarefa agora".to_owned(),
        ),
        _ => {
            let pids: Vec<String> = all.iter().map(|one| one.root().to_string()).collect();
            let pids = pids.join(", ");
            t(
                format!("several programs use tarefa: name one of {pids}; tarefa ps says more"),
                format!("vários programas usam tarefa: indique um de {pids}; tarefa ps diz mais"),
            )
        }
    }
}

/// One look, as JSON. For the use of the processor it takes two, a moment apart.
fn once(out: &Output, program: &Program, lines: &Lines) -> Value {
    let mut sampler = Sampler::default();
    lines.want(&sampler.look(out, program, &lines.known()));
    std::thread::sleep(EVERY);
    lines.wait_for_first();
    let sample = sampler.look(out, program, &lines.known());
    as_json(program, &sample)
}

fn as_json(program: &Program, sample: &Sample) -> Value {
    let task = |row: &Row| {
        json!({
            "pid": row.pid,
            "tid": row.tid,
            "name": row.name,
            "kind": if row.is_thread { "thread" } else { "process" },
            "is_task": row.address.is_some(),
            "state": row.state.to_string(),
            "cpu_percent": row.cpu,
            "memory_bytes": row.memory,
            "stands": row.stands,
        })
    };
    json!({
        "pid": program.root(),
        "command": program.command_line(),
        "deadlock": sample.is_deadlock,
        "shared_bytes": sample.shared,
        "tasks": sample.rows.iter().map(task).collect::<Vec<_>>(),
        "locks": sample.locks.iter().map(|held| json!({
            "object": held.name,
            "owners": held.owners,
            "waiters": held.waiters,
        })).collect::<Vec<_>>(),
        "queues": sample.queues.iter().map(|queue| json!({
            "object": queue.name,
            "length": queue.length,
            "maxsize": queue.maxsize,
        })).collect::<Vec<_>>(),
        "pools": sample.pools.iter().map(|pool| json!({
            "object": pool.name,
            "workers": pool.workers,
            "busy": pool.busy,
            "waiting": pool.waiting,
            "begun": pool.begun,
        })).collect::<Vec<_>>(),
    })
}
