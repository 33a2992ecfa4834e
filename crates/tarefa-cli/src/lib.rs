//! The command `tarefa`, as a library that its binary calls.
//!
//! Four rooms, each of which may name those before it: [`terminal`] (language, letters, width, tables),
//! [`look`] (what a running program does), [`act`] (what the command does itself) and [`command`] (the
//! arguments, and who answers to which).
//!
//! Nothing here is unsafe, and nothing here joins a program: what is looked at is mapped for reading
//! only ([`tarefa_engine::trace::observe`]). The tour alone is a program that uses tarefa.
#![forbid(unsafe_code)]

pub mod act;
pub mod command;
pub mod look;
pub mod terminal;

pub use command::main;
