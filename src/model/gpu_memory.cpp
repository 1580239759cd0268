// Owns what is asked of libtorch's allocator of GPU memory, for which tch has no functions. `gpu_memory.rs` says what
// each function is for. None of them throws: libtorch without an allocator for GPUs has used no memory of any.
#include <cstddef>
#include <cstdint>

#include <c10/core/CachingDeviceAllocator.h>

namespace {

// The process sees one GPU only.
constexpr c10::DeviceIndex kGpu = 0;

c10::DeviceAllocator* allocator() {
  auto* of_gpus = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(c10::DeviceType::CUDA));
  return of_gpus != nullptr && of_gpus->initialized() ? of_gpus : nullptr;
}

} // namespace

extern "C" void lorasweep_gpu_peak_begin() noexcept {
  try {
    if (c10::DeviceAllocator* gpus = allocator()) {
      gpus->emptyCache();
      gpus->resetPeakStats(kGpu);
    }
  } catch (...) {
  }
}

extern "C" int64_t lorasweep_gpu_peak() noexcept {
  try {
    c10::DeviceAllocator* gpus = allocator();
    if (gpus == nullptr) return 0;
    const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return gpus->getDeviceStats(kGpu).reserved_bytes[all].peak;
  } catch (...) {
    return 0;
  }
}
