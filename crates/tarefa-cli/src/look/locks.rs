//! `tarefa locks PID`: who holds what, who waits for whom, and who will wait for ever.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Value, json};
use tarefa_engine::sync::wait::wait_record::How;
use tarefa_engine::trace::Report;
use tarefa_engine::trace::report::{Holds, Standing, Waits};

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
        let nobody = out.language.pick("nobody waits", "ninguém espera");
        if let Err(error) = std::fs::write(path, report.svg(nobody)) {
            return out.complain(format_args!("{}: {error}", path.display()));
        }
    }
    if out.json {
        out.say_json(&as_json(program.root(), &report));
    } else {
        out.say(text(out, &report).trim_end());
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

/// The report for people: the engine's own in English, its words in Portuguese.
fn text(out: &Output, report: &Report) -> String {
    out.language.pick(report.to_string(), in_portuguese(report))
}

fn in_portuguese(report: &Report) -> String {
    let mut lines = Vec::new();
    let mut told = std::collections::BTreeSet::new();
    for (cycles, what) in [(&report.cycles, "deadlock"), (&report.passing, "não há deadlock")] {
        for cycle in cycles {
            let until = if what == "deadlock" { "" } else { ", até que um tempo se esgote" };
            lines.push(match cycle.len() {
                1 => format!("{what}: uma thread espera por si mesma{until}"),
                n => format!("{what}: {n} threads esperam umas pelas outras{until}"),
            });
            for index in cycle {
                told.insert(*index);
                stands(report, &report.threads[*index], &mut lines);
            }
        }
    }
    let rest = || report.threads.iter().enumerate().filter(|(i, _)| !told.contains(i));
    let waiting: Vec<_> = rest().filter(|(_, t)| t.waits.is_some()).collect();
    if told.is_empty() {
        let nobody = if waiting.is_empty() { ": ninguém espera" } else { "" };
        lines.push(format!("não há deadlock{nobody}"));
    }
    if !waiting.is_empty() {
        lines.push(if told.is_empty() { "quem espera" } else { "quem mais espera" }.to_owned());
        for (_, thread) in waiting {
            stands(report, thread, &mut lines);
        }
    }
    let holding: Vec<_> =
        rest().filter(|(_, t)| t.waits.is_none() && !t.holds.is_empty()).collect();
    if !holding.is_empty() {
        lines.push("quem segura algo e não espera".to_owned());
        for (_, thread) in holding {
            stands(report, thread, &mut lines);
        }
    }
    if !report.complete {
        lines.push("(há objetos demais: nem todos foram vistos)".to_owned());
    }
    lines.join("\n")
}

fn stands(report: &Report, thread: &Standing, lines: &mut Vec<String>) {
    lines.push(format!("  {}", who(thread)));
    for held in &thread.holds {
        let since = held.since_ns.map(|ns| format!(" há {}", words::ago(report.at_ns, ns)));
        lines.push(format!("    segura {}{}", held.name, since.unwrap_or_default()));
    }
    let place = thread.place.as_ref().map(|p| format!(" em {p}")).unwrap_or_default();
    let Some(waits) = &thread.waits else {
        if !place.is_empty() {
            lines.push(format!("    está{place}"));
        }
        return;
    };
    let names: Vec<&str> = waits.things.iter().map(|thing| thing.name.as_str()).collect();
    let what = match (names.as_slice(), waits.how) {
        ([], _) => "algo desconhecido".to_owned(),
        (names, How::Any) if names.len() > 1 => format!("qualquer um de {}", names.join(", ")),
        (names, How::All) if names.len() > 1 => format!("todos de {}", names.join(", ")),
        (names, _) => names.join(", "),
    };
    let more = if waits.more { " e mais" } else { "" };
    let left = waits.until_ns.map_or_else(String::new, |until| {
        format!(" (e mais {} no máximo)", words::ago(until, report.at_ns))
    });
    let since = words::ago(report.at_ns, waits.since_ns);
    lines.push(format!("    espera por {what}{more} há {since}{left}{place}"));
    for thing in &waits.things {
        for holder in &thing.holders {
            let holder = who(&report.threads[*holder]);
            lines.push(format!("      {} está com {holder}", thing.name));
        }
    }
}

/// A thread of a process, as the engine's labels have them in English.
fn who(thread: &Standing) -> String {
    let process = thread.process_label.replacen("main program", "programa principal", 1);
    let process = process.replacen("process ", "processo ", 1);
    format!("{process} {}", thread.thread_label)
}
