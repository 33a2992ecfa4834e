//! Changes that happen wholly or not at all: the undo journal, the latch, and the points where tests kill.

#[macro_use]
pub mod crash_point;
pub mod journal;
pub mod latch;
