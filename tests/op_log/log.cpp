// Owns a log of libtorch's operations. Loaded into a process before its program, it appends a line to the file
// that OPERATIONS names at the end of each:
//
//   launch aten::bmm 512 2x8x4 2x4      a kernel, the bytes of what it gives or changes, and the sizes of that
//   view aten::expand 0 2x8x4           no kernel: other sizes of what is there
//   within aten::add 64 4x4             a part of an attention, which counts as one kernel
//
// An operation that is made of others is not there itself, nor is one that only finds memory. It is the CPU that
// computes, so that what one kernel of a GPU does may be two here, and the other way round.
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <unordered_map>

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

namespace {

enum class Kind { kKernel, kView, kMemory, kAttention };

bool begins(const std::string& name, const char* with) {
  return name.rfind(std::string("aten::") + with, 0) == 0;
}

Kind kind_of(const at::RecordFunction& call) {
  const std::string name = call.name();
  if (name.find("scaled_dot_product") != std::string::npos) return Kind::kAttention;
  for (const char* memory : {"empty", "new_empty", "resize_", "set_"}) {
    if (begins(name, memory)) return Kind::kMemory;
  }
  if (begins(name, "_unsafe_view") || begins(name, "_reshape_alias")) return Kind::kView;
  const auto schema = call.operator_schema();
  if (!schema.has_value()) return Kind::kMemory;
  for (const c10::Argument& answer : schema->returns()) {
    if (answer.alias_info() != nullptr && !answer.alias_info()->isWrite()) return Kind::kView;
  }
  return Kind::kKernel;
}

// An operation that has begun.
struct Running final : at::ObserverContext {
  Running* around;
  bool is_attention;
  bool has_parts = false;
};

thread_local Running* innermost = nullptr;

struct Log {
  std::mutex lock;
  std::FILE* file = std::fopen(std::getenv("OPERATIONS"), "a");
  std::unordered_map<std::string, Kind> kinds;

  Kind kind(const at::RecordFunction& call) {
    const auto name = call.operator_name();
    std::string key = call.name();
    if (name.has_value()) key += "." + name->overload_name;
    std::lock_guard<std::mutex> held(lock);
    const auto known = kinds.find(key);
    return known != kinds.end() ? known->second : kinds.emplace(key, kind_of(call)).first->second;
  }

  void write(const std::string& line) {
    std::lock_guard<std::mutex> held(lock);
    std::fputs(line.c_str(), file);
    // The program reads it while it runs.
    std::fflush(file);
  }
};

Log& log() {
  static Log* one = new Log();
  return *one;
}

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& call) {
  auto running = std::make_unique<Running>();
  running->around = innermost;
  running->is_attention = log().kind(call) == Kind::kAttention;
  innermost = running.get();
  return running;
}

void describe(const at::Tensor& tensor, size_t& bytes, std::string& sizes) {
  if (!tensor.defined()) return;
  bytes += tensor.nbytes();
  sizes += ' ';
  for (int64_t at = 0; at < tensor.dim(); ++at) {
    sizes += (at == 0 ? "" : "x") + std::to_string(tensor.size(at));
  }
  if (tensor.dim() == 0) sizes += '1';
}

void on_end(const at::RecordFunction& call, at::ObserverContext* context) {
  auto* running = static_cast<Running*>(context);
  innermost = running->around;
  const Kind kind = log().kind(call);
  bool is_within = false;
  for (const Running* outer = running->around; outer != nullptr; outer = outer->around) {
    is_within = is_within || outer->is_attention;
  }
  if (kind == Kind::kMemory || (running->has_parts && !running->is_attention)) return;
  size_t bytes = 0;
  std::string sizes;
  for (const c10::IValue& answer : call.outputs()) {
    if (answer.isTensor()) describe(answer.toTensor(), bytes, sizes);
    if (!answer.isTensorList()) continue;
    for (const at::Tensor& tensor : answer.toTensorVector()) describe(tensor, bytes, sizes);
  }
  if (sizes.empty()) return;
  const bool is_view = kind == Kind::kView;
  if (!is_view) {
    for (Running* outer = running->around; outer != nullptr; outer = outer->around) outer->has_parts = true;
  }
  const char* what = is_view ? "view " : is_within ? "within " : "launch ";
  log().write(what + std::string(call.name()) + ' ' + std::to_string(is_view ? 0 : bytes) + sizes + '\n');
}

const auto kCallback = at::addGlobalCallback(at::RecordFunctionCallback(on_start, on_end)
                                                 .needsOutputs(true)
                                                 .scopes({at::RecordScope::FUNCTION}));

} // namespace
