//! Processes that have lost their parent, and fall to this one.

use std::ffi::CStr;
use std::io::Write as _;
use std::ops::ControlFlow;

/// Longer than any path in here.
type Path = [u8; 64];

/// From now on descendants of this process that lose their parent become its children. Its own
/// children do not have that from it.
pub fn adopt() {
    // SAFETY: a plain system call; where it is refused, all is as before.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Gives `act` the number of each child of the calling thread, in a process that has no other; false
/// where the system does not say. Async-signal-safe.
pub fn each_child(act: &mut dyn FnMut(i32)) -> bool {
    let mut number = 0;
    let is_read = read(c"/proc/thread-self/children", &mut |bytes| {
        for byte in bytes {
            if byte.is_ascii_digit() {
                number = number * 10 + i32::from(byte - b'0');
            } else if number != 0 {
                act(std::mem::take(&mut number));
            }
        }
        ControlFlow::Continue(())
    });
    if number != 0 {
        act(number);
    }
    is_read
}

/// What [`maps`] looks for: how the system names the file that this process has mapped at `address`.
#[must_use]
pub fn mark_of_mapping(address: usize) -> Option<Vec<u8>> {
    let text = std::fs::read_to_string("/proc/self/maps").ok()?;
    let start = format!("{address:x}-");
    let line = text.lines().find(|line| line.trim_start_matches('0').starts_with(&start))?;
    let mut words = line.split_ascii_whitespace().skip(3);
    let (device, file) = (words.next()?, words.next()?);
    Some(format!(" {device} {file} ").into_bytes())
}

/// What the memory of a process consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It has the file, as a fork has it of a process that has mapped it.
    HasFile,
    /// It has others, as a program has that was executed; or may not be looked at.
    Others,
    /// It has none any more: it is about to end.
    None,
}

/// Whether process `pid` has mapped the file with that mark. Async-signal-safe.
#[must_use]
pub fn maps(pid: i32, mark: &[u8]) -> Memory {
    let mut path: Path = [0; 64];
    if write!(&mut path[..], "/proc/{pid}/maps\0").is_err() {
        return Memory::Others;
    }
    let Ok(path) = CStr::from_bytes_until_nul(&path) else { return Memory::Others };
    // A mark may lie across two pieces: so much of the one before is kept.
    let mut kept: ([u8; 128], usize) = ([0; 128], 0);
    let (mut is_there, mut is_empty) = (false, true);
    let is_read = read(path, &mut |bytes| {
        is_empty = false;
        let seam = mark.len().min(bytes.len());
        if kept.1 + seam <= kept.0.len() {
            kept.0[kept.1..kept.1 + seam].copy_from_slice(&bytes[..seam]);
            is_there |= has(&kept.0[..kept.1 + seam], mark);
        }
        is_there |= has(bytes, mark);
        kept.1 = mark.len().min(bytes.len()).min(kept.0.len() / 2);
        kept.0[..kept.1].copy_from_slice(&bytes[bytes.len() - kept.1..]);
        if is_there { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match (is_read, is_there, is_empty) {
        (true, true, _) => Memory::HasFile,
        (true, false, true) => Memory::None,
        _ => Memory::Others,
    }
}

fn has(bytes: &[u8], mark: &[u8]) -> bool {
    !mark.is_empty() && bytes.windows(mark.len()).any(|part| part == mark)
}

/// Reads a file in pieces; false where it cannot be. Without memory from the heap, for who asks may be
/// the handler of a signal.
fn read(path: &CStr, act: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> bool {
    let mut piece = [0u8; 4096];
    // SAFETY: `path` is a C string; the buffer is writable for the length of each call, and the
    // descriptor is this function's own.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return false;
        }
        let is_read = loop {
            let got = libc::read(fd, piece.as_mut_ptr().cast(), piece.len());
            if got < 0 && super::process::errno() == libc::EINTR {
                continue;
            }
            if got <= 0 {
                break got == 0;
            }
            if act(&piece[..got as usize]).is_break() {
                break true;
            }
        };
        libc::close(fd);
        is_read
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::{Memory, each_child, maps, mark_of_mapping};
    use crate::os::process;

    #[test]
    fn a_process_has_the_files_that_it_has_mapped() {
        let code = std::fs::read_to_string("/proc/self/maps").unwrap();
        let start = code.split('-').next().unwrap();
        let mark = mark_of_mapping(usize::from_str_radix(start, 16).unwrap()).unwrap();
        assert_eq!(maps(process::pid(), &mark), Memory::HasFile);
        assert_eq!(maps(process::pid(), b" 00:00 77777777777 "), Memory::Others);
        assert_eq!(mark_of_mapping(1), None);
    }

    #[test]
    fn children_are_found() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let mut found = false;
        assert!(each_child(&mut |pid| found |= pid == child.id() as i32));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
    }
}
