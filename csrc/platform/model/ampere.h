// The words of sm_80, executed by the model.  The same words as ../ampere.h, which includes this.
#pragma once
#include "../waits.h"
#include "words.h"

namespace gpukern {

namespace model {

enum class Mma { f16, bf16, tf32, s8, f64_m8n8k4, f64_m16n8k16, e4m3_e4m3, e4m3_e5m2, e5m2_e4m3, e5m2_e5m2 };
void mma(Mma which, void* d, const void* a, const void* b, Place at);
void load_matrices(uint32_t* registers, int count, uint32_t address, bool transposed, Place at);
void store_matrices(const uint32_t* registers, int count, uint32_t address, bool transposed, Place at);
void copy_async(uint32_t to, const void* from, int bytes, int valid, Place at);
void commit_copies(Place at);
void wait_for_copies(int still_under_way, Place at);
void named_barrier(int id, int threads, bool wait, Place at);

// The lanes of `mask` get what `combine` makes of their values, in the order of the lanes.
template <class T, class F> T reduce(T value, LaneMask mask, Place at, F combine) {
  T mine = value;
  mask &= full_mask();
  collective(mask, &mine, at, [mask, combine](void* const* lanes) {
    T all{};
    bool first = true;
    for (int l = 0; l < wave(); ++l) {
      if (!(mask >> l & 1)) continue;
      const T one = *static_cast<const T*>(lanes[l]);
      all = first ? one : combine(all, one);
      first = false;
    }
    for (int l = 0; l < wave(); ++l)
      if (mask >> l & 1) *static_cast<T*>(lanes[l]) = all;
  });
  return mine;
}

}  // namespace model

// ---- named barriers ----------------------------------------------------------------------------------

inline void barrier_sync(int id, int threads, GPUKERN_SAID_AT) {
  GPUKERN_NOTE(waits::Word::named_barrier, static_cast<uint32_t>(id), static_cast<uint32_t>(threads));
  model::named_barrier(id, threads, true, GPUKERN_HERE("barrier_sync"));
}
inline void barrier_arrive(int id, int threads, GPUKERN_SAID_AT) {
  model::named_barrier(id, threads, false, GPUKERN_HERE("barrier_arrive"));
}

// ---- warps -------------------------------------------------------------------------------------------

template <class T> T reduce_add(T v, LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  static_assert(sizeof(T) == 4 && std::is_integral_v<T>);
  return model::reduce(v, mask, GPUKERN_HERE("reduce_add"),
                       [](T x, T y) { return static_cast<T>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y)); });
}
template <class T> T reduce_min(T v, LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  static_assert(sizeof(T) == 4 && std::is_integral_v<T>);
  return model::reduce(v, mask, GPUKERN_HERE("reduce_min"), [](T x, T y) { return y < x ? y : x; });
}
template <class T> T reduce_max(T v, LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  static_assert(sizeof(T) == 4 && std::is_integral_v<T>);
  return model::reduce(v, mask, GPUKERN_HERE("reduce_max"), [](T x, T y) { return x < y ? y : x; });
}

// The lanes of the mask whose value is the caller's.
template <class T> LaneMask match_any(T v, LaneMask mask = kAllLanes, GPUKERN_SAID_AT) {
  struct Lane {
    T value;
    LaneMask same;
  } me{v, 0};
  mask &= model::full_mask();
  model::collective(mask, &me, GPUKERN_HERE("match_any"), [mask](void* const* lanes) {
    for (int l = 0; l < model::wave(); ++l)
      for (int k = 0; k < model::wave(); ++k)
        if (mask >> l & mask >> k & 1 && static_cast<Lane*>(lanes[l])->value == static_cast<Lane*>(lanes[k])->value)
          static_cast<Lane*>(lanes[l])->same |= LaneMask{1} << k;
  });
  return me.same;
}

// ---- cp.async ----------------------------------------------------------------------------------------

template <int Bytes> void cp_async(uint32_t to, const void* from, int valid = Bytes, GPUKERN_SAID_AT) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  model::copy_async(to, from, Bytes, valid, GPUKERN_HERE("cp_async"));
}
inline void cp_async_commit(GPUKERN_SAID_AT) { model::commit_copies(GPUKERN_HERE("cp_async_commit")); }
template <int StillUnderWay> void cp_async_wait(GPUKERN_SAID_AT) {
  model::wait_for_copies(StillUnderWay, GPUKERN_HERE("cp_async_wait"));
}

// ---- ldmatrix, stmatrix ------------------------------------------------------------------------------

template <int N> void ldmatrix(uint32_t (&r)[N], uint32_t address, GPUKERN_SAID_AT) {
  static_assert(N == 1 || N == 2 || N == 4);
  model::load_matrices(r, N, address, false, GPUKERN_HERE("ldmatrix"));
}
template <int N> void ldmatrix_trans(uint32_t (&r)[N], uint32_t address, GPUKERN_SAID_AT) {
  static_assert(N == 1 || N == 2 || N == 4);
  model::load_matrices(r, N, address, true, GPUKERN_HERE("ldmatrix_trans"));
}
template <int N> void stmatrix(uint32_t address, const uint32_t (&r)[N], GPUKERN_SAID_AT) {
  static_assert(N == 1 || N == 2 || N == 4);
  model::store_matrices(r, N, address, false, GPUKERN_HERE("stmatrix"));
}
template <int N> void stmatrix_trans(uint32_t address, const uint32_t (&r)[N], GPUKERN_SAID_AT) {
  static_assert(N == 1 || N == 2 || N == 4);
  model::store_matrices(r, N, address, true, GPUKERN_HERE("stmatrix_trans"));
}

// ---- mma.sync: d += a b ------------------------------------------------------------------------------

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

// To the nearest tf32, ties away from zero; as the bits that mma_m16n8k8_tf32 takes.
inline uint32_t round_to_tf32(float x) {
  const uint32_t u = model::bits_of(x);
  if ((u & 0x7f800000) == 0x7f800000) return u & 0x7fffff ? 0x7fffffff : u;  // NaN, infinity
  return (u + 0x1000) & 0xffffe000;
}

}  // namespace gpukern
