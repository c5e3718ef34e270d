// What a test calls: launches under the model behind plain C functions.  Every function returns "" or what went wrong,
// as text that lives until the next call on the same thread.
#include "../../elementwise/plan.h"
#include "../../gemm/registry.h"
#include "memory.h"

namespace {

using namespace gpukern;

const char* answer(int error) { return error ? model::last_error().c_str() : ""; }

Device device_with(int processors, int wave) {
  Device d;
  d.vendor = wave == 64 ? Vendor::amd : Vendor::nvidia;
  d.target = wave == 64 ? 0x942 : 90;
  d.sm_count = processors;
  d.shared_bytes = wave == 64 ? 64 * 1024 : 227 * 1024;
  d.wave = wave;
  return d;
}

namespace ew = elementwise;

ew::Call elementwise_call(const int* which, const int64_t* shape, void* const* data, const int* dtypes,
                          const int64_t* strides, const double* scalars, const int64_t* whole_scalars) {
  ew::Call call{};
  call.family = which[0];
  call.op = which[1];
  call.variant = which[2];
  call.compute = static_cast<ew::Compute>(which[3]);
  call.ndim = which[4];
  call.inputs = which[5];
  for (int d = 0; d < call.ndim; ++d) call.shape[d] = shape[d];
  for (int k = 0; k <= call.inputs; ++k) {
    ew::Operand& x = k == 0 ? call.out : call.in[k - 1];
    x.data = data[k];
    x.dtype = static_cast<ew::DType>(dtypes[k]);
    for (int d = 0; d < call.ndim; ++d) x.stride[d] = strides[k * ew::kMaxDims + d];
  }
  for (int s = 0; s < ew::kMaxScalars; ++s) {
    call.scalar[s] = scalars[s];
    call.iscalar[s] = whole_scalars[s];
  }
  return call;
}

gemm::Layout layout(const int64_t* l) { return {l[0], l[1], l[2], static_cast<int>(l[3])}; }

}  // namespace

extern "C" {

#define GPUKERN_EXPORT __attribute__((visibility("default")))

GPUKERN_EXPORT void gpukern_model_schedule(int order, uint32_t seed, int wave, int check, int count) {
  model::settings() = {static_cast<model::Order>(order), seed, wave, check != 0, count != 0};
}

// The buffers of the next launches; any access outside them, where it can be told, is a fault.
GPUKERN_EXPORT void gpukern_model_forget_buffers() { model::buffers().clear(); }
GPUKERN_EXPORT void gpukern_model_buffer(const char* name, const char* begin, const char* end, const char* low,
                                         const char* high, int writable) {
  model::buffers().push_back({name, begin, end, low, high, writable != 0});
}

// A line a source line: what its requests moved, since the last call (see LineCount).
GPUKERN_EXPORT const char* gpukern_model_counts() {
  static thread_local std::string text;
  text.clear();
  for (const model::LineCount& c : model::take_counts())
    text += c.line + (c.shared ? " shared" : " global") + (c.write ? " write " : " read ") +
            std::to_string(c.requests) + " " + std::to_string(c.bytes) + " " + std::to_string(c.wavefronts) + " " +
            std::to_string(c.ideal) + "\n";
  return text.c_str();
}

// blocks, threads, barriers, collectives, switches since the last call
GPUKERN_EXPORT void gpukern_model_report(uint64_t* counts) {
  const model::Report& r = model::report();
  const uint64_t all[] = {r.blocks, r.threads, r.barriers, r.collectives, r.switches};
  for (int i = 0; i < 5; ++i) counts[i] = all[i];
  model::report() = {};
}

// which: family, place in it, variant, compute type, dimensions, inputs, processors, elements a slice at most (0:
// 2^31). operands: the output, then the inputs, each with kMaxDims strides in bytes; shape and strides innermost first.
GPUKERN_EXPORT const char* gpukern_model_elementwise(const int* which, const int64_t* shape, void* const* data,
                                                     const int* dtypes, const int64_t* strides, const double* scalars,
                                                     const int64_t* whole_scalars) {
  const ew::Call call = elementwise_call(which, shape, data, dtypes, strides, scalars, whole_scalars);
  using Launch = int (*)(const ew::Call&, const Device&, Stream);
#define GPUKERN_LAUNCH(family) &ew::launch_##family,
  static constexpr Launch families[] = {GPUKERN_FAMILIES(GPUKERN_LAUNCH)};
#undef GPUKERN_LAUNCH
  const Device device = device_with(which[6], model::settings().wave);
  const int64_t limit = which[7] ? which[7] : ew::kIndexLimit;
  return answer(ew::for_slices(call, limit,
                               [&](const ew::Call& slice) { return families[call.family](slice, device, nullptr); }));
}

// The plan of the same call: path, unroll, lead, threads, blocks, count, then width and across of each operand.
GPUKERN_EXPORT void gpukern_model_plan(const int* which, const int64_t* shape, void* const* data, const int* dtypes,
                                       const int64_t* strides, int conditions, int64_t* found) {
  const double none[ew::kMaxScalars] = {};
  const int64_t no_whole[ew::kMaxScalars] = {};
  const ew::Call call = elementwise_call(which, shape, data, dtypes, strides, none, no_whole);
  const ew::Plan p = ew::make_plan(call, device_with(which[6], model::settings().wave), conditions, true);
  const int64_t facts[] = {static_cast<int64_t>(p.path), p.unroll, p.lead, p.threads, p.blocks, p.count};
  for (const int64_t fact : facts) *found++ = fact;
  for (int k = 0; k <= call.inputs; ++k) {
    *found++ = p.part[k].width;
    *found++ = p.part[k].across;
  }
}

GPUKERN_EXPORT uint32_t gpukern_model_divide(uint32_t divisor, uint32_t n) { return ew::Divider(divisor).quotient(n); }

// which: folder, row, type, activation, addend, residual.  extents: batch, m, n, k.  layouts: a, b, c, d, residual with
// row, column and batch stride in elements and the alignment in bytes.  data: a, b, c, residual, d.
GPUKERN_EXPORT const char* gpukern_model_product(const int* which, const int64_t* extents, const int64_t* layouts,
                                                 void* const* data, double alpha, double beta, int64_t whole_alpha,
                                                 int64_t whole_beta) {
  gemm::Problem p;
  p.type = static_cast<gemm::Type>(which[2]);
  p.batch = extents[0];
  p.m = extents[1];
  p.n = extents[2];
  p.k = extents[3];
  p.a = layout(layouts);
  p.b = layout(layouts + 4);
  p.c = layout(layouts + 8);
  p.d = layout(layouts + 12);
  p.residual = layout(layouts + 16);
  p.epilogue = {alpha,        beta, whole_alpha, whole_beta, which[4] != 0, static_cast<gemm::Activation>(which[3]),
                which[5] != 0};
  const gemm::Data d{data[0], data[1], data[2], data[3], data[4]};
#define GPUKERN_LAUNCH(folder) \
  if (which[0] == gemm::folder_index(gemm::folder::kName)) return answer(gemm::folder::launch(which[1], p, d, nullptr));
  GPUKERN_GEMM_GPU_FOLDERS(GPUKERN_LAUNCH)
#undef GPUKERN_LAUNCH
  return "no such folder";
}

}  // extern "C"
