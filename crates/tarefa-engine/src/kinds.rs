//! The numbers by which the arena knows what is what: one table of all kinds, of blocks and of
//! objects, and what objects are called. What is done with things of a kind is said by the file
//! that has it, and registered: how they are freed ([`crate::shm::heap::destroy`],
//! [`crate::shm::object::register`]), and who holds them.
//!
//! The first are kinds of objects, as in their headers. A new one takes a free number, and its
//! layer's `register` says what it is. A number is never written anywhere else;
//! `scripts/check_numbers.py` fails where one is compared.

/// One line for each: number, name in a program, words in a sentence.
macro_rules! kinds {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $name:literal, $words:literal;)*) => {
        $($(#[$doc])* pub const $constant: u64 = $number;)*

        /// All of them, with the name of the class or type, and what a message calls one.
        const TABLE: &[(u64, &str, &str)] = &[$(($constant, $name, $words)),*];
    };
}

kinds! {
    /// A `sync::lock`.
    LOCK = 1, "Lock", "the lock";
    /// A `sync::event`.
    EVENT = 2, "Event", "the event";
    /// A recursive `sync::lock`.
    RLOCK = 3, "RLock", "the re-entrant lock";
    /// A `sync::semaphore`.
    SEMAPHORE = 4, "Semaphore", "the semaphore";
    /// A `sync::condition`.
    CONDITION = 5, "Condition", "the condition";
    /// A `sync::barrier`.
    BARRIER = 6, "Barrier", "the barrier";
    /// A `sync::rwlock`.
    RWLOCK = 7, "RWLock", "the read-write lock";
    /// A `collections::list`.
    LIST = 8, "List", "the list";
    /// A `collections::dict`.
    DICT = 9, "Dict", "the dict";
    /// A `collections::dict` of keys alone.
    SET = 10, "Set", "the set";
    /// A `collections::dict` that counts.
    COUNTER = 11, "Counter", "the counter";
    /// A `collections::dict` of names.
    NAMESPACE = 12, "Namespace", "the namespace";
    /// A `collections::array`, which may be a single value.
    ARRAY = 13, "Array", "the array or value";
    /// A `channel::queue`.
    QUEUE = 14, "Queue", "the queue";
    /// An end of a `channel::pipe`.
    PIPE_END = 15, "Connection", "the connection";
    /// A `task::record`.
    TASK = 16, "Task", "the task";
    /// A `pool::board`.
    BOARD = 17, "Board", "the board of a pool";
    /// A `collections::array` that nobody changes.
    SLICE = 18, "SharedSlice", "the shared slice";
}

/// Numbers of kinds of objects that there can be.
pub const COUNT: usize = 32;

/// Kinds of blocks, as in their headers; 0 is a free one.
pub mod block {
    /// Bytes that refer to nothing.
    pub const RAW: u8 = 1;
    /// Bytes and the objects they refer to.
    pub const BLOB: u8 = 2;
    /// A block of a process's references.
    pub const REFERENCES: u8 = 3;
    /// An object, whose own kind says how it is taken apart.
    pub const OBJECT: u8 = 4;
    /// A table of segments of a list.
    pub const SEGMENTS: u8 = 5;
    /// Words that a container has let go of.
    pub const DEFERRED_ELEMENTS: u8 = 6;
    /// Index and entries of a dict.
    pub const STORE: u8 = 7;

    /// Numbers that there can be, 0 included.
    pub const COUNT: usize = 16;
}

/// The name of a kind in programs, as in `Lock`; `None` of a number that is no kind.
#[must_use]
pub fn name(kind: u64) -> Option<&'static str> {
    row(kind).map(|(_, name, _)| *name)
}

/// A kind in a sentence, as in `the lock`.
#[must_use]
pub fn words(kind: u64) -> &'static str {
    row(kind).map_or("the object", |(_, _, words)| *words)
}

fn row(kind: u64) -> Option<&'static (u64, &'static str, &'static str)> {
    TABLE.iter().find(|(number, _, _)| *number == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_number_and_no_name_twice() {
        let numbers: HashSet<_> = TABLE.iter().map(|row| row.0).collect();
        let names: HashSet<_> = TABLE.iter().map(|row| row.1).collect();
        let words: HashSet<_> = TABLE.iter().map(|row| row.2).collect();
        assert_eq!([numbers.len(), names.len(), words.len()], [TABLE.len(); 3]);
        assert!(!numbers.contains(&0));
    }

    #[test]
    fn what_is_none_has_words_too() {
        assert_eq!((name(RLOCK), words(RLOCK)), (Some("RLock"), "the re-entrant lock"));
        assert_eq!((name(0), words(99)), (None, "the object"));
    }
}
