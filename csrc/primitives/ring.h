// A ring of stages in shared memory, between one thread that loads them by TMA and the warps that read them.
//
//               full[s]: the bytes are loaded                    empty[s]: all have read them
//     producer ----------------------------------> consumers ----------------------------------> producer
//
// Each barrier completes one phase in a round of the ring, so a waiting thread needs only the parity of its round.
#pragma once
#include "cluster.h"
#include "mbarrier.h"

namespace gpukern::primitives {

// The position of a producer or consumer: its next stage, and the parity of its round.
template <int Stages> struct Position {
  int slot = 0;
  uint32_t parity = 0;
  GPUKERN_D void next() {
    if (++slot < Stages) return;
    slot = 0;
    parity ^= 1;
  }
  // Skips the stages that another warpgroup consumes.
  GPUKERN_D void skip(int steps) {
    slot += steps;
    parity ^= static_cast<uint32_t>(slot / Stages) & 1;
    slot %= Stages;
  }
};

// The addresses of a ring.  StageBytes: of one stage.  Barriers: of the barriers, from `base` on.
template <int Stages, uint32_t StageBytes, uint32_t Barriers> struct Ring {
  static constexpr int stages = Stages;
  uint32_t base;  // in shared memory
  int cluster;    // blocks whose producers write to each other's stages

  GPUKERN_D uint32_t stage(int slot) const { return base + slot * StageBytes; }
  GPUKERN_D uint32_t full(int slot) const { return base + Barriers + slot * 8; }
  GPUKERN_D uint32_t empty(int slot) const { return full(slot) + Stages * 8; }

  // One thread calls this before any other touches a barrier.  readers: warps of a block that read a stage.
  GPUKERN_D void init(int readers) const {
    for (int slot = 0; slot < Stages; ++slot) {
      mbarrier_init(full(slot), 1);
      mbarrier_init(empty(slot), readers * cluster);
    }
    fence_mbarrier_init();
  }
  GPUKERN_D void wait_full(const Position<Stages>& at) const { mbarrier_wait_parity(full(at.slot), at.parity); }
  // Returns at once in the first round.
  GPUKERN_D void wait_empty(const Position<Stages>& at) const { mbarrier_wait_parity(empty(at.slot), at.parity ^ 1); }
  // Each warp calls this when it has read a stage: then every block of the cluster may write to it.
  GPUKERN_D void release(int slot) const {
    const int lane = static_cast<int>(threadIdx.x % 32);
    if (lane >= cluster) return;
    if (cluster == 1) mbarrier_arrive(empty(slot));
    else mbarrier_arrive_cluster(mapa(empty(slot), lane));
  }
};

}  // namespace gpukern::primitives
