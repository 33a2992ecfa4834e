//! One interface for threads and processes.
//!
//! A [`Thread`] becomes a [`Process`] by changing one word: both are made from the same
//! function and the same arguments, have the same methods, and share the same objects.
//!
//! ```
//! use tarefa::{List, Process};
//!
//! fn guarda(minha_lista: List<u32>, quantos: u32) -> Result<(), tarefa::Failure> {
//!     for numero in 0..quantos {
//!         minha_lista.append(numero)?;
//!     }
//!     Ok(())
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let minha_lista = List::new()?;
//! let tarefas = (0..4)
//!     .map(|_| Process::spawn(guarda, (minha_lista.clone(), 1000)))
//!     .collect::<Result<Vec<_>, _>>()?;
//! for tarefa in &tarefas {
//!     tarefa.join(None)?;
//! }
//! assert_eq!(minha_lista.len(), 4000);
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
// A method's path asks for one lifetime of the object's where a closure takes any.
#![allow(clippy::redundant_closure_for_method_calls)]

mod address;
mod array;
mod barrier;
mod cells;
mod codec;
mod condvar;
mod context;
mod current;
mod deadlocks;
mod dict;
mod error;
mod event;
mod exit;
mod failure;
mod group;
mod handle;
mod key;
mod list;
mod lock;
mod mutex;
mod plain;
mod process;
mod program;
mod reentrant_lock;
mod runtime;
mod rwlock;
mod semaphore;
mod sentinel;
mod set;
mod single;
mod surroundings;
mod target;
mod task;
mod thread;
mod usage;
mod value;
mod wait;
mod zygote;

pub use address::{Object, address, attach};
pub use array::{Array, ArrayGuard, Items};
pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use context::{Context, OsState};
pub use current::{check_interrupt, current_task, sleep};
pub use deadlocks::{Holding, Report, Waiting, deadlocks, set_report_after};
pub use dict::Dict;
pub use error::{
    AttachError, BarrierError, CondvarError, CreateError, DictError, EncodeError, ItemError,
    JoinError, LikelyCause, ListError, LockError, MutexError, NotAKey, OwnerDied, QueueError,
    ResultError, SemaphoreError, SignalError, StartError, TooManyPermits, WaitError, WorkerDied,
};
pub use event::Event;
pub use exit::init;
pub use failure::{Failure, Interrupted};
pub use group::Group;
pub use list::{Iter, List};
pub use lock::{Lock, LockGuard};
pub use mutex::{Mutex, MutexGuard, Poisoned};
pub use plain::{Format, Integer, Plain};
pub use process::{Process, set_spares};
pub use program::{Output, Program};
pub use reentrant_lock::{ReentrantLock, ReentrantLockGuard};
pub use rwlock::{PoisonedWrite, RwLock, RwLockReadGuard, RwLockWriteGuard, WriterDied};
pub use semaphore::{Permit, Semaphore};
pub use set::Set;
pub use single::{Value, ValueGuard};
pub use target::Target;
pub use task::{Task, TaskHandle};
pub use thread::Thread;
pub use usage::Usage;
pub use wait::{ReturnWhen, cpu_count, wait};

pub use tarefa_engine::task::State;
pub use tarefa_macros::{Plain, main, test};

/// What the macros expand to. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::exit::{JoinAtExit, Watchdog};
    pub use crate::plain::Field;
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
