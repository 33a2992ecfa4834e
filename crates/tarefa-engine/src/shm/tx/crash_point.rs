//! Named crash points: places where a test kills the process, or has it stay for a while, so that
//! another comes in between.
//!
//! A point stands after every step that changes shared memory. Without the feature
//! `crash-points` it compiles to nothing.

/// Names the step just taken; a test may have the process killed here.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "crash-points")]
        {
            $crate::shm::tx::crash_point::hit($name);
        }
    };
}

#[cfg(feature = "crash-points")]
mod armed {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use crate::atomic::{AtomicBool, Ordering};
    use crate::os::{process, signal};

    #[derive(Default)]
    struct State {
        armed: Option<(String, u64)>,
        seen: Option<BTreeMap<&'static str, u64>>,
        pauses: Vec<(&'static str, Duration)>,
    }

    static STATE: Mutex<State> = Mutex::new(State { armed: None, seen: None, pauses: Vec::new() });

    /// Whether this process has any use for its points: a member that is stepped passes them quickly.
    static IN_USE: AtomicBool = AtomicBool::new(false);

    fn use_points() -> std::sync::MutexGuard<'static, State> {
        // not shared: of this process alone.
        IN_USE.store(true, Ordering::Relaxed);
        STATE.lock().unwrap()
    }

    /// Kills this process at the `nth` pass (from 1) of the point `name` from now on.
    pub fn arm(name: &str, nth: u64) {
        use_points().armed = Some((name.to_owned(), nth));
    }

    /// Disarms this process.
    pub fn disarm() {
        STATE.lock().unwrap().armed = None;
    }

    /// From now on a thread stays at the point `name` for that long each time that it passes.
    pub fn pause(name: &'static str, time: Duration) {
        use_points().pauses.push((name, time));
    }

    /// From now on none stays there any more.
    pub fn go_on(name: &str) {
        STATE.lock().unwrap().pauses.retain(|(paused, _)| *paused != name);
    }

    /// Starts counting the points this process passes.
    pub fn record() {
        use_points().seen = Some(BTreeMap::new());
    }

    /// The points passed since [`record`], with how often.
    #[must_use]
    pub fn recorded() -> BTreeMap<&'static str, u64> {
        STATE.lock().unwrap().seen.take().unwrap_or_default()
    }

    /// What `crash_point!` calls.
    #[inline]
    pub fn hit(name: &'static str) {
        if IN_USE.load(Ordering::Relaxed) {
            pass(name);
        }
    }

    #[cold]
    fn pass(name: &'static str) {
        let mut state = STATE.lock().unwrap();
        if let Some(seen) = &mut state.seen {
            *seen.entry(name).or_default() += 1;
        }
        if let Some((armed, left)) = &mut state.armed {
            if armed == name {
                *left -= 1;
                if *left == 0 {
                    let _ = signal::send_process(process::pid(), libc::SIGKILL);
                    loop {
                        process::yield_now();
                    }
                }
            }
        }
        let pause = state.pauses.iter().find(|(paused, _)| *paused == name).map(|(_, time)| *time);
        drop(state);
        if let Some(time) = pause {
            std::thread::sleep(time);
        }
    }
}

#[cfg(feature = "crash-points")]
pub use armed::{arm, disarm, go_on, hit, pause, record, recorded};
