//! What `/proc` says of a process or thread.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use super::pidfd::Exit;
use super::{linux, sysconf};

/// The parts of `/proc/<pid>/task/<tid>/stat` in use here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// The kernel's letter: R running or ready, S and D waiting, T stopped, Z ended.
    pub state: char,
    /// User time, nanoseconds.
    pub user_ns: u64,
    /// System time, nanoseconds.
    pub system_ns: u64,
    /// Threads of the process.
    pub threads: u64,
    /// Clock ticks since boot at which it started: with the pid, an identity.
    pub start_time: u64,
    /// The processor it last ran on.
    pub cpu: u64,
    /// How it ended, as `wait` says it; 0 while it runs.
    pub exit_code: i32,
}

impl Stat {
    /// Whether the process has ended, and nobody has collected it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Whether there is a `/proc`.
#[must_use]
pub fn is_there() -> bool {
    fs::metadata("/proc/self").is_ok()
}

/// Of thread `tid` of process `pid`; `None` when there is none.
#[must_use]
pub fn thread_stat(pid: i32, tid: i32) -> Option<Stat> {
    try_stat(format_args!("/proc/{pid}/task/{tid}/stat")).ok()?
}

/// Nanoseconds that thread `tid` of process `pid` was on a core; `None` where there is none, or the
/// kernel does not count them.
#[must_use]
pub fn on_core_ns(pid: i32, tid: i32) -> Option<u64> {
    let text = fs::read(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
    std::str::from_utf8(&text).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// Of process `pid`; `None` when there is none.
#[must_use]
pub fn stat(pid: i32) -> Option<Stat> {
    stat_of(pid).ok()?
}

/// The same; an error where it cannot be looked at.
fn stat_of(pid: i32) -> io::Result<Option<Stat>> {
    try_stat(format_args!("/proc/{pid}/stat"))
}

/// Without memory from the heap: each new process looks itself up, and pays for every page that it
/// is the first to write to.
fn try_stat(path: fmt::Arguments<'_>) -> io::Result<Option<Stat>> {
    // Longer than any: 52 numbers, and a name of at most 64 bytes.
    let (mut name, mut text) = ([0; 64], [0; 2048]);
    let mut rest = &mut name[..];
    rest.write_fmt(path)?;
    let unused = rest.len();
    let name = OsStr::from_bytes(&name[..name.len() - unused]);
    let read = fs::File::open(name).and_then(|mut file| {
        loop {
            match file.read(&mut text) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        }
    });
    match read {
        Ok(length) => Ok(parse_stat(&text[..length])),
        // Another root folder may have no `/proc`, and says nothing of any process.
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) && !is_there() => Err(e),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(e) => Err(e),
    }
}

pub(super) fn parse_stat(text: &[u8]) -> Option<Stat> {
    // The name, in parentheses, may hold anything: the fields start after the last one.
    let fields = text.get(text.iter().rposition(|&byte| byte == b')')? + 2..)?;
    let fields = std::str::from_utf8(fields).ok()?.split_ascii_whitespace();
    let tick = 1_000_000_000 / super::sysconf(libc::_SC_CLK_TCK).max(1) as u64;
    let mut stat = Stat::default();
    let mut found = 0;
    for (at, field) in fields.enumerate() {
        match at {
            0 => stat.state = field.chars().next()?,
            11 => stat.user_ns = field.parse::<u64>().ok()? * tick,
            12 => stat.system_ns = field.parse::<u64>().ok()? * tick,
            17 => stat.threads = field.parse().ok()?,
            19 => stat.start_time = field.parse().ok()?,
            36 => stat.cpu = field.parse().unwrap_or(0),
            49 => stat.exit_code = field.parse().unwrap_or(0),
            _ => {}
        }
        found = at;
    }
    (found >= 19).then_some(stat)
}

/// Ticks since boot at which `pid` started; 0 when there is no such process, or it cannot be looked at.
#[must_use]
pub fn start_time(pid: i32) -> u64 {
    try_start_time(pid).unwrap_or(0)
}

/// Ticks since boot at which `pid` started; 0 when there is no such process, or no `/proc`.
///
/// # Errors
/// Why the process cannot be looked at: no descriptors, no right to.
pub fn try_start_time(pid: i32) -> io::Result<u64> {
    match stat_of(pid) {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(0),
        stat => Ok(stat?.map_or(0, |s| s.start_time)),
    }
}

/// Whether `pid` is still the process that started at `start_time`, and has not ended. Without
/// a descriptor to look with, it is taken to be.
#[must_use]
pub fn alive(pid: i32, start_time: u64) -> bool {
    let lives = |s: Stat| s.start_time == start_time && !s.has_ended();
    stat_of(pid).map_or_else(|_| super::process::exists(pid), |s| s.is_some_and(lives))
}

/// The tick since boot that is now: for a process that notes when it was there at the latest.
#[must_use]
pub fn ticks() -> u64 {
    let per_second = u64::try_from(sysconf(libc::_SC_CLK_TCK)).unwrap_or(0).max(1);
    linux::boot_ns() / (1_000_000_000 / per_second)
}

/// Whether `pid` is for certain not the process that was there at the tick `at` (0: not known), in which
/// case it started later.
#[must_use]
pub fn is_another(pid: i32, at: u64) -> bool {
    at != 0 && stat_of(pid).is_ok_and(|s| s.is_none_or(|s| s.start_time > at))
}

/// How process `pid` ended, if it has and its parent has not collected it yet.
#[must_use]
pub fn exit_of_zombie(pid: i32) -> Option<(Exit, Stat)> {
    let stat = stat(pid).filter(|s| s.state == 'Z')?;
    Some((Exit::from_status(stat.exit_code), stat))
}

/// A line `key: number kB` or `key: number` of `/proc/<pid>/[task/<tid>/]status`.
#[must_use]
pub fn status_number(pid: i32, tid: i32, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    let number = line.split_whitespace().next()?.parse::<u64>().ok()?;
    Some(if line.trim_end().ends_with("kB") { number * 1024 } else { number })
}

/// The first word of a line `key: word` of `/proc/<pid>/[task/<tid>/]status`.
#[must_use]
pub fn status_word(pid: i32, tid: i32, key: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// What the system calls the thread: 15 bytes that it has given itself.
#[must_use]
pub fn thread_name(pid: i32, tid: i32) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// What names the file that descriptor `fd` of process `pid` is: device, number, and the device that
/// it is itself. `None` where it may not be looked at.
#[must_use]
pub fn file(pid: i32, fd: i32) -> Option<(u64, u64, u64)> {
    identity(&format!("/proc/{pid}/fd/{fd}"))
}

fn identity(path: &str) -> Option<(u64, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|m| (m.dev(), m.ino(), m.rdev())).ok()
}

/// Whether descriptor `fd` of process `pid` is the same file as this process's.
#[must_use]
pub fn same_file(pid: i32, fd: i32) -> bool {
    let theirs = file(pid, fd);
    theirs.is_some() && theirs == identity(&format!("/proc/self/fd/{fd}"))
}

/// Threads of the calling process right now.
#[must_use]
pub fn own_threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Open descriptors of `pid`.
#[must_use]
pub fn open_files(pid: i32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Descriptors of `pid` whose file the system calls `name`, lowest first.
///
/// # Errors
/// Where they may not be looked at, or there is no such process.
pub fn descriptors_of(pid: i32, name: &str) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One that was closed meanwhile is none.
        let Ok(entry) = entry else { continue };
        if fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == name) {
            found.extend(entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The threads of process `pid`, the main one first.
#[must_use]
pub fn threads(pid: i32) -> Vec<i32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut tids: Vec<i32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    tids.sort_unstable_by_key(|tid| (*tid != pid, *tid));
    tids
}

/// The children of process `pid`, those of all its threads; none where the system does not tell.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let of = |tid| fs::read_to_string(format!("/proc/{pid}/task/{tid}/children"));
    let texts = threads(pid).into_iter().filter_map(|tid| of(tid).ok());
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// How it stands with a signal of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalStands {
    /// It has come, and nobody has taken it.
    pub is_pending: bool,
    /// The main thread does not take it now.
    pub is_blocked: bool,
    /// What it does.
    pub action: SignalAction,
}

/// What a signal does in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalAction {
    /// What the system does of itself.
    Default,
    /// Nothing.
    Ignored,
    /// There is a handler.
    Handled,
}

/// How it stands with `signal` of process `pid`; `None` where that cannot be looked at.
#[must_use]
pub fn signal_stands(pid: i32, signal: i32) -> Option<SignalStands> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let is_in = |set: &str| {
        let bits = text.lines().find_map(|line| line.strip_prefix(set))?;
        let bits = u64::from_str_radix(bits.trim(), 16).ok()?;
        Some(bits >> (signal - 1) & 1 == 1)
    };
    Some(SignalStands {
        is_pending: is_in("ShdPnd:")? || is_in("SigPnd:")?,
        is_blocked: is_in("SigBlk:")?,
        action: match (is_in("SigIgn:")?, is_in("SigCgt:")?) {
            (true, _) => SignalAction::Ignored,
            (false, true) => SignalAction::Handled,
            (false, false) => SignalAction::Default,
        },
    })
}

/// Whether the process of a thread has a handler for `signal`, and whether the thread blocks it; `None`
/// where that cannot be looked at.
#[must_use]
pub fn signal_is_handled(pid: i32, tid: i32, signal: i32) -> Option<(bool, bool)> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let is_in = |set: &str| {
        let bits = text.lines().find_map(|line| line.strip_prefix(set))?;
        let bits = u64::from_str_radix(bits.trim(), 16).ok()?;
        Some(bits >> (signal - 1) & 1 == 1)
    };
    Some((is_in("SigCgt:")?, is_in("SigBlk:")?))
}

/// The function of the kernel that a thread sleeps in; `None` where it does not sleep, or the kernel
/// does not say.
#[must_use]
pub fn sleeps_in(pid: i32, tid: i32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/wchan")).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty() && name != "0")
}

/// All processes that there are to see.
#[must_use]
pub fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The program of `pid` and its arguments, separated by blanks; the system's name for it where it
/// has none, as it ends.
#[must_use]
pub fn command_line(pid: i32) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<String> = text
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let line = words.join(" ");
    let line = line.trim_end();
    if line.is_empty() { thread_name(pid, pid) } else { Some(line.to_owned()) }
}

/// Where a thread stands, as the kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It runs, or is ready to.
    Runs,
    /// It sleeps in a system call: number, stack pointer, instruction pointer.
    Sleeps(i64, u64, u64),
    /// There is no such thread, or it may not be looked at.
    Unknown,
}

impl Stands {
    /// The system call it sleeps in.
    #[must_use]
    pub fn system_call(self) -> Option<i64> {
        if let Self::Sleeps(number, ..) = self { Some(number) } else { None }
    }
}

/// Where thread `tid` of process `pid` stands.
#[must_use]
pub fn stands(pid: i32, tid: i32) -> Stands {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).unwrap_or_default();
    if text.starts_with("running") {
        return Stands::Runs;
    }
    let sleeps = || {
        let words: Vec<&str> = text.split_whitespace().collect();
        let hex = |s: &&str| u64::from_str_radix(s.trim_start_matches("0x"), 16).ok();
        let number = words.first()?.parse().ok()?;
        let stack = hex(words.get(words.len().checked_sub(2)?)?)?;
        Some(Stands::Sleeps(number, stack, hex(words.last()?)?))
    };
    sleeps().unwrap_or(Stands::Unknown)
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn ticks_are_those_of_start_times() {
        let before = ticks();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let started = try_start_time(pid).unwrap();
        let after = ticks();
        let others =
            [is_another(pid, started - 1), is_another(pid, started), is_another(pid, after)];
        child.kill().unwrap();
        child.wait().unwrap();
        assert!((before..=after).contains(&started), "{before} {started} {after}");
        assert_eq!(others, [true, false, false]);
        assert!(is_another(pid, after), "it has ended");
        assert!(!is_another(pid, 0));
    }
}
