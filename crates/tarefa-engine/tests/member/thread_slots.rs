//! Threads give their slots back, whatever they leave behind; and what happens when there are none.
//!
//! One test, for it looks at all slots of the process's runtime, and takes them.

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tarefa_engine::atomic::{AtomicU32, Ordering};
use tarefa_engine::collections::{self, list};
use tarefa_engine::os::thread_exit::AtThreadExit;
use tarefa_engine::shm::arena::layout::{PROCESSES, THREADS};
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off, Runtime, TooManyThreads};

fn runtime() -> &'static Runtime {
    Runtime::default().unwrap()
}

/// Slots that threads have at this moment, and those that were ever used.
fn used() -> (usize, usize) {
    let live = |t: &u32| slots::thread_slot(runtime().arena(), *t).tid.load(Ordering::Acquire) != 0;
    (
        slots::threads(runtime().arena()).filter(live).count(),
        slots::threads(runtime().arena()).count(),
    )
}

fn objects() -> u64 {
    runtime().header().objects.load(Ordering::Relaxed)
}

/// Holds an object, and lets it go in the slot of whatever thread drops it.
struct Held(Off);

impl Held {
    fn new(me: &Member) -> Self {
        Self(list::create(me).unwrap())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        runtime().with_me(|me| refcount::release(me, self.0));
    }
}

thread_local! {
    static FIRST: RefCell<Option<Held>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<Held>> = const { RefCell::new(None) };
}

static ROUNDS: AtomicU32 = AtomicU32::new(0);
static AGAIN: AtThreadExit = AtThreadExit::new(use_it_and_come_again);

/// A destructor of somebody else's, which uses the runtime in each round that the system grants.
extern "C" fn use_it_and_come_again(_: *mut c_void) {
    drop(Held::new(&runtime().me()));
    ROUNDS.fetch_add(1, Ordering::Relaxed);
    AGAIN.arm();
}

/// Takes all slots that are free, as threads of another process would, until it is dropped.
struct AllTaken(Vec<u32>);

impl AllTaken {
    fn now() -> Self {
        let free = |t: &u32| {
            let owner = &slots::thread_slot(runtime().arena(), *t).owner;
            owner.compare_exchange(0, PROCESSES, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        Self((0..THREADS as u32).filter(free).collect())
    }
}

impl Drop for AllTaken {
    fn drop(&mut self) {
        for t in &self.0 {
            slots::thread_slot(runtime().arena(), *t).owner.store(0, Ordering::Release);
        }
    }
}

fn in_a_thread<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}

/// Holds every slot that threads of this process have given back.
fn with_idle_slots_held<T>(act: impl FnOnce() -> T) -> T {
    let _taken = AllTaken::now();
    let done = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let mut holders = Vec::new();
        loop {
            let (say, hear) = std::sync::mpsc::channel();
            let done = &done;
            holders.push(scope.spawn(move || {
                let found = runtime().try_me().is_ok();
                say.send(found).unwrap();
                while found && done.load(Ordering::Acquire) == 0 {
                    std::thread::park_timeout(std::time::Duration::from_millis(1));
                }
            }));
            if !hear.recv().unwrap() {
                break;
            }
        }
        let result = catch_unwind(AssertUnwindSafe(act));
        done.store(1, Ordering::Release);
        result.unwrap_or_else(|payload| resume_unwind(payload))
    })
}

#[test]
#[cfg_attr(miri, ignore = "Miri would take long for so many threads and slots")]
fn slots_come_back_and_without_one_there_are_errors() {
    collections::register();
    let me = runtime().me();
    let before = (used(), objects());
    for round in 0..300 {
        in_a_thread(|| {
            // The value before the slot, and the slot before the value.
            FIRST.with_borrow_mut(|_| ());
            let me = runtime().me();
            FIRST.set(Some(Held::new(&me)));
            LAST.set(Some(Held::new(&me)).filter(|_| round % 3 != 0));
        });
    }
    let after = (used(), objects());
    assert_eq!((after.0.0, after.1), (before.0.0, before.1));
    assert!(after.0.1 <= before.0.1 + 4, "{before:?} {after:?}");

    // A slot that no destructor gives back is found when the slots run out.
    in_a_thread(|| AGAIN.arm());
    assert!(ROUNDS.load(Ordering::Relaxed) > 1);
    assert_eq!(objects(), before.1);
    assert_eq!(used().0, before.0.0 + 1, "one is left behind");
    with_idle_slots_held(|| {
        assert_eq!(used().0, before.0.0 + 1, "and found");
        let refused = in_a_thread(|| runtime().try_me().map(drop));
        assert_eq!(refused, Err(TooManyThreads { most: THREADS }));
        // A thread that has a slot keeps it.
        assert_eq!(runtime().me().index(), me.index());
        // What must not fail does not, one thread at a time and also in one another.
        let held = Held::new(&me);
        in_a_thread(|| {
            runtime().with_me(|outer| {
                assert!(u64::from(outer.index()) >= THREADS);
                runtime().with_me(|inner| assert_eq!(inner.index(), outer.index()));
            });
            drop(held);
        });
        let thrown = in_a_thread(|| {
            let act = || runtime().with_me(|_| panic!("on purpose"));
            std::panic::catch_unwind(act).is_err()
        });
        assert!(thrown);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        runtime().with_me(|me| drop(Held(list::create(me).unwrap())));
                    }
                });
            }
        });
        let reserve =
            slots::thread_slot(runtime().arena(), THREADS as u32 + runtime().process_index());
        assert_eq!(reserve.owner.load(Ordering::Acquire), 0);
    });
    assert_eq!(objects(), before.1);
    assert!(in_a_thread(|| runtime().try_me().is_ok()));
}
