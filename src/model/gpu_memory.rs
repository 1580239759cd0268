//! Owns how much memory of its GPU a process has used, as libtorch's allocator counts it. The few lines of C++ that
//! ask it are in `gpu_memory.cpp`.

#[expect(unsafe_code, reason = "functions of this crate, in C++; they take no pointers and throw nothing")]
unsafe extern "C" {
    safe fn lorasweep_gpu_peak_begin();
    safe fn lorasweep_gpu_peak() -> i64;
}

/// Gives memory that is not in use back to the GPU, and begins to count anew.
pub fn begin_peak() {
    lorasweep_gpu_peak_begin();
}

/// The most bytes of the GPU that libtorch has held at once since the count began, those included that it kept for
/// later: torch's `max_memory_reserved`. CUDA's own few hundred MiB are not among them. 0 where no GPU was used.
#[must_use]
pub fn peak() -> u64 {
    u64::try_from(lorasweep_gpu_peak()).unwrap_or(0)
}
