// Owns what goes wrong on a device, and the words that libtorch has for it.
//
//   oom          memory runs out, as the caching allocator says it
//   oom_nvml     the same where NVML does not answer the allocator: an assertion about that
//   oom_driver   the same as the driver says it, of a kernel
//   oom_cublas   the same as cuBLAS says it
//   no_handle    cuBLAS cannot make its handle, and does not say why
//   ecc          memory that cannot be corrected: the device stays failed for this process
//   illegal      an address that is not there: likewise
//   nocode       there is no kernel for such a device: likewise
//   hang         the kernel never ends
#include "fake.h"

#include <cstdio>
#include <fcntl.h>
#include <mutex>
#include <unistd.h>

#include <c10/util/Exception.h>

namespace fake {
namespace {

struct Fault {
  int device;
  std::string what;
  uint64_t at;
};

// What the runtime appends to its errors.
const char* const ADVICE =
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might "
    "be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n";

std::mutex lock;
std::vector<uint64_t> launches;
std::vector<std::string> failed;

const std::vector<Fault>& faults() {
  static const std::vector<Fault> all = [] {
    std::vector<Fault> faults;
    for (const std::string& entry : split(variable("FAKE_CUDA_FAULTS"), ',')) {
      const auto parts = split(entry, ':');
      const auto rest = parts.size() == 2 ? split(parts[1], '@') : parts;
      TORCH_CHECK(rest.size() == 2 && parts.size() == 2, "FAKE_CUDA_FAULTS has `", entry, "`");
      faults.push_back({std::stoi(parts[0]), rest[0], std::stoull(rest[1])});
    }
    return faults;
  }();
  return all;
}

// Whether a fault is still to happen, where each happens to one process only.
bool claim(const Fault& fault) {
  const std::string folder = variable("FAKE_CUDA_FAULTS_ONCE");
  if (folder.empty()) return true;
  const std::string name = std::to_string(fault.device) + "-" + fault.what + "-" + std::to_string(fault.at);
  const int file = open((folder + "/" + name).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (file >= 0) close(file);
  return file >= 0;
}

void log_launch(int device, const char* name) {
  static FILE* log = [] {
    const std::string folder = variable("FAKE_CUDA_LOG");
    const std::string path = folder + "/" + std::to_string(getpid());
    FILE* file = folder.empty() ? nullptr : std::fopen(path.c_str(), "we");
    if (file != nullptr) std::setvbuf(file, nullptr, _IOLBF, 1 << 12);
    return file;
  }();
  if (log != nullptr) std::fprintf(log, "%d %s\n", device, name);
}

void happen(const Fault& fault, int device) {
  const auto stays = [&](const char* words) {
    std::string message = std::string(words) + ADVICE;
    {
      std::lock_guard<std::mutex> held(lock);
      failed[device] = message;
    }
    TORCH_CHECK(false, message);
  };
  if (fault.what == "oom") {
    fail_out_of_memory(device, 20 << 20, 1 << 30, (1 << 30) - (1 << 20));
  } else if (fault.what == "oom_nvml") {
    TORCH_CHECK(false, "NVML_SUCCESS == r INTERNAL ASSERT FAILED at "
        "\"/pytorch/c10/cuda/CUDACachingAllocator.cpp\":1131, please report a bug to PyTorch. ");
  } else if (fault.what == "oom_driver") {
    TORCH_CHECK(false, "CUDA error: out of memory", ADVICE);
  } else if (fault.what == "oom_cublas") {
    TORCH_CHECK(false, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`");
  } else if (fault.what == "no_handle") {
    TORCH_CHECK(false, "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`");
  } else if (fault.what == "ecc") {
    stays("CUDA error: uncorrectable ECC error encountered");
  } else if (fault.what == "illegal") {
    stays("CUDA error: an illegal memory access was encountered");
  } else if (fault.what == "nocode") {
    stays("CUDA error: no kernel image is available for execution on the device");
  } else if (fault.what == "hang") {
    for (;;) pause();
  }
  TORCH_CHECK(false, "there is no fault `", fault.what, "`");
}

} // namespace

void check_alive(int device) {
  std::lock_guard<std::mutex> held(lock);
  if (static_cast<size_t>(device) >= failed.size()) {
    failed.resize(device_count());
    launches.resize(device_count());
  }
  TORCH_CHECK(failed[device].empty(), failed[device]);
}

void launch(int device, const char* name) {
  check_alive(device);
  ++counts().launches;
  counts().devices |= uint64_t{1} << visible_devices()[device];
  log_launch(device, name);
  uint64_t number = 0;
  {
    std::lock_guard<std::mutex> held(lock);
    number = ++launches[device];
  }
  for (const Fault& fault : faults()) {
    if (fault.device == visible_devices()[device] && fault.at == number && claim(fault)) happen(fault, device);
  }
}

void fail_out_of_memory(int device, size_t wanted, size_t capacity, size_t in_use) {
  const auto mib = [](size_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f MiB", static_cast<double>(bytes) / (1 << 20));
    return std::string(text);
  };
  const size_t free = capacity - in_use;
  TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", mib(wanted), ". GPU ", device,
      " has a total capacity of ", mib(capacity), " of which ", mib(free), " is free. Including non-PyTorch memory, "
      "this process has ", mib(in_use), " memory in use.");
}

} // namespace fake
