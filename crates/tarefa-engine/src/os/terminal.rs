//! Terminals.

/// Columns of the terminal behind the descriptor `fd`; `None` where it is none, or does not say.
#[must_use]
pub fn columns(fd: i32) -> Option<u16> {
    if cfg!(miri) {
        return None;
    }
    // SAFETY: winsize is plain data, for which zeroes are a value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes a winsize, or refuses.
    let answer = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) };
    (answer == 0 && size.ws_col > 0).then_some(size.ws_col)
}
