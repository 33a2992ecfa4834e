//! What a process has from its starter at `start()`. In a test program of its own, for it changes
//! what this process has, and one test, for the others would have it too.

use std::error::Error;
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::Duration;

use tarefa::{Process, on_process_start};

type Outcome = Result<(), Box<dyn Error>>;

const LONG: Option<Duration> = Some(Duration::from_secs(50));

/// File mode mask, niceness, limit on descriptors.
fn look() -> (u32, i32, u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain calls; `limit` is writable.
    unsafe {
        let mask = libc::umask(0o22);
        libc::umask(mask);
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        (mask, libc::getpriority(libc::PRIO_PROCESS, 0), limit.rlim_cur, limit.rlim_max)
    }
}

fn write_out() {
    // SAFETY: readable bytes.
    unsafe { libc::write(1, b"from the task".as_ptr().cast(), 13) };
}

static SET_UP: OnceLock<u32> = OnceLock::new();

fn set_up() {
    SET_UP.get_or_init(std::process::id);
}

fn refuse() {
    panic!("nothing to set up with");
}

#[tarefa::test(timeout = 60)]
fn a_process_has_what_its_starter_has() -> Outcome {
    assert_eq!(Process::spawn(look, ())?.result(LONG)?, look());
    // SAFETY: plain calls; `limit` is readable.
    unsafe {
        libc::umask(0o027);
        libc::setpriority(libc::PRIO_PROCESS, 0, 2);
        let limit = libc::rlimit { rlim_cur: 700, rlim_max: 900 };
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
    assert_eq!(look(), (0o027, 2, 700, 900));
    assert_eq!(Process::spawn(look, ())?.result(LONG)?, look());
    let inner = || Process::spawn(look, ()).ok()?.result(LONG).ok();
    assert_eq!(Process::spawn(inner, ())?.result(LONG)?, Some(look()));

    let path = std::env::temp_dir().join(format!("tarefa-starter-{}", std::process::id()));
    let mut file = std::fs::File::options().create_new(true).read(true).append(true).open(&path)?;
    std::fs::remove_file(&path)?;
    // SAFETY: plain calls; descriptor 1 is put back.
    let task = unsafe {
        let kept = libc::dup(1);
        libc::dup2(file.as_raw_fd(), 1);
        let task = Process::spawn(write_out, ());
        libc::dup2(kept, 1);
        libc::close(kept);
        task?
    };
    task.result(LONG)?;
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    assert_eq!(text, "from the task");

    on_process_start(set_up);
    let found = || (SET_UP.get() == Some(&std::process::id()), std::process::id());
    assert!(Process::spawn(found, ())?.result(LONG)?.0);
    let inner = || Process::spawn(|| SET_UP.get().is_some(), ()).ok()?.result(LONG).ok();
    assert_eq!(Process::spawn(inner, ())?.result(LONG)?, Some(true));
    on_process_start(refuse);
    let error = Process::spawn(found, ())?.result(LONG).unwrap_err();
    assert!(error.to_string().contains("nothing to set up with"), "{error}");
    Ok(())
}
