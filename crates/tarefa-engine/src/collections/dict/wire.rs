//! The bytes of keys that have parts: what [`tag::KEY`] stands for in a canonical form.
//!
//! Both languages write them here, so either finds what the other put in. A front says only what
//! its values are; a new kind of key is a letter here.
//!
//! | bytes | what |
//! |---|---|
//! | `t`, then each member | a tuple, or a sequence that is compared member by member |
//! | `f`, then each member, sorted by bytes | a set |
//! | `x`, the kind as a member, then each part as a member | something a front takes apart |
//! | `p`, then bytes of its own | what one language alone compares by bytes |
//!
//! where a member is the tag of its canonical form (0 for a word), its length as eight little-endian
//! bytes, and its bytes.

use std::borrow::Cow;

use super::key::Canonical;
use crate::collections::value::tag;

const TUPLE: u8 = b't';
const SET: u8 = b'f';
const REDUCED: u8 = b'x';
const OPAQUE: u8 = b'p';
/// The tag of a member that is a word.
const WORD: u8 = 0;

/// A key that is being put together of its members, in their order.
#[derive(Clone, Debug)]
pub struct Composite(Vec<u8>);

impl Composite {
    /// A tuple, or a sequence that equals one.
    #[must_use]
    pub fn tuple() -> Self {
        Self(vec![TUPLE])
    }

    /// Something that is told from others by a kind, and compared by its parts.
    #[must_use]
    pub fn reduced(kind: &Canonical<'_>) -> Self {
        let mut it = Self(vec![REDUCED]);
        it.push(kind);
        it
    }

    /// The next member.
    pub fn push(&mut self, member: &Canonical<'_>) {
        put(&mut self.0, member);
    }

    /// The key's canonical form.
    #[must_use]
    pub fn finish(self) -> Canonical<'static> {
        form(self.0)
    }
}

/// The canonical form of a set: the same in whatever order its members come.
#[must_use]
pub fn set<'a>(members: impl IntoIterator<Item = Canonical<'a>>) -> Canonical<'static> {
    let mut sorted: Vec<Vec<u8>> = members
        .into_iter()
        .map(|member| {
            let mut one = Vec::new();
            put(&mut one, &member);
            one
        })
        .collect();
    sorted.sort_unstable();
    sorted.insert(0, vec![SET]);
    form(sorted.concat())
}

/// The canonical form of what only one language knows, which compares it by these bytes.
#[must_use]
pub fn opaque(bytes: &[u8]) -> Canonical<'static> {
    form([&[OPAQUE], bytes].concat())
}

fn form(bytes: Vec<u8>) -> Canonical<'static> {
    Canonical::Bytes(tag::KEY, Cow::Owned(bytes))
}

fn put(out: &mut Vec<u8>, member: &Canonical<'_>) {
    let word;
    let (how, bytes): (u8, &[u8]) = match member {
        Canonical::Word(w) => {
            word = w.to_le_bytes();
            (WORD, &word)
        }
        Canonical::Bytes(how, bytes) => (*how, bytes),
    };
    out.push(how);
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Canonical<'_> {
        Canonical::Bytes(tag::STR, Cow::Borrowed(text.as_bytes()))
    }

    fn bytes(form: Canonical<'_>) -> Vec<u8> {
        match form {
            Canonical::Bytes(tag::KEY, bytes) => bytes.into_owned(),
            other => panic!("no key of parts: {other:?}"),
        }
    }

    #[test]
    fn the_bytes_are_those_that_are_written_down() {
        let mut tuple = Composite::tuple();
        tuple.push(&Canonical::Word(0x0102));
        tuple.push(&text("ab"));
        let mut wanted = vec![b't', 0, 8, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
        wanted.extend([tag::STR, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
        assert_eq!(bytes(tuple.clone().finish()), wanted);

        let mut nested = Composite::reduced(&text("k"));
        nested.push(&tuple.finish());
        let mut outer = vec![b'x', tag::STR, 1, 0, 0, 0, 0, 0, 0, 0, b'k'];
        outer.extend([tag::KEY, wanted.len() as u8, 0, 0, 0, 0, 0, 0, 0]);
        outer.extend(&wanted);
        assert_eq!(bytes(nested.finish()), outer);

        assert_eq!(bytes(opaque(&[7, 8])), [b'p', 7, 8]);
        assert_eq!(bytes(Composite::tuple().finish()), [b't']);
        assert_eq!(bytes(set([])), [b'f']);
    }

    #[test]
    fn a_set_has_no_order_and_is_no_tuple() {
        let (a, b, c) = (text("b"), Canonical::Word(5), text("aa"));
        let one = set([a.clone(), b.clone(), c.clone()]);
        assert_eq!(one, set([c.clone(), a.clone(), b.clone()]));
        assert_ne!(one, set([a.clone(), b.clone()]));
        let mut tuple = Composite::tuple();
        for member in [&a, &b, &c] {
            tuple.push(member);
        }
        assert_ne!(one, tuple.finish());
    }

    #[test]
    fn where_a_member_ends_is_part_of_the_key() {
        let joined = |parts: &[&str]| {
            let mut it = Composite::tuple();
            for part in parts {
                it.push(&text(part));
            }
            it.finish()
        };
        assert_ne!(joined(&["ab", "c"]), joined(&["a", "bc"]));
        assert_ne!(joined(&["", "a"]), joined(&["a", ""]));
        assert_ne!(joined(&["a"]), joined(&["a", ""]));
    }
}
