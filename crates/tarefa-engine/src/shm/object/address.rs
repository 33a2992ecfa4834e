//! Where an object is, as text.

use std::fmt;
use std::str::FromStr;

use crate::shm::arena::offset::Off;
use crate::shm::member::runtime::Address;

/// Where an object is, for any program of the same user on this machine; in words,
/// `tarefa:root:descriptor:runtime:offset:kind:id`, the numbers in hexadecimal. It keeps nothing
/// alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectAddress {
    /// The runtime.
    pub runtime: Address,
    /// Where in its arena.
    pub off: Off,
    /// What sort of object.
    pub kind: u64,
    /// Its number, so that it is not taken for one that came after it.
    pub id: u64,
}

/// A text is no address of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address of a shared object: those begin with \"tarefa:\" and have six numbers in \
     hexadecimal"
)]
pub struct NoAddress(String);

impl fmt::Display for ObjectAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { root, memory_fd, id } = self.runtime;
        write!(
            f,
            "tarefa:{root:x}:{memory_fd:x}:{id:x}:{:x}:{:x}:{:x}",
            self.off.0, self.kind, self.id
        )
    }
}

impl FromStr for ObjectAddress {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let read = || {
            let mut numbers = text.strip_prefix("tarefa:")?.split(':').map(|word| {
                // A sign is no part of a number here.
                let digits = word.bytes().all(|b| b.is_ascii_hexdigit());
                u64::from_str_radix(word, 16).ok().filter(|_| digits)
            });
            let mut next = || numbers.next().flatten();
            let small = |n: u64| i32::try_from(n).ok();
            let (root, memory_fd, id) = (small(next()?)?, small(next()?)?, next()?);
            let (off, kind, object) = (Off(next()?), next()?, next()?);
            let runtime = Address { root, memory_fd, id };
            numbers.next().is_none().then_some(Self { runtime, off, kind, id: object })
        };
        read().ok_or_else(|| NoAddress(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_read_as_it_was_written(
            root in 1..i32::MAX,
            memory_fd in 0..i32::MAX,
            rest: (u64, u64, u64, u64),
        ) {
            let runtime = Address { root, memory_fd, id: rest.0 };
            let address = ObjectAddress { runtime, off: Off(rest.1), kind: rest.2, id: rest.3 };
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }

        #[test]
        fn nothing_else_is_read(text in "(tarefa:)?[0-9a-f:+ -]{0,40}") {
            if let Ok(address) = text.parse::<ObjectAddress>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }

    #[test]
    fn what_is_no_address_is_said() {
        let whole = "tarefa:1:2:3:4:5:6";
        assert!(whole.parse::<ObjectAddress>().is_ok());
        for text in [
            "",
            "tarefa:",
            "1:2:3:4:5:6",
            "tarefa:1:2:3:4:5",
            "tarefa:1:2:3:4:5:6:7",
            "tarefa:1:2:3:4:5:",
            "tarefa:1:2:3:4:5:+6",
            "tarefa:ffffffff:2:3:4:5:6",
            "tarefa:1:2:3:4:5:10000000000000000",
            " tarefa:1:2:3:4:5:6",
        ] {
            let error = text.parse::<ObjectAddress>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
