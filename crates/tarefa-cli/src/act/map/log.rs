//! The log of jobs, in the form of GNU parallel's: one line for each that has ended, with its number,
//! its times, how it ended, and its command.
//!
//! A line is written at once, with its end, so a log that was cut off has at most one that is not
//! whole, and that one counts as not there.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::job::Ended;

const TITLES: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// The log that is written.
#[derive(Debug)]
pub(super) struct Log(File);

impl Log {
    /// A new log, or one that goes on.
    pub(super) fn open(path: &Path, goes_on: bool) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        // A terminal or a pipe has nothing to be emptied, or to go on from, and may never end.
        let is_kept = file.metadata()?.is_file();
        if is_kept && !goes_on {
            file.set_len(0)?;
        }
        let text = if is_kept && goes_on { std::fs::read(path)? } else { Vec::new() };
        if text.is_empty() {
            file.write_all(TITLES.as_bytes())?;
        } else if text.last() != Some(&b'\n') {
            // What follows a line that was cut off is not to be taken for its rest.
            file.write_all(b"\n")?;
        }
        Ok(Self(file))
    }

    /// A job has ended.
    pub(super) fn note(&mut self, job: &Ended) -> io::Result<()> {
        let began = job.began.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let (exit, signal) = (job.code, job.signal);
        let mut line = format!(
            "{}\t:\t{:.3}\t{:.3}\t0\t{}\t{exit}\t{signal}\t",
            job.number,
            began.as_secs_f64(),
            job.took.as_secs_f64(),
            job.stdout.len(),
        )
        .into_bytes();
        line.extend_from_slice(&in_a_line(&job.words));
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

/// A command in one line.
fn in_a_line(words: &[OsString]) -> Vec<u8> {
    let joined = words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>().join(&b' ');
    joined
        .into_iter()
        .map(|byte| if byte == b'\n' || byte == b'\t' { b' ' } else { byte })
        .collect()
}

/// What a log says was done with success: numbers, each with its command.
#[derive(Debug, Default)]
pub(super) struct Done(HashSet<(u64, Vec<u8>)>);

impl Done {
    /// What the log at `path` says; nothing where there is none.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let text = match std::fs::metadata(path) {
            Ok(found) if !found.is_file() => {
                return Err(io::Error::other("it is no file, so nothing can be resumed from it"));
            }
            Ok(_) => std::fs::read(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        Ok(Self(Self::of(&text)))
    }

    fn of(text: &[u8]) -> HashSet<(u64, Vec<u8>)> {
        let mut done = HashSet::new();
        // A line that has no end was cut off.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in text[..whole].split(|byte| *byte == b'\n') {
            let fields: Vec<&[u8]> = line.splitn(9, |byte| *byte == b'\t').collect();
            let [number, .., exit, signal, command] = fields[..] else { continue };
            let Some(number) = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok()) else {
                continue;
            };
            let job = (number, command.to_vec());
            if exit == b"0" && signal == b"0" {
                done.insert(job);
            } else {
                done.remove(&job);
            }
        }
        done
    }

    /// Whether that job was done: the same command under the same number.
    pub(super) fn has(&self, number: u64, words: &[OsString]) -> bool {
        self.0.contains(&(number, in_a_line(words)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_does_not_count() {
        let line =
            |n, exit, signal| format!("{n}\t:\t1.0\t0.1\t0\t0\t{exit}\t{signal}\techo {n}\n");
        let text =
            [TITLES, &line(1, 0, 0), &line(2, 3, 0), &line(3, 0, 9), &line(4, 0, 0)].concat();
        let done = Done(Done::of(&text.as_bytes()[..text.len() - 1]));
        let words = |n: u64| vec![OsString::from("echo"), OsString::from(n.to_string())];
        let found: Vec<u64> = (1..=4).filter(|n| done.has(*n, &words(*n))).collect();
        assert_eq!(found, [1]);
        assert!(!done.has(1, &words(2)));
        let again = [text, line(1, 1, 0)].concat();
        assert!(!Done(Done::of(again.as_bytes())).has(1, &words(1)));
    }
}
