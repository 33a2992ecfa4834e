//! The zygote of a Rust program, and what its children do.
//!
//! ```text
//!  root: first Process            /proc/self/exe, again             child
//!  ---------------------          ---------------------             -----
//!  plan: TAREFA_ZYGOTE=address
//!  supervisor executes it  --->   constructor, before main:
//!                                 attach in the slot given,
//!                                 serve  ------- fork ---------->   Front::run: arguments from
//!                                                                   the task's payload, the
//!                                                                   trampoline, the outcome
//! ```
//!
//! A payload is: the trampoline's distance from [`anchor`] (8 bytes), the number of the
//! executable (8 bytes), the length of the surroundings (4 bytes), these, and the arguments.
//! The distance is the same in every process, because they all map one executable.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use tarefa_engine::os::{process, rlimit, signal};
use tarefa_engine::settings;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::object::blob;
use tarefa_engine::shm::{Off, Runtime};
use tarefa_engine::task::record::Task;
use tarefa_engine::task::{self, zygote};

use crate::convert::codec;
use crate::runtime::environment;
use crate::runtime::interrupt;
use crate::task::target::{Ended, Target};
use crate::task::{panics, target, unretrieved};

/// What a child calls: decodes the arguments, runs the target, encodes what came out.
pub(crate) type Trampoline = fn(&[u8]) -> Ended;

/// A fixed place in the executable.
#[inline(never)]
fn anchor() -> &'static str {
    "anchor"
}

/// What a payload starts with.
pub(crate) fn head(trampoline: Trampoline, surroundings: &[u8]) -> [u8; 20] {
    let distance = (trampoline as usize).wrapping_sub(anchor as fn() -> &'static str as usize);
    let mut head = [0; 20];
    head[..8].copy_from_slice(&(distance as u64).to_le_bytes());
    head[8..16].copy_from_slice(&executable().to_le_bytes());
    head[16..].copy_from_slice(&(surroundings.len() as u32).to_le_bytes());
    head
}

/// A number of the executable this process runs.
fn executable() -> u64 {
    static NUMBER: OnceLock<u64> = OnceLock::new();
    *NUMBER.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        if let Ok(m) = std::fs::metadata("/proc/self/exe") {
            (m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec()).hash(&mut hasher);
        }
        hasher.finish()
    })
}

/// Runs before `main`, and before the standard library has looked for other threads: there
/// are none. Not under Miri, which hands such functions no arguments.
#[used]
#[cfg_attr(not(miri), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = before_main;

extern "C" fn before_main(argc: c_int, argv: *mut *mut c_char, _envp: *mut *mut c_char) {
    let Some(address) = std::env::var_os(settings::ZYGOTE) else { return };
    // SAFETY: no thread exists yet that could read the environment.
    unsafe { std::env::remove_var(settings::ZYGOTE) };
    let slot = take_slot_argument(argc, argv);
    match (parse(&address), slot) {
        (Some(address), Some(slot)) => become_zygote(address, slot),
        _ => process::exit_now(70),
    }
}

/// Takes the slot's number off the end of the arguments and the path off their start, so that
/// they are the program's own again.
fn take_slot_argument(argc: c_int, argv: *mut *mut c_char) -> Option<u32> {
    let count = usize::try_from(argc).ok().filter(|n| *n >= 2)?;
    // SAFETY: the C library hands constructors the vector that `main` will get: `argc`
    // strings and a null, writable, and nobody else runs. The standard library stops at
    // the first null.
    unsafe {
        let slot = CStr::from_ptr(*argv.add(count - 1)).to_str().ok()?.parse().ok();
        for i in 0..count - 2 {
            *argv.add(i) = *argv.add(i + 1);
        }
        *argv.add(count - 2) = std::ptr::null_mut();
        slot
    }
}

fn parse(address: &OsStr) -> Option<Address> {
    let mut parts = address.to_str()?.split(',');
    Some(Address {
        root: parts.next()?.parse().ok()?,
        memory_fd: parts.next()?.parse().ok()?,
        id: u64::from_str_radix(parts.next()?, 16).ok()?,
    })
}

fn become_zygote(address: Address, slot: u32) -> ! {
    task::register();
    // Ctrl-C is the root's affair.
    signal::ignore_until_exec(libc::SIGINT, true);
    process::set_thread_name("tarefa-zygote");
    environment::note_base();
    executable();
    panics::listen();
    match Runtime::attach_in(address, slot) {
        Ok(runtime) => zygote::serve(runtime, &mut RustFront),
        // The root ended meanwhile, or gave the slot to somebody else.
        Err(_) => process::exit_now(70),
    }
}

/// Runs a target for nothing.
fn warm_up<F: Target<(), M>, M>(_: F) -> Ended {
    target::run::<F, (), M>(())
}

struct RustFront;

impl zygote::Front for RustFront {
    fn before_fork(&mut self) {}

    fn after_fork_in_parent(&mut self) {}

    fn after_fork_in_child(&mut self, runtime: &'static Runtime, spare: bool) {
        process::set_thread_name("tarefa-spare");
        if spare {
            // The pages that a task touches are this process's own afterwards.
            let warm = codec::encode(&(0u64, "warm"));
            drop(std::hint::black_box(warm));
            drop(std::hint::black_box(warm_up(|| 0u64)));
            let _ = runtime.me();
        }
    }

    fn run(&mut self, runtime: &'static Runtime, off: Off) -> ! {
        let me = runtime.me();
        let task = Task::at(&me, off);
        if !task.run_here() {
            zygote::leave(runtime, 0);
        }
        process::set_thread_name(&task.name());
        interrupt::enter(runtime, off);
        panics::process_runs(runtime, off);
        // SAFETY: the record owns its payload until it is freed, and this process holds it.
        let payload = task.payload().map(|at| unsafe { blob::bytes(&me, at) });
        let ended = call(payload.unwrap_or_default());
        rlimit::lift_private_memory();
        unretrieved::join_all();
        // `leave` runs no destructors; a standard output that is closed is no fault of the task's.
        let _ = std::io::stdout().flush();
        panics::seal();
        let code = ended.code();
        let references = ended.outcome.references(runtime);
        task.finish(ended.state, code, Some((ended.tag, &[&ended.outcome.bytes], &references)));
        zygote::leave(runtime, code)
    }

    fn message(&mut self, _: &[u8]) -> bool {
        false
    }
}

/// Runs what a payload says.
fn call(payload: &[u8]) -> Ended {
    let Some((head, rest)) = payload.split_first_chunk::<20>() else {
        return Ended::failed("the task has no target for a Rust program".to_owned());
    };
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    let len = u32::from_le_bytes(std::array::from_fn(|i| head[16 + i])) as usize;
    if number(8) != executable() || len > rest.len() {
        return Ended::failed(
            "the task was started by another program than the one its runtime belongs to: \
             start it as a thread, or from the program that made the runtime"
                .to_owned(),
        );
    }
    let (around, args) = rest.split_at(len);
    if let (false, Ok(around)) =
        (around.is_empty(), codec::decode::<environment::Surroundings>(around))
    {
        // SAFETY: a child of the zygote has one thread until its target makes more.
        unsafe { around.apply() };
    }
    let at = (anchor as fn() -> &'static str as usize).wrapping_add(number(0) as usize);
    // SAFETY: `head` computed the distance from the same anchor of the same executable, of
    // which this process has a mapping with the same distances.
    let trampoline = unsafe { std::mem::transmute::<usize, Trampoline>(at) };
    trampoline(args)
}
