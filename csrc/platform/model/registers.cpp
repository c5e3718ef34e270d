// setmaxnreg and elect.sync, according to the PTX ISA.
#include "registers.h"

#include <map>

#include "agents.h"
#include "warp.h"

namespace gpukern::model {
namespace {

constexpr int kFile = 65536, kWarp = 32, kMost = 255, kStep = 8;

// The registers of one block: warpgroups redistribute those it was launched with.
struct File {
  std::vector<int> held;  // registers per thread, by warp
  int free = 0;           // unassigned registers of the block
  Place last{};           // the last change
  std::vector<Thread*> waiting;
};

struct Registers : Part {
  std::map<int, File> files;  // by rank

  File& of(const Block& block) {
    File& f = files[block.rank];
    if (f.held.empty()) {
      const int threads = static_cast<int>(block.threads.size());
      const int each = std::min(kMost / kStep * kStep, kFile / threads / kStep * kStep);
      f.held.assign(block.warps.size(), each);
    }
    return f;
  }
  void cluster_ends() override {
    for (const auto& [rank, f] : files)
      for (size_t w = 0; w < f.held.size(); ++w)
        if (f.held[w] != f.held[w / 4 * 4])
          fail(f.last, "warp %zu of block %d ends with %d registers a thread, and warp %zu of its warpgroup with %d", w,
               rank, f.held[w], w / 4 * 4, f.held[w / 4 * 4]);
  }
};

}  // namespace

void setmaxnreg(int count, bool more, Place at) {
  if (count < 24 || count > 256 || count % kStep) fail(at, "%d registers; a multiple of 8 from 24 to 256", count);
  const Block& block = *self().block;
  const int warp = self().number / kWarp;
  File& file = part<Registers>().of(block);
  const int before = file.held[warp];
  if (more ? count < before : count > before)
    fail(at, "%d registers a thread: this warp has %d already", count, before);
  collective(0xffffffff, nullptr, at, [](void* const*) {});
  if (file.held[warp] == count) return;  // another lane has done it
  const int wanted = (count - file.held[warp]) * kWarp;
  while (file.free < wanted) {
    file.waiting.push_back(&self());
    Place here = at;
    here.word = part<Agents>().word(std::string(at.word) + " (" + std::to_string(wanted) + " registers more, and " +
                                    std::to_string(file.free) + " are free)");
    wait(here);
    if (file.held[warp] == count) return;
  }
  file.free -= wanted;
  file.held[warp] = count;
  file.last = at;
  if (wanted >= 0 && file.waiting.empty()) return;
  for (Thread* t : file.waiting) wake(*t);
  file.waiting.clear();
}

bool elect_sync(Place at) {
  // The manual does not say which lane is elected: with a random order it is a random one.
  const Settings& s = running_settings();
  const int leader =
      s.order == Order::random || s.order == Order::pct ? static_cast<int>(s.seed * 2654435761u >> 27) : 0;
  collective(0xffffffff, nullptr, at, [](void* const*) {});
  return self().number % wave() == leader % wave();
}

}  // namespace gpukern::model
