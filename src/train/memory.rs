//! Owns what a pack's memory is measured by, in a process that may train one pack after the other: the largest
//! resident memory while the pack was there, and not what an earlier one took.

use std::fs;

/// The largest resident memory of this process since a pack began.
#[derive(Debug)]
pub(super) struct Peak {
    /// The field of `/proc/self/status` that is read: the kernel's own peak where that begins with the pack,
    /// otherwise the present size, looked at now and then.
    field: &'static str,
    mib: f64,
}

impl Peak {
    /// Begins with a pack, which is the process's first or comes after others.
    pub(super) fn begin(first: bool) -> Self {
        // Since Linux 4.0 this sets the peak to the present size (proc(5)); some sandboxes refuse it.
        let by_kernel = first || fs::write("/proc/self/clear_refs", "5").is_ok();
        Self { field: if by_kernel { "VmHWM:" } else { "VmRSS:" }, mib: 0.0 }
    }

    /// The peak so far, in MiB; 0 where the system does not report it.
    pub(super) fn mib(&mut self) -> f64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(self.field));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        self.mib = self.mib.max(kib.unwrap_or(0.0) / 1024.0);
        self.mib
    }
}

/// Gives the memory back that a pack has freed: the allocator keeps it, as it is told to while a pack trains,
/// and the next pack would be charged for it.
#[expect(unsafe_code, reason = "the C library's allocator has no safe interface")]
pub fn release() {
    // SAFETY: it may be called at any time, from any thread.
    unsafe { libc::malloc_trim(0) };
}
