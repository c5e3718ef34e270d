// Vector clocks (Fidge 1988, Mattern 1989) for the race detector: which accesses of others a thread knows of.
//
// A thread's clock advances when it releases (arrives at a barrier).  Every thread that acquires (leaves that barrier)
// then knows of its earlier accesses.  All threads that leave one barrier share one vector.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace gpukern::model {

using Clock = std::vector<uint32_t>;  // by a thread's number in its cluster
using Known = std::shared_ptr<const Clock>;

inline void join(Clock& into, const Clock& other) {
  if (into.size() < other.size()) into.resize(other.size(), 0);
  for (size_t i = 0; i < other.size(); ++i) into[i] = std::max(into[i], other[i]);
}

// The combined knowledge of the threads that have arrived at a barrier.
class Gathered {
 public:
  void add(const Known& known, uint32_t thread, uint32_t own) {
    if (known && known != last_) join(all_, *known);
    last_ = known;
    if (all_.size() <= thread) all_.resize(thread + 1, 0);
    all_[thread] = std::max(all_[thread], own);
  }
  void add(const Clock& other) { join(all_, other); }
  const Clock& all() const { return all_; }
  Known take() {
    last_.reset();
    return std::make_shared<const Clock>(std::move(all_));
  }
  void clear() {
    all_.clear();
    last_.reset();
  }

 private:
  Clock all_;
  Known last_;
};

}  // namespace gpukern::model
