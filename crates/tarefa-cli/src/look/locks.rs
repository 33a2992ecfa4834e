//! `tarefa locks PID`: who holds what, who waits for whom, and who will wait for ever.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Value, json};
use tarefa_engine::os::replaced;
use tarefa_engine::sync::wait::wait_record::How;
use tarefa_engine::trace::Report;
use tarefa_engine::trace::report::{Awaits, Holds, Standing, Waits};

use super::{found, words};
use crate::terminal::{EXIT_FOUND, Output};

/// The report; exit code 1 where somebody waits for ever.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let program = match found::program(out, given) {
        Ok(program) => program,
        Err(code) => return code,
    };
    let report = program.report();
    if let Some(path) = given.get_one::<PathBuf>("svg") {
        let picture = report.svg(words::of_reports(out));
        if let Err(error) = replaced::write(path, picture.as_bytes()) {
            return out.complain(format_args!("{}: {error}", path.display()));
        }
    }
    if out.json {
        out.say_json(&as_json(program.root(), &report));
    } else {
        for line in report.lines(words::of_reports(out)) {
            out.say_wrapped(&line);
        }
    }
    if report.is_deadlock() { ExitCode::from(EXIT_FOUND) } else { ExitCode::SUCCESS }
}

fn as_json(root: i32, report: &Report) -> Value {
    json!({
        "pid": root,
        "deadlock": report.is_deadlock(),
        "complete": report.complete,
        "cycles": report.cycles,
        "passing": report.passing,
        "perhaps": report.perhaps,
        "awaits": report.awaits.iter().map(|it| awaits(report, it)).collect::<Vec<_>>(),
        "threads": report.threads.iter().map(|t| standing(report, t)).collect::<Vec<_>>(),
    })
}

fn standing(report: &Report, thread: &Standing) -> Value {
    let held = |held: &Holds| {
        json!({
            "object": held.name,
            "seconds": held.since_ns.map(|since| seconds(report.at_ns.saturating_sub(since))),
        })
    };
    json!({
        "pid": thread.pid,
        "tid": thread.tid,
        "process": thread.process_label,
        "thread": thread.thread_label,
        "task": thread.task_name,
        "place": thread.place,
        "holds": thread.holds.iter().map(held).collect::<Vec<_>>(),
        "waits": thread.waits.as_ref().map(|waits| waiting(report, waits)),
    })
}

fn awaits(report: &Report, it: &Awaits) -> Value {
    let things = it
        .waits
        .things
        .iter()
        .map(|thing| json!({ "object": thing.name, "held_by": thing.holders }));
    json!({
        "thread": it.thread,
        "task": it.name,
        "place": it.place,
        "for": things.collect::<Vec<_>>(),
        "more": it.waits.more,
        "seconds": seconds(report.at_ns.saturating_sub(it.waits.since_ns)),
    })
}

fn waiting(report: &Report, waits: &Waits) -> Value {
    let things =
        waits.things.iter().map(|thing| json!({ "object": thing.name, "held_by": thing.holders }));
    let left = waits.until_ns.map(|until| seconds(until.saturating_sub(report.at_ns)));
    json!({
        "for": things.collect::<Vec<_>>(),
        "needs": match waits.how {
            How::Any => "any",
            How::All => "all",
            How::One => "one",
            How::Pause => "nothing",
        },
        "more": waits.more,
        "seconds": seconds(report.at_ns.saturating_sub(waits.since_ns)),
        "seconds_left": left,
    })
}

/// To the millisecond: less is noise.
fn seconds(ns: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let milliseconds = (ns / 1_000_000) as f64;
    milliseconds / 1000.0
}
