//! The engine of tarefa: threads and processes with one interface, over shared memory.
//!
//! Language-neutral: everything moves as bytes and offsets. The layers, each of which may use
//! the ones before it: [`os`], [`shm`], [`sync`], [`collections`], [`channel`], [`task`],
//! [`pool`], [`trace`].

#[cfg(not(target_os = "linux"))]
compile_error!("tarefa runs on Linux only so far: its `os` module needs an implementation here");
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("tarefa knows the fork of x86-64 and aarch64 only so far: see os/spawn.rs");

pub mod atomic;
pub mod kinds;
pub mod settings;
pub mod units;

pub mod os;
#[macro_use]
pub mod shm;

pub mod sync;

pub mod collections;

pub mod channel;

pub mod task;

pub mod pool;

pub mod trace;
