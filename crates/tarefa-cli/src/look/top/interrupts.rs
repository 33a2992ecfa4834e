//! Interrupting a task: another process joins the program for that, and this one only looks.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use clap::ArgMatches;
use tarefa_engine::shm::object::address::ObjectAddress;
use tarefa_engine::trace::interrupt::interrupt;

use crate::terminal::Output;

/// The command that interrupts a task, which nobody types.
pub const INTERRUPT: &str = "interrupt-task";

/// Starts who interrupts that task.
pub(super) fn interrupter(at: &ObjectAddress) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([INTERRUPT, &at.to_string()]);
    // Keys that interrupt or stop `top` are not meant for who is inside the program just then.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Interrupts a task; for [`INTERRUPT`] alone.
#[must_use]
pub fn interrupt_task(out: &Output, given: &ArgMatches) -> ExitCode {
    let at = given.get_one::<String>("address").and_then(|text| text.parse().ok());
    let Some(at) = at else { return out.complain(INTERRUPT) };
    match interrupt(&at) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => out.complain(error),
    }
}
