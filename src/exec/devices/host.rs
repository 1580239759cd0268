//! Owns what the kernel says of processor, memory and disks.

use std::path::Path;

use sysinfo::{CpuRefreshKind, System};

use super::MIB;

/// What the kernel reports of processor and memory, in bytes.
#[derive(Default)]
pub(super) struct Host {
    pub(super) cpu_name: String,
    pub(super) ram_total: u64,
    pub(super) ram_free: u64,
}

pub(super) fn detect() -> Host {
    let Ok(mut system) = System::new() else { return Host::default() };
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let (ram_total, ram_free) = detect_memory(&mut system);
    Host {
        cpu_name: system.cpus().first().map_or_else(String::new, |cpu| cpu.brand().trim().to_owned()),
        ram_total,
        ram_free,
    }
}

/// Total and free memory, in bytes: the machine's or the container's, whichever is less.
fn detect_memory(system: &mut System) -> (u64, u64) {
    system.refresh_memory();
    let (total, free) = (system.total_memory(), system.available_memory());
    let limit = system.cgroup_limits();
    limit.map_or((total, free), |limit| (limit.total_memory.min(total), limit.free_memory.min(free)))
}

/// Whether less than a twentieth of the memory is free.
pub(in crate::exec) fn memory_is_short() -> bool {
    System::new().is_ok_and(|mut system| {
        let (total, free) = detect_memory(&mut system);
        free < total / 20
    })
}

/// Cores that the affinity mask allows, but no more than the container's CPU quota pays for.
pub(super) fn detect_cores() -> Vec<usize> {
    let quota = std::thread::available_parallelism().map_or(1, usize::from);
    let Ok(mask) = rustix::thread::sched_getaffinity(None) else {
        return (0..quota).collect();
    };
    let mut cores: Vec<usize> =
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| mask.is_set(core)).collect();
    if quota < cores.len() {
        // All containers of a machine see the same cores. Starting from the core we run on keeps them from all
        // binding to the first ones.
        let here = rustix::thread::sched_getcpu();
        let start = cores.iter().position(|&core| core == here).unwrap_or(0);
        cores.rotate_left(start);
        cores.truncate(quota);
    }
    cores.sort_by_key(|&core| (physical_core(core), core));
    cores
}

/// The lowest-numbered hardware thread of a core's physical core; the core itself where that is unknown.
fn physical_core(core: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let siblings = std::fs::read_to_string(path).unwrap_or_default();
    let first = siblings.trim().split([',', '-']).next().unwrap_or_default();
    first.parse().unwrap_or(core)
}

/// Whether libtorch multiplies bf16 matrices on these cores with vector instructions. Without them, two Zen 3
/// cores multiply 2048 x 2048 matrices at 0.27 GFLOP/s, against 137 in fp32.
#[must_use]
pub fn has_bf16_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bw")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        true
    }
}

/// Free space of the file system that holds a path, or will hold it, in MiB.
///
/// # Errors
/// The file system cannot be asked.
pub fn disk_free_mib(path: &Path) -> std::io::Result<u64> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or_else(|| Path::new("."));
    let facts = rustix::fs::statvfs(existing)?;
    Ok(facts.f_bavail * facts.f_frsize / MIB)
}

/// The cards for which the kernel has a device file in this folder, by number. A container may be given the files
/// without the libraries that describe the cards.
pub(super) fn device_files(folder: &Path) -> Vec<usize> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| {
        entry.file_name().to_str().and_then(|name| name.strip_prefix("nvidia")?.parse().ok())
    };
    let mut numbers: Vec<usize> = entries.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_cards_count() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(device_files(folder.path()), [0; 0]);
        for name in ["nvidia1", "nvidia0", "nvidiactl", "nvidia-uvm", "nvidia10", "null"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(device_files(folder.path()), [0, 1, 10]);
        assert_eq!(device_files(&folder.path().join("not there")), [0; 0]);
    }
}
