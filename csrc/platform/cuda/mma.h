// The instructions of ../../primitives/mma.h.
#pragma once
#include "../target.h"

namespace gpukern {

#define GPUKERN_MMA_16(WORD, SHAPE_AND_TYPES, SUM, LETTER)                                \
  GPUKERN_D void WORD(SUM(&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {       \
    asm volatile("mma.sync.aligned." SHAPE_AND_TYPES                                      \
                 " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"       \
                 : "+" LETTER(d[0]), "+" LETTER(d[1]), "+" LETTER(d[2]), "+" LETTER(d[3]) \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));     \
  }
GPUKERN_MMA_16(mma_m16n8k16_f16, "m16n8k16.row.col.f32.f16.f16.f32", float, "f")
GPUKERN_MMA_16(mma_m16n8k16_bf16, "m16n8k16.row.col.f32.bf16.bf16.f32", float, "f")
GPUKERN_MMA_16(mma_m16n8k8_tf32, "m16n8k8.row.col.f32.tf32.tf32.f32", float, "f")
GPUKERN_MMA_16(mma_m16n8k32_s8, "m16n8k32.row.col.s32.s8.s8.s32", int, "r")
// sm_89: the 8-bit formats of A and of B.
GPUKERN_MMA_16(mma_m16n8k32_e4m3_e4m3, "m16n8k32.row.col.f32.e4m3.e4m3.f32", float, "f")
GPUKERN_MMA_16(mma_m16n8k32_e4m3_e5m2, "m16n8k32.row.col.f32.e4m3.e5m2.f32", float, "f")
GPUKERN_MMA_16(mma_m16n8k32_e5m2_e4m3, "m16n8k32.row.col.f32.e5m2.e4m3.f32", float, "f")
GPUKERN_MMA_16(mma_m16n8k32_e5m2_e5m2, "m16n8k32.row.col.f32.e5m2.e5m2.f32", float, "f")
#undef GPUKERN_MMA_16

GPUKERN_D void mma_m8n8k4_f64(double (&d)[2], const double (&a)[1], const double (&b)[1]) {
  asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
               : "+d"(d[0]), "+d"(d[1])
               : "d"(a[0]), "d"(b[0]));
}
// sm_90.
GPUKERN_D void mma_m16n8k16_f64(double (&d)[4], const double (&a)[8], const double (&b)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7, %8, %9, %10, %11}, "
      "{%12, %13, %14, %15}, {%0, %1, %2, %3};"
      : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
      : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]), "d"(a[7]), "d"(b[0]), "d"(b[1]),
        "d"(b[2]), "d"(b[3]));
}

// Rounds to the nearest tf32, ties away from zero; returns the bits for mma_m16n8k8_tf32, which ignores the low 13.
GPUKERN_D uint32_t round_to_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

}  // namespace gpukern
