//! Processes with made-up devices: this program again, for the inside of one test, or the program under test.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::library;

/// Names the test whose inside a process is.
const INSIDE: &str = "FAKE_CUDA_INSIDE";

/// What a process counted, as `Counts` of `fake.h` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) launches: u64,
    pub(crate) reads: u64,
    pub(crate) read_bytes: u64,
    pub(crate) uploads: u64,
    pub(crate) upload_bytes: u64,
    pub(crate) unpinned: u64,
    pub(crate) races: u64,
    pub(crate) waits: u64,
    pub(crate) peak_bytes: u64,
    /// A bit for each device that was used, by the machine's number.
    pub(crate) devices: u64,
}

impl Counts {
    /// Of this process so far, which has counted nothing before it loads the library.
    pub(crate) fn now() -> Self {
        let folder = std::env::var("FAKE_CUDA_COUNTS").unwrap();
        let file = Path::new(&folder).join(std::process::id().to_string());
        fs::read(file).map(|bytes| Self::of(&bytes)).unwrap_or_default()
    }

    fn of(bytes: &[u8]) -> Self {
        let mut numbers = bytes.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        // The file is empty before it has its size.
        let mut next = || numbers.next().unwrap_or(0);
        Self {
            launches: next(),
            reads: next(),
            read_bytes: next(),
            uploads: next(),
            upload_bytes: next(),
            unpinned: next(),
            races: next(),
            waits: next(),
            peak_bytes: next(),
            devices: next(),
        }
    }

    /// What was counted since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            launches: self.launches - before.launches,
            reads: self.reads - before.reads,
            read_bytes: self.read_bytes - before.read_bytes,
            uploads: self.uploads - before.uploads,
            upload_bytes: self.upload_bytes - before.upload_bytes,
            unpinned: self.unpinned - before.unpinned,
            races: self.races - before.races,
            waits: self.waits - before.waits,
            ..self
        }
    }
}

/// A machine with made-up devices.
pub(crate) struct Machine {
    /// Folders of libraries.
    libraries: Vec<PathBuf>,
    variables: Vec<(&'static str, String)>,
    counts: TempDir,
}

impl Machine {
    /// One device unless the variables of `fake.h` say otherwise. None, and the reason is printed, where the library
    /// cannot be built.
    pub(crate) fn new(variables: &[(&'static str, &str)]) -> Option<Self> {
        let Some(library) = library::folder() else {
            writeln!(std::io::stderr(), "skipped: there is no C++ compiler (`c++`)").expect("standard error");
            return None;
        };
        let counts = tempfile::tempdir().unwrap();
        let mut all = vec![("FAKE_CUDA_COUNTS", counts.path().display().to_string())];
        all.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Some(Self { libraries: vec![library.to_path_buf()], variables: all, counts })
    }

    /// The same machine with the libraries of one more folder.
    pub(crate) fn with_libraries(mut self, folder: &Path) -> Self {
        self.libraries.push(folder.to_path_buf());
        self
    }

    /// A command on it.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let before = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let folders = self.libraries.iter().cloned().chain(std::env::split_paths(&before));
        command.env("LD_LIBRARY_PATH", std::env::join_paths(folders).unwrap());
        command.env_remove("CUDA_VISIBLE_DEVICES");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What each of its processes counted.
    pub(crate) fn counts(&self) -> Vec<Counts> {
        let files = fs::read_dir(self.counts.path()).unwrap();
        files.map(|file| Counts::of(&fs::read(file.unwrap().path()).unwrap())).collect()
    }

    /// The processes that used it, by number.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let files = fs::read_dir(self.counts.path()).unwrap();
        files.map(|file| file.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
    }

    /// The inside of a test, in a process of its own.
    pub(crate) fn inside(&self, test: &str) -> Output {
        let arguments = ["--exact", test, "--nocapture", "--test-threads=1"];
        self.command(std::env::current_exe().unwrap()).args(arguments).env(INSIDE, test).output().unwrap()
    }
}

/// Whether this process is for the inside of the test with this name.
pub(crate) fn is_inside(test: &str) -> bool {
    std::env::var(INSIDE).is_ok_and(|name| name == test)
}

/// Runs the inside of the test with this name, here and now if this process is for it, and otherwise in one of its
/// own, where it must succeed. Returns what that counted; None where no device can be made up.
#[track_caller]
pub(crate) fn apart(test: &str, variables: &[(&'static str, &str)], inside: impl FnOnce()) -> Option<Counts> {
    let said = end_of(test, variables, inside)?;
    let (output, counts) = said;
    let told = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
    Some(counts)
}

/// The same of an inside that may fail.
pub(crate) fn end_of(
    test: &str,
    variables: &[(&'static str, &str)],
    inside: impl FnOnce(),
) -> Option<(Output, Counts)> {
    if is_inside(test) {
        inside();
        return None;
    }
    let machine = Machine::new(variables)?;
    let output = machine.inside(test);
    Some((output, machine.counts().first().copied().unwrap_or_default()))
}
