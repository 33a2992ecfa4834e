//! Soft limits of this process (`getrlimit`), and the one on private memory (`RLIMIT_DATA`).

use std::time::Duration;

use crate::atomic::{AtomicU64, Ordering};

use super::{process, procfs};
use crate::units::Size;

/// How many descriptors it may have: `None` is unlimited.
#[must_use]
pub fn descriptors() -> Option<u64> {
    soft(libc::RLIMIT_NOFILE)
}

/// The soft limit on processes of this user: `None` is unlimited.
#[must_use]
pub fn processes() -> Option<u64> {
    soft(libc::RLIMIT_NPROC)
}

/// How large it may make a file: `None` is unlimited.
#[must_use]
pub fn file_size() -> Option<u64> {
    soft(libc::RLIMIT_FSIZE)
}

/// The hard limit on the processor time of this process, at which the kernel kills: `None` is
/// unlimited.
#[must_use]
pub fn processor_time() -> Option<Duration> {
    let limit = get(libc::RLIMIT_CPU as usize).hard;
    (limit != libc::RLIM_INFINITY).then(|| Duration::from_secs(limit))
}

/// What a thread's stack and its own memory may take.
const OF_A_THREAD: u64 = 16 << 20;

/// In words, the limit on private memory or on address space, where it leaves this process no room for
/// another thread.
#[must_use]
pub fn no_private_memory() -> Option<String> {
    let leaves_none = |limit: u64, used: u64| used.saturating_add(OF_A_THREAD) > limit;
    let pid = process::pid();
    let data = soft(libc::RLIMIT_DATA).zip(private_memory());
    let space = soft(libc::RLIMIT_AS).zip(procfs::status_number(pid, pid, "VmSize"));
    if let Some((limit, used)) = data.filter(|(limit, used)| leaves_none(*limit, *used)) {
        return Some(format!(
            "the limit on private memory is {}, of which {} are in use (RLIMIT_DATA, ulimit -d)",
            Size(limit),
            Size(used)
        ));
    }
    let (limit, used) = space.filter(|(limit, used)| leaves_none(*limit, *used))?;
    Some(format!(
        "the limit on address space is {}, of which {} are in use, most of that for shared memory that \
         may come to be (RLIMIT_AS, ulimit -v)",
        Size(limit),
        Size(used >> 20 << 20)
    ))
}

/// Which limit it is, most likely, that keeps this process from another thread, and what to do.
#[must_use]
pub fn no_thread() -> String {
    if let Some(text) = no_private_memory() {
        return format!("{text}: raise it");
    }
    let limit = processes().map_or_else(|| "none".to_owned(), |n| n.to_string());
    format!("join some tasks, or raise the limit on processes (RLIMIT_NPROC, ulimit -u: {limit})")
}

/// Kinds of limits, which are numbered from 0.
pub const KINDS: usize = 16;

/// A limit, soft and hard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// What the soft one may be raised to.
    pub hard: u64,
}

/// All limits of this process, by their kinds: as they would be without
/// [`limit_private_memory`]. Those that Linux has but does not keep to are not looked at.
#[must_use]
pub fn all() -> [Limit; KINDS] {
    std::array::from_fn(|kind| {
        if matches!(kind as libc::__rlimit_resource_t, libc::RLIMIT_RSS | libc::RLIMIT_LOCKS) {
            return Limit::default();
        }
        let mut limit = get(kind);
        if kind == libc::RLIMIT_DATA as usize && PRIVATE.load(Ordering::Relaxed) != 0 {
            limit.soft = BEFORE.load(Ordering::Relaxed);
        }
        limit
    })
}

fn get(kind: usize) -> Limit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable for the length of the call.
    unsafe { libc::getrlimit(kind as libc::__rlimit_resource_t, &raw mut limit) };
    Limit { soft: limit.rlim_cur, hard: limit.rlim_max }
}

/// Sets a limit of this process; where the hard one may not be so high, as high as it may be.
pub fn set(kind: usize, wanted: Limit) {
    let now = get(kind);
    if now == wanted {
        return;
    }
    let put = |soft: u64, hard: u64| {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: `limit` is readable for the length of the call.
        unsafe { libc::setrlimit(kind as libc::__rlimit_resource_t, &raw const limit) == 0 }
    };
    if !put(wanted.soft, wanted.hard) {
        put(wanted.soft.min(now.hard), wanted.hard.min(now.hard));
    }
}

/// Takes over the soft limit on processes of process `pid`, as far as it may.
pub fn follow_processes_of(pid: i32) {
    let zero = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let (mut theirs, mut mine) = (zero, zero);
    // SAFETY: both are readable and writable for the length of the calls.
    unsafe {
        if libc::prlimit(pid, libc::RLIMIT_NPROC, std::ptr::null(), &raw mut theirs) != 0
            || libc::getrlimit(libc::RLIMIT_NPROC, &raw mut mine) != 0
        {
            return;
        }
        let wanted = theirs.rlim_cur.min(mine.rlim_max);
        if wanted != mine.rlim_cur {
            mine.rlim_cur = wanted;
            libc::setrlimit(libc::RLIMIT_NPROC, &raw const mine);
        }
    }
}

fn soft(which: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable for the length of the call.
    let ret = unsafe { libc::getrlimit(which, &raw mut limit) };
    (ret == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// What [`limit_private_memory`] was told last, 0 for nothing, and the limit before.
static PRIVATE: AtomicU64 = AtomicU64::new(0);
static BEFORE: AtomicU64 = AtomicU64::new(0);

/// Bytes of private memory that this process has and may write to, its main stack left out: what
/// [`limit_private_memory`] bounds. `None` where the system does not say.
#[must_use]
pub fn private_memory() -> Option<u64> {
    let pid = process::pid();
    procfs::status_number(pid, pid, "VmData")
}

/// From now on this process can have `bytes` more of private memory that it may write to than it
/// has now; what goes beyond is refused. Its stack is not counted, those of other threads are.
/// False where the system does not say how much it has.
pub fn limit_private_memory(bytes: u64) -> bool {
    let Some(now) = private_memory() else { return false };
    let Some(limit) = data_limit() else { return false };
    BEFORE.store(limit.rlim_cur, Ordering::Relaxed);
    PRIVATE.store(bytes, Ordering::Relaxed);
    set_data_limit(now.saturating_add(bytes).min(limit.rlim_cur))
}

/// What [`limit_private_memory`] has set holds no longer.
pub fn lift_private_memory() {
    if PRIVATE.swap(0, Ordering::Relaxed) != 0 {
        set_data_limit(BEFORE.load(Ordering::Relaxed));
    }
}

/// In a process that is about to execute a program for one whose private memory is limited: the
/// program can have as much. Async-signal-safe.
pub fn limit_program() {
    let bytes = PRIVATE.load(Ordering::Relaxed);
    if bytes != 0 {
        set_data_limit(bytes);
    }
}

fn data_limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable for the length of the call.
    (unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) } == 0).then_some(limit)
}

/// The soft limit; the hard one stays, so that it can be raised again.
fn set_data_limit(bytes: u64) -> bool {
    let Some(mut limit) = data_limit() else { return false };
    limit.rlim_cur = bytes.min(limit.rlim_max);
    // SAFETY: `limit` is readable for the length of the call.
    unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) == 0 }
}
