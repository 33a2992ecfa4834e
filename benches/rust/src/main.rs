//! Channels beside their peers: numbers from one process to another, and from thread to thread.
//!
//! Each pair takes turns, so that what else the machine does meets both. A round sends numbers to who
//! adds them up and says so in the end; its time is that of one number.

use std::error::Error;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender};
use tarefa::{Failure, Process, Receiver, Sender, Thread, channel};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 15;
const COUNT: u64 = 200_000;
/// What this program is called with as the other process of a peer.
const IPC: &str = "ipc-channel";
#[cfg(feature = "iceoryx2")]
const ICEORYX: &str = "iceoryx2";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [IPC, name] => return ipc_other(name.to_owned()),
        #[cfg(feature = "iceoryx2")]
        [ICEORYX, name] => return iceoryx::other(name),
        _ => {}
    }
    println!("{:<58}{:>12}{:>12}{:>10}", "", "tarefa", "peer", "ratio");
    let ours = Ours::processes()?;
    let theirs = Ipc::new()?;
    pair("u64 between processes / ipc-channel", || ours.round(), || theirs.round())?;
    #[cfg(feature = "iceoryx2")]
    {
        let theirs = iceoryx::Peer::new()?;
        pair("u64 between processes / iceoryx2", || ours.round(), || theirs.round())?;
    }
    let ours = Ours::threads()?;
    let theirs = Crossbeam::new();
    pair("u64 between threads / crossbeam-channel", || ours.round(), || theirs.round())
}

/// Rounds in which the two take turns; prints the medians of one number, and their ratio.
fn pair(
    name: &str,
    mut ours: impl FnMut() -> Outcome<Duration>,
    mut peer: impl FnMut() -> Outcome<Duration>,
) -> Outcome<()> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(ours()?);
        b.push(peer()?);
    }
    let (a, b) = (median(a), median(b));
    let ratio = a.as_secs_f64() / b.as_secs_f64();
    println!("{name:<58}{a:>12.2?}{b:>12.2?}{ratio:>8.3} x");
    Ok(())
}

/// Of one number.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2] / COUNT as u32
}

fn expected() -> u64 {
    COUNT * (COUNT - 1) / 2
}

/// Channels of tarefa's, and who adds up.
struct Ours {
    numbers: Sender<u64>,
    sums: Receiver<u64>,
}

fn add_up(numbers: Receiver<u64>, sums: Sender<u64>) -> Result<(), Failure> {
    loop {
        let mut sum = 0;
        for _ in 0..COUNT {
            match numbers.recv() {
                Ok(n) => sum += n,
                Err(e) if e.is_disconnected() => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
        sums.send(sum)?;
    }
}

impl Ours {
    fn processes() -> Outcome<Self> {
        let (numbers, to_add) = channel(0)?;
        let (done, sums) = channel(0)?;
        Process::spawn(add_up, (to_add, done))?;
        Ok(Self { numbers, sums })
    }

    fn threads() -> Outcome<Self> {
        let (numbers, to_add) = channel(0)?;
        let (done, sums) = channel(0)?;
        Thread::spawn(add_up, (to_add, done))?;
        Ok(Self { numbers, sums })
    }

    fn round(&self) -> Outcome<Duration> {
        let start = Instant::now();
        for n in 0..COUNT {
            self.numbers.send(n)?;
        }
        assert_eq!(self.sums.recv()?, expected());
        Ok(start.elapsed())
    }
}

/// This program as another process, which ends with this.
struct Other(Child);

impl Other {
    fn start(what: &str, name: &str) -> Outcome<Self> {
        Ok(Self(Command::new(std::env::current_exe()?).args([what, name]).spawn()?))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same over `ipc-channel`.
struct Ipc {
    numbers: IpcSender<u64>,
    sums: IpcReceiver<u64>,
    _other: Other,
}

type Ends = (IpcSender<u64>, IpcReceiver<u64>);

impl Ipc {
    fn new() -> Outcome<Self> {
        let (server, name) = IpcOneShotServer::<Ends>::new()?;
        let other = Other::start(IPC, &name)?;
        let (_, (numbers, sums)) = server.accept()?;
        Ok(Self { numbers, sums, _other: other })
    }

    fn round(&self) -> Outcome<Duration> {
        let start = Instant::now();
        for n in 0..COUNT {
            self.numbers.send(n)?;
        }
        assert_eq!(self.sums.recv()?, expected());
        Ok(start.elapsed())
    }
}

fn ipc_other(name: String) -> Outcome<()> {
    let (numbers, to_add) = ipc_channel::ipc::channel()?;
    let (done, sums) = ipc_channel::ipc::channel()?;
    IpcSender::<Ends>::connect(name)?.send((numbers, sums))?;
    loop {
        let mut sum = 0;
        for _ in 0..COUNT {
            sum += to_add.recv()?;
        }
        done.send(sum)?;
    }
}

/// The same over `crossbeam-channel`, from thread to thread.
struct Crossbeam {
    numbers: crossbeam_channel::Sender<u64>,
    sums: crossbeam_channel::Receiver<u64>,
}

impl Crossbeam {
    fn new() -> Self {
        let (numbers, to_add) = crossbeam_channel::unbounded();
        let (done, sums) = crossbeam_channel::unbounded();
        std::thread::spawn(move || {
            loop {
                let sum = (0..COUNT).map(|_| to_add.recv()).sum::<Result<u64, _>>();
                let Ok(sum) = sum else { return };
                if done.send(sum).is_err() {
                    return;
                }
            }
        });
        Self { numbers, sums }
    }

    fn round(&self) -> Outcome<Duration> {
        let start = Instant::now();
        for n in 0..COUNT {
            self.numbers.send(n)?;
        }
        assert_eq!(self.sums.recv()?, expected());
        Ok(start.elapsed())
    }
}

/// The same over iceoryx2, whose receiver has to look again and again.
#[cfg(feature = "iceoryx2")]
mod iceoryx {
    use std::time::{Duration, Instant};

    use iceoryx2::port::publisher::Publisher;
    use iceoryx2::port::subscriber::Subscriber;
    use iceoryx2::prelude::*;

    use super::{COUNT, ICEORYX, Other, Outcome, expected};

    type Sends = Publisher<ipc::Service, u64, ()>;
    type Receives = Subscriber<ipc::Service, u64, ()>;

    pub(super) struct Peer {
        numbers: Sends,
        sums: Receives,
        _other: Other,
    }

    fn ends(service: &str) -> Outcome<(Sends, Receives)> {
        let node = NodeBuilder::new().create::<ipc::Service>()?;
        let service = node
            .service_builder(&service.try_into()?)
            .publish_subscribe::<u64>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(4096)
            .open_or_create()?;
        let sends = service
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        Ok((sends, service.subscriber_builder().create()?))
    }

    fn receive(from: &Receives) -> Outcome<u64> {
        loop {
            match from.receive()? {
                Some(sample) => return Ok(*sample),
                None => std::thread::yield_now(),
            }
        }
    }

    impl Peer {
        pub(super) fn new() -> Outcome<Self> {
            let name = format!("tarefa-benches/{}", std::process::id());
            let (numbers, _) = ends(&format!("{name}/numbers"))?;
            let (_, sums) = ends(&format!("{name}/sums"))?;
            let other = Other::start(ICEORYX, &name)?;
            // It says when it is there.
            assert_eq!(receive(&sums)?, 0);
            Ok(Self { numbers, sums, _other: other })
        }

        pub(super) fn round(&self) -> Outcome<Duration> {
            let start = Instant::now();
            for n in 0..COUNT {
                self.numbers.send_copy(n)?;
            }
            assert_eq!(receive(&self.sums)?, expected());
            Ok(start.elapsed())
        }
    }

    pub(super) fn other(name: &str) -> Outcome<()> {
        let (_, numbers) = ends(&format!("{name}/numbers"))?;
        let (done, _) = ends(&format!("{name}/sums"))?;
        done.send_copy(0)?;
        loop {
            let mut sum = 0;
            for _ in 0..COUNT {
                sum += receive(&numbers)?;
            }
            done.send_copy(sum)?;
        }
    }
}
