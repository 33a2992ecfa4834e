//! `Value<T>` and `Array<T>`: against `Vec` and std's atomics, with processes at them, and killed.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;
use tarefa::{
    Array, Event, Failure, Format, Integer, ItemError, List, LockError, Plain, Process, Thread,
    Value, sleep,
};

type Outcome = Result<(), Box<dyn Error>>;

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Point {
    x: i8,
    y: f64,
    color: Color,
    tags: [u16; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(u8)]
enum Color {
    Red = 1,
    Blue = 7,
}

/// Of one word, but no number.
#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Small {
    on: bool,
    level: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Pair {
    a: u16,
    b: u16,
}

fn point(n: i8) -> Point {
    let color = if n % 2 == 0 { Color::Red } else { Color::Blue };
    Point { x: n, y: f64::from(n) / 2.0, color, tags: [n.unsigned_abs().into(), 2, 3] }
}

/// The array's bytes as another program would write them.
fn as_bytes<T: Plain, const N: usize>(array: &Array<T>) -> Array<[u8; N]> {
    // What Python's `c_uint8 * N` is.
    let list = List::<Array<T>>::from_values([array.clone()]).unwrap();
    let wrong: Result<Vec<Array<[u8; N]>>, _> =
        reread(&list).map(|list: List<Array<[u8; N]>>| list.to_vec().unwrap());
    wrong.unwrap().remove(0)
}

fn reread<A, B>(list: &List<A>) -> Result<List<B>, serde_json::Error>
where
    A: serde::Serialize + serde::de::DeserializeOwned + 'static,
    B: serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    serde_json::from_str(&serde_json::to_string(list).unwrap())
}

fn atomics<T>(values: &[T]) -> Outcome
where
    T: Integer + PartialEq + Debug,
    Value<T>: Debug,
{
    let value = Value::new(values[0])?;
    assert_eq!(format!("{value:?}"), format!("Value({:?})", values[0]));
    for pair in values.windows(2) {
        assert_eq!(value.load()?, pair[0]);
        assert_eq!(value.compare_exchange(pair[1], pair[0]), Err(pair[0]));
        assert_eq!(value.compare_exchange(pair[0], pair[1]), Ok(pair[0]));
        assert_eq!(value.swap(pair[0]), pair[1]);
        assert_eq!(value.fetch_update(|_| None), Err(pair[0]));
        assert_eq!(value.fetch_update(|_| Some(pair[1])), Ok(pair[0]));
        value.store(pair[1])?;
        assert_eq!(value.update(|was| was)?, pair[1]);
    }
    Ok(())
}

#[test]
fn integers_of_all_sizes() -> Outcome {
    atomics(&[0i8, -1, i8::MAX, i8::MIN])?;
    atomics(&[0u8, 1, u8::MAX])?;
    atomics(&[0i16, i16::MAX, i16::MIN, -1])?;
    atomics(&[0u16, u16::MAX])?;
    atomics(&[0i32, i32::MAX, i32::MIN, -1])?;
    atomics(&[0u32, u32::MAX])?;
    atomics(&[0i64, i64::MAX, i64::MIN, -1])?;
    atomics(&[0u64, u64::MAX])?;
    atomics(&[0isize, isize::MIN])?;
    atomics(&[0usize, usize::MAX])?;
    Ok(())
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn sums_are_those_of_std(start: i16, numbers: Vec<i16>) {
        let value = Value::new(start).unwrap();
        let array = Array::from_values([start; 3]).unwrap();
        #[expect(clippy::disallowed_types, reason = "what the sums are held against")]
        let std = std::sync::atomic::AtomicI16::new(start);
        let order = std::sync::atomic::Ordering::SeqCst;
        for n in numbers {
            let was = std.load(order);
            let sum = was.checked_add(n);
            prop_assert_eq!(value.checked_add(n), sum);
            prop_assert_eq!(array.checked_add(1, n).unwrap(), sum);
            value.store(was).unwrap();
            array.set(1, was).unwrap();
            prop_assert_eq!(value.fetch_add(n), std.fetch_add(n, order));
            prop_assert_eq!(array.fetch_add(1, n).unwrap(), was);
            prop_assert_eq!(value.fetch_sub(3), std.fetch_sub(3, order));
            array.fetch_sub(1, 3).unwrap();
            prop_assert_eq!(value.load().unwrap(), std.load(order));
        }
        prop_assert_eq!(array.to_vec().unwrap(), [start, std.load(order), start]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn an_array_is_a_vec(first: Vec<u32>, steps: Vec<(usize, u32)>) {
        let array = Array::from_values(first.iter().copied()).unwrap();
        let mut model = first;
        for (index, n) in steps {
            let index = index % (model.len() + 2);
            let outside = ItemError::OutOfRange { index, len: model.len() };
            match model.get_mut(index) {
                None => {
                    prop_assert_eq!(array.get(index), Err(outside.clone()));
                    prop_assert_eq!(array.set(index, n), Err(outside.clone()));
                    prop_assert_eq!(array.swap(index, n), Err(outside.clone()));
                    prop_assert_eq!(array.update(index, |n| n), Err(outside));
                }
                Some(item) => {
                    prop_assert_eq!(array.get(index).unwrap(), *item);
                    prop_assert_eq!(array.swap(index, n).unwrap(), *item);
                    array.update(index, |was| was ^ 1).unwrap();
                    prop_assert_eq!(array.compare_exchange(index, n, 0).unwrap(), Err(n ^ 1));
                    *item = n ^ 1;
                }
            }
            prop_assert_eq!(array.len(), model.len());
        }
        let read: Result<Vec<_>, _> = array.iter().collect();
        prop_assert_eq!(read.unwrap(), model.clone());
        prop_assert_eq!(format!("{array:?}"), format!("{model:?}"));
    }
}

#[test]
fn structures_and_their_padding() -> Outcome {
    let points = Array::filled(point(3), 5)?;
    points.set(4, point(4))?;
    assert_eq!(points.get(4)?, point(4));
    assert_eq!(points.update(0, |p| Point { x: p.x + 1, ..p })?, point(3));
    assert_eq!(points.to_vec()?[0].x, 4);
    let raw = as_bytes::<Point, 24>(&points).get(1)?;
    // Padding is zero.
    assert!(raw[1..8].iter().all(|b| *b == 0) && raw[17] == 0);
    let small = Value::new(Small { on: true, level: -2 })?;
    assert_eq!(small.update(|s| Small { level: s.level * 2, ..s })?.level, -2);
    assert_eq!(small.load()?, Small { on: true, level: -4 });
    assert_eq!(Value::new('é')?.load()?, 'é');
    let large = Value::new([[1.5f64; 10]; 10])?;
    large.update(|mut grid| {
        grid[3][4] = 0.0;
        grid
    })?;
    assert_eq!(large.load()?[3][3..5], [1.5, 0.0]);
    Ok(())
}

#[test]
fn what_others_wrote_is_checked() -> Outcome {
    let points = Array::filled(point(1), 2)?;
    let bytes = as_bytes::<Point, 24>(&points);
    let mut raw = bytes.get(1)?;
    raw[16] = 2;
    bytes.set(1, raw)?;
    assert_eq!(points.get(0)?, point(1));
    let invalid = |result: Result<Point, ItemError>| match result {
        Err(e @ ItemError::Invalid { index: 1, .. }) => e.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(invalid(points.get(1)).contains("Point"));
    invalid(points.update(1, |p| p));
    assert!(points.to_vec().is_err());
    points.set(1, point(2))?;
    assert_eq!(points.to_vec()?, [point(1), point(2)]);
    let flags = Array::filled(false, 3)?;
    as_bytes::<bool, 1>(&flags).set(2, [9])?;
    assert!(flags.get(2).unwrap_err().to_string().ends_with("bytes are 09"));
    assert!(flags.update(2, |on| !on).is_err());
    assert_eq!(as_bytes::<bool, 1>(&flags).get(2)?, [9]);
    Ok(())
}

#[test]
fn a_handle_of_other_items_is_refused() -> Outcome {
    let numbers = List::from_values([Array::from_values([1i32, 2])?])?;
    let read = |list: List<Array<u32>>| list.get(0).unwrap_err().to_string();
    let said = read(reread(&numbers)?);
    assert!(said.contains("\"i\" (4 bytes) was given; u32 is \"I\" (4 bytes)"), "{said}");
    let said = reread::<_, Value<i32>>(&numbers)?.get(0).unwrap_err().to_string();
    assert!(said.contains("a handle of an array was given"), "{said}");
    let said = reread::<_, Array<i64>>(&numbers)?.get(0).unwrap_err().to_string();
    assert!(said.contains("8 bytes"), "{said}");
    assert_eq!(reread::<_, Array<i32>>(&numbers)?.get(0)?.to_vec()?, [1, 2]);
    // Of the same size, with the same scalars at the same places.
    let pairs = List::from_values([Array::from_values([[1u16, 2]])?])?;
    assert_eq!(reread::<_, Array<Pair>>(&pairs)?.get(0)?.get(0)?, Pair { a: 1, b: 2 });
    assert!(reread::<_, Array<Small>>(&pairs)?.get(0).is_err());
    assert_eq!(Format::of::<Small>().as_str(), "T{<?:on:1x<h:level:}");
    Ok(())
}

#[test]
fn handles_are_of_one_array() -> Outcome {
    let array = Array::filled(0u8, 2)?;
    let list = List::from_values([array.clone()])?;
    list.get(0)?.set(1, 5)?;
    assert_eq!(array.get(1)?, 5);
    assert_eq!(list.get(0)?, array);
    assert_ne!(Array::filled(0u8, 2)?, array);
    let value = Value::new(true)?;
    value.clone().store(false)?;
    assert!(!value.load()?);
    assert_eq!(value, value.clone());
    assert_eq!(Array::filled(0.0, 0)?.to_vec()?, [0.0; 0]);
    assert!(Array::<u8>::from_values([])?.is_empty());
    Ok(())
}

#[test]
fn more_than_there_is_says_how_much() {
    let said = Array::filled(0u64, usize::MAX / 2).unwrap_err().to_string();
    assert!(said.contains("bytes were asked for"), "{said}");
    let said = Array::filled(1.0, 1 << 40).unwrap_err().to_string();
    assert!(said.contains("8796093022"), "{said}");
}

fn add(value: Value<i64>, array: Array<i16>, times: i16) -> Result<(), Failure> {
    for i in 0..times {
        value.fetch_add(2);
        array.checked_add(usize::from(i.unsigned_abs() % 3), 1)?;
    }
    Ok(())
}

fn move_points(points: Array<Point>, times: usize) -> Result<(), Failure> {
    for _ in 0..times {
        let mut guard = points.lock(None)?;
        let (first, second) = (guard.get(0)?, guard.get(1)?);
        assert!(first == second || first.x % 2 == 0);
        let next = point(first.x.wrapping_add(1));
        guard.set(0, next)?;
        // The same thread may take it again.
        points.set(1, next)?;
    }
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn no_change_is_lost() -> Outcome {
    let (value, array) = (Value::new(0i64)?, Array::filled(0i16, 3)?);
    let points = Array::filled(point(0), 2)?;
    let (mut processes, mut threads) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let args = (value.clone(), array.clone(), 3000);
        processes.push(Process::spawn(add, args.clone())?);
        threads.push(Thread::spawn(add, args)?);
        processes.push(Process::spawn(move_points, (points.clone(), 64))?);
        threads.push(Thread::spawn(move_points, (points.clone(), 64))?);
    }
    for task in &processes {
        task.result(None)??;
    }
    for task in &threads {
        task.result(None)??;
    }
    assert_eq!(value.load()?, 4 * 2 * 3000);
    assert_eq!(array.to_vec()?, [4000; 3]);
    let all = points.to_vec()?;
    assert_eq!(all, [point(0), point(0)]);
    Ok(())
}

fn hold(array: Array<Point>, held: Event) -> Result<(), Failure> {
    let mut guard = array.lock(None)?;
    guard.set(0, point(9))?;
    held.set();
    sleep(Duration::from_secs(3600))?;
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn the_owners_death_is_told_once() -> Outcome {
    let (array, held) = (Array::filled(point(1), 2)?, Event::new()?);
    let task = Process::spawn(hold, (array.clone(), held.clone()))?;
    held.wait(None)?;
    let soon = Some(Duration::from_millis(5));
    assert!(matches!(array.lock(soon), Err(LockError::TimedOut)));
    tarefa::Task::kill(&task)?;
    tarefa::Task::join(&task, None)?;
    assert!(matches!(array.get(0), Err(ItemError::Lock(LockError::OwnerDied(_)))));
    assert_eq!(array.to_vec()?, [point(9), point(1)]);
    array.fill(point(5))?;
    let mut guard = array.lock(None)?;
    guard.set_from(1, &[point(6)])?;
    assert!(guard.set_from(1, &[point(7), point(8)]).is_err());
    assert_eq!(guard.to_vec()?, [point(5), point(6)]);
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn words_do_not_wait_for_the_lock() -> Outcome {
    let value = Value::new(1u32)?;
    let guard = value.lock(None)?;
    let work = |value: Value<u32>| {
        value.store(5).unwrap();
        value.fetch_add(1)
    };
    assert_eq!(Process::spawn(work, (value.clone(),))?.result(None)?, 5);
    assert_eq!(guard.get()?, 6);
    Ok(())
}
