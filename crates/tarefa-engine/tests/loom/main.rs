//! Models: the engine's own functions in all interleavings, and with all values that the memory
//! model allows. `README.md` beside this file says what that means, and what it does not.

#![cfg(loom)]
#![allow(missing_docs)]

mod latch;
mod support;
mod weakened;

/// All of them, by name.
const MODELS: &[(&str, fn())] = &[
    ("latch::by_turns", latch::by_turns),
    ("latch::killed_beside_one", latch::killed_beside_one),
    ("latch::killed_beside_two", latch::killed_beside_two),
];
