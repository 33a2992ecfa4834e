//! Who ends the jobs when this process is killed, and can do nothing itself any more.
//!
//! ```text
//!   map ── a number in the table for each job that runs ──▶ a file in memory
//!    └──── a stream that ends with this process ──▶ guard ── reads it then ──▶ kills them
//! ```
//!
//! The guard is a process that waits, and does nothing as long as this one lives: a job costs one write to
//! the table when it begins and one when it ends.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use tarefa_engine::os::memfd;

use crate::act::tree;

/// What the guard is called as: nobody types it.
pub const GUARD: &str = "guard-jobs";

/// Bytes of a number.
const SIZE: usize = size_of::<i32>();

/// See the module.
pub(super) struct Guard {
    table: File,
    /// The places that no job has.
    free: Vec<u64>,
    places: u64,
    process: Child,
    /// What ends with this process.
    _stream: UnixStream,
}

impl Guard {
    pub(super) fn new() -> io::Result<Self> {
        let table = memfd::create_empty(c"jobs")?;
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(std::env::current_exe()?);
        // What ends this process by the terminal is not for the guard.
        command.arg(GUARD).process_group(0).stderr(Stdio::null());
        command.stdin(OwnedFd::from(theirs)).stdout(table.try_clone()?);
        Ok(Self {
            process: command.spawn()?,
            table: File::from(table),
            free: Vec::new(),
            places: 0,
            _stream: ours,
        })
    }

    /// A job runs, as that process group; its place in the table.
    pub(super) fn begins(&mut self, group: u32) -> io::Result<u64> {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places += 1;
            self.places - 1
        });
        self.write(place, group as i32)?;
        Ok(place)
    }

    /// The job of that place has ended, and its number is still its own.
    pub(super) fn ends(&mut self, place: u64) -> io::Result<()> {
        self.free.push(place);
        self.write(place, 0)
    }

    fn write(&self, place: u64, group: i32) -> io::Result<()> {
        self.table.write_all_at(&group.to_ne_bytes(), place * SIZE as u64)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // All jobs have ended. It is not to be there when this process is not.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until the process that has the other end of standard input has ended, and kills the jobs that are
/// in the table then; for [`GUARD`] alone.
#[must_use]
pub fn guard() -> ExitCode {
    let mut rest = Vec::new();
    // Nobody writes there: it ends, whatever is said of that.
    let _ = io::stdin().lock().read_to_end(&mut rest);
    let Ok(table) = io::stdout().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let Ok(length) = memfd::len(&table) else { return ExitCode::FAILURE };
    let mut groups = vec![0; usize::try_from(length).unwrap_or(0)];
    if File::from(table).read_exact_at(&mut groups, 0).is_err() {
        return ExitCode::FAILURE;
    }
    for group in groups.chunks_exact(SIZE).filter_map(|bytes| bytes.try_into().ok()) {
        let group = i32::from_ne_bytes(group);
        if group > 0 {
            tree::kill_group(group as u32);
        }
    }
    ExitCode::SUCCESS
}
