//! What the members do that die, what their rivals do, and what must then be found.

#![allow(clippy::wildcard_imports)]

use super::*;

// Semaphore.

pub(crate) fn holds_permits(me: &Member, objects: &Objects) {
    let off = objects.semaphore.0;
    for i in 0..9 {
        mark();
        assert_eq!(
            semaphore::acquire(me, off, true, &mut Plain, Deadline::NEVER),
            Ok(Outcome::Ready)
        );
        mark();
        std::thread::sleep(micros(90 * (i % 3)));
        semaphore::release_held(me, off).unwrap();
        mark();
        if semaphore::try_acquire(me, off, true).unwrap() {
            semaphore::release(me, off, 1).unwrap();
        }
        if semaphore::acquire(me, off, true, &mut Plain, soon(60)) == Ok(Outcome::Ready) {
            // Everything is free: it is not given back too often.
            semaphore::release(me, off, 1).unwrap();
        }
        mark();
        let mut nag = Nag { left: 2 + i as u32 % 3 };
        if semaphore::acquire(me, off, true, &mut nag, Deadline::NEVER) == Ok(Outcome::Ready) {
            semaphore::release_held(me, off).unwrap();
        }
    }
    mark();
    // Given back by another thread.
    while semaphore::acquire(me, off, true, &mut Plain, soon(500)) != Ok(Outcome::Ready) {}
    let thread = std::thread::scope(|scope| {
        let runtime = me.runtime();
        scope.spawn(move || semaphore::release_held(&runtime.me(), off)).join()
    });
    thread.unwrap().unwrap();
    assert!(semaphore::holders(me, off).len() <= 1);
}

pub(crate) fn hold_permits(
    me: &Member,
    objects: &Objects,
    rivalry: &Rivalry,
) -> Result<(), String> {
    let off = objects.semaphore.0;
    while rivalry.goes_on() {
        match semaphore::acquire(me, off, true, &mut Plain, patient()) {
            Ok(Outcome::Ready) => {}
            other => return Err(format!("no permit comes: {other:?}")),
        }
        std::thread::sleep(micros(150));
        semaphore::release_held(me, off).map_err(|e| e.to_string())?;
        std::thread::sleep(micros(40));
    }
    Ok(())
}

pub(crate) fn all_permits(me: &Member, objects: &Objects, _: &Case<'_>) -> Result<(), String> {
    let off = objects.semaphore.0;
    let (value, waiting) = (semaphore::value(me, off), semaphore::waiting(me, off));
    let holders = semaphore::holders(me, off);
    if (value, waiting) != (1, 0) || !holders.is_empty() {
        return Err(format!("{value} permits, {waiting} wait, {holders:?} hold"));
    }
    Ok(())
}

pub(crate) fn takes_permits(me: &Member, objects: &Objects) {
    let off = objects.semaphore.0;
    let took = |pause| {
        acknowledge(TOOK);
        std::thread::sleep(micros(pause));
        acknowledge(RELEASES);
    };
    for i in 0..9 {
        for _ in 0..2 {
            if semaphore::acquire(me, off, false, &mut Plain, soon(900)) == Ok(Outcome::Ready) {
                took(90 * (i % 3));
                semaphore::release(me, off, 1).unwrap();
            }
        }
        if semaphore::try_acquire(me, off, false).unwrap() {
            took(0);
            semaphore::release_held(me, off).unwrap();
        }
        let mut nag = Nag { left: 2 + i as u32 % 3 };
        if semaphore::acquire(me, off, false, &mut nag, soon(900)) == Ok(Outcome::Ready) {
            took(0);
            semaphore::release(me, off, 1).unwrap();
        }
    }
}

pub(crate) fn want_permits(
    me: &Member,
    objects: &Objects,
    rivalry: &Rivalry,
) -> Result<(), String> {
    let off = objects.semaphore.0;
    while rivalry.goes_on() {
        // One that was taken plainly is gone with the member.
        let got = semaphore::acquire(me, off, false, &mut Plain, soon(3000));
        if got == Ok(Outcome::Ready) {
            std::thread::sleep(micros(150));
            semaphore::release(me, off, 1).map_err(|e| e.to_string())?;
        }
        std::thread::sleep(micros(40));
    }
    Ok(())
}

pub(crate) fn most_permits(me: &Member, objects: &Objects, case: &Case<'_>) -> Result<(), String> {
    let times = |byte| case.written.iter().filter(|b| **b == byte).count();
    // One that was given to a member that did not come to take it must be there.
    let waited = case.point.starts_with("wait.");
    if semaphore::value(me, objects.semaphore.0) == 0 && !(waited && times(TOOK) == times(RELEASES))
    {
        semaphore::release(me, objects.semaphore.0, 1).map_err(|e| e.to_string())?;
    }
    all_permits(me, objects, case)
}

// Barrier.

pub(crate) fn pass(
    me: &Member,
    objects: &Objects,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
    fails: bool,
) {
    try_pass(me, objects, hooks, deadline, fails).unwrap();
}

pub(crate) fn try_pass(
    me: &Member,
    objects: &Objects,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
    fails: bool,
) -> Result<(), String> {
    let off = objects.barrier.0;
    mark();
    match barrier::wait(me, off, hooks, deadline).map_err(|e| e.to_string())? {
        Passed::Act(acting) => {
            std::thread::sleep(micros(120));
            if fails {
                acting.failed();
            } else {
                let _ = acting.done();
            }
        }
        Passed::Broken(_) | Passed::TimedOut => barrier::reset(me, off),
        Passed::Yes(_) | Passed::Interrupted => {}
    }
    Ok(())
}

pub(crate) fn comes(me: &Member, objects: &Objects) {
    let off = objects.barrier.0;
    let somebody = || {
        let start = Instant::now();
        while barrier::waiting(me, off) == 0 && start.elapsed() < Duration::from_millis(3) {
            std::thread::sleep(micros(20));
        }
    };
    for i in 0..6 {
        pass(me, objects, &mut Plain, soon(5000), false);
        pass(me, objects, &mut Plain, soon(5000), false);
        somebody();
        mark();
        barrier::reset(me, off);
        somebody();
        mark();
        barrier::abort(me, off);
        mark();
        barrier::reset(me, off);
        pass(me, objects, &mut Plain, soon(30), false);
        pass(me, objects, &mut Nag { left: 1 + i % 3 }, soon(5000), false);
        pass(me, objects, &mut Plain, soon(5000), false);
    }
}

pub(crate) fn comes_and_acts(me: &Member, objects: &Objects) {
    barrier::set_up(me, objects.barrier.0, 2, Some(1.0), true);
    for i in 0..8 {
        pass(me, objects, &mut Plain, soon(4000), false);
        pass(me, objects, &mut Plain, soon(4000), i % 3 == 2);
        pass(me, objects, &mut Plain, soon(60), false);
        pass(me, objects, &mut Nag { left: 1 + i % 4 }, soon(4000), false);
    }
}

pub(crate) fn comes_alone(me: &Member, objects: &Objects) {
    for i in 0..3 {
        pass(me, objects, &mut Plain, soon(300), false);
        pass(me, objects, &mut Nag { left: 1 + i }, soon(300), false);
    }
}

pub(crate) fn come(me: &Member, objects: &Objects, rivalry: &Rivalry) -> Result<(), String> {
    while rivalry.goes_on() {
        try_pass(me, objects, &mut Plain, soon(2500), false)?;
        std::thread::sleep(micros(60));
    }
    Ok(())
}

pub(crate) fn nobody_waits(me: &Member, objects: &Objects, _: &Case<'_>) -> Result<(), String> {
    let off = objects.barrier.0;
    let waiting = barrier::waiting(me, off);
    if waiting > 0 && barrier::broken(me, off).is_none() {
        return Err(format!("{waiting} are counted, and nobody is there"));
    }
    barrier::reset(me, off);
    if let (0, None) = (barrier::waiting(me, off), barrier::broken(me, off)) {
        barrier::set_up(me, off, 2, None, false);
        let runtime = me.runtime();
        let other = std::thread::spawn(move || {
            matches!(barrier::wait(&runtime.me(), off, &mut Plain, patient()), Ok(Passed::Yes(_)))
        });
        let mine = barrier::wait(me, off, &mut Plain, patient());
        return match (mine, other.join()) {
            (Ok(Passed::Yes(_)), Ok(true)) => Ok(()),
            other => Err(format!("after a reset: {other:?}")),
        };
    }
    Err("a reset does not make it whole".to_owned())
}

// Read-write lock.

pub(crate) fn reads_and_writes(me: &Member, objects: &Objects) {
    let off = objects.rwlock.0;
    // One operation each.
    let got = |acquired| {
        mark();
        acquired == Ok(Acquired::Yes)
    };
    let release = |mode| {
        rwlock::release(me, off, mode).unwrap();
        mark();
    };
    for i in 0..6 {
        for mode in [Mode::Write, Mode::Read] {
            assert!(got(rwlock::acquire(me, off, mode, &mut Plain, Deadline::NEVER)));
            if mode == Mode::Write {
                rwlock::clear_poison(me, off);
                assert!(!rwlock::poisoned(me, off));
            }
            std::thread::sleep(micros(90 * (i % 3)));
            assert!(got(rwlock::acquire(me, off, mode, &mut Plain, Deadline::NEVER)));
            assert!(got(rwlock::acquire(me, off, Mode::Read, &mut Plain, Deadline::NEVER)));
            [Mode::Read, mode, mode].into_iter().for_each(release);
            if got(rwlock::acquire(me, off, mode, &mut Plain, soon(60))) {
                release(mode);
            }
            let mut nag = Nag { left: 2 + i as u32 % 3 };
            if got(rwlock::acquire(me, off, mode, &mut nag, Deadline::NEVER)) {
                release(mode);
            }
            if rwlock::try_acquire(me, off, mode) == Ok(Acquired::Yes) {
                release(mode);
            }
        }
    }
    // A thread that ends writing.
    let runtime = me.runtime();
    let thread = std::thread::spawn(move || {
        let me = runtime.me();
        let deadline = Deadline::NEVER;
        assert!(rwlock::acquire(&me, off, Mode::Write, &mut Plain, deadline).is_ok());
    });
    thread.join().unwrap();
}

pub(crate) fn take_turns(
    me: &Member,
    objects: &Objects,
    rivalry: &Rivalry,
    mode: Mode,
) -> Result<(), String> {
    let off = objects.rwlock.0;
    while rivalry.goes_on() {
        match rwlock::acquire(me, off, mode, &mut Plain, patient()) {
            Ok(Acquired::Yes) => {
                std::thread::sleep(micros(110));
                rwlock::release(me, off, mode).map_err(|e| e.to_string())?;
                std::thread::sleep(micros(30));
            }
            Ok(Acquired::OwnerDied(_)) => rivalry.died(),
            other => return Err(format!("{mode:?}: {other:?}")),
        }
    }
    Ok(())
}

pub(crate) fn write(me: &Member, objects: &Objects, rivalry: &Rivalry) -> Result<(), String> {
    take_turns(me, objects, rivalry, Mode::Write)
}

pub(crate) fn read(me: &Member, objects: &Objects, rivalry: &Rivalry) -> Result<(), String> {
    take_turns(me, objects, rivalry, Mode::Read)
}

pub(crate) fn free_to_write(me: &Member, objects: &Objects, _: &Case<'_>) -> Result<(), String> {
    let off = objects.rwlock.0;
    let mut acquired = rwlock::try_acquire(me, off, Mode::Write);
    if let Ok(Acquired::OwnerDied(_)) = acquired {
        acquired = rwlock::try_acquire(me, off, Mode::Write);
    }
    if acquired != Ok(Acquired::Yes) {
        return Err(format!("to write: {acquired:?}, {} readers", rwlock::readers(me, off)));
    }
    rwlock::release(me, off, Mode::Write).map_err(|e| e.to_string())?;
    let holders = rwlock::holders(me, off);
    if holders.is_empty() { Ok(()) } else { Err(format!("{holders:?} hold it")) }
}

// Condition.

/// Takes the condition's lock; how often its owner had died.
pub(crate) fn take(me: &Member, lock: condition::Lock) -> Result<u32, String> {
    let mut died = 0;
    loop {
        match lock.cell.acquire(me, lock.recursion, lock.off, &mut Plain, patient()) {
            Taken::Yes => return Ok(died),
            Taken::OwnerDied(_) => died += 1,
            other => return Err(format!("the condition's lock: {other:?}")),
        }
    }
}

pub(crate) fn notifies(me: &Member, objects: &Objects) {
    let (off, lock) = (objects.condition.0, objects.own_lock(me));
    let recursive = lock.recursion == Recursion::Allowed;
    for i in 0..8 {
        take(me, lock).unwrap();
        if recursive {
            take(me, lock).unwrap();
        }
        mark();
        condition::notify(me, off, lock, 1).unwrap();
        mark();
        // For somebody to notify this one.
        condition::wait(me, off, lock, &mut Plain, soon(3000)).unwrap();
        mark();
        condition::notify(me, off, lock, u64::MAX).unwrap();
        mark();
        condition::wait(me, off, lock, &mut Plain, soon(40)).unwrap();
        mark();
        let mut nag = Nag { left: 2 + i % 4 };
        if condition::wait(me, off, lock, &mut nag, soon(3000)) == Ok(Waited::GaveUp) {
            continue;
        }
        if recursive {
            lock.cell.release(me, lock.recursion).unwrap();
        }
        lock.cell.release(me, lock.recursion).unwrap();
    }
}

pub(crate) fn wait(me: &Member, objects: &Objects, rivalry: &Rivalry) -> Result<(), String> {
    let (off, lock) = (objects.condition.0, objects.own_lock(me));
    let mut told = 0;
    while rivalry.goes_on() {
        for _ in 0..take(me, lock)? {
            rivalry.died();
        }
        match condition::wait(me, off, lock, &mut Plain, soon(700)) {
            Ok(Waited::OwnerDied(_)) => told += 1,
            Ok(Waited::Notified | Waited::TimedOut) => {}
            other => return Err(format!("a wait: {other:?}")),
        }
        std::thread::sleep(micros(60));
        condition::notify(me, off, lock, 2).map_err(|e| e.to_string())?;
        lock.cell.release(me, lock.recursion).map_err(|e| e.to_string())?;
    }
    if told > 1 { Err(format!("a waiter was told {told} times")) } else { Ok(()) }
}

/// Waits, and when it is notified notifies the next before it lets the lock go: killed anywhere
/// it leaves nobody behind without a word.
pub(crate) fn waits_first(me: &Member, objects: &Objects) {
    let (off, lock) = (objects.condition.0, objects.own_lock(me));
    take(me, lock).unwrap();
    acknowledge(TOOK);
    assert_eq!(condition::wait(me, off, lock, &mut Plain, patient()), Ok(Waited::Notified));
    mark();
    condition::notify(me, off, lock, 1).unwrap();
    mark();
    lock.cell.release(me, lock.recursion).unwrap();
}

/// Until as many wait as are to; false if they never will.
pub(crate) fn until(me: &Member, objects: &Objects, rivalry: &Rivalry, waiting: usize) -> bool {
    while rivalry.goes_on() {
        if condition::waiting(me, objects.condition.0) == waiting {
            return true;
        }
        std::thread::sleep(micros(20));
    }
    false
}

pub(crate) fn wait_second(me: &Member, objects: &Objects, rivalry: &Rivalry) -> Result<(), String> {
    let (off, lock) = (objects.condition.0, objects.own_lock(me));
    if !until(me, objects, rivalry, 1) {
        return Ok(());
    }
    take(me, lock)?;
    let waited = condition::wait(me, off, lock, &mut Plain, patient());
    lock.cell.release(me, lock.recursion).map_err(|e| e.to_string())?;
    match waited {
        Ok(Waited::Notified | Waited::OwnerDied(_)) => Ok(()),
        other => Err(format!("the second to wait: {other:?}")),
    }
}

pub(crate) fn notify_first(
    me: &Member,
    objects: &Objects,
    rivalry: &Rivalry,
) -> Result<(), String> {
    let (off, lock) = (objects.condition.0, objects.own_lock(me));
    // Where the first was killed before its wait, the second is left or did not come.
    let both = until(me, objects, rivalry, 2);
    let died = take(me, lock)?;
    if died == 0 || !both {
        condition::notify(me, off, lock, 1).map_err(|e| e.to_string())?;
    }
    if both {
        // Longer than anybody spins.
        std::thread::sleep(micros(300));
    }
    lock.cell.release(me, lock.recursion).map_err(|e| e.to_string())
}

pub(crate) fn notified(me: &Member, objects: &Objects, _: &Case<'_>) -> Result<(), String> {
    let (off, lock) = (objects.condition.0, objects.own_lock(me));
    if take(me, lock)? > 1 {
        return Err("the owner died more than once".to_owned());
    }
    if condition::waiting(me, off) != 0 {
        return Err("somebody waits, and nobody is there".to_owned());
    }
    let runtime = me.runtime();
    let other = std::thread::spawn(move || {
        let me = runtime.me();
        take(&me, lock)?;
        let waited = condition::wait(&me, off, lock, &mut Plain, patient());
        lock.cell.release(&me, lock.recursion).map_err(|e| e.to_string())?;
        if waited == Ok(Waited::Notified) { Ok(()) } else { Err(format!("it was {waited:?}")) }
    });
    loop {
        lock.cell.release(me, lock.recursion).map_err(|e| e.to_string())?;
        std::thread::sleep(micros(50));
        take(me, lock)?;
        if condition::waiting(me, off) == 1 {
            break;
        }
    }
    condition::notify(me, off, lock, 1).map_err(|e| e.to_string())?;
    lock.cell.release(me, lock.recursion).map_err(|e| e.to_string())?;
    other.join().map_err(|_| "a waiter panicked".to_owned())?
}

// Made and dropped by the member alone.

pub(crate) fn makes_and_drops(me: &Member, objects: &Objects) {
    for _ in 0..2 {
        mark();
        let own = Objects::create(me, Recursion::Forbidden);
        mark();
        barrier::set_action(me, own.barrier.0, 1, b"an action", &[objects.lock.0]).unwrap();
        barrier::set_action(me, own.barrier.0, 1, b"too late", &[]).unwrap();
        let (tag, bytes, held) = barrier::action(me, own.barrier.0).unwrap().unwrap();
        assert_eq!(
            (tag, bytes.as_slice(), held.first()),
            (1, &b"an action"[..], Some(objects.lock.0))
        );
        drop(held);
        mark();
        let permit = own.semaphore.0;
        assert!(semaphore::try_acquire(me, permit, true).unwrap());
        let runtime = me.runtime();
        std::thread::spawn(move || semaphore::release(&runtime.me(), permit, 1))
            .join()
            .unwrap()
            .unwrap();
        assert!(semaphore::release_held(me, permit).is_err(), "given back before");
        assert!(semaphore::try_acquire(me, permit, true).unwrap());
        semaphore::keep(me, permit);
        assert!(semaphore::holders(me, permit).is_empty());
        mark();
        let (off, deadline) = (own.rwlock.0, Deadline::NEVER);
        std::thread::spawn(move || {
            let me = runtime.me();
            assert!(rwlock::acquire(&me, off, Mode::Write, &mut Plain, deadline).is_ok());
        })
        .join()
        .unwrap();
        let told = rwlock::acquire(me, off, Mode::Read, &mut Plain, deadline);
        assert_eq!(told, Ok(Acquired::OwnerDied(None)));
        mark();
        own.release(me);
    }
}
