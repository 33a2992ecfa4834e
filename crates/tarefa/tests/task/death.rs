//! What happens when something dies: nothing hangs, nothing is lost that was said to be done.

use std::error::Error;
use std::time::Duration;

use tarefa::{
    Array, Event, Failure, LikelyCause, List, Lock, LockError, Mutex, MutexError, Process,
    ResultError, ReturnWhen, RwLock, State, Value, WorkerDied, sleep, wait,
};

type Outcome = Result<(), Box<dyn Error>>;

const LONG: Option<Duration> = Some(Duration::from_secs(50));

fn send(pid: i32, signal: i32) {
    // SAFETY: a plain call.
    unsafe { libc::kill(pid, signal) };
}

fn died<R: std::fmt::Debug>(result: Result<R, ResultError>) -> WorkerDied {
    match result {
        Err(ResultError::Died(died)) => died,
        other => panic!("it should have died: {other:?}"),
    }
}

fn append_for_ever(list: List<u64>) -> Result<(), Failure> {
    for n in 0.. {
        list.append(n)?;
    }
    Ok(())
}

fn hold(lock: Lock, held: Event) -> Result<(), Failure> {
    let _guard = lock.lock(None)?;
    held.set();
    sleep(Duration::from_secs(3600))?;
    Ok(())
}

/// Ways to die, with what is said of each.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Way {
    Kill,
    Terminate,
    Outside,
    Abort,
    Exit,
    Memory,
}

fn die(way: Way, ready: Event) -> Result<(), Failure> {
    ready.set();
    match way {
        Way::Abort => std::process::abort(),
        // SAFETY: ends the process.
        Way::Exit => unsafe { libc::_exit(7) },
        // SAFETY: that there is nothing at this address is the point.
        Way::Memory => unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() },
        _ => 0,
    };
    sleep(Duration::from_secs(3600))?;
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn every_death_is_told() -> Outcome {
    let table = [
        (Way::Kill, None, Some("SIGKILL"), LikelyCause::Ended),
        (Way::Terminate, None, Some("SIGTERM"), LikelyCause::Ended),
        (Way::Outside, None, Some("SIGKILL"), LikelyCause::Killed),
        (Way::Abort, None, Some("SIGABRT"), LikelyCause::Abort),
        (Way::Exit, Some(7), None, LikelyCause::Exit),
        (Way::Memory, None, Some("SIGSEGV"), LikelyCause::BadMemory),
    ];
    for (way, exit_code, signal, cause) in table {
        let ready = Event::new()?;
        let task = Process::new(die, (way, ready.clone())).named(format!("{way:?}"));
        task.start()?;
        assert!(ready.wait(LONG)?);
        let pid = task.pid().ok_or("a running process has a pid")?;
        match way {
            Way::Kill => task.kill()?,
            Way::Terminate => task.terminate()?,
            Way::Outside => send(pid, libc::SIGKILL),
            _ => {}
        }
        let died = died(task.result(LONG));
        assert_eq!(task.state(), State::Killed);
        assert_eq!((died.pid, died.exit_code), (pid, exit_code), "{way:?}");
        assert_eq!(died.signal.as_deref(), signal, "{way:?}");
        assert_eq!(died.cause, cause, "{way:?}");
        assert!(died.peak_memory > 0);
        let text = died.to_string();
        assert!(text.contains(&format!("{way:?}")) && text.contains(&pid.to_string()), "{text}");
        // Nothing happens to one that is dead.
        task.kill()?;
        task.interrupt()?;
    }
    Ok(())
}

fn keeps_off(ignores: bool, ready: Event) -> Result<(), Failure> {
    // SAFETY: plain calls; the set is filled by the second one.
    unsafe {
        if ignores {
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
        } else {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        }
    }
    ready.set();
    sleep(Duration::from_secs(3600))?;
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn terminate_ends_one_that_keeps_the_signal_off() -> Outcome {
    for ignores in [false, true] {
        let ready = Event::new()?;
        let task = Process::spawn(keeps_off, (ignores, ready.clone()))?;
        assert!(ready.wait(LONG)?);
        task.terminate()?;
        let died = died(task.result(LONG));
        assert_eq!(died.signal.as_deref(), Some("SIGKILL"), "ignores: {ignores}");
        assert_eq!(died.cause, LikelyCause::Ended);
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_death_ends_every_wait() -> Outcome {
    let ready = Event::new()?;
    let victim = Process::spawn(die, (Way::Outside, ready.clone()))?;
    assert!(ready.wait(LONG)?);
    let pid = victim.pid().ok_or("a running process has a pid")?;
    std::thread::scope(|scope| {
        let joins = scope.spawn(|| victim.join(LONG));
        let waits = scope.spawn(|| wait(&[&victim], LONG, ReturnWhen::FirstCompleted));
        send(pid, libc::SIGKILL);
        assert!(joins.join().is_ok_and(|r| r.is_ok()));
        assert!(waits.join().is_ok_and(|r| r.is_ok_and(|(ended, _)| ended == [0])));
    });
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn the_owner_of_a_lock_dies() -> Outcome {
    let (lock, held) = (Lock::new()?, Event::new()?);
    let task = Process::spawn(hold, (lock.clone(), held.clone()))?;
    assert!(held.wait(LONG)?);
    assert!(lock.is_locked());
    assert!(lock.try_lock()?.is_none());
    assert!(matches!(lock.lock(Some(Duration::ZERO)), Err(LockError::TimedOut)));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| lock.lock(LONG).map(drop));
        task.kill().expect("a running task can be killed");
        let told = waiter.join().expect("the waiter does not panic");
        assert!(matches!(told, Err(LockError::OwnerDied(_))), "{told:?}");
    });
    // Told once: now it is an ordinary lock again.
    drop(lock.lock(LONG)?);
    assert!(lock.try_lock()?.is_some());
    task.join(LONG)?;
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn what_was_appended_stays() -> Outcome {
    for round in 0..5 {
        let list = List::new()?;
        let task = Process::spawn(append_for_ever, (list.clone(),))?;
        while list.len() < 1000 * round {
            std::thread::yield_now();
        }
        task.kill()?;
        task.join(LONG)?;
        let all = list.to_vec()?;
        assert!(all.iter().copied().eq(0..all.len() as u64));
        list.append(7)?;
        assert_eq!(list.len(), all.len() + 1);
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn tasks_end_with_their_starter() -> Outcome {
    fn outer(pids: List<i32>, ready: Event) -> Result<(), Failure> {
        let inner = Process::spawn(die, (Way::Outside, ready.clone()))?;
        assert!(ready.wait(LONG)?);
        pids.append(inner.pid().unwrap_or(0))?;
        inner.join(None)?;
        Ok(())
    }
    let (pids, ready) = (List::new()?, Event::new()?);
    let task = Process::spawn(outer, (pids.clone(), ready))?;
    while pids.is_empty() {
        std::thread::yield_now();
    }
    task.kill()?;
    task.join(LONG)?;
    let inner = pids.get(0)?;
    // SAFETY: signal 0 only asks whether the process is there.
    while unsafe { libc::kill(inner, 0) } == 0 {
        std::thread::yield_now();
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_panic_on_a_thread_of_the_task_is_its_own_affair() -> Outcome {
    let task = Process::spawn(|| std::thread::spawn(|| panic!("dentro")).join().is_err(), ())?;
    assert!(task.result(LONG)?);
    Ok(())
}

/// Items of many words: most of the time goes into writing them.
type Large = [u64; 1024];

/// The four that hold a large value, each of which somebody writes all the time.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
enum Holder {
    Mutex(Mutex<Large>),
    RwLock(RwLock<Large>),
    Value(Value<Large>),
    Array(Array<Large>),
}

impl Holder {
    fn all() -> Result<[Self; 4], Box<dyn Error>> {
        Ok([
            Self::Mutex(Mutex::new([0; 1024])?),
            Self::RwLock(RwLock::new([0; 1024])?),
            Self::Value(Value::new([0; 1024])?),
            Self::Array(Array::filled([0; 1024], 3)?),
        ])
    }

    /// Writes `n` all over it.
    fn write(&self, n: u64) -> Outcome {
        match self {
            Self::Mutex(it) => match it.lock(LONG) {
                Ok(mut guard) => *guard = [n; 1024],
                Err(MutexError::OwnerDied { .. }) => {
                    drop(it.lock_poisoned(LONG)?.replace([n; 1024]));
                }
                Err(e) => return Err(e.into()),
            },
            Self::RwLock(it) => match it.write(LONG) {
                Ok(mut guard) => *guard = [n; 1024],
                Err(MutexError::OwnerDied { .. }) => {
                    drop(it.write_poisoned(LONG)?.replace([n; 1024]));
                }
                Err(e) => return Err(e.into()),
            },
            Self::Value(it) => it.store([n; 1024])?,
            Self::Array(it) => it.set(1, [n; 1024])?,
        }
        Ok(())
    }

    /// What it is after a death.
    fn read(&self) -> Result<Large, Box<dyn Error>> {
        Ok(match self {
            Self::Mutex(it) => match it.lock(LONG) {
                Ok(guard) => *guard,
                Err(MutexError::OwnerDied { .. }) => *it.lock_poisoned(LONG)?.repair(|_| {})?,
                Err(e) => return Err(e.into()),
            },
            Self::RwLock(it) => match it.write(LONG) {
                Ok(guard) => *guard,
                Err(MutexError::OwnerDied { .. }) => *it.write_poisoned(LONG)?.repair(|_| {})?,
                Err(e) => return Err(e.into()),
            },
            // Told once of a death, and then not.
            Self::Value(it) => it.load().or_else(|_| it.load())?,
            Self::Array(it) => it.get(1).or_else(|_| it.get(1))?,
        })
    }
}

fn write_for_ever(holder: Holder, written: Value<u64>) -> Result<(), String> {
    for n in 1.. {
        holder.write(n).map_err(|e| e.to_string())?;
        written.store(n).map_err(|e| e.to_string())?;
    }
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn a_large_value_is_never_half_written() -> Outcome {
    for holder in Holder::all()? {
        for round in 0..12 {
            let written = Value::new(0)?;
            let task = Process::spawn(write_for_ever, (holder.clone(), written.clone()))?;
            while written.load()? < 20 + round {
                std::thread::yield_now();
            }
            task.kill()?;
            task.join(LONG)?;
            let (is, last) = (holder.read()?, written.load()?);
            assert!(is.iter().all(|n| *n == is[0]), "half written: {:?}", &is[..]);
            assert!(is[0] == last || is[0] == last + 1, "{} after {last} were written", is[0]);
        }
    }
    Ok(())
}
