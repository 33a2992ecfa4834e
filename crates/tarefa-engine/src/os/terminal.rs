//! Terminals.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::check;

/// Columns of the terminal behind the descriptor `fd`; `None` where it is none, or does not say.
#[must_use]
pub fn columns(fd: i32) -> Option<u16> {
    size(fd).map(|(columns, _)| columns).filter(|columns| *columns > 0)
}

/// Columns and rows of the terminal behind the descriptor `fd`, each 0 where it does not say; `None`
/// where it is none.
#[must_use]
pub fn size(fd: i32) -> Option<(u16, u16)> {
    if cfg!(miri) {
        return None;
    }
    // SAFETY: winsize is plain data, for which zeroes are a value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes a winsize, or refuses.
    let answer = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) };
    (answer == 0).then_some((size.ws_col, size.ws_row))
}

/// How a terminal treats what is typed and written.
#[derive(Clone, Copy)]
pub struct Modes(libc::termios);

impl std::fmt::Debug for Modes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Modes").finish_non_exhaustive()
    }
}

impl Modes {
    /// Those that the terminal behind `fd` has.
    ///
    /// # Errors
    /// `ENOTTY` where it is none; see also [`is_gone`].
    pub fn of(fd: i32) -> io::Result<Self> {
        // SAFETY: termios is plain data, for which zeroes are a value.
        let mut modes: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the call writes a termios, or refuses.
        check(unsafe { libc::tcgetattr(fd, &raw mut modes) })?;
        Ok(Self(modes))
    }

    /// The same, but each key comes as it is pressed, and is not shown. Those that interrupt and stop
    /// send their signals where `signals` is set, and come as bytes where it is not.
    #[must_use]
    pub fn key_by_key(&self, signals: bool) -> Self {
        let mut modes = self.0;
        modes.c_iflag &= !(libc::BRKINT
            | libc::ICRNL
            | libc::IGNCR
            | libc::INLCR
            | libc::ISTRIP
            | libc::IXON
            | libc::PARMRK);
        modes.c_lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::IEXTEN | libc::ISIG);
        if signals {
            modes.c_lflag |= libc::ISIG;
        }
        modes.c_cc[libc::VMIN] = 1;
        modes.c_cc[libc::VTIME] = 0;
        Self(modes)
    }

    /// Gives them to the terminal behind `fd`, at once. Of who is in the background the system makes
    /// that a stop.
    ///
    /// # Errors
    /// As of [`Modes::of`]; `EIO` also of who is in the background and has nobody to go on for it.
    pub fn give(&self, fd: i32) -> io::Result<()> {
        loop {
            // SAFETY: the modes are complete, and outlive the call.
            match check(unsafe { libc::tcsetattr(fd, libc::TCSANOW, &raw const self.0) }) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(drop),
            }
        }
    }
}

/// Whether the terminal behind `fd` is the controlling one of this process, which signals come from.
#[must_use]
pub fn is_controlling(fd: i32) -> bool {
    // SAFETY: plain system calls.
    unsafe { libc::tcgetsid(fd) == libc::getsid(0) }
}

/// Whether another job is in the foreground of the terminal behind `fd`, a shell perhaps.
#[must_use]
pub fn is_in_background(fd: i32) -> bool {
    // SAFETY: plain system calls.
    let (foreground, ours) = unsafe { (libc::tcgetpgrp(fd), libc::getpgrp()) };
    foreground > 0 && foreground != ours
}

/// Has output of the terminal behind `fd` go on that was stopped, and forgets what waits to be read
/// there: who is writing gets on.
pub fn free_output(fd: i32) {
    // SAFETY: plain system calls.
    unsafe {
        libc::tcflow(fd, libc::TCOON);
        libc::tcflush(fd, libc::TCOFLUSH);
    }
}

/// Writes to the terminal behind `fd` what it takes without anybody waiting.
pub fn write_at_once(fd: i32, bytes: &[u8]) {
    // Another description of it: the flag would otherwise be that of all who share this one.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let path = format!("/proc/self/fd/{fd}");
    if let Ok(mut file) = File::options().write(true).custom_flags(flags).open(path) {
        let _ = file.write(bytes);
    }
}

/// Whether a call failed because there is no terminal any more: its window is closed, the line cut.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::ENXIO | libc::ENODEV))
}
