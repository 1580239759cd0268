//! The library of made-up devices, in a folder that looks like libtorch's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::native::Source;

const SOURCE: Source = Source {
    folder: "tests/fake_cuda",
    parts: &["machine", "faults", "queue", "memory", "device", "alias", "copy", "kernels"],
    headers: &["fake.h", "alias.h"],
};
/// The name by which the program looks for libtorch's own, beside the library that it has from the start.
const NAME: &str = "libtorch_cuda.so";
const BESIDE: &str = "libtorch_cpu.so";
/// Where it is in its folder: libtorch's libraries find others relative to theirs.
const PLACE: &str = "torch/lib";

/// The folder of libraries that a process should look into first; None where there is no C++ compiler.
pub(crate) fn folder() -> Option<&'static Path> {
    static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let built = SOURCE.built(|draft, libtorch| {
            disguise(libtorch, draft);
            SOURCE.build(&draft.join(PLACE).join(NAME), libtorch);
        });
        Some(built?.join(PLACE))
    });
    FOLDER.as_deref()
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
