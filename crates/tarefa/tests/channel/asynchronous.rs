//! Channels in tasks of an executor, by what their documentation says.
#![allow(missing_docs)]

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tarefa::{
    Event, Failure, Plain, PlainReceiver, PlainSender, Process, Receiver, RecvError, SendError,
    Sender, channel, plain_channel,
};
use tarefa_engine::atomic::{AtomicBool, Ordering};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

type Outcome = Result<(), Box<dyn Error>>;

fn threads(n: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(n).enable_time().build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Polls a future once.
fn once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn square(numbers: Receiver<u64>, squares: Sender<(u64, u64)>) -> Result<(), Failure> {
    for n in &numbers {
        let n = n?;
        squares.send((n, n * n))?;
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn tasks_and_a_process_work_until_the_last_sender_is_gone() -> Outcome {
    let (numbers, to_do) = channel(3)?;
    let (done, results) = channel(2)?;
    let process = Process::spawn(square, (to_do, done))?;
    threads(2).block_on(async {
        let mut senders = Vec::new();
        for part in 0..4u64 {
            let numbers = numbers.clone();
            senders.push(tokio::spawn(async move {
                for n in 0..50 {
                    numbers.send_async(part * 50 + n).await.unwrap();
                }
            }));
        }
        drop(numbers);
        let mut all = Vec::new();
        loop {
            match results.recv_async().await {
                Ok(pair) => all.push(pair),
                Err(RecvError::Disconnected) => break,
                Err(e) => panic!("{e}"),
            }
        }
        for sender in senders {
            sender.await.unwrap();
        }
        all.sort_unstable();
        assert_eq!(all, (0..200).map(|n| (n, n * n)).collect::<Vec<_>>());
    });
    process.result(None)??;
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn each_of_many_tasks_that_wait_gets_one() -> Outcome {
    let (tx, rx) = channel::<u32>(0)?;
    threads(2).block_on(async {
        let tasks: Vec<_> = (0..60)
            .map(|_| {
                let rx = rx.clone();
                tokio::spawn(async move { rx.recv_async().await.unwrap() })
            })
            .collect();
        for n in 0..60 {
            tx.send(n).unwrap();
        }
        let mut got = Vec::new();
        for task in tasks {
            got.push(task.await.unwrap());
        }
        got.sort_unstable();
        assert_eq!(got, (0..60).collect::<Vec<_>>());
    });
    Ok(())
}

fn count_up(numbers: Sender<u64>, count: u64) -> Result<(), Failure> {
    for n in 0..count {
        numbers.send(n)?;
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_receiver_that_is_cancelled_loses_nothing() -> Outcome {
    const COUNT: u64 = 3000;
    let (tx, rx) = channel(1)?;
    let process = Process::spawn(count_up, (tx, COUNT))?;
    let (all, cancelled) = one_thread().block_on(async {
        let (mut all, mut cancelled) = (Vec::new(), 0u64);
        loop {
            // Dropped after so many looks, with or without its turn.
            let looks = cancelled % 4;
            let mut left = looks;
            let received = {
                let mut receiving = pin!(rx.recv_async());
                std::future::poll_fn(|context| match receiving.as_mut().poll(context) {
                    Poll::Ready(received) => Poll::Ready(Some(received)),
                    Poll::Pending if left == 0 => Poll::Ready(None),
                    Poll::Pending => {
                        left -= 1;
                        if left == 0 {
                            context.waker().wake_by_ref();
                        }
                        Poll::Pending
                    }
                })
                .await
            };
            match received {
                Some(Ok(n)) => all.push(n),
                Some(Err(RecvError::Disconnected)) => return (all, cancelled),
                Some(Err(e)) => panic!("{e}"),
                None => cancelled += 1,
            }
            if all.len() % 16 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
    assert!(cancelled > 0);
    process.result(None)??;
    Ok(())
}

fn receive_all(numbers: Receiver<u64>) -> Result<Vec<u64>, Failure> {
    Ok(numbers.iter().collect::<Result<_, _>>()?)
}

#[tarefa::test(timeout = 60)]
fn what_a_cancelled_sender_did_not_send_does_not_come() -> Outcome {
    let (tx, rx) = channel(1)?;
    let process = Process::spawn(receive_all, (rx,))?;
    let sent = one_thread().block_on(async {
        let mut sent = Vec::new();
        for n in 0..400u64 {
            let limit = Duration::from_micros(n % 3 * 40);
            if let Ok(done) = timeout(limit, tx.send_async(n)).await {
                done.unwrap();
                sent.push(n);
            }
        }
        sent
    });
    drop(tx);
    assert!(!sent.is_empty());
    assert_eq!(process.result(None)??, sent);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn one_that_had_its_turn_and_is_dropped_leaves_it_to_the_next() -> Outcome {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (tx, rx) = channel::<u8>(0)?;
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut first = Box::pin(rx.recv_async());
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let receiver = rx.clone();
    let mut second = Box::pin(async move { receiver.recv_async().await.unwrap() });
    assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    tx.send(7)?;
    while !woken.0.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    drop(first);
    assert_eq!(one_thread().block_on(second), 7);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn runtimes_come_and_go_beside_each_other() -> Outcome {
    let (tx, rx) = channel::<u32>(0)?;
    let (went, other) = (one_thread(), threads(1));
    // Waits in a runtime that ends.
    went.block_on(async {
        let rx = rx.clone();
        let waits = tokio::spawn(async move { rx.recv_async().await });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
    });
    drop(went);
    let theirs = rx.clone();
    let waits = other.spawn(async move { theirs.recv_async().await.unwrap() });
    tx.send(1)?;
    assert_eq!(other.block_on(waits)?, 1);
    tx.send(2)?;
    assert_eq!(one_thread().block_on(rx.recv_async())?, 2);
    // An executor that is none of tokio's.
    tx.send(3)?;
    assert!(matches!(once(rx.recv_async()), Poll::Ready(Ok(3))));
    assert!(once(rx.recv_async()).is_pending());
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn who_sends_to_nobody_gets_the_value_back() -> Outcome {
    let (tx, rx) = channel::<String>(1)?;
    tx.send("lost".into())?;
    let waits = tx.clone();
    let runtime = threads(1);
    let task = runtime.spawn(async move { waits.send_async("kept".into()).await });
    // Whether it waits by then or not.
    drop(rx);
    match runtime.block_on(task)? {
        Err(e @ SendError::Disconnected(_)) => assert_eq!(e.into_inner(), "kept"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn hold(tx: Sender<u32>, ready: Event) -> Result<(), Failure> {
    ready.set();
    tarefa::sleep(Duration::from_secs(600))?;
    drop(tx);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn the_death_of_the_last_sender_is_heard() -> Outcome {
    let (tx, rx) = channel::<u32>(1)?;
    let ready = Event::new()?;
    let process = Process::spawn(hold, (tx, ready.clone()))?;
    assert!(ready.wait(None)?);
    let runtime = threads(1);
    let task = runtime.spawn(async move { rx.recv_async().await });
    process.kill()?;
    assert!(runtime.block_on(task)?.is_err_and(|e| e.is_disconnected()));
    process.join(None)?;
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn who_waits_for_more_room_and_gives_up_keeps_nobody() -> Outcome {
    let (tx, rx) = channel::<Vec<u8>>(1)?;
    tx.send(vec![1])?;
    let mut large = Box::pin(tx.send_async(vec![2; 1 << 20]));
    assert!(large.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let small = tx.clone();
    let runtime = threads(1);
    let task = runtime.spawn(async move { small.send_async(vec![3]).await.is_ok() });
    drop(large);
    assert_eq!(rx.recv()?, [1]);
    assert!(runtime.block_on(task)?);
    assert_eq!(rx.recv()?, [3]);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_task_that_never_waits_lets_others_have_their_turn() -> Outcome {
    let (tx, rx) = channel::<u32>(0)?;
    for n in 0..1000 {
        tx.send(n)?;
    }
    drop(tx);
    one_thread().block_on(async {
        let ran = Arc::new(AtomicBool::new(false));
        let seen = ran.clone();
        let all = tokio::spawn(async move {
            while rx.recv_async().await.is_ok() {}
            seen.load(Ordering::Relaxed)
        });
        let other = tokio::spawn(async move { ran.store(true, Ordering::Relaxed) });
        assert!(all.await.unwrap());
        other.await.unwrap();
    });
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Point {
    x: f64,
    n: i32,
}

fn double(points: PlainReceiver<Point>, doubled: PlainSender<Point>) -> Result<(), Failure> {
    for some in points.iter() {
        let some: Vec<_> = some?.into_iter().map(|p| Point { n: 2 * p.n, ..p }).collect();
        doubled.send(&some)?;
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn plain_data_goes_the_same_way() -> Outcome {
    let (points, to_double) = plain_channel(1)?;
    let (doubled, results) = plain_channel(1)?;
    let process = Process::spawn(double, (to_double, doubled))?;
    one_thread().block_on(async {
        for n in 0..20 {
            points.send_async(&[Point { x: 0.5, n }; 3]).await.unwrap();
            assert_eq!(results.recv_async().await.unwrap(), [Point { x: 0.5, n: 2 * n }; 3]);
        }
        drop(points);
        assert!(results.recv_async().await.is_err_and(|e| e.is_disconnected()));
    });
    process.result(None)??;
    Ok(())
}

#[test]
fn waits_go_to_any_thread() {
    fn goes<F: Send>(_: &F) {}
    let (tx, rx) = channel::<Vec<String>>(0).unwrap();
    goes(&tx.send_async(Vec::new()));
    goes(&rx.recv_async());
    let (tx, rx) = plain_channel::<u8>(0).unwrap();
    goes(&tx.send_async(&[]));
    goes(&rx.recv_async());
}
