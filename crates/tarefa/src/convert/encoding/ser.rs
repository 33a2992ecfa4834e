//! Writing.

use std::collections::HashMap;

use serde::ser::{self, Serialize};

use super::{Error, tag};

/// The bytes of a value.
pub(crate) fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Writer::default();
    value.serialize(Serializer { out: &mut out, packing: None })?;
    Ok(out.bytes)
}

/// As many names are looked through one by one.
const FEW: usize = 8;

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    names: Vec<&'static str>,
    /// The same, once there are more than a few.
    numbers: HashMap<&'static str, u64>,
}

impl Writer {
    fn varint(&mut self, n: u64) {
        varint_into(&mut self.bytes, n);
    }

    fn text(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn name(&mut self, name: &'static str) {
        let known = if self.names.len() <= FEW {
            self.names.iter().position(|n| *n == name).map(|at| at as u64 + 1)
        } else {
            self.numbers.get(name).copied()
        };
        if let Some(number) = known {
            return self.varint(number);
        }
        self.varint(0);
        self.text(name.as_bytes());
        self.names.push(name);
        let new = if self.names.len() == FEW + 1 { 0 } else { self.names.len() - 1 };
        if self.names.len() > FEW {
            for (at, name) in self.names.iter().enumerate().skip(new) {
                self.numbers.insert(name, at as u64 + 1);
            }
        }
    }

    /// Says at `at` how many there are, where `said` was written.
    fn correct(&mut self, at: usize, said: u64, is: u64) {
        if said != is {
            let (mut old, mut new) = (Vec::new(), Vec::new());
            varint_into(&mut old, said);
            varint_into(&mut new, is);
            self.bytes.splice(at..at + old.len(), new);
        }
    }
}

fn varint_into(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

/// How the elements of a sequence have been written so far.
struct Packing {
    /// Where the sequence starts: its tag.
    start: usize,
    /// How many elements there are.
    count: u64,
    /// What was said of that at the start.
    said: u64,
    /// The tag of all of them, while they have one and nothing else.
    packed: Option<u8>,
}

impl Packing {
    /// Where the elements start.
    fn elements(&self) -> usize {
        let mut said = Vec::new();
        varint_into(&mut said, self.said);
        self.start + 1 + said.len()
    }

    /// An element with that tag comes: whether it is written without.
    fn takes(&mut self, out: &mut Writer, tag: u8) -> bool {
        if self.count == 0 {
            self.packed = Some(tag);
            out.bytes[self.start] = tag::PACKED;
            out.bytes.push(tag);
            return true;
        }
        if self.packed == Some(tag) {
            return true;
        }
        self.unpack(out);
        false
    }

    /// Gives each element that was written its tag, for one comes that is not like them.
    #[cold]
    fn unpack(&mut self, out: &mut Writer) {
        let Some(tag) = self.packed.take() else { return };
        out.bytes[self.start] = tag::SEQ;
        let elements = out.bytes.split_off(self.elements());
        let mut rest = &elements[1..];
        for _ in 0..self.count {
            let len = match tag {
                tag::UINT | tag::NINT => rest.iter().take_while(|b| **b & 0x80 != 0).count() + 1,
                tag::F32 => 4,
                tag::F64 => 8,
                _ => 1,
            };
            let element = &rest[..len];
            rest = &rest[len..];
            if tag == tag::BYTE {
                out.bytes.push(tag::UINT);
                out.varint(u64::from(element[0]));
            } else {
                out.bytes.push(tag);
                out.bytes.extend_from_slice(element);
            }
        }
    }
}

struct Serializer<'a> {
    out: &'a mut Writer,
    /// Of the sequence whose element this is.
    packing: Option<&'a mut Packing>,
}

impl<'a> Serializer<'a> {
    /// Starts what is no scalar.
    fn whole(self) -> &'a mut Writer {
        if let Some(packing) = self.packing {
            packing.unpack(self.out);
        }
        self.out
    }

    /// Writes a scalar's tag, unless all elements before it had the same.
    fn scalar(self, tag: u8) -> &'a mut Writer {
        let without = self.packing.is_some_and(|packing| packing.takes(self.out, tag));
        if !without {
            self.out.bytes.push(tag);
        }
        self.out
    }

    fn unsigned(self, n: u64) {
        self.scalar(tag::UINT).varint(n);
    }

    fn signed(self, n: i64) {
        match u64::try_from(n) {
            Ok(n) => self.unsigned(n),
            Err(_) => self.scalar(tag::NINT).varint(!n as u64),
        }
    }

    fn counted(self, tag: u8, len: Option<usize>) -> Several<'a> {
        let out = self.whole();
        let (start, said) = (out.bytes.len(), len.unwrap_or(0) as u64);
        out.bytes.push(tag);
        out.varint(said);
        Several { out, packing: Packing { start, count: 0, said, packed: None } }
    }

    fn variant(self, tag: u8, name: &'static str) -> &'a mut Writer {
        let out = self.whole();
        out.bytes.push(tag);
        out.name(name);
        out
    }
}

macro_rules! numbers {
    ($($method:ident($type:ty) $how:ident)*) => {$(
        fn $method(self, n: $type) -> Result<(), Error> {
            self.$how(n.into());
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Several<'a>;
    type SerializeTuple = Several<'a>;
    type SerializeTupleStruct = Several<'a>;
    type SerializeTupleVariant = Several<'a>;
    type SerializeMap = Several<'a>;
    type SerializeStruct = Several<'a>;
    type SerializeStructVariant = Several<'a>;

    numbers! {
        serialize_i8(i8) signed serialize_i16(i16) signed serialize_i32(i32) signed
        serialize_i64(i64) signed serialize_u16(u16) unsigned serialize_u32(u32) unsigned
        serialize_u64(u64) unsigned
    }

    fn serialize_u8(self, n: u8) -> Result<(), Error> {
        match self.packing {
            Some(packing) if packing.count == 0 || packing.packed == Some(tag::BYTE) => {
                packing.takes(self.out, tag::BYTE);
                self.out.bytes.push(n);
            }
            packing => Serializer { out: self.out, packing }.unsigned(u64::from(n)),
        }
        Ok(())
    }

    fn serialize_i128(self, n: i128) -> Result<(), Error> {
        let out = self.whole();
        out.bytes.push(tag::I128);
        out.bytes.extend_from_slice(&n.to_le_bytes());
        Ok(())
    }

    fn serialize_u128(self, n: u128) -> Result<(), Error> {
        let out = self.whole();
        out.bytes.push(tag::U128);
        out.bytes.extend_from_slice(&n.to_le_bytes());
        Ok(())
    }

    fn serialize_bool(self, b: bool) -> Result<(), Error> {
        self.whole().bytes.push(if b { tag::TRUE } else { tag::FALSE });
        Ok(())
    }

    fn serialize_f32(self, x: f32) -> Result<(), Error> {
        self.scalar(tag::F32).bytes.extend_from_slice(&x.to_le_bytes());
        Ok(())
    }

    fn serialize_f64(self, x: f64) -> Result<(), Error> {
        self.scalar(tag::F64).bytes.extend_from_slice(&x.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, c: char) -> Result<(), Error> {
        let out = self.whole();
        out.bytes.push(tag::CHAR);
        out.varint(u64::from(u32::from(c)));
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        let out = self.whole();
        out.bytes.push(tag::STR);
        out.text(text.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        let out = self.whole();
        out.bytes.push(tag::BYTES);
        out.text(bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.whole().bytes.push(tag::NONE);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        let out = self.whole();
        out.bytes.push(tag::SOME);
        value.serialize(Serializer { out, packing: None })
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.whole().bytes.push(tag::UNIT);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), Error> {
        self.variant(tag::VARIANT, name);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let out = self.variant(tag::VARIANT_OF, name);
        value.serialize(Serializer { out, packing: None })
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Several<'a>, Error> {
        Ok(self.counted(tag::SEQ, len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Several<'a>, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Several<'a>, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Several<'a>, Error> {
        let out = self.variant(tag::VARIANT_OF, name);
        Ok(Serializer { out, packing: None }.counted(tag::SEQ, Some(len)))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Several<'a>, Error> {
        Ok(self.counted(tag::MAP, len))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Several<'a>, Error> {
        Ok(self.counted(tag::STRUCT, Some(len)))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Several<'a>, Error> {
        let out = self.variant(tag::VARIANT_OF, name);
        Ok(Serializer { out, packing: None }.counted(tag::STRUCT, Some(len)))
    }
}

/// The elements of a sequence, of a map, of a structure.
struct Several<'a> {
    out: &'a mut Writer,
    packing: Packing,
}

impl Several<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Serializer { out: self.out, packing: Some(&mut self.packing) })?;
        self.packing.count += 1;
        Ok(())
    }

    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Serializer { out: self.out, packing: None })
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.out.name(name);
        self.packing.count += 1;
        self.part(value)
    }

    #[allow(clippy::unnecessary_wraps)]
    fn done(self) -> Result<(), Error> {
        self.out.correct(self.packing.start + 1, self.packing.said, self.packing.count);
        Ok(())
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident)*) => {$(
        impl ser::$trait for Several<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.done()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element SerializeTuple serialize_element
    SerializeTupleStruct serialize_field SerializeTupleVariant serialize_field
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Several<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                self.done()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Several<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.packing.count += 1;
        self.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.part(value)
    }

    fn end(self) -> Result<(), Error> {
        self.done()
    }
}
