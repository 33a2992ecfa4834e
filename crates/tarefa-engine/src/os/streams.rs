//! Standard output and error of one process for another.
//!
//! ```text
//!  starter                                  child
//!  -------                                  -----
//!  listens under a name that the
//!  system chooses; tells the child  --->    connects
//!  accepts, looks who it is         <---
//!  sends its descriptors            --->    has them as its own
//! ```
//!
//! Whichever is killed, the other one's call ends: a socket whose process has ended refuses who
//! connects and is at its end for who reads, and the starter watches the child.

use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, check_long, high_fd, pidfd, process, procfs};

/// The descriptors that a child has of its starter.
pub const STREAMS: [i32; 2] = [1, 2];

/// One of [`STREAMS`], as a starter has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// As the other process has it.
    Same = 0,
    /// It is closed.
    Closed = 1,
    /// Another one.
    Other = 2,
}

/// What descriptor `fd` of this process is, beside that of `pid`.
#[must_use]
pub fn compare(pid: Option<i32>, fd: i32) -> Stream {
    let order = pid.map_or(-1, |pid| {
        // SAFETY: a plain call with numbers only.
        unsafe {
            libc::syscall(libc::SYS_kcmp, process::pid(), pid, KCMP_FILE, fd as u64, fd as u64)
        }
    });
    if order == 0 {
        return Stream::Same;
    }
    // SAFETY: a plain call.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Stream::Closed;
    }
    let Some(pid) = pid else { return Stream::Other };
    match order {
        0.. => Stream::Other,
        // Not built in, or forbidden: then the same file is taken for the same descriptor.
        _ if procfs::same_file(pid, fd) => Stream::Same,
        _ => Stream::Other,
    }
}

const KCMP_FILE: i32 = 0;

/// Bytes of a name that the system chooses, at most.
pub const NAME: usize = 15;

/// Descriptors of this process that another one may ask for.
#[derive(Debug)]
pub struct Offer {
    listener: OwnedFd,
    name: Vec<u8>,
}

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: a plain call; on success the descriptor is ours alone.
    let made = unsafe {
        let fd = check(libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0))?;
        OwnedFd::from_raw_fd(fd)
    };
    high_fd::moved_up(made)
}

fn nowhere() -> libc::sockaddr_un {
    // SAFETY: plain data, for which zeroes are a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    address
}

const PATH: usize = offset_of!(libc::sockaddr_un, sun_path);

impl Offer {
    /// # Errors
    /// `EMFILE` when there are no descriptors.
    pub fn new() -> io::Result<Self> {
        let listener = socket()?;
        let mut address = nowhere();
        let mut len = PATH as libc::socklen_t;
        // SAFETY: an address of the family alone has the system choose a name, outside of all
        // folders; `address` is readable and writable for the lengths given.
        unsafe {
            let fd = listener.as_raw_fd();
            check(libc::bind(fd, (&raw const address).cast(), len))?;
            check(libc::listen(fd, 4))?;
            len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
            check(libc::getsockname(fd, (&raw mut address).cast(), &raw mut len))?;
        }
        let count = (len as usize).saturating_sub(PATH).min(NAME);
        let name = address.sun_path[..count].iter().map(|c| *c as u8).collect();
        Ok(Self { listener, name })
    }

    /// What it is called, for [`take`].
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Waits until process `pid` asks, and gives it `fds`; false when it has ended before.
    ///
    /// # Errors
    /// What the system answered.
    pub fn give(&self, pid: i32, fds: &[i32]) -> io::Result<bool> {
        let process = match pidfd::open(pid) {
            Ok(process) => process,
            Err(e) if pidfd::says_gone(&e) => return Ok(false),
            Err(e) => return Err(e),
        };
        loop {
            if !wait_readable(self.listener.as_fd(), process.as_fd())? {
                return Ok(false);
            }
            // SAFETY: a plain call; on success the descriptor is ours alone.
            let accepted = unsafe {
                let fd = self.listener.as_raw_fd();
                let (nobody, none) = (std::ptr::null_mut(), std::ptr::null_mut());
                check(libc::accept4(fd, nobody, none, libc::SOCK_CLOEXEC))
                    .map(|fd| OwnedFd::from_raw_fd(fd))
            };
            let asker = match accepted {
                Ok(asker) => asker,
                Err(e) if passes(&e) => continue,
                Err(e) => return Err(e),
            };
            // Names outside of folders are open to all users of the machine.
            if asker_of(asker.as_fd()) == Some(pid) {
                return send(asker.as_fd(), fds).map(|()| true);
            }
        }
    }
}

/// Whether the next one may come through.
fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}

/// Whether `fd` became readable before `process` ended.
fn wait_readable(fd: BorrowedFd<'_>, process: BorrowedFd<'_>) -> io::Result<bool> {
    let of =
        |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut both = [of(fd), of(process)];
    loop {
        // SAFETY: two writable entries.
        match check(unsafe { libc::poll(both.as_mut_ptr(), 2, -1) }) {
            Ok(_) => return Ok(both[0].revents != 0),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The process at the other end.
fn asker_of(fd: BorrowedFd<'_>) -> Option<i32> {
    let mut who = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `who` is writable for the length given.
    let ret = unsafe {
        let at = (&raw mut who).cast();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, at, &raw mut len)
    };
    (ret == 0).then_some(who.pid)
}

/// The most descriptors that one message carries (`SCM_MAX_FD`).
pub const MOST: usize = 253;

/// Room for a control message with [`MOST`] of them, aligned as the system wants it.
#[repr(C, align(8))]
struct Room([u8; 1056]);

fn send(to: BorrowedFd<'_>, fds: &[i32]) -> io::Result<()> {
    let mut byte = 1u8;
    let mut room = Room([0; 1056]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    if fds.len() > MOST {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    // SAFETY: the message points to what lives as long as the call; `room` has place for so many
    // descriptors and their header.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        let size = size_of_val(fds);
        message.msg_control = room.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size as u32) as _;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(size as u32) as _;
        std::ptr::copy_nonoverlapping(fds.as_ptr().cast(), libc::CMSG_DATA(head), size);
        loop {
            let sent = libc::sendmsg(to.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL);
            match check_long(sent as libc::c_long) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(drop),
            }
        }
    }
}

/// Asks for what a living process offers under `name`: `count` descriptors.
///
/// # Errors
/// `ECONNREFUSED` or `ECONNRESET` when the other one has ended.
pub fn take(name: &[u8], count: usize) -> io::Result<Vec<OwnedFd>> {
    let socket = socket()?;
    let mut address = nowhere();
    for (to, from) in address.sun_path.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    let len = (PATH + name.len()) as libc::socklen_t;
    loop {
        // SAFETY: `address` is readable for the length given.
        let ret = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) };
        match check(ret) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other.map(drop)?,
        }
    }
    let mut byte = 0u8;
    let mut room = Room([0; 1056]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut found = Vec::new();
    // SAFETY: the message points to what lives as long as the call; the system writes at most
    // `msg_controllen` bytes there, and the descriptors in them are ours alone.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.0.as_mut_ptr().cast();
        message.msg_controllen = room.0.len() as _;
        loop {
            let got = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
            match check_long(got as libc::c_long) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(0) => return Err(io::Error::from_raw_os_error(libc::ECONNRESET)),
                Ok(_) => break,
            }
        }
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        if !head.is_null() && (*head).cmsg_type == libc::SCM_RIGHTS {
            let size = (*head).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            for i in 0..size / size_of::<i32>() {
                let data = libc::CMSG_DATA(head).add(i * size_of::<i32>());
                let number = i32::from_ne_bytes(std::array::from_fn(|k| *data.add(k)));
                found.push(OwnedFd::from_raw_fd(number));
            }
        }
    }
    if found.len() == count { Ok(found) } else { Err(io::Error::from_raw_os_error(libc::EMFILE)) }
}

/// Descriptor `fd` of process `pid`, where the system allows that.
///
/// # Errors
/// `EPERM` where it does not, `EBADF` when it is closed, `ENOSYS` before Linux 5.6.
pub fn fetch(pid: i32, fd: i32) -> io::Result<OwnedFd> {
    let process = pidfd::open(pid)?;
    // SAFETY: a plain call; on success the descriptor is ours alone.
    unsafe {
        let fd = check_long(libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0))?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// Makes `from` this process's descriptor `fd`.
pub fn install(from: &OwnedFd, fd: i32) {
    // SAFETY: plain calls. The program's own descriptor of that number is replaced, as is meant.
    unsafe {
        if libc::dup2(from.as_raw_fd(), fd) < 0 && process::errno() == libc::EBUSY {
            libc::dup2(from.as_raw_fd(), fd);
        }
    }
}

/// Makes descriptor `fd` one that nothing comes out of, so that no file gets that number.
pub fn install_null(fd: i32) {
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        install(&OwnedFd::from(null), fd);
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn what_is_offered_arrives_and_a_stranger_gets_nothing() {
        let (reader, writer) = super::super::pipe::doorbell().unwrap();
        let mut reader = std::fs::File::from(reader);
        let offer = Offer::new().unwrap();
        let name = offer.name().to_vec();
        let asker = std::thread::spawn(move || take(&name, 1));
        assert!(offer.give(process::pid(), &[writer.as_raw_fd()]).unwrap());
        let got = asker.join().unwrap().unwrap();
        drop(writer);
        std::fs::File::from(got.into_iter().next().unwrap()).write_all(b"here").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "here");
    }

    #[test]
    fn who_offers_nothing_any_more_refuses() {
        let offer = Offer::new().unwrap();
        let name = offer.name().to_vec();
        drop(offer);
        let error = take(&name, 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    }

    #[test]
    fn one_that_has_ended_is_not_waited_for() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        let offer = Offer::new().unwrap();
        assert!(!offer.give(pid, &[1]).unwrap());
        drop(child.wait_with_output());
    }
}
