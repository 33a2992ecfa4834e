//! Reading.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::{Error, tag};

/// The value of these bytes.
pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut reader = Reader::new(bytes);
    let value = T::deserialize(Deserializer(&mut reader))?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Error::broken()) }
}

/// The bytes that are still to be read.
pub(super) struct Reader<'de> {
    pub(super) rest: &'de [u8],
    names: Vec<&'de str>,
}

impl<'de> Reader<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes, names: Vec::new() }
    }

    fn peek(&self) -> Result<u8, Error> {
        self.rest.first().copied().ok_or_else(Error::broken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        let byte = self.peek()?;
        self.rest = &self.rest[1..];
        Ok(byte)
    }

    pub(super) fn bytes(&mut self, len: u64) -> Result<&'de [u8], Error> {
        let len = usize::try_from(len).ok().filter(|len| *len <= self.rest.len());
        let (bytes, rest) = self.rest.split_at(len.ok_or_else(Error::broken)?);
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.bytes(N as u64)?.try_into().map_err(|_| Error::broken())
    }

    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Error::broken())
    }

    pub(super) fn text(&mut self) -> Result<&'de str, Error> {
        let len = self.varint()?;
        std::str::from_utf8(self.bytes(len)?).map_err(|_| Error::broken())
    }

    pub(super) fn name(&mut self) -> Result<&'de str, Error> {
        match self.varint()? {
            0 => {
                let name = self.text()?;
                self.names.push(name);
                Ok(name)
            }
            number => {
                let at = usize::try_from(number - 1).map_err(|_| Error::broken())?;
                self.names.get(at).copied().ok_or_else(Error::broken)
            }
        }
    }

    fn char(&mut self) -> Result<char, Error> {
        let number = u32::try_from(self.varint()?).map_err(|_| Error::broken())?;
        char::from_u32(number).ok_or_else(Error::broken)
    }

    /// What lacks to -1, as the negative number.
    fn negative(&mut self) -> Result<i64, Error> {
        i64::try_from(self.varint()?).map(|n| !n).map_err(|_| Error::broken())
    }

    /// Reads over a value.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let tag = self.byte()?;
        self.skip_after(tag)
    }

    fn skip_after(&mut self, tag: u8) -> Result<(), Error> {
        match tag {
            tag::UNIT | tag::NONE | tag::FALSE | tag::TRUE => {}
            tag::SOME => self.skip()?,
            tag::UINT | tag::NINT | tag::CHAR => drop(self.varint()?),
            tag::U128 | tag::I128 => drop(self.bytes(16)?),
            tag::F32 => drop(self.bytes(4)?),
            tag::F64 => drop(self.bytes(8)?),
            tag::BYTE => drop(self.byte()?),
            tag::STR | tag::BYTES => {
                let len = self.varint()?;
                self.bytes(len)?;
            }
            tag::SEQ => {
                for _ in 0..self.varint()? {
                    self.skip()?;
                }
            }
            tag::PACKED => {
                let (count, tag) = (self.varint()?, self.byte()?);
                for _ in 0..count {
                    self.skip_after(tag)?;
                }
            }
            tag::MAP => {
                for _ in 0..self.varint()? {
                    self.skip()?;
                    self.skip()?;
                }
            }
            tag::STRUCT => {
                for _ in 0..self.varint()? {
                    self.name()?;
                    self.skip()?;
                }
            }
            tag::VARIANT => drop(self.name()?),
            tag::VARIANT_OF => {
                self.name()?;
                self.skip()?;
            }
            _ => return Err(Error::broken()),
        }
        Ok(())
    }
}

/// Reads one value.
struct Deserializer<'a, 'de>(&'a mut Reader<'de>);

impl<'de> Deserializer<'_, 'de> {
    /// What the type asks for; a `Some` around it makes no difference.
    fn typed<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut tag = self.0.byte()?;
        while tag == tag::SOME {
            tag = self.0.byte()?;
        }
        After(self.0, tag).visit(visitor)
    }

    /// The number, as a type with a sign wants it.
    fn signed<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let reader = self.0;
        while reader.peek()? == tag::SOME {
            reader.byte()?;
        }
        if reader.peek()? == tag::UINT {
            reader.byte()?;
            let n = reader.varint()?;
            return match i64::try_from(n) {
                Ok(n) => visitor.visit_i64(n),
                Err(_) => visitor.visit_u64(n),
            };
        }
        Deserializer(reader).typed(visitor)
    }
}

macro_rules! typed {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.typed(visitor)
        }
    )*};
}

macro_rules! signed {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.signed(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Deserializer<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // Whoever asks what is there sees through `Some`, as in formats that do not write it; but
        // nothing inside something stays what it is.
        if let [tag::SOME, tag::NONE | tag::UNIT | tag::SOME, ..] = self.0.rest {
            self.0.byte()?;
            return visitor.visit_some(self);
        }
        self.typed(visitor)
    }

    typed! {
        deserialize_bool deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_char deserialize_str deserialize_string deserialize_seq deserialize_map
        deserialize_identifier
    }

    signed! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.peek()? == tag::I128 {
            self.0.byte()?;
            return visitor.visit_i128(i128::from_le_bytes(self.0.array()?));
        }
        self.typed(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.peek()? == tag::U128 {
            self.0.byte()?;
            return visitor.visit_u128(u128::from_le_bytes(self.0.array()?));
        }
        self.typed(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.typed(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.typed(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.peek()? == tag::PACKED {
            let before = self.0.rest;
            self.0.byte()?;
            let count = self.0.varint()?;
            if self.0.byte()? == tag::BYTE {
                return visitor.visit_borrowed_bytes(self.0.bytes(count)?);
            }
            self.0.rest = before;
        }
        self.typed(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.peek()? {
            tag::NONE => {
                self.0.byte()?;
                visitor.visit_none()
            }
            tag::SOME => {
                self.0.byte()?;
                visitor.visit_some(self)
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.peek()? == tag::NONE {
            self.0.byte()?;
            return visitor.visit_unit();
        }
        self.typed(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.typed(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.typed(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.typed(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let reader = self.0;
        let mut tag = reader.byte()?;
        while tag == tag::SOME {
            tag = reader.byte()?;
        }
        match tag {
            tag::VARIANT | tag::VARIANT_OF => {
                let name = reader.name()?;
                visitor.visit_enum(Variant { reader, name, has_value: tag == tag::VARIANT_OF })
            }
            // Written by hand as text, or as a map of one entry.
            tag::STR => visitor.visit_enum(reader.text()?.into_deserializer()),
            tag::MAP | tag::STRUCT => {
                let one = reader.varint()? == 1;
                let name = match (one, tag) {
                    (true, tag::STRUCT) => reader.name()?,
                    (true, _) if reader.byte()? == tag::STR => reader.text()?,
                    _ => return Err(de::Error::custom("a map that is no variant of an enum")),
                };
                visitor.visit_enum(Variant { reader, name, has_value: true })
            }
            tag => After(reader, tag).visit(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.skip()?;
        visitor.visit_unit()
    }
}

/// A value whose tag was read.
struct After<'a, 'de>(&'a mut Reader<'de>, u8);

impl<'de> After<'_, 'de> {
    /// Says what is there.
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Self(reader, tag) = self;
        match tag {
            tag::UNIT => visitor.visit_unit(),
            tag::NONE => visitor.visit_none(),
            tag::FALSE => visitor.visit_bool(false),
            tag::TRUE => visitor.visit_bool(true),
            tag::UINT => visitor.visit_u64(reader.varint()?),
            tag::NINT => visitor.visit_i64(reader.negative()?),
            tag::BYTE => visitor.visit_u8(reader.byte()?),
            tag::U128 => {
                let n = u128::from_le_bytes(reader.array()?);
                match u64::try_from(n) {
                    Ok(n) => visitor.visit_u64(n),
                    Err(_) => visitor.visit_u128(n),
                }
            }
            tag::I128 => {
                let n = i128::from_le_bytes(reader.array()?);
                match (u64::try_from(n), i64::try_from(n)) {
                    (Ok(n), _) => visitor.visit_u64(n),
                    (_, Ok(n)) => visitor.visit_i64(n),
                    _ => visitor.visit_i128(n),
                }
            }
            tag::F32 => visitor.visit_f32(f32::from_le_bytes(reader.array()?)),
            tag::F64 => visitor.visit_f64(f64::from_le_bytes(reader.array()?)),
            tag::CHAR => visitor.visit_char(reader.char()?),
            tag::STR => visitor.visit_borrowed_str(reader.text()?),
            tag::BYTES => {
                let len = reader.varint()?;
                visitor.visit_borrowed_bytes(reader.bytes(len)?)
            }
            tag::SEQ | tag::PACKED => {
                let left = reader.varint()?;
                let packed = if tag == tag::PACKED { Some(reader.byte()?) } else { None };
                let mut elements = Elements { reader, left, packed };
                let value = visitor.visit_seq(&mut elements)?;
                elements.done(value)
            }
            tag::MAP | tag::STRUCT => {
                let left = reader.varint()?;
                let mut entries = Entries { reader, left, named: tag == tag::STRUCT };
                let value = visitor.visit_map(&mut entries)?;
                entries.done(value)
            }
            tag::VARIANT => visitor.visit_borrowed_str(reader.name()?),
            tag::VARIANT_OF => {
                let mut entries = Entries { reader, left: 1, named: true };
                let value = visitor.visit_map(&mut entries)?;
                entries.done(value)
            }
            _ => Err(Error::broken()),
        }
    }
}

/// A bare element of a packed sequence.
impl<'de> de::Deserializer<'de> for After<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.1 != tag::UINT {
            return self.visit(visitor);
        }
        let n = self.0.varint()?;
        match i64::try_from(n) {
            Ok(n) => visitor.visit_i64(n),
            Err(_) => visitor.visit_u64(n),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: u64,
    packed: Option<u8>,
}

impl Elements<'_, '_> {
    fn done<T>(self, value: T) -> Result<T, Error> {
        if self.left == 0 { Ok(value) } else { Err(too_many(self.left)) }
    }
}

fn too_many(left: u64) -> Error {
    Error(format!("there are {left} elements more than the type takes"))
}

/// No more room than that is made ahead of what is there: a number may be broken.
fn hint(left: u64, rest: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(rest.len())
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match self.packed {
            None => seed.deserialize(Deserializer(self.reader)).map(Some),
            Some(tag) => seed.deserialize(After(self.reader, tag)).map(Some),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(hint(self.left, self.reader.rest))
    }
}

struct Entries<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: u64,
    named: bool,
}

impl Entries<'_, '_> {
    fn done<T>(self, value: T) -> Result<T, Error> {
        if self.left == 0 { Ok(value) } else { Err(too_many(self.left)) }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if self.named {
            let name = self.reader.name()?;
            return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
        }
        seed.deserialize(Deserializer(self.reader)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Deserializer(self.reader))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(hint(self.left, self.reader.rest))
    }
}

struct Variant<'a, 'de> {
    reader: &'a mut Reader<'de>,
    name: &'de str,
    has_value: bool,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let variant = seed.deserialize(BorrowedStrDeserializer::new(self.name))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        // Of a variant that nobody knows (`serde(other)`) whatever is in it is left.
        if self.has_value { self.reader.skip() } else { Ok(()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        if self.has_value {
            return seed.deserialize(Deserializer(self.reader));
        }
        seed.deserialize(().into_deserializer())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.newtype_variant_seed(Visiting(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.newtype_variant_seed(Visiting(visitor))
    }
}

/// Has a visitor see what is there.
struct Visiting<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Visiting<V> {
    type Value = V::Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}
