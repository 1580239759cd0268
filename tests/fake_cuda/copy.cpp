// Owns copies between the host and the devices: which of them wait, and what the host reads.
#include <cstring>

#include <ATen/Functions.h>
#include <torch/library.h>

#include "alias.h"
#include "fake.h"

namespace fake {
namespace {

bool same_layout(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.is_contiguous() && b.is_contiguous();
}

void copy_on_devices(const at::Tensor& to, const at::Tensor& from) {
  launch(to.device().index(), "aten::copy_");
  run_uploads();
  Lent lent;
  lent.lend(to).copy_(lent.lend(from));
}

void upload(const at::Tensor& to, const at::Tensor& from, bool non_blocking) {
  launch(to.device().index(), "upload");
  const bool is_safe = is_pinned(from.const_data_ptr());
  ++counts().uploads;
  counts().upload_bytes += to.nbytes();
  if (non_blocking) {
    if (!is_safe) ++counts().unpinned;
    queue_upload(to.data_ptr(), from.const_data_ptr(), to.nbytes());
  } else {
    wait();
    std::memcpy(reveal(to.data_ptr()), from.const_data_ptr(), to.nbytes());
  }
}

void download(const at::Tensor& to, const at::Tensor& from, bool non_blocking) {
  launch(from.device().index(), "download");
  if (non_blocking && is_pinned(to.const_data_ptr())) {
    queue_download(to.data_ptr(), from.const_data_ptr(), to.nbytes());
    return;
  }
  ++counts().reads;
  counts().read_bytes += to.nbytes();
  wait();
  std::memcpy(to.data_ptr(), reveal(from.const_data_ptr()), to.nbytes());
}

// The bytes travel as they are; what else is to change about them is changed before or after, on the side where a
// GPU does it.
at::Tensor& copy(at::Tensor& to, const at::Tensor& from, bool non_blocking) {
  const at::AutoDispatchBelowADInplaceOrView below;
  if (to.is_same(from) || to.numel() == 0) return to;
  if (to.is_cuda() && from.is_cuda()) {
    copy_on_devices(to, from);
  } else if (to.is_cuda()) {
    const at::Tensor source = from.to(to.scalar_type()).expand(to.sizes()).contiguous();
    if (same_layout(to, source)) {
      upload(to, source, non_blocking);
    } else {
      const at::Tensor landed = empty_on(to.device().index(), to.sizes(), to.scalar_type());
      upload(landed, source, non_blocking);
      copy_on_devices(to, landed);
    }
  } else {
    const at::Tensor source = from.expand(to.sizes()).contiguous();
    if (same_layout(to, source)) {
      download(to, source, non_blocking);
    } else {
      const at::Tensor landed = at::empty(to.sizes(), to.options().dtype(source.dtype()));
      download(landed, source, false);
      to.copy_(landed);
    }
  }
  return to;
}

at::Scalar read_number(const at::Tensor& number) {
  launch(number.device().index(), "aten::_local_scalar_dense");
  ++counts().reads;
  counts().read_bytes += number.nbytes();
  wait();
  Lent lent;
  return at::_local_scalar_dense(lent.lend(number));
}

} // namespace

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("copy_", copy);
  library.impl("_local_scalar_dense", read_number);
}

} // namespace fake
