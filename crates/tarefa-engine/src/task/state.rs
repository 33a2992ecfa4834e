//! The states of a task.

/// `New → Starting → Running → Finished | Failed | Interrupted | Killed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Made, not started.
    New = 0,
    /// `start()` was called.
    Starting = 1,
    /// The target runs.
    Running = 2,
    /// The target returned.
    Finished = 3,
    /// The target raised, or panicked.
    Failed = 4,
    /// The target was interrupted and did not handle it.
    Interrupted = 5,
    /// The process died without an outcome: a signal, `_exit`, no memory.
    Killed = 6,
}

impl State {
    /// All of them, by their numbers.
    pub const ALL: [Self; 7] = [
        Self::New,
        Self::Starting,
        Self::Running,
        Self::Finished,
        Self::Failed,
        Self::Interrupted,
        Self::Killed,
    ];

    /// The state with that number.
    #[must_use]
    pub fn from_number(n: u32) -> Self {
        Self::ALL.get(n as usize).copied().unwrap_or(Self::Killed)
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        self as u8 >= Self::Finished as u8
    }

    /// Its name, in capitals.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Interrupted => "INTERRUPTED",
            Self::Killed => "KILLED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn each_has_its_number() {
        for (number, state) in (0..).zip(State::ALL) {
            assert_eq!(state as u32, number);
            assert_eq!(State::from_number(number), state);
            assert_eq!(state.is_final(), number >= State::Finished as u32);
        }
        assert_eq!(State::from_number(u32::MAX), State::Killed);
    }
}
