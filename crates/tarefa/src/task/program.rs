//! Executables as targets.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use tarefa_engine::os::{pidfd, process, rlimit, signal};

use crate::sync::event::Event;
use crate::task::errors::StartError;
use crate::task::failure::Failure;
use crate::task::process::Process;
use crate::task::thread::Thread;

/// An executable, as a target: it is run by the same [`Process`] (or [`Thread`]) as any other
/// task, which waits for its end.
///
/// ```
/// use tarefa::Program;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let task = Program::new("sh").arg("-c").arg("echo olá; exit 3").capture().spawn()?;
/// let output = task.result(None)??;
/// assert_eq!(output.code, Some(3));
/// assert_eq!(output.stdout, "olá\n".as_bytes());
/// # Ok(())
/// # }
/// ```
///
/// Interrupting or ending the task ends the program: it gets SIGTERM for an interruption, and
/// SIGKILL when the task's process dies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
// The one unsafe call does not depend on the fields.
#[allow(clippy::unsafe_derive_deserialize)]
#[must_use = "a program runs when a task is made of it and started"]
pub struct Program {
    name: String,
    args: Vec<String>,
    variables: BTreeMap<String, String>,
    folder: Option<String>,
    input: Option<Vec<u8>>,
    capture: bool,
}

/// How a [`Program`] ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The code it exited with; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The name of the signal that ended it.
    pub signal: Option<String>,
    /// What it wrote to its standard output, if that was captured.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error, if that was captured.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it exited with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl Program {
    /// The executable of that name, looked for as a shell does.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            args: Vec::new(),
            variables: BTreeMap::new(),
            folder: None,
            input: None,
            capture: false,
        }
    }

    /// With one more argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With more arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With an environment variable set, beside those of the starter.
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(key.into(), value.into());
        self
    }

    /// In another working directory.
    pub fn current_dir(mut self, folder: impl Into<String>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// With these bytes as its standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// With its standard output and error kept for the [`Output`]; otherwise they go where
    /// this process's go.
    pub fn capture(mut self) -> Self {
        self.capture = true;
        self
    }

    /// A task that will run it.
    #[must_use = "the task runs once it is started"]
    pub fn process(self) -> Process<Result<Output, Failure>> {
        let name = self.name.clone();
        Process::new(Self::run, (self,)).named(name)
    }

    /// The same, waited for by a thread of this process.
    #[must_use = "the task runs once it is started"]
    pub fn thread(self) -> Thread<Result<Output, Failure>> {
        let name = self.name.clone();
        Thread::new(Self::run, (self,)).named(name)
    }

    /// Makes a task of it and starts that.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn spawn(self) -> Result<Process<Result<Output, Failure>>, StartError> {
        let task = self.process();
        task.start()?;
        Ok(task)
    }

    /// Runs it and waits for its end: the target itself.
    ///
    /// # Errors
    /// [`Failure`]: there is no such program, the system refused, or the task was interrupted.
    pub fn run(self) -> Result<Output, Failure> {
        let mut command = Command::new(&self.name);
        command.args(&self.args).envs(&self.variables);
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if self.capture {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        // SAFETY: system calls, which are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                process::die_with_parent();
                rlimit::limit_program();
                Ok(())
            });
        }
        let failed = |e: io::Error| Failure::new(format!("cannot run {:?}: {e}", self.name));
        let mut child = command.spawn().map_err(failed)?;
        let running = pidfd::open(child.id() as i32).map_err(failed)?;
        let ended = Event::new()?;
        let (input, told) = (self.input.clone(), ended.clone());
        // The waiting is done by a helper, so that this thread can be interrupted.
        let helper = std::thread::Builder::new().name("tarefa-program".into()).spawn(move || {
            if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
                // In a thread of its own: a program may write much before it reads all.
                std::thread::spawn(move || drop(pipe.write_all(&input)));
            }
            let output = child.wait_with_output();
            told.set();
            output
        });
        let helper = helper.map_err(failed)?;
        let waited = ended.wait(None);
        if waited.is_err() {
            let _ = pidfd::send_signal(running.as_fd(), libc::SIGTERM);
        }
        let output = helper.join().map_err(|_| Failure::new("the helper thread panicked"))?;
        waited?;
        let output = output.map_err(failed)?;
        Ok(Output {
            code: output.status.code(),
            signal: output.status.signal().map(signal::name),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}
