// d = a b^T for bfloat16 (m, k) and (n, k): TMA, mbarriers and wgmma with specialised warps, as small as it gets.  It
// is here for its faults: F plants one of wgmma_faults.h.
//
// A block computes tiles of 128 x 128 in steps of 64 of k, with a ring of 3 stages.  Warpgroup 0 loads, warpgroups 1
// and 2 multiply 64 rows each and store through swizzled shared memory.  The C blocks of a cluster work below each
// other, so that each loads a share of B and sends it to all.
#pragma once
#include "platform/cluster_launch.h"
#include "primitives/cluster.h"
#include "primitives/mbarrier.h"
#include "primitives/named_barrier.h"
#include "primitives/registers.h"
#include "primitives/tma.h"
#include "primitives/warp.h"
#include "primitives/wgmma.h"
#include "wgmma_faults.h"

namespace gpukern::faults {

constexpr int kTile = 128, kStep = 64, kStages = 3, kThreads = 384;
constexpr uint32_t kOperand = kTile * kStep * 2, kStaging = kTile * kTile * 2, kBox = 64 * 64 * 2;
constexpr uint32_t kRing = kStages * 2 * kOperand, kShared = kRing + kStaging + 2 * kStages * 8;

// Which stage is next, and which time round it is.
struct Position {
  int stage = 0;
  uint32_t round = 0;
  GPUKERN_D void next() {
    if (++stage < kStages) return;
    stage = 0;
    ++round;
  }
};

struct Places {
  uint32_t ring, full, empty, staging;  // addresses
  char *staging_memory, *ring_memory;
};

constexpr bool by_registers(Fault f) { return f >= Fault::none_by_registers; }

template <Fault F> GPUKERN_D uint32_t parity(const Position& at) {
  if constexpr (F == Fault::parity_of_second_round) return at.round / 2 & 1;
  if constexpr (F == Fault::parity_not_reduced) return at.round;
  return at.round & 1;
}

template <Fault F, int C>
GPUKERN_D void produce_stage(const TensorMap* a, const TensorMap* b, const Places& p, const Position& at, int row,
                             int column, int k) {
  const uint32_t full = p.full + 8 * at.stage, empty = p.empty + 8 * at.stage;
  const uint32_t a_at = p.ring + at.stage * 2 * kOperand, b_at = a_at + kOperand;
  if constexpr (F != Fault::producer_skips_empty)
    mbarrier_wait_parity(empty, parity<F>(at) ^ (F == Fault::producer_parity ? 0 : 1));
  uint32_t bytes = 2 * kOperand;
  if constexpr (F == Fault::expect_too_small) bytes = kOperand;
  if constexpr (F == Fault::expect_too_large) bytes += 16;
  if constexpr (F == Fault::expect_half) bytes = kOperand + kOperand / C;
  mbarrier_arrive_expect_tx(full, bytes);
  if constexpr (F == Fault::load_at_other_rank) {
    tma_load(a_at, a, {k, row, 0}, full);
  } else if constexpr (F == Fault::coordinates_exchanged) {
    tma_load(a_at, a, {row, k}, full);
  } else {
    tma_load(a_at, a, {k, row}, full);
  }
  if constexpr (C == 1) {
    tma_load_hint(b_at, b, {k, column}, full, kEvictLast);
  } else {
    uint32_t share = cluster_rank(), place = share;
    uint16_t blocks = (1 << C) - 1;
    if constexpr (F == Fault::multicast_to_itself) blocks = static_cast<uint16_t>(1 << share);
    if constexpr (F == Fault::multicast_to_peer) blocks ^= static_cast<uint16_t>(1 << share);
    if constexpr (F == Fault::multicast_too_wide) blocks |= 1 << C;
    if constexpr (F == Fault::multicast_same_half) share = place = 0;
    if constexpr (F == Fault::multicast_other_place) place = C - 1 - share;
    tma_load_multicast(b_at + place * (kOperand / C), b, {k, column + static_cast<int>(share) * (kTile / C)}, full,
                       blocks);
  }
}

template <Fault F, int C> GPUKERN_D void release(const Places& p, int stage, int thread) {
  if constexpr (F == Fault::never_released) return;
  if (F != Fault::released_by_every_thread && thread >= C) return;
  const uint32_t empty = p.empty + 8 * stage;
  if constexpr (C == 1) mbarrier_arrive(empty);
  else if (F == Fault::remote_arrive_missing && thread != static_cast<int>(cluster_rank())) return;
  else mbarrier_arrive_cluster(F == Fault::remote_arrive_not_mapped ? empty : mapa(empty, thread));
}

template <Fault F> GPUKERN_D void multiply(float (&d)[64], const Places& p, int stage, int group, bool add) {
  const uint32_t a_at = p.ring + stage * 2 * kOperand + group * (kOperand / 2);
  const uint32_t b_at =
      p.ring + (F == Fault::stage_of_before ? (stage + 2) % kStages : stage) * 2 * kOperand + kOperand;
  const int warp = static_cast<int>(threadIdx.x) / 32 % 4;
  constexpr Swizzle swizzle = F == Fault::descriptor_not_swizzled    ? Swizzle::none
                              : F == Fault::descriptor_other_swizzle ? Swizzle::bytes64
                                                                     : Swizzle::bytes128;
  constexpr uint32_t a_stride = F == Fault::a_stride ? 512 : 1024, b_stride = F == Fault::b_stride ? 2048 : 1024;
  for (int k = 0; k < kStep / 16; ++k) {
    const uint32_t further = k * (F == Fault::k_advance ? 64 : 32) + (F == Fault::descriptor_by_warp ? warp * 1024 : 0);
    bool accumulate = add || k > 0;
    if constexpr (F == Fault::scale_d_always_zero) accumulate = false;
    wgmma<bfloat16_t, kTile, Major::k, Major::k>(
        d, advance(matrix_descriptor(a_at, 16, a_stride, swizzle), further),
        advance(matrix_descriptor(b_at, 16, b_stride, Swizzle::bytes128), k * 32), accumulate);
  }
}

// The same with A from registers, by the manual's figure.
template <Fault F>
GPUKERN_D void multiply_by_registers(float (&d)[64], const Places& p, int stage, int group, bool add) {
  const int t = static_cast<int>(threadIdx.x) % 128, warp = t / 32, lane = t % 32;
  const uint32_t a_at = stage * 2 * kOperand + group * (kOperand / 2), b_at = p.ring + stage * 2 * kOperand + kOperand;
  uint32_t a[kStep / 16][4];
  for (int k = 0; k < kStep / 16; ++k)
    for (int i = 0; i < 4; ++i) {
      const int row = warp * 16 + lane / 4 + i % 2 * 8, column = k * 16 + lane % 4 * 2 + i / 2 * 8;
      const int to = F == Fault::a_registers_swapped && (i == 1 || i == 2) ? 3 - i : i;
      memcpy(&a[k][to], p.ring_memory + swizzled(a_at + row * 128 + column * 2, Swizzle::bytes128), 4);
    }
  if constexpr (F != Fault::a_registers_not_fenced) wgmma_fence();
  for (int k = 0; k < kStep / 16; ++k)
    wgmma<bfloat16_t, kTile, Major::k>(d, a[k], advance(matrix_descriptor(b_at, 16, 1024, Swizzle::bytes128), k * 32),
                                       add || k > 0);
  wgmma_commit_group();
  if constexpr (F == Fault::a_registers_overwritten) a[0][0] = 0;
  wgmma_wait_group<0>();
  if constexpr (F != Fault::a_released_by_one) barrier_sync(3 + group, 128);
}

// A warpgroup's 64 x 128 to global memory, by two boxes of 64 columns.
template <Fault F>
GPUKERN_D void store(const float (&d)[64], const TensorMap* map, const Places& p, int group, int row, int column) {
  const int t = static_cast<int>(threadIdx.x) % 128, warp = t / 32, lane = t % 32;
  const int id = F == Fault::named_barrier_shared ? 1 : 1 + group;
  const int threads = F == Fault::named_barrier_of_both && group == 1 ? 256 : 128;
  const int place = F == Fault::staging_shared ? 0 : group;
  const int waits = F == Fault::store_wait_by_another ? 1 : 0;
  if constexpr (F == Fault::store_read_wait_one) {
    if (t == 0) bulk_wait_group_read<1>();
  } else if constexpr (F != Fault::store_read_wait_missing) {
    if (t == waits) bulk_wait_group_read<0>();
  }
  if constexpr (F != Fault::staging_barrier_missing) barrier_sync(id, threads);
  if constexpr (F == Fault::store_fence_by_one) {
    if (t == 0) fence_proxy_async_shared();
  }
  for (int i = 0; i < 64; i += 2) {
    int down = i / 2 % 2 * 8, right = 0;
    if constexpr (F == Fault::fragment_swapped) {
      right = down;
      down = 0;
    }
    const int r = warp * 16 + lane / 4 + down, c = (i / 4 * 8 + lane % 4 * 2 + right) % kTile;
    uint32_t offset = (place * 2 + c / 64) * kBox + r * 128 + c % 64 * 2;
    if constexpr (F != Fault::staging_not_swizzled) offset = swizzled(offset, Swizzle::bytes128);
    const bfloat16_t pair[2] = {from_float<bfloat16_t>(d[i]), from_float<bfloat16_t>(d[i + 1])};
    memcpy(p.staging_memory + offset, pair, 4);
  }
  if constexpr (F != Fault::store_fence_missing && F != Fault::store_fence_by_one) fence_proxy_async_shared();
  if constexpr (F != Fault::store_barrier_missing) barrier_sync(id, threads);
  if (F == Fault::stored_by_every_warp ? lane == 0 : t == 0) {
    for (int half = 0; half < 2; ++half)
      tma_store(map, {column + half * 64, row + group * 64}, p.staging + (place * 2 + half) * kBox);
    if constexpr (F != Fault::store_commit_missing) bulk_commit_group();
  }
}

template <Fault F, int C>
GPUKERN_D void produce(const TensorMap* a, const TensorMap* b, const Places& p, int m, int n, int steps) {
  Position at;
  const int columns = (n + kTile - 1) / kTile, rows = (m + kTile * C - 1) / (kTile * C);
  for (int tile = blockIdx.x / C; tile < rows * columns; tile += gridDim.x / C) {
    const int row = (tile / columns * C + static_cast<int>(C > 1 ? cluster_rank() : 0)) * kTile;
    if constexpr (F == Fault::parity_starts_anew) at.round = 0;
    for (int step = 0; step < steps; ++step, at.next())
      produce_stage<F, C>(a, b, p, at, row, tile % columns * kTile, step * kStep);
  }
  // Peers may still arrive here: their last arrival on each stage is waited for.
  if constexpr (C > 1 && F != Fault::drain_missing)
    for (int stage = 0; stage < kStages; ++stage, at.next())
      mbarrier_wait_parity(p.empty + 8 * at.stage, parity<F>(at) ^ 1);
}

template <Fault F, int C> GPUKERN_D void consume(const TensorMap* d_map, const Places& p, int m, int n, int steps) {
  const int t = static_cast<int>(threadIdx.x) % 128, group = static_cast<int>(threadIdx.x) / 128 - 1;
  Position at;
  float d[64];
  if constexpr (F == Fault::scale_d_never_zero)
    for (float& x : d) x = static_cast<float>(t);
  bool first_tile = true;
  const int columns = (n + kTile - 1) / kTile, rows = (m + kTile * C - 1) / (kTile * C);
  for (int tile = blockIdx.x / C; tile < rows * columns; tile += gridDim.x / C) {
    if constexpr (F == Fault::parity_starts_anew) at.round = 0;
    int before = 0;
    for (int step = 0; step < steps; ++step) {
      bool waits = F != Fault::consumer_skips_full;
      if constexpr (F == Fault::second_consumer_skips_full) waits = group == 0;
      if constexpr (F == Fault::one_warp_skips_full) waits = t / 32 != 3;
      if (waits) mbarrier_wait_parity(p.full + 8 * at.stage, F == Fault::consumer_parity_constant ? 0 : parity<F>(at));
      if constexpr (by_registers(F)) {
        multiply_by_registers<F>(d, p, at.stage, group, step > 0);
        release<F, C>(p, at.stage, t);
        at.next();
        continue;
      }
      if constexpr (F != Fault::no_wgmma_fence) wgmma_fence();
      bool add = step > 0;
      if constexpr (F == Fault::scale_d_never_zero) add = true;
      if constexpr (F == Fault::scale_d_first_tile_only) add = step > 0 || !first_tile;
      if (F != Fault::one_warp_skips_wgmma || t / 32 != 3) multiply<F>(d, p, at.stage, group, add);
      if constexpr (F != Fault::commit_missing) wgmma_commit_group();
      if constexpr (F == Fault::released_before_wait) release<F, C>(p, at.stage, t);
      if constexpr (F == Fault::accumulators_touched) d[0] += 1;
      // All but the newest product are over: the stage before is free.
      if constexpr (F == Fault::wait_two) wgmma_wait_group<2>();
      else if (F != Fault::accumulators_before_wait || step + 1 < steps) wgmma_wait_group<1>();
      if (F != Fault::released_before_wait && step > 0) release<F, C>(p, before, t);
      before = at.stage;
      at.next();
    }
    if constexpr (F != Fault::accumulators_before_wait) wgmma_wait_group<0>();
    if constexpr (F != Fault::released_before_wait && !by_registers(F)) release<F, C>(p, before, t);
    const int row = (tile / columns * C + static_cast<int>(C > 1 ? cluster_rank() : 0)) * kTile;
    store<F>(d, d_map, p, group, row, tile % columns * kTile);
    if constexpr (F == Fault::accumulators_before_wait) wgmma_wait_group<0>();
    first_tile = false;
  }
  if constexpr (F != Fault::store_wait_at_exit_missing) bulk_wait_group<0>();
}

template <Fault F, int C>
GPUKERN_KERNEL GPUKERN_BOUNDS(kThreads, 1)
    product(const GPUKERN_GRID_CONST TensorMap a, const GPUKERN_GRID_CONST TensorMap b,
            const GPUKERN_GRID_CONST TensorMap d, int m, int n, int k) {
  const int t = static_cast<int>(threadIdx.x),
            steps = F == Fault::last_step_missing ? k / kStep : (k + kStep - 1) / kStep;
  Places p;
  p.ring = shared_address(shared_memory());
  p.staging = p.ring + kRing + (F == Fault::staging_misaligned ? 64 : 0);
  p.ring_memory = shared_memory();
  p.staging_memory = shared_memory() + kRing;
  p.full = p.ring + kRing + kStaging;
  if constexpr (F == Fault::barriers_overlap_ring) p.full = p.ring + kRing - 64;
  if constexpr (F == Fault::barrier_misaligned) p.full += 4;
  p.empty = p.full + 8 * kStages;
  if constexpr (F == Fault::ring_not_aligned) p.ring += 128;
  if (t == 0) {
    prefetch_tensormap(&a);
    prefetch_tensormap(&b);
    int arrivals = 2 * C;
    if constexpr (F == Fault::empty_count_one || F == Fault::empty_count_forgets_peer) arrivals /= 2;
    if constexpr (F == Fault::empty_count_of_single_block) arrivals = 1;
    for (int s = 0; s < kStages; ++s) {
      mbarrier_init(p.full + 8 * s, F == Fault::full_count_two ? 2 : 1);
      mbarrier_init(p.empty + 8 * s, arrivals);
    }
    if constexpr (F != Fault::no_fence_mbarrier_init && F != Fault::no_fence_mbarrier_init_single)
      fence_mbarrier_init();
  }
  if constexpr (C == 1 || F == Fault::cluster_sync_missing) {
    if constexpr (F != Fault::no_sync_after_init) syncthreads();
  } else {
    cluster_arrive();
    if constexpr (F != Fault::cluster_wait_missing) cluster_wait();
  }
  if (t < 128) {
    if constexpr (F == Fault::registers_by_one_warp) {
      if (t < 32) setmaxnreg_dec<40>();
    } else if constexpr (F != Fault::registers_not_given) {
      setmaxnreg_dec<40>();
    }
    if (t < 32 && (F == Fault::full_by_whole_warp || elect_sync())) produce<F, C>(&a, &b, p, m, n, steps);
  } else {
    if constexpr (F == Fault::registers_too_many) setmaxnreg_inc<240>();
    else setmaxnreg_inc<232>();
    consume<F, C>(&d, p, m, n, steps);
  }
}

}  // namespace gpukern::faults
