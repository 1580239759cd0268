// Owns which devices there are, which of them this process sees, and the counts.
#include "fake.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace fake {
namespace {

thread_local int current = 0;

// The numbers that CUDA_VISIBLE_DEVICES leaves, up to the first entry that names no device.
std::vector<int> find_visible() {
  const std::string number = variable("FAKE_CUDA_DEVICES");
  const int there = number.empty() ? 1 : std::atoi(number.c_str());
  const std::vector<std::string> uuids = split(variable("FAKE_CUDA_UUIDS"), ',');
  std::vector<int> devices;
  if (std::getenv("CUDA_VISIBLE_DEVICES") == nullptr) {
    for (int device = 0; device < there; ++device) devices.push_back(device);
    return devices;
  }
  for (const std::string& entry : split(variable("CUDA_VISIBLE_DEVICES"), ',')) {
    int device = -1;
    if (!entry.empty() && entry.find_first_not_of("0123456789") == std::string::npos) {
      device = std::atoi(entry.c_str());
    }
    for (size_t at = 0; at < uuids.size() && entry.rfind("GPU-", 0) == 0; ++at) {
      if (uuids[at].rfind(entry, 0) == 0) device = static_cast<int>(at);
    }
    const bool again = std::find(devices.begin(), devices.end(), device) != devices.end();
    if (device < 0 || device >= there || again) break;
    devices.push_back(device);
  }
  return devices;
}

Counts* place_counts() {
  const std::string folder = variable("FAKE_CUDA_COUNTS");
  int file = -1;
  if (!folder.empty()) {
    const std::string path = folder + "/" + std::to_string(getpid());
    file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || ftruncate(file, sizeof(Counts)) != 0) std::abort();
  }
  const int kind = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* place = mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, kind, file, 0);
  if (place == MAP_FAILED) std::abort();
  if (file >= 0) close(file);
  return new (place) Counts();
}

} // namespace

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& list, char at) {
  std::vector<std::string> entries;
  if (list.empty()) return entries;
  size_t from = 0;
  for (;;) {
    const size_t to = list.find(at, from);
    entries.push_back(list.substr(from, to == std::string::npos ? to : to - from));
    if (to == std::string::npos) return entries;
    from = to + 1;
  }
}

const std::vector<int>& visible_devices() {
  static const std::vector<int> devices = find_visible();
  return devices;
}

int device_count() {
  return static_cast<int>(visible_devices().size());
}

int current_device() {
  return current;
}

void set_current_device(int device) {
  current = device;
}

Counts& counts() {
  static Counts* place = place_counts();
  return *place;
}

} // namespace fake
