//! Pools: one suite over both kinds, what only one of them has, and the example.
#![allow(missing_docs)]
// Suites with one way to write a test; a task that calls `exit` is what is tested.
#![allow(clippy::unnecessary_wraps, clippy::disallowed_methods)]

mod budget;
mod conformance;
mod deaths;
mod example;
mod pinned;
mod scope;
mod stats;
mod timeline;
