//! The library of made-up devices, built once for its source and the libtorch in use, in a folder that looks like
//! that libtorch.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::thread;

use lorasweep::libtorch;
use lorasweep::values::ContentHash;

/// Its parts, all in this folder.
const PARTS: [&str; 8] = ["machine", "faults", "queue", "memory", "device", "alias", "copy", "kernels"];
const HEADERS: [&str; 2] = ["fake.h", "alias.h"];
/// The name by which the program looks for libtorch's own, beside the library that it has from the start.
const NAME: &str = "libtorch_cuda.so";
const BESIDE: &str = "libtorch_cpu.so";
/// Where it is in its folder: libtorch's libraries find others relative to theirs.
const PLACE: &str = "torch/lib";

/// The folder of libraries that a process should look into first; None where there is no C++ compiler.
pub(crate) fn folder() -> Option<&'static Path> {
    static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(find_or_build);
    FOLDER.as_deref()
}

fn find_or_build() -> Option<PathBuf> {
    // So that the linker keeps it. No test of this process wants a device.
    let _ = tch::Cuda::is_available();
    let libtorch = libtorch::folder().unwrap();
    Command::new("c++").arg("--version").output().ok().filter(|said| said.status.success())?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_cuda");
    let names = PARTS.iter().map(|part| format!("{part}.cpp")).chain(HEADERS.map(str::to_owned));
    let texts: Vec<String> = names.map(|name| fs::read_to_string(source.join(name)).unwrap()).collect();
    let content = ContentHash::of_json(&(texts, &libtorch, libtorch::version(&libtorch)));
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = cache.join(format!("fake_cuda-{content}"));
    if !built.is_dir() {
        let draft = tempfile::tempdir_in(cache).unwrap();
        disguise(&libtorch, draft.path());
        build(&source, &libtorch, &draft.path().join(PLACE));
        // Another process may have been faster, with the same bytes.
        let _ = fs::rename(draft.path(), &built);
    }
    Some(built.join(PLACE))
}

/// Makes a folder in which a process that finds [`BESIDE`] there finds all of libtorch but its CUDA library.
fn disguise(libtorch: &Path, folder: &Path) {
    let torch = libtorch.parent().unwrap();
    let place = folder.join(PLACE);
    fs::create_dir_all(&place).unwrap();
    let link = |from: &Path, to: &Path, without: &[&str]| {
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            if !without.iter().any(|other| name == *other) {
                symlink(from.join(&name), to.join(&name)).unwrap();
            }
        }
    };
    link(libtorch, &place, &[BESIDE, NAME]);
    link(torch, place.parent().unwrap(), &["lib"]);
    let others = torch.with_file_name("nvidia");
    if others.exists() {
        symlink(others, folder.join("nvidia")).unwrap();
    }
    // The kernel tells the program where this one is, with links resolved.
    let (ours, theirs) = (place.join(BESIDE), libtorch.join(BESIDE));
    if fs::hard_link(&theirs, &ours).is_err() {
        fs::copy(&theirs, &ours).unwrap();
    }
}

fn build(source: &Path, libtorch: &Path, folder: &Path) {
    let compile = |part: &str| {
        let mut command = Command::new("c++");
        command.args(["-std=c++17", "-O1", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]);
        command.arg("-isystem").arg(libtorch.parent().unwrap().join("include"));
        command.arg("-c").arg(source.join(part).with_extension("cpp"));
        run(command.arg("-o").arg(folder.join(part).with_extension("o")));
    };
    // libtorch's headers take seconds each.
    thread::scope(|scope| {
        for part in PARTS {
            scope.spawn(move || compile(part));
        }
    });
    let mut command = Command::new("c++");
    command.args(["-shared", "-o"]).arg(folder.join(NAME));
    command.args(PARTS.map(|part| folder.join(part).with_extension("o")));
    run(command.arg("-L").arg(libtorch).args(["-ltorch_cpu", "-lc10"]));
}

#[track_caller]
fn run(command: &mut Command) {
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}
