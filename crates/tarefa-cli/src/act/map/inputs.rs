//! What a command is run with: arguments after `:::`, or the lines of standard input.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use tarefa_engine::os::pipe;

/// Between the command and its arguments.
const MARK: &str = ":::";
/// What an argument takes the place of.
const PLACE: &[u8] = b"{}";
/// Lines that are read ahead.
const AHEAD: usize = 1024;

/// The command with its places for an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<OsString>);

impl Template {
    /// The words of the command for one argument: in the places for it, or as the last word where there
    /// is none.
    pub(super) fn with(&self, argument: &OsStr) -> Vec<OsString> {
        let is_place = |word: &OsString| find(word.as_bytes(), PLACE).is_some();
        let mut words: Vec<OsString> =
            self.0.iter().map(|word| replaced(word.as_bytes(), argument.as_bytes())).collect();
        if !self.0.iter().any(is_place) {
            words.push(argument.to_owned());
        }
        words
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn replaced(word: &[u8], argument: &[u8]) -> OsString {
    let mut whole = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = find(rest, PLACE) {
        whole.extend_from_slice(&rest[..at]);
        whole.extend_from_slice(argument);
        rest = &rest[at + PLACE.len()..];
    }
    whole.extend_from_slice(rest);
    OsString::from_vec(whole)
}

/// A mark of GNU parallel's that is none here: it would be taken for a word of the command.
pub(super) fn unknown_mark(words: &[OsString]) -> Option<&OsString> {
    words.iter().find(|word| {
        let rest = word.as_bytes().strip_prefix(MARK.as_bytes());
        rest.is_some_and(|rest| matches!(rest, b"+" | b":" | b":+"))
    })
}

/// The command, and its arguments where they are named; several lists of them are combined, each of the
/// first with each of the next.
pub(super) fn parted(words: &[OsString]) -> (Template, Option<Vec<OsString>>) {
    let mut parts = words.split(|word| word == MARK);
    let template = Template(parts.next().unwrap_or_default().to_vec());
    let mut combined: Option<Vec<OsString>> = None;
    for list in parts {
        combined = Some(match combined {
            None => list.to_vec(),
            Some(before) => before
                .iter()
                .flat_map(|first| {
                    list.iter().map(move |next| {
                        let mut both = first.clone();
                        both.push(" ");
                        both.push(next);
                        both
                    })
                })
                .collect(),
        });
    }
    (template, combined)
}

/// Whether there is a next argument.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Argument(OsString),
    /// Nobody knows yet.
    Later,
    None,
}

/// Arguments one after the other.
pub(super) enum Inputs {
    Named(std::vec::IntoIter<OsString>),
    Lines { lines: Receiver<OsString>, news: Arc<OwnedFd> },
}

impl Inputs {
    /// Those that are named, or the lines of standard input, which a thread of its own reads: so a line
    /// that is not there yet holds up nothing else.
    pub(super) fn new(named: Option<Vec<OsString>>) -> io::Result<Self> {
        if let Some(named) = named {
            return Ok(Self::Named(named.into_iter()));
        }
        let (sender, lines) = sync_channel(AHEAD);
        let news = Arc::new(pipe::event(0)?);
        let theirs = Arc::clone(&news);
        let read = move || {
            let mut input = io::stdin().lock();
            loop {
                let mut line = Vec::new();
                match input.read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                // An empty line is no argument, as xargs and GNU parallel -r have it.
                if !line.is_empty() && sender.send(OsString::from_vec(line)).is_err() {
                    break;
                }
                pipe::signal_event(theirs.as_fd());
            }
            drop(sender);
            pipe::signal_event(theirs.as_fd());
        };
        std::thread::Builder::new().name("lines".to_owned()).spawn(read)?;
        Ok(Self::Lines { lines, news })
    }

    /// The next argument.
    pub(super) fn next(&mut self) -> Next {
        match self {
            Self::Named(named) => named.next().map_or(Next::None, Next::Argument),
            Self::Lines { lines, .. } => match lines.try_recv() {
                Ok(line) => Next::Argument(line),
                Err(TryRecvError::Empty) => Next::Later,
                Err(TryRecvError::Disconnected) => Next::None,
            },
        }
    }

    /// How many come at most, where that is known.
    pub(super) fn most(&self) -> Option<usize> {
        match self {
            Self::Named(named) => Some(named.len()),
            Self::Lines { .. } => None,
        }
    }

    /// What is readable once there may be a next argument.
    pub(super) fn news(&self) -> Option<&OwnedFd> {
        match self {
            Self::Named(_) => None,
            Self::Lines { news, .. } => Some(news),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn an_argument_takes_its_places() {
        let (template, named) = parted(&words("echo {}-{} ::: a b"));
        assert_eq!(named, Some(words("a b")));
        assert_eq!(template.with(OsStr::new("a")), words("echo a-a"));
        let (template, named) = parted(&words("echo x"));
        assert_eq!(
            (named, template.with(OsStr::new("a b"))),
            (None, {
                let mut all = words("echo x");
                all.push(OsString::from("a b"));
                all
            })
        );
    }

    #[test]
    fn marks_that_are_none_are_found() {
        assert_eq!(unknown_mark(&words("echo :::: file")), words("::::").first());
        assert_eq!(unknown_mark(&words("echo ::: a :::+ b")), words(":::+").first());
        assert_eq!(unknown_mark(&words("echo :: ::: a:::b :::a")), None);
    }

    #[test]
    fn several_lists_are_combined() {
        let (_, named) = parted(&words("echo ::: a b ::: 1 2"));
        let named: Vec<_> =
            named.unwrap().into_iter().map(|it| it.into_string().unwrap()).collect();
        assert_eq!(named, ["a 1", "a 2", "b 1", "b 2"]);
        assert_eq!(parted(&words("echo :::")).1, Some(Vec::new()));
    }
}
