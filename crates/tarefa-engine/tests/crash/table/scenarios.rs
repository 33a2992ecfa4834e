//! What the members do that die, and what must then be found.

use std::time::Duration;

use crate::dicts::Do;
use crate::limits;
use crate::support::{Shared, Value, Words, contents, int};
use tarefa_engine::collections::list::{self, List, ListError};
use tarefa_engine::collections::object_lock;
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::shm::heap::{self, Kind};
use tarefa_engine::shm::member::report_request;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Runtime, object};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::sync::wait::wait_record;
use tarefa_engine::sync::{event, lock};
use tarefa_engine::task;
use tarefa_engine::task::process::zygote_control;
use tarefa_engine::task::record::Task;
use tarefa_engine::task::{State, record, unretrieved, zygote};
use tarefa_engine::trace;

use crate::lists::{rebuild, splice, spliced};
use crate::starts::start_and_join;
use crate::{arrays, locks, starts, support};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Append(i64),
    AppendBlob(usize),
    Extend(u64),
    Set(u64, i64),
    SetBlob(u64, usize),
    Pop,
    Remove(u64),
    /// Every so-manyth from the first on, so many of them.
    Cut(u64, u64, u64),
    /// From the first on, so many replaced, by a word and a blob by turns, and so many taken out.
    Splice(u64, u64, u64),
    /// Locks that keep what is to be repaired, made and dropped.
    Repairs,
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
    /// The lock held for long, and taken again at once, so that others are overtaken.
    Overtakes(u64),
    /// Groups of operations on the child list.
    Groups(u64),
    SetEvent,
    ClearEvent,
    WaitForEvent,
    WaitForCondition,
    Waits(u64),
    ChildOps(u64),
    Runs(u64),
    Threads,
    Large(u64),
    /// Blocks of so many MiB, freed so that more is left than free runs may keep.
    Shed(u64),
    /// More memory than there is, asked for while slabs are empty.
    Pressure,
    /// An object of that size, made where a block has been before.
    LargeObject(u64),
    Small(u64, u64),
    Sparse,
    Record,
    ThreadTask,
    /// Tasks that failed: one is asked about, of one it is told.
    Failures,
    /// A list made and dropped in the slot that the process has in reserve.
    Reserve,
    Limited,
    LimitedThread,
    Message,
    /// A start that a zygote which sleeps is told of before, as the fronts do.
    Expected,
    Start,
    Spares(u64),
    Interrupts,
    Reads,
    Dict(Do),
    /// A wait that lasts, and a look at who waits.
    Report,
    /// All of the words get one value.
    SetWords(u64),
    /// All of the words are read, so often.
    ReadWords(u64),
    /// So many lists made, held at once, and dropped.
    Handles(u64),
    /// So many lists made, each of them in the next and in a list of all, and what the list has;
    /// all of it held to the end.
    Hoard(u64),
    MakeArrays,
    Boards,
    Traces,
    /// See [`arrays`].
    Count(i64),
    CountLocked(i64),
    CountPairs(i64),
}

use Step::*;

/// What a scenario needs around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    Nothing,
    /// The member is armed before it joins.
    Attach,
    /// The same, and joins for an object that is not there first.
    Refused,
    /// Another thread of this process uses the lock and the event all the time.
    Rival,
    /// Other threads of this process overtake whoever waits for the lock and the child's guard.
    Overtaken,
    /// The member is no child of this process, and is armed before it joins.
    Foreign,
    /// Others have died before: one that changed the list, one that held the lock, one that
    /// wrote a large item.
    Deaths,
    /// No large run is free.
    NoRuns,
    /// There is a zygote, with so many spares.
    Zygote(u64),
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) around: Around,
    /// The list at first: words and blobs by turns.
    pub(crate) first: u64,
    pub(crate) steps: &'static [Step],
}

const fn scenario(name: &'static str, first: u64, steps: &'static [Step]) -> Scenario {
    Scenario { name, around: Around::Nothing, first, steps }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "attach", around: Around::Attach, first: 2, steps: &[Append(1)] },
    Scenario { name: "attach, refused", around: Around::Refused, first: 2, steps: &[Append(1)] },
    Scenario { name: "attach from afar", around: Around::Foreign, first: 0, steps: &[Append(1)] },
    Scenario {
        name: "after deaths",
        around: Around::Deaths,
        first: 6,
        steps: &[Reads, Locks(2), CountPairs(1), Dict(Do::Reads), Reads, Pop, Dict(Do::Set(2, 5))],
    },
    Scenario {
        name: "new runs",
        around: Around::NoRuns,
        first: 0,
        steps: &[Runs(5), Runs(20), Append(1)],
    },
    scenario(
        "dict: one key",
        0,
        &[
            Dict(Do::Set(2, 4)),
            Dict(Do::Set(3, 5)),
            Dict(Do::Set(2, 6)),
            Dict(Do::Set(2, 7)),
            Dict(Do::Set(3, 9)),
            Dict(Do::Set(3, 8)),
            Dict(Do::SetDefault(2, 1)),
            Dict(Do::SetDefault(5, 9)),
            Dict(Do::Add(3, 5)),
            Dict(Do::Add(7, 5)),
            Dict(Do::ReplaceIf(2, 11)),
            Dict(Do::SetNested(4)),
            Dict(Do::SetNested(4)),
            Dict(Do::Remove(4)),
            Dict(Do::Remove(2)),
            Dict(Do::PopLast),
            Dict(Do::PopLast),
            Dict(Do::Set(2, 1)),
            Dict(Do::Reads),
            Dict(Do::Clear),
            Dict(Do::Set(9, 9)),
        ],
    ),
    scenario(
        "dict: many at once",
        0,
        &[
            Dict(Do::Fill(0, 3)),
            Dict(Do::Fill(2, 9)),
            Dict(Do::Count(100, 20)),
            Dict(Do::Toggle(8, 6)),
            Dict(Do::Take(0, 5)),
            Dict(Do::Only(6, 4)),
            Dict(Do::Fill(0, 400)),
            Dict(Do::Fill(90, 60)),
            Dict(Do::Take(100, 50)),
            Dict(Do::Only(50, 3)),
            Dict(Do::Clear),
        ],
    ),
    scenario(
        "dict: moves",
        0,
        &[
            Dict(Do::Grow(0, 24)),
            Dict(Do::Shrink(3, 12)),
            Dict(Do::Grow(40, 40)),
            Dict(Do::Shrink(0, 60)),
            Dict(Do::Grow(2, 30)),
            Dict(Do::PopLast),
        ],
    ),
    scenario(
        "dict: large",
        0,
        &[Dict(Do::Fill(0, 1300)), Dict(Do::Grow(2000, 80)), Dict(Do::Reads), Dict(Do::Clear)],
    ),
    scenario("dict: made and dropped", 0, &[Dict(Do::MakeAndDrop), Dict(Do::MakeAndDrop)]),
    scenario("append words", 0, &[Append(1), Append(2), Append(3), Append(4)]),
    scenario("append to a new segment", 15, &[Append(1), Append(2), Append(3)]),
    scenario("append to a large segment", 4080, &[Append(1), Append(2)]),
    scenario("extend by pages", 6000, &[Extend(3000), Extend(9000)]),
    scenario("append blobs", 1, &[AppendBlob(10), AppendBlob(5000), AppendBlob(100_000)]),
    scenario("extend", 3, &[Extend(3), Extend(20)]),
    scenario("set", 6, &[Set(0, 1), Set(1, 2), SetBlob(2, 30), SetBlob(3, 40), Set(2, 5)]),
    scenario("pop", 6, &[Pop, Pop, Remove(0), Remove(0), Pop, Pop, Append(1)]),
    scenario("remove inside", 40, &[Remove(20), Remove(3), Remove(37)]),
    scenario("cut", 40, &[Cut(3, 1, 9), Cut(0, 2, 8), Cut(5, 3, 4), Cut(17, 1, 2), Cut(0, 1, 17)]),
    scenario("cut a long list", 700, &[Cut(3, 1, 690), Append(1), Cut(1, 4, 2)]),
    scenario("splice", 40, &[Splice(3, 1, 1), Splice(0, 4, 20), Splice(2, 6, 0)]),
    scenario("splice many", 200, &[Splice(1, 60, 9), Append(1), Splice(0, 3, 120)]),
    scenario("repairs", 0, &[Repairs, Append(1), Repairs]),
    scenario("insert", 20, &[Insert(0, 1), Insert(10, 2), InsertBlob(7, 9), Insert(99, 3)]),
    scenario("rebuild", 9, &[Rebuild, Append(1), Rebuild]),
    scenario("clear", 40, &[Clear, Append(1), Clear]),
    scenario("a queue", 2, &[Queue(1100), Extend(4000)]),
    scenario("nested", 2, &[AppendChild, AppendNested, Set(3, 1), Pop, Pop, AppendNested, Clear]),
    scenario("objects", 2, &[CreateAndDrop, AcquireAndRelease, CreateAndDrop]),
    scenario("many handles", 2, &[Handles(600), Append(1), Handles(900)]),
    scenario("a hoard", 2, &[AppendNested, AppendNested, Hoard(1200), Append(1), Pop]),
    scenario("locks", 0, &[Locks(3), Append(1), Locks(1)]),
    scenario("events", 0, &[SetEvent, ClearEvent, SetEvent, WaitForEvent, WaitForCondition]),
    scenario("threads", 1, &[Threads, Append(1)]),
    scenario("the reserve slot", 1, &[Reserve, Append(1), Reserve]),
    scenario("large blocks", 0, &[Large(1 << 20), Large(300_000), Large(9 << 20), Large(70_000)]),
    scenario("more than is kept", 0, &[Shed(15), Append(1)]),
    scenario("memory pressure", 0, &[Pressure, Append(1), Pressure]),
    scenario("large objects", 0, &[LargeObject(3 << 20), LargeObject(41 << 20), Append(1)]),
    scenario("many small blocks", 0, &[Small(2000, 100), Small(70, 1900), Small(9, 30_000)]),
    scenario("sparse blocks", 0, &[Sparse, Sparse]),
    scenario("task records", 0, &[Record, Interrupts, ThreadTask, Failures, Record]),
    scenario("limits", 0, &[Limited, LimitedThread, Append(1)]),
    Scenario { name: "messages", around: Around::Zygote(0), first: 0, steps: &[Message, Message] },
    scenario("reads", 12, &[Reads]),
    scenario("arrays are made", 0, &[MakeArrays, Append(1), MakeArrays]),
    scenario("boards of pools", 0, &[Boards, Append(1), Boards]),
    scenario("traces", 0, &[Traces, Append(1), Traces]),
    scenario("an array", 0, &[Count(5), CountLocked(4), Count(7), CountLocked(3)]),
    scenario("large items", 0, &[CountPairs(2), Append(1), CountPairs(3)]),
    scenario("reports", 2, &[Report, Append(1), Report]),
    scenario("many words", 2, &[SetWords(1), SetWords(2), Append(1), SetWords(3)]),
    Scenario {
        name: "a rival",
        around: Around::Rival,
        first: 2,
        steps: &[
            Locks(12),
            Waits(6),
            ReadWords(100),
            ChildOps(3000),
            Locks(12),
            SetEvent,
            ReadWords(100),
            Waits(6),
        ],
    },
    scenario("groups", 0, &[Groups(2), Append(1), Groups(1)]),
    Scenario {
        name: "overtaken",
        around: Around::Overtaken,
        first: 2,
        steps: &[Locks(6), Overtakes(6), ChildOps(8), Groups(6), Append(1), ChildOps(8)],
    },
    Scenario {
        name: "start",
        around: Around::Zygote(0),
        first: 0,
        steps: &[Append(1), Start, Append(2), Start, Expected],
    },
    Scenario {
        name: "start with spares",
        around: Around::Zygote(2),
        first: 0,
        steps: &[Start, Append(2), Start, Spares(1), Start],
    },
];

pub(crate) fn blob(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + n) as u8).collect()
}

/// What the list holds at first.
pub(crate) fn first(n: u64) -> Vec<Value> {
    let one =
        |i: u64| if i % 2 == 0 { Value::Int(i as i64) } else { Value::Bytes(blob(i as usize)) };
    (0..n).map(one).collect()
}

pub(crate) fn fill(me: &Member, off: Off, values: &[Value]) {
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
    pub(crate) fn model(self, list: &mut Vec<Value>) {
        match self {
            Append(n) => list.push(Value::Int(n)),
            AppendBlob(n) => list.push(Value::Bytes(blob(n))),
            Extend(n) => list.extend(first(n)),
            Set(i, n) => list[i as usize] = Value::Int(n),
            SetBlob(i, n) => list[i as usize] = Value::Bytes(blob(n)),
            Pop => drop(list.pop()),
            Remove(i) => drop(list.remove(i as usize)),
            Cut(first, step, count) => {
                let gone = |i| i >= first && (i - first) % step == 0 && (i - first) / step < count;
                let mut i = 0;
                list.retain(|_| {
                    i += 1;
                    !gone(i - 1)
                });
            }
            Splice(first, new, gone) => {
                let (from, new) = (first as usize, new as usize);
                drop(list.splice(from..from + new + gone as usize, spliced(new)));
            }
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
    pub(crate) fn models(self, list: &[Value]) -> Vec<Vec<Value>> {
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

    pub(crate) fn run(self, me: &Member, shared: &Shared) {
        let off = shared.list.0;
        let list = List::at(me, off);
        match self {
            Dict(what) => what.run(me, shared.dict.0),
            Append(n) => list.append(int(n)).unwrap(),
            AppendBlob(n) => list.append(Item::Blob(tag::BYTES, &blob(n), &[])).unwrap(),
            Extend(n) => fill(me, off, &first(n)),
            Set(i, n) => list.set(i, int(n)).unwrap(),
            SetBlob(i, n) => list.set(i, Item::Blob(tag::BYTES, &blob(n), &[])).unwrap(),
            Pop => drop(list.pop().unwrap()),
            Remove(i) => drop(list.remove(i).unwrap()),
            Cut(first, step, count) => {
                list.cut(list::Cut { first, step, count }, None).unwrap();
            }
            Splice(first, new, gone) => splice(list, first, new as usize, gone),
            Repairs => locks::repairs(me, shared.child.0),
            Insert(i, n) => list.insert(i, int(n)).unwrap(),
            InsertBlob(i, n) => list.insert(i, Item::Blob(tag::BYTES, &blob(n), &[])).unwrap(),
            Rebuild => rebuild(list),
            Clear => list.clear().unwrap(),
            AppendChild => refer(list, shared.child.0),
            AppendNested => {
                let nested = list::create(me).unwrap();
                List::at(me, nested).extend(&[int(1), Item::Blob(tag::BYTES, b"x", &[])]).unwrap();
                refer(list, nested);
                refcount::release(me, nested);
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
                let made =
                    [list::create(me), lock::create(me, Recursion::Forbidden), event::create(me)];
                List::at(me, made[0].unwrap()).append(int(1)).unwrap();
                made.into_iter().for_each(|off| refcount::release(me, off.unwrap()));
            }
            AcquireAndRelease => {
                refcount::release(me, shared.child.0);
                assert!(refcount::acquire(me, shared.child.0, shared.child.1).unwrap());
                refcount::acquire(me, shared.child.0, shared.child.1).unwrap();
                refcount::release(me, shared.child.0);
            }
            Locks(n) => {
                let (off, never) = (shared.lock.0, Deadline::NEVER);
                let cell = lock::cell(me, off);
                for i in 0..n {
                    while cell.acquire(me, Recursion::Forbidden, off, &mut Plain, never)
                        != Acquired::Yes
                    {}
                    if n > 10 && i % 4 == 0 {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                    if cell.poisoned(me, Recursion::Forbidden) || i == 1 {
                        cell.clear_poison();
                    }
                    cell.release(me, Recursion::Forbidden).unwrap();
                }
            }
            Overtakes(n) => {
                let (off, never) = (shared.lock.0, Deadline::NEVER);
                let cell = lock::cell(me, off);
                for _ in 0..n {
                    while cell.acquire(me, Recursion::Forbidden, off, &mut Plain, never)
                        != Acquired::Yes
                    {}
                    std::thread::sleep(Duration::from_micros(700));
                    cell.release(me, Recursion::Forbidden).unwrap();
                }
            }
            Groups(n) => (0..n).for_each(|_| group(me, shared)),
            SetEvent => event::set(me, shared.event.0),
            ClearEvent => event::clear(me, shared.event.0),
            WaitForEvent => {
                event::wait(me, shared.event.0, &mut Plain, Deadline::NEVER);
            }
            WaitForCondition => locks::wait_for_condition(me, shared.event.0),
            Waits(n) => {
                for _ in 0..n {
                    event::clear(me, shared.event.0);
                    event::wait(me, shared.event.0, &mut Plain, Deadline::NEVER);
                }
            }
            ChildOps(n) => {
                let child = List::at(me, shared.child.0);
                for _ in 0..n {
                    retry_when_unlocked(me, shared.child.0, || child.append(int(5))).unwrap();
                    retry_when_unlocked(me, shared.child.0, || child.pop()).unwrap();
                }
            }
            Runs(mib) => {
                let savepoint = heap::savepoint(me);
                for _ in 0..2 {
                    heap::alloc_sparse(me, Kind::RAW, mib << 20, 5000).unwrap();
                }
                heap::free_deferred(me, savepoint);
            }
            Threads => threads(me.runtime(), shared.child),
            Large(size) => {
                let savepoint = heap::savepoint(me);
                heap::alloc(me, Kind::RAW, size).unwrap();
                heap::alloc(me, Kind::RAW, size / 3).unwrap();
                heap::free_deferred(me, savepoint);
            }
            Shed(mib) => {
                let savepoint = heap::savepoint(me);
                for _ in 0..3 {
                    heap::alloc(me, Kind::RAW, mib << 20).unwrap();
                }
                heap::free_deferred(me, savepoint);
            }
            Pressure => {
                let savepoint = heap::savepoint(me);
                for size in [16, 900, 2000, 30_000] {
                    heap::alloc(me, Kind::RAW, size).unwrap();
                }
                heap::free_deferred(me, savepoint);
                heap::alloc(me, Kind::RAW, 1 << 45).unwrap_err();
            }
            LargeObject(size) => {
                let savepoint = heap::savepoint(me);
                let block = heap::alloc(me, Kind::RAW, size).unwrap();
                me.arena().write(block.plus(heap::HEADER), &vec![0xa5; 1 << 20]);
                heap::free_deferred(me, savepoint);
                let off = object::create(me, 0, size).unwrap();
                refcount::adopt(me, off, savepoint).unwrap();
                refcount::release(me, off);
            }
            Small(count, size) => {
                let savepoint = heap::savepoint(me);
                for _ in 0..count {
                    heap::alloc(me, Kind::RAW, size).unwrap();
                }
                heap::free_deferred(me, savepoint);
            }
            Sparse => {
                let savepoint = heap::savepoint(me);
                let block = heap::alloc_sparse(me, Kind::RAW, 20 << 20, 5000).unwrap();
                heap::back(me, block, 5000, 900_000).unwrap();
                heap::back(me, block, 900_000, 19 << 20).unwrap();
                heap::free_deferred(me, savepoint);
            }
            Record => run_record(me, shared),
            ThreadTask => run_in_thread(me),
            Failures => fail_and_tell(me),
            Reserve => me.runtime().with_reserve(|me| {
                refcount::release(me, list::create(me).unwrap());
            }),
            Limited => limits::run_limited(me),
            LimitedThread => limits::run_in_limited_thread(me),
            Interrupts => {
                let off = record::create(me, 0, "interrupted").unwrap();
                let task = Task::at(me, off);
                task.request_interrupt();
                assert!(task.interrupt_due() && task.take_interrupt());
                assert!(task.begin() && task.run_here());
                task.wake();
                task.finish(State::Interrupted, 1, None);
                refcount::release(me, off);
            }
            Message => {
                let control = zygote_control::get(me).unwrap();
                zygote::send_message(me, control, b"something to import", true).unwrap();
            }
            Expected => starts::expected(me).unwrap(),
            Start => start_and_join(me).unwrap(),
            Spares(n) => task::process::set_spares(me, n).unwrap(),
            MakeArrays => arrays::make(me, shared),
            Boards => crate::boards::work(me),
            Traces => crate::traces::work(me),
            Count(n) => arrays::count(me, shared, n),
            CountLocked(n) => arrays::count_locked(me, shared, n),
            CountPairs(n) => arrays::count_pairs(me, shared, n),
            Reads => {
                for i in 0..list.len() {
                    list.get(i).unwrap();
                }
                contents(me, off);
            }
            Report => report(me, shared),
            SetWords(value) => Words::at(me, shared.words.0).set_all(value),
            ReadWords(n) => (0..n).for_each(|_| drop(Words::at(me, shared.words.0).all())),
            Handles(n) => {
                let made: Vec<Off> = (0..n).map(|_| list::create(me).unwrap()).collect();
                made.into_iter().for_each(|off| refcount::release(me, off));
            }
            Hoard(n) => hoard(me, list, n),
        }
    }
}

/// One operation on a list, once no other thread groups its own.
pub(crate) fn retry_when_unlocked<T>(
    me: &Member,
    off: Off,
    act: impl FnMut() -> Result<T, ListError>,
) -> Result<T, ListError> {
    let guard = List::at(me, off).object_lock();
    object_lock::retry_when_unlocked(me, guard, off, || Plain, act).expect("nobody interrupts")
}

/// Operations on the child list under its lock, taken more than once.
pub(crate) fn group(me: &Member, shared: &Shared) {
    let (off, sort) = (shared.child.0, Recursion::Allowed);
    let child = List::at(me, off);
    let cell = child.object_lock();
    let take = || {
        let limit = Deadline::after(Some(Duration::from_secs(10)));
        while cell.acquire(me, sort, off, &mut Plain, limit) != Acquired::Yes {
            assert!(!limit.passed(), "the child's guard");
        }
    };
    take();
    take();
    child.append(int(6)).unwrap();
    assert_eq!(cell.depth(me), 2);
    let depth = cell.release_all(me, sort).unwrap();
    take();
    cell.restore_depth(depth);
    std::thread::sleep(Duration::from_micros(700));
    child.append(int(6)).unwrap();
    child.pop().unwrap();
    cell.release(me, sort).unwrap();
    child.pop().unwrap();
    cell.release(me, sort).unwrap();
}

fn report(me: &Member, shared: &Shared) {
    wait_record::place(me, "a/path", 12, "f");
    wait_record::label(me, "a thread");
    report_request::set_report_after(me, Some(Duration::from_micros(200)));
    let (off, limit) = (shared.lock.0, || Deadline::after(Some(Duration::from_millis(4))));
    let cell = lock::cell(me, off);
    while cell.acquire(me, Recursion::Forbidden, off, &mut Plain, Deadline::NEVER) != Acquired::Yes
    {
    }
    assert_eq!(
        cell.acquire(me, Recursion::Forbidden, off, &mut Plain, limit()),
        Acquired::TimedOut
    );
    let report = trace::deadlocks(me);
    assert!(report.complete && report.cycles.is_empty());
    assert_eq!(report.holding().count(), 1);
    cell.release(me, Recursion::Forbidden).unwrap();
    report_request::set_report_after(me, None);
}

/// Leaves the process with references to `n` lists that are in one another, and to what `list` has.
pub(crate) fn hoard(me: &Member, list: List<'_>, n: u64) {
    let all = list::create(me).unwrap();
    let mut inner = list::create(me).unwrap();
    for i in 0..n {
        let outer = list::create(me).unwrap();
        List::at(me, outer).append(Item::Blob(tag::BYTES, &blob(i as usize % 90), &[])).unwrap();
        refer(List::at(me, outer), inner);
        refer(List::at(me, all), outer);
        std::mem::forget(List::at(me, all).get(i).unwrap());
        inner = outer;
    }
    (0..list.len()).for_each(|i| std::mem::forget(list.get(i).unwrap()));
}

/// Whether the words are as they may be after `done` of the steps.
pub(crate) fn check_words(
    me: &Member,
    off: Off,
    steps: &[Step],
    done: usize,
) -> Result<(), String> {
    let value = |steps: &[Step]| {
        let set = |s: &Step| if let SetWords(value) = s { Some(*value) } else { None };
        steps.iter().rev().find_map(set).unwrap_or(0)
    };
    let may = [value(&steps[..done]), value(&steps[..steps.len().min(done + 1)])];
    let is = Words::at(me, off).all();
    match is.iter().find(|w| **w != is[0]) {
        None if may.contains(&is[0]) => Ok(()),
        None => Err(format!("after {done} steps the words are {}, not of {may:?}", is[0])),
        Some(other) => Err(format!("some words are {}, others {other}", is[0])),
    }
}

/// The list after `taken` of [`Step::Queue`]: it takes from the front and puts back at the end.
pub(crate) fn rotated(list: &[Value], taken: usize) -> Vec<Value> {
    // Each round appends one, moves the front to the end, and takes it away again.
    let mut list = list.to_vec();
    for value in first(taken as u64) {
        list.push(value);
        list.remove(0);
    }
    list
}

pub(crate) fn refer(list: List<'_>, to: Off) {
    list.append(Item::Blob(tag::OBJECT, &[0; 16], &[to])).unwrap();
}

pub(crate) fn threads(runtime: &'static Runtime, child: support::Handle) {
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

pub(crate) fn run_record(me: &Member, shared: &Shared) {
    let off = record::create(me, 0, "a record").unwrap();
    let task = Task::at(me, off);
    task.set_payload(20, &[b"payload", b" of two"], &[shared.child.0]).unwrap();
    task.set_payload(20, &[b"another"], &[]).unwrap();
    task.change_flags(record::flag::DAEMON, 0);
    assert!(task.begin());
    assert!(task.run_here());
    task.drop_payload();
    assert!(!task.delivered());
    task.deliver(Some((21, &[b"outcome"], &[shared.child.0])));
    task.join_outcome(&mut Plain, Deadline::NEVER);
    assert!(task.delivered() && task.outcome().is_some() && !task.state().is_final());
    task.finish(State::Finished, 0, None);
    task.join(&mut Plain, Deadline::NEVER);
    assert!(task.delivered());
    refcount::release(me, off);
}

/// A task that a thread of this process comes to run after a while, and is joined meanwhile.
pub(crate) fn run_in_thread(me: &Member) {
    let runtime = me.runtime();
    let off = record::create(me, record::flag::THREAD, "a thread").unwrap();
    let task = Task::at(me, off);
    assert!(task.begin());
    let thread = std::thread::spawn(move || {
        let me = runtime.me();
        std::thread::sleep(Duration::from_millis(2));
        let task = Task::at(&me, off);
        assert!(task.run_here());
        task.finish(State::Finished, 0, None);
    });
    task.join(&mut Plain, Deadline::NEVER);
    thread.join().unwrap();
    refcount::release(me, off);
}

/// Three tasks that fail here: the first is asked about, the second is told, of the third somebody
/// was told before it ended.
pub(crate) fn fail_and_tell(me: &Member) {
    for n in 0..3 {
        let off = record::create(me, record::flag::THREAD, "fails").unwrap();
        let task = Task::at(me, off);
        assert!(!task.mark_told(), "it has not failed");
        assert!(task.begin() && task.run_here());
        if n == 2 {
            task.mark_told_already();
            for note in ["one thing", "and another", "and a third"] {
                assert!(task.leave_note(note, note != "one thing"));
            }
            assert_eq!(task.note(), Some(("and a third".to_owned(), true)));
        }
        task.finish(State::Failed, 1, None);
        if n == 0 {
            task.mark_retrieved();
        }
        assert!(task.is_failure() && task.is_retrieved() == (n == 0));
        if task.is_untold() {
            assert!(n == 1 && task.is_last_handle(1) && !task.is_last_handle(0));
            unretrieved::remind_at(me, task.remind_at());
        }
        assert_eq!([task.mark_told(), task.mark_told()], [n == 1, false]);
        refcount::release(me, off);
    }
}
