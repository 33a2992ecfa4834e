//! Tasks of a pool of threads that borrow, and workers that wait for their own pool.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock};

use tarefa::{Pool, PoolError, TaskError};
use tarefa_engine::atomic::{AtomicUsize, Ordering};

type Outcome = Result<(), Box<dyn Error>>;

fn add(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::Relaxed);
}

#[tarefa::test(timeout = 60)]
fn tasks_borrow_what_lives_longer() -> Outcome {
    let pool = Pool::threads(2);
    let words = ["um".to_owned(), "dois".to_owned()];
    let mut lengths = vec![0; 2];
    let total = Mutex::new(0);
    let returned = pool.scope(|scope| {
        for (word, length) in words.iter().zip(&mut lengths) {
            let total = &total;
            scope.spawn(move || {
                *length = word.len();
                *total.lock().unwrap() += word.len();
            });
        }
        "returned"
    })?;
    assert_eq!((returned, lengths, total.into_inner()?), ("returned", vec![2, 4], 6));
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn tasks_spawn_more_and_all_have_ended() -> Outcome {
    let pool = Pool::threads(2);
    let count = AtomicUsize::new(0);
    pool.scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..5 {
                    scope.spawn(|| {
                        count.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        }
    })?;
    assert_eq!(count.load(Ordering::Relaxed), 100);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_panic_comes_to_the_caller_once_all_have_ended() -> Outcome {
    let pool = Pool::threads(2);
    let count = AtomicUsize::new(0);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|scope| {
            for n in 0..10 {
                let count = &count;
                scope.spawn(move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    assert!(n != 4, "not four");
                });
            }
        })
    }));
    let text = caught.unwrap_err();
    assert!(text.downcast_ref::<&str>().is_some_and(|text| text.starts_with("not four")));
    assert_eq!(count.load(Ordering::Relaxed), 10);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|scope| {
            scope.spawn(|| add(&count));
            panic!("the scope itself");
        })
    }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"the scope itself"));
    assert_eq!(count.load(Ordering::Relaxed), 11);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn processes_cannot_borrow() {
    let refused = Pool::processes(1).scope(|_| ());
    assert!(matches!(refused, Err(PoolError::NotThreads { .. })), "{refused:?}");
}

#[tarefa::test(timeout = 60)]
fn a_closed_or_broken_pool_says_so_and_nothing_is_left() -> Outcome {
    let ran = AtomicUsize::new(0);
    let pool = Pool::threads(1);
    pool.start()?;
    pool.close();
    let refused = pool.scope(|scope| scope.spawn(|| add(&ran)));
    assert!(matches!(refused, Err(PoolError::Closed { .. })), "{refused:?}");
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    let pool = Pool::threads(1).initializer(|| panic!("no luck"), ());
    let refused = pool.scope(|scope| scope.spawn(|| add(&ran)));
    assert!(matches!(refused, Err(PoolError::Broken { .. })), "{refused:?}");
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    Ok(())
}

static OWN: OnceLock<Pool> = OnceLock::new();

fn own() -> &'static Pool {
    OWN.get_or_init(|| Pool::threads(1))
}

fn sum(n: u64) -> Result<u64, String> {
    if n == 0 {
        return Ok(0);
    }
    let rest = own().submit(sum, (n - 1,)).map_err(|e| e.to_string())?;
    Ok(n + rest.result().map_err(|e| e.to_string())??)
}

#[tarefa::test(timeout = 60)]
fn a_worker_runs_what_it_waits_for() -> Outcome {
    assert_eq!(own().submit(sum, (20,))?.result()?, Ok(210));
    let mapped = |n: u64| -> Result<u64, String> {
        let all = own().map(|n: u64| n * n, 0..n).sum::<Result<u64, TaskError>>();
        all.map_err(|e| e.to_string())
    };
    assert_eq!(own().submit(mapped, (5,))?.result()?, Ok(30));
    let scoped = || {
        let mut found = [0; 3];
        let done = own().scope(|scope| {
            for (n, place) in found.iter_mut().enumerate() {
                scope.spawn(move || *place = n + 1);
            }
        });
        done.map(|()| found.iter().sum::<usize>()).map_err(|e| e.to_string())
    };
    assert_eq!(own().submit(scoped, ())?.result()?, Ok(6));
    Ok(())
}
