//! A worker on a device that fails: what it says of it, and what is there to go on from.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use lorasweep::disk::files;
use lorasweep::exec::{EXIT_DONE, EXIT_FAILED};
use lorasweep::job::{JobFile, Work};
use lorasweep::train::ForwardMode;
use lorasweep::values::{Device, Failure, Placement, Trial};

use crate::apart::Machine;
use crate::bench::Bench;
use crate::subject::{Subject, training};

/// A pack, and the job of it.
struct Job {
    bench: Bench,
    pack: Vec<Trial>,
}

impl Job {
    fn new() -> Self {
        let subject = Subject::Labels;
        let trial = |rank| subject.trial(subject.lora(rank, 8.0, 0.1), training());
        Self { bench: Bench::with(subject, ForwardMode::Stacked), pack: [2, 4].map(trial).to_vec() }
    }

    /// A worker that does it on the machine's first device.
    fn worker(&self, machine: &Machine) -> std::process::Child {
        let layout = &self.bench.layout;
        let own = layout.job("pack");
        let file = JobFile {
            start: 1,
            run: layout.run().to_path_buf(),
            log: own.log(),
            stores: layout.stores().to_path_buf(),
            placement: Placement { device: Device::Cuda { index: 0 }, cores: vec![0] },
            micro_rows: None,
            checkpoint_every_s: Some(0.0),
            silence_s: 300.0,
            work: Work::Train(Box::new(self.bench.pack(&self.pack))),
        };
        fs::create_dir_all(own.path()).unwrap();
        files::write_json(&own.file(), &file).unwrap();
        let mut command = machine.command(env!("CARGO_BIN_EXE_lorasweep"));
        command.arg("worker").arg(own.path()).env("CUDA_VISIBLE_DEVICES", "0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// How a worker ends.
    fn end(&self, machine: &Machine) -> Result<(), Failure> {
        let ended = self.worker(machine).wait().unwrap();
        if ended.code() == Some(i32::from(EXIT_DONE)) {
            return Ok(());
        }
        assert_eq!(ended.code(), Some(i32::from(EXIT_FAILED)));
        Err(files::read_json(&self.bench.layout.job("pack").failure()).unwrap().unwrap())
    }
}

#[test]
fn a_worker_trains_on_a_device() {
    let Some(machine) = Machine::new(&[]) else { return };
    let job = Job::new();
    assert_eq!(job.end(&machine), Ok(()));
    for trial in &job.pack {
        assert_eq!(job.bench.result(trial).steps, 10);
    }
    let counts = machine.counts();
    assert_eq!(counts.len(), 1);
    assert!(counts[0].launches > 1000 && counts[0].races == 0, "{counts:?}");
}

#[test]
fn memory_that_runs_out_is_told_in_whatever_words() {
    for fault in ["oom", "oom_nvml", "oom_driver", "oom_cublas"] {
        let Some(machine) = Machine::new(&[("FAKE_CUDA_FAULTS", &format!("0:{fault}@700"))]) else { return };
        assert_eq!(Job::new().end(&machine), Err(Failure::OutOfMemory), "{fault}");
    }
}

#[test]
fn a_device_that_fails_is_told_and_its_trials_go_on_elsewhere() {
    for (fault, words) in [
        ("ecc", "CUDA error: uncorrectable ECC error encountered"),
        ("illegal", "CUDA error: an illegal memory access was encountered"),
    ] {
        let Some(machine) = Machine::new(&[("FAKE_CUDA_FAULTS", &format!("0:{fault}@1500"))]) else { return };
        let job = Job::new();
        let failure = Failure::DeviceFailed { message: words.to_owned() };
        assert_eq!(job.end(&machine), Err(failure));
        assert!(job.bench.layout.last_checkpoint(job.pack[0].id).exists(), "it had come some way");
        let sound = Machine::new(&[]).unwrap();
        assert_eq!(job.end(&sound), Ok(()));
        let whole = Job::new();
        assert_eq!(whole.end(&sound), Ok(()));
        for trial in &job.pack {
            crate::bench::assert_identical(&job.bench, &whole.bench, trial);
        }
    }
}

#[test]
fn a_device_that_hangs_leaves_a_worker_that_can_be_killed() {
    let Some(machine) = Machine::new(&[("FAKE_CUDA_FAULTS", "0:hang@700")]) else { return };
    let job = Job::new();
    let mut worker = job.worker(&machine);
    let begun = Instant::now();
    let launches = || machine.counts().first().map_or(0, |counts| counts.launches);
    while launches() < 700 && begun.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(100));
    assert_eq!(launches(), 700);
    assert!(worker.try_wait().unwrap().is_none());
    worker.kill().unwrap();
    worker.wait().unwrap();
}
