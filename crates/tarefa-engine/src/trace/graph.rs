//! Who can never go on: waits as a graph.
//!
//! A node is a thread that waits. It waits for items (objects, tasks), of which it needs all or
//! any; and of an item's holders all or any must let go first. This is the AND-OR model of E.
//! Knapp, "Deadlock detection in distributed databases", 1987. A thread is stuck if it is in the
//! greatest set whose members can only be let go by members: what is left when, again and again,
//! everybody is taken out whom somebody outside could let go. The cycles are the strongly
//! connected components of that set (R. Tarjan, 1972).

use std::collections::{HashMap, HashSet};

/// How many of several are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Any one.
    One,
    /// Each.
    All,
}

/// What a thread waits for: one object or task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// How many holders must let go.
    pub need: Need,
    /// The threads that hold it; none if somebody unknown, or nobody, can let the waiter go.
    pub holders: Vec<u32>,
}

/// A thread that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// How many of the items it needs.
    pub need: Need,
    /// What it waits for.
    pub items: Vec<Item>,
}

/// Threads that wait, by number.
pub type Graph = HashMap<u32, Node>;

fn holds_back(item: &Item, stuck: &dyn Fn(u32) -> bool) -> bool {
    let mut holders = item.holders.iter();
    !item.holders.is_empty()
        && match item.need {
            Need::One => holders.all(|h| stuck(*h)),
            Need::All => holders.any(|h| stuck(*h)),
        }
}

fn is_stuck(node: &Node, stuck: &dyn Fn(u32) -> bool) -> bool {
    let mut items = node.items.iter();
    !node.items.is_empty()
        && match node.need {
            Need::One => items.all(|i| holds_back(i, stuck)),
            Need::All => items.any(|i| holds_back(i, stuck)),
        }
}

/// The cycles among the threads that can never go on, each in the order in which one waits for
/// the next, where that is a ring. `may_go` are threads that will go on by themselves.
#[must_use]
pub fn cycles(graph: &Graph, may_go: &dyn Fn(u32) -> bool) -> Vec<Vec<u32>> {
    let stuck = stuck(graph, may_go);
    let next = |t: &u32| -> Vec<u32> {
        let holders = graph[t].items.iter().flat_map(|i| &i.holders);
        holders.copied().filter(|h| stuck.contains(h)).collect()
    };
    let mut order: Vec<u32> = stuck.iter().copied().collect();
    order.sort_unstable();
    let mut found = components(&order, &next);
    found.retain(|c| c.len() > 1 || next(&c[0]).contains(&c[0]));
    found.sort_by_key(|c| c.iter().min().copied());
    found
}

/// The greatest set of threads that only its own members could let go.
fn stuck(graph: &Graph, may_go: &dyn Fn(u32) -> bool) -> HashSet<u32> {
    let mut stuck: HashSet<u32> = graph.keys().filter(|t| !may_go(**t)).copied().collect();
    let mut waiters: HashMap<u32, Vec<u32>> = HashMap::new();
    for (thread, node) in graph {
        for holder in node.items.iter().flat_map(|i| &i.holders) {
            waiters.entry(*holder).or_default().push(*thread);
        }
    }
    let mut to_look_at: Vec<u32> = stuck.iter().copied().collect();
    while let Some(thread) = to_look_at.pop() {
        if stuck.contains(&thread) && !is_stuck(&graph[&thread], &|t| stuck.contains(&t)) {
            stuck.remove(&thread);
            to_look_at.extend(waiters.get(&thread).into_iter().flatten());
        }
    }
    stuck
}

/// Strongly connected components, each from the first thread met on, along the waits.
fn components(threads: &[u32], next: &dyn Fn(&u32) -> Vec<u32>) -> Vec<Vec<u32>> {
    struct Visit {
        thread: u32,
        next: Vec<u32>,
        at: usize,
    }
    let mut number: HashMap<u32, usize> = HashMap::new();
    let mut low: HashMap<u32, usize> = HashMap::new();
    let mut open: Vec<u32> = Vec::new();
    let mut is_open: HashMap<u32, bool> = HashMap::new();
    let mut found = Vec::new();
    for root in threads {
        if number.contains_key(root) {
            continue;
        }
        let mut path = vec![Visit { thread: *root, next: next(root), at: 0 }];
        while let Some(visit) = path.last_mut() {
            let thread = visit.thread;
            if visit.at == 0 && !number.contains_key(&thread) {
                let n = number.len();
                number.insert(thread, n);
                low.insert(thread, n);
                open.push(thread);
                is_open.insert(thread, true);
            }
            if let Some(other) = visit.next.get(visit.at).copied() {
                visit.at += 1;
                if !number.contains_key(&other) {
                    path.push(Visit { thread: other, next: next(&other), at: 0 });
                } else if is_open[&other] {
                    let least = low[&thread].min(number[&other]);
                    low.insert(thread, least);
                }
                continue;
            }
            path.pop();
            if let Some(parent) = path.last() {
                let least = low[&parent.thread].min(low[&thread]);
                low.insert(parent.thread, least);
            }
            if low[&thread] == number[&thread] {
                let from = open.iter().rposition(|t| *t == thread).unwrap_or(0);
                let component = open.split_off(from);
                for t in &component {
                    is_open.insert(*t, false);
                }
                found.push(component);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(holders: &[u32]) -> Node {
        Node { need: Need::All, items: vec![Item { need: Need::All, holders: holders.to_vec() }] }
    }

    fn graph(nodes: &[(u32, Node)]) -> Graph {
        nodes.iter().cloned().collect()
    }

    fn found(nodes: &[(u32, Node)]) -> Vec<Vec<u32>> {
        cycles(&graph(nodes), &|_| false)
    }

    #[test]
    fn two_who_wait_for_each_other_are_a_cycle_and_who_waits_for_them_is_not_in_it() {
        assert_eq!(found(&[(1, one(&[2])), (2, one(&[1])), (3, one(&[1]))]), [[1, 2]]);
    }

    #[test]
    fn who_waits_for_itself_is_one() {
        assert_eq!(found(&[(7, one(&[7]))]), [[7]]);
    }

    #[test]
    fn a_ring_is_told_in_the_order_of_its_waits() {
        assert_eq!(found(&[(1, one(&[3])), (3, one(&[2])), (2, one(&[1]))]), [[1, 3, 2]]);
    }

    #[test]
    fn a_chain_that_ends_with_somebody_who_runs_or_is_unknown_is_none() {
        assert!(found(&[(1, one(&[2])), (2, one(&[3]))]).is_empty());
        assert!(found(&[(1, one(&[2])), (2, one(&[]))]).is_empty());
    }

    #[test]
    fn a_thread_that_goes_on_by_itself_breaks_its_cycle() {
        let graph = graph(&[(1, one(&[2])), (2, one(&[1])), (4, one(&[5])), (5, one(&[4]))]);
        assert_eq!(cycles(&graph, &|t| t == 2), [[4, 5]]);
    }

    #[test]
    fn of_several_holders_one_or_all_must_let_go() {
        let held = |need, holders: &[u32]| Node {
            need: Need::All,
            items: vec![Item { need, holders: holders.to_vec() }],
        };
        // Thread 9 runs.
        assert!(found(&[(1, held(Need::One, &[2, 9])), (2, one(&[1]))]).is_empty());
        assert_eq!(found(&[(1, held(Need::All, &[2, 9])), (2, one(&[1]))]), [[1, 2]]);
        assert_eq!(
            found(&[(1, held(Need::One, &[2, 3])), (2, one(&[1])), (3, one(&[1]))]),
            [[1, 2, 3]]
        );
    }

    #[test]
    fn of_several_items_one_or_all_are_needed() {
        let items =
            || [&[2][..], &[9]].map(|h| Item { need: Need::All, holders: h.to_vec() }).to_vec();
        let any = Node { need: Need::One, items: items() };
        let all = Node { need: Need::All, items: items() };
        assert!(found(&[(1, any), (2, one(&[1]))]).is_empty());
        assert_eq!(found(&[(1, all), (2, one(&[1]))]), [[1, 2]]);
    }

    #[test]
    fn a_long_chain_into_a_cycle_is_found_without_deep_recursion() {
        let long = if cfg!(miri) { 100 } else { 50_000 };
        let mut nodes: Vec<_> = (0..long).map(|t| (t, one(&[t + 1]))).collect();
        nodes.push((long, one(&[long - 1])));
        assert_eq!(found(&nodes), [[long - 1, long]]);
    }
}
