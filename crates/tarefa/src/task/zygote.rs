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
//! A payload is: where the trampoline lies ([`CodePlace`]), where [`own_copy::anchor`] does, where what is
//! called before the target does (zeroes for nothing), the length of the surroundings (4 bytes),
//! these, and the arguments. A place is a file and an offset in it, so it
//! means the same function in every process that maps that file. The anchor tells copies of this
//! crate apart: an executable and a library may each have their own, built differently; a trampoline
//! is called by the copy that it belongs to, or not at all.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::io::Write;

use tarefa_engine::os::code_place::{self, CodePlace};
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
use crate::runtime::own_copy::{self, Unreachable, own};
use crate::task::target::{Ended, Target};
use crate::task::{on_start, panics, target, unretrieved};

/// What a child calls: decodes the arguments, runs the target, encodes what came out.
pub(crate) type Trampoline = fn(&[u8]) -> Ended;

/// Bytes of what a payload starts with.
const PLACES: usize = 3 * CodePlace::BYTES;
const HEAD: usize = PLACES + 4;

/// What a payload starts with.
pub(crate) fn head(trampoline: Trampoline, surroundings: &[u8]) -> Result<[u8; HEAD], Unreachable> {
    own_copy::check()?;
    let own = own().ok_or(Unreachable::NoFile)?;
    let mut head = [0; HEAD];
    let (places, len) = head.split_at_mut(PLACES);
    let found = [Some(own_copy::place(trampoline as usize)?), Some(own.anchor), on_start::place()?];
    for (to, place) in places.chunks_exact_mut(CodePlace::BYTES).zip(found) {
        if let Some(place) = place {
            to.copy_from_slice(&place.to_bytes());
        }
    }
    len.copy_from_slice(&(surroundings.len() as u32).to_le_bytes());
    Ok(head)
}

/// Runs before `main`, and before the standard library has looked for other threads: there
/// are none. Not under Miri, which hands such functions no arguments.
#[used]
#[cfg_attr(not(miri), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = before_main;

extern "C" fn before_main(argc: c_int, argv: *mut *mut c_char, _envp: *mut *mut c_char) {
    let Some(address) = std::env::var_os(settings::ZYGOTE) else { return };
    let parsed = parse(&address);
    if let (Some((_, _, library)), Some(own)) = (&parsed, own()) {
        if *library != own.loaded_as {
            // For the copy of this crate in another library, or in the executable.
            return;
        }
    }
    // SAFETY: no thread exists yet that could read the environment.
    unsafe { std::env::remove_var(settings::ZYGOTE) };
    let slot = take_slot_argument(argc, argv);
    let (Some((address, anchor, library)), Some(slot)) = (parsed, slot) else {
        process::exit_now(70);
    };
    if own().is_none_or(|own| own.anchor.to_string() != anchor) {
        // It would run code of another version.
        let file = if library.is_empty() { "the executable" } else { &library };
        eprintln!(
            "tarefa: {file} is not what process {} has loaded, and was replaced meanwhile: start the \
             program again",
            address.root
        );
        process::exit_now(70);
    }
    become_zygote(address, slot)
}

/// Takes the slot's number off the end of the arguments and the path off their start, so that
/// they are the program's own again.
fn take_slot_argument(argc: c_int, argv: *mut *mut c_char) -> Option<u32> {
    if !cfg!(target_env = "gnu") {
        // musl calls constructors without arguments, and the standard library learns those of the
        // program in `main` only, where a task's process never comes: it has none.
        return slot_of_command_line(&std::fs::read("/proc/self/cmdline").ok()?);
    }
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

/// The slot's number at the end of a command line as the kernel has it.
fn slot_of_command_line(line: &[u8]) -> Option<u32> {
    let last = line.strip_suffix(b"\0")?.rsplit(|byte| *byte == 0).next()?;
    std::str::from_utf8(last).ok()?.parse().ok()
}

/// The runtime's address, the anchor of the copy of this crate that is meant, and the name of its library.
fn parse(address: &OsStr) -> Option<(Address, String, String)> {
    let mut parts = address.to_str()?.splitn(5, ',');
    let address = Address {
        root: parts.next()?.parse().ok()?,
        memory_fd: parts.next()?.parse().ok()?,
        id: u64::from_str_radix(parts.next()?, 16).ok()?,
    };
    Some((address, parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn become_zygote(address: Address, slot: u32) -> ! {
    task::register();
    // Ctrl-C is the root's affair.
    signal::ignore_until_exec(libc::SIGINT, true);
    signal::unblock(libc::SIGINT);
    process::set_thread_name("tarefa-zygote");
    environment::note_base();
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
            // Where there is no slot its task is told that.
            let _ = runtime.try_me();
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
    let Some((head, rest)) = payload.split_first_chunk::<HEAD>() else {
        return Ended::failed("the task has no target for a Rust program".to_owned());
    };
    let (places, len) = head.split_at(PLACES);
    let place = |n: usize| {
        CodePlace::from_bytes(&std::array::from_fn(|i| places[n * CodePlace::BYTES + i]))
    };
    let len = u32::from_le_bytes(std::array::from_fn(|i| len[i])) as usize;
    let own = own();
    if own.is_none_or(|own| own.anchor != place(1)) || len > rest.len() {
        return Ended::failed(
            "the task was started by another program than the one its runtime belongs to, or by \
             another copy of tarefa in it: start it as a thread, or from the program that made the \
             runtime"
                .to_owned(),
        );
    }
    let address = |place: CodePlace| {
        let near = own.and_then(|own| own.mapping.address(place));
        near.or_else(|| code_place::address_of(place).ok().flatten())
    };
    let Some(at) = address(place(0)) else {
        return Ended::failed(
            "the target is in a library that this process does not have: a process begins anew from \
             the executable; start it as a thread"
                .to_owned(),
        );
    };
    let (around, args) = rest.split_at(len);
    if let (false, Ok(around)) =
        (around.is_empty(), codec::decode::<environment::Surroundings>(around))
    {
        // SAFETY: a child of the zygote has one thread until its target makes more.
        unsafe { around.apply() };
    }
    let first = &places[2 * CodePlace::BYTES..];
    if first.iter().any(|byte| *byte != 0) {
        let Some(first) = address(place(2)) else {
            return Ended::failed(
                "the function given to on_process_start is in a library that this process does not \
                 have: a process begins anew from the executable"
                    .to_owned(),
            );
        };
        // SAFETY: `head` had it of `on_start::place`, in a process of the same copy of this crate.
        if let Err(ended) = unsafe { on_start::run(first) } {
            return ended;
        }
    }
    // SAFETY: `head` has said where in which file the trampoline is, and this process maps that byte
    // of that very file as code. The same copy of this crate has made it, so it is of this type.
    let trampoline = unsafe { std::mem::transmute::<usize, Trampoline>(at) };
    trampoline(args)
}

#[cfg(test)]
mod tests {
    use super::{parse, slot_of_command_line};

    #[test]
    fn what_a_zygote_is_told() {
        assert_eq!(slot_of_command_line(b"/proc/self/exe\0a program\0--flag\x0012\0"), Some(12));
        assert_eq!(slot_of_command_line(b"/proc/self/exe\0-1\0"), None);
        assert_eq!(slot_of_command_line(b""), None);
        let (address, anchor, library) = parse("77,5,1f,0:a:b,lib,a.so".as_ref()).unwrap();
        assert_eq!((address.root, address.memory_fd, address.id), (77, 5, 0x1f));
        assert_eq!((anchor.as_str(), library.as_str()), ("0:a:b", "lib,a.so"));
        assert!(parse("77,5,1f".as_ref()).is_none());
    }
}
