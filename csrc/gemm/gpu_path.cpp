#include "gpu_path.h"

#include <ATen/Context.h>
#include <ATen/ExpandUtils.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gpukern_built.h>

#include "../core/scalar_type.h"
#include "../platform/device.h"
#include "../platform/device_name.h"
#include "introspect.h"
#include "ranking.h"

namespace gpukern::gemm {
namespace {

// No kernel has bool: types that are not listed here are refused.
DType type_of(c10::ScalarType t) { return dtype_of(t).value_or(DType::b8); }

// The precision that the call names, else torch's switches: torch.set_float32_matmul_precision, allow_tf32,
// fp32_precision.
Precision precision_of(const Args& x) {
  if (const auto asked = asked_precision(x)) return *asked;
  return x.a.scalar_type() == c10::ScalarType::Float && at::globalContext().allowTF32CuBLAS() ? Precision::tf32
                                                                                              : Precision::strict;
}

// The largest of 16, 8, .. 1 that divides.
int divisor16(uint64_t v) {
  int align = 16;
  while (align > 1 && v % align) align /= 2;
  return align;
}

struct Shape {
  int64_t batch, m, n;
};

// Strides of a tensor seen as batch x m x n; dimensions that it lacks, or of extent 1, are broadcast.
Layout layout_of(const Tensor& t, Kind kind, const Shape& s) {
  Layout l;
  const auto sizes = t.sizes();
  const auto strides = t.strides();
  const int64_t full[3] = {s.batch, s.m, s.n};
  // The result of mv is a column; in any other tensor the last dimension is the columns.
  const int64_t last = kind == Kind::mv ? 1 : 2;
  int64_t* const out[3] = {&l.batch, &l.row, &l.column};
  for (int64_t d = 0; d < t.dim(); ++d) {
    const int64_t where = last - (t.dim() - 1 - d);
    *out[where] = sizes[d] == 1 && full[where] != 1 ? 0 : strides[d];
  }
  const auto address = t.is_meta() ? uint64_t(t.storage_offset()) * t.itemsize()
                                   : reinterpret_cast<uint64_t>(t.unsafeGetTensorImpl()->data());
  // A stride that is never walked is 0, so that no packets are read along it.  One unit stride is excused: packets lie
  // along it.  Beside a second one (unfold) the lines of the first begin one element apart.
  uint64_t bits = address;
  bool excused = false;
  for (int i = 0; i < 3; ++i) {
    if (full[i] <= 1) *out[i] = 0;
    if (i > 0 && *out[i] == 1 && !excused) excused = true;
    else bits |= uint64_t(*out[i]) * t.itemsize();
  }
  l.align = divisor16(bits);
  return l;
}

}  // namespace

Problem problem_of(const Args& x, const Tensor& out) {
  Problem p;
  const auto a = x.a.sizes(), b = x.b.sizes();
  p.type = type_of(x.a.scalar_type());
  p.out = out.defined() ? type_of(out.scalar_type()) : p.type;
  p.scaling.b_type = type_of(x.b.scalar_type());
  p.precision = precision_of(x);
  p.batch_invariant = x.how.batch_invariant;
  p.batch = x.kind == Kind::bmm ? a[0] : 1;
  p.m = a[x.kind == Kind::bmm ? 1 : 0];
  p.k = a[x.kind == Kind::bmm ? 2 : 1];
  p.n = x.kind == Kind::mv ? 1 : b[x.kind == Kind::bmm ? 2 : 1];
  const Kind matrix = x.kind == Kind::bmm ? Kind::bmm : Kind::mm;
  p.a = layout_of(x.a, matrix, {p.batch, p.m, p.k});
  p.b = layout_of(x.b, x.kind, {p.batch, p.k, p.n});
  p.conjugate_a = x.a.is_conj();
  p.conjugate_b = x.b.is_conj();
  if (x.c) {
    Epilogue& e = p.epilogue;
    const auto alpha = x.alpha->toComplexDouble(),
               beta = x.beta->toComplexDouble();  // imaginary: of complex types only
    e.alpha = alpha.real(), e.alpha_imaginary = alpha.imag();
    e.beta = beta.real(), e.beta_imaginary = beta.imag();
    if (whole(p.type)) {
      e.whole_alpha = x.alpha->toLong();
      e.whole_beta = x.beta->toLong();
    }
    e.addend = whole(p.type) ? e.whole_beta != 0 : e.beta != 0 || e.beta_imaginary != 0;
    p.c = layout_of(*x.c, x.kind, {p.batch, p.m, p.n});
  }
  if (x.activation) p.epilogue.activation = activation_of(*x.activation);
  if (x.residual) {
    p.epilogue.residual = true;
    p.residual = layout_of(*x.residual, x.kind, {p.batch, p.m, p.n});
  }
  if (const EpilogueTensors* epilogue = x.epilogue) {
    const auto place = [&](const Tensor* t) { return t ? layout_of(*t, x.kind, {p.batch, p.m, p.n}) : Layout(); };
    if (epilogue->saved) p.epilogue.derivative = activation_of(*epilogue->derivative);
    p.epilogue.row_scale = epilogue->row_scale != nullptr;
    p.epilogue.column_scale = epilogue->column_scale != nullptr;
    p.epilogue.sums = epilogue->sums ? Sums::columns : Sums::none;
    p.saved = place(epilogue->saved);
    p.row_scale = place(epilogue->row_scale);
    p.column_scale = place(epilogue->column_scale);
    p.epilogue.aux = epilogue->aux != nullptr;
    p.aux = place(epilogue->aux);
  }
  p.d = out.defined() ? layout_of(out, x.kind, {p.batch, p.m, p.n}) : Layout{p.n, 1, p.m * p.n, 16};
  return p;
}

namespace gpu_path {

const Device& cpu() {
  static const Device host = [] {
    Device d{};
    d.vendor = Vendor::host;
    d.sm_count = 1;
    return d;
  }();
  return host;
}

Tensor empty_result(const Args& x) {
  const auto a = x.a.sizes();
  switch (x.kind) {
    case Kind::mm: return at::empty({a[0], x.b.sizes()[1]}, x.a.options());
    case Kind::bmm: return at::empty({a[0], a[1], x.b.sizes()[2]}, x.a.options());
    default: return at::empty({a[0]}, x.a.options());
  }
}

void prepare(const Args& x, const Tensor& out) {
  const auto a = x.a.sizes();
  switch (x.kind) {
    case Kind::mm: at::native::resize_output(out, {a[0], x.b.sizes()[1]}); break;
    case Kind::bmm: at::native::resize_output(out, {a[0], a[1], x.b.sizes()[2]}); break;
    default: at::native::resize_output(out, {a[0]});
  }
  at::assert_no_internal_overlap(out);
}

#if GPUKERN_BUILT_GPU

bool serves(c10::Device device) { return device.is_cuda(); }
const Device& device(c10::Device device) { return current_device(device.index()); }

Ranking ranking(const Problem& problem, c10::Device where) {
  const Table* const table = measured();
  if (!table) return {};
  const Table::Found* const found = table->find(problem, current_device(where.index()), device_name(where.index()));
  return found ? Ranking(found->configurations) : Ranking();
}

namespace {
Data data_of(const Args& x, const Tensor& out) {
  const auto address = [](const Tensor* t) -> const void* { return t ? t->const_data_ptr() : nullptr; };
  Data data{address(&x.a), address(&x.b), address(x.c), address(x.residual), out.data_ptr()};
  if (x.epilogue) {
    data.saved = address(x.epilogue->saved);
    data.row_scale = address(x.epilogue->row_scale);
    data.column_scale = address(x.epilogue->column_scale);
    if (x.epilogue->sums) data.sums = x.epilogue->sums->data_ptr();
    if (x.epilogue->aux) data.aux = x.epilogue->aux->data_ptr();
  }
  return data;
}
Tensor numbers(int64_t count, const Problem& problem, const Tensor& like) {
  return at::empty({count}, like.options().dtype(scalar_type_of(accumulator(problem.type))));
}
}  // namespace

void launch(Choice choice, const Problem& problem, const Args& x, const Tensor& out) {
  launch(choice, problem, data_of(x, out), out);
}

void end_alone(const Problem& problem, const Args& x, const Tensor& out) {
  const c10::Device where = out.device();
  const c10::DeviceGuard guard(where);
  const Stream stream = c10::impl::VirtualGuardImpl(where.type()).getStream(where).native_handle();
  Data data = data_of(x, out);
  data.splits = 0;
  data.partial = data.d;  // of which nothing is read
  const Tensor parts = numbers(ceil_div(problem.m, split::part_rows(problem)) * problem.n, problem, out);
  data.parts = parts.data_ptr();
  const int error = split::add_ranges(problem, data, stream);
  TORCH_CHECK(error == 0, "gpukern: launching the gradient of an activation failed: ", platform::error_string(error));
}

void launch(Choice choice, const Problem& problem, Data data, const Tensor& out) {
  if (out.numel() == 0) return;
  const c10::Device where = out.device();
  const c10::DeviceGuard guard(where);
  const Stream stream = c10::impl::VirtualGuardImpl(where.type()).getStream(where).native_handle();
  const Device& device = gpu_path::device(where);
  data.splits = splits_of(choice, problem, device);
  data.processors = device.sm_count;
  Tensor partial;  // from the caching allocator, on the same stream: free for others once the launches are in order
  if (ranges_in_memory(choice, problem, data.splits, device) || kFolders[choice.folder].separate_epilogue(problem)) {
    partial = numbers(data.splits * out.numel(), problem, out);
    data.partial = partial.data_ptr();
  }
  Tensor parts;
  if (const int64_t count = parts_of(choice, problem, data.splits).count) {
    parts = numbers(count * problem.n, problem, out);
    data.parts = parts.data_ptr();
  }
  Tensor workspace;
  if (const int64_t bytes = kFolders[choice.folder].workspace(problem)) {
    workspace = at::empty({bytes}, out.options().dtype(c10::kByte));
    data.workspace = workspace.data_ptr();
  }
  int error = 0;
#define GPUKERN_LAUNCH(f)          \
  if constexpr (GPUKERN_BUILT_##f) \
    if (choice.folder == folder_index(f::kName)) error = f::launch(choice.index, problem, data, stream);
  GPUKERN_GEMM_GPU_FOLDERS(GPUKERN_LAUNCH)
#undef GPUKERN_LAUNCH
  TORCH_CHECK(error == 0, "gpukern: launching ", kFolders[choice.folder].name, "/",
              kFolders[choice.folder].configurations[choice.index].id, " failed: ", platform::error_string(error));
}

#else

bool serves(c10::Device) { return false; }
const Device& device(c10::Device) { return cpu(); }
Ranking ranking(const Problem&, c10::Device) { return {}; }
void launch(Choice, const Problem&, const Args&, const Tensor&) {
  TORCH_INTERNAL_ASSERT(false, "gpukern: no GPU kernels are built");
}
void launch(Choice, const Problem&, Data, const Tensor&) {
  TORCH_INTERNAL_ASSERT(false, "gpukern: no GPU kernels are built");
}
void end_alone(const Problem&, const Args&, const Tensor&) {
  TORCH_INTERNAL_ASSERT(false, "gpukern: no GPU kernels are built");
}

#endif

}  // namespace gpu_path
}  // namespace gpukern::gemm
