//! One interface for threads and processes.
//!
//! A [`Thread`] becomes a [`Process`] by changing one word: both are made from the same
//! function and the same arguments, have the same methods, and share the same objects.
//!
//! ```
//! use tarefa::{List, Process};
//!
//! fn store(numbers: List<u32>, count: u32) -> Result<(), tarefa::Failure> {
//!     for number in 0..count {
//!         numbers.append(number)?;
//!     }
//!     Ok(())
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let numbers = List::new()?;
//! let tasks = (0..4)
//!     .map(|_| Process::spawn(store, (numbers.clone(), 1000)))
//!     .collect::<Result<Vec<_>, _>>()?;
//! for task in &tasks {
//!     task.join(None)?;
//! }
//! assert_eq!(numbers.len(), 4000);
//! # Ok(())
//! # }
//! ```
//!
//! - A *target* is a function, or a closure that captures nothing; what it works on are its
//!   arguments: any serde type, or handles of shared objects ([`List`], [`Lock`], [`Event`],
//!   tasks themselves).
//! - [`Task`] is what all tasks have in common, so that a `Vec<Box<dyn Task>>` can hold both.
//! - Nothing hangs because something died: [`Task::join`] returns, a [`Lock`] whose owner died
//!   says so once, a [`List`] is never seen half-changed.
//!
//! A process is forked from a *zygote*: this same executable, started again and stopped before
//! `main`. So processes work anywhere, under `cargo test` too, without a line in `main`;
//! [`init`], which `#[tarefa::main]` calls, merely makes the zygote ahead of need.

#![warn(clippy::missing_errors_doc)]
// A death carries all that is known of it, and is made once a task.
#![allow(clippy::result_large_err)]
// A method's path asks for one lifetime of the object's where a closure takes any.
#![allow(clippy::redundant_closure_for_method_calls)]

mod channel;
mod collections;
mod convert;
mod pool;
mod runtime;
mod sync;
mod task;
mod trace;

pub use channel::{
    ChannelError, IntoIter as ReceiverIntoIter, Iter as ReceiverIter, PlainReceiver, PlainSender,
    Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryIter,
    TryRecvError, TrySendError, channel, plain_channel,
};
pub use collections::array::{Array, ArrayGuard, Items};
pub use collections::dict::{Dict, DictError};
pub use collections::list::{Iter, List, ListError};
pub use collections::object_lock::Group;
pub use collections::pinned::Pinned;
pub use collections::set::Set;
pub use collections::shared_slice::SharedSlice;
pub use collections::value::{Value, ValueGuard};
pub use convert::address::{AttachError, Object, address, attach};
pub use convert::errors::{DecodeError, EncodeError};
pub use convert::key::NotAKey;
pub use convert::plain::{Format, Integer, Number, Plain};
pub use pool::{
    Attempt, Map, OnCore, Pool, PoolError, PoolFuture, PoolOptions, PoolStats, Recording, Scope,
    Slice, SliceKind, TaskError, Timeline, TimelineError, WorkerStats, attempt, cores, leased,
    timeline,
};
pub use runtime::blocking::sleep;
pub use runtime::errors::{CreateError, TooManyThreads};
pub use runtime::interrupt::{Interrupted, check_interrupt};
pub use runtime::own_copy::Unreachable;
pub use sync::barrier::{Barrier, BarrierError, BarrierWaitResult};
pub use sync::condvar::{Condvar, CondvarError, WaitTimeoutResult};
pub use sync::errors::{LockError, OwnerDied};
pub use sync::event::Event;
pub use sync::items::{ItemError, NestedUpdate};
pub use sync::lock::{Lock, LockGuard};
pub use sync::mutex::{Mutex, MutexError, MutexGuard, Poisoned};
pub use sync::reentrant_lock::{ReentrantLock, ReentrantLockGuard};
pub use sync::rwlock::{PoisonedWrite, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use sync::select::{SelectError, Selectable, select};
pub use sync::semaphore::{Permit, Semaphore, SemaphoreError, TooManyPermits};
pub use task::context::{Context, OsState};
pub use task::current::current_task;
pub use task::errors::{JoinError, ResultError, SignalError, StartError};
pub use task::failure::Failure;
pub use task::lifecycle::init;
pub use task::on_start::on_process_start;
pub use task::process::{Process, set_max_depth, set_spares};
pub use task::program::{Output, Program};
pub use task::target::{Diverges, Returned, Returns, Target};
pub use task::thread::Thread;
pub use task::usage::Usage;
pub use task::wait::{ReturnWhen, WaitError, cpu_count, wait};
pub use task::{Task, TaskHandle};
pub use trace::deadlocks::{Holding, Report, Waiting, deadlocks, set_report_after};

pub use tarefa_engine::sync::wait_queue::WaitError as QueueError;
pub use tarefa_engine::task::State;
pub use tarefa_engine::task::cause_of_death::{Cause as LikelyCause, Death as WorkerDied};
pub use tarefa_engine::trace::timeline::{End as SliceEnd, Source as OnCoreSource};
pub use tarefa_macros::{Plain, main, test};

/// What the macros expand to. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::convert::plain::Field;
    pub use crate::task::lifecycle::{JoinAtExit, Watchdog};
}

/// The Rust programs of the project's pages are tests. The folder `docs` beside the manifest is a link
/// to the project's, as README.md is, so that they are in the package as well.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/guia.md")]
    mod guia {}
    #[doc = include_str!("../docs/guide.md")]
    mod guide {}
    #[doc = include_str!("../docs/pools.md")]
    mod pools {}
    #[doc = include_str!("../docs/what-a-process-sees.md")]
    mod what_a_process_sees {}
    #[doc = include_str!("../docs/when-it-hangs.md")]
    mod when_it_hangs {}
}
