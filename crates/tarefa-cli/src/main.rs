//! The command `tarefa`: see the library of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    tarefa_cli::main(std::env::args_os())
}
