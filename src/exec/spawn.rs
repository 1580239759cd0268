//! Owns how a worker process is started: its command, its environment, and what tells two starts apart.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::devices::Cards;
use super::pool::{FileId, WorkerKey};
use super::task::Task;
use crate::job::{JobFile, Work};
use crate::values::{ContentHash, Device, Placement};

/// Environment variable that tells a child who its parent is.
pub const PARENT_VARIABLE: &str = "LORASWEEP_PARENT";

/// What makes glibc give large blocks back at once, for packs that recompute, to which memory is dearer than time.
/// Blocks that it keeps are often too small for what it is asked next: such packs took up to 1.6 times the memory.
const GIVING_BACK: [(&str, &str); 2] = [("MALLOC_MMAP_MAX_", "65536"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];

/// What a worker for this job is started with, and loads.
///
/// # Errors
/// When there is no such program.
pub(super) fn key(program: &Path, cards: &Cards, job: &JobFile) -> io::Result<WorkerKey> {
    let (program, placement) = (file_id(program)?, job.placement.clone());
    let mut environment = environment(&placement, cards, &is_set);
    let loads = match &job.work {
        Work::Train(pack) => {
            let training = &pack.slots[0].configuration.training;
            if training.recompute {
                environment.extend(GIVING_BACK.map(|(name, value)| (name, value.to_owned())));
            }
            Some(ContentHash::of_json(&(&pack.model, training.precision, pack.store)))
        }
        Work::Prepare(_) | Work::Report { .. } => None,
    };
    Ok(WorkerKey { program, environment, placement, loads })
}

fn file_id(path: &Path) -> io::Result<FileId> {
    let file = path.metadata()?;
    let changed = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
    Ok((file.dev(), file.ino(), file.len(), changed))
}

/// Starts a worker with its first job, whose log takes its standard error.
pub(super) fn spawn(program: &Path, key: &WorkerKey, task: &Task) -> io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(&task.log)?;
    child(program, &key.environment).arg(task.folder.path()).stdin(Stdio::piped()).stderr(log).spawn()
}

/// Starts a child that tries a GPU, with the environment of a worker there, and answers on standard output.
pub(super) fn probe(program: &Path, gpu: &Placement, cards: &Cards) -> io::Result<Child> {
    let environment = environment(gpu, cards, &is_set);
    child(program, &environment).arg("--probe").stdin(Stdio::null()).stderr(Stdio::piped()).spawn()
}

/// The command of every child.
fn child(program: &Path, environment: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(program);
    command
        .arg("worker")
        .stdout(Stdio::piped())
        .process_group(0)
        .env(PARENT_VARIABLE, std::process::id().to_string())
        .envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Whether a variable is set that children inherit.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// The environment that limits a child's libraries to its share of the machine. `is_set` tells which variables
/// the child inherits.
fn environment(
    placement: &Placement,
    cards: &Cards,
    is_set: &dyn Fn(&str) -> bool,
) -> Vec<(&'static str, String)> {
    let mut variables = vec![
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
    variables.extend(of_cuda(placement, cards, is_set));
    variables
}

/// The part of the environment that CUDA and libtorch's CUDA library read.
fn of_cuda(
    placement: &Placement,
    cards: &Cards,
    is_set: &dyn Fn(&str) -> bool,
) -> Vec<(&'static str, String)> {
    let Device::Cuda { index } = placement.device else {
        return vec![("CUDA_VISIBLE_DEVICES", String::new())];
    };
    let visible = cards.uuid(placement.device).map_or_else(|| index.to_string(), str::to_owned);
    let mut variables = vec![
        ("CUDA_VISIBLE_DEVICES", visible),
        // A number means the GPU that `nvidia-smi` gives it, rather than the fastest.
        ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()),
        // Containers of NVIDIA set it to 1, and products of a trial in fp32 would have 10 bits.
        ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "0".to_owned()),
        // cuDNN's attention makes a plan for each new shape, and every batch may have one.
        ("TORCH_CUDNN_SDPA_DEPRIORITIZED", "1".to_owned()),
    ];
    // For the same reason: pieces of memory grow rather than lie about in sizes that no batch has again.
    if !["PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"].into_iter().any(is_set) {
        variables.push(("PYTORCH_ALLOC_CONF", "expandable_segments:True".to_owned()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::exec::devices::{Gpu, Machine};

    fn of(device: Device, set: &str) -> BTreeMap<&'static str, String> {
        let gpu = |index, uuid: &str| Gpu { uuid: uuid.to_owned(), ..Gpu::example(index) };
        let machine = Machine::example(vec![gpu(3, "GPU-cc33"), gpu(4, "MIG-e5")]);
        let placement = Placement { device, cores: vec![0, 1] };
        environment(&placement, &Cards::of(&machine), &|name| name == set).into_iter().collect()
    }

    #[test]
    fn a_child_is_given_its_gpu_by_uuid_and_no_other() {
        let visible = |device| of(device, "")["CUDA_VISIBLE_DEVICES"].clone();
        assert_eq!(visible(Device::Cuda { index: 3 }), "GPU-cc33");
        assert_eq!(visible(Device::Cuda { index: 4 }), "MIG-e5");
        assert_eq!(visible(Device::Cuda { index: 5 }), "5", "where nobody knows it");
        assert_eq!([Device::Host, Device::Cpu { slot: 0 }].map(visible), [const { String::new() }; 2]);
    }

    #[test]
    fn what_the_surroundings_set_changes_no_digits() {
        let gpu = of(Device::Cuda { index: 3 }, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE");
        assert_eq!(gpu["TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"], "0");
        assert_eq!(gpu["TORCH_CUDNN_SDPA_DEPRIORITIZED"], "1");
        assert_eq!(gpu["OMP_NUM_THREADS"], "2");
        assert!(!of(Device::Cpu { slot: 0 }, "").contains_key("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"));
    }

    #[test]
    fn the_allocator_is_left_as_the_user_wants_it() {
        let named = |set| of(Device::Cuda { index: 3 }, set).contains_key("PYTORCH_ALLOC_CONF");
        assert_eq!(["", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"].map(named), [true, false, false]);
    }
}
