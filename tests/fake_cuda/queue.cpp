// Owns the copies that the host does not wait for. A device comes to an upload only at its next kernel, and a
// download arrives only when the host waits: a program that frees or changes the source before, or looks too
// early, computes wrong numbers here every time, and on a GPU now and then.
#include "fake.h"

#include <cstring>
#include <deque>
#include <mutex>
#include <sys/uio.h>
#include <unistd.h>

#include <c10/util/Exception.h>

namespace fake {
namespace {

struct Upload {
  void* to;
  const void* from;
  size_t bytes;
};

// The bytes as the device found them, or as it left them.
struct Copied {
  const void* host;
  std::vector<char> bytes;
};

// Recursive, since a block may be freed while a copy is made.
std::recursive_mutex lock;
std::deque<Upload> uploads;
std::vector<Copied> uploaded;
std::vector<Copied> downloads;

// The bytes that are at an address of the host now; nothing but ones where it has no memory any more.
std::vector<char> peek(const void* from, size_t bytes) {
  std::vector<char> found(bytes, static_cast<char>(0xFF));
  iovec ours{found.data(), bytes};
  iovec theirs{const_cast<void*>(from), bytes};
  const ssize_t count = process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0);
  TORCH_CHECK(count >= 0 || errno == EFAULT, "the fake device cannot read the host's memory: ", std::strerror(errno));
  return found;
}

bool overlap(const void* a, size_t a_bytes, const void* b, size_t b_bytes) {
  const auto *a_start = static_cast<const char*>(a), *b_start = static_cast<const char*>(b);
  return a_start < b_start + b_bytes && b_start < a_start + a_bytes;
}

} // namespace

void queue_upload(void* to, const void* from, size_t bytes) {
  std::lock_guard<std::recursive_mutex> held(lock);
  uploads.push_back({to, from, bytes});
}

void queue_download(void* to, const void* from, size_t bytes) {
  std::lock_guard<std::recursive_mutex> held(lock);
  run_uploads();
  const char* now = static_cast<const char*>(reveal(from));
  downloads.push_back({to, std::vector<char>(now, now + bytes)});
}

void run_uploads() {
  std::lock_guard<std::recursive_mutex> held(lock);
  while (!uploads.empty()) {
    const Upload upload = uploads.front();
    uploads.pop_front();
    std::vector<char> found = peek(upload.from, upload.bytes);
    std::memcpy(reveal(upload.to), found.data(), upload.bytes);
    uploaded.push_back({upload.from, std::move(found)});
  }
}

void wait() {
  std::lock_guard<std::recursive_mutex> held(lock);
  run_uploads();
  ++counts().waits;
  for (const Copied& copied : uploaded) {
    if (peek(copied.host, copied.bytes.size()) != copied.bytes) ++counts().races;
  }
  uploaded.clear();
  for (const Copied& copied : downloads) {
    std::memcpy(const_cast<void*>(copied.host), copied.bytes.data(), copied.bytes.size());
  }
  downloads.clear();
}

bool is_awaited(const void* block, size_t bytes) {
  std::lock_guard<std::recursive_mutex> held(lock);
  for (const Upload& upload : uploads) {
    if (overlap(block, bytes, upload.from, upload.bytes) || overlap(block, bytes, upload.to, upload.bytes)) return true;
  }
  for (const auto* done : {&uploaded, &downloads}) {
    for (const Copied& copied : *done) {
      if (overlap(block, bytes, copied.host, copied.bytes.size())) return true;
    }
  }
  return false;
}

} // namespace fake
