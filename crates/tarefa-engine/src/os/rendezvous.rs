//! A place where a process that waits for others is found by its name: a socket of the system's abstract names, which
//! leaves nothing behind, whatever ends its process.

use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

/// The longest that one says of itself.
const MOST: u64 = 256;

/// Where others come to.
#[derive(Debug)]
pub struct Rendezvous {
    listener: UnixListener,
}

/// One that has come, and waits for an answer.
#[derive(Debug)]
pub struct Visitor {
    stream: UnixStream,
    /// What it says.
    pub says: String,
}

impl Rendezvous {
    /// Waits under that name.
    ///
    /// # Errors
    /// What the system answered: somebody else has the name.
    pub fn open(name: &str) -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        Ok(Self { listener })
    }

    /// The next that comes. One that says nothing within `patience` is none.
    ///
    /// # Errors
    /// What `accept` answered.
    pub fn next(&self, patience: Duration) -> io::Result<Option<Visitor>> {
        let (stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(patience))?;
        let mut says = String::new();
        let mut byte = [0];
        while (says.len() as u64) < MOST {
            match (&stream).read(&mut byte) {
                Ok(1) if byte[0] == b'\n' => return Ok(Some(Visitor { stream, says })),
                Ok(1) => says.push(char::from(byte[0])),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

impl Visitor {
    /// Lets it go on.
    pub fn answer(mut self) {
        // One that has gone needs none.
        let _ = self.stream.write_all(b"\n");
    }
}

/// Goes to who waits under that name, says `text`, one line, and waits for the answer, `patience` at most.
///
/// # Errors
/// Nobody waits there, or there was no answer.
pub fn visit(name: &str, text: &str, patience: Duration) -> io::Result<()> {
    let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(format!("{text}\n").as_bytes())?;
    let mut byte = [0];
    loop {
        return match stream.read(&mut byte) {
            Ok(1) => Ok(()),
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn who_comes_is_heard_and_answered() {
        let name = format!("tarefa-test-{}", crate::os::process::pid());
        let patience = Duration::from_secs(20);
        assert!(visit(&name, "nobody is there", patience).is_err());
        let place = Rendezvous::open(&name).unwrap();
        assert!(Rendezvous::open(&name).is_err());
        let visitor = std::thread::spawn({
            let name = name.clone();
            move || visit(&name, "here I am", patience)
        });
        let came = place.next(patience).unwrap().unwrap();
        assert_eq!(came.says, "here I am");
        came.answer();
        visitor.join().unwrap().unwrap();
        drop(place);
        assert!(visit(&name, "nobody is there", patience).is_err());
    }
}
