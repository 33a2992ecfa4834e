//! Tuples of what cannot change, as bytes: words and texts one after the other, the same for every
//! language.
//!
//! | eight bytes | say |
//! |---|---|
//! | a word without a blob | what it says in a container |
//! | `n << 3 \| 1` | a text; so many bytes of UTF-8 follow |
//! | `n << 3 \| 2` | bytes; so many follow |
//! | `n << 3 \| 3` | a tuple; so many items follow |
//! | `n << 3 \| 4` | an integer; so many bytes of two's complement follow, little-endian |
//!
//! Such bytes have an order: see [`compare`].

use std::cmp::Ordering;

use super::value::{self, Small};

/// Tuples in one another, at most.
pub const DEPTH: usize = 8;

const STR: u64 = 1;
const BYTES: u64 = 2;
const TUPLE: u64 = 3;
const INT: u64 = 4;

/// One item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part<'a> {
    /// A word without a blob.
    Word(u64),
    /// UTF-8.
    Str(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An integer as little-endian two's complement.
    Int(&'a [u8]),
    /// A tuple of so many items, which follow.
    Tuple(usize),
}

/// Adds an item.
pub fn put(out: &mut Vec<u8>, part: Part<'_>) {
    let mut mark = |kind: u64, count: usize, bytes: &[u8]| {
        out.extend_from_slice(&((count as u64) << 3 | kind).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match part {
        Part::Str(bytes) => mark(STR, bytes.len(), bytes),
        Part::Bytes(bytes) => mark(BYTES, bytes.len(), bytes),
        Part::Int(bytes) => mark(INT, bytes.len(), bytes),
        Part::Tuple(count) => mark(TUPLE, count, &[]),
        Part::Word(word) => out.extend_from_slice(&word.to_le_bytes()),
    }
}

/// Takes the next item; `None` where there is none, or what is there is broken.
#[must_use]
pub fn take<'a>(bytes: &mut &'a [u8]) -> Option<Part<'a>> {
    let (word, rest) = bytes.split_at_checked(8)?;
    let word = u64::from_le_bytes(word.try_into().ok()?);
    *bytes = rest;
    if word != 0 && value::blob_of(word).is_none() {
        return Some(Part::Word(word));
    }
    let count = usize::try_from(word >> 3).ok()?;
    if word & 7 == TUPLE {
        return (count <= rest.len() / 8).then_some(Part::Tuple(count));
    }
    let (these, rest) = rest.split_at_checked(count)?;
    *bytes = rest;
    match word & 7 {
        STR => Some(Part::Str(these)),
        BYTES => Some(Part::Bytes(these)),
        INT => Some(Part::Int(these)),
        _ => None,
    }
}

/// A number, as far as it is compared.
#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            // A NaN is after all others: were it equal to each, these would have no order.
            (Self::Float(a), Self::Float(b)) => {
                a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }
            (Self::Int(a), Self::Float(b)) => int_with_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_with_float(b, a).reverse(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it has no fraction, and is in the range")]
fn int_with_float(int: i128, float: f64) -> Ordering {
    if float.is_nan() {
        return Ordering::Less;
    }
    let most = 2.0_f64.powi(127);
    if float >= most {
        return Ordering::Less;
    }
    if float < -most {
        return Ordering::Greater;
    }
    let whole = float.floor();
    int.cmp(&(whole as i128)).then(if whole < float { Ordering::Less } else { Ordering::Equal })
}

/// An integer of at most 16 bytes of two's complement.
fn int_of(bytes: &[u8]) -> i128 {
    let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [fill; 16];
    let len = bytes.len().min(16);
    whole[..len].copy_from_slice(&bytes[..len]);
    i128::from_le_bytes(whole)
}

impl Part<'_> {
    fn number(self) -> Option<Number> {
        match self {
            Self::Int(bytes) => Some(Number::Int(int_of(bytes))),
            Self::Word(word) => match value::small(word) {
                Small::Int(n) => Some(Number::Int(n.into())),
                Small::Bool(b) => Some(Number::Int(b.into())),
                Small::Float(x) => Some(Number::Float(x)),
                Small::None => None,
            },
            _ => None,
        }
    }

    /// Where the sort of item stands among others.
    fn rank(self) -> u8 {
        match self {
            Self::Word(_) | Self::Int(_) if self.number().is_some() => 1,
            Self::Word(_) | Self::Int(_) => 0,
            Self::Str(_) => 2,
            Self::Bytes(_) => 3,
            Self::Tuple(_) => 4,
        }
    }
}

/// Compares two items as Python does: numbers by value, texts by code points, tuples item by item. What
/// Python does not compare has an order of its own: `None`, numbers, NaNs, texts, bytes, tuples.
#[must_use]
pub fn compare(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    compare_to(a, b, DEPTH + 1)
}

fn compare_to(a: &mut &[u8], b: &mut &[u8], depth: usize) -> Ordering {
    let (Some(first), Some(second)) = (take(a), take(b)) else { return a.len().cmp(&b.len()) };
    if let (Some(first), Some(second)) = (first.number(), second.number()) {
        return first.compare(second);
    }
    match (first, second) {
        (Part::Str(first), Part::Str(second)) | (Part::Bytes(first), Part::Bytes(second)) => {
            first.cmp(second)
        }
        (Part::Tuple(first), Part::Tuple(second)) if depth > 0 => {
            for _ in 0..first.min(second) {
                let order = compare_to(a, b, depth - 1);
                if order != Ordering::Equal {
                    return order;
                }
            }
            first.cmp(&second)
        }
        _ => first.rank().cmp(&second.rank()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(parts: &[Part<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            put(&mut out, *part);
        }
        out
    }

    fn order(a: &[Part<'_>], b: &[Part<'_>]) -> Ordering {
        compare(&mut &bytes(a)[..], &mut &bytes(b)[..])
    }

    fn int(n: i64) -> Part<'static> {
        Part::Word(value::int_word(n).unwrap())
    }

    fn float(x: f64) -> Part<'static> {
        Part::Word(value::float_word(x).unwrap())
    }

    #[test]
    fn what_is_put_is_taken() {
        let parts = [Part::Tuple(4), int(-5), Part::Str(b"ab"), Part::Bytes(b""), Part::Int(b"x")];
        let all = bytes(&parts);
        let mut rest = &all[..];
        for part in parts {
            assert_eq!(take(&mut rest), Some(part));
        }
        assert_eq!((take(&mut rest), rest.len()), (None, 0));
        assert_eq!(take(&mut &bytes(&[Part::Tuple(3)])[..]), None);
        assert_eq!(take(&mut &[9; 7][..]), None);
    }

    #[test]
    fn the_order() {
        use Ordering::{Equal, Greater, Less};
        let large = 5_000_000_000_000_000_000_i64.to_le_bytes();
        let rows: &[(&[Part<'_>], &[Part<'_>], Ordering)] = &[
            (&[int(2)], &[int(10)], Less),
            (&[int(2)], &[float(2.0)], Equal),
            (&[int(2)], &[float(2.5)], Less),
            (&[int(-2)], &[float(-2.5)], Greater),
            (&[float(f64::INFINITY)], &[Part::Int(&large)], Greater),
            (&[Part::Int(&large)], &[float(4.9e18)], Greater),
            (&[Part::Int(&[0xff])], &[int(-1)], Equal),
            (&[Part::Word(value::bool_word(true))], &[int(1)], Equal),
            (&[Part::Str("é".as_bytes())], &[Part::Str(b"z")], Greater),
            (&[Part::Str(b"a")], &[Part::Bytes(b"a")], Less),
            (&[Part::Tuple(2), int(1), int(5)], &[Part::Tuple(2), int(1), int(4)], Greater),
            (&[Part::Tuple(1), int(1)], &[Part::Tuple(2), int(1), int(4)], Less),
            (&[Part::Tuple(1), int(2)], &[Part::Tuple(2), int(1), int(4)], Greater),
        ];
        for (a, b, wanted) in rows {
            assert_eq!((order(a, b), order(b, a)), (*wanted, wanted.reverse()), "{a:?} {b:?}");
        }
    }
}
