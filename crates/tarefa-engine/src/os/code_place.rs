//! Where code lies in the file that it was mapped from: what a function's address means to another
//! process, which maps the same files elsewhere.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;

/// A byte of a file that is mapped as code.
///
/// The file is told by device and number, as the kernel notes them for a mapping: they stay those
/// of the very file that is mapped, also when another has taken its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodePlace {
    device: u64,
    inode: u64,
    offset: u64,
}

impl CodePlace {
    /// Bytes of [`CodePlace::to_bytes`].
    pub const BYTES: usize = 24;

    /// For another process.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (to, from) in bytes.chunks_exact_mut(8).zip([self.device, self.inode, self.offset]) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        bytes
    }

    /// From another process.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let word = |n: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[n * 8 + i]));
        Self { device: word(0), inode: word(1), offset: word(2) }
    }
}

impl fmt::Display for CodePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}:{:x}", self.device, self.inode, self.offset)
    }
}

/// A mapping of this process that holds code of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeMapping {
    range: Range<usize>,
    /// Of its first byte.
    first: CodePlace,
    path: String,
}

impl CodeMapping {
    /// The one that `address` lies in; `None` if that is no code of a file.
    ///
    /// # Errors
    /// What the system answered: there is no `/proc`.
    pub fn of(address: usize) -> io::Result<Option<Self>> {
        Ok(all()?.into_iter().find(|mapping| mapping.range.contains(&address)))
    }

    /// Where `address` lies in the file, if it lies in this mapping.
    #[must_use]
    pub fn place(&self, address: usize) -> Option<CodePlace> {
        let offset = self.first.offset + address.checked_sub(self.range.start)? as u64;
        self.range.contains(&address).then_some(CodePlace { offset, ..self.first })
    }

    /// Where that byte of the file is in this process, if it lies in this mapping.
    #[must_use]
    pub fn address(&self, place: CodePlace) -> Option<usize> {
        let same_file = (place.device, place.inode) == (self.first.device, self.first.inode);
        let within = place.offset.checked_sub(self.first.offset)?;
        let address = self.range.start.checked_add(usize::try_from(within).ok()?)?;
        (same_file && self.range.contains(&address)).then_some(address)
    }

    /// The file, as it was named when it was mapped.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A line of `/proc/self/maps`, if it is of code: `start-end rwxp offset major:minor inode path`.
    fn parse(line: &str) -> Option<Self> {
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let mut rest = line;
        let mut next = || {
            let (field, after) = rest.split_once(' ')?;
            rest = after;
            Some(field)
        };
        let (start, end) = next()?.split_once('-')?;
        let executable = next()?.as_bytes().get(2) == Some(&b'x');
        let offset = hex(next()?)?;
        let (major, minor) = next()?.split_once(':')?;
        let device = hex(major)? << 32 | hex(minor)?;
        let (inode, path) = rest.split_once(' ').unwrap_or((rest, ""));
        let inode = inode.parse().ok().filter(|inode| *inode != 0)?;
        let range = hex(start)? as usize..hex(end)? as usize;
        let first = CodePlace { device, inode, offset };
        executable.then(|| Self { range, first, path: path.trim_start().to_owned() })
    }
}

/// Where that byte of a file is in this process; `None` if the file is not mapped here as code.
///
/// # Errors
/// What the system answered: there is no `/proc`.
pub fn address_of(place: CodePlace) -> io::Result<Option<usize>> {
    Ok(all()?.iter().find_map(|mapping| mapping.address(place)))
}

fn all() -> io::Result<Vec<CodeMapping>> {
    let maps = fs::read("/proc/self/maps")?;
    Ok(String::from_utf8_lossy(&maps).lines().filter_map(CodeMapping::parse).collect())
}

#[cfg(test)]
mod tests {
    use super::{CodeMapping, CodePlace, address_of};

    fn here() -> usize {
        here as fn() -> usize as usize
    }

    #[test]
    #[cfg_attr(miri, ignore = "there are no mappings under Miri")]
    fn code_is_found_again_and_data_is_none() {
        let mapping = CodeMapping::of(here()).unwrap().unwrap();
        let place = mapping.place(here()).unwrap();
        assert_eq!(CodePlace::from_bytes(&place.to_bytes()), place);
        assert_eq!(mapping.address(place), Some(here()));
        assert_eq!(address_of(place).unwrap(), Some(here()));
        let exe = std::env::current_exe().unwrap();
        assert_eq!(mapping.path(), exe.to_str().unwrap());

        let on_the_heap = Box::new(0u8);
        assert_eq!(CodeMapping::of(std::ptr::from_ref(&*on_the_heap) as usize).unwrap(), None);
        let elsewhere = CodePlace { inode: place.inode ^ 1 << 60, ..place };
        assert_eq!(address_of(elsewhere).unwrap(), None);
        assert_eq!(address_of(CodePlace { offset: u64::MAX, ..place }).unwrap(), None);
    }

    #[test]
    fn lines_of_the_kernel() {
        let of = CodeMapping::parse;
        let line = "7f00-7f80 r-xp 00002000 fd:01 1048  /tmp/a file.so (deleted)";
        let mapping = of(line).unwrap();
        assert_eq!(mapping.path(), "/tmp/a file.so (deleted)");
        let place = mapping.place(0x7f10).unwrap();
        assert_eq!(place.to_string(), "fd00000001:418:2010");
        assert_eq!(place, CodePlace { device: 0xfd << 32 | 1, inode: 1048, offset: 0x2010 });
        assert_eq!((mapping.place(0x7f80), mapping.place(0x7eff)), (None, None));
        assert!(of("7f00-7f80 r--p 00002000 fd:01 1048 /tmp/x").is_none());
        assert!(of("7f00-7f80 r-xp 00000000 00:00 0    [vdso]").is_none());
        assert!(of("7f00-7f80 r-xp 00000000 00:00 0").is_none());
        assert!(of("nonsense").is_none());
    }
}
