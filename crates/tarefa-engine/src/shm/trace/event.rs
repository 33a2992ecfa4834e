//! What an event says, in four words.

/// Bytes of an event.
pub(super) const SIZE: u64 = 32;
/// Words of an event.
pub(super) const WORDS: usize = 4;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The thread runs a task from now on: the object's id.
    TaskBegins {
        /// The task.
        task: u64,
        /// Whether it is a thread's; else its process's.
        is_thread: bool,
    },
    /// It has ended.
    TaskEnds {
        /// The task.
        task: u64,
        /// How.
        how: Ended,
    },
    /// The thread, a worker of a pool, makes a call for it.
    CallBegins {
        /// The pool.
        pool: u64,
        /// The batch, as the pool counts them.
        batch: u64,
        /// The call's place in the batch.
        index: u32,
    },
    /// That call has ended.
    CallEnds {
        /// The pool.
        pool: u64,
        /// The batch.
        batch: u64,
        /// The call's place in the batch.
        index: u32,
        /// How.
        how: Ended,
    },
    /// A process has ended; written by who watches it.
    ProcessEnds {
        /// What locks remember of it: see [`crate::shm::member::slots::lock_owner`].
        owner: u32,
        /// The signal that has ended it, or 0.
        signal: u32,
        /// Its exit code, or 0.
        code: u32,
    },
}

/// How a task or a call ended, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ended {
    /// It returned.
    Returned = 0,
    /// It raised an error, or panicked.
    Failed = 1,
    /// It was interrupted.
    Interrupted = 2,
}

impl Ended {
    fn from_number(n: u64) -> Self {
        match n & 0xff {
            0 => Self::Returned,
            2 => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// The number of the name of what begins or ends, 0 for none: see [`super::intern`].
    pub name: u16,
    /// What.
    pub what: What,
}

const TASK_BEGINS: u64 = 1;
const TASK_ENDS: u64 = 2;
const CALL_BEGINS: u64 = 3;
const CALL_ENDS: u64 = 4;
const PROCESS_ENDS: u64 = 5;

impl Event {
    /// Kind, how it ended, name and index share the second word: 8, 8, 16 and 32 bits.
    pub(super) fn pack(self) -> [u64; WORDS] {
        let (kind, how, index, rest) = match self.what {
            What::TaskBegins { task, is_thread } => {
                (TASK_BEGINS, 0, 0, [task, u64::from(is_thread)])
            }
            What::TaskEnds { task, how } => (TASK_ENDS, how as u64, 0, [task, 0]),
            What::CallBegins { pool, batch, index } => (CALL_BEGINS, 0, index, [pool, batch]),
            What::CallEnds { pool, batch, index, how } => {
                (CALL_ENDS, how as u64, index, [pool, batch])
            }
            What::ProcessEnds { owner, signal, code } => {
                (PROCESS_ENDS, 0, owner, [u64::from(signal), u64::from(code)])
            }
        };
        let second = kind | how << 8 | u64::from(self.name) << 16 | u64::from(index) << 32;
        [self.at_ns, second, rest[0], rest[1]]
    }

    /// `None` for what is none.
    pub(super) fn unpack(words: [u64; WORDS]) -> Option<Self> {
        let [at_ns, second, first, last] = words;
        let (index, how) = ((second >> 32) as u32, Ended::from_number(second >> 8));
        let what = match second & 0xff {
            TASK_BEGINS => What::TaskBegins { task: first, is_thread: last != 0 },
            TASK_ENDS => What::TaskEnds { task: first, how },
            CALL_BEGINS => What::CallBegins { pool: first, batch: last, index },
            CALL_ENDS => What::CallEnds { pool: first, batch: last, index, how },
            PROCESS_ENDS => {
                What::ProcessEnds { owner: index, signal: first as u32, code: last as u32 }
            }
            _ => return None,
        };
        Some(Self { at_ns, name: (second >> 16) as u16, what })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_four_words() {
        let (pool, batch, index, how) = (u64::MAX, 1 << 50, u32::MAX, Ended::Interrupted);
        for what in [
            What::TaskBegins { task: 7, is_thread: true },
            What::TaskBegins { task: u64::MAX, is_thread: false },
            What::TaskEnds { task: 7, how: Ended::Failed },
            What::CallBegins { pool, batch, index },
            What::CallEnds { pool, batch, index, how },
            What::ProcessEnds { owner: u32::MAX, signal: 9, code: 0 },
            What::ProcessEnds { owner: 1, signal: 0, code: 255 },
        ] {
            for name in [0, 1, u16::MAX] {
                let event = Event { at_ns: 1 << 60, name, what };
                assert_eq!(Event::unpack(event.pack()), Some(event));
            }
        }
        assert_eq!(Event::unpack([0; WORDS]), None);
    }
}
