#include "alias.h"

#include <algorithm>
#include <cstring>

#include <ATen/EmptyTensor.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/DeviceGuard.h>

#include "fake.h"

namespace fake {
namespace {

at::Tensor tensor_over(const c10::Storage& storage, c10::DispatchKey key, const at::Tensor& like) {
  c10::Storage shared = storage;
  auto tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(shared), c10::DispatchKeySet(key), like.dtype());
  auto* impl = tensor.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  if (like.unsafeGetTensorImpl()->is_wrapped_number()) impl->set_wrapped_number(true);
  return tensor;
}

c10::Device cuda(int device) {
  return {c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device)};
}

} // namespace

at::Tensor Lent::lend(const at::Tensor& of_device) {
  for (const auto& [original, lent] : tensors_) {
    if (original.is_same(of_device)) return lent;
  }
  const c10::Storage& storage = of_device.storage();
  auto known = std::find_if(bytes_.begin(), bytes_.end(), [&](const Bytes& bytes) {
    return bytes.of_device.unsafeGetStorageImpl() == storage.unsafeGetStorageImpl();
  });
  if (known == bytes_.end()) {
    c10::DataPtr bytes(reveal(storage.data()), c10::Device(c10::DeviceType::CPU));
    c10::Storage host(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(bytes), c10::GetCPUAllocator(), true);
    bytes_.push_back({storage, std::move(host)});
    known = std::prev(bytes_.end());
  }
  tensors_.emplace_back(of_device, tensor_over(known->of_host, c10::DispatchKey::CPU, of_device));
  return tensors_.back().second;
}

at::Tensor Lent::take(const at::Tensor& answer, int device) const {
  for (const auto& [original, lent] : tensors_) {
    if (lent.is_same(answer)) return original;
  }
  for (const Bytes& bytes : bytes_) {
    if (bytes.of_host.unsafeGetStorageImpl() == answer.storage().unsafeGetStorageImpl()) {
      return tensor_over(bytes.of_device, c10::DispatchKey::CUDA, answer);
    }
  }
  at::Tensor ours = empty_on(device, answer.sizes(), answer.strides(), answer.scalar_type());
  if (answer.numel() > 0) std::memcpy(reveal(ours.data_ptr()), answer.const_data_ptr(), ours.storage().nbytes());
  return ours;
}

void Lent::settle(const at::Tensor& of_device) const {
  for (const auto& [original, lent] : tensors_) {
    if (!original.is_same(of_device)) continue;
    const c10::Storage& storage = lent.storage();
    if (storage.data() != reveal(original.storage().data())) {
      make_room(original, storage.nbytes());
      std::memcpy(reveal(original.storage().data()), storage.data(), storage.nbytes());
    }
    auto* impl = original.unsafeGetTensorImpl();
    if (impl->sizes() != lent.sizes() || impl->strides() != lent.strides()) {
      impl->set_sizes_and_strides(lent.sizes(), lent.strides(), lent.storage_offset());
    }
  }
}

at::Tensor empty_on(int device, c10::IntArrayRef sizes, c10::IntArrayRef strides, c10::ScalarType kind) {
  const c10::DeviceGuard guard(cuda(device));
  const c10::DispatchKeySet keys(c10::DispatchKey::CUDA);
  return at::Tensor(at::detail::empty_strided_generic(sizes, strides, device_allocator(), keys, kind));
}

at::Tensor empty_on(int device, c10::IntArrayRef sizes, c10::ScalarType kind,
    std::optional<c10::MemoryFormat> format) {
  const c10::DeviceGuard guard(cuda(device));
  const c10::DispatchKeySet keys(c10::DispatchKey::CUDA);
  return at::Tensor(at::detail::empty_generic(sizes, device_allocator(), keys, kind, format));
}

void make_room(const at::Tensor& of_device, size_t bytes) {
  auto* storage = of_device.storage().unsafeGetStorageImpl();
  if (bytes <= storage->nbytes()) return;
  const c10::DeviceGuard guard(of_device.device());
  c10::DataPtr larger = device_allocator()->allocate(bytes);
  if (storage->nbytes() > 0) std::memcpy(reveal(larger.get()), reveal(storage->data()), storage->nbytes());
  storage->set_data_ptr_noswap(std::move(larger));
  storage->set_nbytes(bytes);
}

} // namespace fake
