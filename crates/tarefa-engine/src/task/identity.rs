//! User, groups, capabilities and root folder of a task: those of the thread that starts it.
//!
//! The zygote was made at some time, with what the program had then. It notes a number of that in the
//! control block (`identity`), and where a starter has something else by now:
//!
//! ```text
//!  starter                                    zygote                    child
//!  record.identity = its credentials
//!  gives the task to a spare, or asks for a fork                        run_here: takes them on
//!  waits until the task runs            <---------------------------    Running, or refused
//! ```
//!
//! It waits because a child takes on the starter's root folder by way of the starter, and to hear of
//! a refusal.
//!
//! Where the program has given something up for good, so do the zygote and the supervisor's thread;
//! after `seteuid`, say, only the new child changes:
//!
//! ```text
//!  root: at a start with other credentials    zygote
//!  control.lower = credentials, a ring  --->  reads what it may not be able to read later
//!                                             takes them on
//!                                             sends its spares away
//!                                             control.identity = their number
//! ```
//!
//! | word | who changes it | what a death leaves |
//! |---|---|---|
//! | `control.identity` | the zygote; the supervisor, when the zygote has ended | a number that is nobody's: starters note more than is needed |
//! | `control.lower` | the root and the zygote, by a `Tx` under the latch of the roots | a wish that the next zygote fulfils, by doing nothing: it is executed with what the root has |
//! | `control.others` | a starter, once, from 0 to 1 | what the next starter does |
//! | `record.identity` | the starter, before it hands the task over, by a `Tx` | a record that goes with its last reference |
//!
//! A child that was forked for one identity never runs a task of another: the number of the starter's
//! is in the record, and where it is not the child's own, nor noted, the child refuses.

use std::io;
use std::sync::{Mutex, PoisonError};

use super::process::zygote_control::Control;
use crate::atomic::{AtomicI32, AtomicU64, Ordering};
use crate::os::credentials::{self, Capabilities, Credentials};
use crate::os::process;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::blob;
use crate::shm::tx::journal::Tx;

/// What error numbers are counted from that say why a process could not become what its starter is.
pub(super) const REFUSED: i32 = 1 << 16;

/// In the zygote and its children: the number of what they have.
static HERE: AtomicU64 = AtomicU64::new(0);
/// In a child: why it cannot be what its starter is, 0 where it can.
static REFUSAL: AtomicI32 = AtomicI32::new(0);
/// In the root: what the zygote has, or is to have.
static ZYGOTES: Mutex<Option<Credentials>> = Mutex::new(None);
/// In the root: capabilities that the supervisor is to have at most.
static SUPERVISORS: AtomicU64 = AtomicU64::new(u64::MAX);
/// In the root: the supervisor's thread.
static SUPERVISOR: AtomicI32 = AtomicI32::new(0);

/// What a task is to have that the calling thread is about to start.
pub(super) struct Wanted {
    /// A number of it.
    pub(super) number: u64,
    /// What its record keeps; `None` for what the zygote has.
    pub(super) noted: Option<Vec<u8>>,
}

/// In a starter: what its task is to have.
pub(super) fn wanted(me: &Member, control: &Control) -> Result<Wanted, OutOfMemory> {
    let now = Credentials::current();
    let number = now.fingerprint();
    let zygotes = control.identity.load(Ordering::Acquire);
    if zygotes == number {
        return Ok(Wanted { number, noted: None });
    }
    if zygotes != 0 && control.others.load(Ordering::Relaxed) == 0 {
        control.others.store(1, Ordering::Release);
        crash_point!("identity.others");
        control.ring();
    }
    if me.runtime().is_root() {
        me.runtime().note_user();
        lower_helpers(me, control, &now)?;
    }
    Ok(Wanted { number, noted: Some(to_bytes(&now)) })
}

/// Credentials, and by which thread a root folder is reached.
fn to_bytes(credentials: &Credentials) -> Vec<u8> {
    let mut words = vec![process::pid() as u64, process::tid() as u64];
    words.extend(credentials.to_words());
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn take_on(bytes: &[u8]) -> io::Result<()> {
    let word = |c: &[u8]| u64::from_le_bytes(std::array::from_fn(|i| c[i]));
    let words: Vec<u64> = bytes.chunks_exact(8).map(word).collect();
    let wanted = words.get(2..).and_then(Credentials::from_words);
    let wanted = wanted.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    wanted.take_on(words[0] as i32, words[1] as i32)
}

/// Whether `number` is that of another than this process, a child, is.
pub(super) fn is_other(number: u64) -> bool {
    number != HERE.load(Ordering::Acquire)
}

/// In a child, before the target runs: takes on what its starter has, of which `number` is the
/// number and the blob `noted` the rest, if there is one. False if it cannot.
// not shared: numbers of this process alone.
pub(super) fn take_on_here(me: &Member, number: u64, noted: Off) -> bool {
    let here = HERE.load(Ordering::Acquire);
    let taken = if !noted.is_none() {
        take_on(&blob::read(me, noted))
    } else if number == here || number == 0 || here == 0 {
        Ok(())
    } else {
        // The zygote has given up what this starter has.
        Err(io::Error::from_raw_os_error(libc::EPERM))
    };
    let refusal = taken.map_or_else(|e| e.raw_os_error().unwrap_or(libc::EPERM), |()| 0);
    REFUSAL.store(refusal, Ordering::Release);
    refusal == 0
}

/// In a child that does not run its task: why, as `record.error` says it, if that was the reason.
pub(super) fn refusal() -> Option<i32> {
    Some(REFUSAL.load(Ordering::Acquire)).filter(|error| *error != 0).map(|error| REFUSED + error)
}

/// In the root: has the zygote and the supervisor give up what the program has given up for good.
fn lower_helpers(me: &Member, control: &Control, now: &Credentials) -> Result<(), OutOfMemory> {
    let mut zygotes = ZYGOTES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(has) = zygotes.as_ref() else { return Ok(()) };
    if now.can_regain(has) {
        return Ok(());
    }
    let permitted = now.capabilities.permitted;
    let supervisor = SUPERVISOR.load(Ordering::Acquire);
    // Capabilities are a thread's, and another one may have them still.
    if !credentials::all_threads_within(permitted, supervisor) {
        return Ok(());
    }
    replace(me, &control.lower, Some(&to_bytes(now)))?;
    *zygotes = Some(now.clone());
    // not shared: a number of this process alone.
    SUPERVISORS.store(permitted, Ordering::Release);
    control.ring();
    me.runtime().ring();
    Ok(())
}

/// In the supervisor, when it starts.
// not shared: a number of this process alone.
pub(super) fn note_supervisor() {
    SUPERVISOR.store(process::tid(), Ordering::Release);
}

/// In the supervisor: gives up what the program has given up.
pub(super) fn lower_supervisor() {
    Capabilities::limit(SUPERVISORS.load(Ordering::Acquire));
}

/// In the supervisor, which is about to execute a zygote: that has what this thread has.
pub(super) fn note_executed() {
    let mut zygotes = ZYGOTES.lock().unwrap_or_else(PoisonError::into_inner);
    *zygotes = Some(Credentials::current());
}

/// In the zygote: notes who it is, for starters to compare.
pub(super) fn note_zygote(control: &Control) {
    let number = Credentials::current().fingerprint();
    HERE.store(number, Ordering::Release);
    control.identity.store(number, Ordering::Release);
    crash_point!("identity.noted");
}

/// Whether children are not all what the zygote is.
pub(super) fn has_others(control: &Control) -> bool {
    control.others.load(Ordering::Acquire) != 0
}

/// Whether the zygote is asked to give something up.
pub(super) fn is_to_lower(control: &Control) -> bool {
    control.lower.load(Ordering::Acquire) != 0
}

/// In the zygote: gives up what it is asked to. Nobody takes its spares for what they are not: it
/// has no number until [`note_zygote`].
pub(super) fn lower(me: &Member, control: &Control) {
    control.identity.store(0, Ordering::Release);
    crash_point!("identity.lowering");
    let wanted = {
        let _latch = me.header().roots_latch.lock(me);
        let off = Off(control.lower.load(Ordering::Acquire));
        if off.is_none() { Vec::new() } else { blob::read(me, off) }
    };
    let _ = replace(me, &control.lower, None);
    if let Err(e) = take_on(&wanted) {
        eprintln!(
            "tarefa: the process that forks tasks (pid {}) cannot give up what the program has \
             given up, its user, groups, root folder or capabilities: {e}",
            process::pid()
        );
    }
}

/// Puts bytes, or nothing, in the place of what a word of the control block has.
fn replace(me: &Member, word: &AtomicU64, with: Option<&[u8]>) -> Result<(), OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = match with {
        Some(bytes) => blob::create(me, 0, &[bytes], &[])?,
        None => Off::NONE,
    };
    {
        let _latch = me.header().roots_latch.lock(me);
        let old = Off(word.load(Ordering::Acquire));
        let mut tx = Tx::begin(me);
        tx.set(word, made.0);
        heap::release_to(me, &mut tx, savepoint);
        if !old.is_none() {
            heap::defer_free(me, &mut tx, old);
        }
        crash_point!("identity.replacing");
        tx.commit();
        crash_point!("identity.replaced");
    }
    heap::free_deferred(me, savepoint);
    Ok(())
}
