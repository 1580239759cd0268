//! Whole sweeps on machines with several made-up devices, which the driver tells of and the workers compute on.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lorasweep::disk::layout::Layout;
use lorasweep::record::{self, RunRecord, TrialState, journal};
use lorasweep::values::{Device, Failure, What};
use tempfile::TempDir;

use crate::apart::Machine;

const SWEEP: &str = "
name: devices
task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 64}
models:
  small: {architecture: bert, layers: 1, hidden: 32, heads: 2, intermediate: 64, tokenizer: vocab.txt}
grid: [{method: scratch, model: small, learning_rate: [1e-3, 2e-3, 5e-3, 1e-2]}]
training: {epochs: 4, batch_size: 64}
";

/// A sweep in a folder of its own, on a machine with so many devices.
pub(crate) struct Run {
    pub(crate) folder: TempDir,
    pub(crate) machine: Machine,
}

impl Run {
    pub(crate) fn new(devices: usize, variables: &[(&'static str, &str)]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), SWEEP, &"card\n".repeat(devices));
        let nvml = folder.path().join("nvml.txt").display().to_string();
        let uuids: Vec<String> = (0..devices).map(|device| format!("GPU-{device:08}-0000")).collect();
        let (uuids, count) = (uuids.join(","), devices.to_string());
        let temporary = folder.path().display().to_string();
        let mut all = vec![
            ("FAKE_NVML", nvml.as_str()),
            ("FAKE_CUDA_DEVICES", &count),
            ("FAKE_CUDA_UUIDS", &uuids),
            ("TMPDIR", &temporary),
        ];
        all.extend(variables);
        let driver = driver(folder.path())?;
        let machine = Machine::new(&all)?.with_libraries(&driver);
        Some(Self { folder, machine })
    }

    /// The program with these arguments.
    pub(crate) fn lorasweep(&self, args: &[&str]) -> Command {
        let mut command = self.machine.command(env!("CARGO_BIN_EXE_lorasweep"));
        command.current_dir(self.folder.path()).args(args);
        command
    }

    pub(crate) fn on(&self, devices: &str) -> Output {
        self.lorasweep(&["run", "sweep.yaml", "--quiet", "--devices", devices]).output().unwrap()
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(&self.folder.path().join("results"), "devices")
    }

    /// The record of a run whose trials are all done.
    #[track_caller]
    pub(crate) fn done(&self, said: &Output) -> RunRecord {
        let record = record::load(self.layout().run()).unwrap();
        let told = String::from_utf8_lossy(&said.stderr);
        assert!(record.trials.iter().all(|trial| trial.state == TrialState::Done), "{told}");
        record
    }

    fn events(&self) -> Vec<What> {
        journal::read(&self.layout().journal()).unwrap().events.into_iter().map(|event| event.what).collect()
    }

    /// The devices on which trials were started, in order.
    pub(crate) fn places(&self) -> Vec<Device> {
        let place = |what| {
            let What::JobLaunching { placement, trials, .. } = what else { return None };
            (!trials.is_empty()).then_some(placement.device)
        };
        self.events().into_iter().filter_map(place).collect()
    }

    pub(crate) fn failures(&self) -> Vec<Failure> {
        let failure = |what| if let What::JobFailed { failure, .. } = what { Some(failure) } else { None };
        self.events().into_iter().filter_map(failure).collect()
    }
}

/// A sweep with its data, and what the driver says.
pub(crate) fn write_files(folder: &Path, sweep: &str, driver: &str) {
    let text = "the cat and a dog ".repeat(8);
    let rows: String = (0..64).map(|i| format!("{text}{}\n", ["cat,yes", "dog,no"][i % 2])).collect();
    let rows = format!("text,label\n{rows}");
    for (name, text) in [
        ("sweep.yaml", sweep),
        ("train.csv", &rows),
        ("test.csv", &rows),
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\ncat\ndog\n"),
        ("nvml.txt", driver),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// The folder with the driver's library that `tests/fake_nvml` makes up; None where there is no C compiler.
pub(crate) fn driver(folder: &Path) -> Option<std::path::PathBuf> {
    let place = folder.join("driver");
    fs::create_dir(&place).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_nvml/nvml.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(place.join("libnvidia-ml.so.1")).arg(source);
    cc.status().ok().filter(|status| status.success()).map(|_| place)
}

#[test]
fn memory_that_others_take_meanwhile_makes_no_pack_smaller() {
    let once = tempfile::tempdir().unwrap();
    let folder = once.path().display().to_string();
    let variables = [("FAKE_CUDA_FAULTS", "0:oom@200"), ("FAKE_CUDA_FAULTS_ONCE", &folder)];
    let Some(run) = Run::new(2, &variables) else { return };
    let lines = format!("card\nmemory 80000 500\nsince {folder}/0-oom-200 60000\ncard\n");
    fs::write(run.folder.path().join("nvml.txt"), lines).unwrap();
    run.done(&run.on("cuda"));
    let message = "60500 of 80000 MiB of cuda:0 are taken by others".to_owned();
    assert_eq!(run.failures(), [Failure::DeviceTaken { message }]);
}

#[test]
fn a_handle_that_is_not_made_is_a_lack_of_memory_where_the_card_is_full() {
    for (used, lacks) in [(78_000, true), (40_000, false)] {
        let once = tempfile::tempdir().unwrap();
        let folder = once.path().display().to_string();
        let variables = [("FAKE_CUDA_FAULTS", "0:no_handle@200"), ("FAKE_CUDA_FAULTS_ONCE", &folder)];
        let Some(run) = Run::new(2, &variables) else { return };
        fs::write(run.folder.path().join("nvml.txt"), format!("card\nmemory 80000 {used}\ncard\n")).unwrap();
        run.done(&run.on("cuda"));
        let failures = run.failures();
        assert!(matches!(failures[..], [Failure::OutOfMemory]) == lacks, "{failures:?}");
        assert!(lacks || matches!(failures[..], [Failure::DeviceFailed { .. }]), "{failures:?}");
    }
}

/// The devices that were used, by bits.
fn used(run: &Run) -> u64 {
    run.machine.counts().iter().fold(0, |all, counts| all | counts.devices)
}

#[test]
fn a_sweep_on_two_of_three_devices_learns_what_it_learns_on_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let stops = folder.path().join("stops");
    let Some(there) = Run::new(3, &[("FAKE_NVML_STOPS", stops.to_str().unwrap())]) else { return };
    let here = Run::new(0, &[]).unwrap();
    // Packs of one trial, so that both devices have something to do.
    let on_devices = there.done(&there.on("cuda:1,2"));
    let on_host = here.done(&here.on("cpu:1"));
    for (there, here) in on_devices.trials.iter().zip(&on_host.trials) {
        let [there, here] = [there, here]
            .map(|trial| trial.result.as_ref().unwrap().validation.as_ref().unwrap().loss().unwrap());
        assert!((there - here).abs() < 1e-5, "{there} on a device, {here} on the host");
    }
    let places = there.places();
    for index in [1, 2] {
        assert!(places.contains(&Device::Cuda { index }), "{places:?}");
    }
    assert_eq!(used(&there), 0b110);
    let of_results =
        on_devices.trials.iter().map(|trial| trial.result.as_ref().unwrap().cost.peak_memory_mib);
    let of_devices = there.machine.counts().iter().map(|counts| counts.peak_bytes).max().unwrap();
    let apart = of_results.fold(0.0, f64::max) - of_devices as f64 / f64::from(1 << 20);
    assert!(apart.abs() < 1e-9, "the memory in the record is the device's: {apart} MiB apart");
    let foreseen = on_devices.foreseen.unwrap().mem_mib.unwrap();
    assert!(foreseen < 100.0, "what CUDA takes is not measured, and not compared: {foreseen} MiB");
    assert_eq!(fs::read_to_string(&stops).unwrap().lines().count(), 1);
    let changed = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    assert!(changed(&stops) >= changed(&there.layout().journal()), "the driver is kept for the whole run");
    assert!(there.machine.counts().iter().all(|counts| counts.races == 0));
}

#[test]
fn of_unlike_devices_the_fastest_starts_first() {
    let Some(run) = Run::new(2, &[]) else { return };
    let slow = "card\nname NVIDIA L4\nmemory 23034 0\ncapability 8.9\ncores 740\nclock 2040\n";
    fs::write(run.folder.path().join("nvml.txt"), format!("{slow}card\n")).unwrap();
    let said = run.on("cuda:0,1");
    run.done(&said);
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(told.contains("the 2 GPUs are unlike (NVIDIA L4, NVIDIA H100 80GB HBM3)"), "{told}");
    assert_eq!(run.places().first(), Some(&Device::Cuda { index: 1 }));
    let experience = fs::read_to_string(run.layout().experience()).unwrap();
    assert!(experience.contains("NVIDIA H100 80GB HBM3"), "{experience}");
}

#[test]
fn a_device_that_always_fails_costs_no_trial() {
    let Some(run) = Run::new(2, &[("FAKE_CUDA_FAULTS", "1:ecc@200")]) else { return };
    run.done(&run.on("cuda:0,1"));
    assert_eq!(used(&run), 0b11, "it was tried");
    let words = "CUDA error: uncorrectable ECC error encountered".to_owned();
    let failures = run.failures();
    assert!(!failures.is_empty());
    assert!(
        failures.iter().all(|failure| *failure == Failure::DeviceFailed { message: words.clone() }),
        "{failures:?}"
    );
}

#[test]
fn a_batch_that_is_too_large_for_a_device_is_learned_in_parts() {
    let Some(run) = Run::new(1, &[("FAKE_CUDA_MEMORY_MIB", "8")]) else { return };
    run.done(&run.on("cuda:0"));
    let failures = run.failures();
    let peak = run.machine.counts().iter().map(|counts| counts.peak_bytes).max();
    assert!(
        !failures.is_empty() && failures.iter().all(|failure| *failure == Failure::OutOfMemory),
        "{failures:?}, {peak:?}"
    );
}
