//! What a process holds, in any number and order, against a model; and that nothing grows.

#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use proptest::prelude::*;
use support::{Random, full, whole};
use tarefa_engine::atomic::Ordering;
use tarefa_engine::collections::list::{self, List};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::kinds;
use tarefa_engine::shm::arena::layout::UNIT;
use tarefa_engine::shm::heap;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off, object};
use tarefa_engine::task;

/// The heap is looked at as a whole, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    support::ready(&task::runtime().unwrap().me());
    alone
}

fn id(me: &Member, off: Off) -> u64 {
    object::header(me, off).id.load(Ordering::Relaxed)
}

/// Blocks in which the process notes what it holds.
fn blocks(me: &Member) -> u64 {
    whole(me).unwrap().blocks.get(&(kinds::block::REFERENCES)).copied().unwrap_or(0)
}

#[derive(Clone, Debug)]
enum Step {
    Create(u16),
    Acquire(prop::sample::Index, u8),
    Release(prop::sample::Index),
    /// From the oldest on, so many.
    Drop(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..400u16).prop_map(Step::Create),
        3 => (any::<prop::sample::Index>(), 1..5u8).prop_map(|(i, n)| Step::Acquire(i, n)),
        3 => any::<prop::sample::Index>().prop_map(Step::Release),
        2 => (1..500u16).prop_map(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn what_is_held_is_what_lives(steps in prop::collection::vec(step(), 1..40)) {
        let _alone = alone();
        let me = task::runtime().unwrap().me();
        let before = whole(&me).unwrap().objects;
        let mut model: BTreeMap<Off, (u64, u64)> = BTreeMap::new();
        for step in &steps {
            let nth = |i: &prop::sample::Index, model: &BTreeMap<Off, (u64, u64)>| {
                *model.keys().nth(i.index(model.len())).unwrap()
            };
            match step {
                Step::Create(n) => {
                    for _ in 0..*n {
                        let off = list::create(&me).unwrap();
                        prop_assert_eq!(model.insert(off, (id(&me, off), 1)), None);
                    }
                }
                Step::Acquire(i, n) if !model.is_empty() => {
                    let off = nth(i, &model);
                    let (known, handles) = model.get_mut(&off).unwrap();
                    for _ in 0..*n {
                        prop_assert!(refcount::acquire(&me, off, *known).unwrap());
                        prop_assert!(!refcount::acquire(&me, off, *known + 1).unwrap());
                    }
                    *handles += u64::from(*n);
                }
                Step::Release(i) if !model.is_empty() => {
                    let off = nth(i, &model);
                    refcount::release(&me, off);
                    let (known, handles) = model.get_mut(&off).unwrap();
                    *handles -= 1;
                    if *handles == 0 {
                        prop_assert!(!refcount::acquire(&me, off, *known).unwrap());
                        model.remove(&off);
                    }
                }
                Step::Drop(n) => {
                    for _ in 0..*n {
                        let Some((off, (_, handles))) = model.pop_first() else { break };
                        (0..handles).for_each(|_| refcount::release(&me, off));
                    }
                }
                _ => {}
            }
            prop_assert_eq!(whole(&me).unwrap().objects, before + model.len() as u64);
        }
        for (off, (_, handles)) in model {
            (0..handles).for_each(|_| refcount::release(&me, off));
        }
        prop_assert_eq!(whole(&me).unwrap().objects, before);
    }
}

#[test]
fn the_blocks_of_many_handles_go_with_them() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let (before, used) = (whole(&me).unwrap(), heap::in_use(&me));
    let mut random = Random::new(7);
    let sizes: &[u64] = if cfg!(miri) { &[100] } else { &[100, 10_000, 100_000] };
    for &n in sizes {
        let mut all: Vec<Off> = (0..n).map(|_| list::create(&me).unwrap()).collect();
        assert!(blocks(&me) >= n / 60);
        while !all.is_empty() {
            let at = random.below(all.len() as u64) as usize;
            refcount::release(&me, all.swap_remove(at));
        }
        assert!(blocks(&me) <= 5, "{} blocks for nothing", blocks(&me));
    }
    assert_eq!(whole(&me).unwrap().objects, before.objects);
    // Each of the blocks that are left may be the only one in its slab.
    assert!(heap::in_use(&me) <= used + 5 * UNIT, "{} bytes, not {used}", heap::in_use(&me));
}

#[test]
#[cfg_attr(miri, ignore = "long")]
fn references_are_noted_whatever_is_full() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let all = list::create(&me).unwrap();
    let others: Vec<(Off, u64)> = (0..700)
        .map(|_| {
            let off = list::create(&me).unwrap();
            List::at(&me, all).append(Item::Blob(tag::OBJECT, &[], &[off])).unwrap();
            let id = id(&me, off);
            refcount::release(&me, off);
            (off, id)
        })
        .collect();
    full(&me, || {
        let before = heap::in_use(&me);
        for (off, id) in &others {
            assert!(refcount::acquire(&me, *off, *id).unwrap());
        }
        assert!(heap::in_use(&me) > before, "there was room");
        for (off, _) in &others {
            refcount::release(&me, *off);
        }
    });
    refcount::release(&me, all);
}
