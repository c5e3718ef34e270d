// The model of ../../primitives/mma.h.
#pragma once
#include "words.h"

namespace gpukern {

namespace model {
enum class Mma { f16, bf16, tf32, s8, f64_m8n8k4, f64_m16n8k16, e4m3_e4m3, e4m3_e5m2, e5m2_e4m3, e5m2_e5m2 };
void mma(Mma which, void* d, const void* a, const void* b, Place at);
}  // namespace model

inline void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], GPUKERN_SAID_AT) {
  model::mma(model::Mma::f16, d, a, b, GPUKERN_HERE("mma_m16n8k16_f16"));
}
inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], GPUKERN_SAID_AT) {
  model::mma(model::Mma::bf16, d, a, b, GPUKERN_HERE("mma_m16n8k16_bf16"));
}
inline void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], GPUKERN_SAID_AT) {
  model::mma(model::Mma::tf32, d, a, b, GPUKERN_HERE("mma_m16n8k8_tf32"));
}
inline void mma_m16n8k32_s8(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], GPUKERN_SAID_AT) {
  model::mma(model::Mma::s8, d, a, b, GPUKERN_HERE("mma_m16n8k32_s8"));
}
#define GPUKERN_MODEL_MMA_8(A, B)                                                                                      \
  inline void mma_m16n8k32_##A##_##B(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], GPUKERN_SAID_AT) { \
    model::mma(model::Mma::A##_##B, d, a, b, GPUKERN_HERE("mma_m16n8k32_" #A "_" #B));                                 \
  }
GPUKERN_MODEL_MMA_8(e4m3, e4m3)
GPUKERN_MODEL_MMA_8(e4m3, e5m2)
GPUKERN_MODEL_MMA_8(e5m2, e4m3)
GPUKERN_MODEL_MMA_8(e5m2, e5m2)
#undef GPUKERN_MODEL_MMA_8
inline void mma_m8n8k4_f64(double (&d)[2], const double (&a)[1], const double (&b)[1], GPUKERN_SAID_AT) {
  model::mma(model::Mma::f64_m8n8k4, d, a, b, GPUKERN_HERE("mma_m8n8k4_f64"));
}
inline void mma_m16n8k16_f64(double (&d)[4], const double (&a)[8], const double (&b)[4], GPUKERN_SAID_AT) {
  model::mma(model::Mma::f64_m16n8k16, d, a, b, GPUKERN_HERE("mma_m16n8k16_f64"));
}

// Rounds to the nearest tf32, ties away from zero; returns the bits for mma_m16n8k8_tf32.
inline uint32_t round_to_tf32(float x) {
  const uint32_t u = model::bits_of(x);
  if ((u & 0x7f800000) == 0x7f800000) return u & 0x7fffff ? 0x7fffffff : u;  // NaN, infinity
  return (u + 0x1000) & 0xffffe000;
}

}  // namespace gpukern
