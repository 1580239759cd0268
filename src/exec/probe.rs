//! Owns the trial of GPUs before anything trains there: a child on each, which computes a little with the
//! environment of those that train. All are tried at the same time, and nobody waits for one that hangs. Leaves
//! none out.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, bounded};
use rustix::process::Pid;

use super::crew::signal;
use super::devices::{Cards, Fault};
use super::{Exit, spawn, watch};
use crate::values::{Failure, Placement};

/// How long a GPU may take. Libtorch is loaded and a context made in 3 to 10 s, for many at once on few cores in
/// more.
pub const LIMIT: Duration = Duration::from_mins(1);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// How long what a child has written may take to arrive after its end.
const ARRIVAL: Duration = Duration::from_secs(1);
/// The most that is read of what a child writes, in bytes.
const MOST: u64 = 1 << 20;

/// What is tried, and how.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// The program that children run.
    pub program: &'a Path,
    /// The GPUs that there are.
    pub cards: &'a Cards,
    /// How long each may take.
    pub limit: Duration,
}

impl Probe<'_> {
    /// Whether each of these GPUs computes, in their order. `goes_on` is asked all the while, and is told how long
    /// it has taken: where it does not, all ends at once, and there is no answer.
    ///
    /// Must be called from a thread that lives until it returns, since children die with it.
    pub fn call(
        &self,
        gpus: &[Placement],
        goes_on: &mut dyn FnMut(Duration) -> bool,
    ) -> Option<Vec<Result<(), Fault>>> {
        let begun = Instant::now();
        let mut tries: Vec<Try> = gpus.iter().map(|gpu| self.start(gpu)).collect();
        loop {
            let is_late = begun.elapsed() >= self.limit;
            for one in &mut tries {
                one.look(is_late.then_some(self.limit));
            }
            let found = tries.iter().map(Try::found).collect();
            if let Some(found) = found {
                return Some(found);
            }
            if !goes_on(begun.elapsed()) {
                return None;
            }
            thread::sleep(LOOK);
        }
    }

    fn start(&self, gpu: &Placement) -> Try {
        match spawn::probe(self.program, gpu, self.cards) {
            Ok(child) => Try::Runs(Running::new(child)),
            Err(error) => Try::Ended(Err(Fault::Other(format!("its process cannot be started: {error}")))),
        }
    }
}

/// A GPU that is tried.
enum Try {
    Runs(Running),
    Ended(Result<(), Fault>),
}

impl Try {
    /// Looks whether the child has ended; where it has had this time, it is ended.
    fn look(&mut self, too_long: Option<Duration>) {
        let Self::Runs(running) = self else { return };
        let found = match (running.ended(), too_long) {
            (Some(status), _) => running.judge(status),
            (None, Some(limit)) => Err(Fault::NoAnswer(limit)),
            (None, None) => return,
        };
        *self = Self::Ended(found);
    }

    fn found(&self) -> Option<Result<(), Fault>> {
        match self {
            Self::Runs(_) => None,
            Self::Ended(found) => Some(found.clone()),
        }
    }
}

/// A child that tries a GPU. Dropping it kills what is left of it.
struct Running {
    child: Option<Child>,
    answer: Receiver<Vec<u8>>,
    words: Receiver<Vec<u8>>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let answer = read(child.stdout.take().expect("standard output is piped"));
        let words = read(child.stderr.take().expect("standard error is piped"));
        Self { child: Some(child), answer, words }
    }

    fn ended(&mut self) -> Option<io::Result<ExitStatus>> {
        self.child.as_mut().and_then(|child| child.try_wait().transpose())
    }

    /// What the child found: the fault that it tells, or else what its last words or its end mean.
    fn judge(&mut self, status: io::Result<ExitStatus>) -> Result<(), Fault> {
        self.child = None;
        let failure = match status.map(watch::exit) {
            Ok(Exit::Done) => return Ok(()),
            Ok(Exit::Failed(failure)) => failure,
            Ok(Exit::Interrupted) => Failure::Exited { code: super::EXIT_INTERRUPTED.into() },
            Err(error) => return Err(Fault::Other(error.to_string())),
        };
        let arrived = |from: &Receiver<Vec<u8>>| from.recv_timeout(ARRIVAL).unwrap_or_default();
        let told = serde_json::from_slice(&arrived(&self.answer)).ok();
        let words = arrived(&self.words);
        let words = String::from_utf8_lossy(&words);
        let meant = || Failure::told_by(&words).map(|_| Fault::told_by(&words));
        Err(told.or_else(meant).unwrap_or_else(|| Fault::Other(failure.to_string())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It is not reaped yet, so that its group's number is its own.
            signal(Pid::from_child(&child), true);
            // One that waits within the kernel does not die. Nobody waits for it.
            thread::spawn(move || drop(child.wait()));
        }
    }
}

/// What comes out of a pipe, once it is closed.
fn read(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = bounded(1);
    thread::spawn(move || {
        let mut all = Vec::new();
        // What was read before an error counts.
        drop(pipe.by_ref().take(MOST).read_to_end(&mut all));
        // Nobody may wait for it any more.
        drop(sender.send(all));
    });
    receiver
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::exec::devices::{Gpu, Machine};
    use crate::values::Device;

    /// A program that runs this script, in a folder of its own.
    fn program(script: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, program)
    }

    /// What the children on GPUs 0, 1, … find that run this script, with this limit.
    fn probe(script: &str, gpus: usize, limit: Duration) -> (Vec<Result<(), Fault>>, Duration) {
        let (_folder, program) = program(script);
        let cards = Cards::of(&Machine::example((0..gpus).map(Gpu::example).collect()));
        let placement = |index| Placement { device: Device::Cuda { index }, cores: vec![0] };
        let gpus: Vec<Placement> = (0..gpus).map(placement).collect();
        let begun = Instant::now();
        let probe = Probe { program: &program, cards: &cards, limit };
        (probe.call(&gpus, &mut |_| true).unwrap(), begun.elapsed())
    }

    #[test]
    fn each_gpu_is_tried_by_a_child_of_its_own_that_sees_no_other() {
        let script = r#"
            [ "$*" = "worker --probe" ] || exit 7
            case "$CUDA_VISIBLE_DEVICES" in
                GPU-0) exit 0;;
                GPU-1) echo '"no_code"'; exit 1;;
                GPU-2) echo 'CUDA error: uncorrectable ECC error encountered' >&2; kill -ABRT $$;;
                GPU-3) echo 'nothing of note' >&2; exit 3;;
                GPU-4) kill -SEGV $$;;
            esac"#;
        let (found, _) = probe(script, 5, LIMIT);
        let other = |text: &str| Err(Fault::Other(text.to_owned()));
        assert_eq!(
            found,
            [
                Ok(()),
                Err(Fault::NoCode),
                Err(Fault::MemoryErrors),
                other("the process ended with exit code 3 and no result"),
                other("the process was killed by signal 11"),
            ]
        );
    }

    #[test]
    fn one_that_hangs_is_not_waited_for_and_keeps_no_other_from_its_answer() {
        let limit = Duration::from_millis(500);
        let script = r#"[ "$CUDA_VISIBLE_DEVICES" = GPU-1 ] && exec sleep 1000; exit 0"#;
        let (found, took) = probe(script, 3, limit);
        assert_eq!(found, [Ok(()), Err(Fault::NoAnswer(limit)), Ok(())]);
        assert!(took >= limit && took < Duration::from_secs(30), "{took:?}");
    }

    #[test]
    fn where_it_does_not_go_on_it_ends_at_once() {
        let gpus = [Placement { device: Device::Cuda { index: 0 }, cores: vec![0] }];
        let (_folder, program) = program("exec sleep 1000");
        let probe = Probe { program: &program, cards: &Cards::default(), limit: LIMIT };
        assert_eq!(probe.call(&gpus, &mut |_| false), None);
        let nothing = Probe { program: Path::new("/not/there"), ..probe };
        let found = nothing.call(&gpus, &mut |_| true).unwrap();
        assert!(matches!(&found[..], [Err(Fault::Other(said))] if said.contains("cannot be started")));
    }
}
