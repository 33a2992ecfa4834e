//! The tour. Its experiments are of the Python package: this finds an interpreter that has it, and
//! becomes that.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::ArgMatches;

use crate::terminal::Output;

/// The tour, or those of its experiments that are named.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let asked = given.get_one::<PathBuf>("python").cloned();
    let Some(python) = asked.clone().or_else(interpreter) else {
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

/// The interpreter that this command was installed with, which lies beside it; else the first on
/// PATH that has the package.
fn interpreter() -> Option<PathBuf> {
    let here = std::env::current_exe().ok();
    let folder = here.as_deref().and_then(Path::parent);
    let beside = folder.into_iter().flat_map(|f| NAMES.map(|name| f.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .collect();
    beside.chain(on_path).find(|python| has_package(python).unwrap_or(false))
}

const NAMES: [&str; 2] = ["python3", "python"];

fn has_package(python: &Path) -> io::Result<bool> {
    if !python.is_file() {
        return Ok(false);
    }
    let looks = "import importlib.util as u, sys; sys.exit(u.find_spec('tarefa') is None)";
    let mut command = Command::new(python);
    command.args(["-c", looks]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?.success())
}
