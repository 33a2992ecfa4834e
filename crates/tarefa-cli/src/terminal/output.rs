//! Where reports go: letters, colour and width of standard output, and the exit codes.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use tarefa_engine::trace::plain::plain;

use super::ascii::ascii;
use super::language::{self, Language};
use super::sized::sized;
use super::wrap::wrap;

/// What was looked for was found, as by `grep`: a deadlock, something to remedy.
pub const EXIT_FOUND: u8 = 1;
/// It could not be done, or the arguments are wrong.
pub const EXIT_FAILED: u8 = 2;

/// The columns of a terminal that does not say how many it has, and of what is no terminal.
const WIDTH: usize = 80;

/// How people are spoken to: see the module.
#[derive(Clone, Debug)]
pub struct Output {
    /// The language.
    pub language: Language,
    /// Whether reports are JSON.
    pub json: bool,
    /// Columns there are.
    pub width: usize,
    unicode: bool,
    colour: bool,
}

impl Output {
    /// As the environment and standard output have it; with `language` where one was asked for.
    #[must_use]
    pub fn new(language: Option<Language>, json: bool) -> Self {
        let variable = |name: &str| std::env::var_os(name);
        let is_terminal = io::stdout().is_terminal();
        let plain = variable("NO_COLOR").is_some_and(|v| !v.is_empty())
            || variable("TERM").is_none_or(|term| term == "dumb");
        Self {
            language: language.unwrap_or_else(|| Language::of_locale(&variable)),
            json,
            width: if is_terminal { columns() } else { WIDTH },
            unicode: language::is_unicode(&variable),
            colour: is_terminal && !plain,
        }
    }

    /// Whether standard output takes all letters of Unicode.
    #[must_use]
    pub fn is_unicode(&self) -> bool {
        self.unicode
    }

    /// The text in bold, where there are colours.
    #[must_use]
    pub fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A number of bytes, as people of the language write it.
    #[must_use]
    pub fn sized(&self, bytes: u64) -> String {
        self.language.number(&sized(bytes))
    }

    /// Writes a line to standard output, or several where it is too long for one.
    pub fn say_wrapped(&self, line: &str) {
        for line in wrap(line, self.width) {
            self.say(line);
        }
    }

    /// The text, in the letters that there are.
    #[must_use]
    pub fn letters(&self, text: &str) -> String {
        if self.unicode { text.to_owned() } else { ascii(text) }
    }

    /// Writes to standard output. Where that fails the program ends; who reads no further ends it without a
    /// word, as a pipe to `head` has it.
    pub fn say(&self, text: impl fmt::Display) {
        let text = self.letters(&format!("{text}\n"));
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.complain(self.unwritten(&error));
            }
            tarefa_engine::os::process::exit_now(i32::from(EXIT_FAILED));
        }
    }

    /// What is said where standard output takes nothing.
    #[must_use]
    pub fn unwritten(&self, error: &io::Error) -> String {
        self.language.pick(
            format!("standard output cannot be written: {error}"),
            format!("não se pode escrever na saída padrão: {error}"),
        )
    }

    /// Writes JSON to standard output: one value, one line.
    pub fn say_json(&self, value: &serde_json::Value) {
        let plain = Self { unicode: true, ..self.clone() };
        plain.say(if self.unicode { value.to_string() } else { escaped(&value.to_string()) });
    }

    /// Says on standard error what went wrong.
    pub fn complain(&self, what: impl fmt::Display) -> ExitCode {
        let what = what.to_string();
        // It may be about a process, which may be called anything.
        let lines: Vec<String> = what.lines().map(plain).collect();
        let text = self.letters(&format!("tarefa: {}\n", lines.join("\n")));
        let _ = io::stderr().lock().write_all(text.as_bytes());
        ExitCode::from(EXIT_FAILED)
    }
}

/// JSON in ASCII: what is not is inside strings, where it may be escaped.
fn escaped(json: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// Columns of the terminal; those that `COLUMNS` says count first.
fn columns() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|c| c.parse::<usize>().ok());
    let asked = || tarefa_engine::os::terminal::columns(1).map(usize::from);
    said.filter(|c| *c > 0).or_else(asked).unwrap_or(WIDTH)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn json_for_ascii_says_the_same() {
        let text = escaped(r#"{"name":"função 🐚"}"#);
        assert!(text.is_ascii());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["name"], "função 🐚");
    }
}
