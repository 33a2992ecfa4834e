//! The signals that `top` hears: those that end it, and those that stop it, have it go on, and tell of
//! another size of the terminal.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use tarefa_engine::os::poll::{self, Level};
use tarefa_engine::os::process::exit_now;
use tarefa_engine::os::signal::block_all;

use super::alternate::Restorer;

/// The signals that end this process, and let it put the terminal back first.
const ENDS: [i32; 4] = [SIGTERM, SIGHUP, SIGQUIT, SIGINT];
/// How long somebody who is busy, or writes to a terminal that takes nothing, may take to notice.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Longer than anybody looks.
const LONG: Duration = Duration::from_secs(3600);

/// A signal that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    End(i32),
    Stop,
    GoOn,
    Size,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Signals {
    /// Readable from the signal on; nobody takes what is in them, so that all see it.
    ends: Vec<(i32, UnixStream)>,
    others: Vec<(Heard, UnixStream)>,
}

impl Signals {
    /// Hears them from now on.
    pub(super) fn new() -> io::Result<Self> {
        let mut ends = Vec::new();
        for signal in ENDS {
            ends.push((signal, heard(signal)?));
        }
        let mut others = Vec::new();
        for (signal, what) in
            [(SIGTSTP, Heard::Stop), (SIGCONT, Heard::GoOn), (SIGWINCH, Heard::Size)]
        {
            others.push((what, heard(signal)?));
        }
        Ok(Self { ends, others })
    }

    /// Has a thread see to it that a signal ends this process also while its main thread is at something
    /// that takes for ever.
    pub(super) fn ends_in_any_case(&self, restorer: Restorer) -> io::Result<()> {
        let mut ends = Vec::new();
        for (signal, stream) in &self.ends {
            ends.push((*signal, stream.try_clone()?));
        }
        let watches = move || {
            // The main thread has all of them: what it does next, it does with them heard.
            block_all();
            let signal = loop {
                if let Ok(Some(signal)) = one_of(&ends, LONG) {
                    break signal;
                }
            };
            std::thread::sleep(PATIENCE);
            Restorer::free_output();
            std::thread::sleep(PATIENCE);
            restorer.restore();
            exit_now(128 + signal);
        };
        std::thread::Builder::new().name("end".to_owned()).spawn(watches).map(drop)
    }

    /// The signal that ends this process, if one has come or comes in that time.
    pub(super) fn end(&self, time: Duration) -> io::Result<Option<i32>> {
        one_of(&self.ends, time)
    }

    /// Waits for a signal, or until there is something to read in `keys`, or so long. Those that end
    /// come first.
    pub(super) fn wait(
        &mut self,
        keys: BorrowedFd<'_>,
        time: Duration,
    ) -> io::Result<(Option<Heard>, bool)> {
        let ends = self.ends.iter().map(|(_, stream)| stream.as_fd());
        let others = self.others.iter().map(|(_, stream)| stream.as_fd());
        let all: Vec<BorrowedFd<'_>> = ends.chain(others).chain([keys]).collect();
        let levels = poll::sleep_for(&all, time)?;
        let has = |at: usize| levels[at] != Level::Nothing;
        let count = self.ends.len();
        let has_keys = has(all.len() - 1);
        if let Some(at) = (0..count).find(|at| has(*at)) {
            return Ok((Some(Heard::End(self.ends[at].0)), has_keys));
        }
        let Some(at) = (0..self.others.len()).find(|at| has(count + at)) else {
            return Ok((None, has_keys));
        };
        let (what, stream) = &mut self.others[at];
        // All of them at once: who was told to stop twice stops once.
        while matches!(stream.read(&mut [0; 64]), Ok(64)) {}
        Ok((Some(*what), has_keys))
    }
}

/// Readable when that signal has come.
fn heard(signal: i32) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal, theirs)?;
    Ok(ours)
}

fn one_of(ends: &[(i32, UnixStream)], time: Duration) -> io::Result<Option<i32>> {
    let all: Vec<BorrowedFd<'_>> = ends.iter().map(|(_, stream)| stream.as_fd()).collect();
    let levels = poll::sleep_for(&all, time)?;
    let at = levels.iter().position(|level| *level != Level::Nothing);
    Ok(at.map(|at| ends[at].0))
}
