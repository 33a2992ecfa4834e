//! Channels, by what their documentation says, over threads and processes;
//! `tests/python/channel/test_rust_channel.py` does it between the languages.
#![allow(missing_docs)]

use std::error::Error;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use tarefa::{
    ChannelError, Event, Failure, List, Plain, PlainReceiver, PlainSender, Process, Receiver,
    RecvError, RecvTimeoutError, SelectError, Selectable, SendError, SendTimeoutError, Sender,
    Task, Thread, TryRecvError, TrySendError, address, attach, channel, plain_channel, select,
};

type Outcome = Result<(), Box<dyn Error>>;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(50);

fn squares(numbers: Receiver<u64>, results: Sender<(u64, u64)>) -> Result<u64, Failure> {
    let mut count = 0;
    for n in &numbers {
        let n = n?;
        results.send((n, n * n))?;
        count += 1;
    }
    Ok(count)
}

#[tarefa::test(timeout = 60)]
fn tasks_of_both_kinds_work_until_the_last_sender_is_gone() -> Outcome {
    let (numbers, to_do) = channel(7)?;
    let (done, results) = channel(0)?;
    let thread = Thread::spawn(squares, (to_do.clone(), done.clone()))?;
    let process = Process::spawn(squares, (to_do, done))?;
    let also = numbers.clone();
    for n in 0..100 {
        numbers.send(n)?;
        also.send(n + 100)?;
    }
    drop((numbers, also));
    let mut all = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    assert_eq!(all, (0..200).map(|n| (n, n * n)).collect::<Vec<_>>());
    assert_eq!(thread.result(None)?? + process.result(None)??, 200);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn values_come_out_as_they_went_in() -> Outcome {
    let (tx, rx) = channel(0)?;
    let list = List::from_values([1u8])?;
    tx.send((i128::MIN, "texto é".to_owned(), vec![1u8, 2], Some(list.clone()), [0.5f32; 3]))?;
    let (n, text, bytes, found, floats) = rx.recv()?;
    assert_eq!((n, text.as_str(), bytes, floats), (i128::MIN, "texto é", vec![1, 2], [0.5; 3]));
    assert!(found == Some(list));
    let (tx, rx) = channel::<Vec<u8>>(0)?;
    tx.send(vec![7; 3 << 20])?;
    assert_eq!(rx.recv()?, vec![7; 3 << 20]);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_bound_is_kept_and_what_does_not_fit_comes_back() -> Outcome {
    let (tx, rx) = channel::<String>(2)?;
    assert_eq!((tx.capacity(), rx.capacity(), tx.is_empty()), (Some(2), Some(2), true));
    tx.send("um".into())?;
    tx.try_send("dois".into())?;
    assert!(tx.is_full() && rx.is_full() && rx.len() == 2);
    match tx.try_send("três".into()) {
        Err(TrySendError::Full(value)) => assert_eq!(value, "três"),
        other => panic!("{other:?}"),
    }
    match tx.send_timeout("três".into(), SHORT) {
        Err(e @ SendTimeoutError::Timeout(_)) => assert_eq!(e.into_inner(), "três"),
        other => panic!("{other:?}"),
    }
    let waits = Thread::spawn(|tx: Sender<String>| tx.send("três".into()).is_ok(), (tx.clone(),))?;
    assert_eq!(rx.recv()?, "um");
    assert!(waits.result(None)?);
    drop((tx, waits));
    assert_eq!(rx.try_iter().collect::<Result<Vec<_>, _>>()?, ["dois", "três"]);
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Disconnected)));
    assert_eq!(channel::<u8>(0)?.0.capacity(), None);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn an_empty_one_says_so_at_once_or_in_time() -> Outcome {
    let (tx, rx) = channel::<u8>(0)?;
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
    assert!(matches!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout)));
    tx.send(1)?;
    tx.send(2)?;
    let both = rx.recv_many(9)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(both, [1, 2]);
    drop(tx);
    assert!(matches!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected)));
    assert!(matches!(rx.recv_many(1), Err(RecvError::Disconnected)));
    assert!(rx.recv().unwrap_err().is_disconnected());
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn who_sends_to_nobody_gets_the_value_back() -> Outcome {
    let (tx, rx) = channel::<String>(1)?;
    tx.send("lost".into())?;
    let waits = Thread::spawn(
        |tx: Sender<String>| tx.send("kept".into()).map_err(SendError::into_inner),
        (tx.clone(),),
    )?;
    std::thread::sleep(SHORT);
    drop(rx);
    assert_eq!(waits.result(None)?, Err("kept".to_owned()));
    let error = tx.send("again".into()).unwrap_err();
    assert!(error.is_disconnected() && error.to_string().contains("nobody receives"));
    assert_eq!(error.into_inner(), "again");
    assert!(matches!(tx.try_send(String::new()), Err(TrySendError::Disconnected(_))));
    let late = tx.send_timeout(String::new(), SHORT);
    assert!(matches!(late, Err(SendTimeoutError::Disconnected(_))));
    Ok(())
}

fn hold<T>(side: T, ready: Event) -> Result<(), Failure> {
    ready.set();
    tarefa::sleep(Duration::from_secs(600))?;
    drop(side);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn the_death_of_the_last_holder_is_seen_by_the_other_side() -> Outcome {
    let (tx, rx) = channel::<u32>(1)?;
    tx.send(1)?;
    let ready = Event::new()?;
    let task = Process::spawn(hold::<Sender<u32>>, (tx, ready.clone()))?;
    assert!(ready.wait(None)?);
    assert_eq!(rx.recv()?, 1);
    let killer = std::thread::spawn(move || {
        std::thread::sleep(SHORT);
        task.kill().unwrap();
        task
    });
    assert!(matches!(rx.recv(), Err(RecvError::Disconnected)));
    killer.join().unwrap().join(None)?;

    let (tx, rx) = channel::<u32>(1)?;
    ready.clear();
    let task = Process::spawn(hold::<Receiver<u32>>, (rx, ready.clone()))?;
    assert!(ready.wait(None)?);
    tx.send(1)?;
    let killer = std::thread::spawn(move || {
        std::thread::sleep(SHORT);
        task.kill().unwrap();
        task
    });
    assert!(matches!(tx.send(2), Err(SendError::Disconnected(2))));
    killer.join().unwrap().join(None)?;
    Ok(())
}

fn reply(requests: Receiver<(u64, Sender<u64>)>) -> Result<(), Failure> {
    for request in requests {
        let (n, to) = request?;
        to.send(n + 1)?;
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn sides_travel_in_messages() -> Outcome {
    let (requests, served) = channel(0)?;
    let task = Process::spawn(reply, (served,))?;
    for n in 0..5 {
        let (to, answer) = channel(1)?;
        requests.send((n, to))?;
        assert_eq!(answer.recv()?, n + 1);
        // The one that travelled is gone with its message.
        assert!(answer.recv().is_err_and(|e| e.is_disconnected()));
    }
    drop(requests);
    task.result(None)??;
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_side_does_not_travel_through_its_own_channel() -> Outcome {
    #[derive(serde::Serialize, serde::Deserialize, Debug)]
    struct Itself(Option<Sender<Itself>>, Option<Receiver<Itself>>);
    let (tx, rx) = channel(0)?;
    for own in [Itself(Some(tx.clone()), None), Itself(None, Some(rx.clone()))] {
        let refused = tx.send(own);
        assert!(matches!(refused, Err(SendError::Failed(_, ChannelError::Itself))));
    }
    let (other, _keeps) = channel(0)?;
    tx.send(Itself(Some(other), None))?;
    assert!(rx.recv()?.0.is_some_and(|found| !found.same_channel(&tx)));
    Ok(())
}

fn wait_to_receive(rx: Receiver<u8>, ready: Event) -> bool {
    ready.set();
    matches!(rx.recv(), Err(RecvError::Failed(ChannelError::Interrupted(_))))
}

fn wait_to_send(tx: Sender<u8>, ready: Event) -> bool {
    ready.set();
    matches!(tx.send(2), Err(SendError::Failed(2, ChannelError::Interrupted(_))))
}

#[tarefa::test(timeout = 60)]
fn an_interrupt_ends_a_wait_on_either_side() -> Outcome {
    let (tx, rx) = channel(1)?;
    for full in [false, true] {
        if full {
            tx.send(1)?;
        }
        let ready = Event::new()?;
        let (tx, rx) = (tx.clone(), rx.clone());
        let thread: Box<dyn Fn() -> Result<bool, Box<dyn Error>>> = if full {
            let task = Thread::spawn(wait_to_send, (tx.clone(), ready.clone()))?;
            Box::new(move || {
                task.interrupt()?;
                Ok(task.result(None)?)
            })
        } else {
            let task = Thread::spawn(wait_to_receive, (rx.clone(), ready.clone()))?;
            Box::new(move || {
                task.interrupt()?;
                Ok(task.result(None)?)
            })
        };
        ready.wait(None)?;
        std::thread::sleep(SHORT);
        assert!(thread()?);
        ready.clear();
        if full {
            let task = Process::spawn(wait_to_send, (tx, ready.clone()))?;
            ready.wait(None)?;
            std::thread::sleep(SHORT);
            task.interrupt()?;
            assert!(task.result(None)?);
        } else {
            let task = Process::spawn(wait_to_receive, (rx, ready.clone()))?;
            ready.wait(None)?;
            std::thread::sleep(SHORT);
            task.interrupt()?;
            assert!(task.result(None)?);
        }
    }
    Ok(())
}

#[test]
fn what_is_of_another_type_is_told_and_the_next_comes() -> Outcome {
    let (tx, rx) = channel::<String>(0)?;
    let numbers: Sender<Vec<i64>> = attach(&address(&tx))?;
    tx.send("um".into())?;
    numbers.send(vec![2])?;
    tx.send("três".into())?;
    assert_eq!(rx.recv()?, "um");
    let wrong = rx.recv().unwrap_err();
    let told = format!("put in by the program (pid {}), cannot be read", std::process::id());
    assert!(wrong.to_string().contains(&told), "{wrong}");
    assert_eq!(rx.recv()?, "três");
    let wrong = attach::<Sender<u8>>(&address(&Event::new()?)).unwrap_err().to_string();
    assert!(wrong.contains("a handle of the event was given"), "{wrong}");
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Point {
    x: f64,
    color: u8,
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
fn plain_data_goes_as_it_is() -> Outcome {
    let (points, to_double) = plain_channel(3)?;
    let (doubled, results) = plain_channel(0)?;
    let task = Process::spawn(double, (to_double, doubled))?;
    let point = Point { x: 0.5, color: 200, n: -4 };
    points.send(&[point; 1000])?;
    points.send(&[])?;
    points.send(std::slice::from_ref(&point))?;
    assert_eq!(results.recv()?, [Point { n: -8, ..point }; 1000]);
    assert_eq!(results.recv()?, []);
    assert_eq!(results.recv_timeout(LONG)?.len(), 1);
    assert!(matches!(results.try_recv(), Err(TryRecvError::Empty)));
    drop(points);
    assert!(results.recv().unwrap_err().is_disconnected());
    task.result(None)??;
    // They are bytes for whoever asks for those, and what fits no item is told.
    let (bytes, received) = channel::<Vec<u8>>(0)?;
    let numbers: PlainReceiver<u32> = attach(&address(&received))?;
    bytes.send(7u32.to_ne_bytes().to_vec())?;
    bytes.send(vec![1, 2, 3])?;
    assert_eq!(numbers.recv()?, [7]);
    let wrong = numbers.recv().unwrap_err().to_string();
    assert!(wrong.contains("3 bytes"), "{wrong}");
    Ok(())
}

#[test]
fn errors_go_anywhere() {
    fn shared<T: Send + Sync + 'static>() {}
    fn anywhere<E: Error + Send + Sync + 'static>() {}
    anywhere::<SendError<String>>();
    anywhere::<TrySendError<Vec<u8>>>();
    anywhere::<SendTimeoutError<Sender<u8>>>();
    anywhere::<RecvError>();
    anywhere::<TryRecvError>();
    anywhere::<RecvTimeoutError>();
    anywhere::<SelectError>();
    shared::<Sender<std::rc::Rc<u8>>>();
    shared::<Receiver<std::cell::Cell<u8>>>();
    let full = TrySendError::Full(std::rc::Rc::new(1));
    assert_eq!(format!("{full:?}"), "Full(..)");
}

fn send_later(tx: Sender<u8>, go: Event) -> Result<(), Failure> {
    go.wait(None)?;
    tx.send(1)?;
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn select_waits_for_the_first_of_several() -> Outcome {
    let (tx, rx) = channel::<u8>(0)?;
    let (_keeps, idle) = plain_channel::<u8>(0)?;
    let go = Event::new()?;
    let (mine, theirs) = UnixStream::pair()?;
    let descriptor = theirs.as_fd();
    assert_eq!(select(&[&rx, &idle, &go, &descriptor], Some(SHORT))?, [0usize; 0]);
    let task = Process::spawn(send_later, (tx.clone(), go.clone()))?;
    let waker = go.clone();
    let timer = std::thread::spawn(move || {
        std::thread::sleep(SHORT);
        waker.set();
    });
    assert_eq!(select(&[&idle, &rx, &descriptor], None)?, [1]);
    assert_eq!(rx.recv()?, 1);
    timer.join().unwrap();
    assert_eq!(select(&[&idle, &go as &dyn Selectable], None)?, [1]);
    assert_eq!(select(&[&idle, &task], None)?, [1]);
    task.result(None)??;
    drop(mine);
    assert_eq!(select(&[&idle, &descriptor], None)?, [1]);
    drop(tx);
    assert_eq!(select(&[&idle, &rx], None)?, [1]);
    let new: Box<dyn Task> = Box::new(Thread::new(|| 1u8, ()));
    assert!(matches!(select(&[&new], None), Err(SelectError::NotStarted(0))));
    assert!(matches!(select(&[], None), Err(SelectError::Nothing)));
    Ok(())
}

fn receive_later(rx: Receiver<u8>, go: Event) -> Result<u8, Failure> {
    go.wait(None)?;
    Ok(rx.recv()?)
}

#[tarefa::test(timeout = 60)]
fn select_waits_for_room_too() -> Outcome {
    let (tx, rx) = channel::<u8>(1)?;
    let (bytes, received) = plain_channel::<u8>(1)?;
    assert_eq!(select(&[&tx], None)?, [0]);
    tx.send(1)?;
    bytes.send(&[1])?;
    assert_eq!(select(&[&tx, &bytes], Some(SHORT))?, [0usize; 0]);
    let go = Event::new()?;
    let task = Process::spawn(receive_later, (rx.clone(), go.clone()))?;
    let waker = std::thread::spawn(move || {
        std::thread::sleep(SHORT);
        go.set();
    });
    assert_eq!(select(&[&bytes, &tx as &dyn Selectable], None)?, [1]);
    assert_eq!(task.result(None)??, 1);
    waker.join().unwrap();
    // What nobody receives any more need not be waited for.
    tx.send(2)?;
    drop(rx);
    assert_eq!(select(&[&bytes, &tx as &dyn Selectable], None)?, [1]);
    drop(received);
    assert_eq!(select(&[&bytes], None)?, [0]);
    Ok(())
}

/// Takes in every way, once all memory is in use.
fn take_all(values: Receiver<Vec<u8>>, bytes: PlainReceiver<u8>, go: Event) -> Result<(), Failure> {
    go.wait(Some(LONG))?;
    values.try_recv()?;
    values.recv()?;
    values.recv_timeout(LONG)?;
    assert_eq!(select(&[&values], Some(LONG))?.len(), 1);
    assert_eq!(values.recv_many(3)?.len(), 3);
    assert_eq!(values.try_iter().take(3).count(), 3);
    bytes.try_recv()?;
    Ok(())
}

/// Run by the next one, in little memory.
#[test]
#[ignore = "the next test runs it"]
fn takes_at_full_memory() -> Outcome {
    let go = Event::new()?;
    let (tx, rx) = channel(0)?;
    let (bytes, received) = plain_channel(0)?;
    let thread = Thread::spawn(take_all, (rx.clone(), received.clone(), go.clone()))?;
    let process = Process::spawn(take_all, (rx, received, go.clone()))?;
    (0..20).try_for_each(|_| tx.send(vec![7; 100]))?;
    (0..2).try_for_each(|_| bytes.send(&[7; 100]))?;
    let rest = List::<Vec<u8>>::new()?;
    for log in (0..=20).rev() {
        while rest.append(vec![0; 1 << log]).is_ok() {}
    }
    assert!(matches!(tx.send(vec![7; 5000]), Err(SendError::Failed(..))));
    go.set();
    thread.result(Some(LONG))??;
    process.result(Some(LONG))??;
    Ok(())
}

#[test]
fn receiving_needs_no_memory() {
    let mut program = Command::new(std::env::current_exe().expect("a path"));
    program.args(["--exact", "takes_at_full_memory", "--ignored", "--nocapture"]);
    let output = program.env("TAREFA_ARENA_MAX", "16M").output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
}
