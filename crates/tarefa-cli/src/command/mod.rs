//! The arguments, and who answers to which.

mod arguments;
mod complaint;
mod generate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ArgMatches;

use crate::act::{doctor, map, run, tour};
use crate::look::{locks, memory, ps, stacks, timeline, top};
use crate::terminal::Output;

/// Does what the arguments say, the first of which is the program's name.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let asked = arguments::asked_language(&arguments);
    let mut out = Output::new(asked, false);
    match arguments::command(&out).try_get_matches_from(&arguments) {
        Ok(matches) => {
            out.json = matches.get_flag(arguments::JSON);
            answer(&out, &matches)
        }
        Err(error) => complaint::tell(&out, &error),
    }
}

fn answer(out: &Output, matches: &ArgMatches) -> ExitCode {
    match matches.subcommand() {
        Some(("tour", given)) => tour::run(out, given),
        Some(("ps", given)) => ps::run(out, given),
        Some(("top", given)) => top::run(out, given),
        Some((top::INTERRUPT, given)) => top::interrupt_task(out, given),
        Some(("map", given)) => map::run(out, given),
        Some((map::GUARD, _)) => map::guard(),
        Some(("stacks", given)) => stacks::run(out, given),
        Some(("locks", given)) => locks::run(out, given),
        Some(("memory", given)) => memory::run(out, given),
        Some(("trace", given)) => timeline::run(out, given),
        Some(("doctor", given)) => doctor::run(out, given),
        Some(("run", given)) => run::run(out, given),
        Some((run::WATCH, given)) => run::watch(out, given),
        Some(("completions", given)) => generate::completions(out, given),
        Some(("man", _)) => generate::man(out),
        _ => complaint::help(out),
    }
}
