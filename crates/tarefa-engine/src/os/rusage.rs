//! What a thread or process has used.

/// Processor time, memory and switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in user code, nanoseconds.
    pub user_ns: u64,
    /// Processor time in the kernel, nanoseconds.
    pub system_ns: u64,
    /// The largest resident set so far, bytes (of the whole process).
    pub peak_bytes: u64,
    /// Context switches because it waited.
    pub voluntary: u64,
    /// Context switches because its turn ended.
    pub involuntary: u64,
}

impl Usage {
    pub(crate) fn from_rusage(ru: &libc::rusage) -> Self {
        let ns = |t: libc::timeval| t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1000;
        Self {
            user_ns: ns(ru.ru_utime),
            system_ns: ns(ru.ru_stime),
            peak_bytes: ru.ru_maxrss as u64 * 1024,
            voluntary: ru.ru_nvcsw as u64,
            involuntary: ru.ru_nivcsw as u64,
        }
    }

    /// Of the calling thread.
    #[must_use]
    pub fn of_thread() -> Self {
        Self::get(libc::RUSAGE_THREAD)
    }

    /// Of the calling process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::get(libc::RUSAGE_SELF)
    }

    fn get(who: libc::c_int) -> Self {
        // SAFETY: rusage is plain data, for which zeroes are a value.
        let mut ru: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: `ru` is writable for the length of the call.
        unsafe { libc::getrusage(who, &raw mut ru) };
        Self::from_rusage(&ru)
    }
}
