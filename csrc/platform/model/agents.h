// Agents other than threads: the numbers that copies and matrix units have in the vector clocks (clocks.h), and texts
// for messages that are made while a kernel runs.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "memory.h"

namespace gpukern::model {

class Agents : public Part {
 public:
  // A number for one operation; after finish() it is reused, with a later clock.
  Agent start(std::string name) {
    if (free_.empty()) {
      free_.push_back(static_cast<uint32_t>(clocks_.size()));
      clocks_.push_back(0);
    }
    const uint32_t slot = free_.back();
    free_.pop_back();
    name_agent(first_agent() + slot, std::move(name));
    return {first_agent() + slot, ++clocks_[slot], nullptr, true};
  }
  void finish(const Agent& agent) { free_.push_back(agent.id - first_agent()); }
  // A number that is never reused.
  uint32_t permanent(std::string name) { return start(std::move(name)).id; }

  const char* word(const std::string& text) { return words_.insert(text).first->c_str(); }

 private:
  std::vector<uint32_t> clocks_, free_;
  std::set<std::string> words_;
};

// What the running thread knows, its own clock included.
inline Known knowledge() {
  const Thread& me = self();
  Clock known = me.known ? *me.known : Clock();
  if (known.size() <= me.id) known.resize(me.id + 1, 0);
  known[me.id] = std::max(known[me.id], me.own);
  return std::make_shared<const Clock>(std::move(known));
}
// The running thread learns that `id` has reached `clock`.
inline void acquire(uint32_t id, uint32_t clock) {
  Clock one(id + 1, 0);
  one[id] = clock;
  acquire(std::make_shared<const Clock>(std::move(one)));
}

inline std::string text_of(Place at) {
  const std::string file = at.file;
  return std::string(at.word) + " at " + file.substr(file.rfind('/') + 1) + ":" + std::to_string(at.line);
}
inline std::string name_of(const Thread& t) {
  const dim3& b = t.block->index;
  return "thread " + std::to_string(t.number) + " of block (" + std::to_string(b.x) + "," + std::to_string(b.y) + "," +
         std::to_string(b.z) + ")";
}

}  // namespace gpukern::model
