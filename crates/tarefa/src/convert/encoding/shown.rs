//! Values in words, for who does not know their types: an error that somebody returned, the arguments of a
//! call.

use std::fmt::{self, Write as _};

use super::de::Reader;
use super::{Error, tag};

/// Texts of an error that are shown, and bytes of all together.
const TEXTS: usize = 4;
const LONGEST: usize = 64 << 10;

/// What an `Err(...)` says: the texts in it, one after the other; the names in it where there are no
/// texts. `None` for bytes that are no `Err`.
pub(crate) fn text_in(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader::new(bytes);
    let is_error = reader.byte().ok()? == tag::VARIANT_OF && reader.name().ok()? == "Err";
    if !is_error {
        return None;
    }
    let mut found = Found::default();
    // What comes after something broken is not seen.
    let _ = look(&mut reader, &mut found);
    let words = if found.texts.is_empty() { &found.names } else { &found.texts };
    let mut text = words.iter().take(TEXTS).copied().collect::<Vec<_>>().join(": ");
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    Some(if text.is_empty() { "an error without a text".to_owned() } else { text })
}

#[derive(Default)]
struct Found<'de> {
    texts: Vec<&'de str>,
    /// Of variants: `NotFound`, say.
    names: Vec<&'de str>,
}

fn look<'de>(reader: &mut Reader<'de>, found: &mut Found<'de>) -> Result<(), Error> {
    let before = reader.rest;
    match reader.byte()? {
        tag::STR => found.texts.push(reader.text()?),
        tag::SOME => look(reader, found)?,
        tag::VARIANT => found.names.push(reader.name()?),
        tag::VARIANT_OF => {
            found.names.push(reader.name()?);
            look(reader, found)?;
        }
        tag::SEQ => {
            for _ in 0..reader.varint()? {
                look(reader, found)?;
            }
        }
        tag::MAP => {
            for _ in 0..reader.varint()? {
                reader.skip()?;
                look(reader, found)?;
            }
        }
        tag::STRUCT => {
            for _ in 0..reader.varint()? {
                reader.name()?;
                look(reader, found)?;
            }
        }
        _ => {
            reader.rest = before;
            reader.skip()?;
        }
    }
    Ok(())
}

/// Letters of a value that are shown.
const WIDEST: usize = 200;

/// The arguments of a call, a tuple, about as Rust would write them: `(1, "a", [2, 3])`. What is long is
/// cut.
pub(crate) fn arguments(bytes: &[u8]) -> String {
    let mut text = String::new();
    // Of what is broken, what comes before that.
    let _ = show(&mut Reader::new(bytes), &mut text);
    if text.starts_with('[') {
        // Numbers alone lie as in an array.
        text = format!("({})", text.trim_start_matches('[').trim_end_matches(']'));
    }
    if text.chars().count() > WIDEST {
        text = text.chars().take(WIDEST).chain(['…']).collect();
    }
    text
}

/// Enough is shown: the rest is only cut off.
fn is_full(text: &str) -> bool {
    text.len() > 4 * WIDEST
}

fn show(reader: &mut Reader<'_>, text: &mut String) -> Result<(), Error> {
    let of_tag = reader.byte()?;
    show_after(of_tag, reader, text)
}

fn show_after(of_tag: u8, reader: &mut Reader<'_>, text: &mut String) -> Result<(), Error> {
    if is_full(text) {
        return Ok(());
    }
    match of_tag {
        tag::UNIT => text.push_str("()"),
        tag::NONE => text.push_str("None"),
        tag::FALSE => text.push_str("false"),
        tag::TRUE => text.push_str("true"),
        tag::SOME => {
            text.push_str("Some(");
            show(reader, text)?;
            text.push(')');
        }
        tag::UINT => put(text, reader.varint()?),
        tag::NINT => put(text, -1 - i128::from(reader.varint()?)),
        tag::U128 => put(text, u128::from_le_bytes(fixed(reader)?)),
        tag::I128 => put(text, i128::from_le_bytes(fixed(reader)?)),
        tag::F32 => put(text, f32::from_le_bytes(fixed(reader)?)),
        tag::F64 => put(text, f64::from_le_bytes(fixed(reader)?)),
        tag::BYTE => put(text, reader.byte()?),
        tag::CHAR => {
            let number = u32::try_from(reader.varint()?).ok().and_then(char::from_u32);
            put(text, number.ok_or_else(Error::broken)?);
        }
        tag::STR => put(text, reader.text()?),
        tag::BYTES => {
            let len = reader.varint()?;
            reader.bytes(len)?;
            put(text, format_args!("[{len} bytes]"));
        }
        tag::SEQ => {
            let count = reader.varint()?;
            several(count, text, ('(', ')'), |text| show(reader, text))?;
        }
        tag::PACKED => {
            let count = reader.varint()?;
            let of_each = reader.byte()?;
            several(count, text, ('[', ']'), |text| show_after(of_each, reader, text))?;
        }
        tag::MAP => {
            let count = reader.varint()?;
            several(count, text, ('{', '}'), |text| {
                show(reader, text)?;
                text.push_str(": ");
                show(reader, text)
            })?;
        }
        tag::STRUCT => {
            let count = reader.varint()?;
            several(count, text, ('{', '}'), |text| {
                text.push_str(reader.name()?);
                text.push_str(": ");
                show(reader, text)
            })?;
        }
        tag::VARIANT => text.push_str(reader.name()?),
        tag::VARIANT_OF => {
            text.push_str(reader.name()?);
            text.push('(');
            show(reader, text)?;
            text.push(')');
        }
        _ => return Err(Error::broken()),
    }
    Ok(())
}

fn put(text: &mut String, value: impl fmt::Debug) {
    // Writing to a text cannot fail.
    let _ = write!(text, "{value:?}");
}

fn fixed<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], Error> {
    reader.bytes(N as u64)?.try_into().map_err(|_| Error::broken())
}

fn several(
    count: u64,
    text: &mut String,
    (open, close): (char, char),
    mut one: impl FnMut(&mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    text.push(open);
    for i in 0..count {
        if is_full(text) {
            break;
        }
        if i > 0 {
            text.push_str(", ");
        }
        one(text)?;
    }
    text.push(close);
    Ok(())
}
