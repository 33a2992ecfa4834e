//! The storm of what has queues: members wait at a semaphore, a condition, a barrier and a
//! read-write lock and are killed at random times. Nobody may hang, no permit may be lost or
//! made, nobody be counted who is not there, and nothing be left behind.
//!
//! `TAREFA_STORM_SEED` and `TAREFA_STORM_SECONDS` (5) choose the course and its length.

#![allow(clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{Handle, wait_for_members, whole};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{process, signal};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::sync::barrier::{self, Passed};
use tarefa_engine::sync::condition::{self, Waited};
use tarefa_engine::sync::lock::word::{Acquired as Taken, Recursion};
use tarefa_engine::sync::rwlock::{self, Acquired, Mode};
use tarefa_engine::sync::wait::{Outcome, Plain};
use tarefa_engine::sync::{event, lock, semaphore};
use tarefa_engine::task;

const MEMBER: &str = "TAREFA_STORM_QUEUES";
const AT_ONCE: usize = 4;
const PERMITS: u64 = 2;

/// xorshift64*, after Vigna, "An experimental exploration of Marsaglia's xorshift generators".
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn soon(&mut self, micros: u64) -> Deadline {
        Deadline::after(Some(Duration::from_micros(self.below(micros))))
    }

    /// Works for a while, now and then for so long that nobody spins.
    fn work(&mut self) {
        if self.below(3) == 0 {
            std::thread::sleep(Duration::from_micros(self.below(150)));
        }
    }
}

#[derive(Clone, Copy)]
struct Objects {
    lock: Handle,
    semaphore: Handle,
    condition: Handle,
    barrier: Handle,
    rwlock: Handle,
    /// Set when the members are to end.
    stop: Handle,
}

impl Objects {
    fn create(me: &Member, sort: Recursion) -> Self {
        let handle = |off| support::handle(me, off);
        let objects = Self {
            lock: handle(lock::create(me, sort).unwrap()),
            semaphore: handle(semaphore::create(me).unwrap()),
            condition: handle(condition::create(me).unwrap()),
            barrier: handle(barrier::create(me).unwrap()),
            rwlock: handle(rwlock::create(me).unwrap()),
            stop: handle(event::create(me).unwrap()),
        };
        semaphore::set_up(me, objects.semaphore.0, PERMITS, true);
        barrier::set_up(me, objects.barrier.0, 2, None, false);
        assert!(condition::set_lock(me, objects.condition.0, objects.lock.0));
        objects
    }

    fn handles(&self) -> Vec<Handle> {
        vec![self.lock, self.semaphore, self.condition, self.barrier, self.rwlock, self.stop]
    }
}

/// `objects|seed`
fn member(text: &str) -> ! {
    let (objects, seed) = text.split_once('|').unwrap();
    let (runtime, handles) = support::join(objects);
    let [lock, semaphore, condition, barrier, rwlock, stop] = handles[..] else { panic!() };
    let objects = Objects { lock, semaphore, condition, barrier, rwlock, stop };
    let seed = seed.parse::<u64>().unwrap() | 1;
    let other = std::thread::spawn(move || run(&runtime.me(), &objects, Random(seed ^ 0xffff)));
    run(&runtime.me(), &objects, Random(seed));
    process::exit_now(i32::from(other.join().is_err()))
}

fn run(me: &Member, objects: &Objects, mut random: Random) {
    while !event::is_set(me, objects.stop.0) {
        match random.below(4) {
            0 => permits(me, objects, &mut random),
            1 => meet(me, objects, &mut random),
            2 => share(me, objects, &mut random),
            _ => notify(me, objects, &mut random),
        }
    }
}

fn permits(me: &Member, objects: &Objects, random: &mut Random) {
    let off = objects.semaphore.0;
    let deadline = if random.below(2) == 0 { Deadline::NEVER } else { random.soon(300) };
    if semaphore::acquire(me, off, true, &mut Plain, deadline).unwrap() == Outcome::Ready {
        assert!(semaphore::value(me, off) < PERMITS, "a permit too many");
        random.work();
        semaphore::release_held(me, off).unwrap();
    }
}

fn meet(me: &Member, objects: &Objects, random: &mut Random) {
    let off = objects.barrier.0;
    match barrier::wait(me, off, &mut Plain, random.soon(2000)).unwrap() {
        Passed::Broken(_) | Passed::TimedOut => barrier::reset(me, off),
        Passed::Yes(index) => assert!(index < 2),
        other => panic!("{other:?}"),
    }
}

fn share(me: &Member, objects: &Objects, random: &mut Random) {
    let off = objects.rwlock.0;
    let mode = if random.below(3) == 0 { Mode::Write } else { Mode::Read };
    let deadline = if random.below(2) == 0 { Deadline::NEVER } else { random.soon(300) };
    match rwlock::acquire(me, off, mode, &mut Plain, deadline).unwrap() {
        Acquired::Yes => {
            assert_eq!(rwlock::writer(me, off).is_some(), mode == Mode::Write);
            random.work();
            rwlock::release(me, off, mode).unwrap();
        }
        Acquired::TimedOut | Acquired::OwnerDied(_) => {}
        other => panic!("{other:?}"),
    }
}

fn notify(me: &Member, objects: &Objects, random: &mut Random) {
    let (off, lock) = (objects.condition.0, condition::Lock::at(me, objects.lock.0));
    match lock.cell.acquire(me, lock.recursion, lock.off, &mut Plain, Deadline::NEVER) {
        Taken::Yes => {}
        Taken::OwnerDied(_) => return,
        other => panic!("{other:?}"),
    }
    if random.below(2) == 0 {
        condition::notify(me, off, lock, 1 + random.below(3)).unwrap();
        random.work();
    } else {
        let waited = condition::wait(me, off, lock, &mut Plain, random.soon(1000)).unwrap();
        assert!(!matches!(waited, Waited::Interrupted | Waited::GaveUp));
    }
    lock.cell.release(me, lock.recursion).unwrap();
}

fn round(runtime: &'static Runtime, random: &mut Random, until: Instant) -> Result<u64, String> {
    let me = runtime.me();
    let sort = if random.below(2) == 0 { Recursion::Forbidden } else { Recursion::Allowed };
    let objects = Objects::create(&me, sort);
    let text = support::text(runtime.address(), &objects.handles());
    let start = |random: &mut Random| {
        support::execute(MEMBER, &format!("{text}|{}", random.below(u64::MAX)))
    };
    let mut members: Vec<_> = (0..AT_ONCE).map(|_| start(random)).collect();
    let mut kills = 0;
    while Instant::now() < until {
        std::thread::sleep(Duration::from_micros(500 + random.below(20_000)));
        let victim = random.below(AT_ONCE as u64) as usize;
        let mut dead = std::mem::replace(&mut members[victim], start(random));
        let _ = signal::send_process(dead.id() as i32, libc::SIGKILL);
        let _ = dead.wait();
        kills += 1;
    }
    // Nobody waits for ever: the rest end by themselves.
    event::set(&me, objects.stop.0);
    let limit = Instant::now() + Duration::from_secs(20);
    let mut ended = Ok(kills);
    for mut member in members {
        let status = loop {
            match member.try_wait() {
                Ok(None) if Instant::now() < limit => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                // The supervisor may have collected it.
                Ok(None) => break Err("it hangs".to_owned()),
                Ok(Some(status)) if !status.success() => break Err(status.to_string()),
                _ => break Ok(()),
            }
        };
        if let Err(e) = status {
            ended = Err(format!("member {}: {e}", member.id()));
            let _ = signal::send_process(member.id() as i32, libc::SIGKILL);
            let _ = member.wait();
        }
    }
    let kills = ended?;
    wait_for_members(runtime, 0)?;
    check(&me, &objects)?;
    for (off, _) in objects.handles() {
        refcount::release(&me, off);
    }
    Ok(kills)
}

fn check(me: &Member, objects: &Objects) -> Result<(), String> {
    let off = objects.semaphore.0;
    let (free, wait) = (semaphore::value(me, off), semaphore::waiting(me, off));
    if (free, wait) != (PERMITS, 0) {
        return Err(format!("{free} permits of {PERMITS}, {wait} wait"));
    }
    let off = objects.rwlock.0;
    let mut acquired = rwlock::try_acquire(me, off, Mode::Write);
    if let Ok(Acquired::OwnerDied(_)) = acquired {
        acquired = rwlock::try_acquire(me, off, Mode::Write);
    }
    if acquired != Ok(Acquired::Yes) {
        return Err(format!("to write: {acquired:?}, {} readers", rwlock::readers(me, off)));
    }
    rwlock::release(me, off, Mode::Write).map_err(|e| e.to_string())?;
    let off = objects.barrier.0;
    if barrier::waiting(me, off) > 0 && barrier::broken(me, off).is_none() {
        return Err("somebody is counted at the barrier".to_owned());
    }
    match condition::waiting(me, objects.condition.0) {
        0 => Ok(()),
        n => Err(format!("{n} wait for the condition")),
    }
}

fn main() {
    if let Ok(text) = std::env::var(MEMBER) {
        member(&text);
    }
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = variable("TAREFA_STORM_SEED").unwrap_or(now.map_or(1, |d| d.as_secs()));
    let seconds = variable("TAREFA_STORM_SECONDS").unwrap_or(5);
    println!("storm of queues: seed {seed}, {seconds} s");
    let end = Instant::now() + Duration::from_secs(seconds);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(seconds + 60));
        println!("HANGS, seed {seed}\n0 passed, 1 failed");
        process::exit_now(1);
    });
    let runtime = task::runtime().unwrap();
    let me = runtime.me();
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
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
