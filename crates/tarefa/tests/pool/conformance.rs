//! One suite, run over pools of both kinds: what holds for threads holds for processes. What only processes
//! have is in `deaths.rs`, what only threads have in `scope.rs`.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa::{
    Event, Failure, Interrupted, List, Pool, PoolError, TaskError, Thread, Value, attempt,
    check_interrupt, leased, sleep,
};

type Outcome = Result<(), Box<dyn Error>>;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(50);

fn square(n: u64) -> u64 {
    n * n
}

fn hold(started: Event, go: Event) -> Result<u32, Interrupted> {
    started.set();
    go.wait(None)?;
    Ok(attempt())
}

fn hold_one((n, started, go): (u64, Event, Event)) -> Result<u64, Interrupted> {
    if n == 0 {
        started.set();
        go.wait(None)?;
    }
    Ok(n)
}

fn append(list: List<u32>, n: u32) -> Result<u32, Failure> {
    list.append(n)?;
    Ok(n)
}

fn careful(n: u32) -> Result<u32, String> {
    if n % 3 == 0 { Err(format!("not {n}")) } else { Ok(n) }
}

fn panics_at_three(n: u32) -> u32 {
    assert!(n != 3, "three is too many");
    n
}

fn work_long(started: Event) -> Result<(), Interrupted> {
    started.set();
    loop {
        check_interrupt()?;
        std::hint::spin_loop();
    }
}

/// Does not serialise if it is odd.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Even(u32);

impl Serialize for Even {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 2 == 1 {
            return Err(serde::ser::Error::custom("it is odd"));
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rich {
    name: String,
    counts: HashMap<String, Vec<i64>>,
    parts: Option<Box<Rich>>,
}

macro_rules! suite {
    ($($kind:ident),*) => {$(
        mod $kind {
            use super::*;

            fn pool(workers: usize) -> Pool {
                Pool::$kind(workers)
            }

            #[tarefa::test(timeout = 60)]
            fn results_come_in_the_order_of_inputs() -> Outcome {
                let pool = pool(2);
                for count in [0, 1, 2, 3, 1000, 30_000] {
                    let found = pool.map(square, 0..count).collect::<Result<Vec<_>, _>>()?;
                    assert_eq!(found, (0..count).map(square).collect::<Vec<_>>());
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn results_come_as_they_are_there_each_once() -> Outcome {
                let pool = pool(3);
                let mut found = pool.map_unordered(square, 0..5000).collect::<Result<Vec<_>, _>>()?;
                found.sort_unstable();
                assert_eq!(found, (0..5000).map(square).collect::<Vec<_>>());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn endless_inputs_take_bounded_memory() -> Outcome {
                let pool = pool(2);
                let mut taken = 0_u64;
                let inputs = std::iter::from_fn(|| {
                    taken += 1;
                    Some(taken)
                });
                let options = pool.options().read_ahead(100);
                let found = options.map(square, inputs).take(1000).collect::<Result<Vec<_>, _>>()?;
                assert_eq!(found, (1..=1000).map(square).collect::<Vec<_>>());
                assert!((1000..=1100).contains(&taken), "{taken} inputs were taken");
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn values_of_all_sorts_come_back() -> Outcome {
                let pool = pool(2);
                let counts = HashMap::from([("a".to_owned(), vec![-1, i64::MAX])]);
                let inner = Rich { name: "é".into(), counts, parts: None };
                let rich = Rich { parts: Some(Box::new(inner.clone())), ..inner };
                let found = pool.map(|rich: Rich| Some(rich), vec![rich.clone(); 20]);
                assert_eq!(found.collect::<Result<Vec<_>, _>>()?, vec![Some(rich); 20]);
                let bytes = pool.submit(|n: usize| vec![7_u8; n], (3 << 20,))?.result()?;
                assert_eq!(bytes, vec![7; 3 << 20]);
                let unit = pool.map(|_: u8| (), 0..3).collect::<Result<Vec<()>, _>>()?;
                assert_eq!(unit.len(), 3);
                let floats = pool.map(|n: i32| f64::from(n) / 2.0, -2..2);
                assert_eq!(floats.collect::<Result<Vec<_>, _>>()?, [-1.0, -0.5, 0.0, 0.5]);
                assert_eq!(pool.submit(|| i128::MIN, ())?.result()?, i128::MIN);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn what_a_function_returns_is_its_result_errors_too() -> Outcome {
                let pool = pool(2);
                let found = pool.map(careful, 0..6).collect::<Result<Vec<_>, _>>()?;
                assert_eq!(found, (0..6).map(careful).collect::<Vec<_>>());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_panic_fails_its_task_alone() -> Outcome {
                let pool = pool(2);
                let found: Vec<_> = pool.map(panics_at_three, 0..6).collect();
                match &found[3] {
                    Err(TaskError::Panicked { call, pid, message }) => {
                        assert!(call.ends_with("panics_at_three"), "{call}");
                        assert!(message.starts_with("three is too many ("), "{message}");
                        assert!(*pid > 0);
                    }
                    other => panic!("{other:?}"),
                }
                assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), [0, 1, 2, 4, 5]);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn shared_objects_are_the_same_in_workers() -> Outcome {
                let pool = pool(2);
                let list = List::new()?;
                let inputs = (0..50).map(|n| (list.clone(), n));
                let found = pool.map(|(list, n): (List<u32>, u32)| append(list, n), inputs);
                assert_eq!(found.filter(|r| matches!(r, Ok(Ok(_)))).count(), 50);
                let mut values = list.to_vec()?;
                values.sort_unstable();
                assert_eq!(values, (0..50).collect::<Vec<_>>());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn tasks_are_asked_one_by_one() -> Outcome {
                let pool = pool(2);
                let (started, go) = (Event::new()?, Event::new()?);
                let held = pool.submit(hold, (started.clone(), go.clone()))?;
                let others = (0..20).map(|n| pool.submit(square, (n,)));
                let others = others.collect::<Result<Vec<_>, _>>()?;
                assert!(started.wait(Some(LONG))?);
                assert!(!held.is_done());
                let late = held.result_timeout(SHORT);
                assert!(matches!(late, Err(TaskError::TimedOut { .. })), "{late:?}");
                go.set();
                assert_eq!(held.result_timeout(LONG)?, Ok(1));
                let again = held.result_timeout(SHORT);
                assert!(matches!(again, Err(TaskError::Taken { .. })), "{again:?}");
                assert!(held.is_done() && !held.cancel() && !held.cancel_and_kill());
                for (n, task) in others.into_iter().enumerate() {
                    assert_eq!(task.result()?, square(n as u64));
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_handle_outlives_its_pool_and_goes_to_other_threads() -> Outcome {
                let task = pool(1).submit(square, (7,))?;
                let asked = std::thread::spawn(move || task.result().map_err(|e| e.to_string()));
                assert_eq!(asked.join().unwrap(), Ok(49));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn several_threads_wait_for_their_own() -> Outcome {
                let pool = pool(2);
                std::thread::scope(|scope| {
                    let asks = |from: u64| {
                        let pool = &pool;
                        move || -> Result<u64, String> {
                            let mut sum = 0;
                            for n in from..from + 100 {
                                let task = pool.submit(square, (n,)).map_err(|e| e.to_string())?;
                                sum += task.result().map_err(|e| e.to_string())?;
                            }
                            let all = pool.map(square, from..from + 100);
                            let all = all.sum::<Result<u64, _>>().map_err(|e| e.to_string())?;
                            assert_eq!(all, sum);
                            Ok(sum)
                        }
                    };
                    let all: Vec<_> = (0..4).map(|i| scope.spawn(asks(i * 100))).collect();
                    let sum: u64 = all.into_iter().map(|t| t.join().unwrap().unwrap()).sum();
                    assert_eq!(sum, (0..400).map(square).sum::<u64>());
                });
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn what_waits_can_be_cancelled() -> Outcome {
                let pool = pool(1);
                let (started, go) = (Event::new()?, Event::new()?);
                let held = pool.submit(hold, (started.clone(), go.clone()))?;
                assert!(started.wait(Some(LONG))?);
                let list = List::new()?;
                let waits = pool.submit(append, (list.clone(), 1))?;
                let goes = pool.submit(append, (list.clone(), 2))?;
                assert!(waits.cancel() && waits.is_done() && !waits.cancel());
                assert!(!held.cancel());
                go.set();
                assert!(matches!(waits.result(), Err(TaskError::Cancelled { .. })));
                assert_eq!(goes.result()?.map_err(|e| e.to_string()), Ok(2));
                assert_eq!(held.result()?, Ok(1));
                assert_eq!(list.to_vec()?, [2]);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn what_runs_can_be_stopped() -> Outcome {
                let pool = pool(1);
                for _ in 0..3 {
                    let started = Event::new()?;
                    let runs = pool.submit(work_long, (started.clone(),))?;
                    assert!(started.wait(Some(LONG))?);
                    assert!(runs.cancel_and_kill());
                    let result = runs.result();
                    assert!(matches!(result, Err(TaskError::Cancelled { .. })), "{result:?}");
                }
                assert_eq!(pool.submit(square, (3,))?.result()?, 9);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_time_limit_ends_what_it_is_for() -> Outcome {
                let pool = pool(2).time_limit(SHORT);
                let late = pool.submit(work_long, (Event::new()?,))?.result();
                assert!(
                    matches!(&late, Err(TaskError::OverTime { limit, .. }) if *limit == SHORT),
                    "{late:?}"
                );
                // What cleans up and returns counts.
                let cleans = || sleep(LONG).is_err() && sleep(Duration::ZERO).is_ok();
                assert!(pool.submit(cleans, ())?.result()?);
                let found = pool.map(
                    |n: u32| if n == 2 { sleep(LONG).map(|()| n) } else { Ok(n) },
                    0..5,
                );
                let found: Vec<_> = found.map(|r| r.map_err(|e| e.to_string())).collect();
                for (n, result) in found.iter().enumerate() {
                    match result {
                        Ok(value) => assert_eq!(*value, Ok(n as u32)),
                        Err(text) => {
                            assert!(n == 2 && text.contains("time limit of 0.03 s"), "{text}");
                        }
                    }
                }
                assert!(found[2].is_err());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn an_initializer_is_called_in_each_worker() -> Outcome {
                use std::cell::Cell;
                thread_local! {
                    static BASE: Cell<u64> = const { Cell::new(0) };
                }
                let pool = pool(2).initializer(|base: u64| BASE.set(base), (1000,));
                let found = pool.map(|n: u64| BASE.get() + n, 0..100);
                assert_eq!(found.collect::<Result<Vec<_>, _>>()?, (1000..1100).collect::<Vec<_>>());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn an_initializer_that_fails_breaks_the_pool() -> Outcome {
                let panics = pool(2).initializer(|| panic!("no luck"), ());
                let fails = pool(2).initializer(|| Err::<(), _>("no luck".to_owned()), ());
                for pool in [panics, fails] {
                    let found: Vec<_> = pool.map(square, 0..50).collect();
                    let last = found.last().expect("an error");
                    match last {
                        Err(TaskError::Pool(PoolError::Broken { why, .. })) => {
                            assert!(why.contains("no luck"), "{why}");
                        }
                        other => panic!("{other:?}"),
                    }
                    let refused = pool.submit(square, (1,)).map(|task| task.result());
                    let broken = |e: &PoolError| matches!(e, PoolError::Broken { .. });
                    match refused {
                        Err(e) if broken(&e) => {}
                        Ok(Err(TaskError::Pool(e))) if broken(&e) => {}
                        other => panic!("{other:?}"),
                    }
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn an_initializer_that_hangs_breaks_the_pool() -> Outcome {
                let hour = Duration::from_secs(3600);
                let limit = Duration::from_millis(50);
                let pool = pool(2).initializer(tarefa::sleep, (hour,)).initializer_time_limit(limit);
                match pool.submit(square, (1,)).map(|task| task.result()) {
                    Err(PoolError::Broken { why, .. })
                    | Ok(Err(TaskError::Pool(PoolError::Broken { why, .. }))) => {
                        assert!(why.contains("time limit of 50ms"), "{why}");
                    }
                    other => panic!("{other:?}"),
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn who_has_a_higher_priority_goes_first() -> Outcome {
                let (started, go, list) = (Event::new()?, Event::new()?, List::new()?);
                let pool = pool(1);
                let held = pool.submit(hold, (started.clone(), go.clone()))?;
                started.wait(None)?;
                let mut tasks = Vec::new();
                for (n, priority) in [(1, 0), (2, 0), (3, 5), (4, -1), (5, 5), (6, 0)] {
                    let options = pool.options().priority(priority);
                    tasks.push(options.submit(append, (list.clone(), n))?);
                }
                let mapped = pool.options().priority(7).map(square, 0..20);
                assert!(tasks[1].cancel());
                go.set();
                assert_eq!(held.result()??, 1);
                assert_eq!(mapped.collect::<Result<Vec<_>, _>>()?.len(), 20);
                drop(pool);
                assert_eq!(list.to_vec()?, [3, 5, 1, 6, 4]);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_priority_keeps_retries_resources_and_results() -> Outcome {
                let pool = pool(2).resource("thing", 1).retries(1);
                let first: Vec<_> =
                    (0..20).map(|n| pool.submit(square, (n,))).collect::<Result<_, _>>()?;
                let options = pool.options().priority(1).resource("thing", 1);
                let later: Vec<_> =
                    (0..20).map(|n| options.submit(square, (n,))).collect::<Result<_, _>>()?;
                let mapped = pool.map(square, 0..100).collect::<Result<Vec<_>, _>>()?;
                assert_eq!(mapped, (0..100).map(square).collect::<Vec<_>>());
                for (n, task) in (0..20).chain(0..20).zip(first.into_iter().chain(later)) {
                    assert_eq!(task.result()?, n * n);
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn workers_are_recycled() -> Outcome {
                for tasks in [1, 2, 3, 7] {
                    for workers in [1, 3] {
                        for count in [0, 1, 20] {
                            let pool = pool(workers).tasks_per_worker(tasks);
                            let found = pool.map(square, 0..count).collect::<Result<Vec<_>, _>>()?;
                            assert_eq!(found, (0..count).map(square).collect::<Vec<_>>());
                        }
                    }
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn resources_are_leased_to_as_many_as_there_are() -> Outcome {
                let pool = pool(3).resource("connection", 2).resource("disk", 1);
                let most = Value::new(0_i64)?;
                let now = Value::new(0_i64)?;
                let task = |now: Value<i64>, most: Value<i64>| -> Result<Vec<u32>, Failure> {
                    let running = now.fetch_add(1) + 1;
                    most.fetch_update(|before| Some(before.max(running))).unwrap_or(0);
                    sleep(Duration::from_millis(1))?;
                    now.fetch_sub(1);
                    Ok(leased("connection"))
                };
                let with_one = pool.options().resource("connection", 1);
                let tasks = (0..12).map(|_| with_one.submit(task, (now.clone(), most.clone())));
                let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
                let with_all = pool.options().resource("connection", 2).resource("disk", 1);
                let both = with_all.submit(|| (leased("connection").len(), leased("disk")), ())?;
                for task in tasks {
                    let units = task.result()??;
                    assert!(units.len() == 1 && units[0] < 2, "{units:?}");
                }
                assert_eq!(both.result()?, (2, vec![0]));
                assert!((1..=2).contains(&most.load()?));
                assert!(pool.submit(|| leased("connection"), ())?.result()?.is_empty());
                for (name, amount) in [("tape", 1), ("disk", 2), ("disk", 0)] {
                    let refused = pool.options().resource(name, amount).submit(|| (), ());
                    assert!(matches!(refused, Err(PoolError::Resource { .. })), "{refused:?}");
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn what_waits_for_a_resource_can_be_cancelled() -> Outcome {
                let pool = pool(2).resource("disk", 1);
                let with_disk = pool.options().resource("disk", 1);
                let (started, go) = (Event::new()?, Event::new()?);
                let held = with_disk.submit(hold, (started.clone(), go.clone()))?;
                assert!(started.wait(Some(LONG))?);
                let waits = with_disk.submit(square, (1,))?;
                let next = with_disk.submit(square, (2,))?;
                assert!(waits.cancel());
                go.set();
                assert_eq!(next.result()?, 4);
                assert_eq!(held.result()?, Ok(1));
                assert!(matches!(waits.result(), Err(TaskError::Cancelled { .. })));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn what_waits_behind_a_long_task_goes_to_others() -> Outcome {
                let pool = pool(2);
                // So that batches are large.
                assert_eq!(pool.map(square, 0..2000).count(), 2000);
                let (started, go) = (Event::new()?, Event::new()?);
                let inputs = (0..40).map(|n| (n, started.clone(), go.clone()));
                let mut found = Vec::new();
                for result in pool.map_unordered(hold_one, inputs) {
                    found.push(result?.map_err(|e| e.to_string())?);
                    if found.len() == 39 {
                        assert!(!found.contains(&0));
                        go.set();
                    }
                }
                found.sort_unstable();
                assert_eq!(found, (0..40).collect::<Vec<_>>());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_map_that_is_dropped_stops() -> Outcome {
                let pool = pool(1);
                let list = List::new()?;
                let inputs = (0..u32::MAX).map(|n| (list.clone(), n));
                let append = |(list, n): (List<u32>, u32)| append(list, n).is_ok();
                assert!(pool.map(append, inputs).take(3).all(|result| matches!(result, Ok(true))));
                // What runs ends; what comes after it is first.
                assert_eq!(pool.submit(square, (3,))?.result()?, 9);
                let count = list.len();
                assert!(count >= 3);
                assert_eq!(pool.submit(square, (4,))?.result()?, 16);
                assert_eq!(list.len(), count);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn inputs_that_panic_panic_in_the_caller() -> Outcome {
                let pool = pool(2);
                let inputs = || (0..10).inspect(|n| assert!(*n != 5, "no more inputs"));
                let found = std::panic::catch_unwind(|| pool.map(square, inputs()).count());
                assert!(found.is_err());
                assert_eq!(pool.map(square, 0..3).sum::<Result<u64, _>>()?, 5);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_pool_that_is_dropped_has_done_all() -> Outcome {
                let list = List::new()?;
                {
                    let pool = pool(2);
                    for n in 0..20 {
                        drop(pool.submit(append, (list.clone(), n))?);
                    }
                }
                assert_eq!(list.len(), 20);
                let other = pool(2);
                drop(other.submit(append, (list.clone(), 20))?);
                other.join()?;
                assert_eq!(list.len(), 21);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_pool_that_is_terminated_has_no_results() -> Outcome {
                let pool = pool(1);
                let started = Event::new()?;
                let runs = pool.submit(work_long, (started.clone(),))?;
                let waits = pool.submit(square, (1,))?;
                assert!(started.wait(Some(LONG))?);
                pool.terminate();
                assert!(matches!(waits.result(), Err(TaskError::Terminated { .. })));
                let runs = runs.result();
                let stopped = |e: &TaskError| {
                    matches!(e, TaskError::Terminated { .. } | TaskError::Cancelled { .. })
                };
                assert!(runs.as_ref().is_err_and(stopped), "{runs:?}");
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_closed_pool_takes_nothing_and_ends_what_it_has() -> Outcome {
                let pool = pool(2);
                let task = pool.submit(square, (5,))?;
                pool.close();
                let refused = pool.submit(square, (5,));
                assert!(matches!(refused, Err(PoolError::Closed { .. })), "{refused:?}");
                let found: Vec<_> = pool.map(square, 0..5).collect();
                assert!(matches!(
                    &found[..],
                    [Err(TaskError::Pool(PoolError::Closed { .. }))]
                ));
                assert_eq!(task.result()?, 25);
                let never = super::$kind::pool(2);
                never.close();
                assert!(matches!(never.start(), Err(PoolError::Closed { .. })));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn what_is_not_possible_is_refused() -> Outcome {
                let refused = [
                    pool(0),
                    pool(usize::MAX),
                    pool(1).tasks_per_worker(0),
                    pool(1).soft_memory_limit(0),
                    pool(1).time_limit(Duration::ZERO),
                    pool(1).memory_limit(0),
                    pool(1).resource("disk", 0),
                    pool(1).resource("disk", 1).resource("disk", 2),
                ];
                for pool in refused {
                    let refused = pool.start();
                    assert!(matches!(refused, Err(PoolError::Setting { .. })), "{pool:?}");
                    let refused = pool.submit(square, (1,));
                    assert!(matches!(refused, Err(PoolError::Setting { .. })), "{refused:?}");
                }
                let pool = pool(1).named("ana");
                pool.start()?;
                let refused = pool.options().time_limit(Duration::ZERO).submit(square, (1,));
                assert!(matches!(refused, Err(PoolError::Setting { .. })), "{refused:?}");
                let text = refused.unwrap_err().to_string();
                assert!(text.starts_with("ana cannot start: the time limit"), "{text}");
                assert_eq!(pool.name(), "ana");
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn an_interrupt_ends_a_wait_and_the_task_goes_on() -> Outcome {
                let (started, go) = (Event::new()?, Event::new()?);
                let asks = |started: Event, go: Event| -> Result<bool, Failure> {
                    let pool = pool(1);
                    let held = pool.submit(hold, (started, go.clone()))?;
                    let waited = held.result_timeout(LONG);
                    let interrupted = matches!(waited, Err(TaskError::Interrupted(_)));
                    go.set();
                    Ok(interrupted && held.result()? == Ok(1))
                };
                let task = Thread::spawn(asks, (started.clone(), go))?;
                assert!(started.wait(Some(LONG))?);
                task.interrupt()?;
                assert!(task.result(None)??);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_task_has_a_pool_of_its_own() -> Outcome {
                let outer = pool(2);
                let inner = |n: u64| -> Result<u64, Failure> {
                    let pool = pool(2);
                    Ok(pool.map(square, 0..n).sum::<Result<u64, _>>()?)
                };
                let found = outer.map(inner, 0..6).collect::<Result<Vec<_>, _>>()?;
                for (n, sum) in found.into_iter().enumerate() {
                    assert_eq!(sum?, (0..n as u64).map(square).sum::<u64>());
                }
                Ok(())
            }
        }
    )*};
}

suite!(threads, processes);

#[tarefa::test(timeout = 60)]
fn what_cannot_be_sent_fails_by_itself() -> Outcome {
    let pool = Pool::processes(2);
    let refused = pool.submit(|n: Even| n.0, (Even(3),));
    match refused {
        Err(PoolError::Arguments { source, .. }) => {
            assert!(source.to_string().contains("it is odd"), "{source}");
        }
        other => panic!("{other:?}"),
    }
    let found: Vec<_> = pool.map(|n: Even| n.0, (0..40).map(Even)).collect();
    assert_eq!(found.len(), 40);
    for (n, result) in found.into_iter().enumerate() {
        match result {
            Ok(value) => assert!(value as usize == n && n % 2 == 0),
            Err(TaskError::Pool(PoolError::Arguments { .. })) => assert!(n % 2 == 1),
            Err(other) => panic!("{other:?}"),
        }
    }
    let found: Vec<_> = pool.map(|n: u32| Even(n), 0..10).collect();
    for (n, result) in found.into_iter().enumerate() {
        match result {
            Ok(value) => assert!(value.0 as usize == n && n % 2 == 0),
            Err(TaskError::Unsent { message, .. }) => {
                assert!(n % 2 == 1 && message.contains("it is odd"), "{message}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn threads_have_no_memory_limit() {
    let refused = Pool::threads(1).memory_limit(1 << 30).start();
    assert!(matches!(refused, Err(PoolError::Setting { .. })), "{refused:?}");
}
