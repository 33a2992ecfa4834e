//! Asking a thread for its stack, and answering: what both sides do, whatever the language.
//!
//! ```text
//!   asker                       the word `stack_dumps` of the asked process's slot
//!   WANTED, signal        ──▶   WRITING ──▶ count + 1, wake
//!   ... no answer ...
//!   WANTED | EVEN_IN_NATIVE, signal ──▶ the same
//! ```
//!
//! - A member notes its wish in the word. An observer, which maps the word for reading only, has the
//!   signal carry it: the handler notes it. Either way a request stays one when who made it has given
//!   up or died: the next asker finds it made, and sends the signal again.
//! - The text goes to a file in the asked process's memory, made when it is first asked. Its first line
//!   names the thread, so that whoever asked for another one sees that, and asks again.
//! - How a stack is written is the language's own: [`answer`] calls it.

use std::time::Duration;

use crate::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use crate::os::clock::Deadline;
use crate::os::{futex, memfd, process, signal};
use crate::shm::arena::layout::ProcessSlot;
use crate::shm::member::slots;

/// What `stack_dumps` says in its last bits; the rest counts the times.
const WANTED: u32 = 1;
const WRITING: u32 = 2;
const EVEN_IN_NATIVE: u32 = 4;
const STEP: u32 = 8;

/// What an observer's signal carries beside the wish.
const CARRIED: u32 = 0x7461_7200;

/// How long the language has to come to where it can answer by itself.
const PATIENCE: Duration = Duration::from_millis(100);

fn count(word: u32) -> u32 {
    word & !(STEP - 1)
}

// --- who is asked ---------------------------------------------------------------------------------

/// The descriptor that stacks of this process are written to; -1 before there is one.
static FILE: AtomicI32 = AtomicI32::new(-1);
/// Whether a file in memory is behind it.
static HAS_FILE: AtomicBool = AtomicBool::new(false);

/// Says which descriptor stacks of this process are written to.
// not shared: of this process alone, as all here.
pub fn set_file(fd: i32) {
    FILE.store(fd, Ordering::Release);
}

/// In the child of a fork of the program's own: what its parent wrote to is not its.
pub fn forget_file() {
    HAS_FILE.store(false, Ordering::Release);
}

/// Says to all that look at the slot of this process that it writes its stacks when it is asked.
pub fn offer(slot: &ProcessSlot) {
    let fd = FILE.load(Ordering::Acquire);
    if fd >= 0 {
        slot.stack_fd.store(fd as u32 + 1, Ordering::Release);
    }
}

/// The descriptor of this process's file, which is empty then; `None` where there is none.
/// Async-signal-safe.
pub fn empty_file() -> Option<i32> {
    let fd = FILE.load(Ordering::Acquire);
    if fd < 0 {
        return None;
    }
    if HAS_FILE.load(Ordering::Acquire) {
        return memfd::empty(fd).is_ok().then_some(fd);
    }
    let made = memfd::create_at(c"tarefa-stack", fd).is_ok();
    HAS_FILE.store(made, Ordering::Release);
    made.then_some(fd)
}

/// In the handler of the stack signal: notes the wish that the signal carries, if it carries one.
/// Async-signal-safe.
pub fn note_carried(slot: &ProcessSlot, value: Option<u32>) {
    note_in(&slot.stack_dumps, value);
}

fn note_in(word: &AtomicU32, value: Option<u32>) {
    let wish = value.unwrap_or(0) ^ CARRIED;
    if wish == WANTED || wish == WANTED | EVEN_IN_NATIVE {
        let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            (now & WRITING == 0).then_some(now | wish)
        });
    }
}

/// Whether a stack is wanted even where the thread is in native code that computes.
/// Async-signal-safe.
#[must_use]
pub fn is_wanted_in_native(slot: &ProcessSlot) -> bool {
    slot.stack_dumps.load(Ordering::Acquire) & EVEN_IN_NATIVE != 0
}

/// Takes the request for a stack, if there is one, has `write` write that of the calling thread to
/// the descriptor that it is given, and says that it is written. Async-signal-safe if `write` is.
pub fn answer(slot: &ProcessSlot, write: impl FnOnce(i32)) {
    let word = &slot.stack_dumps;
    let asked = word.load(Ordering::Acquire);
    let taken = count(asked) | WRITING;
    if asked & WANTED == 0
        || word.compare_exchange(asked, taken, Ordering::AcqRel, Ordering::Relaxed).is_err()
    {
        return;
    }
    if let Some(fd) = empty_file() {
        let mut line = [0; 16];
        memfd::write(fd, heading(process::tid(), &mut line));
        write(fd);
    }
    // SYNC POINT: the text is complete for whoever sees this.
    word.store(count(asked).wrapping_add(STEP), Ordering::Release);
    futex::wake_all(word);
}

/// The first line: the thread's number. Allocates nothing.
fn heading(tid: i32, line: &mut [u8; 16]) -> &[u8] {
    let mut at = line.len() - 1;
    line[at] = b'\n';
    let mut rest = tid.unsigned_abs();
    loop {
        at -= 1;
        line[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &line[at..];
        }
    }
}

// --- who asks -------------------------------------------------------------------------------------

/// How a wish gets to the process that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// By its slot: for members.
    BySlot,
    /// By the signal: for who may not write.
    BySignal,
}

/// Has the thread `tid` of the process in `slot` write its stack; the text without its heading, or
/// `None` where it does not answer until then, or offers none.
///
/// A main thread has some time to come to where its language can answer by itself. Languages run
/// their handlers in their main thread only, so another thread is asked to write its stack wherever
/// it stands.
pub fn text(slot: &'static ProcessSlot, tid: i32, until: Deadline, asks: Asks) -> Option<Vec<u8>> {
    let owner = slots::owner(slot);
    let fd = slot.stack_fd.load(Ordering::Acquire).checked_sub(1)?;
    let word = &slot.stack_dumps;
    let gone = || slots::owner(slot) != owner || until.passed();
    let pid = owner.0;
    let wishes = [(WANTED, Some(PATIENCE)), (WANTED | EVEN_IN_NATIVE, None)];
    let wishes = if tid == pid { &wishes[..] } else { &wishes[1..] };
    loop {
        let now = word.load(Ordering::Acquire);
        let written = count(now).wrapping_add(STEP);
        for &(wish, patience) in wishes {
            if gone() {
                return None;
            }
            ask(word, (pid, tid), count(now), wish, asks)?;
            let patience = Deadline::after(patience).min(until);
            loop {
                let seen = word.load(Ordering::Acquire);
                if count(seen) != count(now) || gone() || patience.passed() {
                    break;
                }
                futex::wait(word, seen, patience);
            }
        }
        if gone() {
            return None;
        }
        let text = std::fs::read(format!("/proc/{pid}/fd/{fd}")).ok()?;
        // Otherwise it was written over meanwhile, by the answer to somebody else, or is another
        // thread's.
        if word.load(Ordering::Acquire) & !(WANTED | EVEN_IN_NATIVE) == written {
            if let Some(stack) = of_thread(tid, &text) {
                return Some(stack.to_vec());
            }
        }
    }
}

/// Makes a request, unless the stack is being written or was written since; `None` where the thread
/// has ended.
fn ask(
    word: &AtomicU32,
    (pid, tid): (i32, i32),
    count_before: u32,
    wish: u32,
    asks: Asks,
) -> Option<()> {
    let is_open = |now: u32| count(now) == count_before && now & WRITING == 0;
    match asks {
        Asks::BySlot => {
            let noted = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                is_open(now).then_some(now | wish)
            });
            if noted.is_ok() {
                return signal::send_thread(pid, tid, signal::stack_signal()).ok();
            }
        }
        Asks::BySignal => {
            if is_open(word.load(Ordering::Acquire)) {
                let carried = CARRIED ^ wish;
                return signal::queue_thread(pid, tid, signal::stack_signal(), carried).ok();
            }
        }
    }
    Some(())
}

/// The text behind the heading, if that names the thread.
fn of_thread(tid: i32, text: &[u8]) -> Option<&[u8]> {
    let mut line = [0; 16];
    text.strip_prefix(heading(tid, &mut line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_names_the_thread() {
        let mut line = [0; 16];
        assert_eq!(heading(0, &mut line), b"0\n");
        assert_eq!(heading(i32::MAX, &mut line), b"2147483647\n");
        assert_eq!(of_thread(12, b"12\n  File"), Some(&b"  File"[..]));
        assert_eq!((of_thread(12, b"123\n"), of_thread(12, b"")), (None, None));
    }

    #[test]
    fn only_a_wish_of_ours_is_carried() {
        for (value, wanted) in [
            (None, 0),
            (Some(0), 0),
            (Some(CARRIED), 0),
            (Some(CARRIED ^ WRITING), 0),
            (Some(CARRIED ^ WANTED), WANTED),
            (Some(CARRIED ^ WANTED ^ EVEN_IN_NATIVE), WANTED | EVEN_IN_NATIVE),
        ] {
            let word = AtomicU32::new(0);
            note_in(&word, value);
            assert_eq!(word.load(Ordering::Relaxed), wanted, "{value:?}");
        }
        let writing = AtomicU32::new(STEP | WRITING);
        note_in(&writing, Some(CARRIED ^ WANTED));
        assert_eq!(writing.load(Ordering::Relaxed), STEP | WRITING);
    }
}
