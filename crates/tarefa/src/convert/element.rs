//! Elements of containers: plain values in the engine's own form, which other languages read
//! too; everything else as bytes of [`crate::convert::encoding`].

use std::any::Any;

use serde::de::{self, DeserializeOwned, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{self, Impossible, Serialize};
use tarefa_engine::collections::value::{
    self as engine, Copied, Fetched, Item, Small, bool_word, float_word, int_word, tag,
};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Off, object};

use crate::convert::codec;
use crate::convert::codec::{Encoded, SERDE};
use crate::convert::errors::{DecodeError, EncodeError};
use crate::convert::handle;

/// An element ready to be stored.
#[derive(Debug)]
pub(crate) enum Stored {
    Word(u64),
    Blob(u8, Encoded),
}

impl Stored {
    /// Bytes of it beside its word.
    #[cfg(feature = "tokio")]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Word(_) => 0,
            Self::Blob(_, encoded) => encoded.bytes.len(),
        }
    }

    /// The objects of `runtime` that it mentions.
    pub(crate) fn references(&self, runtime: &tarefa_engine::shm::Runtime) -> Vec<Off> {
        match self {
            Self::Word(_) => Vec::new(),
            Self::Blob(_, encoded) => encoded.references(runtime),
        }
    }

    /// Whether it mentions that very object.
    #[inline]
    pub(crate) fn mentions(&self, object: &Handle) -> bool {
        match self {
            Self::Word(_) => false,
            Self::Blob(_, encoded) => encoded.references(object.runtime()).contains(&object.off()),
        }
    }

    /// Lends it to the engine, for a list of `runtime`.
    pub(crate) fn with<T>(
        &self,
        runtime: &tarefa_engine::shm::Runtime,
        act: impl FnOnce(Item<'_>) -> T,
    ) -> T {
        match self {
            Self::Word(word) => act(Item::Word(*word)),
            Self::Blob(tag, encoded) => {
                act(Item::Blob(*tag, &encoded.bytes, &encoded.references(runtime)))
            }
        }
    }
}

/// Turns a value into an element.
#[inline]
pub(crate) fn store<T: Serialize + 'static>(value: &T) -> Result<Stored, EncodeError> {
    match value.serialize(Plain { optional: false }) {
        Ok(Form::Word(word)) => Ok(Stored::Word(word)),
        Ok(Form::Blob(tag, bytes)) => Ok(Stored::Blob(tag, Encoded::of_bytes(bytes))),
        Ok(Form::Object) => {
            let mut encoded = codec::encode(value)?;
            encoded.bytes = encoded.first_object().unwrap_or_default();
            Ok(Stored::Blob(tag::OBJECT, encoded))
        }
        Err(NotPlain) => {
            if let Some(bytes) = (value as &dyn Any).downcast_ref::<Vec<u8>>() {
                return Ok(Stored::Blob(tag::BYTES, Encoded::of_bytes(bytes.clone())));
            }
            Ok(Stored::Blob(SERDE, codec::encode(value)?))
        }
    }
}

/// The word of a value that needs no more than one.
#[inline]
pub(crate) fn word<T: Serialize>(value: &T) -> Option<u64> {
    match value.serialize(Plain { optional: false }) {
        Ok(Form::Word(word)) => Some(word),
        _ => None,
    }
}

/// Lends several to the engine, for an object of `runtime`.
pub(crate) fn with_items<'a, T>(
    runtime: &tarefa_engine::shm::Runtime,
    stored: impl IntoIterator<Item = &'a Stored>,
    act: impl FnOnce(&[Item<'_>]) -> T,
) -> T {
    let all: Vec<_> = stored.into_iter().map(|s| (s, s.references(runtime))).collect();
    let items: Vec<Item<'_>> = all
        .iter()
        .map(|(stored, references)| match stored {
            Stored::Word(word) => Item::Word(*word),
            Stored::Blob(tag, encoded) => Item::Blob(*tag, &encoded.bytes, references),
        })
        .collect();
    act(&items)
}

/// Turns an element into a value.
#[inline]
pub(crate) fn load<T: DeserializeOwned>(
    runtime: &'static tarefa_engine::shm::Runtime,
    element: Fetched,
) -> Result<T, DecodeError> {
    let wrong =
        |found: Wrong| DecodeError::Type { what: std::any::type_name::<T>(), found: found.0 };
    match element {
        Fetched::Word(word) => T::deserialize(Loaded::Word(engine::small(word))).map_err(wrong),
        Fetched::Blob(copied) if copied.tag == SERDE => codec::decode(&copied.bytes),
        Fetched::Blob(copied) if copied.tag >= tag::FRONT => {
            Err(wrong(Wrong("a value that only the language which put it in can read".to_owned())))
        }
        Fetched::Blob(copied) => T::deserialize(Loaded::Blob(runtime, &copied)).map_err(wrong),
    }
}

/// Little-endian two's complement, as short as it can be.
fn int_bytes(n: i128) -> Vec<u8> {
    let mut bytes = n.to_le_bytes().to_vec();
    let fill = if n < 0 { 0xff } else { 0 };
    while bytes.len() > 1 {
        let (last, before) = (bytes[bytes.len() - 1], bytes[bytes.len() - 2]);
        if last != fill || (before ^ fill) & 0x80 != 0 {
            break;
        }
        bytes.pop();
    }
    bytes
}

/// What a plain value becomes.
enum Form {
    Word(u64),
    Blob(u8, Vec<u8>),
    /// A handle, by reference.
    Object,
}

/// The value is not plain: [`crate::convert::encoding`] has to write it.
#[derive(Debug)]
struct NotPlain;

impl std::fmt::Display for NotPlain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a plain value")
    }
}

impl std::error::Error for NotPlain {}

impl ser::Error for NotPlain {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

/// A serialiser for plain values.
struct Plain {
    /// Inside `Some`: another "nothing" in there would be taken for `None`.
    optional: bool,
}

impl Plain {
    #[inline]
    #[allow(clippy::unnecessary_wraps)]
    fn int(n: i128) -> Result<Form, NotPlain> {
        let word = i64::try_from(n).ok().and_then(int_word);
        Ok(word.map_or_else(|| Form::Blob(tag::INT, int_bytes(n)), Form::Word))
    }
}

macro_rules! ints {
    ($($method:ident($type:ty))*) => {$(
        #[inline]
        fn $method(self, n: $type) -> Result<Form, NotPlain> {
            Self::int(i128::from(n))
        }
    )*};
}

impl ser::Serializer for Plain {
    type Ok = Form;
    type Error = NotPlain;
    type SerializeSeq = Impossible<Form, NotPlain>;
    type SerializeTuple = Impossible<Form, NotPlain>;
    type SerializeTupleStruct = Impossible<Form, NotPlain>;
    type SerializeTupleVariant = Impossible<Form, NotPlain>;
    type SerializeMap = Impossible<Form, NotPlain>;
    type SerializeStruct = Impossible<Form, NotPlain>;
    type SerializeStructVariant = Impossible<Form, NotPlain>;

    ints! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32)
        serialize_u64(u64)
    }

    fn serialize_u128(self, n: u128) -> Result<Form, NotPlain> {
        if let Ok(n) = i128::try_from(n) {
            return Self::int(n);
        }
        let mut bytes = n.to_le_bytes().to_vec();
        bytes.push(0);
        Ok(Form::Blob(tag::INT, bytes))
    }

    #[inline]
    fn serialize_bool(self, b: bool) -> Result<Form, NotPlain> {
        Ok(Form::Word(bool_word(b)))
    }

    #[inline]
    fn serialize_f32(self, x: f32) -> Result<Form, NotPlain> {
        self.serialize_f64(f64::from(x))
    }

    #[inline]
    fn serialize_f64(self, x: f64) -> Result<Form, NotPlain> {
        let blob = || Form::Blob(tag::FLOAT, x.to_le_bytes().to_vec());
        Ok(float_word(x).map_or_else(blob, Form::Word))
    }

    fn serialize_char(self, c: char) -> Result<Form, NotPlain> {
        Ok(Form::Blob(tag::STR, c.to_string().into_bytes()))
    }

    fn serialize_str(self, text: &str) -> Result<Form, NotPlain> {
        Ok(Form::Blob(tag::STR, text.as_bytes().to_vec()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Form, NotPlain> {
        Ok(Form::Blob(tag::BYTES, bytes.to_vec()))
    }

    fn serialize_none(self) -> Result<Form, NotPlain> {
        if self.optional { Err(NotPlain) } else { Ok(Form::Word(engine::NONE)) }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Form, NotPlain> {
        if self.optional {
            return Err(NotPlain);
        }
        value.serialize(Self { optional: true })
    }

    fn serialize_unit(self) -> Result<Form, NotPlain> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Form, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_unit_variant(self, _: &str, _: u32, _: &str) -> Result<Form, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Form, NotPlain> {
        if name == handle::NAME { Ok(Form::Object) } else { value.serialize(self) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Form, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NotPlain> {
        Err(NotPlain)
    }
}

/// Why an element is not what was asked for.
#[derive(Debug)]
struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// A deserialiser of plain values.
#[derive(Clone, Copy)]
enum Loaded<'a> {
    Word(Small),
    Blob(&'static tarefa_engine::shm::Runtime, &'a Copied),
}

impl Loaded<'_> {
    fn integer<'de, V: Visitor<'de>>(bytes: &[u8], visitor: V) -> Result<V::Value, Wrong> {
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        match bytes {
            [low @ .., 0] if low.len() == 16 => {
                wide.copy_from_slice(low);
                return visitor.visit_u128(u128::from_le_bytes(wide));
            }
            _ if bytes.len() > 16 => {
                return Err(Wrong(format!("an integer of {} bytes", bytes.len())));
            }
            _ => wide[..bytes.len()].copy_from_slice(bytes),
        }
        let n = i128::from_le_bytes(wide);
        if let Ok(n) = i64::try_from(n) {
            visitor.visit_i64(n)
        } else if let Ok(n) = u64::try_from(n) {
            visitor.visit_u64(n)
        } else {
            visitor.visit_i128(n)
        }
    }
}

impl<'de> de::Deserializer<'de> for Loaded<'_> {
    type Error = Wrong;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let copied = match self {
            Self::Word(Small::None) => return visitor.visit_unit(),
            Self::Word(Small::Bool(b)) => return visitor.visit_bool(b),
            Self::Word(Small::Int(n)) => return visitor.visit_i64(n),
            Self::Word(Small::Float(x)) => return visitor.visit_f64(x),
            Self::Blob(_, copied) => copied,
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match copied.tag {
            tag::INT => Self::integer(&copied.bytes, visitor),
            tag::FLOAT => {
                let bytes = copied.bytes.first_chunk().copied().unwrap_or_default();
                visitor.visit_f64(f64::from_le_bytes(bytes))
            }
            tag::STR => visitor.visit_string(text(&copied.bytes)),
            tag::BYTES => visitor.visit_byte_buf(copied.bytes.clone()),
            tag::OBJECT => Err(Wrong("a shared object".to_owned())),
            other => Err(Wrong(format!("a value of the unknown form {other}"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Word(Small::None) => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Blob(_, copied) if copied.tag == tag::BYTES => {
                let bytes = copied.bytes.iter().copied();
                visitor.visit_seq(de::value::SeqDeserializer::new(bytes))
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            Self::Blob(runtime, copied) if name == handle::NAME && copied.tag == tag::OBJECT => {
                let Some(off) = copied.object() else {
                    return Err(Wrong("a shared object that is gone".to_owned()));
                };
                let at = runtime.address();
                let header: &object::ObjectHeader = runtime.arena().at(off);
                let number = |word: &tarefa_engine::atomic::AtomicU64| {
                    word.load(tarefa_engine::atomic::Ordering::Relaxed)
                };
                let wire = [
                    number(&header.kind),
                    at.root as u64,
                    at.memory_fd as u64,
                    at.id,
                    off.0,
                    number(&header.id),
                ];
                visitor.visit_seq(de::value::SeqDeserializer::new(wire.into_iter()))
            }
            other if name == handle::NAME => other.deserialize_any(visitor),
            other => visitor.visit_newtype_struct(other),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}
