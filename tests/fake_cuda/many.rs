//! A sweep on four devices, two of another kind, of which one fails twice and one hangs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam::channel::never;
use lorasweep::disk::layout::Layout;
use lorasweep::exec::devices;
use lorasweep::exec::local::LocalExecutor;
use lorasweep::hub::Hub;
use lorasweep::record::journal;
use lorasweep::run::{self, RunOptions};
use lorasweep::sched::{Limits, Policy};
use lorasweep::spec::{self, Downloads, Intent, Overrides};
use lorasweep::sweep::SweepSpec;
use lorasweep::train::checkpoint;
use lorasweep::values::{CommandLine, Device, Event, Failure, JobKey, TrialId, What};

use crate::apart::{Machine, is_inside};
use crate::runs;

const NAME: &str = "many::a_sweep_loses_nothing_on_devices_that_fail_and_hang";

/// 40 trials of 20 steps.
const SWEEP: &str = "
name: many
task: {train: train.csv, test: test.csv, text: [text], label: label, max_length: 64}
models:
  small: {architecture: bert, layers: 1, hidden: 32, heads: 2, intermediate: 64, tokenizer: vocab.txt}
grid:
  - method: scratch
    model: small
    learning_rate: [1e-4, 2e-4, 3e-4, 5e-4, 7e-4, 1e-3, 1.5e-3, 2e-3, 2.5e-3, 3e-3]
    seed: [1, 2]
kfold: {k: 2, stratified: true, seed: 1}
training: {epochs: 5, batch_size: 8, keep: last}
";
const DRIVER: &str = "
card
card
card
name NVIDIA RTX A2000
memory 6138 0
card
name NVIDIA RTX A2000
memory 6138 0
";
/// At these kernels of a process the second device fails and the third hangs, each fault once.
const FAULTS: &str = "1:ecc@1500,1:illegal@1500,2:hang@1500";

/// How far weights may be apart from those of the CPU, after 20 steps.
const WEIGHTS_APART: f64 = 1e-5;

fn sweep(folder: &Path) -> SweepSpec {
    let downloads = Downloads { hub: &Hub::from_env(), progress: &|_| {} };
    spec::load(&folder.join("sweep.yaml"), &Overrides::default(), Intent::Run, downloads).unwrap()
}

fn results(folder: &Path, devices: &str) -> PathBuf {
    folder.join(format!("results-{}", devices.replace(':', "-")))
}

/// Runs the sweep on these devices, with times for a test.
fn run_on(folder: &Path, devices: &str) {
    let sweep = sweep(folder);
    let reserved = devices::reserve(&devices.parse().unwrap(), &|_| false).unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lorasweep"));
    let mut executor = LocalExecutor::with_gpus(program, reserved.cards());
    let options = RunOptions {
        results: results(folder, devices),
        reports: folder.join("reports"),
        resources: reserved.resources.clone(),
        ram_total_mib: reserved.machine.ram_total_mib,
        processors: reserved.machine.processors(&reserved.resources),
        at_once: None,
        new_widths: false,
        limits: Limits { slots: 2, ..Limits::default() },
        policy: Policy {
            silence: Duration::from_secs(15),
            rest: Duration::from_millis(50),
            attempts: 3,
            ..Policy::ONCE
        },
        retry_failed: false,
        no_stop: false,
        checkpoint_every: None,
        command_line: CommandLine::default(),
    };
    let summary = run::start(sweep, options, &mut executor, &mut [], &never()).unwrap();
    assert_eq!((summary.done, summary.failed, summary.left), (40, 0, 0), "{summary:?}");
}

/// How far the trained weights of the same trial are apart.
fn apart(one: &Layout, other: &Layout, trial: TrialId) -> f64 {
    let [one, other] = [one, other].map(|layout| checkpoint::load(&layout.last_checkpoint(trial)).unwrap());
    assert_eq!((one.0.step, other.0.step), (20, 20));
    assert!(one.1.keys().eq(other.1.keys()));
    // The gradient of a key's bias is 0 but for rounding, which AdamW scales up to whole steps.
    let names = one.1.keys().filter(|name| !name.ends_with("self.key.bias"));
    let apart = |name: &String| (&one.1[name] - &other.1[name]).abs().max().double_value(&[]);
    names.map(apart).fold(0.0, f64::max)
}

/// Checks that no trial was in two jobs at once or went on after its end.
fn each_trains_in_one_place(events: &[Event]) {
    let (mut jobs, mut done) = (BTreeMap::<JobKey, Vec<TrialId>>::new(), BTreeSet::new());
    for event in events {
        if let What::JobLaunching { key, trials, .. } = &event.what {
            for trial in trials {
                assert!(!done.contains(trial), "{trial} was done");
                assert!(!jobs.values().flatten().any(|other| other == trial), "{trial} was at work");
            }
            jobs.insert(*key, trials.clone());
        } else if let What::TrialJoining { key, trial } = &event.what {
            jobs.get_mut(key).unwrap().push(*trial);
        } else if let What::TrialFinished { trial, .. } = &event.what {
            assert!(done.insert(*trial), "{trial} ended twice");
        } else if let What::JobFinished { key } | What::JobFailed { key, .. } = &event.what {
            jobs.remove(key);
        }
    }
    assert_eq!(done.len(), 40);
}

#[test]
fn a_sweep_loses_nothing_on_devices_that_fail_and_hang() {
    if is_inside(NAME) {
        return run_on(Path::new(&std::env::var("MANY_FOLDER").unwrap()), "cuda");
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    runs::write_files(place, SWEEP, DRIVER);
    let Some(driver) = runs::driver(place) else { return };
    let once = place.join("once");
    fs::create_dir(&once).unwrap();
    let text = |path: &Path| path.display().to_string();
    let uuids: Vec<String> = (0..4).map(|device| format!("GPU-{device:08}-0000")).collect();
    let Some(machine) = Machine::new(&[
        ("FAKE_NVML", &text(&place.join("nvml.txt"))),
        ("FAKE_CUDA_DEVICES", "4"),
        ("FAKE_CUDA_UUIDS", &uuids.join(",")),
        ("FAKE_CUDA_FAULTS", FAULTS),
        ("FAKE_CUDA_FAULTS_ONCE", &text(&once)),
        ("TMPDIR", &text(place)),
        ("MANY_FOLDER", &text(place)),
    ]) else {
        return;
    };
    let said = machine.with_libraries(&driver).inside(NAME);
    let told = [&said.stdout[..], &said.stderr].concat();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&told));
    run_on(place, "cpu:1");

    let [there, there_on_cpu] =
        ["cuda", "cpu:1"].map(|devices| Layout::new(&results(place, devices), "many"));
    let events = journal::read(&there.journal()).unwrap().events;
    each_trains_in_one_place(&events);
    let (mut places, mut failures) = (BTreeMap::new(), Vec::new());
    for event in &events {
        if let What::JobLaunching { key, placement, .. } = &event.what {
            places.insert(*key, placement.device);
        } else if let What::JobFailed { key, failure } = &event.what {
            failures.push((places[key], failure));
        }
    }
    let [second, third] = [1, 2].map(|index| Device::Cuda { index });
    let of = |device| failures.iter().filter(move |(place, _)| *place == device).map(|(_, failure)| *failure);
    assert!(of(second).all(|failure| matches!(failure, Failure::DeviceFailed { .. })), "{failures:?}");
    assert_eq!((of(second).count(), failures.len()), (2, 3), "{failures:?}");
    assert_eq!(of(third).collect::<Vec<_>>(), [&Failure::Hung], "{failures:?}");
    let sweep = sweep(place);
    for trial in sweep.trials() {
        let apart = apart(&there, &there_on_cpu, trial.id);
        assert!(apart <= WEIGHTS_APART, "{apart:.1e}: {:?}", trial.configuration);
    }
}
