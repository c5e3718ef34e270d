// wgmma for nvcc, for the types that are k-major only: tf32, float8 and int8.  One instruction per function; the lists
// of operands are those of wgmma_16_bits.h.
#pragma once
#include "wgmma_16_bits.h"

namespace gpukern {

template <class A, class B, int N> struct WgmmaAlongK;

// The types of A and B, the accumulators' type and constraint; the PTX names of shape and types, and what follows
// scale-d; N, the number R of accumulators, the numbers of the operands behind them.
#define GPUKERN_WGMMA_K_OF(A, B, SUM, C, WORDS, SIGNS, N, R, O0, O1, O2, ...)                                      \
  template <> struct WgmmaAlongK<A, B, N> {                                                                        \
    static GPUKERN_D void shared(SUM (&d)[R], uint64_t a, uint64_t b, int accumulate) {                            \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #O2                                                        \
                   ", 0;\n"                                                                                        \
                   "wgmma.mma_async.sync.aligned.m64n" #N WORDS " {" GPUKERN_P##R "}, %" #O0 ", %" #O1 ", p" SIGNS \
                                                                                  ";\n}"                           \
                   : GPUKERN_D##R(C)                                                                               \
                   : "l"(a), "l"(b), "r"(accumulate));                                                             \
    }                                                                                                              \
  };
#define GPUKERN_WGMMA_FLOAT8(A, B, WORDS, ...) \
  GPUKERN_WGMMA_K_OF(A##_t, B##_t, float, "+f", WORDS, ", 1, 1", __VA_ARGS__)
#define GPUKERN_WGMMA_FLOATS(...)                                                            \
  GPUKERN_WGMMA_K_OF(tf32_t, tf32_t, float, "+f", "k8.f32.tf32.tf32", ", 1, 1", __VA_ARGS__) \
  GPUKERN_WGMMA_FLOAT8(e4m3, e4m3, "k32.f32.e4m3.e4m3", __VA_ARGS__)                         \
  GPUKERN_WGMMA_FLOAT8(e4m3, e5m2, "k32.f32.e4m3.e5m2", __VA_ARGS__)                         \
  GPUKERN_WGMMA_FLOAT8(e5m2, e4m3, "k32.f32.e5m2.e4m3", __VA_ARGS__)                         \
  GPUKERN_WGMMA_FLOAT8(e5m2, e5m2, "k32.f32.e5m2.e5m2", __VA_ARGS__)
#define GPUKERN_WGMMA_INT8(...) GPUKERN_WGMMA_K_OF(int8_t, int8_t, uint32_t, "+r", "k32.s32.s8.s8", "", __VA_ARGS__)
GPUKERN_WGMMA_WIDTHS(GPUKERN_WGMMA_FLOATS)
GPUKERN_WGMMA_ODD_WIDTHS(GPUKERN_WGMMA_FLOATS)
GPUKERN_WGMMA_WIDTHS(GPUKERN_WGMMA_INT8)
#undef GPUKERN_WGMMA_INT8
#undef GPUKERN_WGMMA_FLOATS
#undef GPUKERN_WGMMA_FLOAT8
#undef GPUKERN_WGMMA_K_OF

// d (64 x N of a warpgroup) = a b, plus d if `accumulate`, for 32 bytes of k; both operands are k-major.  d is laid out
// as in wgmma_16_bits.h: floats, and for int8 the bits of 32-bit integers, which wrap.
template <class A, class B, int N, class Sum>
GPUKERN_D void wgmma(Sum (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
  WgmmaAlongK<A, B, N>::shared(d, a, b, accumulate);
}

}  // namespace gpukern
