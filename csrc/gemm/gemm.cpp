// The products below autograd: checks, output, Problem -> select -> launch on a GPU, ATen's BLAS on the CPU.
#include "gemm.h"

#include <ATen/Context.h>
#include <ATen/ExpandUtils.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/addmv.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <c10/util/Exception.h>

#include <cstdlib>
#include <mutex>
#include <set>

#include "../aliasing.h"
#include "../core/scalar_type.h"
#include "arch/host/products.h"
#include "gpu_path.h"
#include "introspect.h"
#include "product.h"

namespace gpukern::gemm {

bool serves(c10::Device device) { return device.is_cpu() || gpu_path::serves(device); }

bool takes(c10::ScalarType type) {
  const std::optional<DType> found = dtype_of(type);
  return found && (bit(*found) & (kFloating | kIntegers | kComplex)) != 0;
}

Precision precision_of(std::string_view text) {
  std::string known;
  for (int i = 0; i < kPrecisions; ++i) {
    const auto p = static_cast<Precision>(i);
    if (text == name(p)) return p;
    known += (i ? ", " : "") + std::string(name(p));
  }
  TORCH_CHECK_VALUE(false, "gpukern: unknown precision '", text, "'; choose one of ", known);
}

const char* op_name(const Args& args) {
  constexpr const char* names[2][3] = {{"mm", "bmm", "mv"}, {"addmm", "baddbmm", "addmv"}};
  return names[args.c != nullptr][static_cast<int>(args.kind)];
}

namespace {

template <class F> void for_tensors(const Args& args, F&& f) {
  f(args.a);
  f(args.b);
  if (args.c) f(*args.c);
  if (args.residual) f(*args.residual);
  if (!args.epilogue) return;
  for (const Tensor* t : {args.epilogue->saved, args.epilogue->row_scale, args.epilogue->column_scale})
    if (t) f(*t);
}

Activation activation(const Args& args) { return args.activation ? activation_of(*args.activation) : Activation::none; }

// The kernels read a factor's conjugate from the same memory.  Addends are conjugated first, and so are the factors of
// a CPU's mv, because ATen's kernel ignores the conjugate bit.
bool conjugate_first(const Args& x) {
  if (!x.a.is_complex() && !x.b.is_complex()) return false;
  return (x.c && x.c->is_conj()) || (x.residual && x.residual->is_conj()) ||
         (x.a.is_cpu() && x.kind == Kind::mv && (x.a.is_conj() || x.b.is_conj()));
}
// The same product of other tensors: what `each` returns for each argument.
enum class Argument : uint8_t { a, b, c, residual };
struct Replaced {
  Tensor a, b, c, residual;
  Args args;
  template <class F>
  Replaced(const Args& x, F&& each)
      : a(each(Argument::a, x.a)),
        b(each(Argument::b, x.b)),
        c(x.c ? each(Argument::c, *x.c) : Tensor()),
        residual(x.residual ? each(Argument::residual, *x.residual) : Tensor()),
        args{x.kind, a,     b, x.c ? &c : nullptr, x.beta, x.alpha, x.activation, x.residual ? &residual : nullptr,
             x.how,  x.wide} {}
};

Replaced resolved(const Args& x) {
  const bool factors = x.a.is_cpu() && x.kind == Kind::mv;
  return {x, [&](Argument place, const Tensor& t) { return place >= Argument::c || factors ? t.resolve_conj() : t; }};
}

// Whether `t` has the product's shape; false for factors that do not multiply.
bool has_result_shape(const Args& x, const Tensor& t) {
  const auto a = x.a.sizes(), b = x.b.sizes(), sizes = t.sizes();
  const size_t rank = x.kind == Kind::mv ? 1 : x.kind == Kind::bmm ? 3 : 2;
  if (sizes.size() != rank || a.size() != std::max<size_t>(rank, 2) || b.size() != rank) return false;
  const bool columns = x.kind == Kind::mv || sizes[rank - 1] == b[rank - 1];
  return columns && sizes[0] == a[0] && (rank < 3 || sizes[1] == a[1]);
}

// Operands that share memory with the result and may be read after part of it is written.  The addend is read before or
// with the element that it is added to, so it may be `out` itself; the residual only if one_pass: a kernel of ours.
class Overlap {
 public:
  Overlap(const Args& x, const Tensor& out, bool one_pass)
      : x_(x), out_(out), one_pass_(one_pass), resized_(!has_result_shape(x, out)) {}
  bool any() const {
    return copied(Argument::a, x_.a) || copied(Argument::b, x_.b) || (x_.c && copied(Argument::c, *x_.c)) ||
           (x_.residual && copied(Argument::residual, *x_.residual));
  }
  Replaced unaliased() const {
    return {x_, [&](Argument place, const Tensor& t) { return copied(place, t) ? t.clone() : t; }};
  }

 private:
  bool copied(Argument place, const Tensor& t) const {
    if (place == Argument::c && x_.beta->equal(0)) return false;
    if (!written_over(t, out_, resized_)) return false;
    return resized_ || !(place == Argument::c || (place == Argument::residual && one_pass_)) || !coincide(t, out_);
  }
  const Args& x_;
  const Tensor& out_;
  bool one_pass_, resized_;
};

// torch's error, if the shape stays as it is.
void check_internal_overlap(const Args& x, const Tensor& out) {
  if (has_result_shape(x, out) && at::has_internal_overlap(out) == at::MemOverlap::Yes && well_formed(x))
    at::assert_no_internal_overlap(out);
}

}  // namespace

std::optional<Precision> asked_precision(const Args& x) {
  if (!x.how.precision) return std::nullopt;
  const Precision asked = precision_of(*x.how.precision);
  TORCH_CHECK_TYPE(x.a.scalar_type() == c10::ScalarType::Float, "gpukern.", op_name(x),
                   "(): precision= applies to float32 products only, got ", x.a.scalar_type(), ".");
  return asked;
}

void check_how(const Args& x) { asked_precision(x); }

void check_activation(const Args& args) {
  TORCH_CHECK_TYPE(activation(args) == Activation::none || at::isFloatingType(args.a.scalar_type()), "gpukern.",
                   op_name(args), "(): activation= needs a floating type, got ", args.a.scalar_type(), ".");
}

void check_tail(const Args& args) {
  check_activation(args);
  if (!args.residual) return;
  TORCH_CHECK_TYPE(args.residual->scalar_type() == args.a.scalar_type(), "gpukern.", op_name(args),
                   "(): residual has type ", args.residual->scalar_type(), ", but the product has ",
                   args.a.scalar_type(), "; convert one of them.");
}
void check_residual_shape(const Args& args, const Tensor& out) {
  if (args.residual)
    TORCH_CHECK(at::is_expandable_to(args.residual->sizes(), out.sizes()), "gpukern.", op_name(args),
                "(): residual of shape ", args.residual->sizes(), " does not broadcast to the product's ", out.sizes(),
                ".");
}

bool ours(const Args& args) {
  bool all = true;
  for_tensors(args, [&](const Tensor& t) {
    const c10::Device device = t.device();
    all = all && t.layout() == c10::kStrided && !t.is_nested() && takes(t.scalar_type()) &&
          (serves(device) || device.is_meta());
  });
  return all;
}

void report_device(const Args& args) {
  for_tensors(args, [](const Tensor& t) {
    const c10::Device device = t.device();
    if (device.is_cpu() || device.is_meta() || serves(device)) return;
    const char* strict = std::getenv("GPUKERN_STRICT");
    TORCH_CHECK(!strict || std::string_view(strict) != "1", "gpukern: no kernel is built for device ", device,
                "; run 'python -m gpukern info' to see what is built and how to build the rest.");
    static std::mutex mutex;
    static std::set<c10::DeviceType> told;
    const std::lock_guard<std::mutex> lock(mutex);
    if (told.insert(device.type()).second)
      TORCH_WARN("gpukern: no kernel is built for device ", device,
                 ", so torch's own products serve it; run 'python -m "
                 "gpukern info' to see what is built and how to build the rest.");
  });
}

std::unique_ptr<at::NoTF32Guard> check_twin(const Args& x) {
  std::unique_ptr<at::NoTF32Guard> guard;
  if (x.how.empty()) return guard;
  check_how(x);
  TORCH_CHECK_NOT_IMPLEMENTED(!x.how.batch_invariant || x.a.is_meta() || !well_formed(x), "gpukern.", op_name(x),
                              "(): batch_invariant=True needs one of gpukern's own kernels, but torch's serve ",
                              x.a.scalar_type(), " on ", x.a.device(), ".");
  if (x.how.precision && precision_of(*x.how.precision) != Precision::tf32) guard = std::make_unique<at::NoTF32Guard>();
  return guard;
}

Tensor twin(const Args& x) {
  report_device(x);
  const auto guard = check_twin(x);
  switch (x.kind) {
    case Kind::mm: return x.c ? at::addmm(*x.c, x.a, x.b, *x.beta, *x.alpha) : at::mm(x.a, x.b);
    case Kind::bmm: return x.c ? at::baddbmm(*x.c, x.a, x.b, *x.beta, *x.alpha) : at::bmm(x.a, x.b);
    default: return x.c ? at::addmv(*x.c, x.a, x.b, *x.beta, *x.alpha) : at::mv(x.a, x.b);
  }
}

namespace {
void twin_out(const Args& x, const Tensor& result) {
  report_device(x);
  const auto guard = check_twin(x);
  Tensor out = result;
  switch (x.kind) {
    case Kind::mm: x.c ? at::addmm_out(out, *x.c, x.a, x.b, *x.beta, *x.alpha) : at::mm_out(out, x.a, x.b); break;
    case Kind::bmm: x.c ? at::baddbmm_out(out, *x.c, x.a, x.b, *x.beta, *x.alpha) : at::bmm_out(out, x.a, x.b); break;
    default: x.c ? at::addmv_out(out, *x.c, x.a, x.b, *x.beta, *x.alpha) : at::mv_out(out, x.a, x.b);
  }
}
}  // namespace

Tensor theirs_out(const Args& x, const Tensor& out) {
  if (const Overlap overlap(x, out, false); overlap.any()) return theirs_out(overlap.unaliased().args, out);
  twin_out(x, out);
  if (!x.plain()) out.copy_(call::finish(out, x.activation, x.residual ? call::Optional(*x.residual) : std::nullopt));
  return out;
}

std::optional<std::vector<int64_t>> result_shape(const Args& x) {
  const int64_t ranks[3][2] = {{2, 2}, {3, 3}, {2, 1}};
  const auto& rank = ranks[static_cast<int>(x.kind)];
  if (x.a.dim() != rank[0] || x.b.dim() != rank[1]) return std::nullopt;
  const auto a = x.a.sizes(), b = x.b.sizes();
  if (x.kind == Kind::bmm ? a[0] != b[0] || a[2] != b[1] : a[1] != b[0]) return std::nullopt;
  if (x.kind == Kind::mm) return std::vector<int64_t>{a[0], b[1]};
  if (x.kind == Kind::bmm) return std::vector<int64_t>{a[0], a[1], b[2]};
  return std::vector<int64_t>{a[0]};
}

bool well_formed(const Args& x) {
  const auto result = result_shape(x);
  if (!result) return false;
  if (x.a.scalar_type() != x.b.scalar_type() || x.a.device() != x.b.device()) return false;
  if (!x.c) return true;
  if ((!x.wide && x.c->scalar_type() != x.a.scalar_type()) || x.c->device() != x.a.device()) return false;
  if (!x.a.is_complex() && (x.beta->isComplex() || x.alpha->isComplex())) return false;
  const bool whole = at::isIntegralType(x.a.scalar_type(), false);
  if (whole && (x.beta->isFloatingPoint() || x.alpha->isFloatingPoint())) return false;
  return at::is_expandable_to(x.c->sizes(), *result);
}

namespace {
// alpha = 0 reads no factor, as in BLAS: NaN in them does not reach the result.  torch's kernels for 16-bit floats read
// them on some CPUs, and on others do not write the result.
bool reads_no_factor(const Args& x) {
  return x.c && !x.epilogue && x.alpha->equal(0) && takes(x.a.scalar_type()) && x.a.dim() > 0 &&
         x.a.sizes().back() > 0 && well_formed(x);
}
// The same with k = 0.
Replaced without_factors(const Args& x) {
  return {x, [](Argument place, const Tensor& t) {
            if (place >= Argument::c) return t;
            return t.narrow(place == Argument::a || t.dim() == 1 ? -1 : -2, 0, 0);
          }};
}
}  // namespace

Choice chosen(const Problem& problem, const Device& device, const Ranking& ranking) {
  const Choice choice = select(problem, device, built(), force(), ranking);
  if (choice || !anything_forced()) return choice;
  const Explanation why = explain(problem, device);
  const std::string reason = why.refusals.empty() ? "" : why.refusals.back().first + ": " + why.refusals.back().second;
  for (const auto& [row, said] : why.refusals)
    TORCH_CHECK(!(row == forced() || forced().starts_with(row + "/")), "gpukern: ", forced(),
                " was forced and cannot serve ", why.problem, " on ", why.device, ": ", said,
                "; leave force() or unset GPUKERN_FORCE.");
  TORCH_CHECK(false, "gpukern: ", forced(), " was forced and cannot serve ", why.problem, " on ", why.device, " (",
              reason, "); leave force() or unset GPUKERN_FORCE.");
}

namespace {
Tensor on_host(const Args& x, const Tensor* out) {
  if (out) check_internal_overlap(x, *out);
  Tensor result = x.how.batch_invariant ? host::invariant(x, out) : host::product(x, out);
  if (!x.plain()) {
    check_residual_shape(x, result);
    host::finish(result, activation(x), x.residual);
  }
  return result;
}
}  // namespace

Tensor run(const Args& x, const Tensor* given) {
  const bool cpu = x.a.is_cpu();
  if (given && given->is_conj()) {
    if (given->scalar_type() != x.a.scalar_type()) return theirs_out(x, *given);
    const Tensor result = run(x);
    at::native::resize_output(*given, result.sizes());
    return given->copy_(result);
  }
  if (reads_no_factor(x)) return run(without_factors(x).args, given);
  if (conjugate_first(x)) return run(resolved(x).args, given);
  if (given)
    if (const Overlap overlap(x, *given, !cpu); overlap.any()) return run(overlap.unaliased().args, given);
  if (x.how.precision) check_how(x);
  if (!x.plain()) check_tail(x);
  if (cpu && !anything_forced()) {
    count_host();
    return on_host(x, given);
  }
  const bool serves = well_formed(x) && (cpu || ours(x));
  if (!given && !serves)
    return call::finish(twin(x), x.activation, x.residual ? call::Optional(*x.residual) : std::nullopt);
  if (!serves || (given && ((!x.wide && given->scalar_type() != x.a.scalar_type()) || given->device() != x.a.device())))
    return theirs_out(x, *given);
  const Tensor out = given ? *given : gpu_path::empty_result(x);
  if (given) gpu_path::prepare(x, out);
  check_residual_shape(x, out);
  const Problem problem = problem_of(x, out);
  const Device& device = cpu ? gpu_path::cpu() : gpu_path::device(x.a.device());
  const Choice choice = chosen(problem, device, cpu ? Ranking() : gpu_path::ranking(problem, x.a.device()));
  if (!choice) return theirs_out(x, out);
  count(choice);
  if (cpu) return on_host(x, &out);
  gpu_path::launch(choice, problem, x, out);
  return out;
}

// ---- the functions of gemm.h --------------------------------------------------------------------

Tensor mm(const Tensor& a, const Tensor& b) { return run({Kind::mm, a, b}); }
Tensor bmm(const Tensor& a, const Tensor& b) { return run({Kind::bmm, a, b}); }
Tensor mv(const Tensor& a, const Tensor& b) { return run({Kind::mv, a, b}); }
void mm_out(const Tensor& a, const Tensor& b, const Tensor& out) { run({Kind::mm, a, b}, &out); }
void bmm_out(const Tensor& a, const Tensor& b, const Tensor& out) { run({Kind::bmm, a, b}, &out); }
void mv_out(const Tensor& a, const Tensor& b, const Tensor& out) { run({Kind::mv, a, b}, &out); }

#define GPUKERN_SUM(NAME, KIND)                                                                               \
  Tensor NAME(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {   \
    return run({Kind::KIND, a, b, &c, &beta, &alpha});                                                        \
  }                                                                                                           \
  void NAME##_out(const Tensor& c, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha, \
                  const Tensor& out) {                                                                        \
    run({Kind::KIND, a, b, &c, &beta, &alpha}, &out);                                                         \
  }
GPUKERN_SUM(addmm, mm)
GPUKERN_SUM(baddbmm, bmm)
GPUKERN_SUM(addmv, mv)
#undef GPUKERN_SUM

}  // namespace gpukern::gemm
