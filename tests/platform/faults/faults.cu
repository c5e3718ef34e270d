// Every kernel as it should be, and with each of its faults, in one library.
#include <string>
#include <utility>

#include "mma.cuh"
#include "platform/model/memory.h"

namespace gpukern::faults {
namespace {

enum Kernel { kProduct, kRowSum, kCompact, kHandOver, kMma };

unsigned tiles(int extent, int tile) { return static_cast<unsigned>((extent + tile - 1) / tile); }

template <Kernel K, int F> int launch(const Problem& p) {
  if constexpr (K == kProduct)
    return platform::launch(&product<F>, dim3(tiles(p.n, kTile), tiles(p.m, kTile), 2), dim3(256), kProductShared<F>,
                            nullptr, p);
  else if constexpr (K == kRowSum) return platform::launch(&row_sum<F>, dim3(p.m), dim3(64), 0, nullptr, p);
  else if constexpr (K == kCompact) return platform::launch(&compact<F>, dim3(1), dim3(96), 0, nullptr, p);
  else if constexpr (K == kHandOver) return platform::launch(&hand_over<F>, dim3(1), dim3(96), 0, nullptr, p);
  else
    return platform::launch(&mma_product<F>, dim3(tiles(p.n, kBlock), tiles(p.m, kBlock)), dim3(128), kMmaShared<F>,
                            nullptr, p);
}

struct Variant {
  int kernel, fault;
  int (*launch)(const Problem&);
};
template <Kernel K, int First, int... Faults> constexpr auto variants_of(std::integer_sequence<int, Faults...>) {
  struct All {
    Variant v[sizeof...(Faults) + 1];
  };
  return All{{{K, 0, &launch<K, 0>}, {K, First + Faults, &launch<K, First + Faults>}...}};
}
template <Kernel K, int First, int Last>
constexpr auto kVariants = variants_of<K, First>(std::make_integer_sequence<int, Last - First + 1>());

}  // namespace
}  // namespace gpukern::faults

#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

// The bytes around a buffer that belong to no tensor.
constexpr size_t kMargin = 1 << 16;

// Returns "" or the model's message.  data and bytes: a, b, c; extents: m, n, k; schedule: order, seed.
GPUKERN_EXPORT const char* run_variant(int kernel, int fault, char* const* data, const uint64_t* bytes,
                                       const int* extents, int order, uint32_t seed) {
  using namespace gpukern;
  static thread_local std::string answer;
  model::settings() = {static_cast<model::Order>(order), seed, 32, true, false};
  model::buffers().clear();
  static constexpr const char* names[] = {"a", "b", "c"};
  for (int i = 0; i < 3; ++i)
    model::buffers().push_back(
        {names[i], data[i], data[i] + bytes[i], data[i] - kMargin, data[i] + bytes[i] + kMargin, i == 2});
  const faults::Problem problem{data[0], data[1], data[2], extents[0], extents[1], extents[2]};
  answer = "no such variant";
  const auto search = [&](const auto& variants) {
    for (const faults::Variant& v : variants.v)
      if (v.kernel == kernel && v.fault == fault) answer = v.launch(problem) ? model::last_error() : "";
  };
  search(faults::kVariants<faults::kProduct, 101, 110>);
  search(faults::kVariants<faults::kRowSum, 111, 118>);
  search(faults::kVariants<faults::kCompact, 121, 127>);
  search(faults::kVariants<faults::kHandOver, 131, 138>);
  search(faults::kVariants<faults::kMma, 201, 232>);
  model::buffers().clear();
  return answer.c_str();
}
