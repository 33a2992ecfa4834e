//! The shared list against `Vec`, and what it holds.

use std::error::Error;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tarefa::{List, ListError, Process};

type Outcome = Result<(), Box<dyn Error>>;

#[derive(Clone, Debug)]
enum Step<T> {
    Append(T),
    Extend(Vec<T>),
    Set(usize, T),
    Insert(usize, T),
    Remove(usize),
    Pop,
    PopFront,
    Sort,
    Clear,
}

fn steps<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Vec<Step<T>>> {
    let index = 0..40usize;
    let step = prop_oneof![
        8 => value.clone().prop_map(Step::Append),
        4 => prop::collection::vec(value.clone(), 0..20).prop_map(Step::Extend),
        4 => (index.clone(), value.clone()).prop_map(|(i, v)| Step::Set(i, v)),
        3 => (index.clone(), value).prop_map(|(i, v)| Step::Insert(i, v)),
        3 => index.prop_map(Step::Remove),
        3 => Just(Step::Pop),
        3 => Just(Step::PopFront),
        1 => Just(Step::Sort),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 0..60)
}

fn is_out_of_range<T>(result: Result<T, ListError>) -> bool {
    matches!(result, Err(ListError::OutOfRange { .. }))
}

fn check<T>(
    steps: Vec<Step<T>>,
    order: fn(&T, &T) -> std::cmp::Ordering,
) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug + 'static,
{
    fn failed(e: impl std::fmt::Display) -> TestCaseError {
        TestCaseError::fail(e.to_string())
    }
    let list = List::new().map_err(failed)?;
    let mut model: Vec<T> = Vec::new();
    for step in steps {
        match step {
            Step::Append(v) => {
                list.append(v.clone()).map_err(failed)?;
                model.push(v);
            }
            Step::Extend(values) => {
                list.extend(values.clone()).map_err(failed)?;
                model.extend(values);
            }
            Step::Set(i, v) if i < model.len() => {
                list.set(i, v.clone()).map_err(failed)?;
                model[i] = v;
            }
            Step::Set(i, v) => {
                prop_assert!(is_out_of_range(list.set(i, v)));
            }
            Step::Insert(i, v) => {
                list.insert(i, v.clone()).map_err(failed)?;
                model.insert(i.min(model.len()), v);
            }
            Step::Remove(i) if i < model.len() => {
                prop_assert_eq!(list.remove(i).map_err(failed)?, model.remove(i));
            }
            Step::Remove(i) => {
                prop_assert!(is_out_of_range(list.remove(i)));
            }
            Step::Pop => prop_assert_eq!(list.pop().map_err(failed)?, model.pop()),
            Step::PopFront => {
                let first = (!model.is_empty()).then(|| model.remove(0));
                prop_assert_eq!(list.pop_front().map_err(failed)?, first);
            }
            Step::Sort => {
                list.sort_by(order).map_err(failed)?;
                model.sort_by(order);
            }
            Step::Clear => {
                list.clear().map_err(failed)?;
                model.clear();
            }
        }
        prop_assert_eq!(list.len(), model.len());
    }
    prop_assert_eq!(&list.to_vec().map_err(failed)?, &model);
    let one_by_one: Result<Vec<T>, _> = list.iter().collect();
    prop_assert_eq!(one_by_one.map_err(failed)?, model);
    Ok(())
}

#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Named { name: String, sides: Option<u8> },
}

fn shape() -> impl Strategy<Value = Shape> + Clone {
    prop_oneof![
        Just(Shape::Point),
        (-9.0..9.0f64).prop_map(Shape::Circle),
        ("[a-zçã]{0,20}", any::<Option<u8>>())
            .prop_map(|(name, sides)| Shape::Named { name, sides }),
    ]
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn integers_as_in_a_vec(steps in steps(any::<i64>())) {
        check(steps, i64::cmp)?;
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn floats_as_in_a_vec(steps in steps(any::<f64>())) {
        check(steps, f64::total_cmp)?;
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn texts_as_in_a_vec(steps in steps(".{0,30}".prop_map(String::from))) {
        check(steps, String::cmp)?;
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn options_as_in_a_vec(steps in steps(any::<Option<bool>>())) {
        check(steps, Option::cmp)?;
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn shapes_as_in_a_vec(steps in steps(shape())) {
        check(steps, |a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))?;
    }
}

fn round_trip<T>(values: Vec<T>) -> Outcome
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug + 'static,
{
    let list = List::from_values(values.clone())?;
    assert_eq!(list.to_vec()?, values);
    for (i, value) in values.into_iter().enumerate() {
        list.set(i, value.clone())?;
        assert_eq!(list.get(i)?, value);
        list.append(value.clone())?;
        assert_eq!(list.pop()?, Some(value));
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn values_at_the_edges() -> Outcome {
    round_trip(vec![i8::MIN, 0, i8::MAX])?;
    round_trip(vec![i64::MIN, -(1 << 49) - 1, -(1 << 49), (1 << 49) - 1, 1 << 49, i64::MAX])?;
    round_trip(vec![0, 1 << 63, u64::MAX])?;
    round_trip(vec![i128::MIN, -1, 0, i128::from(u64::MAX), i128::MAX])?;
    round_trip(vec![0, u128::MAX, u128::MAX / 2 + 1])?;
    round_trip(vec![0.0f32, f32::MIN, f32::MAX, f32::INFINITY])?;
    round_trip(vec![-0.0f64, f64::MIN_POSITIVE, f64::NEG_INFINITY])?;
    round_trip(vec!['a', 'ç', '\u{10ffff}'])?;
    round_trip(vec![(), ()])?;
    round_trip(vec![None, Some(None), Some(Some(())), Some(Some(()))])?;
    round_trip(vec![None, Some(3u8)])?;
    round_trip(vec![vec![], vec![0u8, 255], b"bytes".to_vec()])?;
    round_trip(vec![vec![1.5f64], vec![]])?;
    round_trip(vec![String::new(), "x".repeat(100_000), "\0olá".to_owned()])?;
    round_trip(vec![(1u8, "um".to_owned()), (2, "dois".to_owned())])?;
    let odd = f64::from_bits(0xfff8_dead_beef_0001);
    let list = List::from_values([odd])?;
    assert_eq!(list.get(0)?.to_bits(), odd.to_bits());
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_wrong_type_says_what_is_there() -> Outcome {
    let words = List::from_values(["palavra".to_owned()])?;
    // The type of the elements is the reader's affair: bytes tell it of both.
    let task = Process::spawn(
        |numbers: List<i64>| numbers.get(0).map_err(|e| e.to_string()),
        (unsound_cast(&words)?,),
    )?;
    let text = task.result(None)?.unwrap_err();
    assert!(text.contains("i64") && text.contains("element 0"), "{text}");
    Ok(())
}

/// The same list as one of other elements, as another program might see it.
fn unsound_cast(list: &List<String>) -> Result<List<i64>, Box<dyn Error>> {
    Ok(serde_json::from_str(&serde_json::to_string(list)?)?)
}

#[tarefa::test(timeout = 60)]
fn a_handle_that_leads_nowhere_says_so() -> Outcome {
    let list = List::from_values([1i64])?;
    let text = serde_json::to_string(&list)?;
    assert_eq!(serde_json::from_str::<List<i64>>(&text)?, list);
    drop(list);
    assert!(serde_json::from_str::<List<i64>>(&text).is_err());
    let task =
        Process::spawn(|text: String| serde_json::from_str::<List<i64>>(&text).is_ok(), (text,))?;
    assert!(!task.result(None)?);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn others_append_while_one_reads_and_sorts() -> Outcome {
    fn append(list: List<u32>, n: u32) -> Result<(), tarefa::Failure> {
        for i in 0..n {
            list.append(n - i)?;
        }
        Ok(())
    }
    let list = List::new()?;
    let tasks = [
        Process::spawn(append, (list.clone(), 3000))?,
        Process::spawn(append, (list.clone(), 3000))?,
    ];
    let mut seen = 0;
    while tasks.iter().any(Process::is_alive) {
        let now = list.iter().collect::<Result<Vec<_>, _>>()?;
        assert!(now.len() >= seen);
        seen = now.len();
        assert!(now.iter().all(|n| (1..=3000).contains(n)));
    }
    for task in &tasks {
        task.result(None)??;
    }
    list.sort()?;
    let sorted = list.to_vec()?;
    assert_eq!(sorted.len(), 6000);
    assert!(sorted.is_sorted());
    assert!(list.contains(&1)?);
    Ok(())
}
