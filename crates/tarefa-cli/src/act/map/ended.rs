//! What came of a job.

use std::ffi::OsString;
use std::time::{Duration, SystemTime};

/// A job that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) number: u64,
    pub(super) words: Vec<OsString>,
    pub(super) code: i32,
    pub(super) signal: i32,
    pub(super) timed_out: bool,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) attempts: u64,
}

impl Ended {
    pub(super) fn is_failure(&self) -> bool {
        self.code != 0 || self.signal != 0
    }
}
