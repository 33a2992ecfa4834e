//! Who is next among tasks that wait: whose resources are free, who has the highest priority, and who came
//! first.
//!
//! It is its owner's alone. A task has its units from [`Schedule::take_next`] to [`Schedule::end`]; what comes
//! after it does not overtake a task that waits for the same resource, so none waits for ever.

use std::collections::VecDeque;

/// Units of resources: of which, and which one.
pub type Units = Vec<(u32, u32)>;

#[derive(Debug)]
struct Waiting {
    task: u64,
    priority: i64,
    /// Of which resource how much.
    amounts: Vec<(u32, u32)>,
}

/// See the module.
#[derive(Debug)]
pub struct Schedule {
    /// The units of each resource that nobody has.
    free: Vec<VecDeque<u32>>,
    /// The next one first: by priority, then as they came.
    waiting: VecDeque<Waiting>,
    /// Whether all tasks wait in it, for some have a priority.
    is_for_all: bool,
}

impl Schedule {
    /// For resources of which there is so much each.
    #[must_use]
    pub fn new(amounts: impl IntoIterator<Item = u32>) -> Self {
        let free = amounts.into_iter().map(|amount| (0..amount).collect()).collect();
        Self { free, waiting: VecDeque::new(), is_for_all: false }
    }

    /// A task waits for so much of some resources, if any, and for those with a higher priority. There must be
    /// as much.
    pub fn add(&mut self, task: u64, priority: i64, amounts: Vec<(u32, u32)>) {
        let at = self.waiting.partition_point(|it| it.priority >= priority);
        self.waiting.insert(at, Waiting { task, priority, amounts });
    }

    /// Whether all tasks are to wait in it, those without resources as well.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.is_for_all
    }

    /// Has all tasks wait in it from now on: some have a priority. Whether that is new.
    pub fn take_all(&mut self) -> bool {
        !std::mem::replace(&mut self.is_for_all, true)
    }

    /// Whether a task waits.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The task does not wait any more; whether it did.
    pub fn withdraw(&mut self, task: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|it| it.task != task);
        self.waiting.len() != before
    }

    /// The next task, with its units from now on.
    #[must_use = "the units are the task's"]
    pub fn take_next(&mut self) -> Option<(u64, Units)> {
        let mut blocked: Vec<u32> = Vec::new();
        let at = self.waiting.iter().position(|it| {
            let is_blocked = it.amounts.iter().any(|(resource, _)| blocked.contains(resource));
            let free = |(resource, amount): &(u32, u32)| {
                self.free.get(*resource as usize).is_some_and(|f| f.len() >= *amount as usize)
            };
            if !is_blocked && it.amounts.iter().all(free) {
                return true;
            }
            blocked.extend(it.amounts.iter().map(|(resource, _)| *resource));
            false
        })?;
        let found = self.waiting.remove(at)?;
        let mut units = Units::new();
        for (resource, amount) in found.amounts {
            let free = &mut self.free[resource as usize];
            units.extend(free.drain(..amount as usize).map(|unit| (resource, unit)));
        }
        Some((found.task, units))
    }

    /// A task has its result: its units are free.
    pub fn end(&mut self, units: Units) {
        for (resource, unit) in units {
            if let Some(free) = self.free.get_mut(resource as usize) {
                free.push_back(unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_first_is_not_overtaken() {
        let mut it = Schedule::new([2, 1]);
        it.add(1, 0, vec![(0, 1)]);
        it.add(2, 0, vec![(0, 2)]);
        it.add(3, 0, vec![(0, 1)]);
        it.add(4, 0, vec![(1, 1)]);
        assert_eq!(it.take_next(), Some((1, vec![(0, 0)])));
        // The second waits for both, and the third behind it; the fourth needs none of them.
        assert_eq!(it.take_next(), Some((4, vec![(1, 0)])));
        assert_eq!(it.take_next(), None);
        it.end(vec![(0, 0)]);
        assert_eq!(it.take_next(), Some((2, vec![(0, 1), (0, 0)])));
        assert!(it.withdraw(3) && !it.withdraw(3) && !it.has_waiting());
    }
    #[test]
    fn who_has_a_higher_priority_comes_first() {
        let mut it = Schedule::new([1]);
        for (task, priority) in [(1, 0), (2, 5), (3, -1), (4, 5), (5, 0)] {
            it.add(task, priority, Vec::new());
        }
        it.add(6, 9, vec![(0, 1)]);
        it.add(7, 10, vec![(0, 1)]);
        let order: Vec<_> = std::iter::from_fn(|| it.take_next()).map(|(task, _)| task).collect();
        assert_eq!(order, [7, 2, 4, 1, 5, 3]);
        it.end(vec![(0, 0)]);
        assert_eq!(it.take_next().map(|(task, _)| task), Some(6));
    }
}
