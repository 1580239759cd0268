//! The checks for a machine with a GPU, on a made-up device at toy size: that they work, before there is one.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::apart::Machine;
use crate::runs;

/// What is checked here; `GPU_SMOKE` may name other parts. All of them take minutes.
const PARTS: &str = "probe,padding";

#[test]
fn the_checks_for_a_gpu_work() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let Some(driver) = runs::driver(place) else { return };
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|said| said.status.success()) {
        writeln!(std::io::stderr(), "skipped: there is no `python3`").expect("standard error");
        return;
    }
    let (nvml, temporary) = (place.join("nvml.txt"), place.join("tmp"));
    fs::write(&nvml, "card\n").unwrap();
    fs::create_dir(&temporary).unwrap();
    let text = |path: &Path| path.display().to_string();
    let Some(machine) = Machine::new(&[
        ("FAKE_NVML", &text(&nvml)),
        ("FAKE_CUDA_UUIDS", "GPU-00000000-0000"),
        // The checks change it where memory is to be short.
        ("FAKE_CUDA_MEMORY_MIB", "1024"),
        ("TMPDIR", &text(&temporary)),
    ]) else {
        return;
    };
    let parts = std::env::var("GPU_SMOKE").unwrap_or_else(|_| PARTS.to_owned());
    let machine = machine.with_libraries(&driver);
    let mut command = machine.command("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpu_check.py"));
    command.args(["--smoke", "--only", &parts, "--lorasweep", env!("CARGO_BIN_EXE_lorasweep")]);
    let said = command.output().unwrap();
    let told = [&said.stdout[..], &said.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(said.status.success() && told.contains(" 0 failed"), "{told}");
    writeln!(std::io::stderr(), "{told}").expect("standard error");
}
