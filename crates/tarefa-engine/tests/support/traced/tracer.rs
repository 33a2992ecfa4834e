//! The process that follows a member: it steps it, kills it, or answers a call in the kernel's place.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use tarefa_engine::os::process;

use super::calls::{self, Call};
use super::{Order, What};

/// How a process ends that may not be traced.
pub(super) const REFUSED: i32 = 77;

/// So many instructions a member is stepped to the one where it is to be killed, on a machine that cannot
/// stop it there: in a few seconds.
const MOST: u64 = 100_000;

/// From now on the parent traces this process.
pub(super) fn trace_me() -> bool {
    // SAFETY: a plain call.
    unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == 0 }
}

/// Follows the child `pid` to its end, and writes what it was.
pub(super) fn run(pid: i32, order: Order) -> ! {
    process::die_with_parent();
    // The end of the member is the end of what it writes.
    // SAFETY: plain calls; the number is standard output's.
    unsafe { libc::close(1) };
    let mut tracer = Tracer {
        pid,
        what: order.what,
        code: code_of_this_program(),
        operation: 0,
        n: 0,
        steps: 0,
        told: String::new(),
        entered: false,
        refused: None,
    };
    let end = if order.beside { tracer.follow_others() } else { tracer.follow() };
    tracer.finish_line();
    // Whole or not at all.
    let aside = order.path.with_extension("part");
    let is_written = fs::write(&aside, format!("{end}, of {pid}\n{}", tracer.told)).is_ok()
        && fs::rename(&aside, &order.path).is_ok();
    process::exit_now(i32::from(!is_written));
}

/// How the member goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Freely,
    ByInstruction,
    ByCall,
}

/// What the member has come to.
enum Event {
    Ended(String),
    /// A signal is about to be given to it.
    Signal(i32),
    Step,
    /// It enters a call, or leaves it.
    Call,
}

struct Tracer {
    pid: i32,
    what: What,
    /// Where the instructions are that count.
    code: Range<u64>,
    /// Which operation it is at, from 1.
    operation: usize,
    /// How many of its calls that may fail have been, or how often it was at the place.
    n: u64,
    /// How many instructions there have been, wherever.
    steps: u64,
    /// One line an operation: what was counted.
    told: String,
    /// Whether it is in a call.
    entered: bool,
    /// What the call that it is in answers instead of being made.
    refused: Option<i32>,
}

impl Tracer {
    fn follow(&mut self) -> String {
        // The first stop is its own.
        if let Event::Ended(how) = self.wait() {
            return how;
        }
        self.set_options(0);
        let (mut pace, mut signal) = (Pace::Freely, 0);
        loop {
            self.go_on(pace, signal);
            signal = 0;
            match self.wait() {
                Event::Ended(how) => return how,
                Event::Signal(libc::SIGSTOP) => pace = self.next_operation(),
                Event::Signal(other) => signal = other,
                Event::Step => pace = self.step(pace),
                Event::Call => pace = self.call(),
            }
        }
    }

    /// Follows the threads beside the first, which goes on freely: their calls are counted, or fail.
    fn follow_others(&mut self) -> String {
        if let Event::Ended(how) = self.wait() {
            return how;
        }
        self.set_options(libc::PTRACE_O_TRACECLONE);
        self.go_on(Pace::Freely, 0);
        // The threads that are in a call, and what that answers instead of being made.
        let mut inside: HashMap<i32, Option<i32>> = HashMap::new();
        loop {
            let (thread, event) = wait_for(-1);
            let signal = match event {
                Event::Ended(how) if thread == self.pid || thread < 0 => return how,
                Event::Ended(_) => continue,
                Event::Signal(libc::SIGSTOP) | Event::Step => 0,
                Event::Signal(other) => other,
                Event::Call => {
                    match inside.remove(&thread) {
                        Some(refused) => leave_call(thread, refused),
                        None => {
                            inside.insert(thread, self.enter_call(thread));
                        }
                    }
                    0
                }
            };
            let pace = if thread == self.pid { Pace::Freely } else { Pace::ByCall };
            resume(thread, pace, signal);
        }
    }

    /// Another thread enters a call: what that is to answer instead of being made.
    fn enter_call(&mut self, thread: i32) -> Option<i32> {
        let mut registers = machine::registers(thread)?;
        let call = machine::call(&registers);
        let errors = calls::errors(&call);
        self.n += u64::from(!errors.is_empty());
        match self.what {
            What::CountCalls if !errors.is_empty() => self.note(&call, errors),
            What::Fail(_, n, error) if n == self.n && errors.contains(&error) => {
                machine::skip(thread, &mut registers);
                return Some(error);
            }
            _ => {}
        }
        None
    }

    fn set_options(&self, more: i32) {
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD | more;
        // SAFETY: the child is stopped, and traced by this thread.
        unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, self.pid, 0, libc::c_long::from(options)) };
    }

    /// A call that may fail so.
    fn note(&mut self, call: &Call, errors: &[i32]) {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        self.told += &format!("{}:{} ", call.number, errors.join(","));
    }

    fn next_operation(&mut self) -> Pace {
        if self.operation > 0 {
            self.finish_line();
        }
        self.operation += 1;
        (self.n, self.entered) = (0, false);
        match self.what {
            What::CountSteps(most) if self.steps < most => Pace::ByInstruction,
            What::CountCalls => Pace::ByCall,
            What::Kill(op, place, _) => {
                let is_here = op == self.operation;
                let place = is_here.then_some(self.code.start + place);
                if machine::stop_at(self.pid, place) || !is_here {
                    Pace::Freely
                } else {
                    Pace::ByInstruction
                }
            }
            What::Fail(op, ..) if op == self.operation => Pace::ByCall,
            _ => Pace::Freely,
        }
    }

    fn finish_line(&mut self) {
        match self.what {
            What::CountSteps(_) | What::CountCalls => self.told.push('\n'),
            _ => {}
        }
    }

    /// One instruction has been done, or the member is at the one where it is to stop.
    fn step(&mut self, pace: Pace) -> Pace {
        self.steps += 1;
        // Those of libraries too: one that clears megabytes does many.
        let most = if let What::CountSteps(most) = self.what { most } else { MOST };
        if self.steps >= most {
            return Pace::Freely;
        }
        let Some(registers) = machine::registers(self.pid) else { return pace };
        let at = machine::at(&registers);
        if !self.code.contains(&at) {
            return pace;
        }
        match self.what {
            What::CountSteps(_) => {
                self.told += &format!("{} ", at - self.code.start);
                pace
            }
            What::Kill(_, place, pass) if at - self.code.start == place => {
                self.n += 1;
                if self.n == pass {
                    // SAFETY: a plain call, to a child that has not been collected.
                    unsafe { libc::kill(self.pid, libc::SIGKILL) };
                    return Pace::Freely;
                }
                pace
            }
            _ => pace,
        }
    }

    /// A call is entered, or left.
    fn call(&mut self) -> Pace {
        self.entered = !self.entered;
        let Some(mut registers) = machine::registers(self.pid) else { return Pace::ByCall };
        if !self.entered {
            if let Some(error) = self.refused.take() {
                machine::answer(self.pid, &mut registers, error);
                return Pace::Freely;
            }
            return Pace::ByCall;
        }
        let call = machine::call(&registers);
        let errors = calls::errors(&call);
        if errors.is_empty() {
            return Pace::ByCall;
        }
        self.n += 1;
        match self.what {
            What::CountCalls => self.note(&call, errors),
            What::Fail(_, n, error) if n == self.n => {
                // Beside others a member does not always make the same calls.
                if !errors.contains(&error) {
                    return Pace::Freely;
                }
                machine::skip(self.pid, &mut registers);
                self.refused = Some(error);
            }
            _ => {}
        }
        Pace::ByCall
    }

    fn go_on(&self, pace: Pace, signal: i32) {
        resume(self.pid, pace, signal);
    }

    fn wait(&self) -> Event {
        wait_for(self.pid).1
    }
}

/// Another thread leaves a call, which may have to answer an error.
fn leave_call(thread: i32, refused: Option<i32>) {
    if let (Some(error), Some(mut registers)) = (refused, machine::registers(thread)) {
        machine::answer(thread, &mut registers, error);
    }
}

fn resume(thread: i32, pace: Pace, signal: i32) {
    let request = match pace {
        Pace::Freely => libc::PTRACE_CONT,
        Pace::ByInstruction => libc::PTRACE_SINGLESTEP,
        Pace::ByCall => libc::PTRACE_SYSCALL,
    };
    // SAFETY: it is stopped, and traced by this thread. It may have been killed meanwhile, which the
    // next wait tells.
    unsafe { libc::ptrace(request, thread, 0, libc::c_long::from(signal)) };
}

/// What comes next of `which`, or of any for -1, and of whom.
fn wait_for(which: i32) -> (i32, Event) {
    let mut status = 0;
    // SAFETY: `status` is writable.
    let thread = unsafe { libc::waitpid(which, &raw mut status, libc::__WALL) };
    let event = if thread < 0 {
        Event::Ended("lost".to_owned())
    } else if libc::WIFEXITED(status) {
        Event::Ended(format!("exit {}", libc::WEXITSTATUS(status)))
    } else if libc::WIFSIGNALED(status) {
        Event::Ended(format!("signal {}", libc::WTERMSIG(status)))
    } else {
        match libc::WSTOPSIG(status) {
            libc::SIGTRAP => Event::Step,
            signal if signal == libc::SIGTRAP | 0x80 => Event::Call,
            signal => Event::Signal(signal),
        }
    };
    (thread, event)
}

/// Where the instructions of the program are, without those of libraries.
fn code_of_this_program() -> Range<u64> {
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or_default();
    let parts = maps.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (range, access, file) = (words.next()?, words.next()?, words.nth(3)?);
        let (from, to) = range.split_once('-')?;
        (access.contains('x') && Path::new(file) == program).then(|| (number(from), number(to)))
    });
    parts.reduce(|all, part| (all.0.min(part.0), all.1.max(part.1))).map_or(0..0, |(a, b)| a..b)
}

/// The registers of a stopped process.
mod machine {
    use std::ptr;

    use super::Call;

    pub(super) type Registers = libc::user_regs_struct;

    const GENERAL: i32 = 1;

    fn exchange<T>(request: libc::c_uint, pid: i32, set: i32, with: &mut T) -> bool {
        let mut part =
            libc::iovec { iov_base: ptr::from_mut(with).cast(), iov_len: size_of::<T>() };
        // SAFETY: `part` is of `with`, plain data that is readable and writable for its length.
        unsafe { libc::ptrace(request, pid, libc::c_long::from(set), &raw mut part) == 0 }
    }

    pub(super) fn registers(pid: i32) -> Option<Registers> {
        // SAFETY: plain data, for which zeroes are a value.
        let mut registers: Registers = unsafe { std::mem::zeroed() };
        exchange(libc::PTRACE_GETREGSET, pid, GENERAL, &mut registers).then_some(registers)
    }

    fn set(pid: i32, registers: &mut Registers) {
        exchange(libc::PTRACE_SETREGSET, pid, GENERAL, registers);
    }

    #[cfg(target_arch = "x86_64")]
    mod processor {
        use std::mem::offset_of;

        use super::{Call, Registers, set};

        /// From now on the traced thread stops whenever it is about to do the instruction at `place`,
        /// or nowhere. False where the machine has no such means, or they are taken.
        pub(in super::super) fn stop_at(pid: i32, place: Option<u64>) -> bool {
            let register = |n: usize| offset_of!(libc::user, u_debugreg) + 8 * n;
            let poke = |n: usize, value: u64| {
                // SAFETY: a register of a child that is stopped, and traced by this thread.
                unsafe { libc::ptrace(libc::PTRACE_POKEUSER, pid, register(n), value) == 0 }
            };
            // The seventh switches the first on for this thread, as the place of an instruction.
            match place {
                Some(place) => poke(0, place) && poke(7, 1),
                None => poke(7, 0),
            }
        }

        pub(in super::super) fn at(registers: &Registers) -> u64 {
            registers.rip
        }

        pub(in super::super) fn call(r: &Registers) -> Call {
            Call { number: r.orig_rax as i64, arguments: [r.rdi, r.rsi, r.rdx, r.r10] }
        }

        /// The kernel makes no call of that number, and the member goes on.
        pub(in super::super) fn skip(pid: i32, registers: &mut Registers) {
            registers.orig_rax = u64::MAX;
            set(pid, registers);
        }

        pub(in super::super) fn answer(pid: i32, registers: &mut Registers, error: i32) {
            registers.rax = -i64::from(error) as u64;
            set(pid, registers);
        }
    }

    #[cfg(target_arch = "aarch64")]
    mod processor {
        use super::{Call, Registers, exchange, set};

        const NUMBER: i32 = 0x404;

        /// It is stepped there.
        pub(in super::super) fn stop_at(_: i32, _: Option<u64>) -> bool {
            false
        }

        pub(in super::super) fn at(registers: &Registers) -> u64 {
            registers.pc
        }

        pub(in super::super) fn call(r: &Registers) -> Call {
            let [a, b, c, d, ..] = r.regs;
            Call { number: r.regs[8] as i64, arguments: [a, b, c, d] }
        }

        /// The kernel makes no call of that number, and the member goes on.
        pub(in super::super) fn skip(pid: i32, _: &mut Registers) {
            exchange(libc::PTRACE_SETREGSET, pid, NUMBER, &mut -1_i32);
        }

        pub(in super::super) fn answer(pid: i32, registers: &mut Registers, error: i32) {
            registers.regs[0] = -i64::from(error) as u64;
            set(pid, registers);
        }
    }

    pub(super) use processor::{answer, at, call, skip, stop_at};
}
