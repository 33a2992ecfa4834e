//! The only place that calls the operating system.
//!
//! Every other module of the engine reaches Linux through the functions here,
//! so that another platform has one folder to implement.

pub mod cgroup;
pub mod child;
pub mod clock;
pub mod code_place;
pub mod credentials;
mod current;
pub mod epoll;
pub mod fault;
pub mod fork_probe;
pub mod futex;
pub mod heap;
pub mod high_fd;
pub mod imported;
pub mod inherited;
pub mod large_pages;
#[cfg_attr(miri, allow(dead_code))]
mod linux;
pub mod loaded;
pub mod machine;
pub mod memfd;
mod miri;
pub mod mmap;
#[cfg(loom)]
mod model;
pub mod oom;
pub mod orphans;
pub mod perf;
pub mod pidfd;
pub mod pipe;
pub mod poll;
pub mod proc_files;
pub mod process;
pub mod procfs;
pub mod rendezvous;
pub mod replaced;
pub mod rlimit;
pub mod rusage;
pub mod signal;
pub mod signal_rewake;
pub mod spawn;
pub mod streams;
pub mod symbols;
mod system;
pub mod system_call;
pub mod terminal;
pub mod thread_exit;
pub mod title;

use std::io;

/// Turns the `-1` convention of C into a `Result`.
pub(crate) fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// A limit or size of the system; -1 where there is none, or no such name.
pub(crate) fn sysconf(name: libc::c_int) -> libc::c_long {
    if cfg!(miri) {
        return miri::sysconf(name);
    }
    // SAFETY: sysconf has no preconditions.
    unsafe { libc::sysconf(name) }
}

/// Turns the `-1` convention of a raw system call into a `Result`.
pub(crate) fn check_long(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}
