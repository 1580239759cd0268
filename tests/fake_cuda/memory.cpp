// Owns the memory of the devices and of the host. The bytes of a device are mapped twice: at the addresses that
// tensors have, where any access is an error of the segment, and where this library alone finds them. Memory that
// is freed on the host, or allocated on a device, holds bytes with all bits set: no number, and no index.
#include "fake.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/Exception.h>

namespace fake {
namespace {

// Blocks are rounded up to this, as on a GPU.
constexpr size_t kGranule = 512;
constexpr int kScribble = 0xFF;

size_t capacity() {
  static const size_t bytes = [] {
    const std::string mib = variable("FAKE_CUDA_MEMORY_MIB");
    return (mib.empty() ? size_t{1024} : std::stoull(mib)) << 20;
  }();
  return bytes;
}

// The memory of all devices, one after the other.
struct Arena {
  char* addresses;
  char* bytes;
  std::mutex lock;
  std::vector<std::map<size_t, size_t>> free;  // of each device: start and size, nothing side by side
  std::map<size_t, size_t> used;
  std::vector<size_t> in_use;
  std::vector<size_t> peaks;  // since the program began to count

  Arena() : free(device_count()), in_use(device_count()), peaks(device_count()) {
    const size_t all = capacity() * free.size();
    const int file = memfd_create("fake_cuda", MFD_CLOEXEC);
    TORCH_CHECK(file >= 0 && ftruncate(file, static_cast<off_t>(all)) == 0, "no memory for the fake devices");
    addresses = map(file, all, PROT_NONE);
    bytes = map(file, all, PROT_READ | PROT_WRITE);
    close(file);
    for (size_t device = 0; device < free.size(); ++device) free[device][device * capacity()] = capacity();
  }

  static char* map(int file, size_t size, int protection) {
    void* place = mmap(nullptr, size, protection, MAP_SHARED | MAP_NORESERVE, file, 0);
    TORCH_CHECK(place != MAP_FAILED, "no addresses for the fake devices");
    return static_cast<char*>(place);
  }
};

Arena& arena() {
  static Arena* one = new Arena();
  return *one;
}

// The start of a new block; nothing where none is left that is large enough.
char* take(int device, size_t size) {
  Arena& a = arena();
  std::lock_guard<std::mutex> held(a.lock);
  for (auto hole = a.free[device].begin(); hole != a.free[device].end(); ++hole) {
    const auto [start, room] = *hole;
    if (room < size) continue;
    a.free[device].erase(hole);
    if (room > size) a.free[device][start + size] = room - size;
    a.used[start] = size;
    a.in_use[device] += size;
    a.peaks[device] = std::max(a.peaks[device], a.in_use[device]);
    uint64_t peak = counts().peak_bytes;
    while (peak < a.in_use[device] && !counts().peak_bytes.compare_exchange_weak(peak, a.in_use[device])) {}
    return a.addresses + start;
  }
  return nullptr;
}

void give_back(void* address) {
  Arena& a = arena();
  const size_t start = static_cast<char*>(address) - a.addresses;
  size_t size = 0;
  {
    std::lock_guard<std::mutex> held(a.lock);
    size = a.used.at(start);
  }
  // The next owner of the block writes to it after what is queued.
  if (is_awaited(address, size)) run_uploads();
  std::lock_guard<std::mutex> held(a.lock);
  const size_t device = start / capacity();
  auto& holes = a.free[device];
  a.used.erase(start);
  a.in_use[device] -= size;
  auto hole = holes.emplace(start, size).first;
  const auto after = std::next(hole);
  if (after != holes.end() && start + size == after->first) {
    hole->second += after->second;
    holes.erase(after);
  }
  if (hole != holes.begin() && std::prev(hole)->first + std::prev(hole)->second == start) {
    std::prev(hole)->second += hole->second;
    holes.erase(hole);
  }
}

struct DeviceAllocator final : c10::DeviceAllocator {
  c10::DataPtr allocate(size_t wanted) override {
    const int device = current_device();
    const c10::Device place(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device));
    if (wanted == 0) return {nullptr, place};
    check_alive(device);
    const size_t size = (wanted + kGranule - 1) / kGranule * kGranule;
    char* address = take(device, size);
    if (address == nullptr) fail_out_of_memory(device, size, capacity(), arena().in_use[device]);
    std::memset(reveal(address), kScribble, size);
    return {address, address, give_back, place};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    run_uploads();
    std::memcpy(reveal(to), reveal(from), bytes);
  }
  bool initialized() override { return true; }
  // It keeps nothing for later, and has one stream.
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    Arena& a = arena();
    std::lock_guard<std::mutex> held(a.lock);
    c10::CachingDeviceAllocator::DeviceStats stats;
    auto& reserved = stats.reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
    reserved.current = static_cast<int64_t>(a.in_use[device]);
    reserved.peak = static_cast<int64_t>(a.peaks[device]);
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex device) override {
    Arena& a = arena();
    std::lock_guard<std::mutex> held(a.lock);
    a.peaks[device] = a.in_use[device];
  }
};

void scribble_and_free(void* block) {
  if (block == nullptr) return;
  const size_t size = malloc_usable_size(block);
  std::memset(block, kScribble, size);
  // A copy that comes too late finds what was left there, not what is there next: such a block is used no more.
  if (!is_awaited(block, size)) c10::free_cpu(block);
}

// The host's memory, of whoever knows of no device.
struct HostAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    void* block = c10::alloc_cpu(size);
    return {block, block, scribble_and_free, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return scribble_and_free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

std::mutex pinned_lock;
std::map<const char*, size_t> pinned;
// Freed by the program, not yet by the device.
std::map<const char*, size_t> pinned_still;

void release_pinned() {
  for (auto block = pinned_still.begin(); block != pinned_still.end();) {
    if (is_awaited(block->first, block->second)) {
      ++block;
      continue;
    }
    scribble_and_free(const_cast<char*>(block->first));
    block = pinned_still.erase(block);
  }
}

void unpin(void* block) {
  if (block == nullptr) return;
  std::lock_guard<std::mutex> held(pinned_lock);
  const auto found = pinned.find(static_cast<char*>(block));
  pinned_still.insert(*found);
  pinned.erase(found);
  release_pinned();
}

// The host's memory that copies may use without waiting: a block is kept until the device has come to them.
struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    std::lock_guard<std::mutex> held(pinned_lock);
    release_pinned();
    void* block = c10::alloc_cpu(size);
    if (block != nullptr) pinned[static_cast<char*>(block)] = size;
    return {block, block, unpin, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return unpin; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

const struct AtLoading {
  AtLoading() {
    c10::SetAllocator(c10::DeviceType::CUDA, device_allocator());
    c10::SetCPUAllocator(new HostAllocator(), 1);
  }
} at_loading;

} // namespace

void* reveal(const void* device_address) {
  const Arena& a = arena();
  if (device_address == nullptr) return nullptr;
  const auto at = static_cast<const char*>(device_address) - a.addresses;
  TORCH_CHECK(at >= 0 && static_cast<size_t>(at) < capacity() * a.free.size(), "an address of no fake device");
  return a.bytes + at;
}

int device_of(const void* device_address) {
  return static_cast<int>((static_cast<const char*>(device_address) - arena().addresses) / capacity());
}

bool is_pinned(const void* address) {
  std::lock_guard<std::mutex> held(pinned_lock);
  auto after = pinned.upper_bound(static_cast<const char*>(address));
  if (after == pinned.begin()) return false;
  const auto [start, size] = *std::prev(after);
  return static_cast<const char*>(address) < start + size;
}

c10::Allocator* device_allocator() {
  static DeviceAllocator one;
  return &one;
}

// Where programs look for it.
static const bool is_known = [] {
  c10::SetAllocator(c10::DeviceType::CUDA, device_allocator());
  return true;
}();

c10::Allocator* pinned_allocator() {
  static PinnedAllocator one;
  return &one;
}

} // namespace fake
