//! The dict against a model: a vector of keys and values, in the order in which they came.

#![allow(missing_docs)]
#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::naive_bytecount)]
#![allow(clippy::needless_for_each, clippy::format_collect, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

use proptest::prelude::*;
use tarefa_engine::collections::dict::{
    self, Added, Applied, Canonical, Change, Dict, Key, OptimisticRead, Order, Terms, What,
};
use tarefa_engine::collections::value::{self, Expected, Fetched, Item, Small, tag};
use tarefa_engine::kinds;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::heap::check::check;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::task;

/// The heap is looked at as a whole, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    support::ready(&task::runtime().unwrap().me());
    alone
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Int(i64),
    Bytes(Vec<u8>),
}

use Value::*;

impl Value {
    fn item(&self) -> Item<'_> {
        match self {
            Int(n) => Item::Word(value::int_word(*n).unwrap()),
            Bytes(b) => Item::Blob(tag::BYTES, b, &[]),
        }
    }

    fn key(&self) -> Key<'_> {
        Key::plain(self.item()).unwrap()
    }

    fn form(&self) -> Canonical<'_> {
        Canonical::of(self.item()).unwrap()
    }

    fn of(fetched: &Fetched) -> Self {
        match fetched {
            Fetched::Word(word) => match value::small(*word) {
                Small::Int(n) => Int(n),
                other => panic!("nobody stored {other:?}"),
            },
            Fetched::Blob(copied) => Bytes(copied.bytes.clone()),
        }
    }
}

fn keys() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0i64..12).prop_map(Int),
        (0u8..12, 0usize..20).prop_map(|(b, n)| Bytes(vec![b; n])),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(|n| Int(n.into())),
        (any::<u8>(), 0usize..300).prop_map(|(b, n)| Bytes(vec![b; n])),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Set(Value, Value),
    SetDefault(Value, Value),
    Remove(Value),
    PopLast,
    Add(Value, i64),
    ReplaceIf(Value, Option<Value>),
    Apply(Vec<(Value, Option<Value>)>, bool),
    Count(Vec<Value>),
    Toggle(Vec<Value>),
    Grow(i64),
    Shrink(i64),
    Clear,
    Walk(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    let pairs = prop::collection::vec((keys(), prop::option::of(values())), 0..30);
    prop_oneof![
        6 => (keys(), values()).prop_map(|(k, v)| Step::Set(k, v)),
        2 => (keys(), values()).prop_map(|(k, v)| Step::SetDefault(k, v)),
        3 => keys().prop_map(Step::Remove),
        2 => Just(Step::PopLast),
        2 => (keys(), -9i64..9).prop_map(|(k, n)| Step::Add(k, n)),
        2 => (keys(), prop::option::of(values())).prop_map(|(k, v)| Step::ReplaceIf(k, v)),
        2 => (pairs, prop::bool::weighted(0.2)).prop_map(|(p, only)| Step::Apply(p, only)),
        1 => prop::collection::vec(keys(), 0..9).prop_map(Step::Count),
        1 => prop::collection::vec(keys(), 0..9).prop_map(Step::Toggle),
        1 => (1i64..200).prop_map(Step::Grow),
        1 => (1i64..200).prop_map(Step::Shrink),
        1 => Just(Step::Clear),
        2 => (1usize..7).prop_map(Step::Walk),
    ]
}

#[derive(Default, Debug)]
struct Model(Vec<(Value, Value)>);

impl Model {
    fn at(&self, key: &Value) -> Option<usize> {
        self.0.iter().position(|(k, _)| k == key)
    }

    fn set(&mut self, key: &Value, value: &Value) {
        match self.at(key) {
            Some(i) => self.0[i].1 = value.clone(),
            None => self.0.push((key.clone(), value.clone())),
        }
    }

    fn remove(&mut self, key: &Value) -> Option<Value> {
        self.at(key).map(|i| self.0.remove(i).1)
    }
}

fn contents(dict: &Dict<'_>) -> Vec<(Value, Value)> {
    let snapshot = dict.snapshot(What::Pairs).unwrap();
    snapshot
        .pairs
        .iter()
        .map(|p| (Value::of(p.key.as_ref().unwrap()), Value::of(p.value.as_ref().unwrap())))
        .collect()
}

fn run(me: &Member, dict: &Dict<'_>, model: &mut Model, step: &Step) {
    match step {
        Step::Set(k, v) => {
            dict.set(&k.key(), v.item()).unwrap();
            model.set(k, v);
        }
        Step::SetDefault(k, v) => {
            let there = dict.set_default(&k.key(), v.item()).unwrap();
            assert_eq!(there.as_ref().map(Value::of), model.at(k).map(|i| model.0[i].1.clone()));
            if there.is_none() {
                model.set(k, v);
            }
        }
        Step::Remove(k) => {
            let taken = dict.remove(&k.form()).unwrap();
            assert_eq!(taken.as_ref().map(Value::of), model.remove(k));
        }
        Step::PopLast => {
            let taken = dict.pop_last().unwrap();
            let taken = taken.as_ref().map(|(k, v)| (Value::of(k), Value::of(v)));
            assert_eq!(taken, model.0.pop());
        }
        Step::Add(k, n) => {
            let added = dict.add(&k.key(), Small::Int(*n)).unwrap();
            match model.at(k).map_or(Int(0), |i| model.0[i].1.clone()) {
                Int(m) => {
                    assert_eq!(added, Added::Now(Small::Int(m + n)));
                    model.set(k, &Int(m + n));
                }
                Bytes(_) => assert_eq!(added, Added::NotSmall),
            }
        }
        Step::ReplaceIf(k, v) => {
            let read = dict.get(&k.form()).unwrap();
            let wrong = Expected::Blob(tag::STR, b"no such value");
            assert!(!dict.replace_if(&k.key(), wrong, None).unwrap());
            let item = v.as_ref().map(Value::item);
            assert!(dict.replace_if(&k.key(), Expected::of(read.as_ref()), item).unwrap());
            match v {
                Some(v) => model.set(k, v),
                None => drop(model.remove(k)),
            }
        }
        Step::Apply(pairs, only) => {
            let changes: Vec<_> = pairs
                .iter()
                .map(|(k, v)| {
                    (k.key(), v.as_ref().map_or(Change::Remove, |v| Change::Put(v.item())))
                })
                .collect();
            let version = dict.snapshot(What::Keys).unwrap().version;
            let stale = Terms { version: Some(version + 2), only: *only };
            assert_eq!(dict.apply(&changes, stale).unwrap(), Applied::Changed);
            let terms = Terms { version: Some(version), only: *only };
            assert_eq!(dict.apply(&changes, terms).unwrap(), Applied::Yes);
            if *only {
                model.0.retain(|(k, _)| pairs.iter().any(|(other, _)| other == k));
            }
            // The last of a key counts, where the first stood.
            let mut done: Vec<&Value> = Vec::new();
            for (k, _) in pairs {
                if !done.contains(&k) {
                    done.push(k);
                    match &pairs.iter().rev().find(|(other, _)| other == k).unwrap().1 {
                        Some(v) => model.set(k, v),
                        None => drop(model.remove(k)),
                    }
                }
            }
        }
        Step::Count(keys) => {
            let changes: Vec<_> =
                keys.iter().map(|k| (k.key(), Change::Add(Small::Int(1)))).collect();
            let applied = dict.apply(&changes, Terms::default()).unwrap();
            let numbers =
                keys.iter().all(|k| model.at(k).is_none_or(|i| matches!(model.0[i].1, Int(_))));
            assert_eq!(applied, if numbers { Applied::Yes } else { Applied::NotSmall });
            let mut done: Vec<&Value> = Vec::new();
            for k in keys.iter().filter(|_| numbers) {
                if !done.contains(&k) {
                    done.push(k);
                    let Int(n) = model.at(k).map_or(Int(0), |i| model.0[i].1.clone()) else {
                        unreachable!()
                    };
                    model.set(k, &Int(n + 1));
                }
            }
        }
        Step::Toggle(keys) => {
            let mut once: Vec<&Value> = Vec::new();
            for k in keys {
                if !once.contains(&k) {
                    once.push(k);
                }
            }
            // A key toggled in has no value that this test stores: twice is as before.
            let changes: Vec<_> = once.iter().map(|k| (k.key(), Change::Toggle)).collect();
            assert_eq!(dict.apply(&changes, Terms::default()).unwrap(), Applied::Yes);
            for k in once {
                if model.remove(k).is_none() {
                    assert_eq!(dict.read_optimistic(&k.form()), OptimisticRead::Word(value::NONE));
                    dict.remove(&k.form()).unwrap();
                }
            }
        }
        Step::Grow(n) => {
            for i in 100..100 + n {
                dict.set(&Int(i).key(), Int(i).item()).unwrap();
                model.set(&Int(i), &Int(i));
            }
        }
        Step::Shrink(n) => {
            for i in 100..100 + n {
                assert_eq!(
                    dict.remove(&Int(i).form()).unwrap().is_some(),
                    model.remove(&Int(i)).is_some()
                );
            }
        }
        Step::Clear => {
            dict.clear().unwrap();
            model.0.clear();
        }
        Step::Walk(most) => {
            for order in [Order::Up, Order::Down] {
                let (mut range, mut seen) = (dict.all(), Vec::new());
                while range.from < range.to {
                    let pairs = dict.walk(&mut range, order, What::Keys, *most).unwrap();
                    assert!(pairs.len() <= *most);
                    seen.extend(pairs.iter().map(|p| Value::of(p.key.as_ref().unwrap())));
                }
                if order == Order::Down {
                    seen.reverse();
                }
                let keys: Vec<_> = model.0.iter().map(|p| p.0.clone()).collect();
                assert_eq!(seen, keys);
            }
        }
    }
    assert_eq!(check(me).faults, Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn as_the_model(steps in prop::collection::vec(steps(), 1..40)) {
        let _alone = alone();
        let runtime = task::runtime().unwrap();
        let me = runtime.me();
        let off = dict::create(&me, kinds::DICT).unwrap();
        let before = check(&me).blocks;
        let dict = Dict::at(&me, off);
        let mut model = Model::default();
        for step in &steps {
            run(&me, &dict, &mut model, step);
            prop_assert_eq!(contents(&dict), model.0.clone());
            prop_assert_eq!(dict.len().unwrap(), model.0.len() as u64);
            for i in 0..12 {
                let there = model.at(&Int(i)).is_some();
                prop_assert_eq!(dict.contains(&Int(i).form()).unwrap(), there);
            }
        }
        dict.clear().unwrap();
        prop_assert_eq!(check(&me).blocks, before);
        refcount::release(&me, off);
    }
}

#[test]
fn an_iteration_goes_on_whatever_happens() {
    let _alone = alone();
    let runtime = task::runtime().unwrap();
    let me = runtime.me();
    let off = dict::create(&me, kinds::DICT).unwrap();
    let dict = Dict::at(&me, off);
    let many = if cfg!(miri) { 200 } else { 1000 };
    for i in 0..many {
        dict.set(&Int(i).key(), Int(i).item()).unwrap();
    }
    let (mut range, mut seen) = (dict.all(), Vec::new());
    while range.from < range.to {
        for pair in dict.walk(&mut range, Order::Up, What::Pairs, 7).unwrap() {
            let Int(k) = Value::of(&pair.key.unwrap()) else { panic!() };
            seen.push(k);
            // What was shown goes, and so does what comes soon; others come, again and again.
            dict.remove(&Int(k).form()).unwrap();
            dict.remove(&Int(k + 100).form()).unwrap();
            for n in 0..9 {
                dict.set(&Int(10_000 + k * 10 + n).key(), Int(k).item()).unwrap();
            }
        }
    }
    assert!(seen.is_sorted() && seen.iter().all(|k| (0..many).contains(k)));
    assert!(seen.starts_with(&(0..100).collect::<Vec<_>>()));
    refcount::release(&me, off);
}

#[test]
fn large_and_small_again() {
    let _alone = alone();
    let runtime = task::runtime().unwrap();
    let me = runtime.me();
    let off = dict::create(&me, kinds::DICT).unwrap();
    let dict = Dict::at(&me, off);
    let many = if cfg!(miri) { 400 } else { 200_000 };
    for i in 0..many {
        dict.set(&Int(i).key(), Int(-i).item()).unwrap();
    }
    for i in 0..many {
        assert_eq!(
            dict.read_optimistic(&Int(i).form()),
            OptimisticRead::Word(value::int_word(-i).unwrap())
        );
    }
    let queue = many / 4;
    for i in 0..queue {
        dict.remove(&Int(i).form()).unwrap().unwrap();
        dict.set(&Int(1_000_000 + i).key(), Bytes(i.to_le_bytes().to_vec()).item()).unwrap();
    }
    assert_eq!(dict.len().unwrap(), many as u64);
    let some: Vec<_> = (0..300).map(|i| (Int(i * 700), Int(7))).collect();
    let changes: Vec<_> = some.iter().map(|(k, v)| (k.key(), Change::Put(v.item()))).collect();
    assert_eq!(dict.apply(&changes, Terms::default()).unwrap(), Applied::Yes);
    for (k, _) in &some {
        assert_eq!(
            dict.read_optimistic(&k.form()),
            OptimisticRead::Word(value::int_word(7).unwrap())
        );
    }
    while dict.pop_last().unwrap().is_some() {}
    assert_eq!(dict.len().unwrap(), 0);
    assert_eq!(check(&me).faults, Vec::<String>::new());
    refcount::release(&me, off);
}
