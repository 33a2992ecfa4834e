//! What this process itself knows of the objects it has: `shm::object` keeps these tables, each
//! process its own; they lie here because a process has them as long as it is a member.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::shm::arena::offset::Off;

/// A process's own view of what it holds.
#[derive(Debug, Default)]
pub(in crate::shm) struct ProcessReferences {
    pub(in crate::shm) objects: HashMap<Off, Holding, BuildHasherDefault<Spread>>,
    pub(in crate::shm) holds: HoldTable,
    pub(in crate::shm) entries: Entries,
}

/// An object that a forked process takes over: where, its number, and how many handles there are.
pub(in crate::shm) type Inherited = (Off, u64, u64);

impl ProcessReferences {
    /// Objects held, with their ids: what a forked process takes over.
    pub(in crate::shm) fn all(&self) -> Vec<Inherited> {
        self.objects.iter().map(|(off, h)| (*off, h.id, h.handles)).collect()
    }

    /// Counts one handle more of each object: those.
    pub(in crate::shm) fn add_handle_to_each(&mut self) -> impl Iterator<Item = Off> {
        self.objects.iter_mut().map(|(off, holding)| {
            holding.handles += 1;
            *off
        })
    }

    /// One handle of a process that has more of that object is none of its own.
    pub(in crate::shm) fn drop_handle(&mut self, off: Off) {
        if let Some(holding) = self.objects.get_mut(&off) {
            holding.handles -= 1;
        }
    }
}

/// Of one object: handles of this process, the entry that stands for them, and its number.
#[derive(Clone, Copy, Debug)]
pub(in crate::shm) struct Holding {
    pub(in crate::shm) handles: u64,
    pub(in crate::shm) entry: Off,
    pub(in crate::shm) id: u64,
}

/// The blocks of a process that have free entries.
#[derive(Debug, Default)]
pub(in crate::shm) struct Entries {
    /// Each of them once; entries are taken from the last.
    pub(in crate::shm) with_room: Vec<Off>,
    /// Of all blocks.
    pub(in crate::shm) blocks: usize,
    /// Blocks without a reference.
    pub(in crate::shm) empty: usize,
}

/// A process's own view: the entries of each hold, packed. A thread may have several alike.
pub(in crate::shm) type HoldTable = HashMap<u64, Vec<Off>, BuildHasherDefault<Spread>>;

/// Spreads the bits of a packed hold: the process chose them, so nobody attacks the table.
#[derive(Debug, Default)]
pub(in crate::shm) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}
