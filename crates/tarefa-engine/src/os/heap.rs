//! The heap of the C library, and what else of a process's memory is its own.

use std::fs;

use super::large_pages::{LARGE_PAGE, MADV_COLLAPSE};

/// Hands out all free memory that lies between what is in use, for good.
///
/// For a process that others are forked from. What they take would come from such holes, each on a
/// page of its own, which the first write to it copies; now it comes from the end of the heap,
/// side by side. Nothing new is asked of the system. Does nothing with another library than glibc.
pub fn fill_holes() {
    #[cfg(all(target_env = "gnu", not(miri)))]
    gnu::fill_holes();
}

/// Has the system keep this process's own large pieces of memory, of at least `least` bytes, in large
/// pages, where it can.
///
/// For a process that others are forked from: a fork copies an entry for each page, and a child's end
/// gives each back. A piece of which less than nine tenths is in use is left alone, for all of it would be
/// from then on. `MADV_COLLAPSE` (Linux 6.1) changes nothing that is in there.
pub fn use_large_pages(least: u64) {
    if cfg!(miri) {
        return;
    }
    for (start, end) in
        large_pieces(&fs::read_to_string("/proc/self/smaps").unwrap_or_default(), least)
    {
        let (start, end) = (start.next_multiple_of(LARGE_PAGE), end & !(LARGE_PAGE - 1));
        if start < end {
            let length = (end - start) as usize;
            // SAFETY: a range of this process's own memory, whose content stays as it is; where nothing
            // is any more the call fails.
            unsafe { libc::madvise(start as *mut libc::c_void, length, MADV_COLLAPSE) };
        }
    }
}

/// From where to where the pieces are, by the text of `/proc/PID/smaps`.
fn large_pieces(text: &str, least: u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut piece = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else { continue };
        if let Some((start, end)) = first.split_once('-') {
            // Private, with no file and no name: neither the heap that grows nor a stack.
            let is_own = second == "rw-p" && words.nth(2) == Some("0") && words.next().is_none();
            let hex = |word| u64::from_str_radix(word, 16).ok();
            piece = hex(start).zip(hex(end)).filter(|(start, end)| is_own && end - start >= least);
        } else if let (Some((start, end)), "Rss:") = (piece, first) {
            let in_use = second.parse::<u64>().unwrap_or(0) << 10;
            if in_use >= (end - start) / 10 * 9 {
                found.push((start, end));
            }
        }
    }
    found
}

#[cfg(all(target_env = "gnu", not(miri)))]
mod gnu {
    /// The most blocks that are taken, whatever the heap looks like.
    const MOST: usize = 100_000;

    pub(super) fn fill_holes() {
        // SAFETY: reads the allocator's own figures, and where the heap ends.
        let (figures, end) = unsafe { (libc::mallinfo(), libc::sbrk(0) as usize) };
        // Negative from 2 GiB on: then nothing lies before the end.
        let Ok(at_the_end) = usize::try_from(figures.keepcost) else { return };
        let end = end.saturating_sub(at_the_end);
        let mut left = MOST;
        for size in sizes() {
            while left > 0 && takes_a_hole(size, end) {
                left -= 1;
            }
        }
    }

    /// Large ones first, as otherwise the small ones would cut them up.
    fn sizes() -> impl Iterator<Item = usize> {
        // A block has eight bytes more than a multiple of sixteen.
        (11..=16).rev().map(|power| 1 << power).chain((1..=127).rev().map(|n| n * 16 + 8))
    }

    /// Takes a block of that size for good, unless it lies at the end of the heap.
    fn takes_a_hole(size: usize, end: usize) -> bool {
        // SAFETY: no precondition; a block that is not given back is never used.
        let block = unsafe { libc::malloc(size) };
        if block.is_null() || block as usize >= end {
            // SAFETY: just allocated, or null, which `free` takes.
            unsafe { libc::free(block) };
            return false;
        }
        true
    }
}

#[cfg(all(test, not(miri), not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_are_those_in_use_without_a_file_or_a_name() {
        let text = "\
7f0000000000-7f0000800000 rw-p 00000000 00:00 0 \nSize: 8192 kB\nRss: 8000 kB\nVmFlags: rd wr\n\
7f0001000000-7f0001800000 rw-p 00000000 00:00 0 \nRss: 100 kB\n\
7f0002000000-7f0002800000 rw-s 00000000 00:01 7 /memfd:x\nRss: 8192 kB\n\
7f0003000000-7f0003800000 rw-p 00000000 00:00 0 [stack]\nRss: 8192 kB\n\
7f0004000000-7f0004100000 rw-p 00000000 00:00 0 \nRss: 1024 kB\n\
7f0005000000-7f0005800000 r--p 00000000 00:00 0 \nRss: 8192 kB\nodd\n";
        assert_eq!(large_pieces(text, 4 << 20), [(0x7f00_0000_0000, 0x7f00_0080_0000)]);
    }

    #[test]
    fn what_is_in_large_pages_is_what_it_was() {
        let numbers: Vec<u32> = (0..8 << 20).collect();
        use_large_pages(4 << 20);
        assert!(numbers.iter().copied().eq(0..8 << 20));
    }
}
