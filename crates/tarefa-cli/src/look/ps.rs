//! `tarefa ps`: which programs run; `tarefa ps PID`: the processes, threads and tasks of one.

use std::collections::HashMap;
use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Value, json};
use tarefa_engine::os::procfs;
use tarefa_engine::trace::members::{MemberProcess, MemberThread, Role};
use tarefa_engine::trace::observe::{Found, Program};
use tarefa_engine::trace::report::{Awaits, Report, Standing};

use super::{found, words};
use crate::terminal::{Column, Output, Table};

/// The programs, or the one that is named.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    if !given.contains_id("pid") {
        return programs(out);
    }
    let program = match found::program(out, given) {
        Ok(program) => program,
        Err(code) => return code,
    };
    let (members, report) = (program.members(), program.report());
    if out.json {
        out.say_json(&json!({
            "pid": program.root(),
            "command": program.command_line(),
            "processes": members.iter().map(|p| process_json(p, &report)).collect::<Vec<_>>(),
        }));
    } else {
        tell(out, &members, &report);
    }
    ExitCode::SUCCESS
}

fn programs(out: &Output) -> ExitCode {
    let found = Program::all();
    if out.json {
        out.say_json(&found.iter().map(|one| program_json(out, one)).collect());
        return ExitCode::SUCCESS;
    }
    let t = |english, portuguese| out.language.pick(english, portuguese);
    if found.is_empty() {
        out.say(t("no program of yours uses tarefa now", "nenhum programa seu usa tarefa agora"));
        return ExitCode::SUCCESS;
    }
    let mut table = Table::new(&[
        Column::numbers("PID"),
        Column::numbers(t("TASKS", "TAREFAS")).goes(1),
        Column::numbers(t("PROCESSES", "PROCESSOS")).goes(3),
        Column::numbers(t("SHARED", "COMPART.")).goes(2),
        Column::words(t("PROGRAM", "PROGRAMA")),
    ]);
    for one in &found {
        match &one.program {
            Ok(program) => {
                let (bytes, _) = program.in_use();
                table.row(vec![
                    program.root().to_string(),
                    tasks(&program.members()).to_string(),
                    one.pids.len().to_string(),
                    out.sized(bytes),
                    program.command_line().unwrap_or_else(|| "?".to_owned()),
                ]);
            }
            Err(error) => {
                let (first, count) = (one.pids[0], one.pids.len());
                let why = found::sentence(out, error);
                let cells = [first.to_string(), "?".into(), count.to_string(), "?".into(), why];
                table.row(cells.into());
            }
        }
    }
    for line in table.lines(out.width) {
        out.say(line);
    }
    ExitCode::SUCCESS
}

fn program_json(out: &Output, one: &Found) -> Value {
    match &one.program {
        Ok(program) => {
            let (bytes, objects) = program.in_use();
            json!({
                "pid": program.root(),
                "root_lives": program.root_lives(),
                "command": program.command_line(),
                "processes": one.pids,
                "tasks": tasks(&program.members()),
                "shared_bytes": bytes,
                "objects": objects,
            })
        }
        Err(error) => json!({
            "pid": one.pids[0],
            "processes": one.pids,
            "command": procfs::command_line(one.pids[0]),
            "error": found::sentence(out, error),
        }),
    }
}

/// Tasks that run, of both kinds.
fn tasks(members: &[MemberProcess]) -> usize {
    let threads = members.iter().flat_map(|process| &process.threads);
    members.iter().filter(|process| process.task.is_some()).count()
        + threads.filter(|thread| thread.task.is_some()).count()
}

/// What a process is called: its task's name, or what it is to its program.
pub(super) fn name(process: &MemberProcess) -> String {
    match (&process.task, process.role) {
        (Some(task), _) => task.name.clone(),
        (None, Role::Main) => "main program".to_owned(),
        (None, Role::Zygote) => "zygote".to_owned(),
        (None, Role::Spare) => "spare".to_owned(),
        (None, Role::Task) => "task".to_owned(),
        (None, Role::Guest) => "guest".to_owned(),
    }
}

fn tell(out: &Output, members: &[MemberProcess], report: &Report) {
    let t = |english, portuguese| out.language.pick(english, portuguese);
    let by_tid: HashMap<i32, &Standing> = report.threads.iter().map(|s| (s.tid, s)).collect();
    let mut table = Table::new(&[
        Column::numbers("PID"),
        Column::words(t("TASK", "TAREFA")),
        Column::short(t("KIND", "TIPO")).goes(4),
        Column::short(t("STATE", "ESTADO")).goes(1),
        Column::numbers("CPU").goes(2),
        Column::numbers(t("MEMORY", "MEMÓRIA")).goes(3),
        Column::words(t("WHERE IT STANDS", "ONDE ESTÁ")),
    ]);
    let is_shown = |process: &&MemberProcess| !matches!(process.role, Role::Zygote | Role::Spare);
    for process in members.iter().filter(is_shown) {
        let main = by_tid.get(&process.pid);
        let kind = if process.task.is_some() { t("process", "processo") } else { "" };
        table.row(vec![
            process.pid.to_string(),
            title(out, process),
            kind.to_owned(),
            words::state(out, process.state).to_owned(),
            words::cpu(out, process.cpu_ns),
            process.memory.map(|bytes| out.sized(bytes)).unwrap_or_default(),
            main.map(|standing| stands(out, report, standing)).unwrap_or_default(),
        ]);
        for thread in process.threads.iter().filter(|thread| thread.tid != process.pid) {
            let Some(title) = thread_title(out, thread) else { continue };
            let standing = by_tid.get(&thread.tid);
            table.row(vec![
                String::new(),
                format!("└ {title}"),
                "thread".to_owned(),
                words::state(out, thread.state).to_owned(),
                words::cpu(out, thread.cpu_ns),
                String::new(),
                standing.map(|s| stands(out, report, s)).unwrap_or_default(),
            ]);
        }
    }
    for line in table.lines(out.width) {
        out.say(line);
    }
    let of = |role| members.iter().filter(|process| process.role == role).count();
    let (zygotes, spares) = (of(Role::Zygote), of(Role::Spare));
    if zygotes + spares > 0 {
        let language = out.language;
        let zygotes = language.count(zygotes, ["zygote", "zygotes"], ["zigoto", "zigotos"]);
        let spares = language.count(spares, ["spare", "spares"], ["de reserva", "de reserva"]);
        out.say_wrapped(&language.pick(
            format!("and {zygotes}, {spares}: forked ahead, waiting for tasks"),
            format!("e {zygotes}, {spares}: criados antes, à espera de tarefas"),
        ));
    }
}

pub(super) fn title(out: &Output, process: &MemberProcess) -> String {
    match (&process.task, process.role) {
        (None, Role::Main) => out.language.pick("main program", "programa principal").to_owned(),
        (None, Role::Guest) => out.language.pick("guest", "visitante").to_owned(),
        (None, Role::Zygote) => out.language.pick("zygote", "zigoto").to_owned(),
        (None, Role::Spare) => out.language.pick("spare", "de reserva").to_owned(),
        (None, Role::Task) => out.language.pick("task", "tarefa").to_owned(),
        (Some(_), _) => name(process),
    }
}

/// A thread's task, or its name; `None` for one that has neither and says nothing.
pub(super) fn thread_title(out: &Output, thread: &MemberThread) -> Option<String> {
    let label = Some(thread.label.as_str()).filter(|label| !label.is_empty());
    let label = label.map(|label| words::of_reports(out).label(label));
    thread.task.as_ref().map(|task| task.name.clone()).or(label)
}

/// What a thread waits for and where, or where it stands.
pub(super) fn stands(out: &Output, report: &Report, standing: &Standing) -> String {
    let place = standing.short_place();
    let Some(waits) = &standing.waits else {
        return coroutines(out, report, standing).unwrap_or_else(|| place.to_owned());
    };
    let words = words::of_reports(out);
    let names: Vec<String> = waits.things.iter().map(|t| words.label(&t.name)).collect();
    if names.is_empty() {
        return place.to_owned();
    }
    let since = words.time(report.at_ns.saturating_sub(waits.since_ns));
    let at = if place.is_empty() { String::new() } else { format!(", {place}") };
    let names = names.join(", ");
    if standing.is_idle() {
        return out.language.pick(
            format!("waits for work for {since}"),
            format!("espera por trabalho há {since}"),
        );
    }
    out.language.pick(
        format!("waits for {names} for {since}{at}"),
        format!("espera por {names} há {since}{at}"),
    )
}

/// What a thread of an event loop has waiting in it.
fn coroutines(out: &Output, report: &Report, standing: &Standing) -> Option<String> {
    let its = |it: &&Awaits| report.threads.get(it.thread).is_some_and(|t| t.tid == standing.tid);
    let mut awaits = report.awaits.iter().filter(its);
    let (first, others) = (awaits.next()?, awaits.count());
    if others > 0 {
        let count = others + 1;
        return Some(out.language.pick(
            format!("{count} asyncio tasks wait"),
            format!("{count} tarefas de asyncio esperam"),
        ));
    }
    let words = words::of_reports(out);
    let names: Vec<String> = first.waits.things.iter().map(|t| words.label(&t.name)).collect();
    let names = if names.is_empty() { words.call.to_owned() } else { names.join(", ") };
    let (name, place) = (&first.name, first.short_place());
    let at = if place.is_empty() { String::new() } else { format!(", {place}") };
    Some(out.language.pick(
        format!("asyncio task '{name}' waits for {names}{at}"),
        format!("tarefa de asyncio '{name}' espera por {names}{at}"),
    ))
}

fn process_json(process: &MemberProcess, report: &Report) -> Value {
    let threads = process.threads.iter().map(|thread| {
        json!({
            "tid": thread.tid,
            "name": thread.label,
            "task": thread.task.as_ref().map(|task| &task.name),
            "state": thread.state.to_string(),
            "cpu_seconds": seconds(thread.cpu_ns),
            "place": standing(report, thread.tid).and_then(|s| s.place.clone()),
            "waits_for": standing(report, thread.tid).map(waits_for),
        })
    });
    json!({
        "pid": process.pid,
        "role": role(process.role),
        "task": process.task.as_ref().map(|task| &task.name),
        "state": process.state.to_string(),
        "cpu_seconds": seconds(process.cpu_ns),
        "memory_bytes": process.memory,
        "threads": threads.collect::<Vec<_>>(),
    })
}

/// What a process is, in a report as JSON.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Main => "main",
        Role::Task => "task",
        Role::Zygote => "zygote",
        Role::Spare => "spare",
        Role::Guest => "guest",
    }
}

fn standing(report: &Report, tid: i32) -> Option<&Standing> {
    report.threads.iter().find(|standing| standing.tid == tid)
}

fn waits_for(standing: &Standing) -> Vec<&str> {
    let things = standing.waits.iter().flat_map(|waits| &waits.things);
    things.map(|thing| thing.name.as_str()).collect()
}

#[allow(clippy::cast_precision_loss)]
fn seconds(ns: u64) -> f64 {
    (ns / 1_000_000) as f64 / 1000.0
}
