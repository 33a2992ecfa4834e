//! Any serde value as bytes that say what they are.
//!
//! - A type may ask what is there (`deserialize_any`), as untagged and internally tagged enums,
//!   `flatten` and values of other formats do; fields may be left out when they are written
//!   (`skip_serializing_if`); all of serde's data model comes back as it was, `Some(None)` too.
//! - Values are human-readable as far as their types ask: else a type that is written by its bytes and
//!   buffered by serde on its way back would be taken for another.
//! - The same value gives the same bytes: keys are compared by them.
//!
//! | tag | then |
//! |---|---|
//! | `UNIT` `NONE` `FALSE` `TRUE` | nothing |
//! | `SOME` | the value |
//! | `UINT` `NINT` | a varint: the number, or what it lacks to -1 |
//! | `U128` `I128` `F32` `F64` | 16, 16, 4, 8 bytes, the lowest first |
//! | `CHAR` | its number, a varint |
//! | `STR` `BYTES` | their length, a varint; the bytes |
//! | `SEQ` | how many, a varint; the elements |
//! | `PACKED` | how many, a varint; the tag of all the elements; what comes after their tags. `BYTE` for a `u8` |
//! | `MAP` | how many, a varint; keys and values by turns |
//! | `STRUCT` | how many, a varint; names and values by turns |
//! | `VARIANT` | its name |
//! | `VARIANT_OF` | its name; the value: a `SEQ` of a tuple, a `STRUCT` of fields |
//!
//! A name of a field or a variant is a varint: 0 with the text of a new one, or the number of one that
//! came before, from 1 on. A varint has seven bits a byte, the lowest first, and the eighth says that
//! more follow.

mod de;
mod ser;
mod shown;

pub(crate) use de::from_bytes;
pub(crate) use ser::to_bytes;
pub(crate) use shown::{arguments, text_in};

mod tag {
    pub(super) const UNIT: u8 = 0;
    pub(super) const NONE: u8 = 1;
    pub(super) const SOME: u8 = 2;
    pub(super) const FALSE: u8 = 3;
    pub(super) const TRUE: u8 = 4;
    pub(super) const UINT: u8 = 5;
    pub(super) const NINT: u8 = 6;
    pub(super) const U128: u8 = 7;
    pub(super) const I128: u8 = 8;
    pub(super) const F32: u8 = 9;
    pub(super) const F64: u8 = 10;
    pub(super) const CHAR: u8 = 11;
    pub(super) const STR: u8 = 12;
    pub(super) const BYTES: u8 = 13;
    pub(super) const SEQ: u8 = 14;
    pub(super) const PACKED: u8 = 15;
    pub(super) const MAP: u8 = 16;
    pub(super) const STRUCT: u8 = 17;
    pub(super) const VARIANT: u8 = 18;
    pub(super) const VARIANT_OF: u8 = 19;
    /// Only of the elements of `PACKED`.
    pub(super) const BYTE: u8 = 20;
}

/// What serde, or a type, has to object to.
#[derive(Debug)]
pub(crate) struct Error(String);

impl Error {
    /// The bytes end early, or are none of this format.
    fn broken() -> Self {
        Self("the bytes are broken: they end early, or are of another version".to_owned())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::ser::Error for Error {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

#[cfg(test)]
mod tests;
