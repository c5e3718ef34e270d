// The primitives of sm_80, and those of sm_90 that belong beside them.

#include "harness.h"
#include "platform/target.h"
#include "primitives/cp_async.h"
#include "primitives/ldmatrix.h"
#include "primitives/mma.h"
#include "primitives/named_barrier.h"
#include "primitives/warp.h"

namespace gpukern::conformance {
namespace {

GPUKERN_D int lane() { return static_cast<int>(threadIdx.x % 32); }

// ---- named barriers: one warp writes, another waits for it ------------------------------------------------

GPUKERN_CASE(named_barriers, 1, 96, 256) {
  auto* const all = reinterpret_cast<uint32_t*>(shared_memory());
  const int warp = static_cast<int>(threadIdx.x / 32);
  if (warp == 2) {  // on its own
    barrier_sync(7, 32);
    output[64 + lane()] = input[64 + lane()];
    return;
  }
  if (warp == 1) {
    for (int k = 0; k < 2; ++k) all[32 * k + lane()] = input[32 * k + lane()];
    barrier_arrive(1, 64);
    barrier_sync(15, 64);
    output[32 + lane()] = all[lane()];
    return;
  }
  barrier_sync(1, 64);
  output[lane()] = all[31 - lane()] + all[63 - lane()];
  barrier_sync(15, 64);
}

// Who arrives goes on: the second barrier opens before the first, which its warp has only arrived at.
GPUKERN_CASE(barrier_arrive_goes_on, 1, 64, 256) {
  auto* const all = reinterpret_cast<uint32_t*>(shared_memory());
  if (threadIdx.x < 32) {
    barrier_arrive(1, 64);
    all[lane()] = input[lane()];
    barrier_arrive(2, 64);
    return;
  }
  barrier_sync(2, 64);
  output[lane()] = all[31 - lane()];
  barrier_sync(1, 64);
}

// ---- warps ---------------------------------------------------------------------------------------------------

GPUKERN_CASE(reduce_signed, 1, 32, 0) {
  const int v = static_cast<int>(input[lane()]);
  output[lane()] = static_cast<uint32_t>(reduce_add(v));
  output[32 + lane()] = static_cast<uint32_t>(reduce_min(v));
  output[64 + lane()] = static_cast<uint32_t>(reduce_max(v));
}

GPUKERN_CASE(reduce_unsigned, 1, 32, 0) {
  const unsigned v = input[lane()];
  output[lane()] = reduce_add(v);
  output[32 + lane()] = reduce_min(v);
  output[64 + lane()] = reduce_max(v);
}

// Two groups of lanes at once.
GPUKERN_CASE(reduce_masked, 1, 32, 0) {
  const unsigned v = input[lane()];
  if (lane() % 3 == 0) output[lane()] = reduce_add(v, 0x49249249);
  else output[lane()] = reduce_max(v, 0xb6db6db6);
}

GPUKERN_CASE(match_any, 1, 32, 0) { output[lane()] = static_cast<uint32_t>(match_any(input[lane()])); }

// ---- cp.async: 3 groups of a packet a lane, each read as soon as it may be --------------------------------------

// input: 3 x 32 packets of 16 bytes, of which `Bytes` are copied, then 3 x 32 counts of valid bytes.
template <int Bytes> GPUKERN_D void copy_groups(const uint32_t* input, uint32_t* output) {
  const uint32_t base = shared_address(shared_memory());
  for (int k = 0; k < 3; ++k) {
    const int i = 32 * k + lane();
    cp_async<Bytes>(base + i * Bytes, input + 4 * i, static_cast<int>(input[3 * 32 * 4 + i]));
    cp_async_commit();
  }
  const auto* const landed = reinterpret_cast<const uint32_t*>(shared_memory());
  const auto put = [&](int k, int other) {  // of this lane, or of another after a barrier
    for (int w = 0; w < Bytes / 4; ++w) {
      const int i = 32 * k + (lane() ^ other);
      output[i * (Bytes / 4) + w] = landed[i * (Bytes / 4) + w];
    }
  };
  cp_async_wait<2>();
  put(0, 0);
  cp_async_wait<1>();
  put(1, 0);
  cp_async_wait<0>();
  syncwarp();
  put(2, 5);
}

GPUKERN_CASE(cp_async_4, 1, 32, 3 * 32 * 4) { copy_groups<4>(input, output); }
GPUKERN_CASE(cp_async_8, 1, 32, 3 * 32 * 8) { copy_groups<8>(input, output); }
GPUKERN_CASE(cp_async_16, 1, 32, 3 * 32 * 16) { copy_groups<16>(input, output); }

// Without a count, the whole packet; without a copy, an empty group.
GPUKERN_CASE(cp_async_whole, 1, 32, 32 * 16) {
  cp_async<16>(shared_address(shared_memory() + lane() * 16), input + 4 * lane());
  cp_async_commit();
  cp_async_commit();
  cp_async_wait<1>();
  for (int w = 0; w < 4; ++w)
    output[4 * lane() + w] = reinterpret_cast<const uint32_t*>(shared_memory())[4 * lane() + w];
}

// ---- ldmatrix: row r of the input lies at row r ^ 5 of shared memory ----------------------------------------------

template <int N, class F> GPUKERN_D void load(const uint32_t* input, uint32_t* output, F word) {
  auto* const rows = reinterpret_cast<uint32_t*>(shared_memory());
  for (int i = lane(); i < N * 32; i += 32) rows[(i / 4 ^ 5) * 4 + i % 4] = input[i];
  syncwarp();
  uint32_t r[N];
  word(r, shared_address(rows + (lane() % (8 * N) ^ 5) * 4));
  for (int k = 0; k < N; ++k) output[N * lane() + k] = r[k];
}

#define GPUKERN_LOAD_CASE(NAME, N, WORD)                                                  \
  GPUKERN_CASE(NAME, 1, 32, N * 128) {                                                    \
    load<N>(input, output, [](uint32_t (&r)[N], uint32_t address) { WORD(r, address); }); \
  }
GPUKERN_LOAD_CASE(ldmatrix_x1, 1, ldmatrix)
GPUKERN_LOAD_CASE(ldmatrix_x2, 2, ldmatrix)
GPUKERN_LOAD_CASE(ldmatrix_x4, 4, ldmatrix)
GPUKERN_LOAD_CASE(ldmatrix_x1_trans, 1, ldmatrix_trans)
GPUKERN_LOAD_CASE(ldmatrix_x2_trans, 2, ldmatrix_trans)
GPUKERN_LOAD_CASE(ldmatrix_x4_trans, 4, ldmatrix_trans)

// ---- stmatrix, the same way back ----------------------------------------------------------------------------------

template <int N, class F>
GPUKERN_D void store([[maybe_unused]] const uint32_t* input, [[maybe_unused]] uint32_t* output,
                     [[maybe_unused]] F word) {
#if GPUKERN_SM90
  auto* const rows = reinterpret_cast<uint32_t*>(shared_memory());
  uint32_t r[N];
  for (int k = 0; k < N; ++k) r[k] = input[N * lane() + k];
  word(shared_address(rows + (lane() % (8 * N) ^ 5) * 4), r);
  syncwarp();
  for (int i = lane(); i < N * 32; i += 32) output[i] = rows[(i / 4 ^ 5) * 4 + i % 4];
#endif
}

#define GPUKERN_STORE_CASE(NAME, N, WORD)                                                        \
  GPUKERN_CASE(NAME, 1, 32, N * 128) {                                                           \
    store<N>(input, output, [](uint32_t address, const uint32_t (&r)[N]) { WORD(address, r); }); \
  }
GPUKERN_STORE_CASE(stmatrix_x1, 1, stmatrix)
GPUKERN_STORE_CASE(stmatrix_x2, 2, stmatrix)
GPUKERN_STORE_CASE(stmatrix_x4, 4, stmatrix)
GPUKERN_STORE_CASE(stmatrix_x1_trans, 1, stmatrix_trans)
GPUKERN_STORE_CASE(stmatrix_x2_trans, 2, stmatrix_trans)
GPUKERN_STORE_CASE(stmatrix_x4_trans, 4, stmatrix_trans)

// ---- mma.sync: input is every lane's registers of A, then of B, then of C; output those of D -----------------------

template <class T, int A, int B, int D, class Sum, class F>
GPUKERN_D void multiply(const uint32_t* input, uint32_t* output, F word) {
  const auto* const a_of = reinterpret_cast<const T*>(input) + lane() * A;
  const auto* const b_of = reinterpret_cast<const T*>(input) + 32 * A + lane() * B;
  const auto* const c_of = reinterpret_cast<const Sum*>(reinterpret_cast<const T*>(input) + 32 * (A + B)) + lane() * D;
  T a[A], b[B];
  Sum d[D];
  for (int i = 0; i < A; ++i) a[i] = a_of[i];
  for (int i = 0; i < B; ++i) b[i] = b_of[i];
  for (int i = 0; i < D; ++i) d[i] = c_of[i];
  word(d, a, b);
  for (int i = 0; i < D; ++i) reinterpret_cast<Sum*>(output)[lane() * D + i] = d[i];
}

using Registers4 = const uint32_t (&)[4];
using Registers2 = const uint32_t (&)[2];
#define GPUKERN_MMA_CASE(NAME, WORD, SUM)                                                                           \
  GPUKERN_CASE(NAME, 1, 32, 0) {                                                                                    \
    multiply<uint32_t, 4, 2, 4, SUM>(input, output, [](SUM(&d)[4], Registers4 a, Registers2 b) { WORD(d, a, b); }); \
  }
GPUKERN_MMA_CASE(mma_m16n8k16_f16, mma_m16n8k16_f16, float)
GPUKERN_MMA_CASE(mma_m16n8k16_bf16, mma_m16n8k16_bf16, float)
GPUKERN_MMA_CASE(mma_m16n8k8_tf32, mma_m16n8k8_tf32, float)
GPUKERN_MMA_CASE(mma_m16n8k32_s8, mma_m16n8k32_s8, int)

#if GPUKERN_SM89
#define GPUKERN_MMA_CASE_8(WORD) GPUKERN_MMA_CASE(WORD, WORD, float)
#else
#define GPUKERN_MMA_CASE_8(WORD) \
  GPUKERN_CASE(WORD, 1, 32, 0) {}
#endif
GPUKERN_MMA_CASE_8(mma_m16n8k32_e4m3_e4m3)
GPUKERN_MMA_CASE_8(mma_m16n8k32_e4m3_e5m2)
GPUKERN_MMA_CASE_8(mma_m16n8k32_e5m2_e4m3)
GPUKERN_MMA_CASE_8(mma_m16n8k32_e5m2_e5m2)

GPUKERN_CASE(mma_m8n8k4_f64, 1, 32, 0) {
  multiply<double, 1, 1, 2, double>(
      input, output, [](double (&d)[2], const double (&a)[1], const double (&b)[1]) { mma_m8n8k4_f64(d, a, b); });
}

GPUKERN_CASE(mma_m16n8k16_f64, 1, 32, 0) {
#if GPUKERN_SM90
  multiply<double, 8, 4, 4, double>(
      input, output, [](double (&d)[4], const double (&a)[8], const double (&b)[4]) { mma_m16n8k16_f64(d, a, b); });
#endif
}

GPUKERN_CASE(round_to_tf32, 1, 32, 0) {
  float x;
  memcpy(&x, input + lane(), 4);
  output[lane()] = round_to_tf32(x);
}

}  // namespace
}  // namespace gpukern::conformance
