//! What is done to a task, after a question: to the one that the question names, whatever rows are shown
//! by then, and whoever has its number.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Child;

use tarefa_engine::os::pidfd;
use tarefa_engine::os::poll::{self, Level};
use tarefa_engine::trace::observe::Program;

use super::interrupts::interrupter;
use super::sample::Row;
use crate::terminal::Output;

/// What is done to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Interrupt,
    Terminate,
    Kill,
}

/// Whether that is to be done to that task.
#[derive(Debug)]
pub(super) struct Question {
    deed: Deed,
    row: Box<Row>,
    /// The process that a signal would go to.
    process: Option<OwnedFd>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Said(String),
    /// An interrupt is on its way to the task of that name.
    OnItsWay(Child, String),
}

impl Question {
    /// Asks, or says why there is nothing to ask.
    pub(super) fn new(
        out: &Output,
        program: &Program,
        deed: Deed,
        row: Box<Row>,
    ) -> Result<Self, String> {
        if deed == Deed::Interrupt || row.is_thread {
            return Ok(Self { deed, row, process: None });
        }
        match process(program, &row) {
            Ok(Some(process)) => Ok(Self { deed, row, process: Some(process) }),
            Ok(None) => Err(has_ended(out, &row)),
            Err(error) => Err(format!("{}: {error}", row.name)),
        }
    }

    /// The question, as it is asked.
    pub(super) fn words(&self, out: &Output) -> String {
        let t = |english: String, portuguese: String| out.language.pick(english, portuguese);
        let (name, pid) = (&self.row.name, self.row.tid);
        let (english, portuguese) = match self.deed {
            Deed::Interrupt => ("interrupt", "interromper"),
            Deed::Terminate => ("terminate", "encerrar"),
            Deed::Kill => ("kill", "matar"),
        };
        let all = if self.row.is_main && self.deed != Deed::Interrupt {
            t(
                ", and all its tasks with it".to_owned(),
                ", e com ele todas as suas tarefas".to_owned(),
            )
        } else {
            String::new()
        };
        t(
            format!("{english} {name} ({pid}){all}? y/n"),
            format!("{portuguese} {name} ({pid}){all}? s/n"),
        )
    }

    /// Does it.
    pub(super) fn does(self, out: &Output) -> Done {
        let t = |english: String, portuguese: String| out.language.pick(english, portuguese);
        let name = &self.row.name;
        if self.deed == Deed::Interrupt {
            let Some(at) = &self.row.address else {
                return Done::Said(t(
                    format!("{name} is no task"),
                    format!("{name} não é uma tarefa"),
                ));
            };
            return match interrupter(at) {
                Ok(child) => Done::OnItsWay(child, name.clone()),
                Err(error) => Done::Said(format!("{name}: {error}")),
            };
        }
        let Some(process) = &self.process else {
            let pid = self.row.pid;
            return Done::Said(t(
                format!("a thread cannot be ended alone: interrupt it, or end its process {pid}"),
                format!("uma thread não acaba sozinha: interrompa-a, ou encerre o processo {pid}"),
            ));
        };
        let number = match self.deed {
            Deed::Kill => signal_hook::consts::SIGKILL,
            _ => signal_hook::consts::SIGTERM,
        };
        Done::Said(match signal(process, number) {
            Ok(true) if self.deed == Deed::Kill => {
                t(format!("{name} killed"), format!("{name}: morto"))
            }
            Ok(true) => t(format!("{name}: SIGTERM sent"), format!("{name}: SIGTERM enviado")),
            Ok(false) => has_ended(out, &self.row),
            Err(error) => format!("{name}: {error}"),
        })
    }
}

fn has_ended(out: &Output, row: &Row) -> String {
    let name = &row.name;
    out.language.pick(format!("{name} has ended"), format!("{name} já acabou"))
}

/// The row's process, where it is there still.
fn process(program: &Program, row: &Row) -> io::Result<Option<OwnedFd>> {
    let process = match pidfd::open(row.pid) {
        Err(error) if pidfd::says_gone(&error) => return Ok(None),
        other => other?,
    };
    // The number is its own as long as it is a member, with the same task: looked at once there is a
    // descriptor, for what is shown may be old.
    let is_it = program.members().iter().any(|member| {
        let address = member.task.as_ref().map(|task| program.address_of(task));
        member.pid == row.pid && address == row.address
    });
    Ok(is_it.then_some(process))
}

/// False where the process has ended.
fn signal(process: &OwnedFd, number: i32) -> io::Result<bool> {
    // One that has ended and that nobody has waited for takes signals, which do nothing.
    if poll::look(&[process.as_raw_fd()])? != [Level::Nothing] {
        return Ok(false);
    }
    match pidfd::send_signal(process.as_fd(), number) {
        Err(error) if pidfd::says_gone(&error) => Ok(false),
        other => other.map(|()| true),
    }
}
