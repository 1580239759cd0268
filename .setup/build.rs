//! Lets the built programs find libtorch where set-up put it, without any variable to export.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=.setup/build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    if std::env::var_os("CARGO_FEATURE_TORCH").is_none() {
        return;
    }
    let Some(libtorch) = std::env::var_os("LIBTORCH").map(PathBuf::from) else {
        return;
    };
    // `lib/` may hold links into a Python wheel: its libraries find one another relative to
    // their real place, so that is the place to search at run time.
    let library = libtorch.join("lib/libtorch_cpu.so");
    if let Some(folder) = library.canonicalize().ok().as_deref().and_then(std::path::Path::parent) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
        println!("cargo::rustc-env=LORASWEEP_LIBTORCH={}", folder.display());
    }
}
