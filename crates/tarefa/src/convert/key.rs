//! Keys of dicts and sets: what a value is compared by, the same as in other languages.
//!
//! Numbers, strings, bytes and `None` are the engine's own: `1`, `1.0` and `true` are one key. A
//! tuple or a sequence is compared member by member, as Python compares tuples; its form is that
//! of the Python front (`t`, then of each member the tag of its form, its length as eight
//! little-endian bytes, its bytes), so either language finds what the other put in. Any other
//! serde type is compared by its postcard bytes (`p`, then the bytes), which no other language
//! has.

use std::any::TypeId;
use std::borrow::Cow;

use serde::ser::{self, Impossible, Serialize};
use tarefa_engine::collections::dict::{Canonical, Key, KeyError, key};
use tarefa_engine::collections::value::NONE;
use tarefa_engine::collections::value::{Fetched, Item, bool_word, float_word, int_word, tag};
use tarefa_engine::shm::Runtime;

use crate::convert::codec;
use crate::convert::codec::POSTCARD;
use crate::convert::element;
use crate::error::{DecodeError, EncodeError, NotAKey};
use crate::runtime::handle;

/// A key, ready for the engine.
#[derive(Debug)]
pub(crate) struct Form {
    canonical: Canonical<'static>,
    given: Given,
}

/// What is stored.
#[derive(Debug)]
enum Given {
    /// The canonical form.
    Form,
    /// A word.
    Word(u64),
    /// The bytes of postcard.
    Postcard(Vec<u8>),
}

impl Form {
    /// Of a key, where the dict's keys are of type `K`.
    pub(crate) fn of<K: 'static, Q: Serialize + ?Sized>(key: &Q) -> Result<Self, NotAKey> {
        let bytes = TypeId::of::<K>() == TypeId::of::<Vec<u8>>();
        let made = key.serialize(Former { bytes, optional: false })?;
        let (canonical, given) = match made {
            Made::Word(word) => (Canonical::of_word(word)?, Given::Word(word)),
            Made::Bytes(how, bytes) => (bytes_of(how, bytes), Given::Form),
            Made::Sequence(bytes) => {
                (bytes_of(tag::KEY, bytes), Given::Postcard(codec::encode(key)?.bytes))
            }
            Made::Other => {
                let bytes = codec::encode(key)?.bytes;
                let form = [b"p", bytes.as_slice()].concat();
                (bytes_of(tag::KEY, form), Given::Postcard(bytes))
            }
        };
        Ok(Self { canonical, given })
    }

    /// To be found.
    pub(crate) fn canonical(&self) -> &Canonical<'static> {
        &self.canonical
    }

    /// To be stored.
    pub(crate) fn key(&self) -> Key<'_> {
        let canonical = self.canonical.clone();
        match &self.given {
            Given::Form => Key::of_form(canonical),
            Given::Word(word) => Key::with_form(canonical, Item::Word(*word)),
            Given::Postcard(bytes) => Key::with_form(canonical, Item::Blob(POSTCARD, bytes, &[])),
        }
    }
}

/// The key that was given, from what a dict has.
pub(crate) fn load<K: serde::de::DeserializeOwned>(
    runtime: &'static Runtime,
    stored: Fetched,
) -> Result<K, DecodeError> {
    let stored = match stored {
        Fetched::Blob(mut copied) if copied.tag == tag::KEY => {
            let (how, bytes) = key::given(&copied);
            (copied.tag, copied.bytes) = (how, bytes.to_vec());
            Fetched::Blob(copied)
        }
        other => other,
    };
    element::load(runtime, stored)
}

fn bytes_of(how: u8, bytes: Vec<u8>) -> Canonical<'static> {
    if how != tag::INT {
        return Canonical::Bytes(how, Cow::Owned(bytes));
    }
    match Canonical::of_int(&bytes) {
        Canonical::Word(word) => Canonical::Word(word),
        Canonical::Bytes(how, bytes) => Canonical::Bytes(how, Cow::Owned(bytes.into_owned())),
    }
}

/// What a value is, as a key.
enum Made {
    Word(u64),
    Bytes(u8, Vec<u8>),
    /// The form of a sequence.
    Sequence(Vec<u8>),
    /// Compared by its postcard bytes.
    Other,
}

/// A member of a sequence, at the end of `out`.
fn put(out: &mut Vec<u8>, made: Made) -> Result<(), NotAKey> {
    let form = match made {
        Made::Word(word) => Canonical::of_word(word)?,
        Made::Bytes(how, bytes) => bytes_of(how, bytes),
        Made::Sequence(bytes) => bytes_of(tag::KEY, bytes),
        Made::Other => return Err(NotAKey::Inside),
    };
    let word;
    let (how, bytes): (u8, &[u8]) = match &form {
        Canonical::Word(w) => {
            word = w.to_le_bytes();
            (0, &word)
        }
        Canonical::Bytes(how, bytes) => (*how, bytes),
    };
    out.push(how);
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
    Ok(())
}

impl ser::Error for NotAKey {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::Refused(text.to_string())
    }
}

impl From<EncodeError> for NotAKey {
    fn from(e: EncodeError) -> Self {
        Self::Refused(e.to_string())
    }
}

impl From<KeyError> for NotAKey {
    fn from(e: KeyError) -> Self {
        match e {
            KeyError::NotANumber => Self::NotANumber,
            KeyError::NoForm(_) => Self::Refused(e.to_string()),
        }
    }
}

/// A serialiser of keys.
struct Former {
    /// A sequence of it is bytes.
    bytes: bool,
    /// Inside `Some`: another "nothing" in there would be taken for `None`.
    optional: bool,
}

impl Former {
    #[allow(clippy::unnecessary_wraps)]
    fn int(n: i128) -> Result<Made, NotAKey> {
        let word = i64::try_from(n).ok().and_then(int_word);
        Ok(word.map_or_else(|| Made::Bytes(tag::INT, n.to_le_bytes().to_vec()), Made::Word))
    }
}

macro_rules! ints {
    ($($method:ident($type:ty))*) => {$(
        fn $method(self, n: $type) -> Result<Made, NotAKey> {
            Self::int(i128::from(n))
        }
    )*};
}

impl ser::Serializer for Former {
    type Ok = Made;
    type Error = NotAKey;
    type SerializeSeq = Members;
    type SerializeTuple = Members;
    type SerializeTupleStruct = Members;
    type SerializeTupleVariant = Other;
    type SerializeMap = Impossible<Made, NotAKey>;
    type SerializeStruct = Other;
    type SerializeStructVariant = Other;

    ints! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32)
        serialize_u64(u64)
    }

    fn serialize_u128(self, n: u128) -> Result<Made, NotAKey> {
        Ok(Made::Bytes(tag::INT, [n.to_le_bytes().as_slice(), &[0]].concat()))
    }

    fn serialize_bool(self, b: bool) -> Result<Made, NotAKey> {
        Ok(Made::Word(bool_word(b)))
    }

    fn serialize_f32(self, x: f32) -> Result<Made, NotAKey> {
        self.serialize_f64(f64::from(x))
    }

    fn serialize_f64(self, x: f64) -> Result<Made, NotAKey> {
        float_word(x).filter(|_| !x.is_nan()).map(Made::Word).ok_or(NotAKey::NotANumber)
    }

    fn serialize_char(self, c: char) -> Result<Made, NotAKey> {
        self.serialize_str(c.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<Made, NotAKey> {
        Ok(Made::Bytes(tag::STR, text.as_bytes().to_vec()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Made, NotAKey> {
        Ok(Made::Bytes(tag::BYTES, bytes.to_vec()))
    }

    fn serialize_none(self) -> Result<Made, NotAKey> {
        if self.optional { Ok(Made::Other) } else { Ok(Made::Word(NONE)) }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Made, NotAKey> {
        if self.optional {
            return Ok(Made::Other);
        }
        value.serialize(Self { optional: true, ..self })
    }

    fn serialize_unit(self) -> Result<Made, NotAKey> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Made, NotAKey> {
        Ok(Made::Other)
    }

    fn serialize_unit_variant(self, _: &str, _: u32, _: &str) -> Result<Made, NotAKey> {
        Ok(Made::Other)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Made, NotAKey> {
        if name == handle::NAME { Err(NotAKey::Shared) } else { value.serialize(self) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<Made, NotAKey> {
        // Only to refuse what is in it.
        value.serialize(self).map(|_| Made::Other)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members, NotAKey> {
        Ok(Members { bytes: self.bytes, out: if self.bytes { Vec::new() } else { vec![b't'] } })
    }

    fn serialize_tuple(self, _: usize) -> Result<Members, NotAKey> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Members, NotAKey> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Other, NotAKey> {
        Ok(Other)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NotAKey> {
        Err(NotAKey::Map)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Other, NotAKey> {
        Ok(Other)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Other, NotAKey> {
        Ok(Other)
    }
}

/// Members of a sequence.
struct Members {
    bytes: bool,
    out: Vec<u8>,
}

impl Members {
    fn member<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        let made = value.serialize(Former { bytes: false, optional: false })?;
        match made {
            Made::Word(word) if self.bytes => {
                let small = tarefa_engine::collections::value::small(word);
                if let tarefa_engine::collections::value::Small::Int(n) = small {
                    self.out.push(n as u8);
                }
                Ok(())
            }
            made => put(&mut self.out, made),
        }
    }

    #[allow(clippy::unnecessary_wraps)]
    fn done(self) -> Result<Made, NotAKey> {
        Ok(if self.bytes { Made::Bytes(tag::BYTES, self.out) } else { Made::Sequence(self.out) })
    }
}

impl ser::SerializeSeq for Members {
    type Ok = Made;
    type Error = NotAKey;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        self.member(value)
    }

    fn end(self) -> Result<Made, NotAKey> {
        self.done()
    }
}

impl ser::SerializeTuple for Members {
    type Ok = Made;
    type Error = NotAKey;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        self.member(value)
    }

    fn end(self) -> Result<Made, NotAKey> {
        self.done()
    }
}

impl ser::SerializeTupleStruct for Members {
    type Ok = Made;
    type Error = NotAKey;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        self.member(value)
    }

    fn end(self) -> Result<Made, NotAKey> {
        self.done()
    }
}

/// Fields of what is compared by its postcard bytes: looked at for what cannot be compared so.
struct Other;

impl Other {
    fn field<T: Serialize + ?Sized>(value: &T) -> Result<(), NotAKey> {
        value.serialize(Former { bytes: false, optional: false }).map(drop)
    }
}

impl ser::SerializeTupleVariant for Other {
    type Ok = Made;
    type Error = NotAKey;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        Self::field(value)
    }

    fn end(self) -> Result<Made, NotAKey> {
        Ok(Made::Other)
    }
}

impl ser::SerializeStruct for Other {
    type Ok = Made;
    type Error = NotAKey;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotAKey> {
        Self::field(value)
    }

    fn end(self) -> Result<Made, NotAKey> {
        Ok(Made::Other)
    }
}

impl ser::SerializeStructVariant for Other {
    type Ok = Made;
    type Error = NotAKey;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotAKey> {
        Self::field(value)
    }

    fn end(self) -> Result<Made, NotAKey> {
        Ok(Made::Other)
    }
}
