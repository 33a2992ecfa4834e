//! Who holds what, who waits for whom, and who will wait for ever.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::graph;
use super::locate::LOCATE;
use crate::atomic::Ordering;
use crate::kinds;
use crate::os::clock::Deadline;
use crate::os::{process, procfs};
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::shm::{Member, Runtime};
use crate::sync::object_kinds;
use crate::sync::object_kinds::Seen;
use crate::sync::wait::wait_record::How;
use crate::task::{inspect, role};
use crate::trace::snapshot;
use crate::trace::snapshot::{Object, Picture, Thread};

/// Looks at what may be a deadlock, before it is none.
const LOOKS: u32 = 5;
/// How long asking threads where they stand may take, all together and each.
const ASKING: Duration = Duration::from_millis(1500);
const ASKING_ONE: u64 = 300;

/// A picture of the runtime: see [`deadlocks`].
#[derive(Clone, Debug)]
pub struct Report {
    /// When it was taken, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// Threads that wait or hold something, or that somebody waits for, by slot.
    pub threads: Vec<Standing>,
    /// Coroutines that wait, each in a thread that goes on with its event loop.
    pub awaits: Vec<Awaits>,
    /// Cycles of threads that wait for one another and cannot go on: indices into `threads`.
    pub cycles: Vec<Vec<usize>>,
    /// Cycles that will end, because somebody in them waits with a timeout.
    pub passing: Vec<Vec<usize>>,
    /// Cycles with the coroutines of an event loop in them: others of that loop may end them, which
    /// nobody knows.
    pub perhaps: Vec<Vec<usize>>,
    /// Whether all held objects were looked at.
    pub complete: bool,
}

/// A thread, and how it stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its process.
    pub pid: i32,
    /// Its number in the system.
    pub tid: i32,
    /// The task that it runs, while that is there.
    pub task: Option<Seen>,
    /// That task's name.
    pub task_name: Option<String>,
    /// Its process for people, as in `process 'a' (pid 10)`.
    pub process_label: String,
    /// The thread itself for people, as in `MainThread` or `thread 'b'`.
    pub thread_label: String,
    /// What it waits for.
    pub waits: Option<Waits>,
    /// What it holds.
    pub holds: Vec<Holds>,
    /// Where in the program it stands, as in `app.py:12 in f`; `None` when that is not known.
    pub place: Option<String>,
}

/// What a thread waits for.
#[derive(Clone, Debug)]
pub struct Waits {
    /// The objects and tasks; none when it waits for something else.
    pub things: Vec<Thing>,
    /// Whether it needs one of several, or all.
    pub how: How,
    /// Whether there are more things than these.
    pub more: bool,
    /// Since when, in nanoseconds of the monotonic clock.
    pub since_ns: u64,
    /// When it gives up.
    pub until_ns: Option<u64>,
}

/// A coroutine that waits, in a task of its event loop.
#[derive(Clone, Debug)]
pub struct Awaits {
    /// The thread that runs the loop: an index into [`Report::threads`].
    pub thread: usize,
    /// What the task is called in its loop, as in `Task-2`.
    pub name: String,
    /// What it waits for; no things: a call of a pool of threads.
    pub waits: Waits,
    /// Where it stands, as in `app.py:12 in f`; `None` where that is not known.
    pub place: Option<String>,
}

/// An object or a task, with those who hold it or run it.
#[derive(Clone, Debug)]
pub struct Thing {
    /// The object.
    pub seen: Seen,
    /// Its name for people, as in `Lock 4`.
    pub name: String,
    /// Indices into [`Report::threads`].
    pub holders: Vec<usize>,
}

/// What a thread holds.
#[derive(Clone, Debug)]
pub struct Holds {
    /// The object.
    pub seen: Seen,
    /// Its name for people.
    pub name: String,
    /// Since when, in nanoseconds of the monotonic clock, to within some milliseconds; `None` of
    /// what does not note it.
    pub since_ns: Option<u64>,
}

/// Who waits for whom in the runtime now, over all of its processes and threads. Takes no latch,
/// so it works, too, where all is stuck.
#[must_use]
pub fn deadlocks(me: &Member) -> Report {
    deadlocks_with(me, &BTreeMap::new())
}

/// The same, with what the caller knows of where threads of its own process stand, by thread id.
#[must_use]
pub fn deadlocks_with(me: &Member, known: &BTreeMap<i32, String>) -> Report {
    let mut looks = 0;
    let (picture, lasting, passing, perhaps) = loop {
        looks += 1;
        let picture = snapshot::look(me);
        let graph = picture.graph();
        let mut lasting = graph::cycles(&graph, &|t| picture.will_give_up(t));
        let mut passing = graph::cycles(&graph, &|_| false);
        let mut perhaps = Vec::new();
        if !picture.awaits.is_empty() {
            let graph = picture.graph_with_loops();
            perhaps = graph::cycles(&graph, &|t| picture.will_give_up(t));
            perhaps.retain(|cycle| !lasting.contains(cycle));
        }
        let found = lasting.len() + passing.len() + perhaps.len();
        lasting.retain(|c| picture.is_stable(me, c));
        passing.retain(|c| picture.is_stable(me, c));
        perhaps.retain(|c| picture.is_stable(me, c));
        if found == lasting.len() + passing.len() + perhaps.len() || looks == LOOKS {
            break (picture, lasting, passing, perhaps);
        }
        process::nap();
    };
    let in_lasting: BTreeSet<u32> = lasting.iter().flatten().copied().collect();
    let ends = |c: &Vec<u32>| c.iter().all(|t| !in_lasting.contains(t));
    let passing: Vec<_> = passing.into_iter().filter(ends).collect();
    Maker { me, picture: &picture, known, runtime: me.runtime() }
        .report(&lasting, &passing, &perhaps)
}

struct Maker<'a> {
    me: &'a Member,
    picture: &'a Picture,
    known: &'a BTreeMap<i32, String>,
    runtime: &'static Runtime,
}

impl Maker<'_> {
    fn report(&self, lasting: &[Vec<u32>], passing: &[Vec<u32>], perhaps: &[Vec<u32>]) -> Report {
        let mut holds: BTreeMap<u32, Vec<Holds>> = BTreeMap::new();
        let mut shown: BTreeSet<u32> = BTreeSet::new();
        for object in self.picture.objects.values() {
            for holder in &object.holders {
                if object.seen.kind == kinds::TASK {
                    shown.insert(holder.thread);
                    continue;
                }
                holds.entry(holder.thread).or_default().push(Holds {
                    seen: object.seen,
                    name: self.name(object.seen),
                    since_ns: Some(holder.since_ns).filter(|ns| *ns != 0),
                });
            }
        }
        let waits = |t: &&Thread| t.wait.as_ref().is_some_and(|w| w.how != How::Pause);
        shown.extend(holds.keys());
        shown.extend(self.picture.threads.values().filter(waits).map(|t| t.index));
        shown.extend(self.picture.awaits.iter().map(|(thread, _, _)| *thread));
        shown.retain(|t| self.picture.threads.get(t).is_some_and(|t| !self.looks_out(t)));
        let place_of: HashMap<u32, usize> =
            shown.iter().enumerate().map(|(i, t)| (*t, i)).collect();
        let mut labels = HashMap::new();
        let until = Deadline::after(Some(ASKING));
        let threads = shown.iter().map(|t| {
            let mut held = holds.remove(t).unwrap_or_default();
            held.sort_by_key(|h| (h.since_ns, h.seen.id));
            self.standing(&self.picture.threads[t], held, &place_of, &mut labels, until)
        });
        let threads = threads.collect();
        let awaits = self.picture.awaits.iter().filter_map(|(thread, it, offs)| {
            let things = offs.iter().filter_map(|off| self.picture.objects.get(off));
            Some(Awaits {
                thread: *place_of.get(thread)?,
                name: it.name.clone(),
                waits: Waits {
                    things: things.map(|o| self.thing(o, &place_of)).collect(),
                    how: How::All,
                    more: it.more,
                    since_ns: it.since_ns,
                    until_ns: None,
                },
                place: Some(it.place.clone()).filter(|place| !place.is_empty()),
            })
        });
        let mut awaits: Vec<Awaits> = awaits.collect();
        awaits.sort_by_key(|it| (it.thread, it.waits.since_ns));
        let cycle = |c: &Vec<u32>| c.iter().filter_map(|t| place_of.get(t).copied()).collect();
        Report {
            at_ns: self.picture.at_ns,
            threads,
            awaits,
            cycles: lasting.iter().map(cycle).collect(),
            passing: passing.iter().map(cycle).collect(),
            perhaps: perhaps.iter().map(cycle).collect(),
            complete: self.picture.complete,
        }
    }

    /// Whether it is a thread of ours that waits for what coroutines of its process await: they are
    /// who waits.
    fn looks_out(&self, thread: &Thread) -> bool {
        let Some(wait) = &thread.wait else { return false };
        let is_awaited = |off: &Off| {
            self.picture.awaits.iter().any(|(waiter, _, offs)| {
                let loops = self.picture.threads.get(waiter);
                loops.is_some_and(|t| t.process == thread.process) && offs.contains(off)
            })
        };
        wait.place.is_empty() && !wait.objects.is_empty() && wait.objects.iter().all(is_awaited)
    }

    fn standing(
        &self,
        thread: &Thread,
        holds: Vec<Holds>,
        place_of: &HashMap<u32, usize>,
        labels: &mut HashMap<u32, String>,
        until: Deadline,
    ) -> Standing {
        let slot = slots::thread_slot(self.runtime.arena(), thread.index);
        let task = inspect::of(self.me, Off(slot.task.load(Ordering::Acquire)));
        let label = slot.label.get();
        let thread_label = match &task {
            Some(task) if task.is_thread => format!("thread '{}'", task.name),
            _ if !label.is_empty() => label,
            _ if thread.tid == thread.pid => "MainThread".to_owned(),
            _ => procfs::thread_name(thread.pid, thread.tid)
                .map_or_else(|| "thread".to_owned(), |n| format!("thread {} ({n})", thread.tid)),
        };
        let process_label = labels
            .entry(thread.process)
            .or_insert_with(|| self.process_label(thread.process, thread.pid))
            .clone();
        let waits = thread.wait.as_ref().filter(|w| w.how != How::Pause).map(|wait| {
            let things = wait.objects.iter().filter_map(|off| self.picture.objects.get(off));
            Waits {
                things: things.map(|o| self.thing(o, place_of)).collect(),
                how: wait.how,
                more: wait.more,
                since_ns: wait.since_ns,
                until_ns: wait.until_ns,
            }
        });
        Standing {
            pid: thread.pid,
            tid: thread.tid,
            task: task.as_ref().map(|t| t.seen),
            task_name: task.map(|t| t.name),
            process_label,
            thread_label,
            waits,
            holds,
            place: self.place(thread, until),
        }
    }

    /// A thread that waits has noted it; the others are asked.
    fn place(&self, thread: &Thread, until: Deadline) -> Option<String> {
        let noted = thread.wait.as_ref().map(|w| w.place.clone()).filter(|p| !p.is_empty());
        if noted.is_some() || thread.wait.is_some() {
            return noted;
        }
        if thread.pid == process::pid() {
            if let Some(known) = self.known.get(&thread.tid) {
                return Some(known.clone());
            }
        }
        if thread.index == self.me.index() || until.passed() {
            return None;
        }
        LOCATE.get()?(thread.process, thread.pid, thread.tid, ASKING_ONE)
    }

    fn process_label(&self, index: u32, pid: i32) -> String {
        let slot = slots::process_slot(self.runtime.arena(), index);
        let task = inspect::of(self.me, Off(slot.task.load(Ordering::Acquire)));
        match (task, slot.role.load(Ordering::Relaxed)) {
            (Some(task), role::TASK) => format!("process '{}' (pid {pid})", task.name),
            (_, role::ZYGOTE) => format!("zygote (pid {pid})"),
            _ if pid == self.runtime.root_pid() => format!("main program (pid {pid})"),
            _ => format!("process (pid {pid})"),
        }
    }

    fn name(&self, seen: Seen) -> String {
        if seen.kind == kinds::TASK {
            return match inspect::of(self.me, seen.off) {
                Some(task) if task.is_thread => format!("thread '{}'", task.name),
                Some(task) => format!("process '{}'", task.name),
                None => "a task that has ended".to_owned(),
            };
        }
        if seen.kind == kinds::BOARD {
            return format!("Pool {}", seen.id);
        }
        format!("{} {}", object_kinds::name(self.me, seen), seen.id)
    }

    fn thing(&self, object: &Object, place_of: &HashMap<u32, usize>) -> Thing {
        let holders = object.holders.iter().filter_map(|h| place_of.get(&h.thread).copied());
        Thing { seen: object.seen, name: self.name(object.seen), holders: holders.collect() }
    }
}

impl Report {
    /// Whether somebody waits for ever.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        !self.cycles.is_empty()
    }

    /// All who wait.
    pub fn waiting(&self) -> impl Iterator<Item = &Standing> {
        self.threads.iter().filter(|t| t.waits.is_some())
    }

    /// All who hold something.
    pub fn holding(&self) -> impl Iterator<Item = &Standing> {
        self.threads.iter().filter(|t| !t.holds.is_empty())
    }
}

impl Standing {
    /// Where the thread stands, without the folders of its file; empty where that is not known.
    #[must_use]
    pub fn short_place(&self) -> &str {
        short(self.place.as_deref())
    }
}

impl Awaits {
    /// Where it stands, without the folders of its file; empty where that is not known.
    #[must_use]
    pub fn short_place(&self) -> &str {
        short(self.place.as_deref())
    }
}

fn short(place: Option<&str>) -> &str {
    let place = place.unwrap_or_default();
    // The folders end at the last slash before the line's number.
    let file = place.find(".py:").or_else(|| place.find(".rs:")).unwrap_or(0);
    let folders = place[..file].rfind('/').map_or(0, |slash| slash + 1);
    &place[folders..]
}
