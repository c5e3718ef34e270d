// The planted faults of wgmma_product.h behind one C function, under the model.
#include "wgmma_product.h"

#include <string>
#include <utility>

#include "platform/model/memory.h"

namespace gpukern::faults {
namespace {

constexpr const char* kNames[] = {
#define GPUKERN_FAULT(name, cluster) #name,
    GPUKERN_FAULTS(GPUKERN_FAULT)
#undef GPUKERN_FAULT
};

// A matrix as the test laid it out.
struct Matrix {
  void* data;
  int64_t rows, columns, stride;  // elements
};

TensorMapFields fields_of(const Matrix& x, uint32_t box_rows, Swizzle swizzle) {
  TensorMapFields f;
  f.address = x.data;
  f.rank = 2;
  f.element_bytes = 2;
  f.extent[0] = x.columns;
  f.extent[1] = x.rows;
  f.stride[1] = x.stride * 2;
  f.box[0] = 64;
  f.box[1] = box_rows;
  f.swizzle = swizzle;
  return f;
}

template <Fault F, int C> int launch(const Matrix& a, const Matrix& b, const Matrix& d, int clusters) {
  TensorMapFields fields[3] = {fields_of(a, kTile, F == Fault::load_not_swizzled ? Swizzle::none : Swizzle::bytes128),
                               fields_of(b, kTile / C, Swizzle::bytes128),
                               fields_of(d, 64, F == Fault::store_not_swizzled ? Swizzle::none : Swizzle::bytes128)};
  if (F == Fault::store_unguarded) fields[2].extent[1] += 8;
  if (F == Fault::box_too_wide) fields[0].box[0] = 128;
  if (F == Fault::map_stride_odd) fields[0].stride[1] += 8;
  TensorMap maps[3];
  for (int i = 0; i < 3; ++i)
    if (const char* problem = platform::encode_tensor_map(fields[i], maps[i])) {
      model::last_error() = problem;
      return platform::kNoTensorMap;
    }
  const size_t shared = kShared - (F == Fault::shared_too_small ? 1024 : 0);
  return platform::launch_clusters(&product<F, C>, C, false, dim3(clusters * C), dim3(kThreads), shared, nullptr,
                                   maps[0], maps[1], maps[2], static_cast<int>(a.rows), static_cast<int>(b.rows),
                                   static_cast<int>(a.columns));
}

using Launch = int (*)(const Matrix&, const Matrix&, const Matrix&, int);
constexpr Launch kLaunches[] = {
#define GPUKERN_FAULT(name, cluster) &launch<Fault::name, cluster>,
    GPUKERN_FAULTS(GPUKERN_FAULT)
#undef GPUKERN_FAULT
};

void watch(const char* name, const Matrix& x, int64_t margin, bool writable) {
  const char* const begin = static_cast<const char*>(x.data);
  const char* const end = begin + ((x.rows - 1) * x.stride + x.columns) * 2;
  model::buffers().push_back({name, begin, end, begin - margin, end + margin, writable});
}

}  // namespace
}  // namespace gpukern::faults

#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

// The faults' names, a line each, by number.
GPUKERN_EXPORT const char* fault_names() {
  static std::string all;
  if (all.empty())
    for (const char* name : gpukern::faults::kNames) all += std::string(name) + "\n";
  return all.c_str();
}

// "" or what the model found.  cluster: 2 runs the correct kernel by clusters; else each fault knows its own.  Around
// every matrix, `margin` bytes belong to no tensor.
GPUKERN_EXPORT const char* run_fault(int fault, int cluster, void* a, void* b, void* d, const int64_t* shape,
                                     int64_t margin, int clusters, int order, uint32_t seed) {
  using namespace gpukern;
  using namespace gpukern::faults;
  const int64_t m = shape[0], n = shape[1], k = shape[2];
  const Matrix ma{a, m, k, shape[3]}, mb{b, n, k, shape[4]}, md{d, m, n, shape[5]};
  model::settings() = {static_cast<model::Order>(order), seed, 32, true, false};
  model::buffers().clear();
  watch("a", ma, margin, false);
  watch("b", mb, margin, false);
  watch("d", md, margin, true);
  const int error = fault == 0 && cluster == 2 ? launch<Fault::none, 2>(ma, mb, md, clusters)
                                               : kLaunches[fault](ma, mb, md, clusters);
  model::buffers().clear();
  return error ? model::last_error().c_str() : "";
}
