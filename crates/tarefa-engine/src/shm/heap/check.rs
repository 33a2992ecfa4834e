//! Whether the heap is whole: for tests, while nobody uses it.

use std::collections::{BTreeMap, HashSet};

use super::blocks::header;
use super::kind::Kind;
use super::{page_map, size_classes, unit_table};
use crate::atomic::{AtomicU64, Ordering};
use crate::kinds::block;
use crate::shm::arena::layout::{CLASSES, ORDERS, PAGE, UNIT, claimed_at, heap_at, unit_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::member::slots;

/// What the runtime holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Blocks in use, by kind.
    pub blocks: BTreeMap<u8, u64>,
    /// Bytes asked for with them.
    pub bytes: u64,
    /// Objects alive.
    pub objects: u64,
    /// Process slots taken.
    pub processes: u64,
    /// Thread slots taken.
    pub threads: u64,
    /// Everything that is wrong, in words.
    pub faults: Vec<String>,
}

struct Checker<'a> {
    me: &'a Member,
    report: Report,
}

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Acquire)
}

/// Walks everything. Nobody may change anything meanwhile.
#[must_use]
pub fn check(me: &Member) -> Report {
    let mut it = Checker { me, report: Report::default() };
    it.latches();
    it.slots();
    let free = it.units();
    it.free_runs(&free);
    it.classes();
    it.report.objects = get(&me.header().objects);
    let objects = it.report.blocks.get(&block::OBJECT).copied().unwrap_or(0);
    if objects != it.report.objects {
        it.fault(format!("{objects} blocks of objects, {} objects", it.report.objects));
    }
    it.report
}

impl Checker<'_> {
    fn fault(&mut self, text: String) {
        self.report.faults.push(text);
    }

    fn latches(&mut self) {
        for (i, latch) in super::latches(self.me).enumerate() {
            if let Some(holder) = latch.holder() {
                self.fault(format!("latch {i} is held by thread slot {holder}"));
            }
        }
    }

    fn slots(&mut self) {
        let runtime = self.me.runtime();
        for index in slots::processes(runtime.arena()) {
            let slot = slots::process_slot(runtime.arena(), index);
            if get(&slot.owner) != 0 {
                self.report.processes += 1;
            } else if get(&slot.task) | get(&slot.references) | get(&slot.watched) != 0 {
                self.fault(format!("free process slot {index} is not clear"));
            }
        }
        for index in slots::threads(runtime.arena()) {
            let slot = slots::thread_slot(runtime.arena(), index);
            self.report.threads += u64::from(get(&slot.owner) != 0);
            let held = slot.held.iter().filter(|h| get(h) != 0).count();
            let words =
                [&slot.chain, &slot.run, &slot.claiming, &slot.journal_len, &slot.journal_more]
                    .map(get);
            if held != 0 || words != [0; 5] {
                self.fault(format!(
                    "thread slot {index}: {held} latches held; chain, run, pages, journal \
                     and its block {words:?}"
                ));
            }
        }
    }

    /// The units in order; returns the heads of free runs.
    fn units(&mut self) -> Vec<(u64, usize)> {
        let (me, mut free, mut unit) = (self.me, Vec::new(), 0);
        let (mut retained, frontier) = (0, get(&me.header().frontier));
        while unit < frontier {
            let entry = unit_table::entry(me, unit);
            let state = get(&entry.state);
            let (order, class) = ((state >> 8 & 0xff) as usize, (state >> 16 & 0xff) as usize);
            let count = match state & 0xff {
                unit_state::FREE => 1 << order,
                unit_state::SLAB => size_classes::units(class.min(CLASSES - 1)),
                _ => unit_table::units_of(state),
            };
            let aligned = count != 0 && unit % count.next_power_of_two() == 0;
            if !aligned || unit + count > frontier {
                self.fault(format!("unit {unit}: a run of {count} does not fit"));
                return free;
            }
            match state & 0xff {
                unit_state::FREE => {
                    free.push((unit, order));
                    retained += self.free_run(unit, order);
                }
                unit_state::SLAB => self.slab(unit, class),
                unit_state::LARGE => self.large(unit, count),
                other => self.fault(format!("unit {unit}: state {other}, {count} units")),
            }
            let body = (unit + 1..unit + count)
                .find(|u| get(&unit_table::entry(me, *u).state) != unit_state::BODY);
            if let Some(body) = body {
                self.fault(format!("unit {body}, inside the run {unit}, has a state"));
            }
            unit += count;
        }
        if retained != get(&me.header().retained) {
            self.fault(format!("{retained} retained, {} noted", get(&me.header().retained)));
        }
        self.claimed_pages();
        free
    }

    /// A free run: it is joined with its neighbour, and notes how much of it is claimed, in bytes.
    fn free_run(&mut self, unit: u64, order: usize) -> u64 {
        let (me, entry) = (self.me, unit_table::entry(self.me, unit));
        let buddy = unit ^ (1 << order);
        let same = buddy < get(&me.header().frontier)
            && get(&unit_table::entry(me, buddy).state) == get(&entry.state);
        if same && order + 1 < ORDERS {
            self.fault(format!("free runs {unit} and {buddy} are not joined"));
        }
        let claimed = page_map::count(me, unit_table::at(me, unit), UNIT << order);
        let noted = get(&entry.retained);
        if claimed != noted {
            self.fault(format!("free run {unit}: {claimed} bytes claimed, {noted} noted"));
        }
        claimed
    }

    /// The bitmap of claimed pages: as many as the header says, and none behind the frontier.
    fn claimed_pages(&mut self) {
        let (me, frontier) = (self.me, get(&self.me.header().frontier));
        let all = page_map::count(me, Off(heap_at(me.arena().len())), frontier * UNIT);
        if all != get(&me.header().claimed) {
            self.fault(format!("{all} claimed, {} noted", get(&me.header().claimed)));
        }
        let (first, end) =
            (unit_table::at(me, frontier).0 / PAGE, unit_table::total(me) * UNIT / PAGE);
        let beyond = (first.div_ceil(64)..(first + 4096).min(end) / 64)
            .any(|w| get(me.arena().at(Off(claimed_at(me.arena().len()) + w * 8))) != 0);
        if beyond {
            self.fault("pages behind the frontier are claimed".to_owned());
        }
    }

    fn block(&mut self, at: Off, most: u64) {
        let info = get(&header(self.me, at).info);
        match Kind::of(info) {
            Some(kind) if info >> 8 <= most => {
                *self.report.blocks.entry(kind.number()).or_default() += 1;
                self.report.bytes += info >> 8;
            }
            _ => self.fault(format!("block {at:?} of {most} bytes: info {info:x}")),
        }
    }

    fn large(&mut self, unit: u64, count: u64) {
        let at = unit_table::at(self.me, unit);
        let size = get(&unit_table::entry(self.me, unit).head);
        if size.div_ceil(UNIT) != count || size != get(&header(self.me, at).info) >> 8 {
            self.fault(format!("large block {at:?}: size {size}"));
        }
        self.block(at, size);
    }

    fn slab(&mut self, unit: u64, class: usize) {
        let (me, entry) = (self.me, unit_table::entry(self.me, unit));
        if class >= CLASSES {
            return self.fault(format!("slab {unit}: class {class}"));
        }
        let (start, size) = (unit_table::at(me, unit), size_classes::size_of_class(class));
        let (used, carved) = (get(&entry.used), get(&entry.carved));
        let mut free = HashSet::new();
        let mut at = get(&entry.head);
        while at != 0 {
            let inside = at >= start.0 && (at - start.0) % size == 0;
            if !inside || (at - start.0) / size >= carved || !free.insert(at) {
                self.fault(format!("slab {unit}: free list is broken at {at:x}"));
                break;
            }
            at = get(&header(me, Off(at)).next);
        }
        if carved > size_classes::capacity(class) || used + free.len() as u64 != carved {
            self.fault(format!("slab {unit}: {used} used, {} free of {carved}", free.len()));
        }
        // Where memory was short only what is carved is backed.
        let claimed = page_map::count(me, start, carved * size);
        if claimed < (carved * size).next_multiple_of(PAGE) {
            self.fault(format!("slab {unit} of class {class}: {claimed} bytes are claimed"));
        }
        for i in 0..carved {
            let at = start.plus(i * size);
            if !free.contains(&at.0) {
                self.block(at, size);
            } else if get(&header(me, at).info) != 0 {
                self.fault(format!("free block {at:?} has an info"));
            }
        }
    }

    /// A list of units from `first`: (unit number, in order); faults for wrong back links.
    fn list(&mut self, what: &str, first: u64) -> Vec<u64> {
        let (mut found, mut before, mut next) = (Vec::new(), 0, first);
        let mut seen = HashSet::new();
        while next != 0 {
            if next > get(&self.me.header().frontier) || !seen.insert(next) {
                self.fault(format!("{what}: broken at {next}"));
                break;
            }
            let entry = unit_table::entry(self.me, next - 1);
            if get(&entry.prev) != before {
                self.fault(format!("{what}: unit {} has a wrong back link", next - 1));
            }
            found.push(next - 1);
            (before, next) = (next, get(&entry.next));
        }
        found
    }

    fn free_runs(&mut self, free: &[(u64, usize)]) {
        let h = self.me.header();
        for (warm, lists) in [(false, &h.cold_runs), (true, &h.warm_runs)] {
            for (order, list) in lists.iter().enumerate() {
                let what = format!("free runs of order {order}, with pages: {warm}");
                let mut listed = self.list(&what, get(&list.first));
                if listed.last().map_or(0, |unit| unit + 1) != get(&list.last) {
                    self.fault(format!("{what}: the last is not {}", get(&list.last)));
                }
                listed.sort_unstable();
                let has = |unit: u64| get(&unit_table::entry(self.me, unit).retained) != 0;
                let here = |f: &&(u64, usize)| f.1 == order && has(f.0) == warm;
                let wanted: Vec<u64> = free.iter().filter(here).map(|f| f.0).collect();
                if listed != wanted {
                    self.fault(format!("{what}: {listed:?}, not {wanted:?}"));
                }
            }
        }
    }

    fn classes(&mut self) {
        let me = self.me;
        let (mut partial, mut empty) = (Vec::new(), Vec::new());
        for (class, shared) in me.header().classes.iter().enumerate() {
            for unit in self.list(&format!("slabs of class {class}"), get(&shared.partial)) {
                partial.push((unit, class));
            }
            empty.extend(get(&shared.empty).checked_sub(1).map(|unit| (unit, class)));
        }
        let (mut with_room, mut unused) = (Vec::new(), Vec::new());
        for unit in 0..get(&me.header().frontier) {
            let entry = unit_table::entry(me, unit);
            let state = get(&entry.state);
            let class = (state >> 16 & 0xff) as usize;
            if state & 0xff == unit_state::SLAB && class < CLASSES {
                let used = get(&entry.used);
                if used < size_classes::capacity(class) {
                    with_room.push((unit, class));
                }
                if used == 0 {
                    unused.push((unit, class));
                }
            }
        }
        partial.sort_unstable();
        empty.sort_unstable();
        if partial != with_room {
            self.fault(format!("slabs with room: {partial:?}, not {with_room:?}"));
        }
        if empty != unused {
            self.fault(format!("empty slabs: {empty:?}, not {unused:?}"));
        }
    }
}
