//! What lies where in the arena, before its heap.

use super::offset::Shared;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::os::large_pages::LARGE_PAGE;
use crate::shm::arena::inline_text::Text;

/// Marks an arena ("tarefa" and a zero, little-endian).
pub const MAGIC: u64 = 0x0001_6166_6572_6174;
/// Changes with every change of what the arena's bytes mean.
pub const VERSION: u64 = 13;

/// Bits of the number of a process: the kernel's `PID_MAX_LIMIT`.
pub const PID_BITS: u32 = 22;

/// Processes that can be members at once.
pub const PROCESSES: u64 = 8192;
/// Threads that can be members at once, over all processes.
pub const THREADS: u64 = 65_536;
/// Slots of threads: behind those, one for each process in reserve, for what must not fail.
pub const THREAD_SLOTS: u64 = THREADS + PROCESSES;
/// Bytes of the smallest run of pages: a slab of small blocks, or a step of large ones.
pub const UNIT: u64 = 16 * 1024;
/// The granule in which memory is claimed from the system.
pub const PAGE: u64 = 4096;
/// Runs have 2^0 to 2^(ORDERS-1) units: up to 512 GiB.
pub const ORDERS: usize = 26;
/// Sizes of small blocks.
pub const CLASSES: usize = 40;
/// Entries of a thread's undo journal.
pub const JOURNAL: usize = 40;
/// Latches a thread can hold at once.
pub const HELD: usize = 6;
/// Queues a thread can wait in at once: a signal's handler may wait inside a wait.
pub const NODES: usize = 4;
/// Objects that the note of a wait for several names.
pub const SEVERAL: usize = 16;
/// Latches that guard reference counts, by the object's offset.
pub const REFERENCE_LATCHES: usize = 16;

/// Where the process slots start.
pub const PROCESSES_AT: u64 = 64 * 1024;
/// Where the thread slots start.
pub const THREADS_AT: u64 = PROCESSES_AT + PROCESSES * size_of::<ProcessSlot>() as u64;
/// Where the table of units starts.
pub const UNITS_AT: u64 = THREADS_AT + THREAD_SLOTS * size_of::<ThreadSlot>() as u64;

/// Where the bitmap of claimed pages starts, in an arena of `len` bytes.
#[must_use]
pub const fn claimed_at(len: u64) -> u64 {
    UNITS_AT + (len / UNIT) * size_of::<Unit>() as u64
}

/// Bytes of a chunk of a trace: see [`crate::shm::trace`].
pub const TRACE_CHUNK: u64 = 16 * 1024;
/// Names that a trace can tell apart.
pub const TRACE_NAMES: u64 = 2048;
/// Chunks that a trace has at most: more than two million events.
const MOST_CHUNKS: u64 = 8192;

/// Chunks that a trace has in an arena of `len` bytes: a sixty-fourth of it at most.
#[must_use]
pub const fn trace_chunks(len: u64) -> u64 {
    let room = len / 64 / TRACE_CHUNK;
    if room < MOST_CHUNKS { room } else { MOST_CHUNKS }
}

/// Where the names of a trace start, in an arena of `len` bytes. The headers of its chunks follow.
#[must_use]
pub const fn trace_at(len: u64) -> u64 {
    (claimed_at(len) + len / PAGE / 8).next_multiple_of(UNIT)
}

/// Where the headers of a trace's chunks start.
#[must_use]
pub const fn trace_headers_at(len: u64) -> u64 {
    trace_at(len) + TRACE_NAMES * size_of::<TraceName>() as u64
}

/// Where the chunks of a trace start.
#[must_use]
pub const fn trace_chunks_at(len: u64) -> u64 {
    let headers = trace_chunks(len) * size_of::<TraceChunk>() as u64;
    (trace_headers_at(len) + headers).next_multiple_of(TRACE_CHUNK)
}

/// Where the heap starts, in an arena of `len` bytes: at a large page, as large runs of its do then.
#[must_use]
pub const fn heap_at(len: u64) -> u64 {
    (trace_chunks_at(len) + trace_chunks(len) * TRACE_CHUNK).next_multiple_of(LARGE_PAGE)
}

/// The first bytes of the arena.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    /// [`MAGIC`]; stored last when the arena is made.
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU64,
    /// [`fingerprint`]: sizes of the structures, so that other builds are refused.
    pub fingerprint: AtomicU64,
    /// Bytes of the arena.
    pub len: AtomicU64,
    /// A random number that tells runtimes apart.
    pub runtime_id: AtomicU64,
    /// The root: the process that made the runtime, or the one that came after it. Its number, and
    /// its start time shifted left by [`PID_BITS`], so that one swap makes another the root.
    pub root: AtomicU64,
    /// The user who owns it.
    pub user: AtomicU64,
    /// The root's descriptor of the memory file.
    pub memory_fd: AtomicU64,
    /// The root's descriptor of the doorbell that wakes its supervisor.
    pub doorbell_fd: AtomicU64,
    /// The root's descriptor of the pipe by which the system notices the root's end.
    pub lifeline_fd: AtomicU64,
    /// Bytes that may be claimed.
    pub limit: AtomicU64,
    /// Bytes claimed from the system.
    pub claimed: AtomicU64,
    /// Bytes that may be claimed before somebody looks at what the cgroup has left.
    pub cgroup_credit: AtomicU64,
    /// Bytes claimed, but in free runs.
    pub retained: AtomicU64,
    /// The last object id given out.
    pub object_ids: AtomicU64,
    /// Objects alive.
    pub objects: AtomicU64,
    /// The first process slot to look at for a free one.
    pub process_hint: AtomicU64,
    /// The first thread slot to look at for a free one.
    pub thread_hint: AtomicU64,
    /// Thread slots ever used: no scan goes further.
    pub thread_top: AtomicU64,
    /// Process slots ever used: no scan goes further.
    pub process_top: AtomicU64,
    /// After how many nanoseconds a wait has a report made; 0 for never.
    pub report_after: AtomicU64,
    /// How often a report was asked for: see [`crate::shm::member::report_request`].
    pub reports_asked: AtomicU64,
    /// Deaths of processes that were cleaned up after: who notes them looks for what the dead held when
    /// there is one more.
    pub deaths: AtomicU64,
    /// Whether somebody wants to know what threads do, and since when: see [`crate::shm::trace`].
    pub trace: TraceSwitch,
    /// Where the layers above keep the offsets of their own shared structures.
    pub roots: [AtomicU64; 8],
    /// Guards the units and what is claimed.
    pub units_latch: Latch,
    /// Guards nothing but the making of `roots`.
    pub roots_latch: Latch,
    /// Guards `object_ids` and `objects`.
    pub objects_latch: Latch,
    /// Guards reference counts.
    pub reference_latches: [Latch; REFERENCE_LATCHES],
    /// Units ever handed out.
    pub frontier: AtomicU64,
    /// Counts the free runs linked with pages: their ages.
    pub run_stamps: AtomicU64,
    /// Free runs without memory, by order.
    pub cold_runs: [RunList; ORDERS],
    /// Free runs that keep memory claimed, by order; the last of a list is its oldest.
    pub warm_runs: [RunList; ORDERS],
    /// The size classes.
    pub classes: [Class; CLASSES],
}

/// A word that one thread at a time has: see [`crate::shm::tx::latch`].
#[repr(C)]
#[derive(Debug)]
pub struct Latch {
    /// 0 when free; else the holder's thread slot plus 1, and a bit that says somebody sleeps.
    pub(in crate::shm) word: AtomicU32,
    reserved: AtomicU32,
}

/// Whether threads write down what they do: see [`crate::shm::trace`].
#[repr(C)]
#[derive(Debug)]
pub struct TraceSwitch {
    /// How often it was switched on, shifted left by 1; and 1 while it is.
    pub word: AtomicU64,
    /// Guards the switch, not the chunks.
    pub latch: Latch,
    /// The next chunk to take, counted on and on.
    pub next: AtomicU64,
    /// Events for which there was no chunk.
    pub refused: AtomicU64,
    /// 1 while there is memory behind any of it.
    pub is_backed: AtomicU64,
}

/// A part of a trace's memory, as one thread has it to write into.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct TraceChunk {
    /// The [`ThreadSlot::name`] of the thread that writes into it; 0 when it is full, or unused.
    pub owner: AtomicU64,
    /// Events that were dropped from it so far, shifted left by 16; and how many are in it.
    pub progress: AtomicU64,
    /// Who wrote what is in it: the thread's name.
    pub thread: AtomicU64,
    /// Its process and its number in the system: pid, shifted left by 32, and tid.
    pub who: AtomicU64,
    /// 1 once there is memory behind it.
    pub is_backed: AtomicU64,
}

/// Bytes of a name that a trace keeps.
pub const TRACE_NAME: usize = 14;

/// A name that events refer to.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct TraceName {
    /// What the name hashes to, odd once the text is there; 0 while it is free.
    pub hash: AtomicU64,
    /// The name, or its beginning.
    pub text: Text<TRACE_NAME>,
}

/// A list of free runs: unit numbers plus 1, 0 for none.
#[repr(C)]
#[derive(Debug)]
pub struct RunList {
    /// Its first.
    pub first: AtomicU64,
    /// Its last.
    pub last: AtomicU64,
}

/// One size of small blocks.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Class {
    /// Guards the class's slabs.
    pub latch: Latch,
    /// The first slab with room: unit number plus 1, 0 for none.
    pub partial: AtomicU64,
    /// The one of them that is empty: unit number plus 1, 0 for none.
    pub empty: AtomicU64,
}

/// What a unit of the heap is in use for.
#[repr(C)]
#[derive(Debug)]
pub struct Unit {
    /// [`unit_state`] in the low byte; a free run's order in the next; a slab's class in the
    /// third; the number of units of a run in use or in flight above.
    pub state: AtomicU64,
    /// Next in its list: unit number plus 1.
    pub next: AtomicU64,
    /// Previous in its list: unit number plus 1.
    pub prev: AtomicU64,
    /// Slab: the first free block. Large run: bytes of its block.
    pub head: AtomicU64,
    /// Slab: blocks in use.
    pub used: AtomicU64,
    /// Slab: blocks ever carved.
    pub carved: AtomicU64,
    /// Free run: bytes of it that are claimed; they count in [`Header::retained`].
    pub retained: AtomicU64,
    /// Free run with pages: its age, by [`Header::run_stamps`].
    pub stamp: AtomicU64,
}

/// Values of the low byte of [`Unit::state`].
pub mod unit_state {
    /// Inside a run that another unit heads, or never used.
    pub const BODY: u64 = 0;
    /// Heads a free run.
    pub const FREE: u64 = 1;
    /// Heads a run that a thread is about to use or to give back.
    pub const FLIGHT: u64 = 2;
    /// A slab of small blocks.
    pub const SLAB: u64 = 3;
    /// Heads a run that holds one large block.
    pub const LARGE: u64 = 4;
}

/// A member process.
#[repr(C, align(256))]
#[derive(Debug)]
pub struct ProcessSlot {
    /// 0 free; else the pid, shifted left by 8, and a [`process_state`].
    pub owner: AtomicU64,
    /// Grows when the slot's process has died: locks remember it.
    pub generation: AtomicU64,
    /// A tick since boot at which the process was there: another one with its number started later.
    pub there_at: AtomicU64,
    /// 1 once the supervisor watches the process.
    pub watched: AtomicU64,
    /// What the process is: see the task layer.
    pub role: AtomicU64,
    /// First block of the references the process holds.
    pub references: AtomicU64,
    /// The task record it runs, and other offsets of the task layer.
    pub task: AtomicU64,
    /// [`crate::shm::member::slots::lock_owner`] of the process that started its task.
    pub starter: AtomicU64,
    /// A word that an idle child sleeps on.
    pub mailbox: AtomicU32,
    /// The descriptor its stack is written to, plus 1.
    pub stack_fd: AtomicU32,
    /// A request for its stack, and how often it was written: see the front.
    pub stack_dumps: AtomicU32,
    /// Which zygote forked it: the number it had in their sequence, 0 for none.
    pub zygote: AtomicU32,
    /// How it ended, once its zygote has collected it: see `task::record`.
    pub exit: AtomicU64,
    /// When its task's time is up, on the monotonic clock in nanoseconds, until the supervisor
    /// has taken that over; 0 without a limit.
    pub deadline: AtomicU64,
    /// The [`crate::shm::member::slots::lock_owner`] of the process, once its task was told to end,
    /// until the supervisor has taken that over.
    pub terminated: AtomicU64,
    /// Who died here last: what a lock remembers of it, shifted left by 32, and its pid.
    pub former: AtomicU64,
    /// Reports it has asked for and not got yet.
    pub report: AtomicU64,
    /// When it wants to be reminded of failures that it has to tell of, on the monotonic clock in
    /// nanoseconds, until the supervisor has taken that over; 0 for never.
    pub remind_at: AtomicU64,
    /// How often it was reminded.
    pub reminders: AtomicU32,
    /// How many of its own want to know what threads do: see [`crate::shm::trace`].
    pub traces: AtomicU32,
    /// Where in the program it was broken, as its language says it, noted by its dying thread.
    pub last_line: Text<20>,
}

/// Values of the low byte of [`ProcessSlot::owner`].
pub mod process_state {
    /// A process lives here.
    pub const LIVE: u64 = 1;
    /// Taken by the zygote for a child it is about to fork; the pid is the zygote's.
    pub const EMBRYO: u64 = 3;
    /// Its process has died and is being cleaned up after.
    pub const DEAD: u64 = 2;
    /// Its process lives, and has left: it is to be cleaned up after as if it had died.
    pub const LEFT: u64 = 4;
}

/// A thread of a member process.
#[repr(C, align(256))]
#[derive(Debug)]
pub struct ThreadSlot {
    /// 0 free; else the process slot plus 1.
    pub owner: AtomicU64,
    /// The thread's id, 0 while no thread uses the slot.
    pub tid: AtomicU64,
    /// Bumped to make the thread look around: second word of all its sleeps.
    pub interrupt: AtomicU32,
    /// Recursive locks it holds: those who wait for them are told when it ends.
    pub recursive_held: AtomicU32,
    /// Offset of the word it sleeps on or is about to wake others on; 0 for none.
    pub waiting_on: AtomicU64,
    /// Offset of the object that it waits for, where that is known; 0 for none.
    pub waiting_for: AtomicU64,
    /// Since when, in nanoseconds of the monotonic clock; 0 while it does not wait.
    pub waiting_since: AtomicU64,
    /// When it gives up, on the same clock; 0 for never.
    pub waiting_until: AtomicU64,
    /// What sort of wait it is, in the low byte: see `sync::wait::wait_record`. How many objects there are
    /// in `waiting_several` above it.
    pub waiting_how: AtomicU32,
    /// 1 when its wait has lasted so long that a report is due.
    pub overdue: AtomicU32,
    /// Offsets of the objects, where it waits for several.
    pub waiting_several: [AtomicU64; SEVERAL],
    /// Where in the program it stands, as its language says it, of when it last slept.
    pub place: Text<20>,
    /// What its language calls it.
    pub label: Text<4>,
    /// The chunk that it writes what it does into, plus 1; 0 for none.
    pub trace_chunk: AtomicU32,
    /// 1 while it writes there.
    pub is_tracing: AtomicU32,
    /// Offset of the lock that it would take if it were reserved for it: see `sync::lock::handoff`.
    pub taking: AtomicU64,
    /// What a lock writes down as its owner: see [`crate::shm::member::slots::parse_name`]. 0 while no
    /// thread uses the slot; never twice the same for two threads, within 2^13.
    pub name: AtomicU64,
    /// Threads that have used the slot.
    pub generation: AtomicU64,
    /// The task record it runs, 0 for none.
    pub task: AtomicU64,
    /// Offsets of the latches it holds or is about to take.
    pub held: [AtomicU64; HELD],
    /// First block it alone owns; more hang on it.
    pub chain: AtomicU64,
    /// First of those of them that it gives back later, at the end of the chain; 0 for none. Its
    /// thread alone looks at it: see `heap/destroy.rs`.
    pub left_over: AtomicU64,
    /// 1 while its thread does what it tries again if memory is not to be had at once: see `heap/limit.rs`. Its
    /// thread alone looks at it.
    pub retries: AtomicU64,
    /// A run it alone owns: unit number plus 1.
    pub run: AtomicU64,
    /// Pages it is about to back with memory: the first's number, shifted left by 16, and how
    /// many; 0 for none.
    pub claiming: AtomicU64,
    /// Entries of the journal that are in force.
    pub journal_len: AtomicU64,
    /// First of the blocks that hold the entries past [`JOURNAL`]: see `journal_room::reserve`.
    pub journal_more: AtomicU64,
    /// Undo records: (offset, old value).
    pub journal: [[AtomicU64; 2]; JOURNAL],
    /// Its places in the queues it waits in.
    pub nodes: [WaitNode; NODES],
}

/// A thread's place in a queue of `sync`, guarded by the latch of the object waited for.
#[repr(C)]
#[derive(Debug)]
pub struct WaitNode {
    /// What it waits for; 0 while the node is free.
    pub object: AtomicU64,
    /// How the wait stands: see `sync::wait_queue`.
    pub state: AtomicU64,
    /// More, of the object's kind.
    pub info: AtomicU64,
    /// Next in the queue: a node's number, 0 for none.
    pub next: AtomicU64,
    /// Previous in the queue: a node's number, 0 for none.
    pub prev: AtomicU64,
    /// The word slept on.
    pub word: AtomicU32,
    /// 1 when its thread has gone on, and gives it up later: see `recovery::wait_nodes`.
    pub deferred: AtomicU32,
}

/// What every allocated block starts with.
#[repr(C)]
#[derive(Debug)]
pub struct BlockHeader {
    /// Next in the owning thread's chain, or in a free list.
    pub next: AtomicU64,
    /// The [`crate::shm::heap::Kind`] in the low byte, the block's size above it; 0 when free.
    pub info: AtomicU64,
}

/// Words of a [`BlockHeader`].
pub const HEADER_WORDS: u64 = size_of::<BlockHeader>() as u64 / 8;

// SAFETY: all of these are repr(C) and made of atomics only.
unsafe impl Shared for Header {}
// SAFETY: as above.
unsafe impl Shared for Latch {}
// SAFETY: as above.
unsafe impl Shared for Unit {}
// SAFETY: as above.
unsafe impl Shared for ProcessSlot {}
// SAFETY: as above.
unsafe impl Shared for ThreadSlot {}
// SAFETY: as above.
unsafe impl Shared for WaitNode {}
// SAFETY: as above.
unsafe impl Shared for BlockHeader {}
// SAFETY: as above.
unsafe impl Shared for TraceChunk {}
// SAFETY: as above.
unsafe impl Shared for TraceName {}

const _: () = assert!(size_of::<Header>() <= PROCESSES_AT as usize);

/// Tells builds with another layout apart.
#[must_use]
pub fn fingerprint() -> u64 {
    let sizes = [
        size_of::<Header>() as u64,
        size_of::<Unit>() as u64,
        size_of::<ProcessSlot>() as u64,
        size_of::<ThreadSlot>() as u64,
        size_of::<TraceChunk>() as u64,
        PROCESSES,
        THREAD_SLOTS,
        UNIT,
        VERSION,
    ];
    // FNV-1a over the sizes.
    sizes.iter().fold(0xcbf2_9ce4_8422_2325, |h, s| (h ^ s).wrapping_mul(0x0100_0000_01b3))
}
