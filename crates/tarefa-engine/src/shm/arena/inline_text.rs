//! A short text of one writer, read without a latch.

use crate::atomic::{AtomicU64, Ordering};

/// Up to `8 * N` bytes, which one thread writes and others read at any time. A reader that may
/// meet the writer finds out by other means whether the text changed meanwhile; what it reads
/// then is nonsense, and no more than that.
#[repr(C)]
#[derive(Debug)]
pub struct Text<const N: usize> {
    len: AtomicU64,
    words: [AtomicU64; N],
}

impl<const N: usize> Text<N> {
    /// Bytes that fit.
    pub const ROOM: usize = 8 * N;

    /// Replaces it, with as much of `text` as fits. For its only writer.
    pub fn set(&self, text: &[u8]) {
        self.set_in_handler(text);
        crash_point!("inline_text.set");
    }

    /// The same in a handler of a signal.
    // crash: a point takes a lock, which no handler may; `set` has one.
    pub fn set_in_handler(&self, text: &[u8]) {
        let text = &text[..text.len().min(Self::ROOM)];
        self.len.store(0, Ordering::Relaxed);
        for (word, bytes) in self.words.iter().zip(text.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
        self.len.store(text.len() as u64, Ordering::Release);
    }

    /// Empties it.
    pub fn clear(&self) {
        self.len.store(0, Ordering::Release);
        crash_point!("inline_text.cleared");
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> String {
        let len = (self.len.load(Ordering::Acquire) as usize).min(Self::ROOM);
        let words = self.words.iter().take(len.div_ceil(8));
        let mut bytes: Vec<u8> =
            words.flat_map(|w| w.load(Ordering::Relaxed).to_le_bytes()).collect();
        bytes.truncate(len);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Text<2> {
        Text { len: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    #[test]
    fn it_keeps_what_fits() {
        let text = empty();
        assert!(text.is_empty());
        for (set, kept) in
            [("", ""), ("a.py:1", "a.py:1"), ("0123456789abcdefgh", "0123456789abcdef")]
        {
            text.set(set.as_bytes());
            assert_eq!(text.get(), kept);
        }
        text.clear();
        assert_eq!(text.get(), "");
    }

    #[test]
    fn what_is_no_text_is_shown_all_the_same() {
        let text = empty();
        text.set(&[b'a', 0xff, b'b']);
        assert_eq!(text.get(), "a\u{fffd}b");
    }
}
