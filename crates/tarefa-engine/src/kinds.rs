//! The numbers by which the arena knows what is what: one table of all kinds, of blocks and of
//! objects. What is done with things of a kind is said by the file that has it, and registered:
//! how they are freed ([`crate::shm::heap::destroy`], [`crate::shm::object::register`]), who holds
//! them, and what they are called.
//!
//! Those below are kinds of objects, as in their headers. A new one takes a free number, and its
//! layer's `register` says what it is.

/// A lock that its owner may not take again.
pub const LOCK: u64 = 1;
/// An event.
pub const EVENT: u64 = 2;
/// A lock that its owner may take again.
pub const RLOCK: u64 = 3;
/// A semaphore.
pub const SEMAPHORE: u64 = 4;
/// A condition.
pub const CONDITION: u64 = 5;
/// A barrier.
pub const BARRIER: u64 = 6;
/// A read-write lock.
pub const RWLOCK: u64 = 7;
/// A list.
pub const LIST: u64 = 8;
/// A dict.
pub const DICT: u64 = 9;
/// A dict of keys alone.
pub const SET: u64 = 10;
/// A dict that counts.
pub const COUNTER: u64 = 11;
/// A dict of names.
pub const NAMESPACE: u64 = 12;
/// An array.
pub const ARRAY: u64 = 13;
/// A task's record.
pub const TASK: u64 = 16;

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
