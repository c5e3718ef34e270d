// Type promotion, outputs and broadcasting by torch's TensorIterator; then the CPU loops or the GPU kernels.
#include "elementwise.h"

#include <ATen/Context.h>
#include <ATen/Dispatch.h>
#include <ATen/TensorIterator.h>
#include <ATen/native/Resize.h>
#include <ATen/native/TypeProperties.h>
#include <ATen/ops/any.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/full.h>
#include <c10/core/DefaultDtype.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "../autograd/number.h"
#include "../core/scalar_type.h"
#include "gpu_path.h"
#include "unaliased.h"

namespace gpukern::elementwise {
namespace {

using c10::ScalarType;

// Elementwise kernels have neither complex nor 8-bit floating types.
std::optional<DType> storage(ScalarType t) {
  const std::optional<DType> found = dtype_of(t);
  return found && (bit(*found) & (kComplex | kFloat8)) == 0 ? found : std::nullopt;
}

bool is_float(ScalarType t) {
  return t == ScalarType::Float || t == ScalarType::Double || t == ScalarType::Half || t == ScalarType::BFloat16;
}

Compute compute_type(ScalarType t) {
  return t == ScalarType::Double ? Compute::f64 : is_float(t) ? Compute::f32 : Compute::i64;
}

bool wrapped(const Tensor& t) { return t.unsafeGetTensorImpl()->is_wrapped_number(); }

// torch's promotion over the inputs that take part in it.
ScalarType common_dtype(const Op& op, const Inputs& in) {
  const int n = op.spec->inputs;
  ScalarType first = ScalarType::Undefined;
  bool simple = true;
  for (int k = 0; k < n; ++k) {
    if (op.spec->condition >> k & 1) continue;
    const ScalarType t = in[k]->scalar_type();
    if (first == ScalarType::Undefined) first = t;
    simple = simple && t == first && !wrapped(*in[k]);
  }
  if (simple) return first;
  at::native::ResultTypeState state;
  for (int k = 0; k < n; ++k)
    if (!(op.spec->condition >> k & 1)) state = at::native::update_result_type_state(*in[k], state);
  return at::native::result_type(state);
}

bool same_dtypes(const Op& op, const Inputs& in) {
  for (int k = 1; k < op.spec->inputs; ++k)
    if (!wrapped(*in[k]) && in[k]->scalar_type() != in[0]->scalar_type()) return false;
  return true;
}

// Whether all inputs are on one device that this build has kernels for; a 0-dim CPU tensor may join tensors of a GPU.
bool on_our_device(const Op& op, const Inputs& in) {
  c10::Device device(c10::kCPU);
  for (int k = 0; k < op.spec->inputs; ++k) {
    const Tensor& t = *in[k];
    if (t.layout() != c10::kStrided || t.is_quantized() || t.is_nested() || !storage(t.scalar_type())) return false;
    if (t.device() == device || (t.is_cpu() && t.dim() == 0)) continue;
    if (!device.is_cpu()) return false;
    for (int earlier = 0; earlier < k; ++earlier)
      if (in[earlier]->dim() != 0) return false;
    device = t.device();
  }
  return device.is_cpu() || device.is_meta() || gpu_path::serves(device);
}

// Whether conversion to an integer type changes the number in a 0-dim tensor, the only operand that may be wider than
// the compute type: a negative number beside uint8 wraps, as in torch.
bool wraps(const Tensor& t, ScalarType to) {
  if (t.scalar_type() == to || t.dim() != 0 || t.scalar_type() == ScalarType::Bool) return false;
  if (!t.is_cpu() || to == ScalarType::Bool) return true;
  const int64_t v = [&]() -> int64_t {
    switch (t.scalar_type()) {
      case ScalarType::Byte: return *t.const_data_ptr<uint8_t>();
      case ScalarType::Char: return *t.const_data_ptr<int8_t>();
      case ScalarType::Short: return *t.const_data_ptr<int16_t>();
      case ScalarType::Int: return *t.const_data_ptr<int32_t>();
      default: return *t.const_data_ptr<int64_t>();
    }
  }();
  switch (to) {
    case ScalarType::Byte: return v != static_cast<uint8_t>(v);
    case ScalarType::Char: return v != static_cast<int8_t>(v);
    case ScalarType::Short: return v != static_cast<int16_t>(v);
    case ScalarType::Int: return v != static_cast<int32_t>(v);
    default: return false;
  }
}

// Whether an operand must be converted before the loops, which compute in a wider type, read it. What is compared is
// rounded first, so that float16's 0.1 equals the number 0.1, as in torch.
bool needs_conversion(const Tensor& t, ScalarType to, Compute compute) {
  if (compute == Compute::i64) return wraps(t, to);
  return (to == ScalarType::Half || to == ScalarType::BFloat16) && t.scalar_type() != to;
}

// The value that does not limit, in place of an absent bound.
template <class T> T no_bound(int side) {
  using Limits = std::numeric_limits<T>;
  if constexpr (Limits::has_infinity) return side < 0 ? -Limits::infinity() : Limits::infinity();
  else return side < 0 ? Limits::lowest() : Limits::max();
}

struct Numbers {  // the scalars in the compute type
  double f64[kMaxScalars];
  float f32[kMaxScalars];
  int64_t i64[kMaxScalars];
  Numbers(const Op& op, const Scalars& s, ScalarType dtype) {
    const Compute compute = compute_type(dtype);
    for (int k = 0; k < op.spec->scalars; ++k) {
      const int side = op.spec->absent[k];
      if (dtype == ScalarType::Bool) {
        i64[k] = !s[k] || s[k]->to<bool>();
      } else if (compute == Compute::i64) {
        i64[k] = s[k] ? s[k]->toLong() : no_bound<int64_t>(side);
      } else {
        f64[k] = s[k] ? s[k]->toDouble() : no_bound<double>(side);
        f32[k] = static_cast<float>(f64[k]);
      }
    }
  }
  const void* data(Compute compute) const {
    return compute == Compute::f32   ? static_cast<const void*>(f32)
           : compute == Compute::f64 ? static_cast<const void*>(f64)
                                     : static_cast<const void*>(i64);
  }
};

constexpr int64_t kBlock = 512;  // elements per staged block: 4 operands of 4 KiB stay in a 32 KiB L1
constexpr int kMaxOperands = 1 + kMaxInputs + 1;

// n copies of an element of 1, 2, 4 or 8 bytes.
template <class T> void repeat(void* block, const char* element, int64_t n) {
  T x;
  std::memcpy(&x, element, sizeof(T));
  std::fill_n(static_cast<T*>(block), n, x);
}
void repeat(void* block, const char* element, int64_t size, int64_t n) {
  switch (size) {
    case 1: return repeat<uint8_t>(block, element, n);
    case 2: return repeat<uint16_t>(block, element, n);
    case 4: return repeat<uint32_t>(block, element, n);
    default: return repeat<uint64_t>(block, element, n);
  }
}

struct HostCall {
  host::Loop loop, typed;  // typed: for memory as it is, where all operands have one type; else null
  const host::Stage* stage;
  const void* scalars;
  int compute, operands;        // operand 0 is the output
  int64_t compute_size, width;  // bytes of an element of a block, and of an operand of the typed loop
  DType dtype[kMaxOperands];
  int64_t size[kMaxOperands];
  bool is_number[kMaxOperands] = {};  // for the typed loop: operand k is the one element in number[k]
  alignas(8) char number[kMaxOperands][8];

  static DType dense(Compute compute) {
    static constexpr DType types[] = {DType::f32, DType::f64, DType::i64};
    return types[static_cast<int>(compute)];
  }

  // Converts the one element of operand k to that type; false if that changes its value.
  bool convert_number(int k, const void* memory, DType type) {
    alignas(8) char value[8] = {}, again[8] = {};
    const auto& loads = stage->load[compute];
    loads[static_cast<int>(dtype[k])](value, static_cast<const char*>(memory), 0, 1);
    stage->store[compute][static_cast<int>(type)](number[k], value, bytes(type), 1);
    loads[static_cast<int>(type)](again, number[k], 0, 1);
    is_number[k] = std::memcmp(value, again, sizeof(value)) == 0;
    return is_number[k];
  }

  bool direct(int k, int64_t stride) const {
    return dtype[k] == dense(static_cast<Compute>(compute)) && stride == size[k];
  }

  // Rows of n0 elements; each is split into blocks, or, if short, several share a block.
  void run(char** data, const int64_t* strides, int64_t n0, int64_t n1) const {
    if (typed && run_typed(data, strides, n0, n1)) return;
    const int64_t rows = n0 >= kBlock / 2 ? 1 : kBlock / std::max<int64_t>(n0, 1);
    for (int64_t row = 0; row < n1; row += rows) block_rows(data, strides, n0, row, std::min(rows, n1 - row));
  }

  bool repeated(int k, int64_t stride) const { return is_number[k] || stride == 0; }

  // The rows as they lie; one element that stands for a row is repeated in a block.  False if a row is not dense.
  bool run_typed(char** data, const int64_t* strides, int64_t n0, int64_t n1) const {
    const int64_t* outer = strides + operands;
    bool repeats = false;
    if (strides[0] != size[0]) return false;
    for (int k = 1; k < operands; ++k) {
      if (!repeated(k, strides[k]) && strides[k] != width) return false;
      repeats = repeats || repeated(k, strides[k]);
    }
    alignas(64) char buffer[kMaxOperands][kBlock * 8];
    const int64_t step = repeats ? kBlock : n0;
    for (int64_t row = 0; row < n1; ++row) {
      for (int k = 1; k < operands; ++k)
        if (repeated(k, strides[k]) && (row == 0 || outer[k] != 0))
          repeat(buffer[k], is_number[k] ? number[k] : data[k] + row * outer[k], width, std::min(step, n0));
      for (int64_t start = 0; start < n0; start += step) {
        const void* in[kMaxOperands];
        for (int k = 1; k < operands; ++k)
          in[k - 1] = repeated(k, strides[k]) ? buffer[k] : data[k] + row * outer[k] + start * width;
        typed(data[0] + row * outer[0] + start * size[0], in, std::min(step, n0 - start), scalars);
      }
    }
    return true;
  }

  void block_rows(char** data, const int64_t* strides, int64_t n0, int64_t row, int64_t rows) const {
    alignas(64) char buffer[kMaxOperands][kBlock * 8];
    const int64_t* outer = strides + operands;
    const bool many = rows > 1;
    for (int64_t start = 0; start < n0; start += kBlock) {
      const int64_t n = std::min(kBlock, n0 - start);
      const void* in[kMaxOperands];
      for (int k = 1; k < operands; ++k) {
        const char* first = data[k] + row * outer[k] + start * strides[k];
        if (!many && direct(k, strides[k])) {
          in[k - 1] = first;
          continue;
        }
        in[k - 1] = buffer[k];
        if (!many && strides[k] == 0 && start > 0) continue;  // unchanged since the previous block
        const host::Load load = stage->load[compute][static_cast<int>(dtype[k])];
        if (many && outer[k] == n0 * strides[k]) {
          load(buffer[k], first, strides[k], n * rows);
        } else {
          for (int64_t r = 0; r < rows; ++r)
            load(buffer[k] + r * n * compute_size, first + r * outer[k], strides[k], n);
        }
      }
      char* out = data[0] + row * outer[0] + start * strides[0];
      if (!many && direct(0, strides[0])) {
        loop(out, in, n, scalars);
        continue;
      }
      loop(buffer[0], in, n * rows, scalars);
      const host::Store store = stage->store[compute][static_cast<int>(dtype[0])];
      for (int64_t r = 0; r < rows; ++r) store(out + r * outer[0], buffer[0] + r * n * compute_size, strides[0], n);
    }
  }
};

// The loop for operands that all have one type, null if there is none.  An operand of one element may have another
// type, if the type of the others holds its value.
host::Loop choose_typed(const at::TensorIteratorBase& iter, const Op& op, int variant, Compute compute,
                        HostCall& call) {
  const auto single = [&](int k) { return iter.tensor_base(k).numel() == 1; };
  int of = 0;  // the operand whose type is that of all
  if (op.spec->predicate) {
    if (call.dtype[0] != DType::b8) return nullptr;
    of = 1;
    while (of + 1 < call.operands && single(of)) ++of;
  }
  const DType type = call.dtype[of];
  call.width = bytes(type);
  const bool dense = type == HostCall::dense(compute) && !op.spec->predicate;
  const host::Loop loop = dense ? call.loop : variant == 0 ? host::typed_loop(op, type) : nullptr;
  if (!loop || compute_type(iter.dtype(of)) != compute) return nullptr;
  for (int k = 1; k < call.operands; ++k)
    if (call.dtype[k] != type && !(single(k) && call.convert_number(k, iter.data_ptr(k), type))) return nullptr;
  return loop;
}

void run_host(at::TensorIteratorBase& iter, const Op& op, int variant, Compute compute, const Numbers& numbers) {
  HostCall call;
  call.loop = host::loop(op, variant, compute);
  TORCH_INTERNAL_ASSERT(call.loop, "gpukern: no CPU loop for ", op.spec->name);
  call.stage = &host::stage();
  call.scalars = numbers.data(compute);
  call.compute = static_cast<int>(compute);
  call.compute_size = compute == Compute::f32 ? 4 : 8;
  call.operands = iter.ntensors();
  for (int k = 0; k < call.operands; ++k) {
    call.dtype[k] = *storage(iter.dtype(k));
    call.size[k] = static_cast<int64_t>(c10::elementSize(iter.dtype(k)));
  }
  call.typed = choose_typed(iter, op, variant, compute, call);
  iter.for_each(
      [&call](char** data, const int64_t* strides, int64_t n0, int64_t n1) { call.run(data, strides, n0, n1); });
}

// Served calls: [op][0 host, 1 gpu].  Relaxed: only the totals matter.
std::atomic<int64_t> served[kMaxOps][2];

// Whether a CPU tensor of integers has a 0; torch checks each divisor as it divides.
bool has_zero(const Tensor& t) {
  if (!t.is_contiguous()) return at::eq(t, 0).any().item<bool>();
  return AT_DISPATCH_INTEGRAL_TYPES_AND(ScalarType::Bool, t.scalar_type(), "has_zero", [&] {
    const scalar_t* const first = t.const_data_ptr<scalar_t>();
    return std::find(first, first + t.numel(), scalar_t(0)) != first + t.numel();
  });
}

// dtype: what the operands are computed as. The result has it too, unless the op is a predicate.
Tensor execute(const Op& op, int variant, const Tensor* const* operands, int inputs, const Scalars& scalars,
               ScalarType dtype, const Tensor* out) {
  Tensor result;
  const Tensor& output = out ? *out : result;
  const Compute compute = compute_type(dtype);
  const Numbers numbers(op, scalars, dtype);
  c10::Device device(c10::kCPU);
  for (int k = 0; k < inputs; ++k)
    if (!operands[k]->is_cpu()) device = operands[k]->device();
  at::TensorIteratorConfig config;
  config.set_check_mem_overlap(true).check_all_same_dtype(false).allow_cpu_scalars(true).add_borrowed_output(output);
  const bool converts = variant == 0 && (compute == Compute::i64 || op.spec->predicate);
  std::array<Tensor, kMaxOperands> moved;  // numbers moved to the GPU, or converted to a type that cannot hold them
  for (int k = 0; k < inputs; ++k) {
    const bool here = device.is_cpu() || !operands[k]->is_cpu();
    if (converts && !(op.spec->condition >> k & 1) && needs_conversion(*operands[k], dtype, compute))
      moved[k] = operands[k]->to(dtype);
    if (!here) {
      const Tensor& number = moved[k].defined() ? moved[k] : *operands[k];
      moved[k] = at::full({}, number.item(), number.options().device(device));
    }
    config.add_borrowed_const_input(moved[k].defined() ? moved[k] : *operands[k]);
  }
  if (!out) config.declare_static_dtype(op.spec->predicate ? ScalarType::Bool : dtype);
  auto iter = config.build();
  if (op.spec->refuses_zero && compute == Compute::i64 && device.is_cpu() && iter.numel() > 0) {
    const Tensor& divisor = moved[inputs - 1].defined() ? moved[inputs - 1] : *operands[inputs - 1];
    TORCH_CHECK(!has_zero(divisor), "ZeroDivisionError");
  }
  served[op.id][device.is_cpu() ? 0 : 1].fetch_add(1, std::memory_order_relaxed);
  if (iter.numel() > 0) {
    if (device.is_cpu()) run_host(iter, op, variant, compute, numbers);
    else gpu_path::run(iter, op, variant, compute, numbers.f64, numbers.i64);
  }
  return out ? *out : iter.output();
}

// Whether the loops can store to `out` directly.  torch rounds the result to `dtype` and converts that to `out`; the
// loops compute in a wider type, so they must go through `dtype` where that changes the value.
bool stores(ScalarType dtype, ScalarType out) {
  if (out == dtype) return true;
  if (!storage(out)) return false;
  if (dtype == ScalarType::Float || dtype == ScalarType::Double || dtype == ScalarType::Long) return true;
  return c10::isIntegralType(dtype, false) && c10::isIntegralType(out, false) &&
         c10::elementSize(out) <= c10::elementSize(dtype);
}

}  // namespace

bool has_kernel(ScalarType type) { return storage(type).has_value(); }

std::optional<ScalarType> result_dtype(const Op& op, const Inputs& in, const Scalars& scalars) {
  for (int k = 0; k < op.spec->scalars; ++k)
    if (scalars[k] && scalars[k]->isComplex()) return std::nullopt;
  if (!on_our_device(op, in) || (op.spec->same_dtype && !same_dtypes(op, in))) return std::nullopt;
  for (int k = 0; k < op.spec->inputs; ++k)
    if ((op.spec->condition >> k & 1) && in[k]->scalar_type() != ScalarType::Bool) return std::nullopt;
  if (op.spec->refuses_bool)
    for (int k = 0; k < op.spec->inputs; ++k)
      if (in[k]->scalar_type() == ScalarType::Bool) return std::nullopt;
  const ScalarType common = common_dtype(op, in);
  if (!storage(common)) return std::nullopt;
  // A number that the type cannot hold, or a bool beside other types: torch refuses it, with a text for each op.
  for (int k = 0; k < op.spec->scalars; ++k)
    if (scalars[k] && ((scalars[k]->isBoolean() && common != ScalarType::Bool) || !holds(common, *scalars[k])))
      return std::nullopt;
  if (op.spec->predicate) return ScalarType::Bool;
  if (is_float(common)) return op.spec->types == Types::whole ? std::nullopt : std::optional(common);
  if (op.spec->types == Types::to_float) {
    const ScalarType t = c10::typeMetaToScalarType(c10::get_default_dtype());
    return is_float(t) ? std::optional(t) : std::nullopt;
  }
  if (op.spec->types == Types::floating || (op.spec->types == Types::number && common == ScalarType::Bool))
    return std::nullopt;
  for (int k = 0; k < op.spec->scalars; ++k)
    if (scalars[k] && scalars[k]->isFloatingPoint()) return std::nullopt;
  return common;
}

Tensor run(const Op& op, const Inputs& in, const Scalars& scalars, ScalarType dtype, const Tensor* out) {
  const ScalarType computed = op.spec->predicate ? common_dtype(op, in) : dtype;
  if (!out) return execute(op, 0, in.data(), op.spec->inputs, scalars, computed, nullptr);
  if (op.spec->predicate ? has_kernel(out->scalar_type()) : stores(dtype, out->scalar_type())) {
    const UnaliasedInputs unaliased(in, op.spec->inputs, *out);
    return execute(op, 0, unaliased.inputs().data(), op.spec->inputs, scalars, computed, out);
  }
  const Tensor result = run(op, in, scalars, dtype);
  if (at::native::resize_output(*out, result.sizes())) out->as_strided_(result.sizes(), result.strides());
  return out->copy_(result);
}

Tensor run_grad(const Op& op, int i, int j, const Tensor& g, const Inputs& operands, const Scalars& scalars) {
  const Tensor* all[kMaxOperands] = {&g};
  int n = 1;
  ScalarType dtype = g.scalar_type();
  for (int k = 0; k < op.saved; ++k) {
    if (!(op.saved_bits[i] >> k & 1)) continue;
    all[n++] = operands[k];
    if (!(op.spec->condition >> k & 1)) dtype = c10::promoteTypes(dtype, operands[k]->scalar_type());
  }
  const int variant = j < 0 ? grad_variant(i) : second_variant(i, j);
  return execute(op, variant, all, n, scalars, dtype, nullptr);
}

std::vector<std::pair<std::string, int64_t>> counts() {
  std::vector<std::pair<std::string, int64_t>> all;
  for (const Op& op : catalogue()) {
    std::string name = op.spec->name;
    if (*op.spec->choice) name += std::string(".") + op.spec->choice;
    const std::string paths[] = {std::string("host/") + host::capability(), "gpu"};
    for (int p = 0; p < 2; ++p)
      if (const int64_t n = served[op.id][p].load(std::memory_order_relaxed))
        all.emplace_back(name + " " + paths[p], n);
  }
  return all;
}

void reset_counts() {
  for (auto& row : served)
    for (auto& n : row) n.store(0, std::memory_order_relaxed);
}

}  // namespace gpukern::elementwise
