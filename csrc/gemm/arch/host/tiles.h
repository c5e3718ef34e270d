// host: the CPU.  The product is ATen's own BLAS, the epilogue follows in place: a hand-written CPU product is not what
// this package exists for.
#pragma once
#include "../../../platform/device.h"
#include "../../refusals.h"

namespace gpukern::gemm::host {

constexpr const char* kName = "host";

#define GPUKERN_HOST_TILES(ROW) ROW(blas, kSingle | kDouble | kWhole | kComplex | kFloat8)
#define GPUKERN_CONFIGURATION(ID, TYPES) Configuration{#ID, TYPES, 1, 1, 1, 1, 1, 1, 0},
inline constexpr Configuration kConfigurations[] = {GPUKERN_HOST_TILES(GPUKERN_CONFIGURATION)};
#undef GPUKERN_CONFIGURATION
constexpr int kCount = sizeof(kConfigurations) / sizeof(Configuration);
static_assert(kCount == 1, "the short path of the CPU takes row 0");

constexpr Reason serves(const Device& d) {
  return d.vendor == Vendor::host ? nullptr : "it runs on the CPU, and this device is a GPU";
}
constexpr Reason supports(const Problem& p, const Device& d) {
  if (Reason why = serves(d)) return why;
  if (is_float8(p.type)) return nullptr;
  if (p.out != p.type) return "on the CPU, torch computes results of another type than the operands";
  return refused_result(p);
}
constexpr Reason refuses(const Configuration&, const Problem&, const Device&) { return nullptr; }
constexpr double cost(const Configuration&, const Problem& p, const Device&) {
  return double(p.m) * double(p.n) * double(p.k) * double(p.batch);
}

constexpr Reason yields(const Problem&, const Device&) { return nullptr; }
constexpr Traits traits(const Configuration&) { return {.precisions = bit(Precision::strict), .multiplier = "ATen"}; }
constexpr bool inside(const Configuration&, const Problem&, int, int) { return false; }
constexpr int64_t workspace(const Problem&) { return 0; }
constexpr bool separate_epilogue(const Problem&) { return false; }
constexpr int part_rows(const Configuration&, const Problem&) { return 0; }
constexpr int splits(const Configuration&, const Problem&, const Device&) { return 1; }

}  // namespace gpukern::gemm::host
