//! Names of system calls: of those that threads sleep in.

/// The name of a system call in which threads wait; `None` of any other.
#[must_use]
pub fn name(number: i64) -> Option<&'static str> {
    let (_, name) = ALL.iter().chain(OLD).find(|(known, _)| *known == number)?;
    name.strip_prefix("SYS_")
}

macro_rules! known {
    ($($name:ident)*) => { &[$((libc::$name as i64, stringify!($name))),*] };
}

static ALL: &[(i64, &str)] = known! {
    SYS_accept SYS_accept4 SYS_bind SYS_clock_nanosleep SYS_close SYS_connect SYS_copy_file_range
    SYS_epoll_pwait SYS_execve SYS_exit_group SYS_fallocate SYS_fcntl SYS_fdatasync SYS_flock SYS_fsync
    SYS_ftruncate SYS_futex SYS_futex_waitv SYS_getrandom SYS_io_getevents SYS_io_uring_enter SYS_ioctl
    SYS_madvise SYS_mmap SYS_mprotect SYS_mq_timedreceive SYS_mq_timedsend SYS_msgrcv SYS_msgsnd SYS_msync
    SYS_munmap SYS_nanosleep SYS_openat SYS_ppoll SYS_pread64 SYS_preadv SYS_pselect6 SYS_ptrace
    SYS_pwrite64 SYS_pwritev SYS_read SYS_readv SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_rt_sigsuspend
    SYS_rt_sigtimedwait SYS_sched_yield SYS_semop SYS_semtimedop SYS_sendfile SYS_sendmmsg SYS_sendmsg
    SYS_sendto SYS_splice SYS_statx SYS_sync SYS_syncfs SYS_tee SYS_vmsplice SYS_wait4 SYS_waitid SYS_write
    SYS_writev
};

/// Those that newer machines do without.
#[cfg(target_arch = "x86_64")]
static OLD: &[(i64, &str)] =
    known! { SYS_alarm SYS_epoll_wait SYS_fork SYS_open SYS_pause SYS_poll SYS_select SYS_vfork };
#[cfg(not(target_arch = "x86_64"))]
static OLD: &[(i64, &str)] = &[];

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn calls_that_wait_have_names() {
        assert_eq!(name(libc::SYS_futex), Some("futex"));
        assert_eq!(name(libc::SYS_ppoll), Some("ppoll"));
        assert_eq!(name(libc::SYS_getpid), None);
    }
}
