//! `update` of an element inside its own `update`, and other changes of what is being computed.
#![allow(missing_docs)]

use std::error::Error;

use tarefa::{
    Array, Dict, DictError, ItemError, List, ListError, NestedUpdate, Process, Thread, Value,
};

type Outcome = Result<(), Box<dyn Error>>;

fn nested_in_list<T>(result: Result<T, ListError>) -> bool {
    matches!(result, Err(ListError::Nested(NestedUpdate)))
}

fn nested_in_dict<T>(result: Result<T, DictError>) -> bool {
    matches!(result, Err(DictError::Nested(NestedUpdate)))
}

fn nested_item<T>(result: Result<T, ItemError>) -> bool {
    matches!(result, Err(ItemError::Nested(NestedUpdate)))
}

#[test]
fn an_update_inside_itself_is_refused_and_the_outer_one_goes_on() -> Outcome {
    let list = List::from_values([1, 5])?;
    let mut calls = 0;
    let done = list.update(0, |n| {
        calls += 1;
        assert!(nested_in_list(list.update(0, |n| n + 100)));
        // Through another handle of the same list, and for another element.
        assert!(nested_in_list(list.clone().update(0, |n| n + 100)));
        list.update(1, |n| n + 10).unwrap();
        n + 1
    })?;
    assert_eq!((done, calls, list.to_vec()?), (2, 1, vec![2, 15]));

    let dict = Dict::from_pairs([("a".to_owned(), 1)])?;
    let done = dict.update("a", |n| {
        assert!(nested_in_dict(dict.update("a", |_| Some(100))));
        dict.update("b", |_| Some(7)).unwrap();
        n.map(|n| n + 1)
    })?;
    assert_eq!((done, dict.get("a")?, dict.get("b")?), (Some(2), Some(2), Some(7)));

    let value = Value::new(1u64)?;
    let was = value.update(|n| {
        assert!(nested_item(value.update(|n| n + 100)));
        assert_eq!(value.fetch_update(|n| Some(n + 100)), Err(1));
        n + 1
    })?;
    assert_eq!((was, value.load()?), (1, 2));

    // Of several words: under the lock, which is re-entrant.
    let array = Array::filled([1u64; 4], 2)?;
    let was = array.update(1, |n| {
        assert!(nested_item(array.update(1, |_| [100; 4])));
        array.update(0, |_| [9; 4]).unwrap();
        n.map(|n| n + 1)
    })?;
    assert_eq!((was, array.to_vec()?), ([1; 4], vec![[9; 4], [2; 4]]));
    Ok(())
}

#[test]
fn also_through_containers_in_between() -> Outcome {
    let outer = List::from_values([1])?;
    let middle = Dict::from_pairs([(1, outer.clone())])?;
    let mut refused = false;
    outer.update(0, |n| {
        let step = middle.update(&1, |found| {
            refused = nested_in_list(found.as_ref().unwrap().update(0, |n| n + 100));
            found
        });
        step.unwrap();
        n + 1
    })?;
    assert!(refused);
    assert_eq!(outer.to_vec()?, [2]);
    Ok(())
}

#[test]
fn another_change_of_the_same_element_ends_it_too() -> Outcome {
    let list = List::from_values([1, 2, 3])?;
    let set = list.update(0, |n| {
        list.set(0, n + 10).unwrap();
        n + 1
    });
    assert!(nested_in_list(set), "{list:?}");
    let shifted = list.update(1, |n| {
        list.insert(0, 0).unwrap();
        n + 1
    });
    assert!(nested_in_list(shifted));
    // What comes behind is no change of the element.
    let len = list.len();
    list.update(0, |n| {
        list.append(9).unwrap();
        n + 1
    })?;
    assert_eq!(list.len(), len + 1);
    let sorted = list.sort_by(|a, b| {
        list.append(4).unwrap();
        a.cmp(b)
    });
    assert!(nested_in_list(sorted));
    assert!(list.lock(None).is_ok());

    let dict = Dict::from_pairs([(1, 1i64)])?;
    assert!(nested_in_dict(dict.update(&1, |n| {
        dict.add(&1, 1).unwrap();
        n
    })));
    assert!(nested_in_dict(dict.update(&1, |n| {
        let n = n.unwrap_or_default();
        dict.insert(1, n + 1).unwrap();
        Some(n)
    })));

    let value = Value::new(1u32)?;
    assert!(nested_item(value.update(|n| {
        value.fetch_add(1);
        n
    })));
    assert!(
        value
            .fetch_update(|n| {
                value.fetch_add(1);
                Some(n)
            })
            .is_err()
    );
    let large = Value::new([1u64; 3])?;
    assert!(nested_item(large.update(|n| {
        large.store([7; 3]).unwrap();
        n
    })));
    assert_eq!(large.load()?, [7; 3]);
    Ok(())
}

#[test]
fn a_panic_inside_leaves_nothing_behind() -> Outcome {
    let list = List::from_values([1])?;
    let other = list.clone();
    let thrown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = other.update(0, |_| panic!("on purpose"));
    }));
    assert!(thrown.is_err());
    assert_eq!(list.update(0, |n| n + 1)?, 2);
    Ok(())
}

/// Others change the same element all the time: that is no nesting.
#[tarefa::test]
fn others_are_not_taken_for_oneself() {
    fn count(
        list: List<u64>,
        dict: Dict<u64, u64>,
        value: Value<u64>,
    ) -> Result<(), tarefa::Failure> {
        for _ in 0..300 {
            list.update(0, |n| {
                list.append(0).unwrap();
                std::thread::yield_now();
                n + 1
            })?;
            dict.update(&0, |n| {
                dict.insert(1, 1).unwrap();
                Some(n.unwrap_or_default() + 1)
            })?;
            value.update(|n| n + 1)?;
        }
        Ok(())
    }
    let list = List::from_values([0]).unwrap();
    let (dict, value) = (Dict::new().unwrap(), Value::new(0).unwrap());
    let args = || (list.clone(), dict.clone(), value.clone());
    let processes = [(); 2].map(|()| Process::spawn(count, args()).unwrap());
    let threads = [(); 2].map(|()| Thread::spawn(count, args()).unwrap());
    for task in &processes {
        task.result(None).unwrap().unwrap();
    }
    for task in &threads {
        task.result(None).unwrap().unwrap();
    }
    assert_eq!(list.get(0).unwrap(), 1200);
    assert_eq!(dict.get(&0).unwrap(), Some(1200));
    assert_eq!(value.load().unwrap(), 1200);
}
