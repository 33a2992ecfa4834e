//! The text of an error that somebody returned, for who does not know its type.

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
