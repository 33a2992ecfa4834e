//! A program gives rights up, and who is about to follow it is killed at each step of that.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tarefa_engine::atomic::Ordering;
use tarefa_engine::os::credentials::Capabilities;
use tarefa_engine::os::process;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::task;
use tarefa_engine::task::process::zygote_control;

use crate::starts::start_and_join;
use crate::support;
use crate::zygotes::{end_zygote, plan_zygote};

pub(crate) const PROGRAM: &str = "TAREFA_CRASH_IDENTITY";
pub(crate) const STARTER: &str = "TAREFA_CRASH_STARTER";

/// Where a starter dies that is another than the zygote.
pub(crate) const STARTERS: &[&str] =
    &["", "identity.others", "process.identity", "task.no_refusal"];

/// Where the zygote dies that is to give up what the program has given up.
pub(crate) const ZYGOTES: &[&str] = &[
    "",
    "identity.lowering",
    "identity.replacing",
    "identity.replaced",
    "identity.noted",
    "zygote.dismissed",
    "zygote.unlisted",
];

/// Runs the program; whether somebody died at the point.
pub(crate) fn goes_on(who: &str, point: &str, flag: &Path) -> Result<bool, String> {
    std::fs::write(flag, "").map_err(|e| e.to_string())?;
    let mut root = support::execute(PROGRAM, &format!("{who}|{point}|{}", flag.display()));
    let text = String::from_utf8_lossy(&support::written(&mut root)).into_owned();
    let _ = root.wait();
    match text.as_str() {
        "killed; whole" => Ok(true),
        "whole" => Ok(point.is_empty()),
        other => Err(format!("{other:?}")),
    }
}

/// Whether a test may take a right from its program: it needs one to have it taken away.
pub(crate) fn has_rights() -> bool {
    process::user() == 0
}

/// From now on the calling thread is another to the system than the zygote, without any rights.
fn become_another() {
    // SAFETY: a plain call.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
}

fn zygote_of(me: &Member) -> Result<i32, String> {
    let control = zygote_control::get(me).map_err(|e| e.to_string())?;
    let Some(index) = control.zygote_slot.load(Ordering::Acquire).checked_sub(1) else {
        return Ok(0);
    };
    let slot = tarefa_engine::shm::member::slots::process_slot(me.arena(), index as u32);
    Ok(tarefa_engine::shm::member::slots::owner(slot).0)
}

/// The program.
pub(crate) fn program(text: &str) -> ! {
    let words: Vec<&str> = text.split('|').collect();
    let result = match words[0] {
        "zygote" => lower(words[1], Path::new(words[2])),
        _ => start_as_another(words[1]),
    };
    print!("{}", result.unwrap_or_else(|e| e));
    let _ = std::io::stdout().flush();
    process::exit_now(0)
}

/// The root gives up a capability; its zygote dies at `point`.
fn lower(point: &str, flag: &Path) -> Result<String, String> {
    let runtime = task::runtime().map_err(|e| e.to_string())?;
    let me = &runtime.me();
    plan_zygote(runtime, "zygote", point, if point == "identity.noted" { 2 } else { 1 }, flag);
    task::process::set_spares(me, 3).map_err(|e| e.to_string())?;
    start_and_join(me)?;
    std::thread::sleep(Duration::from_millis(10));
    let before = zygote_of(me)?;
    // CAP_NET_RAW
    Capabilities::limit(!(1 << 13));
    for _ in 0..4 {
        start_and_join(me)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = zygote_of(me)? != before;
    finish(me, killed)
}

/// A member with other rights starts a task, and dies at `point`.
fn start_as_another(point: &str) -> Result<String, String> {
    let runtime = task::runtime().map_err(|e| e.to_string())?;
    let me = &runtime.me();
    plan_zygote(runtime, "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, 3).map_err(|e| e.to_string())?;
    start_and_join(me)?;
    let text = format!("{}|{point}", support::text(runtime.address(), &[]));
    let mut starter = support::execute(STARTER, &text);
    let killed = !support::written(&mut starter).contains(&2);
    let _ = starter.wait();
    for _ in 0..3 {
        start_and_join(me)?;
    }
    finish(me, killed)
}

fn finish(me: &Member, killed: bool) -> Result<String, String> {
    end_zygote(me)?;
    support::wait_for_members(me.runtime(), 0)?;
    support::whole(me)?;
    Ok(if killed { "killed; whole" } else { "whole" }.to_owned())
}

/// The member.
pub(crate) fn starter(text: &str) -> ! {
    let (text, point) = text.split_once('|').unwrap();
    let (runtime, _) = support::join(text);
    let me = runtime.me();
    become_another();
    if !point.is_empty() {
        crash_point::arm(point, 1);
    }
    start_and_join(&me).unwrap();
    support::acknowledge(2);
    process::exit_now(0)
}
