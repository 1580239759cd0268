//! Processes whose operations are logged, and the operations of a step.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::process::Command;

use lorasweep::train::{Ended, Warm};
use lorasweep::values::Trial;

use crate::bench::Bench;
use crate::native::Source;

const SOURCE: Source = Source { folder: "tests/op_log", parts: &["log"], headers: &[] };
const NAME: &str = "libop_log.so";
/// Names the log of a process that has one.
const LOG: &str = "OPERATIONS";

/// Runs the inside of the test with this name, here and now if this process is logged, and otherwise in one that
/// is, where it must succeed. Where there is no compiler the reason is printed instead.
#[track_caller]
pub(crate) fn logged(test: &str, inside: impl FnOnce()) {
    if std::env::var_os(LOG).is_some() {
        return inside();
    }
    let built = SOURCE.built(|draft, libtorch| SOURCE.build(&draft.join(NAME), libtorch));
    let Some(folder) = built else {
        writeln!(std::io::stderr(), "skipped: there is no C++ compiler (`c++`)").expect("standard error");
        return;
    };
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = command.env("LD_PRELOAD", folder.join(NAME)).env(LOG, log.path()).output().unwrap();
    let told = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
    std::io::stderr().write_all(&output.stderr).unwrap();
}

/// An operation that is not made of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    kind: String,
    pub(crate) name: String,
    /// Of its results.
    pub(crate) bytes: u64,
    pub(crate) sizes: Vec<Vec<u64>>,
}

impl Operation {
    fn of(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap().to_owned();
        let (kind, name, bytes) = (next(), next(), next().parse().unwrap());
        let sizes = words.map(|sizes| sizes.split('x').map(|size| size.parse().unwrap()).collect());
        Self { kind, name, bytes, sizes: sizes.collect() }
    }
}

/// The operations of one step.
#[derive(Debug)]
pub(crate) struct Step(Vec<Operation>);

impl Step {
    /// Those for which a GPU starts a kernel.
    pub(crate) fn launches(&self) -> impl Iterator<Item = &Operation> {
        self.0.iter().filter(|operation| operation.kind == "launch")
    }

    /// Those that make values, the parts of attention too.
    pub(crate) fn writes(&self) -> impl Iterator<Item = &Operation> {
        self.0.iter().filter(|operation| operation.kind != "view")
    }

    pub(crate) fn views(&self) -> usize {
        self.0.iter().filter(|operation| operation.kind == "view").count()
    }
}

/// Trains a pack in this process, and gives the operations of its third step, at which nothing is due.
#[track_caller]
pub(crate) fn third_step(bench: &Bench, pack: &[Trial]) -> Step {
    let path = std::env::var_os(LOG).unwrap();
    let marks = RefCell::new(Vec::new());
    let before_a_step = || {
        marks.borrow_mut().push(usize::try_from(fs::metadata(&path).unwrap().len()).unwrap());
        Vec::new()
    };
    let (ended, _) = bench.attempt_with(pack, &before_a_step, &|_| false, &mut Warm::default());
    assert_eq!(ended, Ok(Ended::Finished));
    let marks = marks.into_inner();
    let log = fs::read_to_string(&path).unwrap();
    Step(log[marks[2]..marks[3]].lines().map(Operation::of).collect())
}
