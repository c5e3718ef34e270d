// Launches that overlap (programmatic dependent launch), and the barrier of a cluster, with faults planted one at a
// time; behind C functions, under the model.
#include <algorithm>
#include <string>

#include "overlaps.h"
#include "platform/model/memory.h"

namespace gpukern::faults {
namespace {

constexpr const char* kNames[] = {
#define GPUKERN_FAULT(name) #name,
    GPUKERN_FAULTS(GPUKERN_FAULT)
#undef GPUKERN_FAULT
};

// Three steps, each of what the one before wrote; the second is the one at fault.
template <Fault F> int launch(int* data) {
  const auto step_of = [&](auto kernel, int number) {
    const int* const in = data + number * kNumbers;
    int* const out = data + (number + 1) * kNumbers;
    TensorMapFields f;
    f.address = const_cast<int*>(in);
    f.rank = 1;
    f.element_bytes = 4;
    f.extent[0] = kNumbers;
    f.box[0] = kThreads;
    TensorMap from, to;
    if (platform::encode_tensor_map(f, from)) return 1;
    f.address = out;
    if (platform::encode_tensor_map(f, to)) return 1;
    return platform::launch_clusters(kernel, 1, true, dim3(kBlocks), dim3(kThreads), kShared, nullptr, in, out, from,
                                     to);
  };
  model::hold();
  int error = step_of(&step<Fault::none>, 0);
  if (!error) error = step_of(&step<F>, 1);
  if (!error) error = step_of(&step<Fault::none>, 2);
  model::last_error() = model::finish();
  return error;
}

using Launch = int (*)(int*);
constexpr Launch kLaunches[] = {
#define GPUKERN_FAULT(name) &launch<Fault::name>,
    GPUKERN_FAULTS(GPUKERN_FAULT)
#undef GPUKERN_FAULT
};

void set(int order, uint32_t seed, bool exited) {
  model::settings() = {static_cast<model::Order>(order), seed, 32, true, false, exited};
}

}  // namespace

int events[1024];
int count = 0;

}  // namespace gpukern::faults

using namespace gpukern;
#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

GPUKERN_EXPORT const char* fault_names() {
  static std::string names;
  names.clear();
  for (const char* name : faults::kNames) names += std::string(name) + " ";
  return names.c_str();
}

// data: 4 times kNumbers.
GPUKERN_EXPORT const char* run_fault(int fault, int* data, int order, uint32_t seed) {
  faults::set(order, seed, false);
  const char* const begin = reinterpret_cast<const char*>(data);
  const char* const end = begin + 4 * faults::kNumbers * sizeof(int);
  model::buffers() = {{"numbers", begin, end, begin, end, true}};
  const int error = faults::kLaunches[fault](data);
  model::buffers().clear();
  return error && model::last_error().empty() ? "not launched" : model::last_error().c_str();
}

// Two launches that write down when they are where: 1, the first lets the second start (where it `tells`); 2, it ends;
// 3, the second starts; 4, it is behind its wait.  A thread each.
GPUKERN_EXPORT int run_in_order(bool tells, bool overlaps, int order, uint32_t seed, int* events) {
  faults::set(order, seed, false);
  faults::count = 0;
  model::hold();
  platform::launch_clusters(&faults::first, 1, true, dim3(2), dim3(32), 0, nullptr, tells);
  platform::launch_clusters(&faults::second, 1, overlaps, dim3(2), dim3(32), 0, nullptr);
  if (!model::finish().empty()) return -1;
  std::copy_n(faults::events, faults::count, events);
  return faults::count;
}

// A cluster's barrier to which one block sends half of its threads; the others have ended, or end later.
GPUKERN_EXPORT const char* run_cluster_barrier(bool all_come, bool exited, int order, uint32_t seed) {
  faults::set(order, seed, exited);
  platform::launch_clusters(&faults::meet, 2, false, dim3(2), dim3(64), 0, nullptr, all_come);
  return model::last_error().c_str();
}
