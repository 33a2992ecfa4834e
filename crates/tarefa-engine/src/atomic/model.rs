//! The memory of a model: which words are loom's, which threads there are, and where one dies.
//!
//! A model runs the engine's own functions on the engine's own arena, whose layout loom's atomics
//! would not fit. So a word stays where it is, with the bytes that it has, and beside it lies an
//! atomic of loom's, found by the word's address:
//!
//! - **Only words that two threads reach** are loom's: those that at least two threads of one
//!   execution touch and one of them changes. All others stay plain memory, which is the same for
//!   a thread that is alone, and costs loom nothing. Which words are shared is found out by
//!   running: an execution that meets a new one does not count, and the exploration begins again.
//! - **Plain words are put back** after each execution, so that each begins with the arena as the
//!   test has set it up, by the engine's own functions as well.
//! - **A death** is a panic of its own in front of any change: from there on nothing that the
//!   thread does reaches memory, so what runs while its stack unwinds (a transaction that rolls
//!   back, a guard that lets go) is as if it did not run. [`mortal`] catches it, and what comes
//!   then in the same thread is the survivor that cleans up.
//! - **Orders** reach loom as they are written, with two exceptions: `SeqCst`, which loom weakens,
//!   is refused but for fences; and one place in the sources may be weakened, to see whether a
//!   model notices ([`weaken`]).
//!
//! One thread of the system runs all threads of a model, in turns. So its state here is local to
//! that thread, and models of several tests run beside each other.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::take;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use loom::sync::atomic as modelled;

/// Bytes of a thread's stack.
const STACK: usize = 256 * 1024;

/// What a thread is about to do with a word.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Where a word's operation goes.
pub(super) enum Reach<C> {
    /// To memory.
    Plain,
    /// To loom.
    Shared(Rc<C>),
    /// Nowhere, for the thread is dead.
    Gone,
}

/// What the dead are answered.
pub(super) trait Gone {
    fn gone() -> Self;
}

impl Gone for () {
    fn gone() -> Self {}
}

impl<T: Word> Gone for T {
    fn gone() -> Self {
        T::default()
    }
}

#[expect(clippy::mismatching_type_param_order, reason = "one type for both")]
impl<T: Word> Gone for Result<T, T> {
    fn gone() -> Self {
        Ok(T::default())
    }
}

/// Loom's atomic for a word.
#[derive(Clone)]
pub(super) enum Shared {
    U8(Rc<modelled::AtomicU8>),
    U16(Rc<modelled::AtomicU16>),
    U32(Rc<modelled::AtomicU32>),
    U64(Rc<modelled::AtomicU64>),
}

/// A type that may lie in the arena.
pub(super) trait Word: Copy + Default + Into<u64> {
    type Shared;
    fn of(shared: &Shared) -> Option<&Rc<Self::Shared>>;
}

macro_rules! words {
    ($($value:ty, $kind:ident, $atomic:ident;)*) => {
        $(impl Word for $value {
            type Shared = modelled::$atomic;

            fn of(shared: &Shared) -> Option<&Rc<Self::Shared>> {
                match shared {
                    Shared::$kind(word) => Some(word),
                    _ => None,
                }
            }
        })*

        impl Shared {
            /// For the word of `size` bytes at `address`, with its value.
            fn new(address: usize, size: usize) -> Self {
                $(if size == size_of::<$value>() {
                    return Self::$kind(Rc::new(modelled::$atomic::new(peek(address, size) as $value)));
                })*
                unreachable!("no word has {size} bytes")
            }
        }

        /// The word in memory.
        fn peek(address: usize, size: usize) -> u64 {
            $(if size == size_of::<$value>() {
                // SAFETY: the address is one that an atomic of that size in the arena has, and
                // the arena is never unmapped.
                return unsafe { (*(address as *const $atomic)).load(Ordering::Relaxed) }.into();
            })*
            unreachable!("no word has {size} bytes")
        }

        /// Stores to the word in memory.
        fn poke(address: usize, size: usize, value: u64) {
            $(if size == size_of::<$value>() {
                // SAFETY: as in `peek`.
                unsafe { (*(address as *const $atomic)).store(value as $value, Ordering::Relaxed) };
            })*
        }
    };
}

words! {
    u8, U8, AtomicU8;
    u16, U16, AtomicU16;
    u32, U32, AtomicU32;
    u64, U64, AtomicU64;
}

/// Addresses are spread enough as they are.
#[derive(Default)]
struct Address(u64);

impl Hasher for Address {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("addresses only")
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
    }
}

type ByAddress<T> = HashMap<usize, T, BuildHasherDefault<Address>>;

/// Who has touched a plain word in this execution.
#[derive(Default)]
struct Touched {
    size: usize,
    readers: u8,
    writers: u8,
}

/// What is known of a thread.
#[derive(Default)]
struct Thread {
    /// Changes until it dies.
    left: Option<u32>,
    /// What its clock showed last.
    now: u64,
    /// A sleep with a deadline up to this ends at once, as if it had passed.
    gives_up_at: u64,
}

/// The model that this thread of the system checks.
#[derive(Default)]
struct State {
    arena: Range<usize>,
    /// Words known to be shared, with their sizes: from one execution to the next.
    known: ByAddress<usize>,
    /// Executions begun.
    execution: u64,
    /// By how much a look at the clock moves it.
    tick: u64,
    weakened: Vec<Site>,
    /// Places whose orders can be weakened.
    sites: HashSet<Site>,

    // Of this execution:
    shared: ByAddress<Shared>,
    touched: ByAddress<Touched>,
    before: Vec<(usize, usize, u64)>,
    found: bool,
    threads: Vec<Thread>,
    /// Whether one thread alone is there, so that nothing it touches is shared by that.
    quiet: bool,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    /// Whether an execution runs.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    /// Which of the model's threads does.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

fn state<T>(act: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(act)
}

fn thread<T>(act: impl FnOnce(&mut Thread) -> T) -> T {
    state(|s| act(&mut s.threads[CURRENT.get()]))
}

/// Whether the caller runs in a model.
pub(crate) fn running() -> bool {
    RUNNING.get()
}

/// Whether the caller's stack unwinds, for it was killed or the model has failed: nothing that it
/// does counts.
pub(crate) fn gone() -> bool {
    std::thread::panicking()
}

/// Says which memory models are about: from here on, for the calling thread of the system.
pub(crate) fn set_arena(start: *const u8, len: u64) {
    let arena = start as usize..start as usize + len as usize;
    state(|s| {
        let (weakened, sites) = (take(&mut s.weakened), take(&mut s.sites));
        *s = State { arena, weakened, sites, ..State::default() };
    });
}

/// Counts executions.
pub(crate) fn execution() -> u64 {
    state(|s| s.execution)
}

/// Does what may let loom run other threads meanwhile.
pub(crate) fn switching<T>(act: impl FnOnce() -> T) -> T {
    let current = CURRENT.get();
    let result = act();
    CURRENT.set(current);
    result
}

/// One of the places where a thread may die: in front of a change.
pub(crate) fn step() {
    let killed = thread(|t| {
        let killed = t.left == Some(0);
        t.left = t.left.map(|left| left.saturating_sub(1));
        killed
    });
    if killed {
        resume_unwind(Box::new(Killed));
    }
}

const MIXED: &str = "a shared word is reached as one of another size";

/// Where the operation on `word` goes.
#[inline]
pub(super) fn reach<W: Word>(word: *const W, access: Access) -> Reach<W::Shared> {
    if !RUNNING.get() {
        return Reach::Plain;
    }
    reach_in_model(word, access)
}

fn reach_in_model<W: Word>(word: *const W, access: Access) -> Reach<W::Shared> {
    let address = word as usize;
    if !state(|s| s.arena.contains(&address)) {
        return Reach::Plain;
    }
    if gone() {
        return Reach::Gone;
    }
    if access == Access::Write {
        step();
    }
    state(|s| {
        if let Some(shared) = s.shared.get(&address) {
            return Reach::Shared(W::of(shared).expect(MIXED).clone());
        }
        let whole = s.shared.get(&(address & !7)).and_then(u64::of);
        assert!(whole.is_none(), "{MIXED}");
        s.touch(address, size_of::<W>(), access);
        Reach::Plain
    })
}

impl State {
    /// Notes who touches a plain word, and what it was.
    fn touch(&mut self, address: usize, size: usize, access: Access) {
        if access == Access::Write {
            self.before.push((address, size, peek(address, size)));
        }
        if self.quiet {
            return;
        }
        let touched = self.touched.entry(address).or_default();
        // A word of which a futex is one half is the whole word.
        touched.size = touched.size.max(size);
        let size = touched.size;
        let bit = 1 << CURRENT.get();
        if access == Access::Write {
            touched.writers |= bit;
        } else {
            touched.readers |= bit;
        }
        let all = touched.readers | touched.writers;
        if touched.writers != 0 && !all.is_power_of_two() {
            self.found |= self.known.insert(address, size).is_none();
        }
    }

    /// Puts plain words back, the last change first.
    fn restore(&mut self) {
        for (address, size, value) in self.before.drain(..).rev() {
            poke(address, size, value);
        }
    }

    fn begin(&mut self) {
        self.restore();
        self.execution += 1;
        self.touched.clear();
        self.threads.clear();
        self.threads.push(Thread::default());
        self.shared = self.known.iter().map(|(at, size)| (*at, Shared::new(*at, *size))).collect();
        (self.found, self.quiet) = (false, true);
    }
}

/// The low half of a word, or a word of that size: as the system compares it before it sleeps.
pub(crate) fn load_half(word: *const u32) -> u32 {
    let address = word as usize;
    let whole = address & !7;
    let wide = |s: &mut State| s.shared.get(&whole).and_then(u64::of).cloned();
    if let Some(wide) = state(wide) {
        let value = switching(|| wide.load(Ordering::Relaxed));
        return (value >> ((address - whole) * 8)) as u32;
    }
    match reach(word, Access::Read) {
        Reach::Shared(cell) => switching(|| cell.load(Ordering::Relaxed)),
        _ => peek(address, 4) as u32,
    }
}

/// What an order says, and may be taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What is read here comes with all that was before its store.
    Acquire,
    /// What is stored here brings along all that was before.
    Release,
    /// Of a fence: all such fences have one order.
    SeqCst,
}

/// A place in the sources, file and line, and a part of the order there.
pub type Site = (&'static str, u32, Part);

const PARTS: [Part; 3] = [Part::Acquire, Part::Release, Part::SeqCst];

/// What is left of `order` without that part; itself if it has none of it.
fn without(order: Ordering, part: Part) -> Ordering {
    match (part, order) {
        (Part::Acquire, Ordering::Acquire) | (Part::Release, Ordering::Release) => {
            Ordering::Relaxed
        }
        (Part::Acquire, Ordering::AcqRel) => Ordering::Release,
        (Part::Release, Ordering::AcqRel) => Ordering::Acquire,
        (Part::SeqCst, Ordering::SeqCst) => Ordering::AcqRel,
        _ => order,
    }
}

/// The order at the caller's place, as it is now.
fn weakened(order: Ordering, at: &'static Location<'static>) -> Ordering {
    state(|s| {
        let (file, line) = (at.file(), at.line());
        for part in PARTS.into_iter().filter(|part| without(order, *part) != order) {
            s.sites.insert((file, line, part));
        }
        let here = s.weakened.iter().filter(|site| (site.0, site.1) == (file, line));
        here.fold(order, |order, site| without(order, site.2))
    })
}

/// From here on the orders at those places of the sources lack those parts: in models that the calling
/// thread of the system checks.
pub fn weaken(sites: &[Site]) {
    state(|s| s.weakened = sites.to_vec());
}

/// Places with an order that can be weakened, which models of the calling thread of the system
/// have passed since it asked last.
#[must_use]
pub fn sites() -> Vec<Site> {
    let mut sites: Vec<_> = state(|s| s.sites.drain().collect());
    sites.sort_unstable();
    sites
}

/// The order of an operation, as loom is given it.
#[track_caller]
pub(super) fn order(order: Ordering) -> Ordering {
    assert!(order != Ordering::SeqCst, "loom takes SeqCst for AcqRel: make it a fence");
    weakened(order, Location::caller())
}

/// The fence of a model; false outside of one.
#[track_caller]
pub(super) fn fence(order: Ordering) -> bool {
    if !RUNNING.get() {
        return false;
    }
    if !gone() {
        match weakened(order, Location::caller()) {
            Ordering::Relaxed => {}
            order => switching(|| modelled::fence(order)),
        }
    }
    true
}

/// The thread's clock: it moves by looking at it, and no two threads have the same.
pub(crate) fn now_ns() -> u64 {
    let tick = state(|s| s.tick);
    thread(|t| {
        t.now += tick;
        t.now
    })
}

/// Whether the thread's sleeps until that deadline end at once. Its clock shows it then.
pub(crate) fn gives_up(deadline: u64) -> bool {
    thread(|t| {
        let passes = deadline <= t.gives_up_at;
        if passes {
            t.now = t.now.max(deadline);
        }
        passes
    })
}

/// From here on the calling thread's sleeps with a deadline up to `deadline` end at once, as if it
/// had passed.
pub fn give_up_at(deadline: u64) {
    thread(|t| t.gives_up_at = deadline);
}

/// The thread was killed.
#[derive(Debug)]
pub struct Killed;

/// Runs `act`, which is killed in front of its change number `at` (from 0), if it comes so far.
/// What the caller does after that it does as a survivor.
///
/// # Errors
/// [`Killed`].
pub fn mortal<T>(at: u32, act: impl FnOnce() -> T) -> Result<T, Killed> {
    thread(|t| t.left = Some(at));
    let result = catch_unwind(AssertUnwindSafe(act));
    thread(|t| t.left = None);
    result.map_err(|payload| {
        *payload.downcast::<Killed>().unwrap_or_else(|other| resume_unwind(other))
    })
}

/// An execution that met a shared word which was not known to be one.
struct Discovery;

/// How a model is explored.
#[derive(Clone, Debug, Default)]
pub struct Model {
    preemptions: Option<usize>,
    tick: u64,
}

/// One execution, for the closure that describes it.
#[derive(Debug)]
pub struct Run {
    threads: Cell<usize>,
}

/// A thread of a model.
#[derive(Debug)]
pub struct Spawned<T>(loom::thread::JoinHandle<T>);

impl Model {
    /// All interleavings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only interleavings in which threads that could go on are interrupted that often at most.
    #[must_use]
    pub fn preemptions(self, most: usize) -> Self {
        Self { preemptions: Some(most), ..self }
    }

    /// Each look at the clock moves the thread's clock by `ns`.
    #[must_use]
    pub fn tick(self, ns: u64) -> Self {
        Self { tick: ns, ..self }
    }

    /// Explores `execution`: what it spawns runs in all interleavings and with all values that
    /// the memory model allows. Returns how many executions that took.
    ///
    /// # Panics
    /// When an execution does, or its threads wait for each other.
    pub fn check(&self, execution: impl Fn(&Run) + Send + Sync + 'static) -> u64 {
        state(|s| {
            s.tick = self.tick;
            s.known.clear();
        });
        let execution = std::sync::Arc::new(execution);
        quiet_discoveries();
        loop {
            let before = state(|s| s.execution);
            let execution = execution.clone();
            match catch_unwind(AssertUnwindSafe(|| self.explore(execution))) {
                Ok(()) => {
                    let n = state(|s| s.execution) - before;
                    if std::env::var_os("LOOM_COUNT").is_some() {
                        eprintln!("{n} executions, {} shared words", state(|s| s.known.len()));
                    }
                    return n;
                }
                Err(payload) => again(payload),
            }
        }
    }

    fn explore(&self, execution: std::sync::Arc<impl Fn(&Run) + Send + Sync + 'static>) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = self.preemptions;
        builder.max_branches = 100_000;
        builder.check(move || {
            state(State::begin);
            CURRENT.set(0);
            RUNNING.set(true);
            execution(&Run { threads: Cell::new(1) });
            RUNNING.set(false);
            let found = state(|s| {
                s.restore();
                s.found
            });
            if found {
                resume_unwind(Box::new(Discovery));
            }
        });
    }
}

/// An execution that does not count says nothing of a panic in it.
fn quiet_discoveries() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let found = STATE.with(|s| s.try_borrow().is_ok_and(|s| s.found));
            if !found {
                others(info);
            }
        }));
    });
}

/// Goes on if the exploration ended because of what it has found out about the memory.
fn again(payload: Box<dyn Any + Send>) {
    RUNNING.set(false);
    let found = state(|s| {
        s.restore();
        s.shared.clear();
        take(&mut s.found)
    });
    if !found {
        resume_unwind(payload);
    }
}

impl Run {
    /// Starts a thread.
    pub fn spawn<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> Spawned<T> {
        let index = self.threads.get();
        self.threads.set(index + 1);
        state(|s| {
            s.quiet = false;
            s.threads.push(Thread::default());
        });
        Spawned(switching(|| start(index, act)))
    }

    /// Runs `act` when all threads have ended: nobody else is there any more.
    pub fn afterwards<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        state(|s| {
            s.quiet = true;
            s.threads.push(Thread::default());
        });
        // A thread of its own, for its stack.
        let afterwards = self.threads.take();
        switching(|| start(afterwards, act).join().expect("it did not panic"))
    }
}

fn start<T: Send + 'static>(
    index: usize,
    act: impl FnOnce() -> T + Send + 'static,
) -> loom::thread::JoinHandle<T> {
    let body = move || {
        CURRENT.set(index);
        act()
    };
    loom::thread::Builder::new()
        .stack_size(STACK / size_of::<usize>())
        .spawn(body)
        .expect("a thread")
}

impl<T> Spawned<T> {
    /// Waits for it.
    ///
    /// # Panics
    /// When it did.
    pub fn join(self) -> T {
        switching(|| self.0.join()).expect("it did not panic")
    }
}
