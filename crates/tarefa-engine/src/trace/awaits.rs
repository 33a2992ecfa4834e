//! Which coroutines of a process await something shared: they have no slot to note it in, for many of
//! them wait in one thread.
//!
//! The process keeps a file in memory, which is found by its name among its descriptors, with a record
//! for each. Nobody is asked, so it is read, too, of a process whose event loop is stuck. In Python
//! `tarefa._runtime._awaits` writes it, and says what is in it. It may change while it is read: what two
//! readings have alike was there.

use std::fs;

use crate::os::procfs;

/// What the system calls the file.
const FILE: &str = "/memfd:tarefa-awaits (deleted)";
/// Bytes of a record, and of the longest file that is read.
const RECORD: usize = 1024;
const MOST: u64 = 1 << 20;

/// A coroutine that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Await {
    /// Since when, in nanoseconds of the monotonic clock.
    pub since_ns: u64,
    /// The thread that runs it, and its event loop: the system's number.
    pub tid: i32,
    /// The numbers of the objects that it waits for.
    pub objects: Vec<u64>,
    /// Whether there are more of them.
    pub more: bool,
    /// What its task is called.
    pub name: String,
    /// Where it stands; empty where that is not known.
    pub place: String,
}

/// Those of the process `pid`.
pub(super) fn of(pid: i32) -> Vec<Await> {
    // A process that has just been forked by the program may have its parent's, too.
    let Ok(files) = procfs::descriptors_of(pid, FILE) else { return Vec::new() };
    let read = |fd: &i32| {
        use std::io::Read as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut bytes = Vec::new();
        // The number may be another file's by now, and one that nobody writes to is not waited for.
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let file = options.open(format!("/proc/{pid}/fd/{fd}")).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        (owner(&bytes) == Some(pid)).then_some(bytes)
    };
    let first = files.iter().find_map(|fd| Some((fd, read(fd)?)));
    let Some((fd, one)) = first else { return Vec::new() };
    read(fd).map(|other| alike(&one, &other)).unwrap_or_default()
}

/// Whose file it is.
fn owner(bytes: &[u8]) -> Option<i32> {
    let line = bytes.split(|b| *b == b'\n').next()?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

fn alike(one: &[u8], other: &[u8]) -> Vec<Await> {
    let records = one.chunks(RECORD).zip(other.chunks(RECORD)).skip(1);
    records.filter(|(one, other)| one == other).filter_map(|(record, _)| parsed(record)).collect()
}

fn parsed(record: &[u8]) -> Option<Await> {
    let end = record.iter().position(|b| matches!(b, 0 | b'\n'))?;
    if record[end] == 0 {
        return None;
    }
    let line = std::str::from_utf8(&record[..end]).ok()?;
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    Some(Await {
        since_ns: next()?.parse().ok()?,
        tid: next()?.parse().ok()?,
        objects: next()?.split(',').filter_map(|id| id.parse().ok()).collect(),
        more: next()? == "1",
        name: next()?.to_owned(),
        place: next()?.to_owned(),
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn file(records: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for record in records {
            let mut padded = record.as_bytes().to_vec();
            padded.resize(RECORD, 0);
            bytes.extend(padded);
        }
        bytes
    }

    #[test]
    fn a_record_says_who_waits_for_what() {
        let bytes = file(&["7\n", "", "5\t8\t1,2\t1\tana\tapp.py:3 in f\n\0", "5\t8\t\t0\tb\t\n"]);
        assert_eq!((owner(&bytes), owner(b"x\n"), owner(b"")), (Some(7), None, None));
        let found = alike(&bytes, &bytes);
        assert_eq!(found.len(), 2);
        let ana = Await {
            since_ns: 5,
            tid: 8,
            objects: vec![1, 2],
            more: true,
            name: "ana".into(),
            place: "app.py:3 in f".into(),
        };
        assert_eq!(found[0], ana);
        assert!(found[1].objects.is_empty() && found[1].place.is_empty());
    }

    #[test]
    fn what_changes_while_it_is_read_is_left_out() {
        let one = file(&["7\n", "5\t8\t1\t0\ta\t\n", "6\t8\t2\t0\tb\t\n"]);
        let other = file(&["7\n", "5\t8\t1\t0\ta\t\n", "7\t8\t2\t0\tb\t\n"]);
        let names: Vec<_> = alike(&one, &other).into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn nonsense_is_no_record() {
        for text in ["", "5", "5\t8\n", "x\t8\t1\t0\ta\tb\n", "\u{1}\n"] {
            let bytes = file(&["7\n", text]);
            assert!(alike(&bytes, &bytes).is_empty(), "{text:?}");
        }
        let mut bytes = file(&["7\n", "5\t8\t1\t0\ta\tb\n"]);
        bytes[RECORD + 8] = 0xff;
        assert!(alike(&bytes, &bytes).is_empty());
        bytes.truncate(RECORD + 4);
        assert!(alike(&bytes, &bytes).is_empty());
    }
}
