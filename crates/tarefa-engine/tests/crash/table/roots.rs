//! A program of its own, each of whose calls fails: it is told why, or goes on, and nothing outlives it.

use std::path::Path;

use crate::orphans::{ROOT, made_for, within};
use crate::starts::start_and_join;
use crate::support::traced::{self, GAVE_UP, Order, mark, tries};
use crate::support::{self, acknowledge, int};
use crate::zygotes::plan_zygote;
use tarefa_engine::collections::list::{self, List};
use tarefa_engine::os::{process, signal};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::task;

/// What the environment of such a program says before its order.
pub(crate) const TRACED: &str = "traced ";

const ENDED: u8 = 2;

/// The program: it makes a runtime, a list, and two processes.
pub(crate) fn program(order: &str) -> ! {
    traced::follow(order);
    let done = traced::attempt(|| {
        mark();
        let runtime = task::runtime().unwrap();
        let me = runtime.me();
        mark();
        let off = list::create(&me).unwrap();
        List::at(&me, off).append(int(1)).unwrap();
        plan_zygote(runtime, "zygote", "", 0, Path::new(""));
        mark();
        task::process::set_spares(&me, 0).unwrap();
        start_and_join(&me).unwrap();
        mark();
        start_and_join(&me).unwrap();
        mark();
        assert_eq!(List::at(&me, off).len(), 1);
        refcount::release(&me, off);
    });
    acknowledge(if done.is_some() { ENDED } else { GAVE_UP });
    process::exit_now(0)
}

/// Runs it with that order: true where what the order says came to pass.
pub(crate) fn run(order: &Order) -> Result<bool, String> {
    let mut child = support::execute(ROOT, &format!("{TRACED}{order}"));
    let written = support::written(&mut child);
    let _ = child.wait();
    let met = tries::outcome(order, &written, written.contains(&ENDED));
    let root = tries::pid(order).unwrap_or(child.id() as i32);
    let left = within("all end that was made for the root", || made_for(root).is_empty());
    left.inspect_err(|_| {
        for pid in made_for(root) {
            let _ = signal::send_process(pid, libc::SIGKILL);
        }
    })?;
    met
}
