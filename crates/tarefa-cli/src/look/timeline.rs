//! `tarefa trace PID`: who runs what when in a program that runs, as a file.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::json;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::epoll::Poll;
use tarefa_engine::os::replaced::Replaced;
use tarefa_engine::trace::observe::record;
use tarefa_engine::trace::timeline::{Form, Options, Recording, Source, Timeline, Words};

use super::found;
use crate::terminal::Output;

/// How long is recorded if nobody says.
const USUAL: Duration = Duration::from_secs(5);
/// How often what threads have written is fetched.
const EVERY: Duration = Duration::from_millis(50);
/// How often that is while the rest of a program ends, and how long it has for that.
const SOON: Duration = Duration::from_millis(2);
const REST: Duration = Duration::from_millis(300);
/// Signals that end the recording before its time, and not the file.
const STOPS: [i32; 2] = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];

/// Records the program for some time, and writes the file.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let path = given.get_one::<PathBuf>("output").cloned().unwrap_or_default();
    let seconds = given.get_one::<Duration>("seconds").copied().unwrap_or(USUAL);
    let program = match found::program(out, given) {
        Ok(program) => program,
        Err(code) => return code,
    };
    // Before anything is recorded for nothing.
    let file = match Replaced::at(&path) {
        Ok(file) => file,
        Err(error) => return out.complain(format_args!("{}: {error}", path.display())),
    };
    // Before anything is recorded that a signal could have be for nothing.
    let stops = match Stops::new(&STOPS) {
        Ok(stops) => stops,
        Err(error) => return out.complain(error),
    };
    let mut recording = match record(program.address(), options(given)) {
        Ok(recording) => recording,
        Err(error) => return out.complain(error),
    };
    let ended = wait(&stops, seconds, || {
        recording.collect();
        program.root_lives()
    });
    if ended == Ended::There {
        see_out([&mut recording]);
    }
    let timeline = recording.timeline();
    leave(recording, ended);
    tell(out, &path, write(&file, &path, &timeline, out), &timeline)
}

/// What the arguments say of it.
#[must_use]
pub(crate) fn options(given: &ArgMatches) -> Options {
    Options { only_samples: given.get_flag("sampled"), ..Options::default() }
}

/// What ends a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Its time, or a signal.
    Here,
    /// The program.
    There,
}

/// Signals that come, as something to wait for.
pub(crate) struct Stops {
    pub(crate) poll: Poll,
    pub(crate) came: Vec<(i32, UnixStream)>,
}

impl Stops {
    /// From now on those signals do nothing else. Their keys are their numbers.
    ///
    /// # Errors
    /// What the system answered.
    pub(crate) fn new(signals: &[i32]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut came = Vec::new();
        for signal in signals {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(*signal, theirs)?;
            poll.add(ours.as_fd(), *signal as u64)?;
            came.push((*signal, ours));
        }
        Ok(Self { poll, came })
    }
}

/// Calls `look` again and again until it says that there is nothing more, the time is over or a signal comes.
fn wait(stops: &Stops, seconds: Duration, mut look: impl FnMut() -> bool) -> Ended {
    let until = Deadline::after(Some(seconds));
    let mut keys = Vec::new();
    while keys.is_empty() && !until.passed() {
        if !look() {
            return Ended::There;
        }
        stops.poll.wait(&mut keys, until.min(Deadline::after(Some(EVERY))));
    }
    Ended::Here
}

/// Collects what is written until the rest of a program has ended, whose main process just did: what ran in it ends
/// with it, a moment later. What outlives it is waited for no longer.
pub(crate) fn see_out<'a>(recordings: impl IntoIterator<Item = &'a mut Recording>) {
    let until = Deadline::after(Some(REST));
    for recording in recordings {
        recording.collect();
        while recording.some_live() && !until.passed() {
            std::thread::sleep(SOON);
            recording.collect();
        }
    }
}

/// Nobody writes any more: here, or because the program has ended, whose memory nobody needs then.
fn leave(recording: Recording, ended: Ended) {
    if ended == Ended::There {
        std::mem::forget(recording);
    }
}

/// A file's name, as `--output` and `--trace` take it.
///
/// # Errors
/// How it may end.
pub(crate) fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let known = || Form::list(", ", |ending| format!("trace.{ending}"));
    Form::of(&path).map(|_| path.clone()).map_err(|_| known())
}

/// Writes it as the file's name has it: a text in the letters that reports have, other forms in those of their own.
pub(crate) fn write(
    file: &Replaced,
    path: &Path,
    timeline: &Timeline,
    out: &Output,
) -> io::Result<()> {
    let words = &out.language.pick(Words::ENGLISH, Words::PORTUGUESE);
    let form = Form::of(path).unwrap_or(Form::Json);
    file.write(|to| {
        if form != Form::Text {
            return timeline.write(form, words, to);
        }
        let mut text = Vec::new();
        timeline.write(form, words, &mut text)?;
        to.write_all(out.letters(&String::from_utf8_lossy(&text)).as_bytes())
    })
}

/// Says what was written, or why it was not.
pub(crate) fn tell(
    out: &Output,
    path: &Path,
    written: io::Result<()>,
    timeline: &Timeline,
) -> ExitCode {
    if let Err(error) = written {
        return out.complain(format_args!("{}: {error}", path.display()));
    }
    #[allow(clippy::cast_precision_loss)]
    let seconds = if timeline.rows.is_empty() { 0.0 } else { timeline.length_ns() as f64 / 1e9 };
    let (slices, threads) = (timeline.slices.len(), timeline.rows.len());
    if out.json {
        out.say_json(&json!({
            "file": path.display().to_string(),
            "slices": slices,
            "threads": threads,
            "seconds": seconds,
            "on_core": timeline.source.word(),
            "lost": timeline.lost,
        }));
    } else {
        let (path, lost) = (path.display(), timeline.lost);
        let words = out.language.pick(Words::ENGLISH, Words::PORTUGUESE);
        let cores = match timeline.source {
            Source::Kernel => words.kernel,
            Source::Sampled => words.sampled,
            Source::Mixed => words.mixed,
            Source::Unknown => words.unseen,
        };
        let language = out.language;
        let slices = language.count(slices, ["slice", "slices"], ["fatia", "fatias"]);
        let threads = language.count(threads, ["thread", "threads"], ["thread", "threads"]);
        let seconds = language.number(&format!("{seconds:.2}"));
        out.say(language.pick(
            format!("{path}: {slices} of {threads} in {seconds} s; {cores}"),
            format!("{path}: {slices} de {threads} em {seconds} s; {cores}"),
        ));
        if lost > 0 {
            out.say(format_args!("{lost} {}", words.lost));
        }
    }
    if slices == 0 {
        tell_of_nothing(out);
    }
    ExitCode::SUCCESS
}

/// Says that the file shows nothing.
pub(crate) fn tell_of_nothing(out: &Output) {
    let _ = out.complain(out.language.pick(
        "no task and no call of a pool was seen in that time",
        "nenhuma tarefa e nenhuma chamada de um pool foi vista nesse tempo",
    ));
}
