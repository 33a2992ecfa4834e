//! The member that dies.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::scenarios::{Around, SCENARIOS};
use crate::support::traced::{self, GAVE_UP};
use crate::support::{self, Shared, acknowledge, use_all};
use tarefa_engine::os::{process, spawn};
use tarefa_engine::shm::tx::crash_point;

pub(crate) const VICTIM: &str = "TAREFA_CRASH_VICTIM";

/// `shared/scenario/point/nth`, or `shared/scenario/record/path`, or an order to follow.
pub(crate) fn victim(text: &str) -> ! {
    let words: Vec<&str> = text.splitn(4, '|').collect();
    let scenario = &SCENARIOS[words[1].parse::<usize>().unwrap()];
    if words[2] == traced::POINT {
        traced::follow(words[3]);
    }
    let start = || match words[2] {
        "record" => crash_point::record(),
        traced::POINT => traced::mark(),
        point => {
            crash_point::arm(point, words[3].parse().unwrap());
            if point == "latch.taken_spinning" {
                // Else who holds the latch must let go within a microsecond or two.
                crash_point::pause("latch.spinning", Duration::from_micros(100));
            }
        }
    };
    if scenario.around == Around::Foreign {
        // SAFETY: this process has one thread.
        if unsafe { spawn::fork_child() }.unwrap() != 0 {
            process::exit_now(0);
        }
        while process::parent() == words[0].split(' ').next().unwrap().parse::<i32>().unwrap() {}
    }
    let early = matches!(scenario.around, Around::Attach | Around::Refused | Around::Foreign);
    if early {
        start();
    }
    let joined = traced::attempt(|| {
        if scenario.around == Around::Refused {
            support::join_for_nothing(words[0]);
        }
        let (runtime, shared) = Shared::join(words[0]);
        (runtime.me(), shared)
    });
    let Some((me, shared)) = joined else { give_up() };
    if !early {
        start();
    }
    let all_done = traced::attempt(|| {
        for step in scenario.steps {
            step.run(&me, &shared);
            acknowledge(1);
        }
    });
    if all_done.is_none() {
        // With a call that has failed the process is as good a member as before.
        if let Err(e) = use_all(&me, &shared) {
            traced::complain(&e);
        }
        give_up();
    }
    shared.release(&me);
    if words[2] == "record" {
        save(Path::new(words[3]), &crash_point::recorded());
    }
    crash_point::disarm();
    acknowledge(2);
    process::exit_now(0)
}

/// Ends this process as one that a failed call has kept from its work.
fn give_up() -> ! {
    acknowledge(GAVE_UP);
    process::exit_now(0)
}

pub(crate) fn save(path: &Path, seen: &BTreeMap<&str, u64>) {
    let lines: String = seen.iter().map(|(name, n)| format!("{name} {n}\n")).collect();
    // Whole or not at all: the writer may be killed.
    let aside = path.with_extension(process::pid().to_string());
    std::fs::write(&aside, lines).unwrap();
    std::fs::rename(&aside, path).unwrap();
}
