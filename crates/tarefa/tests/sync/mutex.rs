//! `Mutex`, `RwLock`, `Condvar`, `Semaphore` and `Barrier` over threads and processes, and after
//! deaths.
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use tarefa::{
    Barrier, BarrierError, Condvar, CondvarError, Event, Failure, Lock, Mutex, MutexError, Plain,
    Process, ReentrantLock, RwLock, Semaphore, SemaphoreError, Thread, Value, address, attach,
};

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Account {
    balance: i64,
    changes: u32,
    open: bool,
}

/// Ends as a process that was killed does.
fn die() {
    std::process::abort()
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "it never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn deposit(account: Mutex<Account>) -> Result<(), Failure> {
    for _ in 0..500 {
        let mut guard = account.lock(None)?;
        guard.balance += 2;
        guard.changes += 1;
    }
    Ok(())
}

#[tarefa::test]
fn a_mutex_loses_nothing() {
    let account = Mutex::new(Account { balance: 0, changes: 0, open: true }).unwrap();
    let processes = [(); 2].map(|()| Process::spawn(deposit, (account.clone(),)).unwrap());
    let threads = [(); 2].map(|()| Thread::spawn(deposit, (account.clone(),)).unwrap());
    for task in &processes {
        task.result(None).unwrap().unwrap();
    }
    for task in &threads {
        task.result(None).unwrap().unwrap();
    }
    let now = *account.lock(None).unwrap();
    assert_eq!(now, Account { balance: 4000, changes: 2000, open: true });
}

fn die_with(account: Mutex<Account>) {
    let mut guard = account.lock(None).unwrap();
    guard.balance = -1;
    die();
}

#[tarefa::test]
fn a_mutex_is_poisoned_until_it_is_repaired() {
    let account = Mutex::new(Account { balance: 7, changes: 1, open: true }).unwrap();
    let task = Process::spawn(die_with, (account.clone(),)).unwrap();
    assert!(task.result(None).is_err());
    wait_until(|| account.is_poisoned());
    for _ in 0..2 {
        let told = account.lock(None);
        assert!(matches!(told, Err(MutexError::OwnerDied { pid: Some(_) })), "{told:?}");
        assert!(!account.is_locked());
        let poisoned = account.lock_poisoned(None).unwrap();
        assert!(account.is_locked() && poisoned.pid().is_some());
        // What the dead had not put back is not there.
        assert_eq!(poisoned.get().unwrap().balance, 7);
        drop(poisoned);
    }
    assert!(matches!(account.try_lock(), Err(MutexError::OwnerDied { .. })));
    let guard = account.lock_poisoned(None).unwrap().repair(|a| a.balance += 1).unwrap();
    assert_eq!(guard.balance, 8);
    drop(guard);
    assert!(!account.is_poisoned());
    assert_eq!(account.lock(None).unwrap().balance, 8);
    assert_eq!(account.try_lock().unwrap().unwrap().balance, 8);
}

#[tarefa::test]
fn the_news_outlives_the_one_who_heard_it() {
    let account = Mutex::new(Account { balance: 7, changes: 1, open: true }).unwrap();
    assert!(Process::spawn(die_with, (account.clone(),)).unwrap().result(None).is_err());
    let hear_and_die = |account: Mutex<Account>| {
        let _poisoned = account.lock_poisoned(None).unwrap();
        die();
    };
    assert!(Process::spawn(hear_and_die, (account.clone(),)).unwrap().result(None).is_err());
    assert!(matches!(account.lock(None), Err(MutexError::OwnerDied { .. })));
}

#[test]
fn a_mutex_is_not_taken_twice_and_a_panic_changes_nothing() {
    let number = Mutex::new(1u32).unwrap();
    let guard = number.lock(None).unwrap();
    assert!(matches!(number.lock(None), Err(MutexError::Reentrant)));
    assert!(number.try_lock().unwrap().is_none());
    let (other, limit) = (number.clone(), Some(Duration::from_millis(20)));
    let late = std::thread::spawn(move || matches!(other.lock(limit), Err(MutexError::TimedOut)));
    assert!(late.join().unwrap());
    drop(guard);
    let other = number.clone();
    let panicked = std::thread::spawn(move || {
        *other.lock(None).unwrap() = 5;
        let mut guard = other.lock(None).unwrap();
        *guard = 9;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(*number.lock(None).unwrap(), 5);
}

#[test]
fn a_mutex_of_what_is_no_value() {
    let flag = Mutex::new(true).unwrap();
    // The same object, as another type: what another language may do.
    let bytes: Value<[u8; 1]> = attach(&address(&flag)).unwrap();
    bytes.store([7]).unwrap();
    assert!(matches!(flag.lock(None), Err(MutexError::Item(_))));
    assert!(!flag.is_locked());
}

#[tarefa::test]
fn readers_and_writers() {
    let pair = RwLock::new([0u64; 2]).unwrap();
    let write = |pair: RwLock<[u64; 2]>| -> Result<(), Failure> {
        for _ in 0..300 {
            let mut guard = pair.write(None)?;
            guard[0] += 1;
            guard[1] += 1;
        }
        Ok(())
    };
    let read = |pair: RwLock<[u64; 2]>| -> Result<bool, Failure> {
        for _ in 0..300 {
            let guard = pair.read(None)?;
            if guard[0] != guard[1] {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let writers = [(); 2].map(|()| Process::spawn(write, (pair.clone(),)).unwrap());
    let readers = [(); 2].map(|()| Process::spawn(read, (pair.clone(),)).unwrap());
    for task in &writers {
        task.result(None).unwrap().unwrap();
    }
    assert!(readers.iter().all(|t| t.result(None).unwrap().unwrap()));
    let guard = pair.read(None).unwrap();
    assert_eq!(*guard, [600, 600]);
    assert_eq!(*pair.read(None).unwrap(), [600, 600]);
    assert!(matches!(pair.write(None), Err(MutexError::Reentrant)));
    drop(guard);
    assert!(!pair.is_locked());
}

#[tarefa::test]
fn a_dead_reader_is_forgotten_and_a_dead_writer_told() {
    let pair = RwLock::new([1u64; 2]).unwrap();
    let reader = |pair: RwLock<[u64; 2]>| {
        let _guard = pair.read(None).unwrap();
        die();
    };
    assert!(Process::spawn(reader, (pair.clone(),)).unwrap().result(None).is_err());
    pair.write(Some(Duration::from_secs(30))).unwrap()[0] = 2;
    let writer = |pair: RwLock<[u64; 2]>| {
        let _guard = pair.write(None).unwrap();
        die();
    };
    assert!(Process::spawn(writer, (pair.clone(),)).unwrap().result(None).is_err());
    wait_until(|| pair.is_poisoned());
    for _ in 0..2 {
        assert!(matches!(pair.read(None), Err(MutexError::OwnerDied { .. })));
    }
    assert!(matches!(pair.write(None), Err(MutexError::OwnerDied { .. })));
    let poisoned = pair.write_poisoned(None).unwrap();
    assert_eq!(poisoned.get().unwrap(), [2, 1]);
    drop(poisoned.replace([3, 3]));
    assert_eq!(*pair.read(None).unwrap(), [3, 3]);
}

#[tarefa::test]
fn a_condition_over_a_mutex() {
    let (number, changed) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let count = |number: Mutex<u32>, changed: Condvar| -> Result<(), Failure> {
        for _ in 0..3 {
            *number.lock(None)? += 1;
            changed.notify_all();
        }
        Ok(())
    };
    let task = Process::spawn(count, (number.clone(), changed.clone())).unwrap();
    let guard = number.lock(None).unwrap();
    let guard = changed.wait_while(guard, |n| **n < 3).unwrap();
    assert_eq!(*guard, 3);
    let (guard, result) = changed.wait_timeout(guard, Duration::from_millis(20)).unwrap();
    assert!(result.timed_out());
    drop(guard);
    task.result(None).unwrap().unwrap();
    let other = Lock::new().unwrap();
    let refused = changed.wait(other.lock(None).unwrap());
    assert!(matches!(refused, Err(CondvarError::AnotherLock)));
}

#[tarefa::test]
fn a_condition_tells_of_the_death_of_an_owner() {
    let (number, changed) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let started = Event::new().unwrap();
    let die = |number: Mutex<u32>, started: Event| {
        started.wait(None).unwrap();
        let _guard = number.lock(None).unwrap();
        die();
    };
    let task = Process::spawn(die, (number.clone(), started.clone())).unwrap();
    let guard = number.lock(None).unwrap();
    started.set();
    let told = changed.wait(guard).map(drop);
    assert!(matches!(told, Err(CondvarError::OwnerDied { pid: Some(_) })), "{told:?}");
    assert!(number.is_poisoned());
    assert!(task.result(None).is_err());
}

#[tarefa::test]
fn a_permit_of_a_dead_process_comes_back() {
    let one = Semaphore::bounded(1).unwrap();
    let die = |one: Semaphore| {
        let _permit = one.acquire(None).unwrap();
        die();
    };
    assert!(Process::spawn(die, (one.clone(),)).unwrap().result(None).is_err());
    let permit = one.acquire(Some(Duration::from_secs(30))).unwrap();
    assert!(one.try_acquire().unwrap().is_none());
    let late = one.acquire(Some(Duration::from_millis(20)));
    assert!(matches!(late, Err(SemaphoreError::TimedOut)), "{late:?} {}", one.available_permits());
    drop(permit);
    assert!(one.release(1).is_err());
    let forget = |one: Semaphore| one.acquire(None).unwrap().forget();
    Process::spawn(forget, (one.clone(),)).unwrap().result(None).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(one.available_permits(), 0);
    one.release(1).unwrap();
    assert_eq!(one.available_permits(), 1);
}

#[tarefa::test]
fn a_barrier_of_both_kinds() {
    let barrier = Barrier::new(3).unwrap();
    let come =
        |b: Barrier| b.wait(None).map(tarefa::BarrierWaitResult::index).map_err(|e| e.to_string());
    let (process, thread) = (
        Process::spawn(come, (barrier.clone(),)).unwrap(),
        Thread::spawn(come, (barrier.clone(),)).unwrap(),
    );
    let mut all = vec![barrier.wait(None).unwrap().index()];
    all.push(process.result(None).unwrap().unwrap());
    all.push(thread.result(None).unwrap().unwrap());
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2]);
    let late = barrier.wait(Some(Duration::from_millis(20)));
    assert!(matches!(late, Err(BarrierError::TimedOut)));
    assert!(barrier.is_broken());
    barrier.reset();
    let killed = Process::spawn(come, (barrier.clone(),)).unwrap();
    wait_until(|| barrier.waiting() == 1);
    tarefa::Task::kill(&killed).unwrap();
    assert!(matches!(barrier.wait(None), Err(BarrierError::Died { .. })));
    barrier.reset();
    barrier.abort();
    assert!(matches!(barrier.wait(None), Err(BarrierError::Aborted)));
}

#[tarefa::test]
fn a_reentrant_lock_is_its_threads() {
    let lock = ReentrantLock::new().unwrap();
    let (outer, inner) = (lock.lock(None).unwrap(), lock.try_lock().unwrap().unwrap());
    let held = |lock: ReentrantLock| lock.try_lock().unwrap().is_none();
    assert!(Process::spawn(held, (lock.clone(),)).unwrap().result(None).unwrap());
    assert!(Thread::spawn(held, (lock.clone(),)).unwrap().result(None).unwrap());
    drop(outer);
    assert!(lock.is_locked());
    drop(inner);
    assert!(!lock.is_locked());
}
