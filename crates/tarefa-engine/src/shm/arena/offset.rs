//! Positions in the arena.

use std::fmt;

/// A distance in bytes from the arena's start; 0 is "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct Off(pub u64);

impl Off {
    /// No position.
    pub const NONE: Self = Self(0);

    /// Whether this is no position.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The position `bytes` further on.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl fmt::Debug for Off {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{:x}", self.0)
    }
}

/// Types that may lie in the arena.
///
/// # Safety
/// The type is `repr(C)`, made of atomics (so that a shared reference is sound while other
/// processes write), and every bit pattern of it is a value.
pub unsafe trait Shared: Sync + 'static {}

// SAFETY: atomics are valid for every bit pattern.
unsafe impl Shared for crate::atomic::AtomicU64 {}
// SAFETY: atomics are valid for every bit pattern.
unsafe impl Shared for crate::atomic::AtomicU32 {}
// SAFETY: atomics are valid for every bit pattern.
unsafe impl Shared for crate::atomic::AtomicU16 {}
// SAFETY: atomics are valid for every bit pattern.
unsafe impl Shared for crate::atomic::AtomicU8 {}
