//! Owns ending the children of an orchestrator that died: before a run starts again, none may still be working
//! on it, since both would write to the same trials.
//!
//! The kernel kills children with their parent, so there is rarely one left.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a killed child may take to disappear; one that writes to a hung disk may never do so.
const DEATH: Duration = Duration::from_secs(10);
/// Time between two looks at the process table.
const LOOK: Duration = Duration::from_millis(20);

/// Ends every process that works on a job in this folder. Returns those that did not exit by themselves
/// within `patience` and were killed. The folder must be spelled as on their command lines: absolute, with
/// links resolved.
///
/// # Errors
/// When the process table cannot be read, or a process does not end.
pub fn end(jobs: &Path, patience: Duration) -> io::Result<Vec<Pid>> {
    let left = wait(jobs, patience)?;
    for pid in &left {
        // A child leads its own group. A failure means that it has exited.
        let _ = kill_process_group(*pid, Signal::KILL);
        let _ = kill_process(*pid, Signal::KILL);
    }
    match wait(jobs, DEATH)?.first() {
        None => Ok(left),
        Some(pid) => Err(io::Error::other(format!(
            "process {} still works on it and does not end",
            pid.as_raw_nonzero()
        ))),
    }
}

/// Whether a process works on a job in this folder, whose orchestrator is gone, or has ended so far that it has
/// no command line any more. The kernel ends it, which takes a while where it holds much memory.
#[must_use]
pub fn is_ending(pid: u32, jobs: &Path) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty() || is_worker(&line, jobs))
}

fn wait(jobs: &Path, patience: Duration) -> io::Result<Vec<Pid>> {
    let begun = Instant::now();
    loop {
        let left = workers(jobs)?;
        if left.is_empty() || begun.elapsed() > patience {
            return Ok(left);
        }
        std::thread::sleep(LOOK);
    }
}

/// The processes whose command line has `worker` and a job of the folder.
fn workers(jobs: &Path) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        // A process may end meanwhile, and one that has ended has no command line.
        let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
        if is_worker(&line, jobs) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn is_worker(command_line: &[u8], jobs: &Path) -> bool {
    let words: Vec<_> = command_line.split(|byte| *byte == 0).collect();
    words.windows(2).any(|pair| {
        let job = Path::new(std::ffi::OsStr::from_bytes(pair[1]));
        pair[0] == b"worker" && job.parent() == Some(jobs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_processes_do_not_end() {
        assert!(!is_ending(std::process::id(), Path::new("/r/sweep/jobs")));
        // No process has this number.
        assert!(!is_ending(u32::MAX, Path::new("/r/sweep/jobs")));
    }

    #[test]
    fn only_workers_on_this_folder_count() {
        let jobs = Path::new("/r/sweep/jobs");
        assert!(is_worker(b"lorasweep\0worker\0/r/sweep/jobs/report\0", jobs));
        assert!(!is_worker(b"lorasweep\0worker\0/r/other/jobs/report\0", jobs));
        assert!(!is_worker(b"less\0/r/sweep/jobs/report\0", jobs));
        assert!(!is_worker(b"", jobs));
    }
}
