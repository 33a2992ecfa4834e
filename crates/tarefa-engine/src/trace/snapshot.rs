//! Who waits for what, and who holds it, as it stands in the slots and objects now.
//!
//! Every thread's note and every object is read by itself, without a latch, and checked to be
//! of one wait or one object. What is read of one thread may be older than what is read of the
//! next, so a cycle is a deadlock only once [`Picture::is_stable`] has found every part of it
//! unchanged afterwards: between the two looks all of it was there at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::awaits::{self, Await};
use super::graph::{Graph, Item, Need, Node};
use crate::atomic::Ordering;
use crate::kinds;
use crate::os::clock::{self, Deadline};
use crate::os::procfs;
use crate::shm::Member;
use crate::shm::arena::layout::process_state;
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::shm::object::entries;
use crate::shm::object::robust_list;
use crate::shm::object::robust_list::Hold;
use crate::sync::lock::word::Holder;
use crate::sync::object_kinds;
use crate::sync::object_kinds::{Frees, Holders, Seen};
use crate::sync::wait::wait_record;
use crate::sync::wait::wait_record::{How, Wait};
use crate::sync::wait_queue;

/// How long the search for held objects may take.
const SEARCH: Duration = Duration::from_secs(2);

/// A thread of the runtime.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its slot.
    pub index: u32,
    /// What locks call it.
    pub name: u64,
    /// The slot of its process.
    pub process: u32,
    /// Its process.
    pub pid: i32,
    /// Its number in the system.
    pub tid: i32,
    /// What it waits for, if it does.
    pub wait: Option<Wait>,
}

/// An object that somebody holds or waits for.
#[derive(Clone, Debug)]
pub struct Object {
    /// Which.
    pub seen: Seen,
    /// Who holds it.
    pub holders: Vec<Holder>,
    /// Whether nobody else can let a waiter go.
    pub all: bool,
}

/// Holds that are noted, by object: slots of process and thread.
type Noted = HashMap<Off, Vec<(u32, u32)>>;

/// See the module.
#[derive(Debug)]
pub struct Picture {
    /// When it was taken, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// All threads, by slot.
    pub threads: BTreeMap<u32, Thread>,
    /// Objects that are held or waited for, by offset.
    pub objects: HashMap<Off, Object>,
    /// Coroutines that wait, each with the slot of its thread and the objects that it waits for.
    pub awaits: Vec<(u32, Await, Vec<Off>)>,
    /// Whether nothing was left out for want of time.
    pub complete: bool,
}

/// Looks at everything.
#[must_use]
pub fn look(me: &Member) -> Picture {
    let at_ns = clock::now_ns();
    let until = Deadline::after(Some(SEARCH));
    let threads = threads(me);
    let (referred, noted, mut complete) = references_of_all(me, until);
    let mut objects = HashMap::new();
    for off in threads.values().filter_map(|t| t.wait.as_ref()).flat_map(|w| &w.objects) {
        if let Some(seen) = object_kinds::see(me, *off) {
            objects.entry(*off).or_insert_with(|| object(me, seen, &noted));
        }
    }
    let awaits = awaits(me, &threads, &referred);
    for off in awaits.iter().flat_map(|(_, _, offs)| offs) {
        if let Some(seen) = object_kinds::see(me, *off) {
            objects.entry(*off).or_insert_with(|| object(me, seen, &noted));
        }
    }
    for off in referred {
        if objects.contains_key(&off) {
            continue;
        }
        // A task is held by the thread that runs it, which is nothing to tell.
        let seen = object_kinds::see(me, off).filter(|s| s.kind != kinds::TASK);
        if let Some(object) = seen.map(|s| object(me, s, &noted)) {
            if !object.holders.is_empty() {
                objects.insert(off, object);
            }
        }
        if until.passed() {
            complete = false;
            break;
        }
    }
    Picture { at_ns, threads, objects, awaits, complete }
}

/// Coroutines that wait in these threads. What they wait for their processes refer to.
fn awaits(
    me: &Member,
    threads: &BTreeMap<u32, Thread>,
    referred: &HashSet<Off>,
) -> Vec<(u32, Await, Vec<Off>)> {
    let slots: HashMap<(i32, i32), u32> =
        threads.values().map(|t| ((t.pid, t.tid), t.index)).collect();
    let pids: BTreeSet<i32> = threads.values().map(|t| t.pid).collect();
    let found = pids.into_iter().flat_map(|pid| awaits::of(pid).into_iter().map(move |a| (pid, a)));
    // One whose thread is gone waits no more: its loop has stopped.
    let found = found.filter_map(|(pid, it)| Some((*slots.get(&(pid, it.tid))?, it)));
    let found: Vec<(u32, Await)> = found.collect();
    if found.is_empty() {
        return Vec::new();
    }
    let seen = referred.iter().filter_map(|off| object_kinds::see(me, *off));
    let by_number: HashMap<u64, Off> = seen.map(|seen| (seen.id, seen.off)).collect();
    let with_objects = |(thread, it): (u32, Await)| {
        let offs = it.objects.iter().filter_map(|id| by_number.get(id).copied()).collect();
        (thread, it, offs)
    };
    found.into_iter().map(with_objects).collect()
}

fn object(me: &Member, seen: Seen, noted: &Noted) -> Object {
    let (mut holders, all) = match object_kinds::sort(seen.kind).map(|s| s.holders) {
        None | Some(Holders::Nobody) => (Vec::new(), false),
        Some(Holders::Of(find)) => (find(me, seen.off), true),
        Some(Holders::Noted(are_all)) => {
            let its = noted.get(&seen.off).map_or(&[][..], Vec::as_slice);
            let all = are_all(me, seen.off, its.len());
            let holder = |(process, thread)| Holder { process, thread, since_ns: 0 };
            (its.iter().copied().map(holder).collect(), all)
        }
    };
    holders.sort_unstable_by_key(|h| (h.thread, h.since_ns));
    holders.dedup_by_key(|h| h.thread);
    if object_kinds::see(me, seen.off) != Some(seen) {
        holders.clear();
    }
    Object { seen, holders, all }
}

/// What the members refer to, what is noted of holds, and whether that is all.
fn references_of_all(me: &Member, until: Deadline) -> (HashSet<Off>, Noted, bool) {
    let (mut referred, mut noted) = (HashSet::new(), Noted::new());
    let mut complete = true;
    let mut count = 0u64;
    let runtime = me.runtime();
    for process in slots::processes(runtime.arena()) {
        if slots::owner(slots::process_slot(runtime.arena(), process)).1 != process_state::LIVE {
            continue;
        }
        complete &= entries::inspect(me, process, &mut |entry| {
            count += 1;
            if count % 4096 == 0 && until.passed() {
                return false;
            }
            match Hold::unpack(entry) {
                None => {
                    referred.insert(Off(entry));
                }
                Some(hold) => {
                    let owner = &slots::thread_slot(runtime.arena(), hold.thread).owner;
                    if owner.load(Ordering::Acquire) == u64::from(process) + 1 {
                        noted.entry(hold.object).or_default().push((process, hold.thread));
                    }
                }
            }
            true
        });
    }
    (referred, noted, complete)
}

fn threads(me: &Member) -> BTreeMap<u32, Thread> {
    let runtime = me.runtime();
    let found = slots::threads(runtime.arena()).filter_map(|index| {
        let slot = slots::thread_slot(runtime.arena(), index);
        let tid = slot.tid.load(Ordering::Acquire) as i32;
        let name = slot.name.load(Ordering::Acquire);
        if tid == 0 || name == 0 {
            return None;
        }
        let process = slots::living_owner(runtime.arena(), (name >> 32) as u32)?;
        let (pid, state) = slots::owner(slots::process_slot(runtime.arena(), process));
        let wait =
            wait_record::of(me, index).filter(|w| w.thread == name && !is_told(me, index, w));
        (state == process_state::LIVE)
            .then_some((index, Thread { index, name, process, pid, tid, wait }))
    });
    found.collect()
}

/// Whether the wait is over, though its thread may still sleep.
fn is_told(me: &Member, index: u32, wait: &Wait) -> bool {
    wait.objects.iter().any(|off| wait_queue::is_told(me, index, *off))
}

fn need(frees: Frees) -> Need {
    match frees {
        Frees::One => Need::One,
        Frees::All => Need::All,
    }
}

impl Picture {
    /// The threads that wait, and for whom.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let nodes = self.threads.values().filter_map(|t| {
            let wait = t.wait.as_ref()?;
            Some((t.index, self.node(wait)))
        });
        nodes.collect()
    }

    /// The same with event loops, as if none had anything to do but the coroutines that wait here: who
    /// is stuck in it only perhaps is.
    #[must_use]
    pub fn graph_with_loops(&self) -> Graph {
        let mut graph = self.graph();
        for (thread, _, offs) in &self.awaits {
            if self.threads.get(thread).is_none_or(|t| t.wait.is_some()) {
                continue;
            }
            let items: Vec<Item> = offs.iter().map(|off| self.item(*off)).collect();
            // The coroutine needs all of its objects.
            let is_held = !items.is_empty() && items.iter().all(|item| !item.holders.is_empty());
            let mut holders = Vec::new();
            if is_held {
                holders.extend(items.into_iter().flat_map(|item| item.holders));
            }
            let new = || Node { need: Need::One, items: Vec::new() };
            graph.entry(*thread).or_insert_with(new).items.push(Item { need: Need::All, holders });
        }
        graph
    }

    fn item(&self, off: Off) -> Item {
        match self.objects.get(&off) {
            Some(object) if object.all => Item {
                need: object_kinds::sort(object.seen.kind).map_or(Need::All, |s| need(s.frees)),
                holders: object.holders.iter().map(|h| h.thread).collect(),
            },
            _ => Item { need: Need::All, holders: Vec::new() },
        }
    }

    fn node(&self, wait: &Wait) -> Node {
        let mut items: Vec<Item> = wait.objects.iter().map(|off| self.item(*off)).collect();
        if wait.more && wait.how == How::Any {
            // One of those that are not noted may end.
            items.push(Item { need: Need::All, holders: Vec::new() });
        }
        let need = if wait.how == How::Any { Need::One } else { Need::All };
        Node { need, items }
    }

    /// Whether the thread's wait gives up by itself.
    #[must_use]
    pub fn will_give_up(&self, thread: u32) -> bool {
        let wait = self.threads.get(&thread).and_then(|t| t.wait.as_ref());
        wait.is_some_and(|w| w.until_ns.is_some())
    }

    /// Whether all threads of the cycle are asleep in the waits they were seen in, and the same
    /// threads still hold what they wait for. Then they were all there at one instant.
    #[must_use]
    pub fn is_stable(&self, me: &Member, cycle: &[u32]) -> bool {
        cycle.iter().all(|index| {
            let Some(thread) = self.threads.get(index) else { return false };
            let Some(wait) = &thread.wait else { return self.still_await(me, thread) };
            // One that has just got what it waited for is on its way out of the wait.
            let asleep = procfs::thread_stat(thread.pid, thread.tid)
                .is_some_and(|s| matches!(s.state, 'S' | 'D' | 'I' | 'T' | 't'));
            asleep
                && self.are_still_held(me, &wait.objects)
                && !is_told(me, *index, wait)
                && wait_record::goes_on(me, *index, wait)
        })
    }

    /// Whether the thread, of an event loop, sleeps, with the same coroutines waiting in it.
    fn still_await(&self, me: &Member, thread: &Thread) -> bool {
        let sleeps =
            procfs::thread_stat(thread.pid, thread.tid).is_some_and(|stat| stat.state == 'S');
        let now = awaits::of(thread.pid);
        let now: Vec<&Await> = now.iter().filter(|it| it.tid == thread.tid).collect();
        let then = || self.awaits.iter().filter(|(slot, _, _)| *slot == thread.index);
        sleeps
            && then().map(|(_, it, _)| it).eq(now)
            && then().all(|(_, _, offs)| self.are_still_held(me, offs))
    }

    fn are_still_held(&self, me: &Member, objects: &[Off]) -> bool {
        let of =
            |o: &Object| (o.seen, o.all, o.holders.iter().map(|h| h.thread).collect::<Vec<_>>());
        objects.iter().all(|off| {
            let now = object_kinds::see(me, *off).map(|seen| {
                let is_noted = object_kinds::sort(seen.kind)
                    .is_some_and(|s| matches!(s.holders, Holders::Noted(_)));
                let noted = if is_noted { robust_list::holders(me, *off) } else { Vec::new() };
                of(&object(me, seen, &Noted::from([(*off, noted)])))
            });
            self.objects.get(off).map(of) == now
        })
    }
}
