#include "cluster.h"

#include <utility>

namespace gpukern::model {

Cluster::Cluster() {
  for (int rank = 0; rank < cluster_size(); ++rank)
    for (const Thread& t : block_of(rank).threads) ended_ += t.done;
}

void Cluster::arrive(bool releases, Place at) {
  Thread& me = self();
  if (arrived_.count(me.id)) fail(at, "this thread has arrived at the cluster's barrier and not waited for it yet");
  arrived_[me.id] = phase_;
  ++present_;
  last_arrival_ = at;
  if (releases) release(gathered_);
  complete_if_all();
}

void Cluster::wait(Place at) {
  Thread& me = self();
  const auto mine = arrived_.find(me.id);
  if (mine == arrived_.end()) fail(at, "this thread waits for the cluster's barrier and has not arrived at it");
  const bool complete = mine->second < phase_;
  Known known = last_;
  if (!complete) {
    waiting_.emplace_back(&me, &known);
    model::wait(at);
  }
  met_[me.id] = arrived_[me.id] + 1;
  arrived_.erase(me.id);
  if (known) acquire(known);
  yield();
}

// The PTX ISA counts threads that have ended as arrived.  Kernels here must not rely on that (unless Settings allow
// it): the barrier completes only when each thread of the cluster has arrived.
void Cluster::complete_if_all() {
  size_t all = 0;
  for (int rank = 0; rank < cluster_size(); ++rank) all += block_of(rank).threads.size();
  if (present_ == 0 || static_cast<size_t>(present_ + ended_) < all) return;
  if (ended_ && !running_settings().exited)
    fail(last_arrival_,
         "the cluster's barrier has %d arrivals, and %d threads have ended without one: each must arrive", present_,
         ended_);
  ++phase_;
  present_ = 0;
  ended_ += std::exchange(left_, 0);
  last_ = gathered_.take();
  for (const auto& [thread, known] : waiting_) {
    *known = last_;
    wake(*thread);
  }
  waiting_.clear();
}

void Cluster::reaches(Block& block, uint32_t id, uint32_t clock, Place at) {
  if (block.live == 0) fail(at, "block %d of the cluster has ended, its shared memory is no more", block.rank);
  blocks_[block.rank].reaches[id] = {clock, at};
}

// Called while `t` is still counted as live.
void Cluster::thread_ends(Thread& t) {
  const auto mine = arrived_.find(t.id);
  ++(mine != arrived_.end() && mine->second == phase_ ? left_ : ended_);
  complete_if_all();
  PerBlock& b = blocks_[t.block->rank];
  b.ended.add(t.known, t.id, t.own);
  if (t.block->live > 1) return;
  const Agent block{~0u, 0, std::make_shared<const Clock>(b.ended.all())};
  for (const auto& [id, reach] : b.reaches)
    if (!happened(id, reach.clock, block))
      fail(reach.at, "block %d of the cluster ends, and nothing orders this access before its end: %s", t.block->rank,
           text_of(reach.at).c_str());
}

void cluster_arrive(bool releases, Place at) { part<Cluster>().arrive(releases, at); }
void cluster_wait(Place at) { part<Cluster>().wait(at); }

uint32_t mapa(uint32_t address, int rank, Place at) {
  if (rank >= cluster_size()) fail(at, "there is no block %d in a cluster of %d", rank, cluster_size());
  if (static_cast<int>(address >> 24) != self().block->rank)
    fail(at, "%#x is no address of this block's shared memory", address);
  return (address & 0xffffff) | static_cast<uint32_t>(rank) << 24;
}

char* reach_shared(uint32_t address, size_t bytes, Place at) {
  char* const p = shared_pointer(address, bytes, bytes, at);
  Block& block = shared_block(address, at);
  const Thread& me = self();
  if (&block != me.block) {
    bool started = part<Cluster>().phases_met(me) > 0;
    for (const Thread& t : block.threads) started |= happened(t.id, 1, agent_of(me));
    if (!started) fail(at, "block %d of the cluster may not have started: no barrier orders this access", block.rank);
    part<Cluster>().reaches(block, me.id, me.own, at);
  }
  return p;
}

}  // namespace gpukern::model
