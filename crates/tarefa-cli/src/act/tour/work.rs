//! What the tasks of the tour do.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tarefa::{Barrier, Event, Failure, List, Lock, Value, sleep};
use tarefa_engine::os::{clock, machine};

use super::picture::Span;

/// Who has not run for so long was not on a core, in seconds.
const PAUSE: f64 = 0.0005;

/// The ordinary list: each process has one of its own.
static PLAIN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Seconds of a clock that all processes have.
#[expect(clippy::cast_precision_loss, reason = "a second has fewer parts than that by far")]
pub(super) fn now() -> f64 {
    clock::now_ns() as f64 / 1e9
}

/// Appends numbers to the ordinary list.
pub(super) fn fill_plain(count: u32) {
    for number in 0..count {
        PLAIN.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    }
}

/// How many are in it, which is empty then.
pub(super) fn empty_plain() -> usize {
    PLAIN.lock().unwrap_or_else(PoisonError::into_inner).drain(..).count()
}

/// Appends numbers to a shared list, with a pause of so many milliseconds before each.
pub(super) fn fill_shared(list: List<u32>, count: u32, pause: u64) -> Result<(), Failure> {
    for number in 0..count {
        if pause > 0 {
            sleep(Duration::from_millis(pause))?;
        }
        list.append(number)?;
    }
    Ok(())
}

/// Computes for so long.
fn compute_for(seconds: f64) {
    let end = now() + seconds;
    while now() < end {
        std::hint::spin_loop();
    }
}

/// Waits, computes, waits: so long each.
pub(super) fn phases(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
    compute_for(seconds);
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Computes something that takes a while, not before `begin`; when that began and ended.
pub(super) fn compute(rounds: u64, begin: f64) -> Span {
    let mut start = now();
    while start < begin {
        start = now();
    }
    let mut x = rounds;
    for _ in 0..rounds {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    std::hint::black_box(x);
    (start, now())
}

/// Computes for so long once all have met at the barrier, on that core if one is named. When it ran.
pub(super) fn turns(
    together: Barrier,
    seconds: f64,
    core: Option<usize>,
) -> Result<Vec<Span>, Failure> {
    if let Some(core) = core {
        machine::stay_on(&[core])?;
    }
    together.wait(None)?;
    let mut found = Vec::new();
    let (mut first, mut last) = (now(), now());
    let end = first + seconds;
    while last < end {
        let at = now();
        if at - last > PAUSE {
            found.push((first, last));
            first = at;
        }
        last = at;
    }
    found.push((first, last));
    Ok(found)
}

/// Counts up in a shared number: reads, adds, writes; under the lock if there is one.
pub(super) fn increase(
    counter: Value<i64>,
    times: u32,
    lock: Option<Lock>,
    together: Barrier,
) -> Result<(), Failure> {
    together.wait(None)?;
    for _ in 0..times {
        let _guard = lock.as_ref().map(|lock| lock.lock(None)).transpose()?;
        counter.store(counter.load()? + 1)?;
    }
    Ok(())
}

/// Works for an hour, unless somebody interrupts it.
pub(super) fn work_for_long() -> Result<(), Failure> {
    let end = now() + 3600.0;
    while now() < end {
        sleep(Duration::from_millis(10))?;
    }
    Ok(())
}

/// Nothing.
pub(super) fn nothing() {}

/// Waits for the event.
pub(super) fn wait_for(event: Event) -> Result<(), Failure> {
    event.wait(None)?;
    Ok(())
}
