//! Completions for shells, and the manual page: made from the arguments as they are.

use std::process::ExitCode;

use clap::ArgMatches;

use super::arguments;
use crate::terminal::{EXIT_FAILED, Output};

/// The completions for the shell that was named.
pub(super) fn completions(out: &Output, given: &ArgMatches) -> ExitCode {
    let Some(shell) = given.get_one::<clap_complete::Shell>("shell") else {
        return ExitCode::from(EXIT_FAILED);
    };
    let mut text = Vec::new();
    clap_complete::generate(*shell, &mut arguments::command(out), "tarefa", &mut text);
    out.say(String::from_utf8_lossy(&text).trim_end());
    ExitCode::SUCCESS
}

/// The manual page, as roff: of the command and of all that it can do.
pub(super) fn man(out: &Output) -> ExitCode {
    let mut command = arguments::command(out);
    command.build();
    let mut text = Vec::new();
    let mut written = clap_mangen::Man::new(command.clone()).render(&mut text);
    for sub in command.get_subcommands() {
        let page = clap_mangen::Man::new(sub.clone());
        let mut part = Vec::new();
        written = written
            .and_then(|()| page.render_synopsis_section(&mut part))
            .and_then(|()| page.render_description_section(&mut part))
            .and_then(|()| page.render_options_section(&mut part));
        text.extend(part);
    }
    match written {
        Ok(()) => {
            out.say(String::from_utf8_lossy(&text).trim_end());
            ExitCode::SUCCESS
        }
        Err(e) => out.complain(e),
    }
}
