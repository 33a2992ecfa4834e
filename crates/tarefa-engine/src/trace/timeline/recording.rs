//! Recording a timeline.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::assemble::{self, Known};
use super::data::{OnCore, Source, Timeline};
use super::deaths::Deaths;
use super::on_core::{Found, Watcher, Who};
use crate::atomic::Ordering;
use crate::os::clock;
use crate::shm::arena::layout::process_state;
use crate::shm::arena::offset::Off;
use crate::shm::member::runtime::forks;
use crate::shm::member::slots;
use crate::shm::trace::{Event, NoRoom, Reader, What, Written};
use crate::shm::{Member, Runtime};
use crate::task::inspect;

/// What a recording may leave out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Not when threads are on a core.
    pub without_cores: bool,
    /// Do not ask the kernel when threads are on a core, but sample it.
    pub only_samples: bool,
}

/// No recording can be made.
pub type NoRecording = NoRoom;

/// Events that are kept: 256 MiB of them. Beyond that the oldest are dropped, and counted as lost.
const MOST: usize = 256 << 20 >> 6;

/// A recording that goes on until it is dropped.
///
/// # Examples
/// ```no_run
/// use tarefa_engine::shm::Runtime;
/// use tarefa_engine::trace::timeline::{Options, Recording, Words};
///
/// let mut recording = Recording::start(&Runtime::default()?.me(), Options::default())?;
/// // ... tasks run ...
/// println!("{}", recording.timeline().text(80, &Words::ENGLISH));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recording {
    reader: Reader,
    watcher: Option<Watcher>,
    forks: u32,
    events: Vec<Written>,
    /// Events that were read and are kept no more.
    dropped: u64,
    names: HashMap<u16, String>,
    seeds: Vec<(Written, String)>,
    labels: HashMap<u64, String>,
    deaths: Deaths,
}

impl Recording {
    /// Begins one of all threads of the program.
    ///
    /// # Errors
    /// [`NoRecording`]: there is no memory for what they write down.
    pub fn start(me: &Member, options: Options) -> Result<Self, NoRecording> {
        let reader = Reader::start(me)?;
        let runtime = me.runtime();
        let watcher = (!options.without_cores)
            .then(|| Watcher::start(runtime, options.only_samples))
            .flatten();
        let (names, events) = (HashMap::new(), Vec::new());
        let seeds = Self::seeds(me, reader.since_ns());
        let mut made = Self {
            reader,
            watcher,
            forks: forks(),
            events,
            dropped: 0,
            names,
            seeds,
            labels: HashMap::new(),
            deaths: Deaths::default(),
        };
        made.deaths.watch(made.seeds.iter().map(|(written, _)| written));
        made.take_labels();
        Ok(made)
    }

    /// Tasks that run already: as if they had begun now.
    fn seeds(me: &Member, at_ns: u64) -> Vec<(Written, String)> {
        let running = slots::threads(me.arena()).filter_map(|index| {
            let slot = slots::thread_slot(me.arena(), index);
            let task = inspect::of(me, Off(slot.task.load(Ordering::Acquire)))?;
            let (thread, pid, tid) = who(me.runtime(), index)?;
            let what = What::TaskBegins { task: task.seen.id, is_thread: task.is_thread };
            Some((Written { thread, pid, tid, event: Event { at_ns, name: 0, what } }, task.name))
        });
        running.collect()
    }

    /// Takes what was written since the last time, and notes who has ended: often enough, so that nothing is dropped
    /// before, and the end of a process is known about when it was.
    pub fn collect(&mut self) {
        if self.forks != forks() {
            return;
        }
        let from = self.events.len();
        self.reader.read(&mut self.events);
        for written in &self.events[from..] {
            let number = written.event.name;
            if number != 0 && !self.names.contains_key(&number) {
                if let Some(name) = self.reader.name_of(number) {
                    self.names.insert(number, name);
                }
            }
        }
        self.deaths.watch(self.events[from..].iter());
        self.deaths.notice();
        if self.events.len() > MOST {
            let over = self.events.len() - MOST;
            self.events.drain(..over);
            self.dropped += over as u64;
        }
        self.take_labels();
    }

    /// What their language calls the threads, while they live.
    fn take_labels(&mut self) {
        let runtime = self.reader.runtime();
        for index in slots::threads(runtime.arena()) {
            let Some((thread, _, _)) = who(runtime, index) else { continue };
            if let Entry::Vacant(free) = self.labels.entry(thread) {
                let label = slots::thread_slot(runtime.arena(), index).label.get();
                if !label.is_empty() {
                    free.insert(label);
                }
            }
        }
    }

    /// Whether a process of which something was recorded lives, as far as was seen when it was last collected.
    #[must_use]
    pub fn some_live(&self) -> bool {
        self.deaths.some_live()
    }

    /// Events that are missing so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.reader.lost() + self.dropped
    }

    /// All so far. The recording goes on.
    pub fn timeline(&mut self) -> Timeline {
        // Before the events: what is seen on a core has its row in these.
        let found = self.watcher.as_ref().filter(|_| self.forks == forks()).map(Watcher::collect);
        let end_ns = clock::now_ns();
        self.collect();
        let begun: Vec<u64> = self.seeds.iter().map(|(written, _)| begun_task(written)).collect();
        // One that began just now may have written so, too.
        let is_new = |written: &&Written| match written.event.what {
            What::TaskBegins { task, .. } => !begun.contains(&task),
            _ => true,
        };
        let mut events: Vec<Written> =
            self.seeds.iter().map(|(written, _)| written.clone()).collect();
        events
            .extend(self.events.iter().filter(is_new).filter(|w| w.event.at_ns <= end_ns).cloned());
        let name_of = |number: u16| self.names.get(&number).cloned();
        let label_of = |thread: u64| self.labels.get(&thread).cloned();
        let known = Known {
            start_ns: self.reader.since_ns(),
            end_ns,
            name_of: &name_of,
            label_of: &label_of,
            death_of: &|owner| self.deaths.of(owner),
        };
        let mut made = assemble::assemble(&events, &known);
        self.name_seeds(&mut made);
        made.lost = self.lost();
        if let Some(found) = found {
            put_on_cores(&mut made, &found);
        }
        made
    }

    /// Their slices have no name yet.
    fn name_seeds(&self, made: &mut Timeline) {
        for (written, name) in &self.seeds {
            let task = begun_task(written);
            let number = made.names.len() as u32;
            let mut is_used = false;
            for slice in made.slices.iter_mut().filter(|slice| slice.task == task) {
                slice.name = number;
                is_used = true;
            }
            if !is_used || name.is_empty() {
                continue;
            }
            made.names.push(name.clone());
            let row = made.rows.iter_mut().find(|row| row.thread == written.thread);
            if let Some(row) = row {
                row.name.clone_from(name);
            }
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.forks != forks() {
            if let Some(watcher) = &mut self.watcher {
                watcher.forget();
            }
        }
    }
}

fn begun_task(written: &Written) -> u64 {
    match written.event.what {
        What::TaskBegins { task, .. } => task,
        _ => 0,
    }
}

/// Who uses that slot: its name, its process and its number.
fn who(runtime: &'static Runtime, index: u32) -> Option<(u64, i32, i32)> {
    let slot = slots::thread_slot(runtime.arena(), index);
    let (name, tid) = (slot.name.load(Ordering::Acquire), slot.tid.load(Ordering::Acquire));
    let process = slots::living_owner(runtime.arena(), (name >> 32) as u32)?;
    let (pid, state) = slots::owner(slots::process_slot(runtime.arena(), process));
    (state == process_state::LIVE && tid != 0).then_some((name, pid, tid as i32))
}

/// The spans of threads that have a row, as far as the timeline goes.
fn put_on_cores(made: &mut Timeline, found: &Found) {
    let rows: HashMap<Who, u32> =
        made.rows.iter().zip(0..).map(|(row, at)| ((row.pid, row.tid), at)).collect();
    let (start_ns, end_ns) = (made.start_ns, made.end_ns);
    let spans = found.spans.iter().filter_map(|span| {
        let row = *rows.get(&span.who)?;
        let on = OnCore {
            row,
            start_ns: span.on.start_ns.max(start_ns),
            end_ns: span.on.end_ns.min(end_ns),
            ..span.on
        };
        (on.start_ns < on.end_ns).then_some(on)
    });
    made.on_core = spans.collect();
    made.on_core.sort_by_key(|on| on.start_ns);
    // A core has one thread at a time: samples beside what the kernel says may be a little off.
    let mut until: HashMap<(bool, u32), u64> = HashMap::new();
    made.on_core.retain_mut(|on| {
        let keys = [(true, on.cpu), (false, on.row)];
        let free = keys.map(|key| until.get(&key).copied().unwrap_or(0));
        on.start_ns = on.start_ns.max(free[0]).max(free[1]);
        let is_left = on.start_ns < on.end_ns;
        if is_left {
            until.extend(keys.map(|key| (key, on.end_ns)));
        }
        is_left
    });
    made.on_core.sort_by_key(|on| (on.row, on.start_ns));
    let sources = found.sources.iter().filter(|(who, _)| rows.contains_key(who));
    made.source = sources.fold(Source::Unknown, |source, (_, its)| source.and(*its));
    made.lost += found.lost;
}
