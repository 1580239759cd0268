//! What `run` and `doctor` do about devices that the driver takes for sound, and that do not compute.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lorasweep::disk::lock::Lock;
use lorasweep::exec::devices::{Cards, Fault};
use lorasweep::exec::probe::Probe;
use lorasweep::values::{Device, Placement};
use rustix::process::{Pid, Signal, kill_process};

use crate::apart::apart;
use crate::runs::Run;

/// Far longer than anything here takes; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn gpu(index: usize) -> Device {
    Device::Cuda { index }
}

fn stderr(said: &Output) -> String {
    String::from_utf8_lossy(&said.stderr).into_owned()
}

#[test]
fn one_device_of_two_that_does_not_compute_is_left_out_and_told() {
    for (fault, words) in [
        ("ecc", "its memory had an error that could not be corrected; `sudo nvidia-smi --gpu-reset -i 1`"),
        ("nocode", "libtorch has no code for cards like it; install another libtorch"),
        ("oom", "its memory is full; wait for those who use it"),
    ] {
        let Some(run) = Run::new(2, &[("FAKE_CUDA_FAULTS", &format!("1:{fault}@1"))]) else { return };
        let said = run.on("cuda");
        run.done(&said);
        assert!(run.places().iter().all(|place| *place == gpu(0)), "{:?}", run.places());
        let told = format!("warning: not used: GPU 1: it does not compute: {words}");
        assert!(stderr(&said).contains(&told), "{}", stderr(&said));
        assert!(run.failures().is_empty());
    }
}

#[test]
fn where_any_will_do_another_takes_the_place_of_one_that_does_not_compute() {
    // The last is not there for CUDA.
    let faults = [("FAKE_CUDA_FAULTS", "0:ecc@1"), ("FAKE_CUDA_DEVICES", "2")];
    let Some(run) = Run::new(3, &faults) else { return };
    let said = run.on("gpus:1");
    run.done(&said);
    assert!(run.places().iter().all(|place| *place == gpu(1)), "{:?}", run.places());
    let doctor = run.lorasweep(&["doctor"]).output().unwrap();
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let lines: Vec<&str> =
        told.lines().filter(|line| line.split_whitespace().nth(1) == Some("gpu")).collect();
    assert_eq!(doctor.status.code(), Some(5), "{told}");
    assert!(lines[0].starts_with("ok") && lines[0].contains("cuda:1 ") && lines[0].ends_with("; computes"));
    assert!(lines[1].starts_with("missing") && lines[1].contains("GPU 0: it does not compute: its memory"));
    assert!(lines[2].starts_with("missing") && lines[2].contains("GPU 2: it does not compute: "), "{told}");
    // A run has tried its own.
    let _claim = Lock::of_all_users(&run.folder.path().join("lorasweep-GPU-00000001-0000.lock")).unwrap();
    let doctor = run.lorasweep(&["doctor"]).output().unwrap();
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(told.contains("; taken by another lorasweep") && !told.contains("; computes"), "{told}");
}

#[test]
fn where_no_device_computes_nothing_is_started_and_the_cpu_does_not_take_their_place() {
    let Some(run) = Run::new(2, &[("FAKE_CUDA_FAULTS", "0:ecc@1,1:ecc@1")]) else { return };
    for devices in ["auto", "cuda", "cuda:0,1", "gpus:1"] {
        let said = run.on(devices);
        assert_eq!(said.status.code(), Some(5), "{}", stderr(&said));
        let told = stderr(&said);
        let error = "error: 2 NVIDIA GPUs cannot be used: GPU 0, GPU 1: it does not compute: its memory had";
        assert!(told.contains(error), "{told}");
        assert!(told.contains("hint: `sudo nvidia-smi --gpu-reset -i 0,1`"), "{told}");
        assert!(told.contains("`--devices cpu` trains on the CPU"), "{told}");
        assert!(!run.layout().run().exists());
    }
}

#[test]
fn where_nothing_is_left_to_train_no_device_is_tried() {
    let Some(run) = Run::new(1, &[]) else { return };
    run.done(&run.on("cuda"));
    let processes = run.machine.counts().len();
    assert!(processes >= 2, "one tried the device, and one trained there");
    let again = run.on("cuda");
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_eq!(run.machine.counts().len(), processes);
}

#[test]
fn a_device_that_hangs_is_left_after_a_while_and_keeps_no_other_waiting() {
    let machine =
        [("FAKE_CUDA_DEVICES", "2"), ("FAKE_CUDA_UUIDS", "GPU-a,GPU-b"), ("FAKE_CUDA_FAULTS", "0:hang@1")];
    let test = "probe::a_device_that_hangs_is_left_after_a_while_and_keeps_no_other_waiting";
    apart(test, &machine, || {
        let (program, limit) = (Path::new(env!("CARGO_BIN_EXE_lorasweep")), Duration::from_secs(15));
        let probe = Probe { program, cards: &Cards::default(), limit };
        let gpus = [0, 1].map(|index| Placement { device: gpu(index), cores: vec![0] });
        let begun = Instant::now();
        let found = probe.call(&gpus, &mut |_| true).unwrap();
        assert_eq!(found, [Err(Fault::NoAnswer(limit)), Ok(())]);
        assert!(begun.elapsed() < limit + PATIENCE);
    });
}

#[test]
fn whoever_stops_a_run_that_tries_its_devices_ends_it_at_once() {
    let Some(run) = Run::new(1, &[("FAKE_CUDA_FAULTS", "0:hang@1")]) else { return };
    let mut command = run.lorasweep(&["run", "sweep.yaml", "--devices", "cuda"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while run.machine.counts().first().is_none_or(|counts| counts.launches == 0) {
        assert!(begun.elapsed() < PATIENCE, "it does not try the device");
        thread::sleep(Duration::from_millis(10));
    }
    let asked = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let said = child.wait_with_output().unwrap();
    assert_eq!(said.status.code(), Some(4), "{}", stderr(&said));
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert!(stderr(&said).contains("hint: nothing was started"), "{}", stderr(&said));
    let tried = run.machine.processes();
    let is_alive = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    while tried.iter().any(is_alive) {
        assert!(asked.elapsed() < PATIENCE, "it left a process");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!run.layout().run().exists());
}
