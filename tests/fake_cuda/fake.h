// Owns what the parts of the fake CUDA library know of one another. The library makes devices of type `cuda`
// that compute on the CPU and keep their bytes where the CPU does not find them, so that a program's whole way
// through CUDA runs on a machine without a GPU. It measures nothing and computes nothing as a GPU would.
//
// The environment tells it what to be, once, when it is loaded:
//
//   FAKE_CUDA_DEVICES     how many devices the machine has (1); CUDA_VISIBLE_DEVICES hides some, as always
//   FAKE_CUDA_UUIDS       their UUIDs, by which CUDA_VISIBLE_DEVICES may name them, with commas in between
//   FAKE_CUDA_MEMORY_MIB  what each has of memory (1024)
//   FAKE_CUDA_COUNTS      a folder: each process keeps its counts in the file `<pid>` there, as `Counts` lies in
//                         memory, up to date at any moment
//   FAKE_CUDA_LOG         a folder: each process writes the names of its kernels there, one a line, to `<pid>`
//   FAKE_CUDA_FAULTS      what goes wrong: `device:fault@launch`, with commas in between, where the device is the
//                         machine's number and the launch counts from 1 in each process; see `faults.cpp`
//   FAKE_CUDA_FAULTS_ONCE a folder: a fault that has happened leaves a file there and happens to no process again
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace c10 {
struct Allocator;
struct GeneratorImpl;
} // namespace c10

namespace fake {

// ---- The machine (machine.cpp)

// The devices that this process sees, by their numbers on the machine.
const std::vector<int>& visible_devices();
int device_count();
// The device of this thread.
int current_device();
void set_current_device(int device);
// An environment variable, or nothing.
std::string variable(const char* name);
// What a list says, entry by entry.
std::vector<std::string> split(const std::string& list, char at);

// ---- Counts (machine.cpp)

// All are of this process, over its devices. The tests read them by their order.
struct Counts {
  std::atomic<uint64_t> launches;       // kernels, copies included; views launch nothing
  std::atomic<uint64_t> reads;          // times that the host waited for bytes of a device
  std::atomic<uint64_t> read_bytes;
  std::atomic<uint64_t> uploads;        // copies from the host
  std::atomic<uint64_t> upload_bytes;
  std::atomic<uint64_t> unpinned;       // of these, those that do not wait and whose source is not pinned
  std::atomic<uint64_t> races;          // sources that changed or went away before the host had waited
  std::atomic<uint64_t> waits;          // times that the host waited for a device, reads included
  std::atomic<uint64_t> peak_bytes;     // the most memory that one device had in use
  std::atomic<uint64_t> devices;        // those that launched something: bits by the machine's numbers
};
Counts& counts();

// ---- Faults (faults.cpp)

// Counts a kernel of this name, and lets happen what is to happen at it.
void launch(int device, const char* name);
// Fails as every call does on a device that has failed before.
void check_alive(int device);
[[noreturn]] void fail_out_of_memory(int device, size_t wanted, size_t capacity, size_t in_use);

// ---- Memory (memory.cpp)

// Where the bytes of a device's address are for the CPU kernels of this library alone: the address itself can
// neither be read nor written by anybody.
void* reveal(const void* device_address);
bool is_pinned(const void* address);
int device_of(const void* device_address);
c10::Allocator* device_allocator();
c10::Allocator* pinned_allocator();

// ---- Copies that wait for nobody (queue.cpp)

// Copies from the host when the device comes to it: before its next kernel. Whether the bytes are still there is
// the program's business.
void queue_upload(void* to, const void* from, size_t bytes);
// Copies to pinned memory, which has the bytes once the host has waited.
void queue_download(void* to, const void* from, size_t bytes);
// The device comes to all that is queued.
void run_uploads();
// The host waits for the device, and looks whether the sources were left alone until now.
void wait();
// Whether a block is the source or the target of a copy that the host has not waited for.
bool is_awaited(const void* block, size_t bytes);

// ---- Random numbers (device.cpp)

// The generator that draws for a device's generator, on the CPU.
c10::GeneratorImpl* drawing_generator(c10::GeneratorImpl* of_device);

} // namespace fake
