//! A time during which a thread was on a core.

use super::super::data::OnCore;

/// A thread, by its process's number and its own.
pub(in super::super) type Who = (i32, i32);

/// A span of a thread on a core; its row is put in later.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Span {
    pub(in super::super) who: Who,
    pub(in super::super) on: OnCore,
}

pub(super) fn span(who: Who, cpu: u32, start_ns: u64, end_ns: u64) -> Span {
    Span { who, on: OnCore { row: 0, cpu, start_ns, end_ns } }
}
