//! What a block holds, which says how it is freed.

use crate::kinds::block;

/// A number of [`block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(u8);

impl Kind {
    /// Bytes that refer to nothing.
    pub const RAW: Self = Self::new(block::RAW);

    /// The kind with that number.
    ///
    /// # Panics
    /// When there is no such number.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        assert!(number != 0 && (number as usize) < block::COUNT, "no kind of blocks");
        Self(number)
    }

    /// The kind that a header's `info` names; `None` for a free block.
    #[inline]
    pub(super) fn of(info: u64) -> Option<Self> {
        (info & 0xff != 0).then_some(Self(info as u8))
    }

    /// Its number.
    #[must_use]
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The `info` of a block of that kind and size.
    #[must_use]
    #[inline]
    pub const fn info(self, size: u64) -> u64 {
        size << 8 | self.0 as u64
    }
}
