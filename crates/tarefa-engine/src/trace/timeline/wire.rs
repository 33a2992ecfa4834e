//! The wire format of protocol buffers, as far as it is needed: numbers and what has a length.
//!
//! A field is its number and its form in a varint, then a varint, or a length and so many bytes
//! (<https://protobuf.dev/programming-guides/encoding/>).

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

/// A message, field after field.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3 | VARINT);
        self.varint(value);
    }

    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.varint(u64::from(field) << 3 | LENGTH);
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A message in it.
    pub(super) fn message(&mut self, field: u32, content: impl FnOnce(&mut Self)) {
        self.varint(u64::from(field) << 3 | LENGTH);
        // Most are so short that their length is one byte; else its other bytes come in between.
        let at = self.0.len();
        self.0.push(0);
        content(self);
        let (mut length, mut last) = (self.0.len() - at - 1, at);
        while length >= 0x80 {
            self.0[last] = length as u8 | 0x80;
            length >>= 7;
            last += 1;
            self.0.insert(last, 0);
        }
        self.0[last] = length as u8;
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_the_format_has_them() {
        let mut it = Message::default();
        // The examples of the format's own page.
        it.number(1, 150);
        assert_eq!(it.bytes(), [0x08, 0x96, 0x01]);
        it.clear();
        it.text(2, "testing");
        assert_eq!(it.bytes(), b"\x12\x07testing");
        it.clear();
        it.message(3, |inner| inner.number(1, 150));
        assert_eq!(it.bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn long_messages_have_long_lengths() {
        for length in [0, 1, 120, 126, 127, 128, 16_380, 16_384, 2_100_000] {
            let (mut it, mut beside) = (Message::default(), Message::default());
            let text = "x".repeat(length);
            it.message(1, |inner| inner.message(2, |inner| inner.text(3, &text)));
            beside.text(3, &text);
            for field in [2u64, 1] {
                let raw = beside.bytes().to_vec();
                beside.clear();
                beside.varint(field << 3 | LENGTH);
                beside.varint(raw.len() as u64);
                beside.0.extend(&raw);
            }
            assert_eq!(it.bytes(), beside.bytes(), "{length}");
        }
    }
}
