//! Keys: what is compared, the same in all languages.
//!
//! A key is stored as it was given, and compared and hashed by its *canonical form*:
//!
//! | given | canonical form |
//! |---|---|
//! | integer, boolean, float without a fraction (-0.0 too) | the integer: a word, or bytes of [`tag::INT`] |
//! | other float, infinity | its word |
//! | `None` | its word |
//! | string | its UTF-8, [`tag::STR`] |
//! | bytes | themselves, [`tag::BYTES`] |
//! | anything else | what its front says: one of the above, or bytes of [`tag::KEY`] (see [`super::wire`]) |
//!
//! So `1`, `1.0` and `true` are one key. A NaN equals nothing, itself included, and is refused.
//!
//! A key whose canonical form is not its own is a blob of [`tag::KEY`]: the canonical form's tag
//! (0 for a word) and its length in bytes, shifted left by 8, as one little-endian word; the
//! canonical bytes; then the tag of the key as it was given, and its bytes.
//!
//! Hashes: bytes by rapidhash V3 (N. De Carli, after wyhash by Wang Yi), words by two folded
//! multiplications as wyhash mixes them; both seeded with the runtime's number. They are kept
//! with the entries, so all members of a runtime must agree on them.

use std::borrow::Cow;
use std::sync::OnceLock;

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use crate::atomic::Ordering;
use crate::collections::value::{self, Copied, Item, Small, tag};
use crate::shm::Member;
use crate::shm::heap::OutOfMemory;
use crate::shm::object::blob;

/// Why something cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It equals nothing.
    #[error("a NaN equals nothing, itself included, so it could never be found again")]
    NotANumber,
    /// Only its language knows what it equals.
    #[error("a value of tag {0} has no canonical form")]
    NoForm(u8),
}

/// What a key is compared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Canonical<'a> {
    /// A word without a blob.
    Word(u64),
    /// Bytes, and what they are.
    Bytes(u8, Cow<'a, [u8]>),
}

/// A key that may be put into a dict.
#[derive(Clone, Debug)]
pub struct Key<'a> {
    canonical: Canonical<'a>,
    /// What was given, where that is not the canonical form.
    given: Option<Item<'a>>,
}

const WORD: u8 = 0;

fn whole(x: f64) -> Option<Canonical<'static>> {
    const MANTISSA: u32 = 52;
    if !x.is_finite() || x.fract() != 0.0 {
        return None;
    }
    if let Some(word) = (x.abs() < 9e15).then(|| value::int_word(x as i64)).flatten() {
        return Some(Canonical::Word(word));
    }
    // From 2^49 on: mantissa times a power of two, as two's complement.
    let bits = x.to_bits();
    let exponent = (bits >> MANTISSA & 0x7ff) as u32 - 1023;
    let mantissa = u128::from(bits & ((1 << MANTISSA) - 1) | 1 << MANTISSA);
    let (mut bytes, shifted) = if exponent < MANTISSA {
        (Vec::new(), mantissa >> (MANTISSA - exponent))
    } else {
        let by = exponent - MANTISSA;
        (vec![0; by as usize / 8], mantissa << (by % 8))
    };
    bytes.extend(shifted.to_le_bytes());
    if x < 0.0 {
        let mut carry = true;
        for byte in &mut bytes {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    bytes.truncate(shortest(&bytes));
    Some(Canonical::Bytes(tag::INT, Cow::Owned(bytes)))
}

/// How many of an integer's bytes are needed.
fn shortest(bytes: &[u8]) -> usize {
    let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut len = bytes.len();
    while len > 1 && bytes[len - 1] == fill && (bytes[len - 2] ^ fill) & 0x80 == 0 {
        len -= 1;
    }
    len
}

impl<'a> Canonical<'a> {
    /// The canonical form of a word without a blob.
    ///
    /// # Errors
    /// [`KeyError::NotANumber`].
    #[inline]
    pub fn of_word(word: u64) -> Result<Self, KeyError> {
        Ok(match value::small(word) {
            Small::Float(x) if x.is_nan() => return Err(KeyError::NotANumber),
            Small::Float(x) => whole(x).unwrap_or(Self::Word(word)),
            Small::Bool(b) => Self::Word(value::int_word(i64::from(b)).unwrap_or(word)),
            Small::Int(_) | Small::None => Self::Word(word),
        })
    }

    /// The canonical form of an integer as little-endian two's complement.
    #[must_use]
    pub fn of_int(bytes: &'a [u8]) -> Self {
        let bytes = &bytes[..shortest(bytes)];
        if bytes.len() <= 8 {
            let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
            let mut all = [fill; 8];
            all[..bytes.len()].copy_from_slice(bytes);
            if let Some(word) = value::int_word(i64::from_le_bytes(all)) {
                return Self::Word(word);
            }
        }
        Self::Bytes(tag::INT, Cow::Borrowed(bytes))
    }

    /// The canonical form of something of the engine's own.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of(item: Item<'a>) -> Result<Self, KeyError> {
        match item {
            Item::Word(word) => Self::of_word(word),
            Item::Blob(tag::INT, bytes, _) => Ok(Self::of_int(bytes)),
            Item::Blob(how @ (tag::STR | tag::BYTES), bytes, _) => {
                Ok(Self::Bytes(how, Cow::Borrowed(bytes)))
            }
            // Floats that are no word are NaNs.
            Item::Blob(tag::FLOAT, ..) => Err(KeyError::NotANumber),
            Item::Blob(how, ..) | Item::Parts(how, ..) => Err(KeyError::NoForm(how)),
        }
    }

    /// The same, with bytes of its own.
    #[must_use]
    pub fn into_static(self) -> Canonical<'static> {
        match self {
            Self::Word(word) => Canonical::Word(word),
            Self::Bytes(how, bytes) => Canonical::Bytes(how, Cow::Owned(bytes.into_owned())),
        }
    }

    #[inline]
    pub(super) fn hash(&self, me: &Member) -> u64 {
        let seed = me.header().runtime_id.load(Ordering::Relaxed);
        match self {
            Self::Word(word) => {
                fold(fold(word ^ seed, 0x2d35_8dcc_aa6c_78a5) ^ seed, 0x8bb8_4b93_962e_acc9)
            }
            Self::Bytes(how, bytes) => {
                let hash = with_secrets(seed, |secrets| rapidhash_v3_seeded(bytes, secrets));
                hash ^ u64::from(*how).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            }
        }
    }

    /// Whether the stored key of that word has this form. May be asked of what was just freed.
    #[inline]
    pub(super) fn is_of(&self, me: &Member, stored: u64) -> bool {
        let Some(off) = value::blob_of(stored) else {
            return match self {
                Self::Word(word) if *word == stored => true,
                _ => Self::of_word(stored).as_ref() == Ok(self),
            };
        };
        let Some(seen) = blob::read_optimistic(me, off) else { return false };
        if seen.tag == tag::KEY {
            let Some(head) = seen.word(0) else { return false };
            let (how, len) = (head as u8, head >> 8);
            return match self {
                Self::Word(word) => how == WORD && len == 8 && seen.word(8) == Some(*word),
                Self::Bytes(mine, bytes) => {
                    how == *mine && len == bytes.len() as u64 && seen.matches(8, bytes)
                }
            };
        }
        match self {
            Self::Word(_) => false,
            Self::Bytes(how, bytes) => {
                seen.tag == *how && seen.len() == bytes.len() as u64 && seen.matches(0, bytes)
            }
        }
    }
}

/// Multiplies, and folds the upper half of the product into the lower.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

fn with_secrets<T>(seed: u64, run: impl FnOnce(&RapidSecrets) -> T) -> T {
    /// Those of the first runtime this process uses, which is nearly always the only one.
    static KNOWN: OnceLock<(u64, RapidSecrets)> = OnceLock::new();
    let (of, secrets) = KNOWN.get_or_init(|| (seed, RapidSecrets::seed(seed)));
    if *of == seed { run(secrets) } else { run(&RapidSecrets::seed(seed)) }
}

impl<'a> Key<'a> {
    /// A key of the engine's own sorts: a word, an integer, a string, bytes.
    ///
    /// # Errors
    /// [`KeyError`].
    #[inline]
    pub fn plain(item: Item<'a>) -> Result<Self, KeyError> {
        let canonical = Canonical::of(item)?;
        // A word stays as it was given: 1.0, true.
        let given = matches!(item, Item::Word(_)).then_some(item);
        Ok(Self { canonical, given })
    }

    /// A key that is its canonical form.
    #[must_use]
    pub fn of_form(canonical: Canonical<'a>) -> Self {
        Self { canonical, given: None }
    }

    /// A key of a front's: what it is compared by, and what it is.
    #[must_use]
    pub fn with_form(canonical: Canonical<'a>, given: Item<'a>) -> Self {
        Self { canonical, given: Some(given) }
    }

    /// What it is compared by.
    #[must_use]
    pub fn canonical(&self) -> &Canonical<'a> {
        &self.canonical
    }

    /// Its word; its blob, if it needs one, hangs on the thread's chain.
    pub(super) fn make(&self, me: &Member) -> Result<u64, OutOfMemory> {
        let word;
        let (how, form): (u8, &[u8]) = match &self.canonical {
            Canonical::Word(w) => {
                word = w.to_le_bytes();
                (WORD, &word)
            }
            Canonical::Bytes(how, form) => (*how, form),
        };
        let one;
        let (given, bytes, references): (_, &[&[u8]], _) = match (self.given, &self.canonical) {
            (Some(Item::Word(word)), _) => return Ok(word),
            (None, Canonical::Word(word)) => return Ok(*word),
            (None, _) => return Ok(blob::create(me, how, &[form], &[])?.0),
            (Some(Item::Blob(given, bytes, references)), _) => {
                one = [bytes];
                (given, &one, references)
            }
            (Some(Item::Parts(given, parts, references)), _) => (given, parts, references),
        };
        let head = (form.len() as u64) << 8 | u64::from(how);
        let (head, given) = (head.to_le_bytes(), [given]);
        let mut parts = vec![&head[..], form, &given[..]];
        parts.extend(bytes);
        Ok(blob::create(me, tag::KEY, &parts, references)?.0)
    }
}

/// The tag and the bytes of the key that was given, in a copy of a key.
#[must_use]
pub fn given(copied: &Copied) -> (u8, &[u8]) {
    if copied.tag != tag::KEY {
        return (copied.tag, &copied.bytes);
    }
    let head = copied.bytes.first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
    let rest = usize::try_from(head >> 8).ok().and_then(|len| copied.bytes.get(len + 8..));
    rest.and_then(<[u8]>::split_first).map_or((tag::KEY, &[]), |(how, bytes)| (*how, bytes))
}

#[cfg(test)]
#[allow(clippy::cast_precision_loss)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_float(x: f64) -> Canonical<'static> {
        Canonical::of_word(value::float_word(x).unwrap()).unwrap()
    }

    fn of_int(n: i128) -> Canonical<'static> {
        match Canonical::of_int(&n.to_le_bytes()) {
            Canonical::Word(word) => Canonical::Word(word),
            Canonical::Bytes(how, bytes) => Canonical::Bytes(how, Cow::Owned(bytes.into_owned())),
        }
    }

    proptest! {
        #[test]
        fn whole_floats_are_their_integers(n in -(1i128 << 120)..1i128 << 120, shift in 0u32..120) {
            let x = (n >> shift) as f64;
            prop_assert_eq!(of_float(x), of_int(x as i128));
        }

        #[test]
        fn integers_of_any_width_are_one_key(n: i64, zeros in 0usize..9) {
            let mut bytes = n.to_le_bytes().to_vec();
            bytes.extend(vec![if n < 0 { 0xff } else { 0 }; zeros]);
            prop_assert_eq!(Canonical::of_int(&bytes), of_int(i128::from(n)));
            if let Some(word) = value::int_word(n) {
                prop_assert_eq!(Canonical::of_int(&bytes), Canonical::Word(word));
            }
        }

        #[test]
        fn floats_with_a_fraction_are_themselves(x: f64) {
            prop_assume!(x.is_finite() && x.fract() != 0.0);
            prop_assert_eq!(of_float(x), Canonical::Word(value::float_word(x).unwrap()));
        }
    }

    #[test]
    fn the_edges() {
        let half = 1i64 << 49;
        for n in [0, 1, -1, half - 1, -half, half, -half - 1, 1 << 53, i64::MAX - 1023] {
            assert_eq!(of_float(n as f64), of_int(i128::from(n as f64 as i64)), "{n}");
        }
        assert_eq!(of_float(-0.0), of_float(0.0));
        for b in [false, true] {
            let word = Canonical::of_word(value::bool_word(b)).unwrap();
            assert_eq!(word, of_int(i128::from(b)));
        }
        assert_eq!(of_float(f64::MAX), of_float(f64::MAX));
        assert_ne!(of_float(f64::MAX), of_float(-f64::MAX));
        assert_ne!(of_float(f64::INFINITY), of_float(f64::NEG_INFINITY));
        let nan = Canonical::of_word(value::float_word(f64::NAN).unwrap());
        assert_eq!(nan, Err(KeyError::NotANumber));
    }
}
