//! What the tests that kill members share: starting members by executing the test again, and
//! the invariants that must hold once the supervisor has cleaned up.
#![allow(dead_code, unreachable_pub)]

#[cfg(feature = "crash-points")]
pub mod traced;

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::collections::array::{self, Array, Form};
use tarefa_engine::collections::dict;
use tarefa_engine::collections::list::{self, List};
use tarefa_engine::collections::value::{self, Fetched, Item, Small, tag};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::memfd;
use tarefa_engine::shm::arena::layout::{PAGE, ProcessSlot, ThreadSlot, UNIT, Unit};
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::shm::heap::check::{Report, check};
use tarefa_engine::shm::heap::journal_room;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::address::ObjectAddress;
use tarefa_engine::shm::object::attach::{self, Refused};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::object::{self, ObjectHeader};
use tarefa_engine::shm::tx::latch::Latch;
use tarefa_engine::shm::{Member, Runtime, heap};
use tarefa_engine::sync::lock::word::{Acquired, LockWord, Recursion};
use tarefa_engine::sync::wait::{Outcome, Plain};
use tarefa_engine::sync::{event, lock};
use tarefa_engine::task;
use tarefa_engine::task::process::zygote_control;

/// An element as the tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    /// A nested list, by its length.
    List(u64),
}

/// An object for another process: its offset and id.
pub type Handle = (Off, u64);

/// xorshift64*, after Vigna, "An experimental exploration of Marsaglia's xorshift generators".
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The course of a number.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// Words behind a latch, which change all at once or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    me: &'a Member,
    off: Off,
}

impl<'a> Words<'a> {
    pub const COUNT: usize = 200;
    const LATCH: u64 = size_of::<ObjectHeader>() as u64;

    pub fn at(me: &'a Member, off: Off) -> Self {
        Self { me, off }
    }

    pub fn latch(&self) -> &'static Latch {
        self.me.arena().at(self.off.plus(Self::LATCH))
    }

    pub fn word(&self, i: u64) -> &'static AtomicU64 {
        assert!(i < Self::COUNT as u64);
        self.me.arena().at(self.off.plus(Self::LATCH + 8 + i * 8))
    }

    pub fn all(&self) -> Vec<u64> {
        let _latch = self.latch().lock(self.me);
        (0..Self::COUNT as u64).map(|i| self.word(i).load(Ordering::Relaxed)).collect()
    }

    /// Gives all of them one value, at one instant.
    pub fn set_all(&self, value: u64) {
        let more = journal_room::reserve(self.me, Self::COUNT).expect("memory");
        let _latch = self.latch().lock(self.me);
        let mut tx = more.begin();
        for i in 0..Self::COUNT as u64 {
            tx.set(self.word(i), value);
        }
        tx.commit();
    }
}

/// Makes [`Words`], all 0; this process holds a reference to them.
pub fn words(me: &Member) -> Off {
    let savepoint = heap::savepoint(me);
    let size = Words::LATCH + 8 + Words::COUNT as u64 * 8;
    // A kind that nobody registers: it refers to nothing.
    let off = object::create(me, 0, size).expect("memory");
    refcount::adopt(me, off, savepoint).expect("memory");
    off
}

/// What a case works on, held by this process until dropped.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    pub list: Handle,
    pub child: Handle,
    pub lock: Handle,
    pub event: Handle,
    pub words: Handle,
    /// Four integers of eight bytes, with a lock.
    pub array: Handle,
    /// Two items of three integers of eight bytes, with a lock.
    pub pair: Handle,
    pub dict: Handle,
}

/// For another process, in words; see [`join`].
pub fn text(address: Address, handles: &[Handle]) -> String {
    let mut words = vec![address.root as u64, address.memory_fd as u64, address.id];
    words.extend(handles.iter().flat_map(|h| [h.0.0, h.1]));
    words.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// Joins the runtime and takes references, as a process that was handed the [`text`].
pub fn join(text: &str) -> (&'static Runtime, Vec<Handle>) {
    let words: Vec<u64> = text.split(' ').map(|w| w.parse().expect("a number")).collect();
    task::register();
    let address = Address { root: words[0] as i32, memory_fd: words[1] as i32, id: words[2] };
    let runtime = Runtime::attach(address).expect("the runtime");
    let me = runtime.me();
    let handles = words[3..].chunks(2).map(|w| (Off(w[0]), w[1]));
    let handles: Vec<Handle> = handles.collect();
    for (off, id) in &handles {
        assert!(refcount::acquire(&me, *off, *id).expect("memory"), "the object is there");
    }
    (runtime, handles)
}

/// Joins the runtime of that text for an object that is gone, and so is no member afterwards.
pub fn join_for_nothing(text: &str) {
    let words: Vec<u64> = text.split(' ').map(|w| w.parse().expect("a number")).collect();
    task::register();
    let runtime = Address { root: words[0] as i32, memory_fd: words[1] as i32, id: words[2] };
    let (off, kind, id) = (Off(words[3]), kinds::LIST, u64::MAX);
    let refused = attach::attach(&ObjectAddress { runtime, off, kind, id });
    assert!(matches!(refused, Err(Refused::Gone)), "{refused:?}");
}

/// The handle of an object.
pub fn handle(me: &Member, off: Off) -> Handle {
    (off, id(me, off))
}

fn id(me: &Member, off: Off) -> u64 {
    tarefa_engine::shm::object::header(me, off).id.load(Ordering::Relaxed)
}

impl Shared {
    pub fn create(me: &Member) -> Self {
        let list = list::create(me).expect("a list");
        let child = list::create(me).expect("a list");
        let lock = lock::create(me, Recursion::Forbidden).expect("a lock");
        let event = event::create(me).expect("an event");
        let form = Form { format: b"q", item: 8, extents: &[4], guarded: true };
        let large = Form { format: b"T{<q:a:<q:b:<q:c:}", item: 24, extents: &[2], guarded: true };
        let handle = |off| (off, id(me, off));
        Self {
            list: handle(list),
            child: handle(child),
            lock: handle(lock),
            event: handle(event),
            words: handle(words(me)),
            array: handle(array::create(me, form).expect("an array")),
            pair: handle(array::create(me, large).expect("an array")),
            dict: handle(dict::create(me, kinds::DICT).expect("a dict")),
        }
    }

    pub fn handles(&self) -> [Handle; 8] {
        let Self { list, child, lock, event, words, array, pair, dict } = *self;
        [list, child, lock, event, words, array, pair, dict]
    }

    pub fn release(&self, me: &Member) {
        for (off, _) in self.handles() {
            refcount::release(me, off);
        }
    }

    /// For [`Shared::join`].
    pub fn text(&self, address: Address) -> String {
        let mut words = vec![address.root as u64, address.memory_fd as u64, address.id];
        words.extend(self.handles().iter().flat_map(|h| [h.0.0, h.1]));
        words.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Joins the runtime and takes references, as a process that was handed the text.
    pub fn join(text: &str) -> (&'static Runtime, Self) {
        let words: Vec<u64> = text.split(' ').map(|w| w.parse().expect("a number")).collect();
        task::register();
        let address = Address { root: words[0] as i32, memory_fd: words[1] as i32, id: words[2] };
        let runtime = Runtime::attach(address).expect("the runtime");
        let me = runtime.me();
        let handle = |i: usize| {
            let (off, id) = (Off(words[3 + 2 * i]), words[4 + 2 * i]);
            assert!(refcount::acquire(&me, off, id).expect("memory"), "the object is there");
            (off, id)
        };
        let shared = Self {
            list: handle(0),
            child: handle(1),
            lock: handle(2),
            event: handle(3),
            words: handle(4),
            array: handle(5),
            pair: handle(6),
            dict: handle(7),
        };
        (runtime, shared)
    }
}

pub fn int(n: i64) -> Item<'static> {
    Item::Word(value::int_word(n).expect("a small number"))
}

pub fn value_of(me: &Member, fetched: &Fetched) -> Value {
    match fetched {
        Fetched::Word(word) => match value::small(*word) {
            Small::Int(n) => Value::Int(n),
            other => panic!("an element that nobody stored: {other:?}"),
        },
        Fetched::Blob(copy) if copy.tag == tag::OBJECT => {
            Value::List(List::at(me, copy.object().expect("an object")).len())
        }
        Fetched::Blob(copy) => Value::Bytes(copy.bytes.clone()),
    }
}

pub fn contents(me: &Member, off: Off) -> Vec<Value> {
    let snapshot = List::at(me, off).snapshot(0, u64::MAX).expect("memory");
    snapshot.items.iter().map(|f| value_of(me, f)).collect()
}

/// Executes this test again as a member, with `name=value` in its environment.
pub fn execute(name: &str, value: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .env(name, value)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a member")
}

/// All it wrote until it ended.
pub fn written(child: &mut Child) -> Vec<u8> {
    let mut bytes = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut bytes).expect("a pipe");
    bytes
}

/// Acknowledges: one byte to whoever started this process.
pub fn acknowledge(byte: u8) {
    #[cfg(feature = "crash-points")]
    traced::mark();
    // SAFETY: one readable byte; standard output is the pipe.
    unsafe { libc::write(1, [byte].as_ptr().cast(), 1) };
}

/// Waits until no process is a member but `besides` this one.
pub fn wait_for_members(runtime: &'static Runtime, besides: usize) -> Result<(), String> {
    let start = Instant::now();
    let mut rung = false;
    loop {
        let members = slots::processes(runtime.arena())
            .filter(|i| slots::process_slot(runtime.arena(), *i).owner.load(Ordering::Acquire) != 0)
            .count();
        if members <= besides + 1 {
            return Ok(());
        }
        if start.elapsed() > Duration::from_millis(300) && !rung {
            // A member that died before it rang is found at the next ring of anybody.
            runtime.ring();
            rung = true;
        }
        if start.elapsed() > Duration::from_secs(10) {
            return Err(format!("{members} members are left: {}", describe(runtime)));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The process slots in use, in words.
pub fn describe(runtime: &'static Runtime) -> String {
    let mut text = String::new();
    for index in slots::processes(runtime.arena()) {
        let slot = slots::process_slot(runtime.arena(), index);
        let (pid, state) = slots::owner(slot);
        if pid != 0 {
            let [role, watched, task] =
                [&slot.role, &slot.watched, &slot.task].map(|word| word.load(Ordering::Acquire));
            let mailbox = slot.mailbox.load(Ordering::Acquire);
            let alive = tarefa_engine::os::procfs::stat(pid).map(|s| s.state);
            text += &format!(
                "[{index}: pid {pid} {alive:?}, state {state}, role {role}, watched {watched}, \
                 task {task:x}, mailbox {mailbox}] "
            );
        }
    }
    text
}

/// Takes the lock and lets it go; how often it said that its owner had died.
pub fn try_lock(me: &Member, off: Off) -> Result<u32, String> {
    try_cell(me, lock::cell(me, off), Recursion::Forbidden, off)
}

/// The same for any cell.
pub fn try_cell(
    me: &Member,
    cell: &'static LockWord,
    sort: Recursion,
    off: Off,
) -> Result<u32, String> {
    let mut died = 0;
    loop {
        let limit = Deadline::after(Some(Duration::from_secs(10)));
        match cell.acquire(me, sort, off, &mut Plain, limit) {
            Acquired::Yes => break,
            Acquired::OwnerDied(_) => died += 1,
            other => return Err(format!("the lock: {other:?}")),
        }
    }
    cell.release(me, sort).map_err(|e| e.to_string())?;
    if died > 1 {
        return Err(format!("the lock said {died} times that its owner had died"));
    }
    Ok(died)
}

/// Uses everything once.
pub fn use_all(me: &Member, shared: &Shared) -> Result<(), String> {
    try_lock(me, shared.lock.0)?;
    for off in [shared.list.0, shared.child.0] {
        try_cell(me, List::at(me, off).object_lock(), Recursion::Allowed, off)?;
    }
    event::clear(me, shared.event.0);
    event::set(me, shared.event.0);
    let limit = Deadline::after(Some(Duration::from_secs(10)));
    if event::wait(me, shared.event.0, &mut Plain, limit) != Outcome::Ready {
        return Err("the event does not come".to_owned());
    }
    for off in [shared.list.0, shared.child.0] {
        let list = List::at(me, off);
        let before = contents(me, off);
        list.append(int(4711)).map_err(|e| e.to_string())?;
        list.insert(0, Item::Blob(tag::BYTES, b"probe", &[])).map_err(|e| e.to_string())?;
        let first = list.remove(0).map_err(|e| e.to_string())?;
        let last = list.pop().map_err(|e| e.to_string())?;
        let seen = (value_of(me, &first), value_of(me, &last));
        if seen != (Value::Bytes(b"probe".to_vec()), Value::Int(4711)) {
            return Err(format!("a probe came back as {seen:?}"));
        }
        if contents(me, off) != before {
            return Err("a probe changed the list".to_owned());
        }
    }
    Ok(())
}

/// Makes what stays for good now, before the heap is compared with what it was. The supervisor
/// starts on a thread of its own, and this waits until it sleeps.
pub fn ready(me: &Member) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        zygote_control::get(me).expect("memory");
        refcount::release(me, words(me));
        let start = Instant::now();
        // The supervisor is the other; Miri has none.
        let threads = if cfg!(miri) { 1 } else { 2 };
        while check(me).threads < threads || whole(me).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", check(me));
            std::thread::sleep(Duration::from_micros(200));
        }
    });
}

/// The four integers.
pub fn numbers(me: &Member, shared: &Shared) -> [i64; 4] {
    let array = Array::at(me, shared.array.0);
    [0, 1, 2, 3].map(|i| array.load(i) as i64)
}

/// What the system holds for the arena besides what is claimed.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    besides: u64,
    /// Bytes of the tables and slots ever in use.
    tables: u64,
}

impl Pages {
    /// As it is now.
    pub fn now(me: &Member) -> Self {
        let h = me.header();
        // What changes meanwhile is counted as claimed rather than as held.
        let held = memfd::held(me.arena().fd()).expect("a file");
        let [claimed, units, processes, threads] =
            [&h.claimed, &h.frontier, &h.process_top, &h.thread_top]
                .map(|word| word.load(Ordering::Acquire));
        // An entry for each unit, and a bit for each page of it.
        let tables = units * size_of::<Unit>() as u64 + units * (UNIT / PAGE) / 8;
        let slots =
            processes * size_of::<ProcessSlot>() as u64 + threads * size_of::<ThreadSlot>() as u64;
        Self { besides: held.saturating_sub(claimed), tables: tables + slots }
    }

    /// Since then only tables and slots have come into use, besides what is claimed.
    pub fn check(&self, me: &Member) -> Result<(), String> {
        let now = Self::now(me);
        // Their first and last pages, whole.
        if now.besides <= self.besides + (now.tables - self.tables) + (64 << 10) {
            return Ok(());
        }
        Err(format!("more memory is held than claimed: {now:?}, at first {self:?}"))
    }
}

/// The heap, which must be whole.
pub fn whole(me: &Member) -> Result<Report, String> {
    let report = check(me);
    if report.faults.is_empty() { Ok(report) } else { Err(report.faults.join("; ")) }
}

/// Has the arena full to the last block of any size while `test` runs.
pub fn full(me: &Member, test: impl FnOnce()) {
    let limit = &me.header().limit;
    let usual = limit.load(Ordering::Relaxed);
    heap::trim(me);
    limit.store(heap::in_use(me), Ordering::Relaxed);
    let savepoint = heap::savepoint(me);
    for size in (4..=16).rev().map(|log| 1 << log) {
        while heap::alloc(me, heap::Kind::RAW, size).is_ok() {}
    }
    test();
    limit.store(usual, Ordering::Relaxed);
    heap::free_deferred(me, savepoint);
}
