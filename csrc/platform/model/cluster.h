// Clusters of blocks: their barrier, and accesses of one block to the shared memory of another.
#pragma once
#include <map>
#include <type_traits>

#include "../waits.h"
#include "agents.h"
#include "words.h"

namespace gpukern::model {

class Cluster : public Part {
 public:
  Cluster();
  void arrive(bool releases, Place at);
  void wait(Place at);
  // The current phase of the barrier; and the phases that a thread knows to be complete, with or without memory order.
  uint64_t phase() const { return phase_; }
  uint64_t phases_met(const Thread& t) const {
    const auto met = met_.find(t.id);
    return met == met_.end() ? 0 : met->second;
  }
  // Agent `id`, at `clock`, accesses the shared memory of a block; the block must not end before it knows of that.
  void reaches(Block& block, uint32_t id, uint32_t clock, Place at);

  void thread_ends(Thread&) override;

 private:
  struct Reach {
    uint32_t clock;
    Place at;
  };
  struct PerBlock {
    std::map<uint32_t, Reach> reaches;  // by agent
    Gathered ended;
  };
  void complete_if_all();

  std::map<int, PerBlock> blocks_;        // by rank
  std::map<uint32_t, uint64_t> arrived_;  // thread -> the phase that it waits for
  std::map<uint32_t, uint64_t> met_;
  int present_ = 0;  // threads that have arrived
  int ended_ = 0;    // threads that have ended and not arrived
  int left_ = 0;     // threads that have arrived and ended
  uint64_t phase_ = 0;
  Place last_arrival_{};
  Gathered gathered_;
  Known last_;
  std::vector<std::pair<Thread*, Known*>> waiting_;
};

uint32_t mapa(uint32_t address, int rank, Place at);
// The checked pointer for a shared address that may be another block's; the access itself is checked by the caller.
char* reach_shared(uint32_t address, size_t bytes, Place at);
void cluster_arrive(bool releases, Place at);
void cluster_wait(Place at);

}  // namespace gpukern::model

namespace gpukern {

inline uint32_t cluster_rank() { return static_cast<uint32_t>(model::self().block->rank); }
inline uint32_t cluster_size() { return static_cast<uint32_t>(model::cluster_size()); }
inline void cluster_arrive(GPUKERN_SAID_AT) { model::cluster_arrive(true, GPUKERN_HERE("cluster_arrive")); }
inline void cluster_arrive_relaxed(GPUKERN_SAID_AT) {
  model::cluster_arrive(false, GPUKERN_HERE("cluster_arrive_relaxed"));
}
inline void cluster_wait(GPUKERN_SAID_AT) {
  GPUKERN_NOTE(waits::Word::cluster_barrier, 0, 0);
  model::cluster_wait(GPUKERN_HERE("cluster_wait"));
}

inline uint32_t mapa(uint32_t address, uint32_t rank, GPUKERN_SAID_AT) {
  return model::mapa(address, static_cast<int>(rank), GPUKERN_HERE("mapa"));
}
template <class T> T load_cluster(uint32_t address, GPUKERN_SAID_AT) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  T v;
  const void* const from = model::reach_shared(address, sizeof(T), GPUKERN_HERE("load_cluster"));
  std::memcpy(static_cast<void*>(&v), from, sizeof(T));
  return v;
}
template <class T> void store_cluster(uint32_t address, const std::type_identity_t<T>& v, GPUKERN_SAID_AT) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  void* const to = model::reach_shared(address, sizeof(T), GPUKERN_HERE("store_cluster"));
  std::memcpy(to, static_cast<const void*>(&v), sizeof(T));
}

}  // namespace gpukern
