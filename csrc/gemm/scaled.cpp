// scaled_mm: torch._scaled_mm's product of two matrices of 8-bit numbers, each with scales of its own.
//
// Tensor cores of Hopper (arch/wgmma), sm_89 and sm_120 (arch/sm_89) multiply e4m3fn and e5m2; elsewhere, and the fnuz
// formats, operands are widened exactly and summed in float32 by ordinary cores.
#include "scaled.h"
#include "registrar.h"

#include <ATen/native/Resize.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/library.h>

#include "../aliasing.h"
#include "../autograd/node.h"
#include "gpu_path.h"
#include "introspect.h"

namespace gpukern::gemm {
namespace {

using c10::ScalarType;
using Ref = const Tensor&;
using Optional = std::optional<Tensor>;
using Out = std::optional<ScalarType>;

bool is_float8(ScalarType t) { return c10::isFloat8Type(t) && t != ScalarType::Float8_e8m0fnu; }

struct Call {
  Ref a, b, scale_a, scale_b;
  const Tensor* bias;
  const Tensor* scale_result;  // null where the result is not of 8 bits: torch's rule
  ScalarType out;
  bool fast;  // sums may be as coarse as the tensor cores' own
  int64_t m, n, k;
};

// The scale of an (x, k) operand: one number, one for each row, or one for each block of 128 of k and 1 or 128 rows.
std::optional<Scale> scale_of(Ref t, int64_t x, int64_t k, bool is_transposed) {
  if (t.scalar_type() != c10::kFloat || t.layout() != c10::kStrided) return std::nullopt;
  if (t.numel() == 1) return Scale{};
  if (t.dim() != 2) return std::nullopt;
  const int64_t along = t.size(is_transposed ? 1 : 0), deep = t.size(is_transposed ? 0 : 1);
  const int64_t x_stride = t.stride(is_transposed ? 1 : 0), k_stride = t.stride(is_transposed ? 0 : 1);
  const int64_t blocks = ceil_div(k, kScaleBlock);
  if (along == x && deep == 1) return Scale{1, x_stride, 0};
  if (along == x && deep == blocks) return Scale{1, x_stride, k_stride};
  if (along == ceil_div(x, kScaleBlock) && deep == blocks) return Scale{kScaleBlock, x_stride, k_stride};
  return std::nullopt;
}

Scaling scaling_of(const Call& x) {
  const auto a = scale_of(x.scale_a, x.m, x.k, false), b = scale_of(x.scale_b, x.n, x.k, true);
  TORCH_CHECK_VALUE(
      a && b,
      "Invalid scaling configuration.\n"
      "gpukern.scaled_mm takes float32 scales: of one number; (m, 1) for input and (1, n) for mat2; or, for "
      "blocks of 128 of k, (m, k/128) or (m/128, k/128) and (k/128, n) or (k/128, n/128), rounded up; got ",
      x.scale_a.scalar_type(), " ", x.scale_a.sizes(), " and ", x.scale_b.scalar_type(), " ", x.scale_b.sizes(),
      " for m = ", x.m, ", n = ", x.n, ", k = ", x.k);
  return {*a, *b, DType::e4m3};
}

Call checked(Ref a, Ref b, Ref scale_a, Ref scale_b, const Optional& bias, const Optional& scale_result, Out out,
             bool fast) {
  TORCH_CHECK(a.dim() == 2, "mat1 must be a matrix");
  TORCH_CHECK(b.dim() == 2, "mat2 must be a matrix");
  TORCH_CHECK(a.size(1) == b.size(0), "mat_a and mat_b shapes cannot be multiplied (", a.size(0), "x", a.size(1),
              " and ", b.size(0), "x", b.size(1), ")");
  for (const Tensor* t : {&a, &b})
    TORCH_CHECK_VALUE(is_float8(t->scalar_type()), "Invalid scaling configuration.\ngpukern.scaled_mm multiplies ",
                      "float8_e4m3fn, float8_e5m2 and their fnuz forms, got ", t->scalar_type());
  const ScalarType type = out.value_or(a.scalar_type());
  TORCH_CHECK(type == c10::kFloat || type == c10::kHalf || type == c10::kBFloat16 || is_float8(type),
              "gpukern.scaled_mm: out_dtype must be float32, float16, bfloat16 or a float8 type, got ", type);
  const Tensor* const added = bias && bias->defined() ? &*bias : nullptr;
  TORCH_CHECK(!added || added->numel() == b.size(1), "Bias must be size ", b.size(1), " but got ",
              added ? added->numel() : 0);
  const Tensor* const result = scale_result && scale_result->defined() ? &*scale_result : nullptr;
  TORCH_CHECK(!result || (result->numel() == 1 && result->scalar_type() == c10::kFloat),
              "scale_result must be a float scalar");
  for (const Tensor* t : {&b, &scale_a, &scale_b, added, result})
    TORCH_CHECK(!t || t->device() == a.device(), "Expected all tensors to be on the same device, but found at least ",
                "two devices, ", a.device(), " and ", t ? t->device() : a.device(), "!");
  return {a,    b,    scale_a,   scale_b,   added,    is_float8(type) ? result : nullptr,
          type, fast, a.size(0), b.size(1), a.size(1)};
}

// ---- the CPU ------------------------------------------------------------------------------------

// The scales of one block of k, as a column (of A's rows) or a row (of B's columns) beside the product.
Tensor of_block(Ref scale, const Scale& s, int64_t x, int64_t block, bool is_transposed) {
  if (scale.numel() == 1) return scale.reshape({1, 1});
  Tensor line = scale.select(is_transposed ? 0 : 1, s.k ? block : 0);
  if (s.group > 1) line = line.repeat_interleave(s.group).slice(0, 0, x);
  return line.unsqueeze(is_transposed ? 0 : 1);
}

Tensor on_cpu(const Call& x, const Scaling& s) {
  const Tensor a = x.a.to(c10::kFloat), b = x.b.to(c10::kFloat);
  const int64_t step = s.blocks() ? kScaleBlock : std::max<int64_t>(x.k, 1);
  Tensor total = at::zeros({x.m, x.n}, a.options());
  for (int64_t k = 0; k < x.k; k += step) {
    const int64_t end = std::min(x.k, k + step), block = k / kScaleBlock;
    const Tensor part = call::mm(a.slice(1, k, end), b.slice(0, k, end));
    const Tensor by = of_block(x.scale_a, s.a, x.m, block, false).mul(of_block(x.scale_b, s.b, x.n, block, true));
    total.add_(part.mul(by));
  }
  if (x.bias) total.add_(x.bias->reshape({-1}).to(c10::kFloat));
  if (x.scale_result) total.mul_(*x.scale_result);
  return total.to(x.out);
}

// torch's CPU kernel rounds before it adds a bias, divides by scale_result (its GPU kernel multiplies), and has no
// blocks.  On processors with AMX oneDNN's kernel replaces it, which gives NaN for numbers too large for e4m3fn and has
// no fnuz results.
bool torch_serves(const Call& x, const Scaling& s) {
  const auto plain = [](ScalarType t) { return t == ScalarType::Float8_e4m3fn || t == ScalarType::Float8_e5m2; };
  const bool one = x.scale_a.numel() == 1 && x.scale_b.numel() == 1;
  const bool rows = s.a.x != 0 && s.b.x != 0 && s.a.group == 1 && s.b.group == 1;
  return plain(x.a.scalar_type()) && plain(x.b.scalar_type()) && !s.blocks() && (one || rows) && !x.scale_result &&
         !x.bias && !is_float8(x.out) && x.scale_a.is_contiguous() && x.scale_b.is_contiguous() && x.m > 0 && x.n > 0 &&
         x.k > 0;
}

// ---- a GPU --------------------------------------------------------------------------------------

void on_gpu(const Call& x, const Scaling& s, Ref out) {
  Problem p = problem_of({Kind::mm, x.a, x.b}, out);
  p.scaling.a = s.a;
  p.scaling.b = s.b;
  p.scaling.fast = x.fast;
  const Device& device = gpu_path::device(x.a.device());
  const Choice choice = chosen(p, device, gpu_path::ranking(p, x.a.device()));
  if (!choice) {
    const Explanation why = explain(p, device);
    TORCH_CHECK(false, "gpukern: no kernel serves ", why.problem, " on ", why.device, " (",
                why.refusals.empty() ? "" : why.refusals.back().second, ")");
  }
  count(choice);
  const Tensor bias = x.bias ? x.bias->reshape({-1}).to(c10::kFloat).contiguous() : Tensor();
  Data data{x.a.const_data_ptr(), x.b.const_data_ptr(), nullptr, nullptr, out.data_ptr()};
  data.scale_a = x.scale_a.const_data_ptr<float>();
  data.scale_b = x.scale_b.const_data_ptr<float>();
  if (x.bias) data.bias = bias.const_data_ptr<float>();
  if (x.scale_result) data.scale_result = x.scale_result->const_data_ptr<float>();
  gpu_path::launch(choice, p, data, out);
}

// ---- the op -------------------------------------------------------------------------------------

Tensor made(const Call& x) {
  const Scaling s = scaling_of(x);
  if (x.a.is_cpu()) {
    TORCH_CHECK(!anything_forced() || force().folder == kHost, "gpukern: ", forced(),
                " was forced and cannot serve a product on the CPU; leave force() or unset GPUKERN_FORCE.");
    count_host();
    if (!torch_serves(x, s)) return on_cpu(x, s);
    return at::_scaled_mm(x.a, x.b, x.scale_a, x.scale_b, {}, {}, x.out);
  }
  TORCH_CHECK(serves(x.a.device()), "gpukern: no kernel is built for device ", x.a.device(),
              "; run 'python -m gpukern info' to see what is built and how to build the rest.");
  const Tensor out = at::empty({x.m, x.n}, x.a.options().dtype(x.out));
  on_gpu(x, s, out);
  return out;
}

Tensor scaled_mm(Ref a, Ref b, Ref scale_a, Ref scale_b, const Optional& bias, const Optional& scale_result, Out out,
                 bool use_fast_accum) {
  return made(checked(a, b, scale_a, scale_b, bias, scale_result, out, use_fast_accum));
}

void scaled_mm_out(Ref a, Ref b, Ref scale_a, Ref scale_b, const Optional& bias, const Optional& scale_result, Out type,
                   bool use_fast_accum, Ref out) {
  TORCH_CHECK_VALUE(!type || *type == out.scalar_type(), "out_dtype must match output matrix type");
  autograd::refuse_out_with_grad("scaled_mm", out, scale_a, scale_b, bias.value_or(Tensor()));
  const Call x = checked(a, b, scale_a, scale_b, bias, scale_result, out.scalar_type(), use_fast_accum);
  // If the result shares memory with an operand, the kernel writes another tensor first.
  const bool resized = out.sizes() != at::IntArrayRef({x.m, x.n});
  bool shared = false;
  for (const Tensor* t : {&a, &b, &scale_a, &scale_b, x.bias, x.scale_result})
    shared = shared || (t && written_over(*t, out, resized));
  if (shared || !gpu_path::serves(a.device()) || out.device() != a.device()) {
    const Tensor result = made(x);
    at::native::resize_output(out, result.sizes());
    out.copy_(result);
    return;
  }
  const Scaling s = scaling_of(x);
  gpu_path::prepare({Kind::mm, a, b}, out);
  on_gpu(x, s, out);
}

#define GPUKERN_SCALED                                                                                         \
  "(Tensor input, Tensor mat2, Tensor scale_a, Tensor scale_b, Tensor? bias=None, Tensor? scale_result=None, " \
  "ScalarType? out_dtype=None, bool use_fast_accum=False"

}  // namespace

void add_scaled(const Registrar& r) {
  r.op("scaled_mm" GPUKERN_SCALED ") -> Tensor",
       Kernels{&scaled_mm, &scaled_mm, torch::autograd::autogradNotImplementedFallback(), nullptr, nullptr});
  r.op("scaled_mm.out" GPUKERN_SCALED ", *, Tensor(a!) out) -> ()",
       Kernels{&scaled_mm_out, &scaled_mm_out, nullptr, nullptr, nullptr});
}

entry::Declaration scaled_function() {
  return {
      "scaled_mm",
      "The product of two matrices of 8-bit floats with scales, torch._scaled_mm's: the sums of scale_a * scale_b * "
      "(input @ mat2), plus bias, times scale_result where the result has 8 bits, in out_dtype (input's).\n\n"
      "input (m, k) and mat2 (k, n) are float8_e4m3fn or float8_e5m2 (or their fnuz forms), in any layout.  Scales are "
      "float32: one number; (m, 1) and (1, n); or one for each block of 128 of k, (m, k/128) or (m/128, k/128) and "
      "(k/128, n) or (k/128, n/128), rounded up.  Sums are float32; use_fast_accum=True lets tensor cores add "
      "as they do, Hopper's with 14 bits, where scales are not of blocks.  Not differentiable."};
}

}  // namespace gpukern::gemm
