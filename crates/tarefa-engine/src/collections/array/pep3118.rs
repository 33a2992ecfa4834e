//! What the items of an array look like, in the notation of PEP 3118 ("Revising the buffer
//! protocol"), which C, Python and NumPy share.
//!
//! | notation | means |
//! |---|---|
//! | `b h i l q n` | signed integers of 1, 2, 4, 8, 8, 8 bytes; capitals are unsigned |
//! | `f d`, `Zf Zd` | floats of 4 and 8 bytes; complex numbers of two of them |
//! | `? c w` | a truth value, a byte of text, a character of 4 bytes |
//! | `4i`, `10s`, `(2,3)i` | several of one sort |
//! | `T{i:x:4xd:y:}` | a structure, with the names of its fields; `x` is a byte of padding |
//! | `<` `=` | what follows has standard sizes and no alignment of its own |
//!
//! The forms of several languages differ in how they write padding and which of `l q n` they
//! prefer. What counts is which scalar lies where: [`layout`].

/// A number, or another thing without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scalar {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    /// Zero is false; anything else is true.
    Bool,
    /// A byte of text.
    Char,
    /// A Unicode scalar value.
    Wide,
    /// Two `f32`.
    Complex32,
    /// Two `f64`.
    Complex64,
}

impl Scalar {
    /// The scalar that a whole format stands for; `None` for structures and the like.
    #[must_use]
    pub fn of(format: &[u8]) -> Option<Self> {
        Some(match format {
            b"b" => Self::I8,
            b"B" => Self::U8,
            b"h" => Self::I16,
            b"H" => Self::U16,
            b"i" => Self::I32,
            b"I" => Self::U32,
            b"l" | b"q" | b"n" => Self::I64,
            b"L" | b"Q" | b"N" => Self::U64,
            b"f" => Self::F32,
            b"d" => Self::F64,
            b"?" => Self::Bool,
            b"c" => Self::Char,
            b"w" => Self::Wide,
            b"Zf" => Self::Complex32,
            b"Zd" => Self::Complex64,
            _ => return None,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn size(self) -> u64 {
        match self {
            Self::I8 | Self::U8 | Self::Bool | Self::Char => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 | Self::Wide => 4,
            Self::I64 | Self::U64 | Self::F64 | Self::Complex32 => 8,
            Self::Complex64 => 16,
        }
    }

    /// The least and the greatest value of an integer; `None` for what is none.
    #[must_use]
    pub fn range(self) -> Option<(i128, i128)> {
        Some(match self {
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
            _ => return None,
        })
    }

    /// The integer of the low bytes of `bits`.
    #[must_use]
    #[inline]
    pub fn integer(self, bits: u64) -> i128 {
        match self {
            Self::I8 => (bits as i8).into(),
            Self::I16 => (bits as i16).into(),
            Self::I32 => (bits as i32).into(),
            Self::I64 => (bits as i64).into(),
            _ => bits.into(),
        }
    }

    /// The integer of the low bytes of `bits`; not for `U64`.
    #[must_use]
    #[inline]
    pub fn small(self, bits: u64) -> i64 {
        match self {
            Self::I8 => (bits as i8).into(),
            Self::U8 => (bits as u8).into(),
            Self::I16 => (bits as i16).into(),
            Self::U16 => (bits as u16).into(),
            Self::I32 => (bits as i32).into(),
            Self::U32 => (bits as u32).into(),
            _ => bits as i64,
        }
    }

    /// For people: "a signed integer of 4 bytes".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::I8 => "a signed integer of 1 byte",
            Self::U8 => "an unsigned integer of 1 byte",
            Self::I16 => "a signed integer of 2 bytes",
            Self::U16 => "an unsigned integer of 2 bytes",
            Self::I32 => "a signed integer of 4 bytes",
            Self::U32 => "an unsigned integer of 4 bytes",
            Self::I64 => "a signed integer of 8 bytes",
            Self::U64 => "an unsigned integer of 8 bytes",
            Self::F32 => "a float of 4 bytes",
            Self::F64 => "a float of 8 bytes",
            Self::Bool => "a truth value",
            Self::Char => "a byte of text",
            Self::Wide => "a character",
            Self::Complex32 => "a complex number of 8 bytes",
            Self::Complex64 => "a complex number of 16 bytes",
        }
    }
}

/// Which scalar lies where in an item, and the item's size. `None` for what this notation has
/// but no scalar here stands for: pointers, bit fields, the other byte order.
#[must_use]
pub fn layout(format: &[u8]) -> Option<(Vec<(u64, Scalar)>, u64)> {
    let mut parser = Parser { text: format, at: 0, native: true, found: Vec::new() };
    let (size, _) = parser.sequence(0, None)?;
    Some((parser.found, size))
}

/// Scalars in one item are a person's type, not a picture.
const MOST: usize = 1 << 16;

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    native: bool,
    found: Vec<(u64, Scalar)>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn number(&mut self) -> Option<u64> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        std::str::from_utf8(&self.text[start..self.at]).ok()?.parse().ok()
    }

    /// Items up to `end`, the first of them at `base`; their size and alignment.
    fn sequence(&mut self, base: u64, end: Option<u8>) -> Option<(u64, u64)> {
        let (mut offset, mut align) = (base, 1);
        loop {
            match self.peek() {
                None if end.is_none() => break,
                Some(b) if Some(b) == end => {
                    self.at += 1;
                    break;
                }
                // The last is: native sizes, but without alignment.
                None | Some(b'^') => return None,
                Some(b'<' | b'=') => {
                    self.native = false;
                    self.at += 1;
                }
                Some(b'@') => {
                    self.native = true;
                    self.at += 1;
                }
                Some(b' ') => self.at += 1,
                Some(b':') => {
                    let name = self.text[self.at + 1..].iter().position(|b| *b == b':')?;
                    self.at += name + 2;
                }
                Some(_) => {
                    let (next, its) = self.item(offset)?;
                    offset = next;
                    align = align.max(its);
                }
            }
        }
        Some((offset.checked_sub(base)?, align))
    }

    /// One item, or several of a sort, at or after `offset`: where the next may lie, and the
    /// alignment.
    fn item(&mut self, offset: u64) -> Option<(u64, u64)> {
        let mut count: u64 = 1;
        if self.peek() == Some(b'(') {
            loop {
                self.at += 1;
                count = count.checked_mul(self.number()?)?;
                match self.peek()? {
                    b',' => {}
                    b')' => break,
                    _ => return None,
                }
            }
            self.at += 1;
        }
        if self.peek().is_some_and(|b| b.is_ascii_digit()) {
            count = count.checked_mul(self.number()?)?;
        }
        while let Some(b'<' | b'=') = self.peek() {
            self.native = false;
            self.at += 1;
        }
        if self.peek() == Some(b'x') {
            self.at += 1;
            return Some((offset.checked_add(count)?, 1));
        }
        let first = self.found.len();
        let (start, size, align) = if self.text[self.at..].starts_with(b"T{") {
            self.at += 2;
            let native = self.native;
            // Aligned as what it holds, which is known afterwards: found at 0, moved then.
            let (size, align) = self.sequence(0, Some(b'}'))?;
            self.native = native;
            let align = if native { align } else { 1 };
            let start = offset.checked_next_multiple_of(align)?;
            for (at, _) in &mut self.found[first..] {
                *at += start;
            }
            (start, size, align)
        } else {
            let scalar = self.scalar()?;
            let align = if self.native { scalar.size().min(8) } else { 1 };
            let start = offset.checked_next_multiple_of(align)?;
            self.found.push((start, scalar));
            (start, scalar.size(), align)
        };
        let one = self.found[first..].to_vec();
        if count == 0 {
            self.found.truncate(first);
        }
        if (one.len() as u64).checked_mul(count)? + first as u64 > MOST as u64 {
            return None;
        }
        for i in 1..count {
            self.found.extend(one.iter().map(|(at, s)| (at + i * size, *s)));
        }
        Some((start.checked_add(size.checked_mul(count)?)?, align))
    }

    fn scalar(&mut self) -> Option<Scalar> {
        let rest = &self.text[self.at..];
        let wide = rest.first()? == &b'Z';
        let code = &rest[..if wide { 2 } else { 1 }.min(rest.len())];
        self.at += code.len();
        let standard = !self.native;
        match code {
            b"s" => Some(Scalar::Char),
            b"l" if standard => Some(Scalar::I32),
            b"L" if standard => Some(Scalar::U32),
            other => Scalar::of(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Scalar::{Char, Complex64, F64, I8, I32, I64};

    #[test]
    fn scalars_are_where_the_notation_says() {
        assert_eq!(layout(b"i"), Some((vec![(0, I32)], 4)));
        assert_eq!(layout(b"q"), layout(b"n"));
        assert_eq!(layout(b"Zd"), Some((vec![(0, Complex64)], 16)));
        assert_eq!(layout(b"(2,2)b"), Some(((0..4).map(|i| (i, I8)).collect(), 4)));
        assert_eq!(layout(b"3s").unwrap().0, [(0, Char), (1, Char), (2, Char)]);
    }

    #[test]
    fn padding_may_be_written_or_meant() {
        let meant = layout(b"T{b:a:d:x:i:n:}");
        assert_eq!(meant, Some((vec![(0, I8), (8, F64), (16, I32)], 20)));
        assert_eq!(layout(b"T{<b:a:7x<d:x:<i:n:}"), meant);
        assert_eq!(layout(b"T{<b:a:<d:x:}").unwrap().0, [(0, I8), (1, F64)]);
        let nested = layout(b"T{b:a:T{b:c:q:d:}:s:}").unwrap();
        assert_eq!(nested, (vec![(0, I8), (8, I8), (16, I64)], 24));
        let several = layout(b"(2)T{<b:a:3x<i:n:}").unwrap();
        assert_eq!(several, (vec![(0, I8), (4, I32), (8, I8), (12, I32)], 16));
    }

    #[test]
    fn what_has_no_scalar_has_no_layout() {
        for bad in
            [&b">i"[..], b"P", b"O", b"T{i:x:", b"(2", b"T{&i:p:}", b"Z", b"(999999999)T{ii}"]
        {
            assert_eq!(layout(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn ranges() {
        for code in [&b"b"[..], b"B", b"h", b"H", b"i", b"I", b"l", b"L", b"q", b"Q"] {
            let scalar = Scalar::of(code).unwrap();
            let (least, greatest) = scalar.range().unwrap();
            let mask = u64::MAX >> (64 - 8 * scalar.size());
            for n in [least, -1, 0, 1, greatest] {
                if n >= least {
                    assert_eq!(scalar.integer(n as u64 & mask), n);
                }
            }
            assert_eq!(greatest - least, i128::from(mask));
        }
    }
}
