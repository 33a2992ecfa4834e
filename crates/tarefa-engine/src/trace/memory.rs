//! What the shared memory of a program holds, and for whom.
//!
//! Blocks name no owner, but whatever holds one has its offset in a word. So the blocks of an object
//! are those that its words lead to, and theirs, up to the next object; what is in blobs and in arrays
//! is not looked into. A word that by chance is the offset of a block leads there, too: so what an
//! object has is as good as certain, and no promise.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::atomic::Ordering;
use crate::kinds::{self, block};
use crate::os::clock::Deadline;
use crate::os::memfd;
use crate::shm::Member;
use crate::shm::arena::layout::process_state;
use crate::shm::heap::survey::{self, Block};
use crate::shm::heap::usage;
use crate::shm::member::slots;
use crate::shm::object::entries;
use crate::shm::object::robust_list::Hold;
use crate::sync::object_kinds::{self, Seen};

/// How long looking may take.
const SEARCH: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Bytes that may be in use.
    pub limit: u64,
    /// Bytes that blocks are in.
    pub used: u64,
    /// Bytes claimed from the system, among them some that are kept for blocks to come.
    pub claimed: u64,
    /// Bytes that the system has given.
    pub resident: u64,
    /// By what blocks hold, the most bytes first.
    pub kinds: Vec<KindUsage>,
    /// All objects with what they hold, the largest first.
    pub objects: Vec<ObjectUsage>,
    /// By process.
    pub owners: Vec<OwnerUsage>,
    /// Whether nothing was left out for want of time.
    pub complete: bool,
}

/// Objects of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindUsage {
    /// What they are called, as in `List`; what is no object's, in words.
    pub name: &'static str,
    /// How many.
    pub count: u64,
    /// Their bytes, with what they hold.
    pub bytes: u64,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectUsage {
    /// Which.
    pub seen: Seen,
    /// What it is called, as in `List`.
    pub name: &'static str,
    /// Its bytes, with what it holds.
    pub bytes: u64,
    /// Its blocks.
    pub blocks: u64,
}

/// A process, and what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerUsage {
    /// The process.
    pub pid: i32,
    /// Objects that it refers to.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of those that no other process refers to.
    pub alone: u64,
}

/// Bytes in use, and objects alive.
pub(super) fn in_use(me: &Member) -> (u64, u64) {
    (usage::in_use(me), me.header().objects.load(Ordering::Relaxed))
}

/// Looks at everything.
pub(super) fn look(me: &Member) -> Memory {
    let until = Deadline::after(Some(SEARCH));
    let mut blocks: HashMap<u64, Block> = HashMap::new();
    let mut complete = survey::blocks(me, &mut |block| {
        blocks.insert(block.off.0, block);
        blocks.len() % 4096 != 0 || !until.passed()
    });
    let mut taken = HashSet::new();
    let mut objects = Vec::new();
    for start in blocks.values().filter(|b| b.kind == block::OBJECT) {
        let Some(seen) = object_kinds::see(me, start.off) else { continue };
        let (bytes, count) = reach(me, &blocks, &mut taken, start, seen.kind);
        let name = object_kinds::name(me, seen);
        objects.push(ObjectUsage { seen, name, bytes, blocks: count });
        if until.passed() {
            complete = false;
            break;
        }
    }
    objects.sort_by_key(|o| (std::cmp::Reverse(o.bytes), o.seen.id));
    let kinds = by_kind(&objects, &blocks, &taken);
    let owners = by_owner(me, &objects);
    let header = me.header();
    Memory {
        limit: header.limit.load(Ordering::Relaxed),
        used: usage::in_use(me),
        claimed: header.claimed.load(Ordering::Relaxed),
        resident: memfd::held(me.arena().fd()).unwrap_or(0),
        kinds,
        objects,
        owners,
        complete,
    }
}

/// Bytes and number of the blocks that an object has, itself included.
fn reach(
    me: &Member,
    blocks: &HashMap<u64, Block>,
    taken: &mut HashSet<u64>,
    start: &Block,
    kind: u64,
) -> (u64, u64) {
    let (mut bytes, mut count) = (start.room, 1);
    let mut ahead = vec![*start];
    taken.insert(start.off.0);
    while let Some(block) = ahead.pop() {
        // What an array holds are numbers of the user's; that of all others are words of ours.
        let leads_on = match block.kind {
            block::RAW => !matches!(kind, kinds::ARRAY | kinds::SLICE),
            block::BLOB => false,
            _ => true,
        };
        if !leads_on {
            continue;
        }
        survey::candidates(me, &block, &mut |off| {
            if let Some(next) = blocks.get(&off.0) {
                let is_own = !matches!(next.kind, block::OBJECT | block::REFERENCES);
                if is_own && taken.insert(off.0) {
                    bytes += next.room;
                    count += 1;
                    ahead.push(*next);
                }
            }
            true
        });
    }
    (bytes, count)
}

fn by_kind(
    objects: &[ObjectUsage],
    blocks: &HashMap<u64, Block>,
    taken: &HashSet<u64>,
) -> Vec<KindUsage> {
    let mut found: Vec<KindUsage> = Vec::new();
    let mut add = |name, bytes| match found.iter_mut().find(|kind| kind.name == name) {
        Some(kind) => (kind.count, kind.bytes) = (kind.count + 1, kind.bytes + bytes),
        None => found.push(KindUsage { name, count: 1, bytes }),
    };
    for object in objects {
        add(object.name, object.bytes);
    }
    for block in blocks.values().filter(|block| !taken.contains(&block.off.0)) {
        let name = match block.kind {
            block::REFERENCES => "references of processes",
            _ => "bytes of no object",
        };
        add(name, block.room);
    }
    found.sort_by_key(|kind| (std::cmp::Reverse(kind.bytes), kind.name));
    found
}

fn by_owner(me: &Member, objects: &[ObjectUsage]) -> Vec<OwnerUsage> {
    let sizes: HashMap<u64, u64> = objects.iter().map(|o| (o.seen.off.0, o.bytes)).collect();
    let mut holders: HashMap<u64, u64> = HashMap::new();
    let mut held = Vec::new();
    for index in slots::processes(me.arena()) {
        let (pid, state) = slots::owner(slots::process_slot(me.arena(), index));
        if state != process_state::LIVE {
            continue;
        }
        let mut own = HashSet::new();
        entries::inspect(me, index, &mut |entry| {
            if Hold::unpack(entry).is_none() && sizes.contains_key(&entry) {
                own.insert(entry);
            }
            true
        });
        for off in &own {
            *holders.entry(*off).or_default() += 1;
        }
        held.push((pid, own));
    }
    let mut found: Vec<OwnerUsage> = held
        .into_iter()
        .map(|(pid, own)| OwnerUsage {
            pid,
            objects: own.len() as u64,
            bytes: own.iter().map(|off| sizes[off]).sum(),
            alone: own.iter().filter(|off| holders[off] == 1).map(|off| sizes[off]).sum(),
        })
        .collect();
    found.sort_by_key(|owner| (std::cmp::Reverse(owner.bytes), owner.pid));
    found
}
