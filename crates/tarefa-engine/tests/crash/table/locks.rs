//! Reservations of a lock that meet the end of a wait or of a process. No scenario passes these
//! points but by a race of a few instructions, so members stay at others to let it happen.
//!
//! One member holds the lock, another waits and is overtaken until it is to be the next, and a
//! thread of this process waits as well, which must get the lock whoever is killed.

use std::io::Read;
use std::process::Child;
use std::time::{Duration, Instant};

use tarefa_engine::atomic::Ordering;
use tarefa_engine::collections::value::tag;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::process;
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::shm::{Member, Off, Runtime};
use tarefa_engine::sync::lock::word::{Acquired, LockWord, Recursion};
use tarefa_engine::sync::wait::{self, BlockingHooks, Plain};
use tarefa_engine::sync::{event, lock, rwlock};

use crate::support::{self, Shared, acknowledge, use_all, wait_for_members, whole};

/// For [`member`].
pub(crate) const MEMBER: &str = "TAREFA_CRASH_LOCKS";

/// The points, each passed by the holder or the successor in [`forced`].
pub(crate) const POINTS: &[&str] =
    &["lock.heir_gone", "lock.reservation_back", "lock.reservation_left"];

/// How long the successor stays where it has announced a sleep: longer with each attempt, for members
/// that others keep from running.
fn stay(attempt: u32) -> Duration {
    Duration::from_millis(30) * (attempt + 1)
}

/// Interrupts the wait once the thread was made to look around.
struct Poked(u32);

impl Poked {
    fn new(me: &Member) -> Self {
        Self(me.slot().interrupt.load(Ordering::Relaxed))
    }
}

impl BlockingHooks for Poked {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        let me = Runtime::existing().expect("a runtime").me();
        me.slot().interrupt.load(Ordering::Relaxed) != self.0
    }
}

/// `who|point|attempt|shared`
pub(crate) fn member(text: &str) -> ! {
    let words: Vec<&str> = text.splitn(4, '|').collect();
    let stays = stay(words[2].parse().unwrap());
    let (runtime, shared) = Shared::join(words[3]);
    let (me, off, sort) = (runtime.me(), shared.lock.0, Recursion::Forbidden);
    let cell = lock::cell(&me, off);
    let take = |hooks: &mut dyn BlockingHooks| cell.acquire(&me, sort, off, hooks, Deadline::NEVER);
    let told = || {
        event::wait(&me, shared.event.0, &mut Plain, Deadline::NEVER);
        event::clear(&me, shared.event.0);
    };
    if words[0] == "holder" {
        assert_eq!(take(&mut Plain), Acquired::Yes);
        acknowledge(1);
        told();
        // The other has waited for long by now, and asks to be the next.
        cell.release(&me, sort).unwrap();
        if take(&mut Plain) != Acquired::Yes {
            // The other was faster all the same, and has ended with it.
            process::exit_now(0);
        }
        std::thread::sleep(stays * 3);
        acknowledge(1);
        told();
        if words[1] == "lock.reservation_back" {
            // Until the successor has announced its sleep, been interrupted, and waits no more.
            crash_point::pause("lock.released_waking", stays * 3);
        }
        crash_point::arm(words[1], 1);
        cell.release(&me, sort).unwrap();
    } else {
        // When it is woken, the holder has the lock again already; and see `forced`.
        crash_point::pause("wait.slept", stays);
        crash_point::pause("lock.announced", stays);
        if words[1] == "lock.reservation_back" {
            // Until the holder has looked whether this thread still waits.
            crash_point::pause("wait.over", stays * 10);
        }
        crash_point::arm(words[1], 1);
        take(&mut Poked::new(&me));
    }
    crash_point::disarm();
    shared.release(&me);
    process::exit_now(0)
}

/// Ended at the end, however that comes.
struct MemberProcess(Child);

impl Drop for MemberProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a byte; false if the member has ended.
fn byte(MemberProcess(child): &mut MemberProcess) -> bool {
    let out = child.stdout.as_mut().expect("piped");
    out.read_exact(&mut [0]).is_ok()
}

/// The thread slots of those who sleep on the lock, once there are `count`.
fn sleepers(me: &Member, cell: &'static LockWord, count: usize) -> Result<Vec<u32>, String> {
    let (at, start) = (me.arena().offset_of(cell).0, Instant::now());
    let sleeps = |t: &u32| {
        let slot = slots::thread_slot(me.arena(), *t);
        slot.waiting_on.load(Ordering::Acquire) == at
    };
    loop {
        let found: Vec<u32> = slots::threads(me.arena()).filter(sleeps).collect();
        if found.len() == count {
            return Ok(found);
        }
        if start.elapsed() > Duration::from_secs(10) {
            return Err(format!("{} sleep on the lock, not {count}", found.len()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A member is killed at `point`, and the thread that waits gets the lock. False where another
/// process kept a member from running for so long that it came to something else.
pub(crate) fn forced(runtime: &'static Runtime, point: &str, attempt: u32) -> Result<bool, String> {
    let me = runtime.me();
    let shared = Shared::create(&me);
    let result = killed(&me, &shared, point, attempt);
    wait_for_members(runtime, 0)?;
    use_all(&me, &shared)?;
    shared.release(&me);
    whole(&me)?;
    result
}

fn killed(me: &Member, shared: &Shared, point: &str, attempt: u32) -> Result<bool, String> {
    let stays = stay(attempt);
    let (runtime, off) = (me.runtime(), shared.lock.0);
    let cell = lock::cell(me, off);
    let text = |who| format!("{who}|{point}|{attempt}|{}", shared.text(runtime.address()));
    let member = |who| MemberProcess(support::execute(MEMBER, &text(who)));
    let mut holder = member("holder");
    if !byte(&mut holder) {
        return Err("the holder has ended".to_owned());
    }
    let mut successor = member("successor");
    let index = sleepers(me, cell, 1)?[0];
    std::thread::sleep(stays * 3);
    event::set(me, shared.event.0);
    if !byte(&mut holder) {
        return Ok(false);
    }
    // Behind the one that is the next, which stays where it has announced its sleep.
    let waiting = std::thread::spawn(move || {
        let me = runtime.me();
        support::try_lock(&me, off)
    });
    sleepers(me, cell, 2)?;
    std::thread::sleep(stays);
    if point == "lock.heir_gone" {
        successor.0.kill().map_err(|e| e.to_string())?;
        let _ = successor.0.wait();
        wait_for_members(runtime, 1)?;
    } else {
        // Until it has announced its sleep anew, and stays there.
        wait::wake(me, index);
        std::thread::sleep(stays + stays / 3);
    }
    event::set(me, shared.event.0);
    let told = waiting.join().expect("a thread")?;
    let dies = if point == "lock.reservation_left" { &mut successor } else { &mut holder };
    let dead = !dies.0.wait().is_ok_and(|status| status.success());
    let expected = u32::from(point == "lock.heir_gone");
    if dead && told != expected {
        return Err(format!("told {told} times of a death"));
    }
    Ok(dead)
}

/// Two locks that keep something, which mentions `child`, and then another thing.
pub(crate) fn repairs(me: &Member, child: Off) {
    let plain = lock::create(me, Recursion::Allowed).unwrap();
    let both = rwlock::create(me).unwrap();
    for what in [b"one", b"two", b"two"] {
        let kept: (u8, &[&[u8]], &[Off]) = (tag::BYTES, &[what], &[child, plain]);
        lock::cell(me, plain).set_repair(me, plain, kept).unwrap();
        rwlock::set_repair(me, both, kept).unwrap();
    }
    assert_eq!(lock::cell(me, plain).repair(me, plain).unwrap().unwrap().bytes, b"two");
    [both, plain].into_iter().for_each(|off| refcount::release(me, off));
}

/// Waits at an event for something that does not come.
pub(crate) fn wait_for_condition(me: &Member, event: Off) {
    let until = Deadline::after(Some(Duration::from_millis(1)));
    event::wait_for(me, event, &mut Plain, &mut || false, until);
}
