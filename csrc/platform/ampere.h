// The words of sm_80, one instruction each.  Those marked sm_89 or sm_90 need GPUKERN_SM89 or GPUKERN_SM90, which say
// whether they are there in this pass of the compiler.
#pragma once
#include "gpu.h"
#include "waits.h"

#if defined(GPUKERN_MODEL)
#include "model/ampere.h"
#define GPUKERN_SM89 1
#define GPUKERN_SM90 1
#else

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define GPUKERN_SM89 1
#else
#define GPUKERN_SM89 0
#endif
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define GPUKERN_SM90 1
#else
#define GPUKERN_SM90 0
#endif

namespace gpukern {

// ---- named barriers: `threads` is a multiple of 32 ----------------------------------------------------

GPUKERN_D void barrier_sync(int id, int threads) {
  GPUKERN_NOTE(waits::Word::named_barrier, static_cast<uint32_t>(id), static_cast<uint32_t>(threads));
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Does not wait; what came before is seen by those who do.
GPUKERN_D void barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// ---- warps: of int and unsigned, by the lanes of the mask ---------------------------------------------

template <class T> GPUKERN_D T reduce_add(T v, LaneMask mask = kAllLanes) { return __reduce_add_sync(mask, v); }
template <class T> GPUKERN_D T reduce_min(T v, LaneMask mask = kAllLanes) { return __reduce_min_sync(mask, v); }
template <class T> GPUKERN_D T reduce_max(T v, LaneMask mask = kAllLanes) { return __reduce_max_sync(mask, v); }
// The lanes of the mask whose value is the caller's.
template <class T> GPUKERN_D LaneMask match_any(T v, LaneMask mask = kAllLanes) { return __match_any_sync(mask, v); }

// ---- cp.async: `valid` bytes from global to shared memory, the rest of Bytes becomes 0 ----------------

template <int Bytes> GPUKERN_D void cp_async(uint32_t to, const void* from, int valid = Bytes) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  if constexpr (Bytes == 16)  // past L1
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(from), "n"(Bytes), "r"(valid)
                 : "memory");
}
GPUKERN_D void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most that many of the thread's groups are under way; what came is then its own to see, and others' after a
// barrier.
template <int StillUnderWay> GPUKERN_D void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(StillUnderWay) : "memory");
}

// ---- ldmatrix, stmatrix (sm_90): N matrices of 8 x 8 elements of 16 bits; lane 8 j + i names row i of matrix j ----

#define GPUKERN_LDMATRIX(WORD, MODIFIER)                                                        \
  GPUKERN_D void WORD(uint32_t (&r)[1], uint32_t address) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x1" MODIFIER ".shared.b16 {%0}, [%1];"             \
                 : "=r"(r[0])                                                                   \
                 : "r"(address)                                                                 \
                 : "memory");                                                                   \
  }                                                                                             \
  GPUKERN_D void WORD(uint32_t (&r)[2], uint32_t address) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" MODIFIER ".shared.b16 {%0, %1}, [%2];"         \
                 : "=r"(r[0]), "=r"(r[1])                                                       \
                 : "r"(address)                                                                 \
                 : "memory");                                                                   \
  }                                                                                             \
  GPUKERN_D void WORD(uint32_t (&r)[4], uint32_t address) {                                     \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" MODIFIER ".shared.b16 {%0, %1, %2, %3}, [%4];" \
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                               \
                 : "r"(address)                                                                 \
                 : "memory");                                                                   \
  }
GPUKERN_LDMATRIX(ldmatrix, "")
GPUKERN_LDMATRIX(ldmatrix_trans, ".trans")
#undef GPUKERN_LDMATRIX

#define GPUKERN_STMATRIX(WORD, MODIFIER)                                                                           \
  GPUKERN_D void WORD(uint32_t address, const uint32_t (&r)[1]) {                                                  \
    asm volatile("stmatrix.sync.aligned.m8n8.x1" MODIFIER ".shared.b16 [%0], {%1};" ::"r"(address), "r"(r[0])      \
                 : "memory");                                                                                      \
  }                                                                                                                \
  GPUKERN_D void WORD(uint32_t address, const uint32_t (&r)[2]) {                                                  \
    asm volatile("stmatrix.sync.aligned.m8n8.x2" MODIFIER ".shared.b16 [%0], {%1, %2};" ::"r"(address), "r"(r[0]), \
                 "r"(r[1])                                                                                         \
                 : "memory");                                                                                      \
  }                                                                                                                \
  GPUKERN_D void WORD(uint32_t address, const uint32_t (&r)[4]) {                                                  \
    asm volatile("stmatrix.sync.aligned.m8n8.x4" MODIFIER ".shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),    \
                 "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])                                                        \
                 : "memory");                                                                                      \
  }
GPUKERN_STMATRIX(stmatrix, "")
GPUKERN_STMATRIX(stmatrix_trans, ".trans")
#undef GPUKERN_STMATRIX

// ---- mma.sync: d += a b, a row by row and b column by column ------------------------------------------

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
// sm_89: formats of 8 bits, A's and B's.
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

// To the nearest tf32, ties away from zero; as the bits that mma_m16n8k8_tf32 takes, which ignores the low 13.
GPUKERN_D uint32_t round_to_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

}  // namespace gpukern
#endif
