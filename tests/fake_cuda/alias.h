// Owns how a tensor of a device is lent to the CPU's kernels and taken back.
#pragma once

#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace fake {

// The tensors of a device that one call lends to a kernel of the CPU. Tensors that share their bytes share them
// there too.
class Lent {
 public:
  // A tensor of the CPU with the bytes, sizes and strides of this one of a device.
  at::Tensor lend(const at::Tensor& of_device);
  // The tensor of a device that a kernel of the CPU answers with: one of those that were lent, a view of one, or a
  // new one with the same bytes.
  at::Tensor take(const at::Tensor& answer, int device) const;
  // After a kernel that may write: gives those that it made larger or of another shape the same on the device.
  void settle(const at::Tensor& of_device) const;

 private:
  struct Bytes {
    c10::Storage of_device;
    c10::Storage of_host;
  };
  std::vector<Bytes> bytes_;
  std::vector<std::pair<at::Tensor, at::Tensor>> tensors_;
};

// A tensor of a device with bytes of its own, which no kernel has written yet.
at::Tensor empty_on(int device, c10::IntArrayRef sizes, c10::IntArrayRef strides, c10::ScalarType kind);
at::Tensor empty_on(int device, c10::IntArrayRef sizes, c10::ScalarType kind,
    std::optional<c10::MemoryFormat> format = std::nullopt);
// Gives a tensor of a device room for so many bytes, and keeps those that it has.
void make_room(const at::Tensor& of_device, size_t bytes);

} // namespace fake
