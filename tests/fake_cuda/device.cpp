// Owns what libtorch asks of a kind of device besides kernels: how many there are, which is current, streams and
// events, random generators, pinned memory, and which attention it computes.
#include "fake.h"

#include <memory>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Generator.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/transformers/attention.h>
#include <c10/core/GeneratorImpl.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace fake {
namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::Stream;

constexpr auto kCuda = c10::DeviceType::CUDA;
// A GPU draws other numbers than a CPU from the same seed.
constexpr uint64_t kOwnNumbers = 0x9E3779B97F4A7C15;

// A generator of a device, whose numbers a generator of the CPU draws.
struct DeviceGenerator final : c10::GeneratorImpl {
  explicit DeviceGenerator(DeviceIndex index)
      : GeneratorImpl(Device(kCuda, index), c10::DispatchKeySet(c10::DispatchKey::CUDA)),
        drawing(at::detail::createCPUGenerator()) {
    set_current_seed(c10::default_rng_seed_val);
  }
  void set_current_seed(uint64_t seed) override {
    own_seed = seed;
    drawing.set_current_seed(seed ^ kOwnNumbers);
  }
  uint64_t current_seed() const override { return own_seed; }
  uint64_t seed() override {
    set_current_seed(c10::detail::getNonDeterministicRandom());
    return own_seed;
  }
  void set_offset(uint64_t) override {}
  uint64_t get_offset() const override { return 0; }
  void set_state(const c10::TensorImpl& state) override { drawing.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return drawing.unsafeGetGeneratorImpl()->get_state();
  }
  GeneratorImpl* clone_impl() const override {
    auto* copy = new DeviceGenerator(device().index());
    copy->own_seed = own_seed;
    copy->drawing = drawing.clone();
    return copy;
  }

  uint64_t own_seed = 0;
  at::Generator drawing;
};

int index_of(DeviceIndex index) {
  return index < 0 ? current_device() : index;
}

void check_index(int index) {
  TORCH_CHECK(index >= 0 && index < device_count(), "CUDA error: invalid device ordinal");
}

// Each device has one stream.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kCuda; }
  Device exchangeDevice(Device device) const override {
    const Device before = getDevice();
    setDevice(device);
    return before;
  }
  Device getDevice() const override { return Device(kCuda, static_cast<DeviceIndex>(current_device())); }
  void setDevice(Device device) const override {
    if (!device.has_index()) return;
    check_index(device.index());
    set_current_device(device.index());
  }
  void uncheckedSetDevice(Device device) const noexcept override {
    if (device.has_index()) set_current_device(device.index());
  }
  Stream getStream(Device device) const override {
    return Stream(Stream::DEFAULT, Device(kCuda, static_cast<DeviceIndex>(index_of(device.index()))));
  }
  Stream getDefaultStream(Device device) const override { return getStream(device); }
  Stream getStreamFromGlobalPool(Device device, bool) const override { return getStream(device); }
  Stream getNewStream(Device device, int) const override { return getStream(device); }
  Stream exchangeStream(Stream stream) const override { return getStream(stream.device()); }
  DeviceIndex deviceCount() const noexcept override { return static_cast<DeviceIndex>(device_count()); }

  void record(void** event, const Stream&, DeviceIndex, c10::EventFlag) const override {
    if (*event == nullptr) *event = new int;
    *static_cast<int*>(*event) = 0;
  }
  void block(void*, const Stream&) const override {}
  // What was recorded is not there at the first look.
  bool queryEvent(void* event) const override {
    if (event == nullptr || ++*static_cast<int*>(event) > 1) {
      wait();
      return true;
    }
    return false;
  }
  void destroyEvent(void* event, DeviceIndex) const noexcept override { delete static_cast<int*>(event); }
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream& stream) const override { synchronizeDevice(stream.device_index()); }
  void synchronizeEvent(void*) const override { wait(); }
  void synchronizeDevice(DeviceIndex index) const override {
    check_alive(index_of(index));
    wait();
  }
  double elapsedTime(void*, void*, DeviceIndex) const override { return 1.0; }
};

C10_REGISTER_GUARD_IMPL(CUDA, Guard)

// Attention in plain steps, which autograd follows: `SDPBackend::math`.
int64_t plain_attention(const at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
    double, bool, std::optional<double>, bool) {
  return 0;
}

} // namespace

c10::GeneratorImpl* drawing_generator(c10::GeneratorImpl* of_device) {
  TORCH_CHECK(of_device->device().is_cuda(), "Expected a 'cuda' device type for generator but found 'cpu'");
  return static_cast<DeviceGenerator*>(of_device)->drawing.unsafeGetGeneratorImpl();
}

} // namespace fake

namespace at::native {
REGISTER_CUDA_DISPATCH(_fused_sdp_choice_stub, &fake::plain_attention)
} // namespace at::native

namespace at {

// libtorch looks for this name.
struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return fake::device_count() > 0; }
  bool hasCUDA() const override { return fake::device_count() > 0; }
  bool hasCUDART() const override { return true; }
  int getNumGPUs() const override { return fake::device_count(); }
  DeviceIndex deviceCount() const override { return static_cast<DeviceIndex>(fake::device_count()); }
  DeviceIndex current_device() const override { return static_cast<DeviceIndex>(fake::current_device()); }
  DeviceIndex getCurrentDevice() const override { return current_device(); }
  void setCurrentDevice(DeviceIndex index) const override { fake::set_current_device(index); }
  DeviceIndex exchangeDevice(DeviceIndex index) const override {
    const DeviceIndex before = current_device();
    fake::set_current_device(index);
    return before;
  }
  DeviceIndex maybeExchangeDevice(DeviceIndex index) const override { return exchangeDevice(index); }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  Device getDeviceFromPtr(void* address) const override {
    return Device(DeviceType::CUDA, static_cast<DeviceIndex>(fake::device_of(address)));
  }
  bool isPinnedPtr(const void* address) const override { return fake::is_pinned(address); }
  Allocator* getPinnedMemoryAllocator() const override { return fake::pinned_allocator(); }
  Allocator* getCUDADeviceAllocator() const override { return fake::device_allocator(); }
  const Generator& getDefaultGenerator(DeviceIndex index) const override {
    static const std::vector<Generator>* generators = [] {
      auto* all = new std::vector<Generator>();
      for (int device = 0; device < fake::device_count(); ++device) {
        all->push_back(make_generator<fake::DeviceGenerator>(static_cast<DeviceIndex>(device)));
      }
      return all;
    }();
    return generators->at(fake::index_of(index));
  }
  Generator getNewGenerator(DeviceIndex index) const override {
    return make_generator<fake::DeviceGenerator>(static_cast<DeviceIndex>(fake::index_of(index)));
  }
  std::string showConfig() const override { return "a fake CUDA"; }
  void deviceSynchronize(DeviceIndex index) const override {
    fake::check_alive(fake::index_of(index));
    fake::wait();
  }
};

REGISTER_CUDA_HOOKS(CUDAHooks)

} // namespace at
