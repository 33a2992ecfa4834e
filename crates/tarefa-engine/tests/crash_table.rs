//! The crash table: a member is killed at every named crash point that anything passes, and the
//! others must find everything as it was before or after the operation cut short, with nothing
//! left behind.
//!
//! Each scenario runs once to learn which points it passes and how often, and then once for
//! each point and several of its passes with a member that dies there. Points are found by
//! reading the sources, so a new one that nothing here passes fails the test.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::{Shared, Value, acknowledge, contents, int, use_all, wait_for_members, whole};
use tarefa_engine::collections::list::{self, List, Source};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{process, signal};
use tarefa_engine::shm::heap::{self, Kind};
use tarefa_engine::shm::offset::Off;
use tarefa_engine::shm::runtime::Address;
use tarefa_engine::shm::{Me, Runtime, crash, references, slots};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::sync::{event, lock};
use tarefa_engine::task::record::Task;
use tarefa_engine::task::zygote::Front;
use tarefa_engine::task::{self, State, control, record, supervisor, zygote};

/// Points that this test does not kill at, and why that is right.
const ALLOWED: &[(&[&str], &str)] = &[
    (
        &[
            "control.forgotten",
            "control.forgotten_done",
            "control.unpopped",
            "control.unpopped_done",
            "control.task_dropped",
            "control.task_dropped_done",
            "journal.restored",
            "journal.rolled_back",
            "latch.released_for_dead",
            "reclaim.aged",
            "reclaim.latch",
            "reclaim.marked",
            "reclaim.poked",
            "references.returned",
            "references.returned_done",
            "references.unhung",
            "references.unhung_done",
            "slots.process_cleared",
            "slots.process_freed",
            "slots.thread_freed",
            "supervisor.refused",
            "supervisor.started",
            "supervisor.starting",
            "supervisor.unclaimed",
            "supervisor.unlisted",
            "supervisor.watched",
            "supervisor.zygote_ended",
            "supervisor.zygote_slot",
            "task.process_ended",
        ],
        "passed by the supervisor only: it is a thread of the root, whose death ends everything",
    ),
    (
        &["reclaim.aged_again", "reclaim.cleaner"],
        "passed only by foreign members that outlive the root, whose objects nobody uses again",
    ),
    (
        &["task.error", "task.outcome_lost", "zygote.spare_refused"],
        "passed only where the system refuses memory or a process",
    ),
    (
        &["control.cleared", "control.made", "control.ready"],
        "passed once in a runtime, by the supervisor when it starts",
    ),
    (
        &["control.unclaimed"],
        "passed only by a starter whose spare dies in the few instructions after it is claimed",
    ),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(i64),
    AppendBlob(usize),
    Extend(u64),
    Set(u64, i64),
    SetBlob(u64, usize),
    Pop,
    Remove(u64),
    Insert(u64, i64),
    InsertBlob(u64, usize),
    /// Reversed, without the first, with a new word and a new blob.
    Rebuild,
    Clear,
    /// A blob that refers to the child list; and one to a list that nothing else holds.
    AppendChild,
    AppendNested,
    /// As a queue: `n` appended and taken from the front.
    Queue(u64),
    /// Not seen in the list:
    CreateAndDrop,
    AcquireAndRelease,
    Locks(u64),
    SetEvent,
    ClearEvent,
    WaitForEvent,
    Waits(u64),
    ChildOps(u64),
    Runs(u64),
    Threads,
    Large(u64),
    Small(u64, u64),
    Sparse,
    Record,
    Message,
    Start,
    Spares(u64),
    Interrupts,
    Reads,
}

use Step::*;

/// What a scenario needs around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    Nothing,
    /// The member is armed before it joins.
    Attach,
    /// Another thread of this process uses the lock and the event all the time.
    Rival,
    /// The member is no child of this process, and is armed before it joins.
    Foreign,
    /// Others have died before: one that changed the list, one that held the lock.
    Deaths,
    /// No large run is free.
    NoRuns,
    /// There is a zygote, with so many spares.
    Zygote(u64),
}

struct Scenario {
    name: &'static str,
    around: Around,
    /// The list at first: words and blobs by turns.
    first: u64,
    steps: &'static [Step],
}

const fn scenario(name: &'static str, first: u64, steps: &'static [Step]) -> Scenario {
    Scenario { name, around: Around::Nothing, first, steps }
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "attach", around: Around::Attach, first: 2, steps: &[Append(1)] },
    Scenario { name: "attach from afar", around: Around::Foreign, first: 0, steps: &[Append(1)] },
    Scenario {
        name: "after deaths",
        around: Around::Deaths,
        first: 6,
        steps: &[Reads, Locks(2), Reads, Pop],
    },
    Scenario {
        name: "new runs",
        around: Around::NoRuns,
        first: 0,
        steps: &[Runs(5), Runs(20), Append(1)],
    },
    scenario("append words", 0, &[Append(1), Append(2), Append(3), Append(4)]),
    scenario("append to a new segment", 15, &[Append(1), Append(2), Append(3)]),
    scenario("append to a large segment", 4080, &[Append(1), Append(2)]),
    scenario("extend by pages", 6000, &[Extend(3000), Extend(9000)]),
    scenario("append blobs", 1, &[AppendBlob(10), AppendBlob(5000), AppendBlob(100_000)]),
    scenario("extend", 3, &[Extend(3), Extend(20)]),
    scenario("set", 6, &[Set(0, 1), Set(1, 2), SetBlob(2, 30), SetBlob(3, 40), Set(2, 5)]),
    scenario("pop", 6, &[Pop, Pop, Remove(0), Remove(0), Pop, Pop, Append(1)]),
    scenario("remove inside", 40, &[Remove(20), Remove(3), Remove(37)]),
    scenario("insert", 20, &[Insert(0, 1), Insert(10, 2), InsertBlob(7, 9), Insert(99, 3)]),
    scenario("rebuild", 9, &[Rebuild, Append(1), Rebuild]),
    scenario("clear", 40, &[Clear, Append(1), Clear]),
    scenario("a queue", 2, &[Queue(1100), Extend(4000)]),
    scenario("nested", 2, &[AppendChild, AppendNested, Set(3, 1), Pop, Pop, AppendNested, Clear]),
    scenario("objects", 2, &[CreateAndDrop, AcquireAndRelease, CreateAndDrop]),
    scenario("locks", 0, &[Locks(3), Append(1), Locks(1)]),
    scenario("events", 0, &[SetEvent, ClearEvent, SetEvent, WaitForEvent]),
    scenario("threads", 1, &[Threads, Append(1)]),
    scenario("large blocks", 0, &[Large(1 << 20), Large(300_000), Large(9 << 20), Large(70_000)]),
    scenario("many small blocks", 0, &[Small(2000, 100), Small(70, 1900), Small(9, 30_000)]),
    scenario("sparse blocks", 0, &[Sparse, Sparse]),
    scenario("task records", 0, &[Record, Interrupts, Record]),
    Scenario {
        name: "messages",
        around: Around::Zygote(0),
        first: 0,
        steps: &[Message, Message],
    },
    scenario("reads", 12, &[Reads]),
    Scenario {
        name: "a rival",
        around: Around::Rival,
        first: 2,
        steps: &[Locks(12), Waits(6), ChildOps(3000), Locks(12), SetEvent, Waits(6)],
    },
    Scenario {
        name: "start",
        around: Around::Zygote(0),
        first: 0,
        steps: &[Append(1), Start, Append(2), Start],
    },
    Scenario {
        name: "start with spares",
        around: Around::Zygote(2),
        first: 0,
        steps: &[Start, Append(2), Start, Spares(1), Start],
    },
];

fn blob(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + n) as u8).collect()
}

/// What the list holds at first.
fn first(n: u64) -> Vec<Value> {
    let one = |i: u64| if i % 2 == 0 { Value::Int(i as i64) } else { Value::Bytes(blob(i as usize)) };
    (0..n).map(one).collect()
}

fn fill(me: &Me, off: Off, values: &[Value]) {
    let items: Vec<Item<'_>> = values
        .iter()
        .map(|v| match v {
            Value::Int(n) => int(*n),
            Value::Bytes(b) => Item::Blob(tag::BYTES, b, &[]),
            Value::List(_) => unreachable!("made by a step"),
        })
        .collect();
    List::at(me, off).extend(&items).expect("memory");
}

impl Step {
    /// What the list is after the step.
    fn model(self, list: &mut Vec<Value>) {
        match self {
            Append(n) => list.push(Value::Int(n)),
            AppendBlob(n) => list.push(Value::Bytes(blob(n))),
            Extend(n) => list.extend(first(n)),
            Set(i, n) => list[i as usize] = Value::Int(n),
            SetBlob(i, n) => list[i as usize] = Value::Bytes(blob(n)),
            Pop => drop(list.pop()),
            Remove(i) => drop(list.remove(i as usize)),
            Insert(i, n) => list.insert((i as usize).min(list.len()), Value::Int(n)),
            InsertBlob(i, n) => list.insert(i as usize, Value::Bytes(blob(n))),
            Rebuild => {
                list.remove(0);
                list.reverse();
                list.push(Value::Int(-1));
                list.push(Value::Bytes(blob(33)));
            }
            Clear => list.clear(),
            AppendChild => list.push(Value::List(1)),
            AppendNested => list.push(Value::List(2)),
            _ => {}
        }
    }

    /// The steps between which a kill may leave the list.
    fn models(self, list: &[Value]) -> Vec<Vec<Value>> {
        let mut all = vec![list.to_vec()];
        if let Queue(n) = self {
            // One of the queue's own is in it at most, behind what was there.
            let queued = first(n);
            for (i, value) in queued.iter().enumerate() {
                let mut with = rotated(list, i);
                all.push(with.clone());
                with.push(value.clone());
                all.push(with);
                let mut back = rotated(list, i + 1);
                back.extend(rotated(list, i).first().cloned());
                all.push(back);
            }
            all.push(rotated(list, n as usize));
            return all;
        }
        let mut after = list.to_vec();
        self.model(&mut after);
        all.push(after);
        all
    }

    fn run(self, me: &Me, shared: &Shared) {
        let off = shared.list.0;
        let list = List::at(me, off);
        match self {
            Append(n) => list.append(int(n)).unwrap(),
            AppendBlob(n) => list.append(Item::Blob(tag::BYTES, &blob(n), &[])).unwrap(),
            Extend(n) => fill(me, off, &first(n)),
            Set(i, n) => list.set(i, int(n)).unwrap(),
            SetBlob(i, n) => list.set(i, Item::Blob(tag::BYTES, &blob(n), &[])).unwrap(),
            Pop => drop(list.pop().unwrap()),
            Remove(i) => drop(list.remove(i).unwrap()),
            Insert(i, n) => list.insert(i, int(n)).unwrap(),
            InsertBlob(i, n) => list.insert(i, Item::Blob(tag::BYTES, &blob(n), &[])).unwrap(),
            Rebuild => rebuild(list),
            Clear => list.clear().unwrap(),
            AppendChild => refer(list, shared.child.0),
            AppendNested => {
                let nested = list::create(me).unwrap();
                List::at(me, nested).extend(&[int(1), Item::Blob(tag::BYTES, b"x", &[])]).unwrap();
                refer(list, nested);
                references::release(me, nested);
            }
            Queue(n) => {
                for value in first(n) {
                    fill(me, off, &[value]);
                    let taken = list.remove(0).unwrap();
                    fill(me, off, &[support::value_of(me, &taken)]);
                    list.pop().unwrap();
                }
            }
            CreateAndDrop => {
                let made = [list::create(me), lock::create(me), event::create(me)];
                List::at(me, made[0].unwrap()).append(int(1)).unwrap();
                made.into_iter().for_each(|off| references::release(me, off.unwrap()));
            }
            AcquireAndRelease => {
                references::release(me, shared.child.0);
                assert!(references::acquire(me, shared.child.0, shared.child.1).unwrap());
                references::acquire(me, shared.child.0, shared.child.1).unwrap();
                references::release(me, shared.child.0);
            }
            Locks(n) => {
                for i in 0..n {
                    while lock::acquire(me, shared.lock.0, &mut Plain, Deadline::NEVER)
                        != lock::Acquired::Yes
                    {}
                    if n > 10 && i % 4 == 0 {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                    lock::release(me, shared.lock.0).unwrap();
                }
            }
            SetEvent => event::set(me, shared.event.0),
            ClearEvent => event::clear(me, shared.event.0),
            WaitForEvent => {
                event::wait(me, shared.event.0, &mut Plain, Deadline::NEVER);
            }
            Waits(n) => {
                for _ in 0..n {
                    event::clear(me, shared.event.0);
                    event::wait(me, shared.event.0, &mut Plain, Deadline::NEVER);
                }
            }
            ChildOps(n) => {
                let child = List::at(me, shared.child.0);
                for _ in 0..n {
                    child.append(int(5)).unwrap();
                    child.pop().unwrap();
                }
            }
            Runs(mib) => {
                let mark = heap::mark(me);
                for _ in 0..2 {
                    heap::alloc_sparse(me, Kind::Raw, mib << 20, 5000).unwrap();
                }
                heap::drain(me, mark);
            }
            Threads => threads(me.runtime(), shared.child),
            Large(size) => {
                let mark = heap::mark(me);
                heap::alloc(me, Kind::Raw, size).unwrap();
                heap::alloc(me, Kind::Raw, size / 3).unwrap();
                heap::drain(me, mark);
            }
            Small(count, size) => {
                let mark = heap::mark(me);
                for _ in 0..count {
                    heap::alloc(me, Kind::Raw, size).unwrap();
                }
                heap::drain(me, mark);
            }
            Sparse => {
                let mark = heap::mark(me);
                let block = heap::alloc_sparse(me, Kind::Raw, 20 << 20, 5000).unwrap();
                heap::back(me, block, 5000, 900_000).unwrap();
                heap::back(me, block, 900_000, 19 << 20).unwrap();
                heap::drain(me, mark);
            }
            Record => run_record(me, shared),
            Interrupts => {
                let off = record::create(me, 0, "interrupted").unwrap();
                let task = Task::at(me, off);
                task.request_interrupt();
                assert!(task.interrupt_due() && task.take_interrupt());
                assert!(task.begin() && task.run_here());
                task.poke();
                task.finish(State::Interrupted, 1, None);
                references::release(me, off);
            }
            Message => {
                let control = control::get(me).unwrap();
                zygote::send_message(me, control, b"something to import").unwrap();
            }
            Start => start_and_join(me).unwrap(),
            Spares(n) => task::process::set_spares(me, n).unwrap(),
            Reads => {
                for i in 0..list.len() {
                    list.get(i).unwrap();
                }
                contents(me, off);
            }
        }
    }
}

/// The list after `taken` of [`Step::Queue`]: it takes from the front and puts back at the end.
fn rotated(list: &[Value], taken: usize) -> Vec<Value> {
    // Each round appends one, moves the front to the end, and takes it away again.
    let mut list = list.to_vec();
    for value in first(taken as u64) {
        list.push(value);
        list.remove(0);
    }
    list
}

fn rebuild(list: List<'_>) {
    let snapshot = list.snapshot(0, u64::MAX).unwrap();
    let len = snapshot.items.len() as u64;
    let bytes = blob(33);
    let mut sources: Vec<Source<'_>> = (1..len).rev().map(Source::Keep).collect();
    sources.push(Source::New(int(-1)));
    sources.push(Source::New(Item::Blob(tag::BYTES, &bytes, &[])));
    list.rebuild(snapshot.version, len, &sources).unwrap();
}

fn refer(list: List<'_>, to: Off) {
    list.append(Item::Blob(tag::OBJECT, &[0; 16], &[to])).unwrap();
}

fn threads(runtime: &'static Runtime, child: support::Handle) {
    for round in 0..2 {
        let all: Vec<_> = (0..3)
            .map(|t| {
                std::thread::spawn(move || {
                    let me = runtime.me();
                    for i in 0..60 {
                        let list = List::at(&me, child.0);
                        list.append(int(round * 1000 + t * 100 + i)).unwrap();
                        list.append(Item::Blob(tag::BYTES, &blob(40), &[])).unwrap();
                        list.pop().unwrap();
                        list.pop().unwrap();
                    }
                })
            })
            .collect();
        all.into_iter().for_each(|t| t.join().unwrap());
    }
}

fn run_record(me: &Me, shared: &Shared) {
    let off = record::create(me, 0, "a record").unwrap();
    let task = Task::at(me, off);
    task.set_payload(20, &[b"payload", b" of two"], &[shared.child.0]).unwrap();
    task.set_payload(20, &[b"another"], &[]).unwrap();
    task.change_flags(record::flag::DAEMON, 0);
    assert!(task.begin());
    assert!(task.run_here());
    task.drop_payload();
    task.finish(State::Finished, 0, Some((21, b"outcome", &[shared.child.0])));
    task.join(&mut Plain, Deadline::NEVER, 0);
    references::release(me, off);
}

/// Starts a process and waits for its end.
fn start_and_join(me: &Me) -> Result<(), String> {
    let off = record::create(me, 0, "a task").map_err(|e| e.to_string())?;
    let task = Task::at(me, off);
    task.set_payload(20, &[b"payload"], &[]).map_err(|e| e.to_string())?;
    let result = (|| {
        if !task.begin() {
            return Err("begun before".to_owned());
        }
        task::process::start(me, &task).map_err(|e| e.to_string())?;
        let limit = Deadline::after(Some(Duration::from_secs(10)));
        task.join(&mut Plain, limit, 10_000);
        match task.state() {
            State::Finished => Ok(()),
            other => Err(format!("the task is {other:?}")),
        }
    })();
    references::release(me, off);
    result
}

// ---------------------------------------------------------------------------------------------
// The member that dies.

const VICTIM: &str = "TAREFA_CRASH_VICTIM";

/// `shared/scenario/point/nth`, or `shared/scenario/record/path`.
fn victim(text: &str) -> ! {
    let words: Vec<&str> = text.splitn(4, '|').collect();
    let scenario = &SCENARIOS[words[1].parse::<usize>().unwrap()];
    let start = || {
        if words[2] == "record" {
            crash::record();
        } else {
            crash::arm(words[2], words[3].parse().unwrap());
        }
    };
    if scenario.around == Around::Foreign {
        // SAFETY: this process has one thread.
        if unsafe { process::fork_child() }.unwrap() != 0 {
            process::exit_now(0);
        }
        while process::parent() == words[0].split(' ').next().unwrap().parse::<i32>().unwrap() {}
    }
    let early = matches!(scenario.around, Around::Attach | Around::Foreign);
    if early {
        start();
    }
    let (runtime, shared) = Shared::join(words[0]);
    let me = runtime.me();
    if !early {
        start();
    }
    for step in scenario.steps {
        step.run(&me, &shared);
        acknowledge(1);
    }
    shared.release(&me);
    if words[2] == "record" {
        save(Path::new(words[3]), &crash::recorded());
    }
    crash::disarm();
    acknowledge(2);
    process::exit_now(0)
}

fn save(path: &Path, seen: &BTreeMap<&'static str, u64>) {
    let lines: String = seen.iter().map(|(name, n)| format!("{name} {n}\n")).collect();
    // Whole or not at all: the writer may be killed.
    let aside = path.with_extension(process::pid().to_string());
    std::fs::write(&aside, lines).unwrap();
    std::fs::rename(&aside, path).unwrap();
}

fn saved(path: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(name, n)| (name.to_owned(), n.parse().unwrap()))
        .collect()
}

// ---------------------------------------------------------------------------------------------
// The zygote.

const ZYGOTE: &str = "TAREFA_CRASH_ZYGOTE";

struct TestFront {
    /// Where the points passed are noted: by the zygote, and by a child.
    notes: Option<PathBuf>,
    seen: BTreeMap<&'static str, u64>,
    /// Armed in the children, with the pass.
    child: Option<(String, u64)>,
}

impl TestFront {
    fn note(&mut self, what: &str) {
        if let Some(path) = &self.notes {
            for (name, n) in crash::recorded() {
                *self.seen.entry(name).or_default() += n;
            }
            save(&path.with_extension(what), &self.seen);
            crash::record();
        }
    }
}

impl Front for TestFront {
    fn before_fork(&mut self) {
        self.note("zygote");
    }

    fn after_fork_in_parent(&mut self) {
        self.note("zygote");
    }

    fn after_fork_in_child(&mut self, _: &'static Runtime, _: bool) {
        crash::disarm();
        self.seen.clear();
        if let Some((name, nth)) = &self.child {
            crash::arm(name, *nth);
        }
    }

    fn run(&mut self, runtime: &'static Runtime, off: Off) -> ! {
        let me = runtime.me();
        let task = Task::at(&me, off);
        if task.run_here() {
            task.drop_payload();
            task.finish(State::Finished, 0, Some((21, b"outcome", &[])));
        }
        self.note("child");
        zygote::leave(runtime, 0)
    }

    fn message(&mut self, _: &[u8]) {
        self.note("zygote");
    }
}

/// `root fd id|zygote or child|point or record|nth|flag or notes`
fn serve(text: &str) -> ! {
    let words: Vec<&str> = text.split('|').collect();
    let numbers: Vec<u64> = words[0].split(' ').map(|w| w.parse().unwrap()).collect();
    let slot = std::env::args().next_back().unwrap().parse().unwrap();
    task::register();
    let address =
        Address { root: numbers[0] as i32, memory_fd: numbers[1] as i32, id: numbers[2] };
    let mut front = TestFront { notes: None, seen: BTreeMap::new(), child: None };
    // The first zygote of a case is armed, its successors are not.
    if words[2] == "record" {
        front.notes = Some(PathBuf::from(words[4]));
        crash::record();
    } else if !words[2].is_empty() && std::fs::remove_file(words[4]).is_ok() {
        let nth = words[3].parse().unwrap();
        if words[1] == "child" {
            front.child = Some((words[2].to_owned(), nth));
        } else {
            crash::arm(words[2], nth);
        }
    }
    let runtime = match Runtime::attach_in(address, Some(slot)) {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("zygote: {e}");
            process::exit_now(1)
        }
    };
    zygote::serve(runtime, &mut front)
}

fn plan_zygote(runtime: &'static Runtime, who: &str, point: &str, nth: u64, path: &Path) {
    let address = runtime.address();
    let text = format!(
        "{ZYGOTE}={} {} {}|{who}|{point}|{nth}|{}",
        address.root,
        address.memory_fd,
        address.id,
        path.display()
    );
    let exe = std::env::current_exe().unwrap();
    let argv = vec![CString::new(exe.as_os_str().as_bytes()).unwrap()];
    let envp = vec![CString::new(text).unwrap()];
    supervisor::set_zygote(supervisor::Zygote::Execute(argv, envp));
}

/// Ends the zygote and its spares, and waits until they are gone.
fn end_zygote(me: &Me) -> Result<(), String> {
    let runtime = me.runtime();
    task::process::set_spares(me, 0).map_err(|e| e.to_string())?;
    let start = Instant::now();
    // Again and again, for one may be made anew while its children live.
    loop {
        let mut members = 0;
        for index in slots::processes(runtime) {
            let slot = slots::process_slot(runtime, index);
            let (pid, _) = slots::owner(slot);
            members += usize::from(pid != 0);
            let role = slot.role.load(Ordering::Acquire);
            if pid > 0 && pid != process::pid() && role != task::role::MEMBER {
                let _ = signal::send_process(pid, libc::SIGKILL);
            }
        }
        if members <= 1 {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(10) {
            return wait_for_members(runtime, 0);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

// ---------------------------------------------------------------------------------------------
// The parent.

struct Table {
    runtime: &'static Runtime,
    dir: PathBuf,
    baseline: heap::check::Report,
    reached: BTreeSet<String>,
    passed: u64,
    failed: Vec<String>,
    unreached: u64,
}

/// The case that runs now, and since when, for the watchdog.
static NOW: Mutex<Option<(String, Instant)>> = Mutex::new(None);

fn watchdog() {
    loop {
        std::thread::sleep(Duration::from_millis(200));
        if let Some((case, since)) = &*NOW.lock().unwrap() {
            if since.elapsed() > Duration::from_secs(40) {
                println!("HANGS: {case}\n0 passed, 1 failed");
                process::exit_now(1);
            }
        }
    }
}

/// Uses the lock and the event without end.
struct Rival {
    stop: AtomicBool,
    died: AtomicU64,
}

impl Rival {
    fn run(&self, runtime: &'static Runtime, shared: &Shared) -> Result<(), String> {
        let me = runtime.me();
        while !self.stop.load(Ordering::Relaxed) {
            self.died.fetch_add(u64::from(support::try_lock(&me, shared.lock.0)?), Ordering::Relaxed);
            // Longer than anybody spins.
            if lock::try_acquire(&me, shared.lock.0) == Some(lock::Acquired::Yes) {
                std::thread::sleep(Duration::from_micros(150));
                let _ = lock::release(&me, shared.lock.0);
            }
            event::set(&me, shared.event.0);
            std::thread::sleep(Duration::from_micros(50));
            // Holds the list's latch for long.
            let child = List::at(&me, shared.child.0);
            for _ in 0..4 {
                child.insert(1, int(8)).map_err(|e| e.to_string())?;
                child.remove(1).map_err(|e| e.to_string())?;
            }
            for _ in 0..300 {
                child.append(int(8)).map_err(|e| e.to_string())?;
                child.pop().map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }
}

/// What a run of a scenario's member came to.
struct Ran {
    acknowledged: usize,
    killed: bool,
}

impl Table {
    fn run(&mut self, index: usize, point: &str, nth: &str) -> Result<Ran, String> {
        let scenario = &SCENARIOS[index];
        let me = self.runtime.me();
        if let Around::Zygote(spares) = scenario.around {
            plan_zygote(self.runtime, "zygote", "", 0, Path::new(""));
            task::process::set_spares(&me, spares).map_err(|e| e.to_string())?;
            start_and_join(&me)?;
        }
        let shared = Shared::create(&me);
        fill(&me, shared.list.0, &first(scenario.first));
        List::at(&me, shared.child.0).append(int(9)).unwrap();
        if scenario.around == Around::Rival {
            fill(&me, shared.child.0, &vec![Value::Int(7); 3000]);
        }
        let text = format!("{}|{index}|{point}|{nth}", shared.text(self.runtime.address()));
        if scenario.around == Around::Deaths {
            for (name, point) in [("set", "list.odd"), ("locks", "lock.swapped")] {
                let index = SCENARIOS.iter().position(|s| s.name == name).unwrap();
                let text = format!("{}|{index}|{point}|1", shared.text(self.runtime.address()));
                let mut child = support::execute(VICTIM, &text);
                support::written(&mut child);
                wait_for_end(&mut child);
                wait_for_members(self.runtime, 0)?;
            }
        }
        let mark = heap::mark(&me);
        if scenario.around == Around::NoRuns {
            let frontier = || me.header().frontier.load(Ordering::Relaxed);
            let before = frontier();
            while frontier() == before {
                heap::alloc_sparse(&me, Kind::Raw, 5 << 20, 0).unwrap();
            }
        }
        let rival = Rival { stop: AtomicBool::new(false), died: AtomicU64::new(0) };
        let (runtime, rivals) = (self.runtime, scenario.around == Around::Rival);
        let (written, rivalry) = std::thread::scope(|scope| {
            let thread = rivals.then(|| scope.spawn(|| rival.run(runtime, &shared)));
            let mut child = support::execute(VICTIM, &text);
            let written = support::written(&mut child);
            wait_for_end(&mut child);
            if rivals {
                std::thread::sleep(Duration::from_millis(5));
            }
            rival.stop.store(true, Ordering::Relaxed);
            (written, thread.map_or(Ok(()), |t| t.join().unwrap()))
        });
        rivalry.map_err(|e| format!("a rival: {e}"))?;
        if rival.died.load(Ordering::Relaxed) > 1 {
            return Err("the owner died more than once".to_owned());
        }
        let acknowledged = written.iter().filter(|b| **b == 1).count();
        let killed = !written.contains(&2);
        heap::drain(&me, mark);
        let result = self.inspect(scenario, &shared, acknowledged);
        shared.release(&me);
        result?;
        self.settle()?;
        Ok(Ran { acknowledged, killed })
    }

    fn inspect(&self, scenario: &Scenario, shared: &Shared, done: usize) -> Result<(), String> {
        let me = self.runtime.me();
        if matches!(scenario.around, Around::Zygote(_)) {
            start_and_join(&me)?;
            end_zygote(&me)?;
        }
        wait_for_members(self.runtime, 0)?;
        whole(&me)?;
        let mut before = first(scenario.first);
        for step in &scenario.steps[..done] {
            step.model(&mut before);
            if let Queue(n) = step {
                before = rotated(&before, *n as usize);
            }
        }
        let may = match scenario.steps.get(done) {
            Some(step) => step.models(&before),
            None => vec![before],
        };
        let is = contents(&me, shared.list.0);
        if !may.contains(&is) {
            let (is, may) = (brief(&is), brief(may.last().unwrap()));
            return Err(format!("after {done} steps the list is {is}, not as before or {may}"));
        }
        let child = contents(&me, shared.child.0);
        let most = if scenario.around == Around::Rival { 3000 } else { 0 } + 1 + 6;
        if child.first() != Some(&Value::Int(9)) || child.len() > most {
            return Err(format!("the child list is {}", brief(&child)));
        }
        use_all(&me, shared)?;
        whole(&me).map(drop)
    }

    /// Everything is given back.
    fn settle(&mut self) -> Result<(), String> {
        let report = whole(&self.runtime.me())?;
        if report == self.baseline {
            return Ok(());
        }
        let message = format!("left behind: {report:?}, not {:?}", self.baseline);
        self.baseline = report;
        Err(message)
    }

    fn case(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Result<bool, String>) {
        *NOW.lock().unwrap() = Some((name.to_owned(), Instant::now()));
        match run(self) {
            Ok(true) => self.passed += 1,
            Ok(false) => self.unreached += 1,
            Err(e) => {
                println!("FAILED {name}: {e}");
                self.failed.push(name.to_owned());
            }
        }
        *NOW.lock().unwrap() = None;
    }

    /// A member is killed at each pass of each point in `seen`.
    fn scenario(&mut self, index: usize) {
        let scenario = &SCENARIOS[index];
        let path = self.dir.join("record");
        let _ = std::fs::remove_file(&path);
        let name = path.display().to_string();
        self.case(&format!("{}, not killed", scenario.name), |table| {
            let ran = table.run(index, "record", &name)?;
            let all = ran.acknowledged == scenario.steps.len();
            if all { Ok(true) } else { Err(format!("{} steps were done", ran.acknowledged)) }
        });
        for (point, count) in saved(&path) {
            for nth in passes(count) {
                self.case(&format!("{}, {point} #{nth}", scenario.name), |table| {
                    let ran = table.run(index, &point, &nth.to_string())?;
                    if ran.killed {
                        table.reached.insert(point.clone());
                    }
                    Ok(ran.killed)
                });
            }
        }
    }

    /// The zygote, or its children, are killed at each pass of each point.
    fn zygotes(&mut self, who: &str, spares: u64) {
        let runtime = self.runtime;
        let notes = self.dir.join("notes");
        let name = format!("{who} with {spares} spares");
        self.case(&format!("{name}, not killed"), |table| {
            plan_zygote(runtime, who, "record", 0, &notes);
            table.zygote_case(spares, true)
        });
        for (point, count) in saved(&notes.with_extension(who)) {
            for nth in passes(count) {
                self.case(&format!("{name}, {point} #{nth}"), |table| {
                    let flag = table.dir.join("flag");
                    std::fs::write(&flag, "").unwrap();
                    plan_zygote(runtime, who, &point, nth, &flag);
                    table.reached.insert(point.clone());
                    table.zygote_case(spares, false)
                });
            }
        }
    }

    fn zygote_case(&mut self, spares: u64, all: bool) -> Result<bool, String> {
        let me = self.runtime.me();
        task::process::set_spares(&me, spares).map_err(|e| e.to_string())?;
        let control = control::get(&me).map_err(|e| e.to_string())?;
        zygote::send_message(&me, control, b"import").map_err(|e| e.to_string())?;
        let mut killed = 0;
        for i in 0..4 {
            if i == 2 {
                // Fewer spares, and more again.
                std::thread::sleep(Duration::from_millis(2));
                std::thread::sleep(Duration::from_millis(8));
                task::process::set_spares(&me, spares / 3).map_err(|e| e.to_string())?;
            }
            match start_and_join(&me) {
                Ok(()) => {}
                Err(e) if e == "the task is Killed" => killed += 1,
                Err(e) => return Err(e),
            }
        }
        if killed > 1 && all {
            return Err(format!("{killed} tasks were killed"));
        }
        end_zygote(&me)?;
        plan_zygote(self.runtime, "zygote", "", 0, Path::new(""));
        start_and_join(&me)?;
        end_zygote(&me)?;
        self.settle()?;
        Ok(true)
    }
}

fn wait_for_end(child: &mut std::process::Child) {
    // The supervisor may have collected it already.
    let _ = child.wait();
}

fn passes(count: u64) -> BTreeSet<u64> {
    [1, 2, count / 2, count].into_iter().filter(|n| (1..=count).contains(n)).collect()
}

fn brief(list: &[Value]) -> String {
    let text = format!("{list:?}");
    if text.len() < 300 { text } else { format!("{} elements", list.len()) }
}

/// The names of all crash points in the sources.
fn names(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            names(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&entry).unwrap();
            let parts = text.split("crash_point!(\"").skip(1);
            found.extend(parts.filter_map(|p| p.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
}

fn main() {
    if let Ok(text) = std::env::var(VICTIM) {
        victim(&text);
    }
    if let Ok(text) = std::env::var(ZYGOTE) {
        serve(&text);
    }
    let only = std::env::var("TAREFA_CRASH_ONLY").ok();
    let wanted = |name: &str| only.as_ref().is_none_or(|o| name.contains(o.as_str()));
    let started = Instant::now();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let case = NOW.try_lock().ok().and_then(|now| now.as_ref().map(|n| n.0.clone()));
        println!("PANICS: {case:?}");
        usual(info);
    }));
    std::thread::spawn(watchdog);
    let runtime = task::runtime().unwrap();
    let dir = std::env::temp_dir().join(format!("tarefa-crash-{}", process::pid()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut table = Table {
        runtime,
        dir: dir.clone(),
        baseline: heap::check::Report::default(),
        reached: BTreeSet::new(),
        passed: 0,
        failed: Vec::new(),
        unreached: 0,
    };
    // Once without looking: what stays for good is made now.
    let me = runtime.me();
    plan_zygote(runtime, "zygote", "", 0, Path::new(""));
    start_and_join(&me).unwrap();
    end_zygote(&me).unwrap();
    let _ = table.run(0, "record", &dir.join("record").display().to_string());
    let _ = table.run(SCENARIOS.len() - 3, "record", &dir.join("record").display().to_string());
    table.baseline = whole(&me).unwrap();

    for (index, scenario) in SCENARIOS.iter().enumerate() {
        if wanted(scenario.name) {
            table.scenario(index);
        }
    }
    for (who, spares) in [("zygote", 0), ("zygote", 3), ("child", 0), ("child", 3)] {
        if wanted(who) {
            table.zygotes(who, spares);
        }
    }

    let mut all = BTreeSet::new();
    names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let allowed: BTreeSet<&str> = ALLOWED.iter().flat_map(|(names, _)| *names).copied().collect();
    if only.is_none() {
        for name in all.iter().filter(|n| !table.reached.contains(*n)) {
            if !allowed.contains(name.as_str()) {
                println!("FAILED: nothing is killed at the crash point {name:?}");
                table.failed.push(name.clone());
            }
        }
    }
    for (names, why) in ALLOWED {
        for gone in names.iter().filter(|n| !all.contains(**n)) {
            println!("FAILED: allowed, but there is no crash point {gone:?} ({why})");
            table.failed.push((*gone).to_owned());
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
    let reached = table.reached.len();
    println!("{reached} of {} crash points, in {:.0?}", all.len(), started.elapsed());
    println!("{} passed, {} failed", table.passed, table.failed.len());
    process::exit_now(i32::from(!table.failed.is_empty()));
}
