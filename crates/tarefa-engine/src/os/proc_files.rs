//! Files of `/proc` that are read again and again: open, for to find one there takes as long as to read it.
//!
//! An open file is of the process that it was opened for: a process that has got its number since is
//! another one, and the file says then that there is none.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::mmap;
use super::procfs::{self, Stat};

/// Files that are kept open; more are opened for each read.
const MOST: usize = 400;

/// Which file of a thread, or of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Which {
    Stat,
    ThreadStat,
    Memory,
}

#[derive(Debug)]
struct Kept {
    file: File,
    /// Whether it was read since [`ProcFiles::close_unread`].
    is_read: bool,
}

/// See [the module](self).
#[derive(Debug, Default)]
pub struct ProcFiles {
    files: HashMap<(Which, i32, i32), Kept>,
}

impl ProcFiles {
    /// Of process `pid`; `None` when there is none.
    pub fn stat(&mut self, pid: i32) -> Option<Stat> {
        self.read(Which::Stat, pid, pid, procfs::parse_stat)
    }

    /// Of thread `tid` of process `pid`; `None` when there is none.
    pub fn thread_stat(&mut self, pid: i32, tid: i32) -> Option<Stat> {
        self.read(Which::ThreadStat, pid, tid, procfs::parse_stat)
    }

    /// Bytes of process `pid` that are in memory, no file's, and not shared by intention.
    pub fn anonymous_memory(&mut self, pid: i32) -> Option<u64> {
        self.read(Which::Memory, pid, pid, |text| {
            // Pages: all, in memory, of those of files and shared.
            let mut numbers = std::str::from_utf8(text).ok()?.split_ascii_whitespace().skip(1);
            let mut next = || numbers.next()?.parse::<u64>().ok();
            let (resident, shared) = (next()?, next()?);
            Some(resident.saturating_sub(shared) * mmap::page_size())
        })
    }

    /// Closes those that nobody has read since the last call of this.
    pub fn close_unread(&mut self) {
        self.files.retain(|_, kept| std::mem::take(&mut kept.is_read));
    }

    fn read<T>(
        &mut self,
        which: Which,
        pid: i32,
        tid: i32,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let mut text = [0; 2048];
        if let Some(kept) = self.files.get_mut(&(which, pid, tid)) {
            if let Ok(length) = read_whole(&kept.file, &mut text) {
                kept.is_read = true;
                return parse(&text[..length]);
            }
            // It has ended. Another one may have its number.
            self.files.remove(&(which, pid, tid));
        }
        let path = match which {
            Which::Stat => format!("/proc/{pid}/stat"),
            Which::ThreadStat => format!("/proc/{pid}/task/{tid}/stat"),
            Which::Memory => format!("/proc/{pid}/statm"),
        };
        let file = File::open(path).ok()?;
        let length = read_whole(&file, &mut text).ok()?;
        if self.files.len() < MOST {
            self.files.insert((which, pid, tid), Kept { file, is_read: true });
        }
        parse(&text[..length])
    }
}

/// What the file says now. It is shorter than `text`.
fn read_whole(file: &File, text: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read_at(text, 0) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;
    use crate::os::process;

    #[test]
    fn they_say_what_is_now() {
        let mut files = ProcFiles::default();
        let pid = process::pid();
        let first = files.stat(pid).unwrap();
        assert_eq!(first.start_time, procfs::stat(pid).unwrap().start_time);
        assert!(files.thread_stat(pid, pid).is_some());
        // Touched, so that it is there.
        let more = vec![1u8; 32 << 20];
        let with = files.anonymous_memory(pid).unwrap();
        assert!(with >= more.len() as u64, "{with}");
        let wall = std::time::Instant::now();
        while files.stat(pid).unwrap().user_ns < first.user_ns + 20_000_000 {
            assert!(wall.elapsed().as_secs() < 60, "no time passes");
            std::hint::black_box(more.iter().map(|b| u64::from(*b)).sum::<u64>());
        }
        assert_eq!(files.files.len(), 3);
        files.close_unread();
        assert!(files.stat(pid).is_some());
        files.close_unread();
        assert_eq!(files.files.len(), 1);
    }

    #[test]
    fn who_has_ended_is_not_there() {
        let mut files = ProcFiles::default();
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pid = child.id() as i32;
        assert!(files.stat(pid).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(files.stat(pid), None);
        assert!(files.files.is_empty());
    }
}
