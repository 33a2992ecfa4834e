//! Keys, out of the bytes that a terminal sends for them.
//!
//! They are read here because the reader that comes with the drawing never returns once the terminal
//! has gone.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tarefa_engine::os::poll::{self, Level};

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    /// Pressed together with Ctrl.
    Control(char),
    Enter,
    Esc,
    Backspace,
    Tab,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// One that means nothing here.
    Other,
}

/// How long a terminal takes for the rest of a key that begins as Esc does.
const REST: Duration = Duration::from_millis(25);
const ESC: u8 = 0x1b;

/// The keyboard of standard input.
#[derive(Debug)]
pub(super) struct Keyboard {
    input: File,
    /// The beginning of a key that has not come as a whole.
    begun: Vec<u8>,
}

impl Keyboard {
    pub(super) fn new() -> io::Result<Self> {
        // A descriptor of its own, for the one of the standard library keeps what it has read.
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Self { input, begun: Vec::new() })
    }

    /// Readable when a key was pressed, and when the terminal has gone.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// What has been pressed, once there is something to read; `None` where the terminal has gone.
    pub(super) fn read(&mut self) -> io::Result<Option<Vec<Key>>> {
        let mut keys = Vec::new();
        loop {
            let mut bytes = [0; 1024];
            match self.input.read(&mut bytes) {
                Ok(0) => return Ok(None),
                Ok(count) => self.begun.extend(&bytes[..count]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // Somebody else was faster.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Some(keys)),
                Err(e) => return Err(e),
            }
            while let Some((key, length)) = first(&self.begun) {
                keys.push(key);
                self.begun.drain(..length);
            }
            if self.begun != [ESC] {
                return Ok(Some(keys));
            }
            if poll::sleep_for(&[self.as_fd()], REST)? == [Level::Nothing] {
                self.begun.clear();
                keys.push(Key::Esc);
                return Ok(Some(keys));
            }
        }
    }
}

/// The first key of these bytes and how many of them it is; `None` where the rest of it is to come.
fn first(bytes: &[u8]) -> Option<(Key, usize)> {
    let key = match *bytes.first()? {
        ESC => return after_esc(&bytes[1..]).map(|(key, length)| (key, length + 1)),
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x08 | 0x7f => Key::Backspace,
        letter @ 0x01..=0x1a => Key::Control(char::from(letter - 1 + b'a')),
        0x00..=0x1f => Key::Other,
        letter @ 0x20..=0x7e => Key::Char(char::from(letter)),
        _ => return letter(bytes),
    };
    Some((key, 1))
}

/// A letter that is none of ASCII.
fn letter(bytes: &[u8]) -> Option<(Key, usize)> {
    let begun = &bytes[..bytes.len().min(4)];
    let whole = match std::str::from_utf8(begun) {
        Ok(text) => text,
        Err(wrong) if wrong.valid_up_to() > 0 => {
            std::str::from_utf8(&begun[..wrong.valid_up_to()]).unwrap_or_default()
        }
        // `None` where it only ends too early.
        Err(wrong) => return wrong.error_len().map(|length| (Key::Other, length)),
    };
    whole.chars().next().map(|letter| (Key::Char(letter), letter.len_utf8()))
}

fn after_esc(bytes: &[u8]) -> Option<(Key, usize)> {
    match *bytes.first()? {
        b'[' => sequence(&bytes[1..]).map(|(key, length)| (key, length + 1)),
        b'O' => bytes.get(1).map(|last| (moves(*last, b""), 2)),
        ESC => Some((Key::Esc, 0)),
        // A letter together with Alt is that letter.
        _ => first(bytes),
    }
}

/// What follows `ESC [`: numbers, and a letter that ends them. All of it is one key, also where it
/// means nothing: its letters are no answer to a question.
fn sequence(bytes: &[u8]) -> Option<(Key, usize)> {
    // The keys F1 to F5 of the Linux console.
    if bytes.first() == Some(&b'[') {
        return bytes.get(1).map(|_| (Key::Other, 2));
    }
    let length = bytes.iter().position(|byte| !(0x20..=0x3f).contains(byte))?;
    if !(0x40..=0x7e).contains(&bytes[length]) {
        return Some((Key::Other, length));
    }
    let number = bytes[..length].split(|byte| *byte == b';').next().unwrap_or_default();
    Some((moves(bytes[length], number), length + 1))
}

fn moves(last: u8, number: &[u8]) -> Key {
    match (last, number) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> (Vec<Key>, usize) {
        let mut keys = Vec::new();
        while let Some((key, length)) = first(bytes) {
            keys.push(key);
            bytes = &bytes[length..];
        }
        (keys, bytes.len())
    }

    #[test]
    fn keys_are_told_apart() {
        use Key::{Char, Control, Down, End, Enter, Esc, Home, Other, PageDown, PageUp, Tab, Up};
        let (keys, left) = all(b"k\t\r\x03\x1b[A\x1bOB\x1b[1;5H\x1b[4~\x1b[5~\x1b[6~\x1b\x1b[24~y");
        let wanted = [
            Char('k'),
            Tab,
            Enter,
            Control('c'),
            Up,
            Down,
            Home,
            End,
            PageUp,
            PageDown,
            Esc,
            Other,
            Char('y'),
        ];
        assert_eq!((keys.as_slice(), left), (wanted.as_slice(), 0));
    }

    #[test]
    fn a_key_waits_for_its_rest() {
        for begun in [b"\x1b".as_slice(), b"\x1b[", b"\x1b[1;", b"\x1bO", b"\xc3", b"\xf0\x9f"] {
            assert_eq!(all(begun), (vec![], begun.len()), "{begun:?}");
        }
        assert_eq!(all("çãy".as_bytes()).0, [Key::Char('ç'), Key::Char('ã'), Key::Char('y')]);
        assert_eq!(all(b"\xffy").0, [Key::Other, Key::Char('y')]);
    }
}
