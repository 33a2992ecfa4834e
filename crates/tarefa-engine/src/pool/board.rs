//! The board of a pool: what each worker is at.
//!
//! A *seat* is a worker's place on it, with the number of the batch that it is at and the *span* of that
//! batch: one word with the next task to claim, the end of those that are this worker's to claim, a tag of
//! the batch's number, and three marks. Every change of a span is one swap that compares, so a worker and the
//! pool's owner never both have a task.
//!
//! *Marks* say which batches were begun and which were called off: whoever swaps first has it.

use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::os::clock;
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::{self, ObjectHeader, refcount};

/// Places for marks: of more batches that wait than this, the oldest can no longer be called off.
const MARKS: u64 = 4096;
/// Tasks that a batch may have.
pub const MOST_TASKS: u32 = (1 << INDEX) - 1;
/// Results that a seat has room for.
pub const MOST_KEPT: u32 = 1024;
/// Seats that a board may have.
pub const MOST_SEATS: u32 = 1 << 14;

/// The longest tick of the system, in nanoseconds: by what the time of a claim may be late.
const TICK: u64 = 10_000_000;

/// Bits of a task's place in its batch.
const INDEX: u32 = 24;
const TAG: u32 = 13;

/// The task before `next` is this seat's own: it claimed it, and nobody else before it.
const OWN: u64 = 1;
/// The worker may not go on: it is to be interrupted in the task before `next`, or killed.
const HELD: u64 = 2;
/// The worker has ended, and what it has left of the batch is its successor's alone.
const LEFT: u64 = 4;
/// Bits of the marks.
const MARKED: u32 = 3;

/// What a seat's `ready` may be, besides 0 for a worker that begins.
const READY: u64 = 1;
const GIVEN_UP: u64 = 2;

/// A worker's place.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Seat {
    /// The batch that the worker is at; 0 for none.
    pub(super) batch: AtomicU64,
    /// See [`Span`].
    span: AtomicU64,
    /// When the task before `next` was claimed, or a tick later, in nanoseconds of the monotonic clock.
    began: AtomicU64,
    /// What the pool's owner calls the worker.
    worker: AtomicU64,
    /// Tasks that the worker has claimed.
    claimed: AtomicU64,
    /// [`READY`] once the worker takes work, [`GIVEN_UP`] if it was too late for that.
    ready: AtomicU64,
    /// Results that the worker has not told: see [`super::kept`].
    pub(super) kept: AtomicU64,
    /// Nanoseconds that the worker has had a batch; while it has one, less the time it began that at. So it
    /// is below 0 then, for no worker is older than the clock.
    busy: AtomicU64,
    /// When the worker became ready, in nanoseconds of the monotonic clock.
    ready_at: AtomicU64,
    /// Bytes of messages that it has taken and sent.
    bytes: AtomicU64,
    reserved: [AtomicU64; 6],
}

const _: () = assert!(size_of::<Seat>() as u64 % LINE == 0);

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Seat {}

impl Seat {
    /// Nothing is kept for the batch that begins.
    // crash: the seat has no batch now, and is read by nobody.
    fn keep_nothing(&self) {
        self.kept.store(0, Ordering::Release);
    }

    /// A batch begins.
    // crash: for show alone; whoever has the seat next begins at 0.
    fn be_busy(&self) {
        let busy = self.busy.load(Ordering::Relaxed);
        if !is_running(busy) {
            self.busy.store(busy.wrapping_sub(clock::now_ns()), Ordering::Relaxed);
        }
    }

    /// It has ended.
    // crash: as above.
    fn be_idle(&self) {
        let busy = self.busy.load(Ordering::Relaxed);
        if is_running(busy) {
            self.busy.store(busy.wrapping_add(clock::now_ns()), Ordering::Relaxed);
        }
    }
}

/// Whether the worker has a batch, of what [`Seat::busy`] says.
fn is_running(busy: u64) -> bool {
    busy >> 63 != 0
}

/// The results that a seat keeps, as words: see [`super::kept`].
#[repr(C)]
#[derive(Debug)]
pub(super) struct Results(pub(super) [AtomicU64; MOST_KEPT as usize]);

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Results {}

/// What lies in the arena; marks, seats and the results that they keep follow.
#[repr(C)]
#[derive(Debug)]
struct BoardObject {
    object: ObjectHeader,
    seats: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for BoardObject {}

const LINE: u64 = 64;
const MARKS_AT: u64 = (size_of::<BoardObject>() as u64).next_multiple_of(LINE);
const SEATS_AT: u64 = MARKS_AT + MARKS * 8;

/// The word of a seat's progress, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    next: u32,
    end: u32,
    tag: u64,
    /// [`OWN`], [`HELD`] and [`LEFT`].
    marks: u64,
}

impl Span {
    fn new(next: u32, end: u32, batch: u64) -> Self {
        Self { next, end, tag: tag_of(batch), marks: 0 }
    }

    fn of(word: u64) -> Self {
        Self {
            next: (word >> (INDEX + TAG + MARKED)) as u32,
            end: (word >> (TAG + MARKED)) as u32 & MOST_TASKS,
            tag: word >> MARKED & ((1 << TAG) - 1),
            marks: word & ((1 << MARKED) - 1),
        }
    }

    fn word(self) -> u64 {
        u64::from(self.next) << (INDEX + TAG + MARKED)
            | u64::from(self.end) << (TAG + MARKED)
            | self.tag << MARKED
            | self.marks
    }

    fn has(self, mark: u64) -> bool {
        self.marks & mark != 0
    }

    fn with(self, mark: u64) -> Self {
        Self { marks: self.marks | mark, ..self }
    }
}

fn tag_of(batch: u64) -> u64 {
    batch & ((1 << TAG) - 1)
}

/// What a worker may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Run this task of the batch.
    Task(u32),
    /// Nothing is left of the batch.
    Done,
    /// Wait for the interrupt that is on its way, then call [`Board::resume`].
    Held,
}

/// A task during which a worker died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blamed {
    /// Its place in the batch.
    pub task: u32,
    /// What the owner calls the worker.
    pub worker: u64,
}

/// A task that runs, or has just ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its batch.
    pub batch: u64,
    /// Its place there.
    pub task: u32,
    /// When it was claimed, in nanoseconds of the monotonic clock.
    pub began: u64,
    /// Tasks of the batch that the worker has not claimed yet.
    pub waiting: u32,
}

/// What a seat's worker has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Tasks that it has claimed.
    pub claimed: u64,
    /// Nanoseconds that it has had work.
    pub busy_ns: u64,
    /// Nanoseconds that it has waited for work since it was ready.
    pub waiting_ns: u64,
    /// Bytes of the messages that brought it work and took results, until its last batch.
    pub bytes: u64,
}

/// A board, for a thread that holds a reference to it.
#[derive(Clone, Copy, Debug)]
pub struct Board<'a> {
    pub(super) me: &'a Member,
    off: Off,
    seats: u32,
}

/// Makes a board with so many seats; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member, seats: u32) -> Result<Off, OutOfMemory> {
    let seats = seats.clamp(1, MOST_SEATS);
    let savepoint = heap::savepoint(me);
    let size = SEATS_AT + u64::from(seats) * (size_of::<Seat>() + size_of::<Results>()) as u64;
    let made = object::create(me, kinds::BOARD, size).and_then(|off| {
        // crash: nobody else knows of the board yet.
        me.arena().at::<BoardObject>(off).seats.store(u64::from(seats), Ordering::Relaxed);
        refcount::adopt(me, off, savepoint).map(|()| off)
    });
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

impl<'a> Board<'a> {
    /// The board at `off`.
    #[must_use]
    #[inline]
    pub fn at(me: &'a Member, off: Off) -> Self {
        let it: &BoardObject = me.arena().at(off);
        let seats = it.seats.load(Ordering::Relaxed).min(u64::from(MOST_SEATS)) as u32;
        Self { me, off, seats }
    }

    /// How many seats there are.
    #[must_use]
    pub fn seats(&self) -> u32 {
        self.seats
    }

    /// # Panics
    /// There is no such seat.
    #[inline]
    pub(super) fn seat(&self, seat: u32) -> &'static Seat {
        assert!(seat < self.seats, "a board of {} seats has none with number {seat}", self.seats);
        self.me.arena().at(self.off.plus(SEATS_AT + u64::from(seat) * size_of::<Seat>() as u64))
    }

    /// The results that a seat keeps.
    #[inline]
    pub(super) fn results(&self, seat: u32) -> &'static Results {
        let seats = u64::from(self.seats) * size_of::<Seat>() as u64;
        let before = u64::from(seat) * size_of::<Results>() as u64;
        self.me.arena().at(self.off.plus(SEATS_AT + seats + before))
    }

    #[inline]
    fn mark(&self, batch: u64) -> &'static AtomicU64 {
        self.me.arena().at(self.off.plus(MARKS_AT + batch % MARKS * 8))
    }

    // -- the worker ----------------------------------------------------------------------

    /// The worker is through with what comes before its first batch. False if it has taken too long for its
    /// owner: it is to take no work.
    #[must_use = "a worker that was given up takes no work"]
    pub fn note_ready(&self, seat: u32) -> bool {
        let it = self.seat(seat);
        // crash: for show alone.
        it.ready_at.store(clock::now_ns(), Ordering::Relaxed);
        let ready = &it.ready;
        let noted = ready.compare_exchange(0, READY, Ordering::AcqRel, Ordering::Acquire);
        crash_point!("board.ready");
        // A second thread at the same seat was ready before.
        noted.map_or_else(|was| was == READY, |_| true)
    }

    /// Begins a batch of `count` tasks that nobody has begun before. False if it was called off.
    pub fn begin(&self, seat: u32, batch: u64, count: u32) -> bool {
        if !self.begun(batch) {
            return false;
        }
        let it = self.seat(seat);
        let count = count.min(MOST_TASKS);
        let span = Span::new(0, count, batch);
        // A span is looked at only beside its batch, which is not there yet.
        it.batch.store(0, Ordering::Release);
        crash_point!("board.left");
        it.keep_nothing();
        it.be_busy();
        it.span.store(span.word(), Ordering::Release);
        crash_point!("board.spanned");
        // SYNC POINT: pairs with the acquire loads of `take_over`, `running` and `take_rest`.
        it.batch.store(batch, Ordering::Release);
        crash_point!("board.begun");
        true
    }

    /// Goes on with a batch that another worker had: what it had begun is to blame for its end, if it
    /// did not leave of itself. Call [`Board::taken_over`] once that is told. `None` if the batch was
    /// called off and nothing of it had begun.
    pub fn take_over(&self, seat: u32, batch: u64, count: u32) -> Option<Vec<Blamed>> {
        let mut blamed = Vec::new();
        let (mut next, mut end) = (0, count.min(MOST_TASKS));
        let mut found = false;
        for other in (0..self.seats).filter(|other| *other != seat) {
            let it = self.seat(other);
            if it.batch.load(Ordering::Acquire) != batch {
                continue;
            }
            // What the owner takes of it is out of it before this, or stays in it.
            let its = |span: &Span| span.tag == tag_of(batch);
            let left = |word| Some(Span::of(word)).filter(its).map(|span| span.with(LEFT).word());
            let closed = it.span.fetch_update(Ordering::AcqRel, Ordering::Acquire, left);
            crash_point!("board.closed");
            let Ok(span) = closed.map(Span::of) else { continue };
            found = true;
            if span.has(OWN) && span.next > 0 {
                let worker = it.worker.load(Ordering::Acquire);
                blamed.push(Blamed { task: span.next - 1, worker });
            }
            next = next.max(span.next);
            end = end.min(span.end);
        }
        if !found {
            return self.begin(seat, batch, count).then(Vec::new);
        }
        let it = self.seat(seat);
        let span = Span::new(next, end.max(next), batch);
        it.batch.store(0, Ordering::Release);
        crash_point!("board.taking_over");
        it.keep_nothing();
        it.be_busy();
        it.span.store(span.word(), Ordering::Release);
        crash_point!("board.took_span");
        it.batch.store(batch, Ordering::Release);
        crash_point!("board.took_over");
        Some(blamed)
    }

    /// What the former workers of the batch had begun is told: they are forgotten.
    pub fn taken_over(&self, seat: u32, batch: u64) {
        for other in (0..self.seats).filter(|other| *other != seat) {
            let it = self.seat(other);
            let _ = it.batch.compare_exchange(batch, 0, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("board.forgot");
        }
    }

    /// Claims the next task.
    #[inline]
    pub fn claim(&self, seat: u32) -> Claim {
        self.claim_at(seat, clock::coarse_ns())
    }

    /// The same for who knows what [`clock::coarse_ns`] says.
    #[inline]
    pub fn claim_at(&self, seat: u32, now: u64) -> Claim {
        let it = self.seat(seat);
        let mut seen = it.span.load(Ordering::Acquire);
        loop {
            let span = Span::of(seen);
            if span.has(HELD) {
                return Claim::Held;
            }
            if span.next >= span.end {
                return Claim::Done;
            }
            // Not before the claim, so that nobody is stopped before its time is over. The exact time
            // takes as long to get as all the rest of this.
            it.began.store(now + TICK, Ordering::Release);
            let claimed = Span { next: span.next + 1, ..span }.with(OWN).word();
            match it.span.compare_exchange(seen, claimed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    crash_point!("board.claimed");
                    let before = it.claimed.load(Ordering::Relaxed);
                    it.claimed.store(before + 1, Ordering::Relaxed);
                    return Claim::Task(span.next);
                }
                Err(now) => seen = now,
            }
        }
    }

    /// The worker has had the interrupt that held it, and goes on.
    pub fn resume(&self, seat: u32) {
        self.seat(seat).span.fetch_and(!HELD, Ordering::AcqRel);
        crash_point!("board.resumed");
    }

    /// Whether the worker is held in the task that it runs.
    #[must_use]
    pub fn is_held(&self, seat: u32) -> bool {
        Span::of(self.seat(seat).span.load(Ordering::Acquire)).has(HELD)
    }

    /// The worker leaves, and gives its batch back to the queue after this: no task is to blame.
    pub fn disown(&self, seat: u32) {
        self.seat(seat).span.fetch_and(!OWN, Ordering::AcqRel);
        crash_point!("board.disowned");
    }

    /// The worker has acknowledged its batch; so many bytes of messages it has taken and sent so far.
    pub fn leave(&self, seat: u32, bytes: u64) {
        let it = self.seat(seat);
        it.be_idle();
        // crash: for show alone.
        it.bytes.store(bytes, Ordering::Relaxed);
        it.batch.store(0, Ordering::Release);
        crash_point!("board.ended");
    }

    // -- the owner -----------------------------------------------------------------------

    /// Gives a seat to a worker. It must have none of a batch that is not done.
    pub fn assign(&self, seat: u32, worker: u64) {
        let it = self.seat(seat);
        it.batch.store(0, Ordering::Release);
        for of_another in [&it.claimed, &it.busy, &it.ready_at, &it.bytes] {
            of_another.store(0, Ordering::Relaxed);
        }
        it.ready.store(0, Ordering::Relaxed);
        it.worker.store(worker, Ordering::Release);
        crash_point!("board.assigned");
    }

    /// Whether the seat's worker takes work, or did.
    #[must_use]
    pub fn is_ready(&self, seat: u32) -> bool {
        self.seat(seat).ready.load(Ordering::Acquire) == READY
    }

    /// Has the seat's worker take no work, if it is not ready yet; whether it is not. What is done to it after
    /// this happens to no task.
    pub fn give_up(&self, seat: u32) -> bool {
        let ready = &self.seat(seat).ready;
        let was = ready.compare_exchange(0, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire);
        crash_point!("board.given_up");
        was.map_or_else(|was| was == GIVEN_UP, |_| true)
    }

    /// The batch that a seat is at; 0 for none.
    #[must_use]
    pub fn batch_of(&self, seat: u32) -> u64 {
        self.seat(seat).batch.load(Ordering::Acquire)
    }

    /// Tasks that the seat's worker has claimed.
    #[must_use]
    pub fn claimed(&self, seat: u32) -> u64 {
        self.seat(seat).claimed.load(Ordering::Relaxed)
    }

    /// What the seat's worker has done so far.
    #[must_use]
    pub fn usage(&self, seat: u32) -> Usage {
        let it = self.seat(seat);
        let (busy, ready_at) =
            (it.busy.load(Ordering::Relaxed), it.ready_at.load(Ordering::Relaxed));
        let now = clock::now_ns();
        let busy_ns = if is_running(busy) { busy.wrapping_add(now) } else { busy };
        let age = if ready_at == 0 { 0 } else { now.saturating_sub(ready_at) };
        Usage {
            claimed: self.claimed(seat),
            busy_ns,
            waiting_ns: age.saturating_sub(busy_ns),
            bytes: it.bytes.load(Ordering::Relaxed),
        }
    }

    /// The task that the seat's worker runs, if it is at one.
    #[must_use]
    pub fn running(&self, seat: u32) -> Option<Running> {
        let it = self.seat(seat);
        let batch = it.batch.load(Ordering::Acquire);
        let word = it.span.load(Ordering::Acquire);
        let began = it.began.load(Ordering::Acquire);
        let span = Span::of(word);
        let same =
            it.span.load(Ordering::Acquire) == word && it.batch.load(Ordering::Acquire) == batch;
        (same && batch != 0 && span.tag == tag_of(batch) && span.has(OWN) && span.next > 0)
            .then(|| Running { batch, task: span.next - 1, began, waiting: span.end - span.next })
    }

    /// Forbids the seat's worker to go on after that task; false if it is past it. What is done to the
    /// worker after this happens to that task alone.
    pub fn hold(&self, seat: u32, batch: u64, task: u32) -> bool {
        let it = self.seat(seat);
        if it.batch.load(Ordering::Acquire) != batch {
            return false;
        }
        let is_it = |word: u64| {
            let span = Span::of(word);
            let it = span.has(OWN) && span.tag == tag_of(batch) && span.next == task + 1;
            it.then(|| span.with(HELD).word())
        };
        let held = it.span.fetch_update(Ordering::AcqRel, Ordering::Acquire, is_it).is_ok();
        crash_point!("board.held");
        held
    }

    /// Takes from the seat's worker what it has not claimed of that batch: first and end. Nothing of one
    /// whose successor has begun to take over.
    pub fn take_rest(&self, seat: u32, batch: u64) -> Option<(u32, u32)> {
        let it = self.seat(seat);
        if it.batch.load(Ordering::Acquire) != batch {
            return None;
        }
        let cut = |word: u64| {
            let span = Span::of(word);
            let some = span.tag == tag_of(batch) && !span.has(LEFT) && span.next < span.end;
            some.then(|| Span { end: span.next, ..span }.word())
        };
        let taken = it.span.fetch_update(Ordering::AcqRel, Ordering::Acquire, cut);
        crash_point!("board.took_rest");
        taken.ok().map(Span::of).map(|span| (span.next, span.end))
    }

    // -- who is first --------------------------------------------------------------------

    /// Calls off a batch that nobody has begun; false if somebody has, or may have.
    pub fn call_off(&self, batch: u64) -> bool {
        let off = |word: u64| (word >> 1 < batch).then_some(batch << 1 | 1);
        let done = self.mark(batch).fetch_update(Ordering::AcqRel, Ordering::Acquire, off).is_ok();
        crash_point!("board.called_off");
        done
    }

    /// Notes that a batch is begun; false if it was called off.
    fn begun(&self, batch: u64) -> bool {
        let mark = self.mark(batch);
        // A later batch in the same place was begun or called off: this one can no longer be.
        let begin = |word: u64| (word >> 1 < batch).then_some(batch << 1);
        let begun = mark.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin);
        crash_point!("board.marked");
        begun.map_or_else(|word| word != (batch << 1 | 1), |_| true)
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;
    use crate::shm::Runtime;

    #[test]
    fn a_span_is_one_word() {
        let span = Span { next: 7, end: MOST_TASKS, tag: 0x1fff, marks: OWN };
        assert_eq!(Span::of(span.word()), span);
        let span = Span { next: MOST_TASKS, end: 9, tag: 1, marks: HELD | LEFT };
        assert_eq!(Span::of(span.word()), span);
    }

    #[test]
    fn a_worker_is_busy_or_waits() {
        let runtime = Runtime::default().unwrap();
        let me = runtime.me();
        let off = create(&me, 1).unwrap();
        let board = Board::at(&me, off);
        board.assign(0, 7);
        assert_eq!(board.usage(0), Usage { claimed: 0, busy_ns: 0, waiting_ns: 0, bytes: 0 });
        assert!(board.note_ready(0));
        let began = clock::now_ns();
        assert!(board.begin(0, 1, 2));
        assert_eq!(board.claim(0), Claim::Task(0));
        let first = board.usage(0).busy_ns;
        assert!(first <= clock::now_ns() - began && first <= board.usage(0).busy_ns);
        board.leave(0, 40);
        let left = board.usage(0);
        let later = board.usage(0);
        assert_eq!((left.claimed, left.bytes, later.busy_ns), (1, 40, left.busy_ns));
        assert!(later.waiting_ns >= left.waiting_ns);
        // What a dead worker was at does not count for the next.
        assert!(board.begin(0, 2, 1));
        board.assign(0, 8);
        assert_eq!(board.usage(0), Usage { claimed: 0, busy_ns: 0, waiting_ns: 0, bytes: 0 });
        refcount::release(&me, off);
    }

    /// The owner takes what nobody has begun of a dead worker's batch while its successor takes over.
    #[test]
    fn what_a_dead_worker_has_left_is_run_once() {
        let runtime = Runtime::default().unwrap();
        let me = runtime.me();
        let off = create(&me, 2).unwrap();
        for batch in 1..500_u64 {
            let board = Board::at(&me, off);
            assert!(board.begin(0, batch, 8));
            assert_eq!((board.claim(0), board.claim(0)), (Claim::Task(0), Claim::Task(1)));
            let (mut taken, mut claimed) = (None, Vec::new());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let me = runtime.me();
                    // Before, in the middle of the other, or after it.
                    for _ in 0..batch % 50 {
                        std::hint::spin_loop();
                    }
                    taken = Board::at(&me, off).take_rest(0, batch);
                });
                assert!(board.take_over(1, batch, 8).is_some());
                while let Claim::Task(task) = board.claim(1) {
                    claimed.push(task);
                }
                board.leave(1, 0);
            });
            let (first, end) = taken.unwrap_or_default();
            claimed.extend(first..end);
            assert_eq!(claimed, (2..8).collect::<Vec<_>>(), "batch {batch}");
            board.leave(0, 0);
        }
        refcount::release(&me, off);
    }
}
