//! Which processors the workers of a pool may use.

use std::fmt;

use crate::os::machine;

/// Processors for each place of a pool; those of more places than there are sets begin anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinning {
    sets: Vec<Vec<usize>>,
}

/// Why workers cannot be pinned so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinError {
    /// There is no set.
    NoSets,
    /// The set of that place has no processor.
    Empty(usize),
    /// This process may not use that processor, but these.
    NotUsable(usize, Vec<usize>),
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSets => f.write_str("there are no processors to pin workers to"),
            Self::Empty(place) => write!(f, "the set of processors at {place} is empty"),
            Self::NotUsable(processor, usable) => {
                write!(f, "this process may not use processor {processor}, but only ")?;
                for (i, one) in usable.iter().enumerate() {
                    write!(f, "{}{one}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for PinError {}

impl Pinning {
    /// A processor for each place, of those that this process may use now.
    #[must_use]
    pub fn one_each() -> Self {
        Self { sets: machine::usable_processors().into_iter().map(|it| vec![it]).collect() }
    }

    /// These sets.
    ///
    /// # Errors
    /// There is none, one is empty, or has a processor that this process may not use.
    pub fn new(sets: Vec<Vec<usize>>) -> Result<Self, PinError> {
        if sets.is_empty() {
            return Err(PinError::NoSets);
        }
        let usable = machine::usable_processors();
        for (place, set) in sets.iter().enumerate() {
            if set.is_empty() {
                return Err(PinError::Empty(place));
            }
            if let Some(other) = set.iter().find(|it| !usable.contains(it)) {
                return Err(PinError::NotUsable(*other, usable));
            }
        }
        Ok(Self { sets })
    }

    /// The processors of the worker at a place.
    #[must_use]
    pub fn at(&self, place: usize) -> &[usize] {
        &self.sets[place % self.sets.len()]
    }
}

/// The first place that nobody has.
pub fn free_place(taken: impl Iterator<Item = usize>) -> usize {
    let mut taken: Vec<_> = taken.collect();
    taken.sort_unstable();
    taken.dedup();
    (0..taken.len()).find(|place| taken[*place] != *place).unwrap_or(taken.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_begin_anew_behind_the_last_set() {
        let usable = machine::usable_processors();
        let each = Pinning::one_each();
        assert!((0..9).all(|place| each.at(place) == [usable[place % usable.len()]]));
        let all = Pinning::new(vec![usable.clone(), vec![usable[0]]]).unwrap();
        assert_eq!((all.at(2), all.at(3)), (&*usable, &usable[..1]));
    }

    #[test]
    fn sets_that_cannot_be_are_refused() {
        let first = machine::usable_processors()[0];
        assert_eq!(Pinning::new(vec![]), Err(PinError::NoSets));
        assert_eq!(Pinning::new(vec![vec![first], vec![]]), Err(PinError::Empty(1)));
        let refused = Pinning::new(vec![vec![first, 1 << 20]]).unwrap_err();
        assert!(refused.to_string().contains("may not use processor 1048576, but only "));
    }

    #[test]
    fn who_follows_gets_the_place_of_who_has_gone() {
        assert_eq!(free_place([].into_iter()), 0);
        assert_eq!(free_place([2, 0, 1].into_iter()), 3);
        assert_eq!(free_place([3, 0, 2].into_iter()), 1);
    }
}
