//! The heap and its objects, each figure paired with its peer in the same run: the C library's
//! allocator, alone and with a second process at work, and what a container costs.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tarefa_engine::collections::list;
use tarefa_engine::os::{memfd, mmap, process};
use tarefa_engine::shm::heap::{self, Kind};
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Runtime, object};
use tarefa_engine::task;

/// In the environment of the second process: the runtime's address and a size.
const RIVAL: &str = "TAREFA_BENCH_RIVAL";

fn timed(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Whether the row is wanted, as in `cargo bench --bench heap -- list`.
fn wanted(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|a| !a.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|w| name.contains(&w))
}

/// Rounds of `n` operations in which the two take turns; prints the medians for one and their
/// ratio.
fn pair(name: &str, rounds: usize, n: u32, mut ours: impl FnMut(u32), mut peer: impl FnMut(u32)) {
    if !wanted(name) {
        return;
    }
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        a.push(timed(|| ours(n)) / n);
        b.push(timed(|| peer(n)) / n);
    }
    let (a, b) = (median(a), median(b));
    let ratio = a.as_secs_f64() / b.as_secs_f64().max(1e-9);
    println!("{name:<64}{a:>11.2?}{b:>11.2?}{ratio:>8.2} x");
}

/// `touch` bytes of each block are written.
fn blocks(me: &Member, n: u32, at_once: u32, size: u64, touch: u64) {
    let bytes = vec![7; touch as usize];
    for _ in 0..n / at_once {
        let savepoint = heap::savepoint(me);
        for _ in 0..at_once {
            let block = heap::alloc(me, Kind::RAW, size + heap::HEADER).expect("memory");
            me.arena().write(block.plus(heap::HEADER), &bytes);
        }
        heap::free_deferred(me, savepoint);
    }
}

fn malloced(n: u32, at_once: u32, size: u64, touch: u64) {
    let bytes = vec![7u8; touch as usize];
    let mut all = Vec::with_capacity(at_once as usize);
    for _ in 0..n / at_once {
        for _ in 0..at_once {
            // SAFETY: `touch` bytes of the block, which is at least as large, are written.
            unsafe {
                let block = libc::malloc(size as usize);
                assert!(!block.is_null() && touch <= size);
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), block.cast::<u8>(), bytes.len());
                all.push(black_box(block));
            }
        }
        // SAFETY: from `malloc`, each freed once.
        all.drain(..).for_each(|block| unsafe { libc::free(block) });
    }
}

fn rival(text: &str) -> ! {
    let words: Vec<u64> = text.split(' ').map(|w| w.parse().expect("a number")).collect();
    let address = Address { root: words[0] as i32, memory_fd: words[1] as i32, id: words[2] };
    let me = Runtime::attach(address).expect("the runtime").me();
    println!();
    loop {
        blocks(&me, 64, 1, words[3], 0);
    }
}

fn start_rival(runtime: &'static Runtime, size: u64) -> Child {
    let address = runtime.address();
    let text = format!("{} {} {} {size}", address.root, address.memory_fd, address.id);
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .env(RIVAL, text)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process");
    // It works once it has said so.
    child.stdout.take().expect("a pipe").read_exact(&mut [0]).expect("a line");
    child
}

fn lists(me: &Member, n: u32, at_once: u32) {
    for _ in 0..n / at_once {
        let made: Vec<_> = (0..at_once).map(|_| list::create(me).expect("memory")).collect();
        for off in made {
            refcount::release(me, off);
        }
    }
}

fn vectors(n: u32, at_once: u32) {
    for _ in 0..n / at_once {
        let made: Vec<_> =
            (0..at_once).map(|_| black_box(Arc::new(Mutex::new(Vec::<u64>::new())))).collect();
        drop(made);
    }
}

/// What making an array takes at least: claiming, mapping and touching memory.
fn by_hand(file: &OwnedFd, base: *mut u8, n: u32, size: u64) {
    for _ in 0..n {
        memfd::claim(file, 0, size).expect("memory");
        // SAFETY: the mapping is at least as long, and nobody else knows of it.
        unsafe { std::ptr::write_bytes(base, 0, size as usize) };
        memfd::punch(file, 0, size).expect("a hole");
    }
}

fn arrays(me: &Member, n: u32, size: u64) {
    for _ in 0..n {
        let savepoint = heap::savepoint(me);
        let off = object::create(me, 0, size).expect("memory");
        refcount::adopt(me, off, savepoint).expect("memory");
        refcount::release(me, off);
    }
}

fn main() {
    if let Ok(text) = std::env::var(RIVAL) {
        rival(&text);
    }
    // Under `cargo test` a benchmark only shows that it runs.
    let short = !std::env::args().any(|a| a == "--bench");
    // Rounds are shorter than the scheduler's turns, where operations are short.
    let (rounds, scale) = if short { (1, 100) } else { (101, 1) };
    let runtime = task::runtime().expect("a runtime");
    let me = runtime.me();
    println!("{:<64}{:>11}{:>11}{:>10}", "", "tarefa", "peer", "ratio");
    let sizes: [(&str, u64, u32); 5] = [
        ("64 B", 64, 10_000),
        ("1 KiB", 1024, 10_000),
        ("64 KiB", 64 << 10, 2_000),
        ("1 MiB", 1 << 20, 400),
        ("24 MiB", 24 << 20, 40),
    ];
    for (name, size, n) in sizes {
        let n = (n / scale).max(2);
        let (ours, peer) = (|n| blocks(&me, n, 1, size, 0), |n| malloced(n, 1, size, 0));
        pair(&format!("{name}, allocated and freed / malloc"), rounds, n, ours, peer);
    }
    for (name, size, n) in sizes {
        let n = (n / scale).max(2) / 4;
        let (ours, peer) = (|n| blocks(&me, n, 1, size, size), |n| malloced(n, 1, size, size));
        pair(&format!("{name}, written / malloc"), rounds, n.max(1), ours, peer);
    }
    for (name, size, n) in &sizes[..4] {
        let (n, at_once) = ((n / scale).max(100) / 100 * 100, 100);
        let ours = |n| blocks(&me, n, at_once, *size, 8);
        let peer = |n| malloced(n, at_once, *size, 8);
        pair(&format!("{name}, 100 at once / malloc"), rounds, n, ours, peer);
    }
    for (name, size, n) in &sizes[..4] {
        let (n, name) = ((n / scale).max(2), format!("{name}, a second process at it / malloc"));
        if !wanted(&name) {
            continue;
        }
        let mut child = start_rival(runtime, *size);
        let ours = |n| blocks(&me, n, 1, *size, 0);
        let peer = |n| malloced(n, 1, *size, 0);
        pair(&name, rounds, n, ours, peer);
        let _ = child.kill();
        let _ = child.wait();
    }
    let n = 2_000 / scale;
    pair(
        "a list, made and dropped / Arc<Mutex<Vec>>",
        rounds,
        n,
        |n| lists(&me, n, 1),
        |n| {
            vectors(n, 1);
        },
    );
    let n = 100_000 / scale;
    let rounds = rounds.min(7);
    pair(
        "a list of 100,000 held / Arc<Mutex<Vec>>",
        rounds,
        n,
        |n| lists(&me, n, n),
        |n| {
            vectors(n, n);
        },
    );
    let size = if short { 5 << 20 } else { 64 << 20 };
    let file = memfd::create(c"bench", size).expect("a file");
    let base = mmap::shared(&file, size).expect("a mapping").as_ptr();
    let ours = |n| arrays(&me, n, size);
    pair("an object of 64 MiB / fallocate and memset", rounds, 2, ours, |n| {
        by_hand(&file, base, n, size);
    });
    drop(File::from(file));
    process::exit_now(0);
}
