//! The interpreter that has the package.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ArgMatches;

use crate::terminal::Output;

const NAMES: [&str; 2] = ["python3", "python"];

/// The one that the arguments name, else the one that this command was installed with, which lies
/// beside it, else the first on PATH that has the package.
pub(super) fn named_or_found(given: &ArgMatches) -> Option<PathBuf> {
    given.get_one::<PathBuf>("python").cloned().or_else(found)
}

fn found() -> Option<PathBuf> {
    let here = std::env::current_exe().ok();
    let folder = here.as_deref().and_then(Path::parent);
    let beside = folder.into_iter().flat_map(|f| NAMES.map(|name| f.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .collect();
    beside.chain(on_path).find(|python| has_package(python))
}

/// Whether that is a Python, with the package or without.
pub(super) fn runs(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "print(6 * 7)"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.output().is_ok_and(|done| done.status.success() && done.stdout == b"42\n")
}

/// Whether that is an interpreter with the package; without a slash it is looked for on PATH.
pub(super) fn has_package(python: &Path) -> bool {
    if python.components().count() > 1 && !python.is_file() {
        return false;
    }
    let looks = "import importlib.util as u, sys; sys.exit(u.find_spec('tarefa') is None)";
    let mut command = Command::new(python);
    command.args(["-c", looks]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// That this is none.
pub(super) fn without(out: &Output, named: &Path) -> String {
    let named = named.display();
    out.language.pick(
        format!("{named} is no Python that has the package tarefa\ninstall it: pip install tarefa"),
        format!("{named} não é um Python com o pacote tarefa\ninstale: pip install tarefa"),
    )
}
