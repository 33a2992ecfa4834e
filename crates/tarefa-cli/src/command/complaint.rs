//! What is said where the arguments are wrong, in the user's language.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::arguments;
use crate::terminal::{EXIT_FAILED, Output};

/// Help and version go to standard output; a fault is told on standard error, with what to do.
pub(super) fn tell(out: &Output, error: &Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        out.say(in_own_words(out, &error.to_string()));
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        eprintln!("{}", out.letters(&in_own_words(out, &error.to_string())));
        return ExitCode::from(EXIT_FAILED);
    }
    out.complain(sentence(out, error))
}

/// The help of the whole command, on standard error.
pub(super) fn help(out: &Output) -> ExitCode {
    let text = arguments::command(out).render_help().to_string();
    eprintln!("{}", out.letters(&in_own_words(out, &text)));
    ExitCode::from(EXIT_FAILED)
}

/// The one word of the help that clap says in English whatever it is told.
fn in_own_words(out: &Output, help: &str) -> String {
    help.trim_end().replace("[OPTIONS]", out.language.pick("[OPTIONS]", "[OPÇÕES]"))
}

fn sentence(out: &Output, error: &Error) -> String {
    let t = |english: String, portuguese: String| out.language.pick(english, portuguese);
    let of = |kind| context(error, kind).unwrap_or_default();
    let argument = of(ContextKind::InvalidArg);
    let what = match error.kind() {
        ErrorKind::UnknownArgument => {
            t(format!("there is no {argument} here"), format!("{argument} não existe aqui"))
        }
        ErrorKind::InvalidSubcommand => {
            let name = of(ContextKind::InvalidSubcommand);
            t(format!("there is no command {name}"), format!("não existe o comando {name}"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = of(ContextKind::InvalidValue);
            if value.is_empty() {
                t(format!("{argument} wants a value"), format!("{argument} precisa de um valor"))
            } else {
                let (and, e) = valid_values(error);
                t(
                    format!("{value:?} is no value for {argument}{and}"),
                    format!("{value:?} não serve como {argument}{e}"),
                )
            }
        }
        ErrorKind::MissingRequiredArgument => {
            t(format!("{argument} is missing"), format!("falta {argument}"))
        }
        ErrorKind::ArgumentConflict => {
            let other = of(ContextKind::PriorArg);
            t(
                format!("{argument} and {other} do not go together"),
                format!("{argument} e {other} não combinam"),
            )
        }
        _ => error.kind().to_string(),
    };
    let suggested =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
            .into_iter()
            .find_map(|kind| context(error, kind))
            .map(|name| t(format!("; did you mean {name}?"), format!("; quis dizer {name}?")));
    let more = t("tarefa --help says more".to_owned(), "tarefa --help diz mais".to_owned());
    format!("{what}{}\n{more}", suggested.unwrap_or_default())
}

fn valid_values(error: &Error) -> (String, String) {
    let valid = context(error, ContextKind::ValidValue).or_else(|| {
        use std::error::Error as _;
        error.source().map(ToString::to_string)
    });
    valid.map_or_else(Default::default, |v| (format!(": {v}"), format!(": {v}")))
}

fn context(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) if texts.is_empty() => None,
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        other => Some(other.to_string()),
    }
}
