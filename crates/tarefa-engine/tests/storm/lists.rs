//! The storm: members work on shared objects and are killed at random times; whatever they
//! acknowledged must be there, exactly once and in order, and nothing may be left behind.
//!
//! `TAREFA_STORM_SEED` and `TAREFA_STORM_SECONDS` (5) choose the course and its length.

#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::naive_bytecount)]
#![allow(clippy::needless_for_each, clippy::format_collect, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{
    Random, Shared, Value, acknowledge, contents, int, numbers, use_all, value_of,
    wait_for_members, whole,
};
use tarefa_engine::collections::array::pep3118::Scalar;
use tarefa_engine::collections::array::{self, Array, Form};
use tarefa_engine::collections::list::{self, List, ListError, Source};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{process, signal};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::sync::{event, lock};
use tarefa_engine::task;

const MEMBER: &str = "TAREFA_STORM_MEMBER";
/// Numbers that a member may append.
const EACH: i64 = 1 << 24;
const AT_ONCE: usize = 3;

/// `shared|member|seed`
fn member(text: &str) -> ! {
    let words: Vec<&str> = text.split('|').collect();
    let (runtime, shared) = Shared::join(words[0]);
    let number: i64 = words[1].parse().unwrap();
    let mut random = Random::new(words[2].parse().unwrap());
    let me = runtime.me();
    let mut next = number * EACH;
    loop {
        step(&me, &shared, &mut random, &mut next);
    }
}

fn step(me: &Member, shared: &Shared, random: &mut Random, next: &mut i64) {
    let (list, child) = (List::at(me, shared.list.0), List::at(me, shared.child.0));
    let other = 1 + random.below(child.len().max(1));
    match random.below(16) {
        0..4 => {
            list.append(int(*next)).unwrap();
            *next += 1;
            acknowledge(1);
        }
        4 => {
            list.append(Item::Blob(tag::BYTES, &next.to_le_bytes(), &[])).unwrap();
            *next += 1;
            acknowledge(1);
        }
        5 => {
            let text = (*next + 1).to_le_bytes();
            list.extend(&[int(*next), Item::Blob(tag::BYTES, &text, &[])]).unwrap();
            *next += 2;
            acknowledge(2);
        }
        6 if list.len() < 5000 => {
            // As it is: what is there must survive a move.
            let snapshot = list.snapshot(0, u64::MAX).unwrap();
            let len = snapshot.items.len() as u64;
            let keep: Vec<_> = (0..len).map(Source::Keep).collect();
            match list.rebuild(snapshot.version, len, &keep) {
                Ok(()) | Err(ListError::Changed) => {}
                Err(e) => panic!("{e}"),
            }
        }
        7 => {
            let (off, never) = (shared.lock.0, Deadline::NEVER);
            let cell = lock::cell(me, off);
            if cell.acquire(me, Recursion::Forbidden, off, &mut Plain, never) == Acquired::Yes {
                let Value::Int(n) = value_of(me, &child.get(0).unwrap()) else { panic!() };
                child.set(0, int(n + 1)).unwrap();
                acknowledge(100);
                cell.release(me, Recursion::Forbidden).unwrap();
            }
        }
        8 => {
            event::set(me, shared.event.0);
            event::clear(me, shared.event.0);
        }
        9 => {
            let soon = Deadline::after(Some(Duration::from_micros(random.below(300))));
            event::wait(me, shared.event.0, &mut Plain, soon);
        }
        10 => {
            let nested = list::create(me).unwrap();
            List::at(me, nested).extend(&[int(1), Item::Blob(tag::BYTES, b"x", &[])]).unwrap();
            child.append(Item::Blob(tag::OBJECT, &[0; 16], &[nested])).unwrap();
            refcount::release(me, nested);
        }
        11 => child.insert(other, Item::Blob(tag::BYTES, &[7; 99], &[])).unwrap(),
        12 => {
            let big = vec![5; 1 << random.below(18)];
            child.append(Item::Blob(tag::BYTES, &big, &[])).unwrap();
        }
        13 => {
            Array::at(me, shared.array.0).add(0, Scalar::I64, 1).unwrap();
            acknowledge(101);
        }
        14 => {
            let extents = [random.below(9000)];
            let form = Form { format: b"d", item: 8, extents: &extents, guarded: true };
            let made = array::create(me, form).unwrap();
            Array::at(me, made).set_note(20, b"a note", &[shared.child.0]).unwrap();
            refcount::release(me, made);
        }
        _ => {
            // Others take as well: it may be gone.
            while child.len() > 40 {
                let _ = child.remove(other % 40 + 1);
            }
        }
    }
}

/// What one member did for certain: appended, counted under the lock, added to the array.
fn acknowledged(written: &[u8]) -> [i64; 3] {
    let appended = written.iter().filter(|b| **b < 100).map(|b| i64::from(*b)).sum();
    let times = |what| written.iter().filter(|b| **b == what).count() as i64;
    [appended, times(100), times(101)]
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(n) => *n,
        Value::Bytes(b) => i64::from_le_bytes(b.as_slice().try_into().expect("eight bytes")),
        Value::List(_) => panic!("a list that nobody stored"),
    }
}

fn round(runtime: &'static Runtime, random: &mut Random, until: Instant) -> Result<u64, String> {
    let me = runtime.me();
    let shared = Shared::create(&me);
    List::at(&me, shared.child.0).append(int(0)).unwrap();
    let text = shared.text(runtime.address());
    let mut started = 0;
    let mut start = |random: &mut Random| {
        let number = started;
        started += 1;
        let text = format!("{text}|{number}|{}", random.below(u64::MAX));
        let mut child = support::execute(MEMBER, &text);
        let pid = child.id() as i32;
        (pid, std::thread::spawn(move || (number, support::written(&mut child))))
    };
    let mut members: Vec<_> = (0..AT_ONCE).map(|_| start(random)).collect();
    let mut readers = Vec::new();
    while Instant::now() < until {
        std::thread::sleep(Duration::from_micros(500 + random.below(20_000)));
        let victim = random.below(AT_ONCE as u64) as usize;
        let (pid, reader) = std::mem::replace(&mut members[victim], start(random));
        let _ = signal::send_process(pid, libc::SIGKILL);
        readers.push(reader);
    }
    for (pid, reader) in members {
        let _ = signal::send_process(pid, libc::SIGKILL);
        readers.push(reader);
    }
    let kills = readers.len() as u64;
    let mut told = vec![[0; 3]; readers.len()];
    for reader in readers {
        let (number, written) = reader.join().expect("a reader");
        told[number] = acknowledged(&written);
    }
    wait_for_members(runtime, 0)?;
    whole(&me)?;
    check(&me, &shared, &told)?;
    use_all(&me, &shared)?;
    shared.release(&me);
    Ok(kills)
}

fn check(me: &Member, shared: &Shared, told: &[[i64; 3]]) -> Result<(), String> {
    let mut found = vec![0; told.len()];
    for value in contents(me, shared.list.0) {
        let (who, what) = (number(&value) / EACH, number(&value) % EACH);
        let next = found.get_mut(who as usize).ok_or("an element of nobody's")?;
        if what != *next {
            return Err(format!("member {who}: {what} where {next} was to come"));
        }
        *next += 1;
    }
    // An append that was not acknowledged may be there: of two elements at most.
    for (who, ([told, ..], found)) in told.iter().zip(&found).enumerate() {
        if !(*told..=told + 2).contains(found) {
            return Err(format!("member {who}: {told} appends acknowledged, {found} found"));
        }
    }
    let counted: i64 = told.iter().map(|t| t[1]).sum();
    let Some(Value::Int(count)) = contents(me, shared.child.0).first().cloned() else {
        return Err("the counter is gone".to_owned());
    };
    if !(counted..=counted + told.len() as i64).contains(&count) {
        return Err(format!("{counted} counts acknowledged, the counter says {count}"));
    }
    let (added, is): (i64, _) = (told.iter().map(|t| t[2]).sum(), numbers(me, shared)[0]);
    if !(added..=added + told.len() as i64).contains(&is) {
        return Err(format!("{added} additions acknowledged, the array says {is}"));
    }
    Ok(())
}

fn main() {
    if let Ok(text) = std::env::var(MEMBER) {
        member(&text);
    }
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = variable("TAREFA_STORM_SEED").unwrap_or(now.map_or(1, |d| d.as_secs()));
    let seconds = variable("TAREFA_STORM_SECONDS").unwrap_or(5);
    println!("storm: seed {seed}, {seconds} s");
    let end = Instant::now() + Duration::from_secs(seconds);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(seconds + 60));
        println!("HANGS, seed {seed}\n0 passed, 1 failed");
        process::exit_now(1);
    });
    let runtime = task::runtime().unwrap();
    let me = runtime.me();
    let mut random = Random::new(seed);
    let (mut rounds, mut kills, mut failed, mut baseline) = (0, 0, 0, None);
    while failed == 0 && (Instant::now() < end || rounds < 2) {
        let until = end.min(Instant::now() + Duration::from_secs(1));
        let result = round(runtime, &mut random, until).and_then(|n| {
            let report = whole(&me)?;
            let before = baseline.get_or_insert_with(|| report.clone());
            let same = report.blocks == before.blocks && report.processes == before.processes;
            if same { Ok(n) } else { Err(format!("left behind: {report:?}, not {before:?}")) }
        });
        match result {
            Ok(n) => (rounds, kills) = (rounds + 1, kills + n),
            Err(e) => {
                println!("FAILED, seed {seed}, round {rounds}: {e}");
                failed += 1;
            }
        }
    }
    println!("{kills} members killed");
    println!("{rounds} passed, {failed} failed");
    process::exit_now(failed);
}
