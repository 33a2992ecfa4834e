//! Keys of dicts and sets: what a value is compared by, the same as in other languages.
//!
//! Numbers, strings, bytes and `None` are the engine's own: `1`, `1.0` and `true` are one key. A
//! tuple or a sequence is compared member by member, as Python compares tuples. Any other serde
//! type is compared by the bytes of [`crate::convert::encoding`], which no other language has. How either is written is
//! [`wire`]'s, so either language finds what the other put in.

use std::any::TypeId;
use std::borrow::Cow;

use serde::ser::{self, Impossible, Serialize};
use tarefa_engine::collections::dict::wire::Composite;
use tarefa_engine::collections::dict::{Canonical, Key, KeyError, key, wire};
use tarefa_engine::collections::value::NONE;
use tarefa_engine::collections::value::{Fetched, Item, bool_word, float_word, int_word, tag};
use tarefa_engine::shm::Runtime;

use crate::convert::codec;
use crate::convert::codec::SERDE;
use crate::convert::element;
use crate::convert::errors::{DecodeError, EncodeError};
use crate::convert::handle;

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
    /// The bytes of [`crate::convert::encoding`].
    Serde(Vec<u8>),
}

impl Form {
    /// Of a key, where the dict's keys are of type `K`.
    pub(crate) fn of<K: 'static, Q: Serialize + ?Sized>(key: &Q) -> Result<Self, NotAKey> {
        let bytes = TypeId::of::<K>() == TypeId::of::<Vec<u8>>();
        let made = key.serialize(Former { bytes, optional: false })?;
        let (canonical, given) = match made {
            Made::Word(word) => (Canonical::of_word(word)?, Given::Word(word)),
            Made::Bytes(how, bytes) => (bytes_of(how, bytes), Given::Form),
            Made::Sequence(form) => (form.finish(), Given::Serde(codec::encode(key)?.bytes)),
            Made::Other => {
                let bytes = codec::encode(key)?.bytes;
                (wire::opaque(&bytes), Given::Serde(bytes))
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
            Given::Serde(bytes) => Key::with_form(canonical, Item::Blob(SERDE, bytes, &[])),
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
    if how == tag::INT {
        return Canonical::of_int(&bytes).into_static();
    }
    Canonical::Bytes(how, Cow::Owned(bytes))
}

/// What a value is, as a key.
enum Made {
    Word(u64),
    Bytes(u8, Vec<u8>),
    /// A sequence.
    Sequence(Composite),
    /// Compared by the bytes of [`crate::convert::encoding`].
    Other,
}

/// The next member of a sequence.
fn put(out: &mut Composite, made: Made) -> Result<(), NotAKey> {
    let form = match made {
        Made::Word(word) => Canonical::of_word(word)?,
        Made::Bytes(how, bytes) => bytes_of(how, bytes),
        Made::Sequence(form) => form.finish(),
        Made::Other => return Err(NotAKey::Inside),
    };
    out.push(&form);
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
        Ok(if self.bytes { Members::Bytes(Vec::new()) } else { Members::Each(Composite::tuple()) })
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
enum Members {
    /// That is bytes.
    Bytes(Vec<u8>),
    /// That is compared member by member.
    Each(Composite),
}

impl Members {
    fn member<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        let made = value.serialize(Former { bytes: false, optional: false })?;
        match (self, made) {
            (Self::Bytes(out), Made::Word(word)) => {
                let small = tarefa_engine::collections::value::small(word);
                if let tarefa_engine::collections::value::Small::Int(n) = small {
                    out.push(n as u8);
                }
                Ok(())
            }
            (Self::Bytes(_), _) => Err(NotAKey::Inside),
            (Self::Each(out), made) => put(out, made),
        }
    }

    #[allow(clippy::unnecessary_wraps)]
    fn done(self) -> Result<Made, NotAKey> {
        Ok(match self {
            Self::Bytes(out) => Made::Bytes(tag::BYTES, out),
            Self::Each(out) => Made::Sequence(out),
        })
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

/// Fields of what is compared by the bytes of [`crate::convert::encoding`]: looked at for what cannot be compared so.
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

/// A value that cannot be a key of a dict, or a member of a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// It equals nothing.
    #[error("a NaN cannot be a key: it equals nothing, itself included")]
    NotANumber,
    /// It is shared and changes.
    #[error("a shared object cannot be a key: what it holds changes")]
    Shared,
    /// It has no order of its own.
    #[error(
        "a map cannot be a key: equal ones may be written in different orders; use a sorted list of its pairs"
    )]
    Map,
    /// It is compared by its bytes, and stands where members are compared by value.
    #[error(
        "a struct or an enum inside a tuple or a sequence cannot be part of a key: make the whole key a struct"
    )]
    Inside,
    /// It does not serialise.
    #[error("the key does not serialise: {0}")]
    Refused(String),
}
