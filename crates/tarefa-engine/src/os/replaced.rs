//! Files that are there whole or as they were: what is written goes beside, and takes their place in the end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::process;

/// A file that will be written.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The file itself, and not a link to it.
    path: PathBuf,
    /// Whether it is written in its place: a device, a FIFO, or a file in a folder that takes no other.
    in_place: bool,
}

impl Replaced {
    /// Looks whether the file can be written, which stays as it is.
    ///
    /// # Errors
    /// Why it cannot: no such folder, no right to.
    pub fn at(path: &Path) -> io::Result<Self> {
        let path = resolved(path);
        let found = match fs::metadata(&path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if found.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        // Behind names in those folders are files that others have open, by descriptors.
        let is_special = found.as_ref().is_some_and(|found| !found.is_file());
        if is_special || ["/dev", "/proc"].iter().any(|of| path.starts_with(of)) && found.is_some()
        {
            return Ok(Self { path, in_place: true });
        }
        if found.is_some() {
            // One that is not to be written is not to be replaced either.
            OpenOptions::new().append(true).open(&path)?;
        }
        // Under more than one name, or somebody else's, it would not stay what it is.
        if found.as_ref().is_some_and(|found| found.nlink() > 1 || found.uid() != process::user()) {
            return Ok(Self { path, in_place: true });
        }
        let mut made = Self { path, in_place: false };
        match made.beside() {
            Ok((beside, _)) => fs::remove_file(beside)?,
            Err(_) if found.is_some() => made.in_place = true,
            Err(error) => return Err(error),
        }
        Ok(made)
    }

    /// Writes it.
    ///
    /// # Errors
    /// What `write` or the system answered; the file is as it was then.
    pub fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let filled = |file: File| {
            let mut file = BufWriter::new(file);
            write(&mut file)?;
            file.flush()
        };
        if self.in_place {
            return filled(OpenOptions::new().write(true).truncate(true).open(&self.path)?);
        }
        let (beside, file) = self.beside()?;
        let done = match fs::metadata(&self.path) {
            Ok(old) => file.set_permissions(old.permissions()),
            Err(_) => Ok(()),
        };
        let done = done.and_then(|()| filled(file)).and_then(|()| fs::rename(&beside, &self.path));
        if done.is_err() {
            let _ = fs::remove_file(&beside);
        }
        done
    }

    /// A new file in its folder.
    fn beside(&self) -> io::Result<(PathBuf, File)> {
        let mut number = 0;
        loop {
            // Not made of its own, which may be as long as one can be.
            let beside = self.path.with_file_name(format!(".tarefa-{}-{number}", process::pid()));
            match OpenOptions::new().write(true).create_new(true).open(&beside) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                made => return made.map(|file| (beside, file)),
            }
        }
    }
}

/// Writes a file at once: see [`Replaced`].
///
/// # Errors
/// What the system answered.
pub fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    Replaced::at(path)?.write(|file| file.write_all(text))
}

/// Where links lead, up to one of the system's own.
fn resolved(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..40 {
        if path.starts_with("/dev") || path.starts_with("/proc") {
            break;
        }
        let Ok(leads) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(leads);
    }
    path
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tarefa-{name}-{}", process::pid()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_stays_as_it_was_until_the_new_one_is_whole() {
        let folder = folder("replaced");
        let (file, link) = (folder.join("a.json"), folder.join("link.json"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("a.json", &link).unwrap();
        let place = Replaced::at(&link).unwrap();
        assert_eq!((fs::read(&file).unwrap(), names(&folder)), (b"old".to_vec(), 2));
        let failed = place.write(|to| {
            to.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!((fs::read(&file).unwrap(), names(&folder)), (b"old".to_vec(), 2));
        place.write(|to| to.write_all(b"new")).unwrap();
        assert_eq!((fs::read(&file).unwrap(), names(&folder)), (b"new".to_vec(), 2));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_told_before() {
        assert!(Replaced::at(Path::new("/proc/x.json")).is_err());
        assert!(Replaced::at(Path::new("/no such folder/x.json")).is_err());
        assert!(Replaced::at(&std::env::temp_dir()).is_err());
        write(Path::new("/dev/null"), b"gone").unwrap();
        assert!(write(Path::new("/dev/full"), b"no room").is_err());
    }
}
