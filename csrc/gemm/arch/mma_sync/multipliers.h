// The multipliers of this folder's kernels, for the host: which problems and devices each takes, and the rates of the
// cost model.  On the device a multiplier is a class with the interface of Mma (mma.cuh), for primitives/mainloop.h.
#pragma once
#include "../../terms.h"
#include "limits.h"

namespace gpukern::gemm::mma_sync {

constexpr unsigned kHalf = bit(DType::f16) | bit(DType::bf16);
constexpr unsigned kFloat = bit(DType::f32);
constexpr unsigned kByte = bit(DType::u8) | bit(DType::i8);
constexpr unsigned kFormats = bit(DType::e4m3) | bit(DType::e5m2);

// In the order of preference: where two take a problem, the first has it.
enum class Multiplier : uint8_t {
  wide_double,   // float64, m16n8k16: began with Hopper; m8n8k4 has, by what others measured, about half of its rate
  mma,           // 16-bit, tf32, int8 and float64 (m8n8k4), from Ampere on
  float8,        // began with Ada; sm_90 and sm_100 compile it to conversions and products of 16 bits, 255 registers
  terms,         // float32 as bfloat16 terms (terms.cuh)
  multiply_add,  // strict float32 on ordinary cores (multiply_add.cuh)
};
constexpr int kMultipliers = 5;

// What is the same for all configurations of a multiplier.
struct Facts {
  const char* name;
  const char* source;      // the .cu of its kernels, if `targets` has a line for it; null: it has the folder's targets
  int step;                // bytes of k that one product takes
  int element;             // bytes of what is loaded; 0: the problem's type
  int64_t shared;          // bytes that a block may have
  int registers;           // the most for a lane's accumulators
  int least_threads, pad;  // of a block; elements that pad a line of the epilogue's slab
  double rate, least;      // multiply-adds an SM and cycle, and the fewest cycles of a step of k (limits.h)
  double start;            // cycles before the first step
};
// rate: 2048 / element for 16-bit, tf32 and int8 on sm_80; 64 and 128 for float64; 1024: Ada's, with float32 sums.
constexpr Facts kFacts[kMultipliers] = {
    {"mma.m16n8k16 of float64", "double_sm_90a", 128, 8, 227 * 1024, 64, 128, 8, 128, 150, 1500},
    {"mma", nullptr, 32, 0, kLeastShared, 128, 128, 8, 0, 60, 1500},
    {"mma, promoted", "float8", 32, 1, kLeastShared, 64, 128, 8, 1024, 60, 1500},
    {"mma of bfloat16 terms", nullptr, 32, 2, kLeastShared, 64, 128, 8, 1024, 60, 3000},
    {"multiply-add", nullptr, 16, 4, kLeastShared, 64, 64, 16, 0, 0, 1500},
};
constexpr const Facts& facts(Multiplier m) { return kFacts[static_cast<int>(m)]; }
constexpr Multiplier multiplier_of(const Configuration& r) { return static_cast<Multiplier>(r.policy); }

constexpr Reason kNoFloat8 =
    "it needs float8 mma.sync of sm_89 or sm_120; other GPUs convert float8 before each product";

// Why a device lacks a multiplier; null where it has it.
constexpr Reason lacks(const Device& d, Multiplier m) {
  if (m == Multiplier::wide_double)
    return d.target == 90 ? nullptr : "its instruction is compiled for Hopper GPUs only";
  if (m == Multiplier::float8) return d.target == 89 || d.target >= 120 ? nullptr : kNoFloat8;
  return nullptr;
}
// Whether a multiplier is the one for a problem's type and precision.
constexpr bool multiplies(Multiplier m, const Problem& p) {
  const bool terms = p.type == DType::f32 && term_products(p.precision) > 0;
  const bool strict = p.type == DType::f32 && p.precision == Precision::strict;
  switch (m) {
    case Multiplier::wide_double: return p.type == DType::f64;
    case Multiplier::float8: return is_float8(p.type);
    case Multiplier::terms: return terms;
    case Multiplier::multiply_add: return strict;
    default: return (bit(p.type) & (kHalf | kByte | kDouble)) || (p.type == DType::f32 && !terms && !strict);
  }
}
// Why no float8 configuration takes a float8 problem.
constexpr Reason refused_formats(const Problem& p) {
  if (!(bit(p.type) & kFormats) || !(bit(p.scaling.b_type) & kFormats))
    return "NVIDIA tensor cores take float8_e4m3fn and float8_e5m2, not the fnuz formats";
  if (p.type == DType::e5m2 && p.scaling.b_type == DType::e5m2)
    return "it has no kernel for two float8_e5m2 operands; torch has none either";
  return nullptr;
}

}  // namespace gpukern::gemm::mma_sync
