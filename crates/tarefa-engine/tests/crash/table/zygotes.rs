//! A zygote that is this test, executed again.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::orphans::linger;
use crate::support::wait_for_members;
use tarefa_engine::atomic::Ordering;
use tarefa_engine::os::{process, signal};
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::blob;
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::task::process::spares::mailbox;
use tarefa_engine::task::process::zygote_control;
use tarefa_engine::task::process::zygote_control::zygote_state;
use tarefa_engine::task::record::Task;
use tarefa_engine::task::zygote::Front;
use tarefa_engine::task::{self, State, supervisor, zygote};

use crate::{save, saved};

pub(crate) const ZYGOTE: &str = "TAREFA_CRASH_ZYGOTE";

pub(crate) struct TestFront {
    /// Where the points passed are noted: by the zygote, and by a child.
    notes: Option<PathBuf>,
    seen: BTreeMap<&'static str, u64>,
}

/// Armed in the children, with the pass; else they count what they pass.
static IN_CHILDREN: Mutex<Option<(String, u64)>> = Mutex::new(None);

/// In a child of the zygote, from its first instruction on.
extern "C" fn is_child() {
    crash_point::disarm();
    if let Some((name, nth)) = &*IN_CHILDREN.lock().unwrap() {
        crash_point::arm(name, *nth);
    } else {
        crash_point::record();
    }
}

impl TestFront {
    fn note(&mut self, what: &str) {
        if let Some(path) = &self.notes {
            for (name, n) in crash_point::recorded() {
                *self.seen.entry(name).or_default() += n;
            }
            // The most that one process passes: children made ahead pass other points than others.
            let path = path.with_extension(what);
            let before = saved(&path);
            let most = |name: &'static str, n: u64| n.max(before.get(name).copied().unwrap_or(0));
            let mut all: BTreeMap<&str, u64> = before.iter().map(|(k, n)| (&**k, *n)).collect();
            all.extend(self.seen.iter().map(|(name, n)| (*name, most(name, *n))));
            save(&path, &all);
            crash_point::record();
        }
    }
}

impl Front for TestFront {
    fn before_fork(&mut self) {
        self.note("zygote");
    }

    fn after_fork_in_parent(&mut self) {
        self.note("zygote");
    }

    fn after_fork_in_child(&mut self, _: &'static Runtime, _: bool) {
        self.seen.clear();
    }

    fn run(&mut self, runtime: &'static Runtime, off: Off) -> ! {
        let me = runtime.me();
        let task = Task::at(&me, off);
        if task.run_here() {
            linger(&task.payload().map(|p| blob::read(&me, p)).unwrap_or_default());
            task.drop_payload();
            task.finish(State::Finished, 0, Some((21, &[b"outcome"], &[])));
        }
        self.note("child");
        zygote::leave(runtime, 0)
    }

    fn message(&mut self, _: &[u8]) -> bool {
        self.note("zygote");
        false
    }
}

/// `root fd id|zygote or child|point or record|nth|flag or notes`
pub(crate) fn serve(text: &str) -> ! {
    let words: Vec<&str> = text.split('|').collect();
    let numbers: Vec<u64> = words[0].split(' ').map(|w| w.parse().unwrap()).collect();
    let slot = std::env::args().next_back().unwrap().parse().unwrap();
    task::register();
    let address = Address { root: numbers[0] as i32, memory_fd: numbers[1] as i32, id: numbers[2] };
    let mut front = TestFront { notes: None, seen: BTreeMap::new() };
    // The first zygote of a case is armed, its successors are not.
    if words[2] == "record" {
        front.notes = Some(PathBuf::from(words[4]));
        crash_point::record();
    } else if !words[2].is_empty() && std::fs::remove_file(words[4]).is_ok() {
        let nth = words[3].parse().unwrap();
        if words[1] == "child" {
            *IN_CHILDREN.lock().unwrap() = Some((words[2].to_owned(), nth));
        } else {
            crash_point::arm(words[2], nth);
        }
    }
    let runtime = match Runtime::attach_in(address, slot) {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("zygote: {e}");
            process::exit_now(1)
        }
    };
    process::on_fork_in_child(is_child);
    zygote::serve(runtime, &mut front)
}

pub(crate) fn plan_zygote(
    runtime: &'static Runtime,
    who: &str,
    point: &str,
    nth: u64,
    path: &Path,
) {
    let address = runtime.address();
    let text = format!(
        "{ZYGOTE}={} {} {}|{who}|{point}|{nth}|{}",
        address.root,
        address.memory_fd,
        address.id,
        path.display()
    );
    let exe = std::env::current_exe().unwrap();
    let argv = vec![CString::new(exe.as_os_str().as_bytes()).unwrap()];
    let envp = vec![CString::new(text).unwrap()];
    supervisor::set_zygote(supervisor::Zygote::Execute(argv, envp, supervisor::AddressIn::Given));
}

/// Until a spare waits for a task.
pub(crate) fn wait_for_a_spare(me: &Member) -> Result<(), String> {
    let arena = me.runtime().arena();
    let is_spare = |index| {
        let slot = slots::process_slot(arena, index);
        slot.role.load(Ordering::Acquire) == task::role::SPARE
            && slot.mailbox.load(Ordering::Acquire) == mailbox::IDLE
    };
    let start = Instant::now();
    while !slots::processes(arena).any(is_spare) {
        if start.elapsed() > Duration::from_secs(10) {
            return Err("no spare waits for a task".into());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// Ends the zygote and its spares, and waits until they are gone.
pub(crate) fn end_zygote(me: &Member) -> Result<(), String> {
    let runtime = me.runtime();
    task::process::set_spares(me, 0).map_err(|e| e.to_string())?;
    let start = Instant::now();
    // A message may still wait for the zygote, which serves starts first.
    let control = zygote_control::get(me).map_err(|e| e.to_string())?;
    while control.message.load(Ordering::Acquire) != 0
        && control.zygote.load(Ordering::Acquire) == zygote_state::READY
        && start.elapsed() < Duration::from_secs(1)
    {
        std::thread::sleep(Duration::from_micros(100));
    }
    // Again and again, for one may be made anew while its children live.
    loop {
        let mut members = 0;
        for index in slots::processes(runtime.arena()) {
            let slot = slots::process_slot(runtime.arena(), index);
            let (pid, _) = slots::owner(slot);
            members += usize::from(pid != 0);
            let role = slot.role.load(Ordering::Acquire);
            if pid > 0 && pid != process::pid() && role != task::role::MEMBER {
                let _ = signal::send_process(pid, libc::SIGKILL);
            }
        }
        // One that is wanted has no slot until the supervisor comes to it. Looked at after the
        // slots: a zygote's is given back when it is known whether another is wanted.
        if members <= 1 && control.zygote.load(Ordering::Acquire) == zygote_state::NONE {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(10) {
            return wait_for_members(runtime, 0);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
