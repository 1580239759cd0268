//! Owns the signs that a child ended because memory ran out: the kernel's count, the free memory, and the end
//! of its log. Decides nothing about the job.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::devices;
use crate::values::Failure;

/// Least time between two looks. The kernel may have killed a child just before its last line is read, so the
/// count of the look before the last is compared.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes read from the end of a log.
const LAST_WORDS: u64 = 16 << 10;

/// Watches the machine's memory while a child lives.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    looks: Mutex<[Look; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    /// Processes that the kernel has killed for lack of memory so far; `None` where it does not count them.
    kills: Option<u64>,
    /// Whether hardly any memory was free.
    short: bool,
}

impl Look {
    fn now() -> Self {
        let kills = fs::read_to_string("/proc/vmstat").ok().and_then(|text| oom_kills(&text));
        Self { at: Instant::now(), kills, short: devices::memory_is_short() }
    }
}

impl MemoryWatch {
    pub(super) fn start() -> Self {
        Self { looks: Mutex::new([Look::now(); 2]) }
    }

    /// Looks again, if the last look was a while ago.
    pub(super) fn look(&self) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks[1].at.elapsed() > LOOK {
            *looks = [looks[1], Look::now()];
        }
    }

    /// Whether a child that was killed just now, but not by us, was killed for lack of memory.
    pub(super) fn explains_kill(&self) -> bool {
        let [before, last] = *self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        last.short || before.kills.is_some_and(|kills| Look::now().kills > Some(kills))
    }
}

/// The kernel's count of processes killed for lack of memory (`/proc/vmstat`, since Linux 4.13).
fn oom_kills(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// The failure of memory or device that a log reports from this byte on; `None` where it reports neither.
pub(super) fn last_words(log: &Path, from: u64) -> Option<Failure> {
    // A log that cannot be read gives no reason.
    let text = read_end(log, from).ok()?;
    Failure::told_by(&String::from_utf8_lossy(&text))
}

fn read_end(log: &Path, from: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(end.saturating_sub(LAST_WORDS)).min(end)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_found_among_others() {
        assert_eq!(oom_kills("pgfree 7\noom_kill 3\ndrop_pagecache 1\n"), Some(3));
        assert_eq!(oom_kills("pgfree 7\noom_kill_disable 0\n"), None);
    }

    #[test]
    fn only_the_last_words_of_this_attempt_count() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert_eq!(last_words(&log, 0), None);
        let before = "memory allocation of 32 bytes failed\n";
        fs::write(&log, format!("{before}all is well\n")).unwrap();
        assert_eq!(last_words(&log, 0), Some(Failure::OutOfMemory));
        assert_eq!(last_words(&log, before.len() as u64), None);
        assert_eq!(last_words(&log, 1_000), None, "the log was cut meanwhile");
        let filler = "x".repeat(20_000);
        fs::write(&log, format!("{before}{filler}\nCUDA error: an illegal memory access\n")).unwrap();
        assert!(matches!(last_words(&log, 0), Some(Failure::DeviceFailed { .. })));
    }
}
