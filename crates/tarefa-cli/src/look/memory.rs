//! `tarefa memory PID`: what the shared memory holds, for whom, and what is largest in it.

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Value, json};
use tarefa_engine::trace::members::{MemberProcess, Role};
use tarefa_engine::trace::memory::Memory;

use super::{found, ps};
use crate::terminal::{Column, Output, Table};

/// Objects that are shown.
const LARGEST: usize = 10;

/// The report.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let program = match found::program(out, given) {
        Ok(program) => program,
        Err(code) => return code,
    };
    let memory = program.memory();
    let members = program.members();
    if out.json {
        out.say_json(&as_json(program.root(), &memory, &members));
    } else {
        tell(out, &memory, &members);
    }
    ExitCode::SUCCESS
}

fn as_json(root: i32, memory: &Memory, members: &[MemberProcess]) -> Value {
    let kinds = memory
        .kinds
        .iter()
        .map(|kind| json!({ "kind": kind.name, "count": kind.count, "bytes": kind.bytes }));
    let objects = memory.objects.iter().take(LARGEST).map(|object| {
        json!({
            "object": format!("{} {}", object.name, object.seen.id),
            "kind": object.name,
            "bytes": object.bytes,
            "blocks": object.blocks,
        })
    });
    let owners = memory.owners.iter().map(|owner| {
        json!({
            "pid": owner.pid,
            "name": name(members, owner.pid),
            "objects": owner.objects,
            "bytes": owner.bytes,
            "alone": owner.alone,
        })
    });
    json!({
        "pid": root,
        "used": memory.used,
        "limit": memory.limit,
        "claimed": memory.claimed,
        "resident": memory.resident,
        "complete": memory.complete,
        "kinds": kinds.collect::<Vec<_>>(),
        "largest": objects.collect::<Vec<_>>(),
        "owners": owners.collect::<Vec<_>>(),
    })
}

fn tell(out: &Output, memory: &Memory, members: &[MemberProcess]) {
    let t = |english, portuguese| out.language.pick(english, portuguese);
    let [used, limit, resident] =
        [memory.used, memory.limit, memory.resident].map(|bytes| out.sized(bytes));
    out.say_wrapped(&out.language.pick(
        format!("shared memory: {used} in use of {limit}, {resident} taken from the system"),
        format!("memória compartilhada: {used} em uso de {limit}, {resident} tomados do sistema"),
    ));
    let (bytes, count) = (Column::numbers("BYTES"), t("COUNT", "QUANTOS"));
    let mut kinds = Table::new(&[Column::words(t("KIND", "TIPO")), Column::numbers(count), bytes]);
    for kind in &memory.kinds {
        let name = match (kind.name, out.language.name()) {
            ("references of processes", "pt") => "referências de processos",
            ("bytes of no object", "pt") => "bytes de nenhum objeto",
            (name, _) => name,
        };
        kinds.row(vec![name.to_owned(), kind.count.to_string(), out.sized(kind.bytes)]);
    }
    section(out, t("by kind", "por tipo"), &kinds);
    let mut largest = Table::new(&[
        Column::words(t("OBJECT", "OBJETO")),
        Column::numbers(t("BLOCKS", "BLOCOS")),
        bytes,
    ]);
    for object in memory.objects.iter().take(LARGEST) {
        largest.row(vec![
            format!("{} {}", object.name, object.seen.id),
            object.blocks.to_string(),
            out.sized(object.bytes),
        ]);
    }
    section(out, t("largest objects", "maiores objetos"), &largest);
    let mut owners = Table::new(&[
        Column::numbers("PID"),
        Column::words(t("PROCESS", "PROCESSO")),
        Column::numbers(t("OBJECTS", "OBJETOS")).goes(1),
        bytes,
        Column::numbers(t("ALONE", "SÓ ELE")),
    ]);
    // What was forked ahead refers to what the zygote does, as it goes on to its task.
    let is_ahead = |pid: i32| {
        let found = members.iter().find(|member| member.pid == pid);
        found.is_some_and(|member| matches!(member.role, Role::Zygote | Role::Spare))
    };
    for owner in memory.owners.iter().filter(|owner| !is_ahead(owner.pid)) {
        owners.row(vec![
            owner.pid.to_string(),
            title(out, members, owner.pid),
            owner.objects.to_string(),
            out.sized(owner.bytes),
            out.sized(owner.alone),
        ]);
    }
    section(out, t("by process that refers to it", "por processo que se refere a ela"), &owners);
    if !memory.complete {
        out.say(t(
            "\n(there is too much: not all of it was looked at)",
            "\n(há demais: nem tudo foi visto)",
        ));
    }
}

fn section(out: &Output, title: &str, table: &Table) {
    if table.is_empty() {
        return;
    }
    out.say(format_args!("\n{}", out.bold(title)));
    for line in table.lines(out.width) {
        out.say(line);
    }
}

fn title(out: &Output, members: &[MemberProcess], pid: i32) -> String {
    let found = members.iter().find(|member| member.pid == pid);
    found.map(|member| ps::title(out, member)).unwrap_or_default()
}

fn name(members: &[MemberProcess], pid: i32) -> String {
    members.iter().find(|member| member.pid == pid).map(ps::name).unwrap_or_default()
}
