//! One budget of processors over pools in pools, and libraries that have threads of their own.
//!
//! A pool of processes shares what its own process has among its workers: that is what `cores` says there,
//! and how many threads BLAS and OpenMP make.

use serde::{Deserialize, Serialize};
use tarefa_engine::atomic::{AtomicUsize, Ordering};

use crate::task::wait::cpu_count;

/// What says how many threads a library makes, read when that is loaded.
const VARIABLES: [&str; 7] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
];

/// What a worker has; 0 in what is none.
static SHARE: AtomicUsize = AtomicUsize::new(0);
/// Which of the variables its pool has set, by bits.
static SET: AtomicUsize = AtomicUsize::new(0);

/// What a worker gets.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Share {
    cores: usize,
    /// Which variables are set for it, by bits.
    set: usize,
}

/// How many processors are the calling process's to use: in a worker of a pool of processes its share of
/// what the pool's own process has; elsewhere what [`cpu_count`](crate::cpu_count) says. A pool in a pool
/// that has so many workers leaves each processor one that computes.
///
/// ```
/// use tarefa::{Pool, cores, cpu_count};
///
/// fn nested() -> usize {
///     let pool = Pool::threads(cores());
///     pool.map(|n: usize| n, 0..10).flatten().count()
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(cores(), cpu_count());
/// let pool = Pool::processes(2);
/// assert_eq!(pool.submit(cores, ())?.result()?, (cpu_count() / 2).max(1));
/// assert_eq!(pool.submit(nested, ())?.result()?, 10);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn cores() -> usize {
    match SHARE.load(Ordering::Relaxed) {
        0 => cpu_count(),
        share => share,
    }
}

impl Share {
    /// What each of so many workers gets. What this process's environment says of threads stays, but for what
    /// its own pool has set.
    pub(super) fn of_one(workers: usize) -> Self {
        let own = SHARE.load(Ordering::Relaxed).to_string();
        let of_pool = SET.load(Ordering::Relaxed);
        let is_free = |(i, name): &(usize, &str)| match std::env::var_os(name) {
            None => true,
            Some(value) => of_pool & 1 << i != 0 && value == *own,
        };
        let free = VARIABLES.into_iter().enumerate().filter(is_free);
        let set = free.fold(0, |set, (i, _)| set | 1 << i);
        Self { cores: (cores() / workers.max(1)).max(1), set }
    }

    /// What is set in the environment of such a worker.
    pub(super) fn variables(self) -> Vec<(String, String)> {
        let set = VARIABLES.into_iter().enumerate().filter(|(i, _)| self.set & 1 << i != 0);
        set.map(|(_, name)| (name.to_owned(), self.cores.to_string())).collect()
    }

    /// In a worker: it has so much.
    pub(super) fn take(self) {
        // not shared: words of this process alone.
        SHARE.store(self.cores, Ordering::Relaxed);
        SET.store(self.set, Ordering::Relaxed);
    }
}
