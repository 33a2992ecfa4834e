//! Which system calls may fail, and how.

/// A call that a member is about to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: i64,
    pub(super) arguments: [u64; 4],
}

/// What the kernel may answer, each tried; nothing for a call that cannot fail where it is made, or
/// that is the test's own.
#[allow(clippy::match_same_arms, reason = "a table: calls that belong together stand together")]
pub(super) fn errors(call: &Call) -> &'static [i32] {
    use libc::{
        E2BIG, EACCES, EAGAIN, ECHILD, ECONNREFUSED, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOENT,
        ENOMEM, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, ESRCH,
    };
    let [_, second, third, fourth] = call.arguments;
    match call.number {
        // Memory of the C library's own, and stacks, are the libraries' affair: without them the process
        // may end.
        libc::SYS_mmap if fourth as i32 & libc::MAP_SHARED != 0 => &[ENOMEM, EPERM],
        libc::SYS_madvise => &[EINVAL, ENOMEM],
        libc::SYS_memfd_create => &[EMFILE, ENFILE, ENOMEM, ENOSYS],
        libc::SYS_ftruncate => &[EINVAL, ENOSPC],
        libc::SYS_fallocate => &[ENOSPC, ENOMEM, EINTR, EOPNOTSUPP],
        libc::SYS_futex => match second as i32 & 0x7f {
            libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => &[EINTR, EAGAIN],
            _ => &[],
        },
        libc::SYS_futex_waitv => &[EINTR, EAGAIN, ENOSYS],
        libc::SYS_eventfd2 | libc::SYS_pipe2 | libc::SYS_epoll_create1 | libc::SYS_socket => {
            &[EMFILE, ENFILE, ENOMEM]
        }
        libc::SYS_epoll_ctl => &[ENOMEM, ENOSPC],
        libc::SYS_pidfd_open => &[EMFILE, ENFILE, ENOMEM, ENOSYS],
        libc::SYS_pidfd_send_signal | libc::SYS_pidfd_getfd | libc::SYS_kcmp => &[EPERM, ENOSYS],
        libc::SYS_kill | libc::SYS_rt_tgsigqueueinfo => &[EPERM, EAGAIN],
        libc::SYS_tgkill if third as i32 != libc::SIGSTOP => &[EPERM],
        libc::SYS_openat => &[EMFILE, ENFILE, EACCES, ENOENT],
        libc::SYS_read | libc::SYS_pread64 => &[EINTR, EIO],
        libc::SYS_readlinkat => &[EACCES],
        // Writes are to pipes that do not block: one is refused only where the reader has something to
        // read, which a call that is not made does not bring about.
        libc::SYS_fcntl => match second as i32 {
            libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => &[EMFILE, EINVAL],
            // They fail for no descriptor that is open.
            libc::F_GETFD | libc::F_SETFD | libc::F_GETFL => &[],
            _ => &[EPERM],
        },
        libc::SYS_dup3 => &[EMFILE, EINTR],
        libc::SYS_clone | libc::SYS_clone3 => &[EAGAIN, ENOMEM],
        libc::SYS_prctl => &[EPERM],
        libc::SYS_ppoll | libc::SYS_epoll_pwait => &[EINTR],
        libc::SYS_statx | libc::SYS_newfstatat | libc::SYS_fstat => &[EACCES, ENOMEM],
        libc::SYS_getrandom => &[EINTR, ENOSYS],
        libc::SYS_rt_sigaction | libc::SYS_sigaltstack => &[EPERM],
        libc::SYS_timer_create => &[EAGAIN],
        libc::SYS_timer_settime => &[EPERM],
        libc::SYS_sched_getaffinity | libc::SYS_prlimit64 => &[EPERM],
        libc::SYS_wait4 | libc::SYS_waitid => &[EINTR, ECHILD],
        libc::SYS_connect => &[ECONNREFUSED],
        libc::SYS_sendmsg | libc::SYS_recvmsg => &[EINTR, ENOMEM],
        libc::SYS_execve => &[E2BIG, EACCES],
        libc::SYS_setpriority | libc::SYS_sched_setaffinity => &[EPERM],
        libc::SYS_capget => &[ESRCH],
        number => old(number),
    }
}

/// Of those that newer machines do without.
#[cfg(target_arch = "x86_64")]
fn old(number: i64) -> &'static [i32] {
    match number {
        libc::SYS_open => &[libc::EMFILE, libc::EACCES],
        libc::SYS_poll | libc::SYS_epoll_wait => &[libc::EINTR],
        libc::SYS_dup2 => &[libc::EMFILE, libc::EBUSY],
        libc::SYS_fork | libc::SYS_vfork => &[libc::EAGAIN, libc::ENOMEM],
        libc::SYS_readlink => &[libc::EACCES],
        _ => &[],
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn old(_: i64) -> &'static [i32] {
    &[]
}
