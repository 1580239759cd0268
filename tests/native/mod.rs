//! C++ that tests build against libtorch's headers, once for its source and the libtorch in use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use lorasweep::libtorch;
use lorasweep::values::ContentHash;

/// The source of a library: a folder, and what is in it.
pub(crate) struct Source {
    pub(crate) folder: &'static str,
    /// Names of files, without their ending.
    pub(crate) parts: &'static [&'static str],
    pub(crate) headers: &'static [&'static str],
}

impl Source {
    /// The folder in which `make` builds it, or has built it before: a draft that it gets, and the folder of this
    /// process's libtorch. None where there is no C++ compiler.
    pub(crate) fn built(&self, make: impl FnOnce(&Path, &Path)) -> Option<PathBuf> {
        // So that the linker keeps it.
        let _ = tch::Cuda::is_available();
        let libtorch = libtorch::folder().unwrap();
        Command::new("c++").arg("--version").output().ok().filter(|said| said.status.success())?;
        let names = self.parts.iter().map(|part| format!("{part}.cpp"));
        let names = names.chain(self.headers.iter().map(|&header| header.to_owned()));
        let texts: Vec<String> =
            names.map(|name| fs::read_to_string(self.path().join(name)).unwrap()).collect();
        let content = ContentHash::of_json(&(texts, &libtorch, libtorch::version(&libtorch)));
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = self.path().file_name().unwrap().to_str().unwrap().to_owned();
        let built = cache.join(format!("{name}-{content}"));
        if !built.is_dir() {
            let draft = tempfile::tempdir_in(cache).unwrap();
            make(draft.path(), &libtorch);
            // Another process may have been faster, with the same bytes.
            let _ = fs::rename(draft.path(), &built);
        }
        Some(built)
    }

    /// Compiles it to a library with this path, which uses the libtorch in that folder.
    pub(crate) fn build(&self, library: &Path, libtorch: &Path) {
        let object = |part: &str| library.with_file_name(part).with_extension("o");
        let compile = |part: &str| {
            let mut command = Command::new("c++");
            command.args(["-std=c++17", "-O1", "-fPIC", "-Wall", "-Wextra", "-Werror"]);
            command.arg("-Wno-unused-parameter");
            command.arg("-isystem").arg(libtorch.parent().unwrap().join("include"));
            command.arg("-c").arg(self.path().join(part).with_extension("cpp"));
            run(command.arg("-o").arg(object(part)));
        };
        // libtorch's headers take seconds each.
        thread::scope(|scope| {
            for part in self.parts {
                scope.spawn(move || compile(part));
            }
        });
        let mut command = Command::new("c++");
        command.args(["-shared", "-o"]).arg(library);
        command.args(self.parts.iter().map(|part| object(part)));
        run(command.arg("-L").arg(libtorch).args(["-ltorch_cpu", "-lc10"]));
    }

    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.folder)
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}
