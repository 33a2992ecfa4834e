//! Elements of containers as 64-bit words, the same for every language.
//!
//! A word holds a float, a small integer, `None`, a boolean, or the offset of a blob, so one
//! store changes an element. After the NaN-boxing of JavaScript engines (A. Gudeman,
//! "Representing Type Information in Dynamically Typed Languages", 1993), with all bits of a
//! float inverted so that 0, what fresh memory holds, is "nothing here":
//!
//! | word | means |
//! |---|---|
//! | 0 | nothing |
//! | below 2^49, a multiple of 16 | offset of a blob |
//! | 2^49 + n | `None` (n = 0), `False` (1), `True` (2) |
//! | 2^50 + n | the integer n - 2^49, of 50 bits |
//! | from 2^51 on | the float whose bits are the word's, inverted |

use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::heap::OutOfMemory;
use crate::shm::object::blob;

const SPECIAL: u64 = 1 << 49;
const INT: u64 = 1 << 50;
const FLOAT: u64 = 1 << 51;
const INT_HALF: i64 = 1 << 49;

/// How a blob's bytes are read.
pub mod tag {
    /// An integer that the word has no room for: little-endian two's complement.
    pub const INT: u8 = 1;
    /// The eight bytes of a float that a word cannot hold (a NaN with a payload).
    pub const FLOAT: u8 = 2;
    /// UTF-8.
    pub const STR: u8 = 3;
    /// Bytes.
    pub const BYTES: u8 = 4;
    /// One object, by reference: its kind and id, eight bytes each.
    pub const OBJECT: u8 = 5;
    /// A key that has a canonical form beside its own: see `collections::dict::key`.
    pub const KEY: u8 = 6;
    /// A tuple of what cannot change: see `collections::flat`.
    pub const TUPLE: u8 = 7;
    /// A message with a key in front, by which a queue orders it: see `channel::keyed`.
    pub const KEYED: u8 = 8;
    /// Bytes that went through a pipe as such: not an object, which `BYTES` would be.
    pub const RAW: u8 = 9;
    /// The first tag for encodings of the fronts' own (pickle, postcard).
    pub const FRONT: u8 = 16;
}

/// A word that needs no blob.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Small {
    /// Nothing of note.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
}

/// `None` as a word.
pub const NONE: u64 = SPECIAL;

/// A boolean as a word.
#[must_use]
pub fn bool_word(b: bool) -> u64 {
    SPECIAL + 1 + u64::from(b)
}

/// An integer as a word, if it has 50 bits at most.
#[must_use]
#[inline]
pub fn int_word(n: i64) -> Option<u64> {
    (-INT_HALF..INT_HALF).contains(&n).then(|| INT + (n + INT_HALF) as u64)
}

/// A float as a word; not for NaNs other than the usual one.
#[must_use]
#[inline]
pub fn float_word(x: f64) -> Option<u64> {
    let word = !x.to_bits();
    (word >= FLOAT).then_some(word)
}

/// Where a word's blob is; `None` for words without one.
#[must_use]
#[inline]
pub fn blob_of(word: u64) -> Option<Off> {
    (word != 0 && word < SPECIAL).then_some(Off(word))
}

/// What a word without a blob means.
#[must_use]
#[inline]
pub fn small(word: u64) -> Small {
    if word >= FLOAT {
        return Small::Float(f64::from_bits(!word));
    }
    if word >= INT {
        return Small::Int((word - INT) as i64 - INT_HALF);
    }
    match word.wrapping_sub(SPECIAL) {
        1 => Small::Bool(false),
        2 => Small::Bool(true),
        _ => Small::None,
    }
}

/// The word of that meaning, if there is one.
#[must_use]
pub fn word_of(meaning: Small) -> Option<u64> {
    match meaning {
        Small::None => Some(NONE),
        Small::Bool(b) => Some(bool_word(b)),
        Small::Int(n) => int_word(n),
        Small::Float(x) => float_word(x),
    }
}

/// Something to be stored.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A word without a blob.
    Word(u64),
    /// Bytes, how to read them, and the objects they mention.
    Blob(u8, &'a [u8], &'a [Off]),
    /// The same with bytes that lie in several places, in their order.
    Parts(u8, &'a [&'a [u8]], &'a [Off]),
}

impl Item<'_> {
    /// About how many bytes its blob takes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        let (bytes, mentioned) = match self {
            Self::Word(_) => return 0,
            Self::Blob(_, bytes, mentioned) => (bytes.len(), mentioned.len()),
            Self::Parts(_, parts, mentioned) => {
                (parts.iter().map(|part| part.len()).sum(), mentioned.len())
            }
        };
        heap::HEADER + bytes as u64 + 8 * mentioned as u64
    }
}

/// The word for `item`; its blob, if it needs one, hangs on the thread's chain.
///
/// # Errors
/// [`OutOfMemory`].
pub fn store(me: &Member, item: Item<'_>) -> Result<u64, OutOfMemory> {
    Ok(match item {
        Item::Word(word) => word,
        Item::Blob(tag, bytes, references) => blob::create(me, tag, &[bytes], references)?.0,
        Item::Parts(tag, parts, references) => blob::create(me, tag, parts, references)?.0,
    })
}

/// What was read from a container.
#[derive(Debug)]
pub enum Fetched {
    /// A word without a blob.
    Word(u64),
    /// A copy of a blob.
    Blob(Copied),
}

/// A copy of a blob; the objects it mentions are held until it is dropped.
#[derive(Debug)]
pub struct Copied {
    /// How to read the bytes.
    pub tag: u8,
    /// The content.
    pub bytes: Vec<u8>,
    held: blob::HeldBlob,
}

impl Copied {
    /// The first object mentioned.
    #[must_use]
    pub fn object(&self) -> Option<Off> {
        self.held.first()
    }
}

/// Copies what `word` stands for. Its blob, if any, must not be freed meanwhile.
///
/// # Errors
/// [`OutOfMemory`] when the objects mentioned cannot be held.
pub fn fetch(me: &Member, word: u64) -> Result<Fetched, OutOfMemory> {
    let Some(at) = blob_of(word) else { return Ok(Fetched::Word(word)) };
    let held = blob::hold(me, at)?;
    Ok(Fetched::Blob(Copied { tag: blob::tag(me, at), bytes: blob::read(me, at), held }))
}

/// The same for what is about to be taken out: room for a hold of what it mentions is found whatever
/// is full.
///
/// # Errors
/// [`OutOfMemory`], where the system has no memory either.
pub fn fetch_last(me: &Member, word: u64) -> Result<Fetched, OutOfMemory> {
    heap::whatever_is_full(|| fetch(me, word))
}

/// What a value must still be for a change to be made.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// There is none.
    Absent,
    /// It is that word.
    Word(u64),
    /// It is a blob of these bytes.
    Blob(u8, &'a [u8]),
}

impl<'a> Expected<'a> {
    /// What was read before.
    #[must_use]
    pub fn of(read: Option<&'a Fetched>) -> Self {
        match read {
            None => Self::Absent,
            Some(Fetched::Word(word)) => Self::Word(*word),
            Some(Fetched::Blob(Copied { tag, bytes, .. })) => Self::Blob(*tag, bytes),
        }
    }

    /// Whether the element of that word, which must not be freed meanwhile, is that.
    #[must_use]
    pub fn is(&self, me: &Member, word: u64) -> bool {
        match (blob_of(word), self) {
            (None, Self::Word(expected)) => *expected == word,
            (Some(at), Self::Blob(tag, bytes)) => {
                blob::read_optimistic(me, at).is_some_and(|seen| {
                    seen.tag == *tag && seen.len() == bytes.len() as u64 && seen.matches(0, bytes)
                })
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_keep_their_value(n: i64) {
            if let Some(word) = int_word(n) {
                prop_assert_eq!(small(word), Small::Int(n));
                prop_assert!(blob_of(word).is_none() && word != 0);
            } else {
                prop_assert!(!(-(1i64 << 49)..1 << 49).contains(&n));
            }
        }

        #[test]
        fn floats_keep_their_bits(bits: u64) {
            let x = f64::from_bits(bits);
            if let Some(word) = float_word(x) {
                let Small::Float(back) = small(word) else { panic!("not a float") };
                prop_assert_eq!(back.to_bits(), bits);
                prop_assert!(blob_of(word).is_none() && word != 0);
            } else {
                prop_assert!(x.is_nan());
            }
        }
    }

    #[test]
    fn the_edges() {
        for x in [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN, f64::MIN_POSITIVE] {
            let Small::Float(back) = small(float_word(x).unwrap()) else { panic!() };
            assert_eq!(back.to_bits(), x.to_bits());
        }
        assert_eq!(small(NONE), Small::None);
        assert_eq!(small(bool_word(true)), Small::Bool(true));
        assert_eq!(small(bool_word(false)), Small::Bool(false));
        assert!(float_word(f64::NAN).is_some());
    }
}
