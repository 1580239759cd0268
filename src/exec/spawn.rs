//! Owns how a worker process is started: its command, its environment, and what tells two starts apart.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::devices;
use super::pool::{FileId, WorkerKey};
use super::task::Task;
use crate::job::{JobFile, Work};
use crate::values::{ContentHash, Device, Placement};

/// Environment variable that tells a child who its parent is.
pub const PARENT_VARIABLE: &str = "LORASWEEP_PARENT";

/// What a worker for this job is started with, and loads.
///
/// # Errors
/// When there is no such program.
pub(super) fn key(program: &Path, job: &JobFile) -> io::Result<WorkerKey> {
    let loads = match &job.work {
        Work::Train(pack) => {
            let precision = pack.slots[0].configuration.training.precision;
            Some(ContentHash::of_json(&(&pack.model, precision, pack.store)))
        }
        Work::Prepare(_) | Work::Report { .. } => None,
    };
    let (program, placement) = (file_id(program)?, job.placement.clone());
    Ok(WorkerKey { program, environment: environment(&placement), placement, loads })
}

fn file_id(path: &Path) -> io::Result<FileId> {
    let file = path.metadata()?;
    let changed = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
    Ok((file.dev(), file.ino(), file.len(), changed))
}

/// Starts a worker with its first job, whose log takes its standard error.
pub(super) fn spawn(program: &Path, key: &WorkerKey, task: &Task) -> io::Result<Child> {
    Command::new(program)
        .arg("worker")
        .arg(task.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(OpenOptions::new().create(true).append(true).open(&task.log)?)
        .process_group(0)
        .env(PARENT_VARIABLE, std::process::id().to_string())
        .envs(key.environment.iter().map(|(name, value)| (name, value)))
        .spawn()
}

/// The environment that limits a child's libraries to its share of the machine.
fn environment(placement: &Placement) -> Vec<(&'static str, String)> {
    let visible = match placement.device {
        Device::Cuda { index } => {
            devices::name_for_cuda(index, std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref())
        }
        Device::Cpu { .. } | Device::Host => String::new(),
    };
    let mut variables = vec![
        ("CUDA_VISIBLE_DEVICES", visible),
        // Numbers as NVML does, which gave us the GPUs' indices, rather than fastest first.
        ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()),
        // glibc would give large blocks back to the kernel at every step: 1.16 million page faults in
        // a short trial, against 0.7 million with these.
        ("MALLOC_MMAP_MAX_", "0".to_owned()),
        ("MALLOC_TRIM_THRESHOLD_", (1_u64 << 40).to_string()),
        ("MALLOC_TOP_PAD_", (64_u64 << 20).to_string()),
        // By default an OpenMP thread keeps its core busy for milliseconds while it waits for the others. Where
        // another program needed that core, training fell to 40 rows/s, against 97 with 20,000 rounds of
        // waiting and 180 with 1,000. On a quiet machine 1,000 cost a tenth of the speed, and 10,000 nothing
        // that could be measured.
        ("GOMP_SPINCOUNT", "10000".to_owned()),
    ];
    // A host job without its own cores runs alongside training, on one thread.
    let threads = placement.cores.len().max(1).to_string();
    let names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"];
    variables.extend(names.map(|name| (name, threads.clone())));
    variables
}
