//! `Dict` and `Set` against the standard library's, and from several processes.
#![allow(missing_docs)]

use std::collections::HashMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tarefa::{Dict, DictError, Failure, List, NotAKey, Process, Set};

fn dict<K, V>() -> Dict<K, V>
where
    K: Serialize + serde::de::DeserializeOwned + 'static,
    V: Serialize + serde::de::DeserializeOwned + 'static,
{
    Dict::new().unwrap()
}

#[derive(Clone, Debug)]
enum Op {
    Insert(i64, String),
    Remove(i64),
    Replace(i64, String),
    GetOrInsert(i64, String),
    Update(i64),
    Extend(Vec<(i64, String)>),
    PopLast,
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || prop_oneof![0i64..20, any::<i64>()];
    let value = || ".{0,12}";
    prop_oneof![
        4 => (key(), value()).prop_map(|(k, v)| Op::Insert(k, v)),
        2 => key().prop_map(Op::Remove),
        1 => (key(), value()).prop_map(|(k, v)| Op::Replace(k, v)),
        1 => (key(), value()).prop_map(|(k, v)| Op::GetOrInsert(k, v)),
        1 => key().prop_map(Op::Update),
        1 => prop::collection::vec((key(), value()), 0..60).prop_map(Op::Extend),
        1 => Just(Op::PopLast),
        1 => Just(Op::Clear),
    ]
}

/// What a dict must do, in the order in which keys came.
#[derive(Default)]
struct Model(Vec<(i64, String)>);

impl Model {
    fn get(&self, key: i64) -> Option<String> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone())
    }

    fn insert(&mut self, key: i64, value: String) -> Option<String> {
        if let Some(pair) = self.0.iter_mut().find(|(k, _)| *k == key) {
            return Some(std::mem::replace(&mut pair.1, value));
        }
        self.0.push((key, value));
        None
    }

    fn remove(&mut self, key: i64) -> Option<String> {
        let at = self.0.iter().position(|(k, _)| *k == key)?;
        Some(self.0.remove(at).1)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn a_dict_is_an_ordered_map(ops in prop::collection::vec(op(), 1..60)) {
        let (it, mut model) = (dict::<i64, String>(), Model::default());
        for op in ops {
            match op {
                Op::Insert(k, v) => {
                    it.insert(k, v.clone()).unwrap();
                    model.insert(k, v);
                }
                Op::Remove(k) => prop_assert_eq!(it.remove(&k).unwrap(), model.remove(k)),
                Op::Replace(k, v) => {
                    prop_assert_eq!(it.replace(k, v.clone()).unwrap(), model.insert(k, v));
                }
                Op::GetOrInsert(k, v) => {
                    let there = model.get(k).unwrap_or_else(|| {
                        model.insert(k, v.clone());
                        v.clone()
                    });
                    prop_assert_eq!(it.get_or_insert(k, v).unwrap(), there);
                }
                Op::Update(k) => {
                    let twice = |v: Option<String>| v.map(|v| v.clone() + &v).filter(|v| v.len() < 9);
                    let after = twice(model.get(k));
                    match &after {
                        Some(v) => drop(model.insert(k, v.clone())),
                        None => drop(model.remove(k)),
                    }
                    prop_assert_eq!(it.update(&k, twice).unwrap(), after);
                }
                Op::Extend(pairs) => {
                    it.extend(pairs.clone()).unwrap();
                    // A new key comes where it is named first, with its last value.
                    for (k, v) in pairs {
                        model.insert(k, v);
                    }
                }
                Op::PopLast => prop_assert_eq!(it.pop_last().unwrap(), model.0.pop()),
                Op::Clear => {
                    it.clear().unwrap();
                    model.0.clear();
                }
            }
            prop_assert_eq!(it.len().unwrap(), model.0.len());
        }
        prop_assert_eq!(it.to_vec().unwrap(), model.0.clone());
        let plain: HashMap<_, _> = model.0.into_iter().collect();
        prop_assert_eq!(it.to_hash_map().unwrap(), plain);
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn keys_of_any_form_are_found(
        keys in prop::collection::hash_set((any::<i128>(), ".{0,8}", any::<Option<bool>>()), 0..40)
    ) {
        let it = dict::<(i128, String, Option<bool>), usize>();
        for (i, key) in keys.iter().enumerate() {
            it.insert(key.clone(), i).unwrap();
        }
        for (i, key) in keys.iter().enumerate() {
            prop_assert_eq!(it.get(key).unwrap(), Some(i));
        }
        let back: std::collections::HashSet<_> = it.keys().unwrap().into_iter().collect();
        prop_assert_eq!(back, keys);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Key {
    Text(String),
    Number(f64),
    Nothing,
}

#[test]
fn structs_and_enums_are_keys() {
    let points = dict::<Point, i32>();
    points.insert(Point { x: 1, y: 2 }, 3).unwrap();
    assert_eq!(points.get(&Point { x: 1, y: 2 }).unwrap(), Some(3));
    assert_eq!(points.get(&Point { x: 2, y: 1 }).unwrap(), None);
    assert_eq!(points.keys().unwrap(), [Point { x: 1, y: 2 }]);
    let keys = dict::<Key, i32>();
    for (i, key) in [Key::Text("a".into()), Key::Number(0.5), Key::Nothing].iter().enumerate() {
        keys.insert(key.clone(), i as i32).unwrap();
        assert_eq!(keys.get(key).unwrap(), Some(i as i32));
    }
    let nan = keys.insert(Key::Number(f64::NAN), 1);
    assert!(matches!(nan, Err(DictError::Key(NotAKey::NotANumber))), "{nan:?}");
}

#[test]
fn what_equals_nothing_or_changes_is_no_key() {
    let floats = dict::<f64, i32>();
    assert!(matches!(floats.insert(f64::NAN, 1), Err(DictError::Key(NotAKey::NotANumber))));
    floats.insert(0.0, 1).unwrap();
    assert_eq!(floats.get(&-0.0).unwrap(), Some(1));
    let lists = dict::<List<i32>, i32>();
    let refused = lists.insert(List::new().unwrap(), 1);
    assert!(matches!(refused, Err(DictError::Key(NotAKey::Shared))), "{refused:?}");
    let maps = dict::<std::collections::BTreeMap<i32, i32>, i32>();
    assert!(matches!(
        maps.insert(std::collections::BTreeMap::new(), 1),
        Err(DictError::Key(NotAKey::Map))
    ));
    assert!(floats.to_vec().unwrap() == [(0.0, 1)]);
}

#[test]
fn bytes_are_keys() {
    let it = dict::<Vec<u8>, i32>();
    it.insert(vec![0, 255, 7], 1).unwrap();
    assert_eq!(it.get(&vec![0, 255, 7]).unwrap(), Some(1));
    assert_eq!(it.keys().unwrap(), [vec![0, 255, 7]]);
}

#[test]
fn sums_past_what_a_word_holds() {
    let it = dict::<String, i64>();
    it.insert("a".into(), (1 << 49) - 1).unwrap();
    assert_eq!(it.add("a", 1).unwrap(), 1 << 49);
    assert_eq!(it.add("a", 1).unwrap(), (1 << 49) + 1);
    assert_eq!(it.add("b", -5).unwrap(), -5);
    let bytes = dict::<String, u8>();
    assert_eq!(bytes.add("a", 200).unwrap(), 200);
    assert_eq!(bytes.add("a", 55).unwrap(), 255);
    let floats = dict::<String, f64>();
    assert!((floats.add("a", 0.5).unwrap() - 0.5).abs() < 1e-9);
}

fn fill(it: Dict<u64, String>, counts: Dict<String, u64>, from: u64) -> Result<(), Failure> {
    for i in from..from + 300 {
        it.insert(i, i.to_string())?;
        counts.add("all", 1)?;
        counts.update("updates", |n| Some(n.unwrap_or(0) + 1))?;
    }
    Ok(())
}

#[tarefa::test]
fn several_processes_lose_nothing() {
    let (it, counts) = (dict(), dict());
    let tasks: Vec<_> = (0..4)
        .map(|i| Process::spawn(fill, (it.clone(), counts.clone(), i * 300)).unwrap())
        .collect();
    for task in &tasks {
        task.result(None).unwrap().unwrap();
    }
    let all = it.to_hash_map().unwrap();
    assert_eq!(all, (0..1200).map(|i| (i, i.to_string())).collect());
    assert_eq!(counts.to_vec().unwrap().len(), 2);
    assert_eq!(counts.get("all").unwrap(), Some(1200));
    assert_eq!(counts.get("updates").unwrap(), Some(1200));
}

#[tarefa::test]
fn groups_make_others_wait() {
    let it = dict::<String, i32>();
    it.extend([("a".to_owned(), 1), ("b".to_owned(), 1)]).unwrap();
    let group = it.lock(None).unwrap();
    let task = Process::spawn(
        |it: Dict<String, i32>| -> Result<(Option<i32>, Option<i32>), Failure> {
            Ok((it.get("a")?, it.get("b")?))
        },
        (it.clone(),),
    )
    .unwrap();
    it.insert("a".into(), 2).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    it.insert("b".into(), 2).unwrap();
    drop(group);
    assert_eq!(task.result(None).unwrap().unwrap(), (Some(2), Some(2)));
}

#[test]
fn sets() {
    let it = Set::new().unwrap();
    assert!(it.insert("a".to_owned()).unwrap());
    assert!(!it.insert("a".to_owned()).unwrap());
    it.extend(["b", "a", "c"].map(String::from)).unwrap();
    assert_eq!(it.to_vec().unwrap(), ["a", "b", "c"]);
    assert!(it.remove("b").unwrap() && !it.remove("b").unwrap());
    assert!(it.contains("c").unwrap());
    assert_eq!(it.len().unwrap(), 2);
    it.clear().unwrap();
    assert!(it.is_empty().unwrap());
}

#[test]
fn an_element_is_updated_at_one_instant() {
    let list = List::from_values(["a".to_owned(), "b".to_owned()]).unwrap();
    assert_eq!(list.update(1, |s| s + "!").unwrap(), "b!");
    assert_eq!(list.to_vec().unwrap(), ["a", "b!"]);
    assert!(list.update(2, |s| s).is_err());
}
