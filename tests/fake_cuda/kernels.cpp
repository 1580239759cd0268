// Owns every other kernel of the devices: those of the CPU, on lent tensors, after a look at where the tensors
// are. Making tensors and changing their size is done here.
#include <cstring>

#include <ATen/Context.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/Generator.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/op_registration/adaption.h>
#include <torch/library.h>

#include "alias.h"
#include "fake.h"

namespace fake {
namespace {

using c10::IValue;
using torch::jit::Stack;

constexpr auto kCuda = c10::DeviceType::CUDA;

int index_of(std::optional<c10::Device> device) {
  return device.has_value() && device->has_index() ? device->index() : current_device();
}

at::Tensor empty(c10::IntArrayRef sizes, std::optional<c10::ScalarType> kind, std::optional<c10::Layout>,
    std::optional<c10::Device> device, std::optional<bool> pinned, std::optional<c10::MemoryFormat> format) {
  TORCH_CHECK(!pinned.value_or(false), "Only dense CPU tensors can be pinned");
  at::globalContext().lazyInitDevice(kCuda);
  return empty_on(index_of(device), sizes, c10::dtype_or_default(kind), format);
}

at::Tensor empty_strided(c10::IntArrayRef sizes, c10::IntArrayRef strides, std::optional<c10::ScalarType> kind,
    std::optional<c10::Layout>, std::optional<c10::Device> device, std::optional<bool> pinned) {
  TORCH_CHECK(!pinned.value_or(false), "Only dense CPU tensors can be pinned");
  at::globalContext().lazyInitDevice(kCuda);
  return empty_on(index_of(device), sizes, strides, c10::dtype_or_default(kind));
}

const at::Tensor& resize(const at::Tensor& self, c10::IntArrayRef sizes, std::optional<c10::MemoryFormat> format) {
  TORCH_CHECK(!format.has_value() || *format == c10::MemoryFormat::Contiguous, "the fake device has one format");
  const auto offset = static_cast<size_t>(self.storage_offset());
  make_room(self, at::detail::computeStorageNbytesContiguous(sizes, self.itemsize(), offset));
  self.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return self;
}

// One call of a kernel: what it is given, in the order of its schema, and on which device.
class Call {
 public:
  Call(const c10::OperatorHandle& op, Stack* stack) : op_(op), schema_(op.schema()), stack_(stack) {
    const size_t count = schema_.arguments().size();
    first_ = stack->size() - count;
    for (size_t at = 0; at < count; ++at) find_device(schema_.arguments()[at], (*stack)[first_ + at]);
  }

  void run() {
    TORCH_CHECK(device_.has_value(), "the fake device has no kernel of its own for ", schema_.name());
    if (!is_view()) {
      launch(device_->index(), schema_.name().c_str());
      run_uploads();
    }
    if (is_read()) {
      ++counts().reads;
      wait();
    }
    const std::vector<IValue> given(stack_->begin() + static_cast<std::ptrdiff_t>(first_), stack_->end());
    for (size_t at = 0; at < given.size(); ++at) (*stack_)[first_ + at] = lend(schema_.arguments()[at], given[at]);
    op_.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack_);
    for (size_t at = 0; at < given.size(); ++at) {
      const auto* alias = schema_.arguments()[at].alias_info();
      if (alias != nullptr && alias->isWrite()) settle(given[at]);
    }
    for (size_t at = first_; at < stack_->size(); ++at) (*stack_)[at] = take((*stack_)[at]);
  }

 private:
  // The first device among the arguments is the call's; a tensor elsewhere is refused, as libtorch does. Numbers
  // of the CPU may be mixed in, and indices.
  void find_device(const c10::Argument& argument, const IValue& value) {
    const auto look = [&](const at::Tensor& tensor) {
      if (!tensor.defined()) return;
      const bool is_number = tensor.is_cpu() && tensor.dim() == 0;
      const bool is_index = tensor.is_cpu() && argument.name() == "indices";
      const bool is_written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
      if (is_index && !is_number) send_indices(tensor);
      if ((is_number || is_index) && !is_written) return;
      if (!common_.has_value()) common_ = tensor.device();
      if (tensor.device() != *common_) {
        c10::impl::common_device_check_failure(
            *common_, tensor, method().c_str(), argument.name().c_str());
      }
      device_ = common_;
    };
    if (value.isTensor()) {
      look(value.toTensor());
    } else if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) look(tensor);
    } else if (value.isOptionalTensorList()) {
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        if (tensor.has_value()) look(*tensor);
      }
    } else if (value.isDevice() && value.toDevice().is_cuda() && !device_.has_value()) {
      device_ = c10::Device(kCuda, static_cast<c10::DeviceIndex>(index_of(value.toDevice())));
    }
  }

  // A GPU gets indices of the host by a copy for which the host waits.
  static void send_indices(const at::Tensor& indices) {
    ++counts().uploads;
    counts().upload_bytes += indices.nbytes();
    wait();
  }

  // Whether the host has to know what the kernel found, be it to know the size of its answer.
  bool is_read() const {
    for (const char* name : {"nonzero", "masked_select", "equal", "_unique2", "unique_dim", "bincount"}) {
      if (schema_.name() == std::string("aten::") + name) return true;
    }
    return false;
  }

  // As libtorch's error names it.
  std::string method() const {
    const std::string& name = schema_.name();
    return "wrapper_CUDA_" + name.substr(name.rfind(':') + 1);
  }

  bool is_view() const {
    for (const c10::Argument& answer : schema_.returns()) {
      if (answer.alias_info() != nullptr && !answer.alias_info()->isWrite()) return true;
    }
    return false;
  }

  at::Tensor lend(const at::Tensor& tensor) {
    return tensor.defined() && tensor.is_cuda() ? lent_.lend(tensor) : tensor;
  }

  IValue lend(const c10::Argument& argument, const IValue& value) {
    if (value.isTensor()) return lend(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(lend(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor.has_value() ? std::optional(lend(*tensor)) : std::nullopt);
      }
      return list;
    }
    if (value.isDevice()) return c10::Device(c10::DeviceType::CPU);
    const auto* optional = argument.type()->castRaw<c10::OptionalType>();
    const auto& type = optional == nullptr ? argument.type() : optional->getElementType();
    if (type->kind() == c10::TypeKind::GeneratorType) return generator(value);
    return value;
  }

  // Without one, the device's own draws.
  IValue generator(const IValue& value) const {
    const at::Generator given =
        value.isNone() ? at::globalContext().defaultGenerator(*device_) : value.toGenerator();
    auto* drawing = drawing_generator(given.unsafeGetGeneratorImpl());
    return at::Generator(c10::intrusive_ptr<c10::GeneratorImpl>::reclaim_copy(drawing));
  }

  void settle(const IValue& given) const {
    if (given.isTensor() && given.toTensor().is_cuda()) lent_.settle(given.toTensor());
    if (given.isTensorList()) {
      for (const at::Tensor& tensor : given.toTensorVector()) lent_.settle(tensor);
    }
  }

  IValue take(const IValue& answer) const {
    const auto ours = [&](const at::Tensor& tensor) {
      return tensor.defined() ? lent_.take(tensor, device_->index()) : tensor;
    };
    if (answer.isTensor()) return ours(answer.toTensor());
    if (answer.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : answer.toTensorVector()) list.push_back(ours(tensor));
      return list;
    }
    return answer;
  }

  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  Stack* stack_;
  size_t first_ = 0;
  Lent lent_;
  // Of the tensors, and of the call.
  std::optional<c10::Device> common_;
  std::optional<c10::Device> device_;
};

void compute(const c10::OperatorHandle& op, Stack* stack) {
  const at::AutoDispatchBelowADInplaceOrView below;
  Call(op, stack).run();
}

} // namespace

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("resize_", resize);
  // Without kernels of its own a device would put these together from others.
  for (const char* name : {"native_layer_norm", "native_group_norm"}) {
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&compute>());
  }
}

TORCH_LIBRARY_IMPL(_, CUDA, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&compute>());
}

} // namespace fake
