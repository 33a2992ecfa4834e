//! `Lock`, by what its documentation says, over threads and processes.

use std::error::Error;
use std::time::{Duration, Instant};

use tarefa::{Event, Failure, List, Lock, LockError, Process, State, sleep};

type Outcome = Result<(), Box<dyn Error>>;

const LONG: Option<Duration> = Some(Duration::from_secs(50));
const SHORT: Duration = Duration::from_millis(20);

fn hold(lock: Lock, held: Event, go: Event) -> Result<(), Failure> {
    let _guard = lock.lock(None)?;
    held.set();
    go.wait(None)?;
    Ok(())
}

/// How an attempt ends: 0 with the lock, 1 at the deadline, 2 told of a death, 3 interrupted.
fn attempt(lock: Lock, milliseconds: u64, ready: Event) -> u8 {
    ready.set();
    match lock.lock(Some(Duration::from_millis(milliseconds))) {
        Ok(_guard) => 0,
        Err(LockError::TimedOut) => 1,
        Err(LockError::OwnerDied(_)) => 2,
        Err(_) => 3,
    }
}

fn greedy(lock: Lock, began: Event, stop: Event) -> Result<(), Failure> {
    while !stop.is_set() {
        let _guard = lock.lock(None)?;
        began.set();
        sleep(Duration::from_millis(1))?;
    }
    Ok(())
}

fn modest(lock: Lock) -> Result<(), Failure> {
    for _ in 0..20 {
        drop(lock.lock(None)?);
    }
    Ok(())
}

fn churn(lock: Lock) -> Result<(), Failure> {
    loop {
        match lock.lock(None) {
            Ok(_) | Err(LockError::OwnerDied(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Adds 1 to the only element, a read and a write that must not part, and gives up at times.
fn count(lock: Lock, list: List<i64>) -> Result<i64, Failure> {
    let mut counted = 0;
    for i in 0..400 {
        let limit = if i % 3 == 0 { Some(Duration::from_micros(300)) } else { None };
        match lock.lock(limit) {
            Ok(_guard) => {
                list.set(0, list.get(0)? + 1)?;
                counted += 1;
            }
            Err(LockError::TimedOut) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(counted)
}

macro_rules! suite {
    ($($kind:ident: $module:ident),*) => {$(
        mod $module {
            use super::*;
            use tarefa::$kind as Kind;

            #[tarefa::test(timeout = 60)]
            fn only_one_has_it() -> Outcome {
                let (lock, held, go) = (Lock::new()?, Event::new()?, Event::new()?);
                let handles = (lock.clone(), held.clone(), go.clone());
                let task = Kind::spawn(hold, handles)?;
                assert!(held.wait(LONG)?);
                assert!(lock.is_locked());
                assert!(lock.try_lock()?.is_none());
                for limit in [Duration::ZERO, SHORT] {
                    let start = Instant::now();
                    assert!(matches!(lock.lock(Some(limit)), Err(LockError::TimedOut)));
                    assert!(start.elapsed() >= limit);
                }
                go.set();
                drop(lock.lock(LONG)?);
                task.result(LONG)??;
                assert!(!lock.is_locked());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn it_is_the_same_in_a_task() -> Outcome {
                let (lock, ready) = (Lock::new()?, Event::new()?);
                let try_it = |lock: &Lock| -> Result<u8, Box<dyn Error>> {
                    let task = Kind::spawn(attempt, (lock.clone(), 20, ready.clone()))?;
                    Ok(task.result(LONG)?)
                };
                let guard = lock.lock(None)?;
                assert_eq!(try_it(&lock)?, 1);
                drop(guard);
                assert_eq!(try_it(&lock)?, 0);
                assert!(!lock.is_locked());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn nothing_is_lost_where_some_give_up() -> Outcome {
                let (lock, list) = (Lock::new()?, List::from_values([0])?);
                let spawn = |_| Kind::spawn(count, (lock.clone(), list.clone()));
                let tasks = (0..4).map(spawn).collect::<Result<Vec<_>, _>>()?;
                let mut counted = 0;
                for task in &tasks {
                    counted += task.result(LONG)??;
                }
                assert_eq!(list.get(0)?, counted);
                assert!(!lock.is_locked());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn nobody_starves() -> Outcome {
                let (lock, stop) = (Lock::new()?, Event::new()?);
                let mut tasks = Vec::new();
                for _ in 0..2 {
                    let began = Event::new()?;
                    let arguments = (lock.clone(), began.clone(), stop.clone());
                    tasks.push(Kind::spawn(greedy, arguments)?);
                    assert!(began.wait(LONG)?);
                }
                Kind::spawn(modest, (lock.clone(),))?.result(LONG)??;
                stop.set();
                for task in &tasks {
                    task.result(LONG)??;
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_wait_is_interrupted() -> Outcome {
                let (lock, ready) = (Lock::new()?, Event::new()?);
                let guard = lock.lock(None)?;
                let task = Kind::spawn(attempt, (lock.clone(), 50_000, ready.clone()))?;
                assert!(ready.wait(LONG)?);
                sleep(SHORT)?;
                task.interrupt()?;
                assert_eq!(task.result(LONG)?, 3);
                drop(guard);
                assert!(lock.try_lock()?.is_some());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn waiters_go_on_when_the_owner_is_killed() -> Outcome {
                let (lock, held, go) = (Lock::new()?, Event::new()?, Event::new()?);
                let owner = Process::spawn(hold, (lock.clone(), held.clone(), go))?;
                assert!(held.wait(LONG)?);
                let ready = Event::new()?;
                let spawn = |_| Kind::spawn(attempt, (lock.clone(), 50_000, ready.clone()));
                let waiters = (0..3).map(spawn).collect::<Result<Vec<_>, _>>()?;
                assert!(ready.wait(LONG)?);
                sleep(SHORT)?;
                owner.kill()?;
                owner.join(LONG)?;
                assert_eq!(owner.state(), State::Killed);
                let mut ended = Vec::new();
                for waiter in &waiters {
                    ended.push(waiter.result(LONG)?);
                }
                ended.sort_unstable();
                assert_eq!(ended, [0, 0, 2]);
                assert!(!lock.is_locked());
                Ok(())
            }
        }
    )*};
}

suite!(Thread: thread, Process: process);

#[tarefa::test(timeout = 60)]
fn a_guard_is_let_go_where_it_is_dropped() -> Outcome {
    let lock = Lock::new()?;
    let guard = lock.lock(None)?;
    std::thread::scope(|scope| {
        scope.spawn(move || drop(guard));
    });
    assert!(!lock.is_locked());
    assert!(lock.try_lock()?.is_some());
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn clones_are_one_lock() -> Outcome {
    let (lock, other) = (Lock::new()?, Lock::new()?);
    let copy = lock.clone();
    assert!(copy == lock && copy != other);
    let _guard = copy.lock(None)?;
    assert!(lock.is_locked() && !other.is_locked());
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn killed_in_the_middle_of_taking_and_letting_go() -> Outcome {
    let lock = Lock::new()?;
    for round in 0..8 {
        let spawn = |_| Process::spawn(churn, (lock.clone(),));
        let tasks = (0..3).map(spawn).collect::<Result<Vec<_>, _>>()?;
        sleep(Duration::from_millis(5 + 3 * round))?;
        for task in &tasks {
            task.kill()?;
        }
        for task in &tasks {
            task.join(LONG)?;
        }
        match lock.lock(LONG) {
            Ok(guard) => drop(guard),
            Err(LockError::OwnerDied(_)) => drop(lock.lock(LONG)?),
            Err(e) => return Err(e.into()),
        }
    }
    assert!(!lock.is_locked());
    Ok(())
}
