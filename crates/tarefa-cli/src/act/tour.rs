//! The tour. Its experiments are of the Python package: this finds an interpreter that has it, and
//! becomes that.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::ArgMatches;

use super::python;
use crate::terminal::Output;

/// The tour, or those of its experiments that are named.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let Some(python) = python::named_or_found(given) else {
        return out.complain(out.language.pick(
            "the tour needs Python and the package tarefa in it, and none was found beside this \
             command or on PATH\nname one with --python, or install it: pip install tarefa",
            "a visita precisa de Python com o pacote tarefa, e não há nenhum ao lado deste comando \
             nem no PATH\nindique um com --python, ou instale: pip install tarefa",
        ));
    };
    let mut command = Command::new(&python);
    command.args(["-m", "tarefa", "tour", "--lang", out.language.name()]);
    if !out.is_unicode() {
        command.arg("--ascii");
    }
    if out.json {
        command.arg("--json");
    }
    if given.get_flag("list") {
        command.arg("--list");
    }
    if let Some(folder) = given.get_one::<PathBuf>("save") {
        command.arg("--save").arg(folder);
    }
    command.args(given.get_many::<String>("number").into_iter().flatten());
    // Only returns where it could not be executed.
    let error = command.exec();
    out.complain(format_args!("{}: {error}", python.display()))
}
