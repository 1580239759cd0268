//! Owns what a pack's memory is measured by, in a process that may train one pack after the other: the largest
//! memory while the pack was there, and not what an earlier one took. On a GPU that is the GPU's memory, on cores
//! that of the process.

use std::fs;

use tch::Device;

use crate::model::gpu_memory;

/// The largest memory since a pack began.
#[derive(Debug)]
pub(super) struct Peak {
    source: Source,
    mib: f64,
}

/// Who counts.
#[derive(Debug)]
enum Source {
    /// libtorch, what it holds of the GPU.
    Gpu,
    /// The kernel, the process's largest resident memory since the pack began.
    Kernel,
    /// Whoever looks now and then, the process's present size.
    Looks,
}

impl Peak {
    /// Begins with a pack, which is the process's first or comes after others.
    pub(super) fn begin(first: bool, device: Device) -> Self {
        let source = match device {
            Device::Cuda(_) => {
                if !first {
                    gpu_memory::begin_peak();
                }
                Source::Gpu
            }
            // Since Linux 4.0 this sets the peak to the present size (proc(5)); some sandboxes refuse it.
            Device::Cpu | Device::Mps | Device::Vulkan
                if first || fs::write("/proc/self/clear_refs", "5").is_ok() =>
            {
                Source::Kernel
            }
            Device::Cpu | Device::Mps | Device::Vulkan => Source::Looks,
        };
        Self { source, mib: 0.0 }
    }

    /// The peak so far, in MiB; 0 where the system does not report it.
    pub(super) fn mib(&mut self) -> f64 {
        let now = match self.source {
            Source::Gpu => gpu_memory::peak() as f64 / f64::from(1 << 20),
            Source::Kernel => of_process("VmHWM:"),
            Source::Looks => of_process("VmRSS:"),
        };
        self.mib = self.mib.max(now);
        self.mib
    }
}

/// A field of `/proc/self/status`, in MiB.
fn of_process(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Gives the memory back that a pack has freed: the allocator keeps it, as it is told to while a pack trains,
/// and the next pack would be charged for it.
#[expect(unsafe_code, reason = "the C library's allocator has no safe interface")]
pub fn release() {
    // SAFETY: it may be called at any time, from any thread.
    unsafe { libc::malloc_trim(0) };
}
