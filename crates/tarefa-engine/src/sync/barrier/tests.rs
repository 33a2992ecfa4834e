//! What a barrier does beside one who is stopped with its latch.

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::shm::Runtime;
use crate::sync::wait::Plain;

/// Is interrupted once it is told so.
struct Told(&'static AtomicU32);

impl BlockingHooks for Told {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }
}

fn after(millis: u64) -> Deadline {
    Deadline::after(Some(Duration::from_millis(millis)))
}

/// Runs `act` while a thread has the latch that does nothing.
fn with_latch_held(runtime: &'static Runtime, off: Off, act: impl FnOnce()) {
    std::thread::scope(|scope| {
        let ((say, hear), (done, end)) = (mpsc::channel(), mpsc::channel::<()>());
        scope.spawn(move || {
            let me = runtime.me();
            let barrier = at(&me, off);
            let latched = barrier.latch.lock(&me);
            say.send(()).unwrap();
            let _ = end.recv();
            drop(latched);
        });
        hear.recv().unwrap();
        act();
        drop(done);
    });
}

#[test]
fn time_limits_and_interrupts_hold_beside_one_who_is_stopped() {
    static INTERRUPT: AtomicU32 = AtomicU32::new(0);
    static WAITS: AtomicU32 = AtomicU32::new(0);
    crate::sync::register();
    let runtime = Runtime::default().unwrap();
    let me = runtime.me();
    let off = create(&me).unwrap();
    set_up(&me, off, 2, None, false);
    // One whose time is over breaks the barrier, though it has not come.
    with_latch_held(runtime, off, || {
        let passed = wait(&me, off, &mut Plain, after(1)).unwrap();
        assert!(matches!(passed, Passed::TimedOut), "{passed:?}");
        assert_eq!(broken(&me, off), Some(Why::TimedOut));
    });
    let passed = wait(&me, off, &mut Plain, Deadline::NEVER).unwrap();
    assert!(matches!(passed, Passed::Broken(Why::TimedOut)), "{passed:?}");
    reset(&me, off);
    assert_eq!((broken(&me, off), waiting(&me, off)), (None, 0));
    // One that waits is interrupted: it has not come.
    std::thread::scope(|scope| {
        let (go_on, wait_here) = mpsc::channel::<()>();
        let waits = scope.spawn(move || {
            let me = runtime.me();
            WAITS.store(me.index() + 1, Ordering::Release);
            let passed = wait(&me, off, &mut Told(&INTERRUPT), Deadline::NEVER).unwrap();
            assert!(matches!(passed, Passed::Interrupted), "{passed:?}");
            WAITS.store(0, Ordering::Release);
            let _ = wait_here.recv();
            // What it has left is given up by its next wait.
            let passed = wait(&me, off, &mut Plain, after(1)).unwrap();
            assert!(matches!(passed, Passed::Broken(_)), "{passed:?}");
        });
        while waiting(&me, off) == 0 {
            std::thread::yield_now();
        }
        with_latch_held(runtime, off, || {
            INTERRUPT.store(1, Ordering::Release);
            while let Some(index) = WAITS.load(Ordering::Acquire).checked_sub(1) {
                wait::wake(&me, index);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let passed = wait(&me, off, &mut Plain, after(20)).unwrap();
        assert!(matches!(passed, Passed::TimedOut), "it was counted: {passed:?}");
        drop(go_on);
        waits.join().unwrap();
    });
    // Who aborts waits for nobody.
    reset(&me, off);
    with_latch_held(runtime, off, || {
        abort(&me, off);
        assert_eq!(broken(&me, off), Some(Why::Aborted));
    });
    reset(&me, off);
    assert_eq!(broken(&me, off), None);
    let free = |t: u32| {
        let nodes = &slots::thread_slot(me.arena(), t).nodes;
        nodes.iter().all(|n| n.object.load(Ordering::Acquire) != off.0)
    };
    assert!(slots::threads(me.arena()).all(free));
    refcount::release(&me, off);
}
