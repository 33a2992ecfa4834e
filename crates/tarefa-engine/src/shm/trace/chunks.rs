//! Where chunks lie, and what their headers say.

use super::event::{SIZE, WORDS};
use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::Arena;
use crate::shm::arena::layout::{
    TRACE_CHUNK, TraceChunk, trace_at, trace_chunks, trace_chunks_at, trace_headers_at,
};
use crate::shm::arena::offset::Off;

/// Events that fit into a chunk.
pub(super) const EVENTS: u64 = TRACE_CHUNK / SIZE;

/// [`TraceChunk::progress`], taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Events that were dropped.
    pub(super) dropped: u64,
    /// Events that are there.
    pub(super) count: u64,
}

impl Progress {
    pub(super) fn of(chunk: &TraceChunk) -> Self {
        let word = chunk.progress.load(Ordering::Acquire);
        // No word of a broken chunk leads beyond its end.
        Self { dropped: word >> 16, count: (word & 0xffff).min(EVENTS) }
    }

    pub(super) fn word(self) -> u64 {
        self.dropped << 16 | self.count
    }

    /// Events that were ever written.
    pub(super) fn total(self) -> u64 {
        self.dropped + self.count
    }

    /// Once those that are there are dropped, too.
    pub(super) fn emptied(self) -> Self {
        Self { dropped: self.total(), count: 0 }
    }
}

/// How many there are.
pub(super) fn count(arena: &Arena) -> u64 {
    trace_chunks(arena.len())
}

pub(super) fn header(arena: &'static Arena, index: u64) -> &'static TraceChunk {
    let at = trace_headers_at(arena.len()) + index * size_of::<TraceChunk>() as u64;
    arena.at(Off(at))
}

/// Where the chunk lies.
pub(super) fn place(arena: &Arena, index: u64) -> u64 {
    trace_chunks_at(arena.len()) + index * TRACE_CHUNK
}

/// The words of an event in a chunk.
pub(super) fn event(arena: &'static Arena, index: u64, at: u64) -> &'static [AtomicU64] {
    let off = Off(place(arena, index) + at * SIZE);
    arena.words(off, WORDS).unwrap_or_default()
}

/// Where the names and headers lie, and how many bytes they are.
pub(super) fn tables(arena: &Arena) -> (u64, u64) {
    let start = trace_at(arena.len());
    (start, trace_chunks_at(arena.len()) - start)
}
