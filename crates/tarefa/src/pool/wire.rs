//! What a pool of processes and its workers tell each other.
//!
//! | a batch of tasks | |
//! |---|---|
//! | number | 8 bytes |
//! | how many tasks, which attempt, flags, units of resources | 4 bytes each |
//! | where what calls the function lies ([`CodePlace`]) | 24 bytes |
//! | each unit: of which resource, which one | 4 bytes each |
//! | where the arguments of each task end | 8 bytes each |
//! | the arguments of all tasks | |
//!
//! | a result | |
//! |---|---|
//! | the batch's number, and below it the task's place there | 8 bytes |
//! | [`Status`] | 1 byte |
//! | what that says | |

use tarefa_engine::os::code_place::CodePlace;

/// Bits of a task's place in its batch.
const INDEX: u32 = 24;

/// The worker says how long the batch took.
pub(super) const TIMED: u32 = 1;

const PLACE_AT: usize = 24;
const HEAD: usize = PLACE_AT + CodePlace::BYTES;

/// What a batch starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) count: u32,
    pub(super) attempt: u32,
    pub(super) flags: u32,
    pub(super) place: CodePlace,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// What comes before the arguments. `units` are resources, and which one of each.
pub(super) fn batch(head: Head, units: &[(u32, u32)], ends: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + units.len() * 8 + ends.len() * 8);
    bytes.extend_from_slice(&head.number.to_le_bytes());
    for n in [head.count, head.attempt, head.flags, units.len() as u32] {
        bytes.extend_from_slice(&n.to_le_bytes());
    }
    bytes.extend_from_slice(&head.place.to_bytes());
    for (resource, unit) in units {
        bytes.extend_from_slice(&resource.to_le_bytes());
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    for end in ends {
        bytes.extend_from_slice(&end.to_le_bytes());
    }
    bytes
}

/// A batch as a worker reads it.
#[derive(Debug)]
pub(super) struct Arrived<'a> {
    pub(super) head: Head,
    pub(super) units: Vec<(u32, u32)>,
    ends: &'a [u8],
    calls: &'a [u8],
}

impl<'a> Arrived<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let place: [u8; CodePlace::BYTES] = bytes.get(PLACE_AT..HEAD)?.try_into().ok()?;
        let head = Head {
            number: u64_at(bytes, 0)?,
            count: u32_at(bytes, 8)?,
            attempt: u32_at(bytes, 12)?,
            flags: u32_at(bytes, 16)?,
            place: CodePlace::from_bytes(&place),
        };
        let (units, rest) = bytes[HEAD..].split_at_checked(u32_at(bytes, 20)? as usize * 8)?;
        let units = units.chunks_exact(8).map(|u| Some((u32_at(u, 0)?, u32_at(u, 4)?)));
        let (ends, calls) = rest.split_at_checked(head.count as usize * 8)?;
        Some(Self { head, units: units.collect::<Option<_>>()?, ends, calls })
    }

    /// The arguments of a task.
    pub(super) fn call(&self, index: u32) -> &'a [u8] {
        let end = |i: u32| u64_at(self.ends, i as usize * 8).map(|end| end as usize);
        let start = index.checked_sub(1).map_or(Some(0), end);
        start.zip(end(index)).and_then(|(a, b)| self.calls.get(a..b)).unwrap_or_default()
    }
}

/// What a result says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The encoded value that the function returned.
    Value,
    /// The same, an error with an `Interrupted` in it.
    Interrupted,
    /// What a panic said.
    Panicked,
    /// Why the arguments cannot be read.
    Unread,
    /// Why the value cannot be sent.
    Unsent,
    /// A worker died in the task: its serial number.
    Died,
    /// Values of tasks that follow each other, as words.
    Kept,
    /// How many nanoseconds the batch took, and how many of its tasks were run.
    Took,
}

const STATUSES: [Status; 8] = [
    Status::Value,
    Status::Interrupted,
    Status::Panicked,
    Status::Unread,
    Status::Unsent,
    Status::Died,
    Status::Kept,
    Status::Took,
];

/// What a result starts with.
pub(super) const RESULT_HEAD: usize = 9;

pub(super) fn result(number: u64, index: u32, status: Status) -> [u8; RESULT_HEAD] {
    let mut bytes = [0; RESULT_HEAD];
    bytes[..8].copy_from_slice(&(number << INDEX | u64::from(index)).to_le_bytes());
    bytes[8] = status as u8;
    bytes
}

/// Number, place, status, and what that says.
pub(super) fn read_result(bytes: &[u8]) -> Option<(u64, u32, Status, &[u8])> {
    let (head, rest) = bytes.split_at_checked(RESULT_HEAD)?;
    let id = u64_at(head, 0)?;
    let status = *STATUSES.get(usize::from(head[8]))?;
    Some((id >> INDEX, (id & ((1 << INDEX) - 1)) as u32, status, rest))
}

/// Two numbers.
pub(super) fn pair(a: u64, b: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&a.to_le_bytes());
    bytes[8..].copy_from_slice(&b.to_le_bytes());
    bytes
}

pub(super) fn read_pair(bytes: &[u8]) -> Option<(u64, u64)> {
    Some((u64_at(bytes, 0)?, u64_at(bytes, 8)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_comes_back() {
        let place = CodePlace::from_bytes(&[7; CodePlace::BYTES]);
        let head = Head { number: 1 << 39, count: 3, attempt: 2, flags: TIMED, place };
        let mut bytes = batch(head, &[(0, 3), (1, 0)], &[2, 2, 5]);
        bytes.extend_from_slice(b"abcde");
        let found = Arrived::of(&bytes).unwrap();
        assert_eq!((found.head, &found.units[..]), (head, &[(0, 3), (1, 0)][..]));
        assert_eq!([0, 1, 2].map(|i| found.call(i)), [&b"ab"[..], b"", b"cde"]);
        assert!(found.call(3).is_empty());
        for end in 0..bytes.len() - 5 {
            assert!(Arrived::of(&bytes[..end]).is_none());
        }
    }

    #[test]
    fn a_result_comes_back() {
        for (i, status) in STATUSES.into_iter().enumerate() {
            assert_eq!(status as usize, i);
            let mut bytes = result(5, (1 << 24) - 1, status).to_vec();
            bytes.push(9);
            assert_eq!(read_result(&bytes), Some((5, (1 << 24) - 1, status, &[9][..])));
        }
        assert!(read_result(&[0; 8]).is_none());
        assert!(read_result(&[99; 9]).is_none());
        assert_eq!(read_pair(&pair(1, u64::MAX)), Some((1, u64::MAX)));
    }
}
