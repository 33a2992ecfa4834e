//! Shared slices, by what their documentation says.
#![allow(missing_docs)]

use std::error::Error;
use std::time::Duration;

use tarefa::{
    Array, Event, Failure, ItemError, List, Plain, Process, Receiver, SharedSlice, address, attach,
    channel,
};
use tarefa_engine::shm::{Runtime, heap};

type Outcome = Result<(), Box<dyn Error>>;

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Point {
    x: f64,
    color: Color,
    n: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(u8)]
enum Color {
    Red = 1,
    Blue = 2,
}

/// Bytes of shared memory in use.
fn in_use() -> u64 {
    heap::in_use(&Runtime::default().unwrap().me())
}

/// Waits until about as much is in use as `before`: what the dead have had comes back a moment later.
fn comes_back_to(before: u64) {
    while in_use() > before + (1 << 20) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn sum(parts: Receiver<(usize, SharedSlice<u64>)>) -> Result<u64, Failure> {
    let mut sum = 0;
    for part in parts {
        let (from, numbers) = part?;
        sum += numbers[from..from + 10].iter().sum::<u64>();
    }
    Ok(sum)
}

#[tarefa::test(timeout = 60)]
fn numbers_are_looked_at_where_they_lie() -> Outcome {
    let numbers = SharedSlice::from_fn(100, |i| i as u64)?;
    assert_eq!((numbers.len(), numbers[99], numbers.first()), (100, 99, Some(&0)));
    let (tx, rx) = channel(0)?;
    let task = Process::spawn(sum, (rx,))?;
    for from in (0..100).step_by(10) {
        tx.send((from, numbers.clone()))?;
    }
    drop(tx);
    assert_eq!(task.result(None)??, 4950);
    assert_eq!(format!("{:?}", SharedSlice::from_slice(&[1.5f32, -2.0])?), "[1.5, -2.0]");
    let rows = SharedSlice::from_slice(&[[1u8, 2, 3], [4, 5, 6]])?;
    assert_eq!(rows[1], [4, 5, 6]);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn what_is_plain_is_copied_out() -> Outcome {
    let point = |n: i32| Point { x: f64::from(n) / 2.0, color: Color::Blue, n };
    let points = SharedSlice::from_fn(5000, |i| point(i as i32))?;
    let task = Process::spawn(
        |points: SharedSlice<Point>| (points.len(), points.read(4999).unwrap().n),
        (points.clone(),),
    )?;
    assert_eq!(task.result(None)?, (5000, 4999));
    assert_eq!(points.read_all()?, (0..5000).map(point).collect::<Vec<_>>());
    assert_eq!(points.read(5000), Err(ItemError::OutOfRange { index: 5000, len: 5000 }));
    // Of the same look, and written as another type.
    let raw = SharedSlice::from_slice(&[1u8, 7])?;
    let colors: SharedSlice<Color> = attach(&address(&raw))?;
    assert_eq!(colors.read(0)?, Color::Red);
    assert!(matches!(colors.read_all(), Err(ItemError::Invalid { index: 1, .. })));
    assert_eq!(format!("{:?}", SharedSlice::<Point>::from_slice(&[])?), "[]");
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn it_is_one_slice_wherever_it_goes() -> Outcome {
    let slice = SharedSlice::from_slice(&[1i32, 2])?;
    let list = List::from_values([slice.clone()])?;
    assert!(list.get(0)?.is_same(&slice));
    let back = Process::spawn(|slice: SharedSlice<i32>| slice, (slice.clone(),))?.result(None)?;
    assert!(back.is_same(&slice));
    let attached: SharedSlice<i32> = attach(&address(&slice))?;
    assert_eq!(attached[..], [1, 2]);
    assert!(!SharedSlice::from_slice(&[1i32, 2])?.is_same(&slice));
    // It is no array, which could be written to, and no slice of others.
    let refused = |text: String| assert!(text.contains("a handle of"), "{text}");
    refused(attach::<Array<i32>>(&address(&slice)).unwrap_err().to_string());
    refused(attach::<SharedSlice<u32>>(&address(&slice)).unwrap_err().to_string());
    let array = Array::from_values([1i32])?;
    refused(attach::<SharedSlice<i32>>(&address(&array)).unwrap_err().to_string());
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn only_a_sole_holder_changes_it() -> Outcome {
    let mut slice = SharedSlice::<f64>::zeroed(3)?;
    slice.get_mut().unwrap().copy_from_slice(&[1.0, 2.0, 3.0]);
    let other = slice.clone();
    assert!(slice.get_mut().is_none());
    drop(other);
    let (tx, rx) = channel(0)?;
    tx.send(slice.clone())?;
    assert!(slice.get_mut().is_none());
    drop(rx.recv()?);
    slice.get_mut().unwrap()[0] = 5.0;
    let ready = Event::new()?;
    let task = Process::spawn(hold, (slice.clone(), ready.clone()))?;
    assert!(ready.wait(None)?);
    assert!(slice.get_mut().is_none());
    task.kill()?;
    assert!(task.result(None).is_err());
    // The supervisor gives back what the dead had.
    while slice.get_mut().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(slice[..], [5.0, 2.0, 3.0]);
    Ok(())
}

fn hold(slice: SharedSlice<f64>, ready: Event) -> Result<(), Failure> {
    ready.set();
    tarefa::sleep(Duration::from_secs(600))?;
    drop(slice);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn its_memory_is_free_with_the_last_holder() -> Outcome {
    const LEN: usize = 1 << 20;
    let before = in_use();
    let slice = SharedSlice::<f64>::zeroed(LEN)?;
    // Other tests take and free a little meanwhile.
    assert!(in_use() >= before + 6 * LEN as u64);
    let (tx, rx) = channel(0)?;
    tx.send(slice.clone())?;
    drop(slice);
    assert!(in_use() >= before + 6 * LEN as u64);
    // A message that nobody has taken, and a holder that is killed.
    drop((tx, rx));
    comes_back_to(before);
    let ready = Event::new()?;
    let task = Process::spawn(hold, (SharedSlice::<f64>::zeroed(LEN)?, ready.clone()))?;
    assert!(ready.wait(None)?);
    task.kill()?;
    assert!(task.result(None).is_err());
    comes_back_to(before);
    Ok(())
}

fn pin_and_wait(numbers: SharedSlice<u64>, ready: Event) {
    let pinned = numbers.pin();
    drop(numbers);
    ready.set();
    std::thread::sleep(Duration::from_secs(50));
    assert!(!pinned.is_empty());
}

#[tarefa::test(timeout = 60)]
fn what_is_pinned_stays_where_it_is() -> Outcome {
    let before = in_use();
    let mut numbers = SharedSlice::from_fn(1 << 20, |i| i as u64)?;
    let (pinned, other) = (numbers.pin(), numbers.pin());
    assert_eq!((pinned.as_ptr().cast(), pinned.len()), (numbers.as_ptr(), 8 << 20));
    assert!(numbers.get_mut().is_none());
    drop((numbers, other));
    // What is made meanwhile lies elsewhere.
    drop(SharedSlice::from_fn(1 << 20, |_| 7_u64)?);
    // SAFETY: pinned, and nobody changes it.
    let bytes = unsafe { std::slice::from_raw_parts(pinned.as_ptr(), pinned.len()) };
    assert!(bytes.chunks_exact(8).zip(0_u64..).all(|(item, i)| item == i.to_ne_bytes()));
    drop(pinned);
    comes_back_to(before);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn what_a_killed_process_had_pinned_is_released() -> Outcome {
    let before = in_use();
    let numbers = SharedSlice::from_fn(1 << 20, |i| i as u64)?;
    let ready = Event::new()?;
    let task = Process::spawn(pin_and_wait, (numbers, ready.clone()))?;
    ready.wait(None)?;
    task.kill()?;
    assert!(task.result(None).is_err());
    drop(task);
    comes_back_to(before);
    Ok(())
}
