//! `tarefa stacks PID`: what all threads of a program's processes do now.

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Value, json};
use tarefa_engine::trace::members::{MemberProcess, Role};
use tarefa_engine::trace::stacks::{Asker, Frame, ProcessStacks, Silence, ThreadStack};

use super::{found, ps, words};
use crate::terminal::{Output, fit};

/// The stacks.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let program = match found::program(out, given) {
        Ok(program) => program,
        Err(code) => return code,
    };
    let stacks = program.stacks(&mut Asker::new(!given.get_flag("no-stacks")));
    if out.json {
        out.say_json(&json!({
            "pid": program.root(),
            "command": program.command_line(),
            "processes": stacks.iter().map(process_json).collect::<Vec<_>>(),
        }));
    } else {
        for (i, process) in stacks.iter().filter(|it| is_shown(&it.process)).enumerate() {
            if i > 0 {
                out.say("");
            }
            tell(out, process);
        }
    }
    ExitCode::SUCCESS
}

/// What waits for a task does nothing.
fn is_shown(process: &MemberProcess) -> bool {
    !matches!(process.role, Role::Zygote | Role::Spare)
}

fn process_json(it: &ProcessStacks) -> Value {
    json!({
        "pid": it.process.pid,
        "role": ps::role(it.process.role),
        "task": it.process.task.as_ref().map(|task| &task.name),
        "state": it.process.state.to_string(),
        "threads": it.threads.iter().map(|thread| thread_json(it, thread)).collect::<Vec<_>>(),
    })
}

fn thread_json(process: &ProcessStacks, thread: &ThreadStack) -> Value {
    let known = process.process.threads.iter().find(|known| known.tid == thread.tid);
    let frame = |frame: &Frame| json!({ "file": frame.file, "line": frame.line, "function": frame.function });
    json!({
        "tid": thread.tid,
        "system_name": thread.name,
        "name": known.map(|known| &known.label).filter(|label| !label.is_empty()),
        "task": known.and_then(|known| Some(&known.task.as_ref()?.name)),
        "state": thread.state.to_string(),
        "system_call": thread.system_call,
        "kernel": thread.kernel,
        "stack": thread.stack.as_ref().ok().map(|stack| stack.iter().map(frame).collect::<Vec<_>>()),
        "unknown_because": thread.stack.as_ref().err().map(|silence| name(*silence)),
    })
}

/// The name in a report as JSON, which does not change with the language.
fn name(silence: Silence) -> &'static str {
    match silence {
        Silence::Native => "native",
        Silence::Stopped => "stopped",
        Silence::Blocked => "blocks_the_signal",
        Silence::Late => "no_answer",
        Silence::Ended => "ended",
        Silence::NotAsked => "not_asked",
    }
}

fn tell(out: &Output, it: &ProcessStacks) {
    let title = ps::title(out, &it.process);
    let state = words::state(out, it.process.state);
    out.say(out.bold(&fit(&format!("{title} (pid {}) {state}", it.process.pid), out.width)));
    for thread in &it.threads {
        let known = it.process.threads.iter().find(|known| known.tid == thread.tid);
        let title = known
            .and_then(|known| ps::thread_title(out, known))
            .unwrap_or_else(|| thread.name.clone());
        let state = words::state(out, thread.state);
        let at = stands(out, thread);
        let line = format!("  {title} (tid {}) {state}{at}", thread.tid);
        out.say(fit(&line, out.width));
        match &thread.stack {
            Ok(frames) => {
                for frame in frames {
                    out.say(place(frame, out.width));
                }
            }
            Err(silence) => {
                if let Some(why) = why(out, *silence) {
                    out.say(fit(&format!("    ({why})"), out.width));
                }
            }
        }
    }
}

/// The system call and the kernel's function that it sleeps in.
fn stands(out: &Output, thread: &ThreadStack) -> String {
    let at = match (&thread.system_call, &thread.kernel) {
        (Some(call), Some(kernel)) => format!("{call}, {kernel}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => return String::new(),
    };
    out.language.pick(format!(" in {at}"), format!(" em {at}"))
}

/// A frame on a line; of a path that is too long the end.
fn place(frame: &Frame, width: usize) -> String {
    let line = frame.line.map_or_else(|| "?".to_owned(), |line| line.to_string());
    let rest = format!(":{line} in {}", frame.function);
    let room = width.saturating_sub(4 + rest.chars().count()).max(12);
    let length = frame.file.chars().count();
    let file = if length <= room {
        frame.file.clone()
    } else {
        let end: String = frame.file.chars().skip(length - room + 1).collect();
        format!("…{end}")
    };
    fit(&format!("    {file}{rest}"), width.max(24))
}

fn why(out: &Output, silence: Silence) -> Option<&'static str> {
    let t = |english, portuguese| Some(out.language.pick(english, portuguese));
    match silence {
        // What the system says of it is all there is.
        Silence::Native | Silence::NotAsked => None,
        Silence::Stopped => t("stopped: it answers to nobody", "parado: não responde a ninguém"),
        Silence::Blocked => t("it blocks the signal that asks", "bloqueia o sinal que pergunta"),
        Silence::Late => t(
            "no answer in a second: it may be busy in the kernel",
            "sem resposta em um segundo: pode estar ocupado no kernel",
        ),
        Silence::Ended => t("it has ended", "acabou"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_keeps_its_end() {
        let frame =
            |file: &str| Frame { file: file.to_owned(), line: Some(7), function: "f".to_owned() };
        assert_eq!(place(&frame("/app.py"), 80), "    /app.py:7 in f");
        let long = place(&frame("/a/very/long/path/to/the/module.py"), 39);
        assert_eq!(long, "    …/long/path/to/the/module.py:7 in f");
    }
}
