//! The program that a process belongs to, or why it cannot be looked at, in the user's language.

use std::process::ExitCode;

use clap::ArgMatches;
use tarefa_engine::os::procfs;
use tarefa_engine::trace::observe::{ObserveError, Program};

use crate::terminal::Output;

/// The program of the process that the arguments name.
pub(super) fn program(out: &Output, given: &ArgMatches) -> Result<Program, ExitCode> {
    let pid = given.get_one::<i32>("pid").copied().unwrap_or_default();
    Program::of(pid).map_err(|error| out.complain(sentence(out, &error)))
}

/// What went wrong, and how to go on.
pub(super) fn sentence(out: &Output, error: &ObserveError) -> String {
    let t = |english: String, portuguese: String| out.language.pick(english, portuguese);
    match error {
        ObserveError::NoProcess(pid) => t(
            format!("there is no process {pid}; tarefa ps says which programs run"),
            format!("não existe o processo {pid}; tarefa ps diz quais programas rodam"),
        ),
        ObserveError::NoProgram(pid) => {
            let name = named(*pid);
            t(
                format!(
                    "process {pid}{name} has no shared object and no task of tarefa, so far; \
                     tarefa ps says which programs have"
                ),
                format!(
                    "o processo {pid}{name} não tem objeto compartilhado nem tarefa de tarefa, por \
                     enquanto; tarefa ps diz quais programas têm"
                ),
            )
        }
        ObserveError::OtherUser { pid, owner, user } => {
            let (name, owner, user) = (named(*pid), user_name(*owner), user_name(*user));
            t(
                format!(
                    "process {pid}{name} belongs to {owner}, and you are {user}: look at it as \
                     {owner}, for example with sudo -u {owner}"
                ),
                format!(
                    "o processo {pid}{name} pertence a {owner}, e você é {user}: olhe para ele \
                     como {owner}, por exemplo com sudo -u {owner}"
                ),
            )
        }
        ObserveError::OtherVersion(pid) => t(
            format!(
                "process {pid}{} uses another version of tarefa: use the command that came with \
                 that",
                named(*pid)
            ),
            format!(
                "o processo {pid}{} usa outra versão de tarefa: use o comando que veio com ela",
                named(*pid)
            ),
        ),
        ObserveError::Hidden(pid) => t(
            format!(
                "process {pid}{} may not be looked at: it has changed its user, or has said so by \
                 PR_SET_DUMPABLE",
                named(*pid)
            ),
            format!(
                "o processo {pid}{} não pode ser observado: mudou de usuário, ou disse isso por \
                 PR_SET_DUMPABLE",
                named(*pid)
            ),
        ),
        ObserveError::System(pid, error) => t(
            format!("process {pid} cannot be looked at: {error}"),
            format!("o processo {pid} não pode ser observado: {error}"),
        ),
    }
}

/// ` (name)` of a process, where it says one.
fn named(pid: i32) -> String {
    procfs::thread_name(pid, pid).map_or_else(String::new, |name| format!(" ({name})"))
}

/// What the system calls a user; the number where it has no name for it.
fn user_name(user: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = user.to_string();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, found) = (fields.next()?, fields.nth(1)?);
        (found == number).then(|| name.to_owned())
    });
    found.unwrap_or(number)
}
