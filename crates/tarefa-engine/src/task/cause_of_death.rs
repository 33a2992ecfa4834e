//! Why a task's process ended before the task had a result, in the same words for every
//! language.
//!
//! ```text
//!  exit status or signal ─┐
//!  flags of the record   ─┼─►  Cause::of  ──►  Death: one sentence
//!  limits of the task    ─┘
//! ```
//!
//! - A new cause is a variant of [`Cause`], a line in `Cause::of`, and its words in `Display`.
//! - What only the supervisor can know (the kernel killed for want of memory, the starter ended)
//!   it notes as a flag of the record before it publishes the death.
//! - `crates/tarefa/tests/task/deaths.tsv` has ways to die and what is said of each;
//!   `crates/tarefa/tests/task/deaths.rs` and `tests/python/task/test_deaths.py` hold both fronts to it.

use std::fmt;
use std::time::Duration;

use super::last_line::LastLine;
use super::limits::GRACE;
use super::record::{Task, flag};
use crate::os::pidfd::Exit;
use crate::os::{rlimit, signal};
use crate::units::{Measured, Seconds, Size};

/// Why a process most likely died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// `kill()` or `terminate()` was called on its task.
    Ended,
    /// It ran longer than its time limit, and went on after the interrupt that this meant.
    TimeLimit(Duration),
    /// The process that started it ended before it.
    WithStarter,
    /// It was refused memory, for it has a limit of so many bytes.
    MemoryLimit(u64),
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// It called `exit`.
    Exit,
    /// SIGKILL from outside.
    Killed,
    /// Unsafe or foreign code touched memory that is not there, or the stack overflowed.
    BadMemory,
    /// It touched a page that the system could not provide, of a mapped file, say.
    BadMapping,
    /// It came to an instruction that is none, or that says that it gives up.
    BadInstruction,
    /// Unsafe or foreign code divided an integer by zero.
    Arithmetic,
    /// It gave up, and said why: a panic that could not unwind, say.
    Reported,
    /// It gave up: a check or an allocation that failed.
    Abort,
    /// It made a system call that it may not make.
    ForbiddenCall,
    /// It used more processor time than the system lets it.
    ProcessorTime,
    /// It wrote a larger file than the system lets it.
    FileSize,
    /// It wrote to a pipe that nobody reads.
    ClosedPipe,
    /// A signal from outside.
    Signal,
    /// Somebody else collected its exit status.
    Unknown,
}

/// What is known of a death when its cause is asked for.
#[derive(Clone, Copy, Debug)]
struct Circumstances {
    exit: Exit,
    flags: u32,
    /// Its time limit, if it was killed for that.
    killed_over_time: Option<Duration>,
    memory_limit: Option<u64>,
    /// Whether it has said why it died.
    reported: bool,
    /// Whether it had used all the processor time that it may have.
    out_of_time: bool,
}

impl Cause {
    fn of(known: Circumstances) -> Self {
        let has = |flag| known.flags & flag != 0;
        let by_killer = match known.exit {
            Exit::Signal(libc::SIGKILL) => match known.killed_over_time {
                Some(limit) => return Self::TimeLimit(limit),
                None => true,
            },
            Exit::Signal(libc::SIGTERM) | Exit::Code(_) | Exit::Unknown => true,
            // Another signal is its own doing, and not that of who wanted it to end.
            Exit::Signal(_) => false,
        };
        if by_killer && has(flag::KILLED_BY_US) {
            return Self::Ended;
        }
        let signal = match known.exit {
            Exit::Code(_) if known.reported => return Self::Reported,
            Exit::Code(_) => return Self::Exit,
            Exit::Unknown => return Self::Unknown,
            Exit::Signal(signal) => signal,
        };
        match (signal, known.memory_limit) {
            (libc::SIGABRT, _) if known.reported => Self::Reported,
            (libc::SIGKILL, _) if has(flag::ENDED_WITH_STARTER) => Self::WithStarter,
            (libc::SIGKILL, _) if has(flag::OUT_OF_MEMORY) => Self::OutOfMemory,
            // Where the soft limit is the hard one, the kernel does not ask first, with SIGXCPU.
            (libc::SIGKILL, _) if known.out_of_time => Self::ProcessorTime,
            (libc::SIGKILL, _) => Self::Killed,
            // What code does that did not get memory.
            (libc::SIGABRT | libc::SIGSEGV | libc::SIGILL | libc::SIGTRAP, Some(limit)) => {
                Self::MemoryLimit(limit)
            }
            (libc::SIGABRT, None) => Self::Abort,
            (libc::SIGSEGV, None) => Self::BadMemory,
            (libc::SIGILL | libc::SIGTRAP, None) => Self::BadInstruction,
            (libc::SIGBUS, _) => Self::BadMapping,
            (libc::SIGFPE, _) => Self::Arithmetic,
            (libc::SIGSYS, _) => Self::ForbiddenCall,
            (libc::SIGXCPU, _) => Self::ProcessorTime,
            (libc::SIGXFSZ, _) => Self::FileSize,
            (libc::SIGPIPE, _) => Self::ClosedPipe,
            _ => Self::Signal,
        }
    }

    /// Of a task that was [`Killed`](super::State::Killed).
    #[must_use]
    pub fn of_task(task: &Task<'_>) -> Self {
        Self::of(Circumstances {
            exit: task.exit().unwrap_or(Exit::Unknown),
            flags: task.flags(),
            killed_over_time: task.time_limit().filter(|_| task.killed_over_time()),
            memory_limit: task.memory_limit(),
            reported: task.note().is_some_and(|(_, is_cause)| is_cause),
            out_of_time: is_out_of_time(task),
        })
    }

    /// Whether nothing else can have been the cause.
    #[must_use]
    pub fn is_certain(self) -> bool {
        matches!(self, Self::Ended | Self::TimeLimit(_) | Self::WithStarter | Self::Reported)
    }
}

/// Whether it had used what the hard limit on processor time lets it: that of its starter, who is
/// the one that asks, mostly.
fn is_out_of_time(task: &Task<'_>) -> bool {
    let usage = task.usage();
    let used = Duration::from_nanos(usage.user_ns.saturating_add(usage.system_ns));
    // For its limit the kernel counts the ticks that find it running, which may be more than it ran.
    rlimit::processor_time().is_some_and(|limit| used >= limit / 4 * 3)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeLimit(limit) => {
                return write!(
                    f,
                    "it ran longer than its time limit of {}, and did not end within {} of the \
                     interrupt",
                    Seconds(*limit),
                    Seconds(GRACE)
                );
            }
            Self::MemoryLimit(bytes) => {
                return write!(
                    f,
                    "it was refused memory, for its memory limit is {} beyond what it started \
                     with, and could not go on without; or native or unsafe code in it is broken",
                    Size(*bytes)
                );
            }
            Self::Ended => "kill() or terminate() was called on it",
            Self::WithStarter => "the process that started it ended, and its tasks end with it",
            Self::OutOfMemory => {
                "the machine, or the cgroup, ran out of memory, and the kernel chose this process; \
                 the system's log tells more"
            }
            Self::Exit => "something in it called exit or _exit, and did not return",
            Self::Killed => {
                "somebody sent it SIGKILL, or the system did for want of memory; look at the \
                 memory it used, and at the system's log"
            }
            Self::BadMemory => {
                "native or unsafe code used memory that is not there, or the stack overflowed; \
                 a core dump shows where"
            }
            Self::BadMapping => {
                "the system could not provide a page of its memory: a mapped file was cut short, \
                 or its disk is full"
            }
            Self::BadInstruction => {
                "native or unsafe code is made for another processor, or a check in it failed; \
                 a core dump shows where"
            }
            Self::Arithmetic => {
                "native or unsafe code divided an integer by zero; a core dump shows where"
            }
            Self::Reported => "it gave up, and said why",
            Self::Abort => {
                "native code or the language's runtime gave up, after a failed check or \
                 allocation; standard error may tell more"
            }
            Self::ForbiddenCall => "it made a system call that seccomp forbids it",
            Self::ProcessorTime => {
                "it used more processor time than the system lets it (ulimit -t)"
            }
            Self::FileSize => "it wrote a larger file than the system lets it (ulimit -f)",
            Self::ClosedPipe => "it wrote to a pipe or a socket that nobody reads any more",
            Self::Signal => "somebody sent it this signal, for which it has no handler",
            Self::Unknown => "somebody else collected its exit status, so nothing is known",
        })
    }
}

/// The process of a task died before the task had a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {name:?} (pid {pid}) {}", self.words())]
pub struct Death {
    /// The task's name.
    pub name: String,
    /// Its process.
    pub pid: i32,
    /// The code it exited with; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The name of the signal that ended it.
    pub signal: Option<String>,
    /// The most memory it had, bytes; 0 where nobody could see that.
    pub peak_memory: u64,
    /// What it most likely died of.
    pub cause: Cause,
    /// Its time limit, if that had passed before it died.
    pub over_time: Option<Duration>,
    /// Where in its program it was, as far as that is known.
    pub last_line: Option<LastLine>,
    /// What it said itself before it gave up: a panic's message and place, and its backtrace where
    /// one was asked for.
    pub note: Option<Box<str>>,
    /// Whether it had a result by then, which is kept: it died of what it did at its exit.
    pub at_exit: bool,
}

impl Death {
    /// Of a task that was [`Killed`](super::State::Killed).
    #[must_use]
    pub fn of(task: &Task<'_>) -> Self {
        let exit = task.exit().unwrap_or(Exit::Unknown);
        let note = match exit {
            Exit::Signal(libc::SIGABRT) => task.note(),
            Exit::Code(_) => task.note().filter(|(_, is_cause)| *is_cause),
            _ => None,
        };
        Self {
            name: task.name(),
            pid: task.pid(),
            exit_code: if let Exit::Code(code) = exit { Some(code) } else { None },
            signal: if let Exit::Signal(number) = exit { Some(signal::name(number)) } else { None },
            peak_memory: task.usage().peak_bytes,
            cause: Cause::of_task(task),
            over_time: task.time_limit().filter(|_| task.over_time()),
            last_line: task.last_line(),
            note: note.map(|(text, _)| text.into()),
            at_exit: task.delivered(),
        }
    }

    /// What happened, without the task's name and process: `was ended by SIGKILL before it had a
    /// result; peak memory 12.3 MiB; likely cause: ...`. Of one that had its result: `was ended by
    /// SIGKILL at its exit, after its target had ended; ...`.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        Words(self)
    }
}

/// See [`Death::words`].
#[derive(Clone, Copy, Debug)]
pub struct Words<'a>(&'a Death);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Words(it) = self;
        match (&it.signal, it.exit_code) {
            (Some(signal), _) => write!(f, "was ended by {signal}")?,
            (None, Some(code)) => write!(f, "exited with code {code}")?,
            (None, None) => f.write_str("ended")?,
        }
        f.write_str(if it.at_exit {
            " at its exit, after its target had ended, and its result is kept"
        } else {
            " before it had a result"
        })?;
        f.write_str("; peak memory ")?;
        match it.peak_memory {
            0 => f.write_str("unknown")?,
            bytes => write!(f, "{}", Measured(bytes))?,
        }
        let likely = if it.cause.is_certain() { "" } else { "likely " };
        write!(f, "; {likely}cause: {}", it.cause)?;
        match (it.cause, it.over_time) {
            (Cause::TimeLimit(_), _) | (_, None) => {}
            (_, Some(limit)) => write!(
                f,
                "; it had been interrupted, for it ran longer than its time limit of {}",
                Seconds(limit)
            )?,
        }
        // Late, for it may have many lines.
        match (&it.note, it.cause) {
            (Some(note), Cause::Reported) => write!(f, ": {note}")?,
            (Some(note), _) => write!(f, "; {note}")?,
            (None, _) => {}
        }
        it.last_line.as_ref().map_or(Ok(()), |line| write!(f, "; {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(1500);

    fn cause(exit: Exit, flags: u32) -> Cause {
        let known = Circumstances {
            exit,
            flags,
            killed_over_time: None,
            memory_limit: None,
            reported: false,
            out_of_time: false,
        };
        Cause::of(known)
    }

    fn limited(exit: Exit, flags: u32) -> Cause {
        let limits = Circumstances {
            exit,
            flags,
            killed_over_time: Some(LIMIT),
            memory_limit: Some(50 << 20),
            reported: false,
            out_of_time: false,
        };
        Cause::of(limits)
    }

    #[test]
    fn each_ends_cause() {
        let ours = flag::KILLED_BY_US;
        for (signal, wanted) in [
            (libc::SIGKILL, Cause::Killed),
            (libc::SIGSEGV, Cause::BadMemory),
            (libc::SIGBUS, Cause::BadMapping),
            (libc::SIGILL, Cause::BadInstruction),
            (libc::SIGTRAP, Cause::BadInstruction),
            (libc::SIGFPE, Cause::Arithmetic),
            (libc::SIGABRT, Cause::Abort),
            (libc::SIGSYS, Cause::ForbiddenCall),
            (libc::SIGXCPU, Cause::ProcessorTime),
            (libc::SIGXFSZ, Cause::FileSize),
            (libc::SIGPIPE, Cause::ClosedPipe),
            (libc::SIGTERM, Cause::Signal),
            (libc::SIGHUP, Cause::Signal),
            (libc::SIGRTMIN() + 9, Cause::Signal),
        ] {
            assert_eq!(cause(Exit::Signal(signal), 0), wanted, "{signal}");
            let by_us = matches!(signal, libc::SIGKILL | libc::SIGTERM);
            let wanted = if by_us { Cause::Ended } else { wanted };
            assert_eq!(cause(Exit::Signal(signal), ours), wanted, "{signal}, and kill()");
        }
        assert_eq!(cause(Exit::Code(0), 0), Cause::Exit);
        assert_eq!(cause(Exit::Code(7), ours), Cause::Ended);
        assert_eq!(cause(Exit::Unknown, 0), Cause::Unknown);
        assert_eq!(cause(Exit::Unknown, ours), Cause::Ended);
        let killed = Exit::Signal(libc::SIGKILL);
        assert_eq!(cause(killed, flag::OUT_OF_MEMORY), Cause::OutOfMemory);
        assert_eq!(cause(killed, flag::OUT_OF_MEMORY | ours), Cause::Ended);
        assert_eq!(cause(killed, flag::ENDED_WITH_STARTER), Cause::WithStarter);
        let over = |flags| Circumstances {
            exit: killed,
            flags,
            killed_over_time: None,
            memory_limit: None,
            reported: false,
            out_of_time: true,
        };
        assert_eq!(Cause::of(over(0)), Cause::ProcessorTime);
        assert_eq!(Cause::of(over(ours)), Cause::Ended);
    }

    #[test]
    fn limits_are_blamed_for_what_they_can_do() {
        assert_eq!(limited(Exit::Signal(libc::SIGKILL), 0), Cause::TimeLimit(LIMIT));
        let ours = limited(Exit::Signal(libc::SIGKILL), flag::KILLED_BY_US);
        assert_eq!(ours, Cause::TimeLimit(LIMIT));
        for signal in [libc::SIGABRT, libc::SIGSEGV, libc::SIGILL, libc::SIGTRAP] {
            assert_eq!(limited(Exit::Signal(signal), 0), Cause::MemoryLimit(50 << 20));
        }
        for signal in [libc::SIGFPE, libc::SIGBUS, libc::SIGHUP] {
            assert_eq!(limited(Exit::Signal(signal), 0), cause(Exit::Signal(signal), 0));
        }
        assert_eq!(limited(Exit::Code(3), 0), Cause::Exit);
    }

    #[test]
    fn a_death_is_one_sentence() {
        let mut death = Death {
            name: "ana".into(),
            pid: 7,
            exit_code: None,
            signal: Some("SIGHUP".into()),
            peak_memory: 3 << 20,
            cause: Cause::Signal,
            over_time: Some(LIMIT),
            last_line: None,
            note: None,
            at_exit: false,
        };
        assert_eq!(
            death.to_string(),
            "task \"ana\" (pid 7) was ended by SIGHUP before it had a result; peak memory 3.0 MiB; \
             likely cause: somebody sent it this signal, for which it has no handler; it had been \
             interrupted, for it ran longer than its time limit of 1.5 s"
        );
        death.cause = Cause::TimeLimit(LIMIT);
        (death.signal, death.peak_memory) = (None, 0);
        assert_eq!(
            death.to_string(),
            "task \"ana\" (pid 7) ended before it had a result; peak memory unknown; cause: it ran \
             longer than its time limit of 1.5 s, and did not end within 2 s of the interrupt"
        );
        let end = |line| {
            let death = Death { last_line: Some(line), ..death.clone() };
            let words = death.words().to_string();
            words.rsplit("; ").next().map(str::to_owned)
        };
        let place = || "a.py:7 in f".to_owned();
        let broken = end(LastLine::Broken(place()));
        assert_eq!(broken.as_deref(), Some("its last line was a.py:7 in f"));
        let seen = end(LastLine::Seen(place()));
        assert_eq!(seen.as_deref(), Some("it was last seen at a.py:7 in f"));
        let kept = Death { at_exit: true, ..death.clone() }.to_string();
        let wanted =
            " at its exit, after its target had ended, and its result is kept; peak memory ";
        assert!(kept.contains(wanted), "{kept}");
        (death.signal, death.over_time) = (Some("SIGABRT".into()), None);
        (death.cause, death.note) = (Cause::Reported, Some("no luck (a.rs:1:2)".into()));
        assert_eq!(
            death.to_string(),
            "task \"ana\" (pid 7) was ended by SIGABRT before it had a result; peak memory unknown; \
             cause: it gave up, and said why: no luck (a.rs:1:2)"
        );
    }
}
