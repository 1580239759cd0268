//! A folder as a user has it: the shipped sweeps, files beside them, and a cache of the hub.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The only commit of every repository.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

pub(crate) struct Site(TempDir);

/// How a command ended and what it said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// With all shipped sweeps in `sweeps/`.
    pub(crate) fn new() -> Self {
        let site = Self(TempDir::new().unwrap());
        for sweep in shipped() {
            let name = sweep.file_name().unwrap().to_string_lossy().into_owned();
            fs::copy(&sweep, site.file(&format!("sweeps/{name}"))).unwrap();
        }
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path in the site, its folder made.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// The folder of a model in the hub's cache.
    pub(crate) fn model(&self, name: &str) -> PathBuf {
        self.repository("models", name)
    }

    /// The folder of a data set in the hub's cache.
    pub(crate) fn data_set(&self, name: &str) -> PathBuf {
        self.repository("datasets", name)
    }

    fn repository(&self, kind: &str, name: &str) -> PathBuf {
        let repository = format!("home/hub/{kind}--{}", name.replace('/', "--"));
        fs::write(self.file(&format!("{repository}/refs/main")), COMMIT).unwrap();
        let snapshot = self.path().join(repository).join("snapshots").join(COMMIT);
        fs::create_dir_all(&snapshot).unwrap();
        snapshot
    }

    /// Runs the program in the site, without a network.
    pub(crate) fn lorasweep(&self, args: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_lorasweep"))
            .args(args)
            .current_dir(self.path())
            .env("HF_HOME", self.path().join("home"))
            .env("HF_HUB_OFFLINE", "1")
            .env_remove("HF_HUB_CACHE")
            .env_remove("HUGGINGFACE_HUB_CACHE")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Said {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The sweep files of this repository.
pub(crate) fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    files
}
