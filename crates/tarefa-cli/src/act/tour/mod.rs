//! The tour. Its experiments are of the Python package: this finds an interpreter that has it, and
//! becomes that. Where there is none it runs those that need no Python itself.

mod experiment;
mod memory;
mod numbers;
mod own;
mod page;
mod picture;
mod programs;
mod work;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::ArgMatches;

use super::python;
use crate::terminal::Output;

/// The tour, or those of its experiments that are named.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let names = given.get_many::<String>("number").into_iter().flatten();
    let save = given.get_one::<PathBuf>("save");
    let list = given.get_flag("list");
    let Some(python) = python::named_or_found(given) else {
        let names = names.map(String::as_str).collect();
        return own::run(out, &own::Wanted { names, list, save: save.map(PathBuf::as_path) });
    };
    if !python::has_package(&python) {
        return out.complain(python::without(out, &python));
    }
    let mut command = Command::new(&python);
    command.args(["-m", "tarefa", "tour", "--lang", out.language.name()]);
    if !out.is_unicode() {
        command.arg("--ascii");
    }
    if out.json {
        command.arg("--json");
    }
    if list {
        command.arg("--list");
    }
    if let Some(folder) = save {
        command.arg("--save").arg(folder);
    }
    command.args(names);
    // Only returns where it could not be executed.
    let error = command.exec();
    out.complain(format_args!("{}: {error}", python.display()))
}
