//! The churn: several processes allocate and free blocks of all sizes, each block freed by
//! whoever comes across it, some of the processes killed at random; and the heap must end where it
//! began.
//!
//! - After each round, with the blocks of the round still alive: the heap is whole, and the memory
//!   in use is within [`PERCENT`] of the bytes that blocks hold.
//!   Nor does the system hold more than is claimed, but for the tables that say what is.
//! - All the time: free runs keep no more than they may.
//! - At the end: blocks, objects and bytes in use are exactly what they were, and after
//!   [`heap::trim`] so is what is claimed.
//!
//! `TAREFA_STORM_SEED` and `TAREFA_STORM_SECONDS` choose the course and its length. Where the
//! latter is given it goes on until a million operations are done as well.

#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::naive_bytecount)]
#![allow(clippy::needless_for_each, clippy::format_collect, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Pages, Random, Shared, Words, acknowledge, int, wait_for_members, whole};
use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::collections::list::{self, List};
use tarefa_engine::collections::value::{Fetched, Item, tag};
use tarefa_engine::os::{process, signal};
use tarefa_engine::shm::arena::layout::UNIT;
use tarefa_engine::shm::heap::{self, Kind};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::task;

const MEMBER: &str = "TAREFA_CHURN_MEMBER";
const AT_ONCE: usize = 3;
/// What is churned.
#[derive(Clone, Copy, Debug)]
struct Recursion {
    name: &'static str,
    /// Places where blocks wait for somebody to free them.
    places: u64,
    /// Bytes of the largest block.
    largest: u64,
}

const SORTS: [Recursion; 2] = [
    Recursion { name: "blocks of all sizes", places: 700, largest: 6 << 20 },
    Recursion { name: "small blocks", places: 50_000, largest: 2 << 10 },
];
/// Operations between two acknowledgements.
const BATCH: u64 = 64;
/// Operations of a member that is not killed.
const EACH: u64 = 2000 * BATCH / 10;
const AT_LEAST: u64 = 1_000_000;

/// Memory in use, in percent of the bytes in blocks, at most.
const PERCENT: u64 = 125;
/// What does not grow with the bytes in blocks: slabs of few blocks, of any class.
const FIXED: u64 = 3 << 20;
/// What free runs keep at most while no more than that is in use.
const RETAINED: u64 = 32 << 20;

impl Recursion {
    /// A size: mostly small, now and then large; each magnitude as likely as the next.
    fn size(self, random: &mut Random) -> u64 {
        let (low, high) = match random.below(100) {
            0..70 => (1, 512),
            70..90 => (512, 32 << 10),
            90..98 => (32 << 10, 256 << 10),
            _ => (256 << 10, 8 << 20),
        };
        let (low, high) = (low.min(self.largest / 2), high.min(self.largest));
        let low = low << random.below(u64::from(u64::ilog2(high / low)) + 1);
        (low + random.below(low)).min(self.largest)
    }
}

struct MemberProcess<'a> {
    me: &'a Member,
    shared: &'a Shared,
    sort: Recursion,
    random: Random,
    bytes: Vec<u8>,
    /// Lists found in places, held for a while.
    hoard: Vec<Fetched>,
}

/// `shared|sort|seed|operations`
fn member(text: &str) -> ! {
    let words: Vec<&str> = text.split('|').collect();
    let (runtime, shared) = Shared::join(words[0]);
    let me = runtime.me();
    let sort = SORTS[words[1].parse::<usize>().unwrap()];
    let random = Random::new(words[2].parse().unwrap());
    let bytes = vec![0xa5; sort.largest as usize];
    let mut it = MemberProcess { me: &me, shared: &shared, sort, random, bytes, hoard: Vec::new() };
    for n in 1..=words[3].parse().unwrap() {
        it.step();
        if n % BATCH == 0 {
            acknowledge(1);
        }
    }
    // Without giving anything back: whoever cleans up does.
    process::exit_now(0)
}

impl MemberProcess<'_> {
    fn list(&self) -> List<'_> {
        List::at(self.me, self.shared.list.0)
    }

    fn queue(&self) -> List<'_> {
        List::at(self.me, self.shared.child.0)
    }

    /// The first and the last byte tell the length, so that a mix-up is seen.
    fn fill(&mut self, len: u64) -> usize {
        let len = len as usize;
        self.bytes[0] = len as u8;
        self.bytes[len - 1] = len as u8;
        len
    }

    fn step(&mut self) {
        let place = self.random.below(self.sort.places);
        match self.random.below(20) {
            0..8 => {
                let len = self.sort.size(&mut self.random);
                let len = self.fill(len);
                self.list().set(place, Item::Blob(tag::BYTES, &self.bytes[..len], &[])).unwrap();
                self.bytes[len - 1] = 0xa5;
            }
            8..11 => self.list().set(place, int(0)).unwrap(),
            11 => {
                let len = self.sort.size(&mut self.random);
                let len = self.fill(len);
                if self.queue().len() < 40 {
                    self.queue().append(Item::Blob(tag::BYTES, &self.bytes[..len], &[])).unwrap();
                }
            }
            12..14 => check_blob(self.queue().remove(0).ok()),
            14 => {
                let nested = list::create(self.me).unwrap();
                for _ in 0..self.random.below(20) {
                    let len = 1 + self.random.below(300) as usize;
                    let item = Item::Blob(tag::BYTES, &self.bytes[..len], &[]);
                    List::at(self.me, nested).append(item).unwrap();
                }
                let item = Item::Blob(tag::OBJECT, &[0; 16], &[nested]);
                self.list().set(place, item).unwrap();
                refcount::release(self.me, nested);
            }
            15 => {
                let savepoint = heap::savepoint(self.me);
                for _ in 0..=self.random.below(30) {
                    let size = heap::HEADER + self.sort.size(&mut self.random) / 4;
                    heap::alloc(self.me, Kind::RAW, size).unwrap();
                }
                heap::free_deferred(self.me, savepoint);
            }
            16 => {
                let own = list::create(self.me).unwrap();
                let words = vec![int(7); 1 + self.random.below(3000) as usize];
                for _ in 0..self.random.below(20) {
                    List::at(self.me, own).extend(&words).unwrap();
                }
                refcount::release(self.me, own);
            }
            17 => Words::at(self.me, self.shared.words.0).set_all(place),
            18 => check_blob(self.list().get(place).ok()),
            _ => {
                let found = self.list().get(place).unwrap();
                if matches!(&found, Fetched::Blob(copy) if copy.tag == tag::OBJECT) {
                    self.hoard.push(found);
                }
                if self.random.below(2000) == 0 {
                    self.hoard.clear();
                }
            }
        }
    }
}

fn check_blob(found: Option<Fetched>) {
    if let Some(Fetched::Blob(copy)) = found {
        if copy.tag == tag::BYTES {
            let (bytes, len) = (&copy.bytes, copy.bytes.len() as u8);
            assert!(bytes[0] == len && bytes[bytes.len() - 1] == len, "{len}: a mix-up");
        }
    }
}

struct Churn {
    runtime: &'static Runtime,
    /// Which of [`SORTS`].
    sort: usize,
    random: Random,
    operations: Arc<AtomicU64>,
    kills: u64,
    /// Before anything was made.
    first: Pages,
    most_retained: u64,
    /// In use, in percent of the bytes in blocks, at the worst.
    worst: u64,
    peak: u64,
}

impl Churn {
    /// Bounds that hold at any instant.
    fn sample(&mut self) -> Result<(), String> {
        let me = self.runtime.me();
        let [claimed, retained] =
            [&me.header().claimed, &me.header().retained].map(|word| word.load(Ordering::Acquire));
        self.most_retained = self.most_retained.max(retained);
        self.peak = self.peak.max(claimed);
        // One block each may just be joining the free runs.
        let moving = AT_ONCE as u64 * SORTS[self.sort].largest;
        if retained > RETAINED.max(claimed) + moving {
            return Err(format!("{retained} bytes are retained"));
        }
        Ok(())
    }

    fn round(&mut self, shared: &Shared, killing: bool, until: Instant) -> Result<(), String> {
        let me = self.runtime.me();
        let text = format!("{}|{}", shared.text(self.runtime.address()), self.sort);
        let mut members = Vec::new();
        let mut readers = Vec::new();
        let operations = Arc::clone(&self.operations);
        let start = |random: &mut Random| {
            let seed = random.below(u64::MAX);
            let most = if killing { u64::MAX } else { EACH };
            let mut child = support::execute(MEMBER, &format!("{text}|{seed}|{most}"));
            let pid = child.id() as i32;
            let operations = Arc::clone(&operations);
            let reader = std::thread::spawn(move || {
                let mut told = child.stdout.take().expect("a pipe");
                let mut bytes = [0; 256];
                while let Ok(n @ 1..) = told.read(&mut bytes) {
                    operations.fetch_add(n as u64 * BATCH, Ordering::Relaxed);
                }
                let _ = child.wait();
            });
            (pid, reader)
        };
        for _ in 0..AT_ONCE {
            members.push(start(&mut self.random));
        }
        let mut result = Ok(());
        if killing {
            while Instant::now() < until && result.is_ok() {
                std::thread::sleep(Duration::from_micros(500 + self.random.below(40_000)));
                let victim = self.random.below(AT_ONCE as u64) as usize;
                let next = start(&mut self.random);
                let (pid, reader) = std::mem::replace(&mut members[victim], next);
                let _ = signal::send_process(pid, libc::SIGKILL);
                readers.push(reader);
                result = self.sample();
            }
            for (pid, _) in &members {
                let _ = signal::send_process(*pid, libc::SIGKILL);
            }
            self.kills += (readers.len() + members.len()) as u64;
        }
        for (_, reader) in members {
            while result.is_ok() && !reader.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
                result = self.sample();
            }
            readers.push(reader);
        }
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
        result?;
        wait_for_members(self.runtime, 0)?;
        let report = whole(&me)?;
        let used = heap::in_use(&me);
        let percent = used.saturating_sub(FIXED) * 100 / report.bytes;
        self.worst = self.worst.max(percent);
        if percent > PERCENT {
            return Err(format!("{used} bytes are in use for blocks of {}", report.bytes));
        }
        let [claimed, retained] =
            [&me.header().claimed, &me.header().retained].map(|word| word.load(Ordering::Relaxed));
        if retained > RETAINED.max(claimed - retained) {
            return Err(format!("{retained} bytes are retained at rest"));
        }
        self.first.check(&me)
    }
}

fn run(churn: &mut Churn, end: Instant, at_least: u64) -> Result<String, String> {
    let me = churn.runtime.me();
    heap::trim(&me);
    let before = whole(&me)?;
    churn.first = Pages::now(&me);
    let claimed = || me.header().claimed.load(Ordering::Relaxed);
    let (used_before, claimed_before) = (heap::in_use(&me), claimed());
    let shared = Shared::create(&me);
    let places = vec![int(0); SORTS[churn.sort].places as usize];
    List::at(&me, shared.list.0).extend(&places).map_err(|e| e.to_string())?;
    let mut rounds = 0;
    while rounds < 2 || Instant::now() < end || churn.operations.load(Ordering::Relaxed) < at_least
    {
        let until = Instant::now() + Duration::from_secs(1);
        let killing = rounds % 2 == 1;
        churn.round(&shared, killing, until).map_err(|e| format!("round {rounds}: {e}"))?;
        rounds += 1;
    }
    shared.release(&me);
    let after = whole(&me)?;
    if after != before {
        return Err(format!("left behind: {after:?}, not {before:?}"));
    }
    let (used, kept) = (heap::in_use(&me), heap::usage::kept(&me));
    if used != used_before {
        return Err(format!("{used} bytes are in use, not {used_before}"));
    }
    let retained = me.header().retained.load(Ordering::Relaxed);
    let addresses = me.header().frontier.load(Ordering::Relaxed) * UNIT;
    heap::trim(&me);
    whole(&me)?;
    if claimed() != claimed_before {
        return Err(format!("{} bytes are claimed, not {claimed_before}", claimed()));
    }
    churn.first.check(&me)?;
    let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024);
    let text = format!(
        "{rounds} rounds, {} members killed; claimed at the peak {}; in use at most {} % of the \
         bytes in blocks, and {}; kept at the end {} in free runs (at most {}), {} in empty slabs; \
         {} of addresses",
        churn.kills,
        mib(churn.peak),
        churn.worst,
        mib(FIXED),
        mib(retained),
        mib(churn.most_retained),
        mib(kept),
        mib(addresses),
    );
    Ok(text)
}

fn main() {
    if let Ok(text) = std::env::var(MEMBER) {
        member(&text);
    }
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = variable("TAREFA_STORM_SEED").unwrap_or(now.map_or(1, |d| d.as_secs()));
    let asked = variable("TAREFA_STORM_SECONDS");
    let (seconds, at_least) = (asked.unwrap_or(3), asked.map_or(0, |_| AT_LEAST));
    println!("churn: seed {seed}, {seconds} s, at least {at_least} operations");
    let operations = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&operations);
    std::thread::spawn(move || {
        let (mut last, mut since) = (0, Instant::now());
        while since.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(200));
            let now = seen.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        println!("HANGS, seed {seed}\n0 passed, 1 failed");
        process::exit_now(1);
    });
    let runtime = task::runtime().unwrap();
    let me = runtime.me();
    support::ready(&me);
    let mut random = Random::new(seed);
    for (sort, what) in SORTS.iter().enumerate() {
        let mut churn = Churn {
            runtime,
            sort,
            random: Random::new(random.below(u64::MAX)),
            operations: Arc::clone(&operations),
            kills: 0,
            first: Pages::now(&me),
            most_retained: 0,
            worst: 0,
            peak: 0,
        };
        let end = Instant::now() + Duration::from_secs(seconds) / SORTS.len() as u32;
        let at_least = at_least / SORTS.len() as u64 * (sort as u64 + 1);
        match run(&mut churn, end, at_least) {
            Ok(text) => println!("{}: {text}", what.name),
            Err(e) => {
                println!("FAILED, seed {seed}, {}, {e}\n{sort} passed, 1 failed", what.name);
                process::exit_now(1);
            }
        }
    }
    println!("{} operations", operations.load(Ordering::Relaxed));
    println!("{} passed, 0 failed", SORTS.len());
    process::exit_now(0);
}
