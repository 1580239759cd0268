//! Lets the built programs find libtorch where set-up put it, without any variable to export, and compiles what the
//! program asks libtorch in C++.

#[cfg(feature = "torch")]
use std::path::Path;
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
    #[cfg(feature = "torch")]
    compile(&libtorch);
    // Set-up writes this when it puts another libtorch in the same place.
    let stamp = libtorch.join("stamp");
    if stamp.exists() {
        println!("cargo::rerun-if-changed={}", stamp.display());
    }
    let library = libtorch.join("lib/libtorch_cpu.so");
    let Ok(library) = library.canonicalize() else {
        println!("cargo::error=there is no libtorch in {}: run `make setup`", libtorch.display());
        return;
    };
    // `lib/` may hold links into a Python wheel: its libraries find one another relative to
    // their real place, so that is the place to search at run time.
    if let Some(folder) = library.parent() {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
        // Linkers other than rust's own insist on seeing the CUDA libraries that libtorch_cpu.so loads.
        println!("cargo::rustc-link-arg=-Wl,--allow-shlib-undefined");
    }
}

/// tch has no functions for these.
#[cfg(feature = "torch")]
fn compile(libtorch: &Path) {
    let source = "src/model/gpu_memory.cpp";
    println!("cargo::rerun-if-changed={source}");
    let mut compiler = cc::Build::new();
    // libtorch's headers cause warnings of their own.
    compiler.cpp(true).std("c++17").warnings(false).include(libtorch.join("include")).file(source);
    compiler.compile("lorasweep_gpu_memory");
}
