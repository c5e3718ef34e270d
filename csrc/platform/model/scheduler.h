// What the parts of the scheduler share: a launch that runs, and the launches of a thread of the host.
#pragma once
#include "memory.h"
#include "region.h"

namespace gpukern::model {

struct Machine {
  const Launch launch;
  const dim3 &grid = launch.grid, &block_dim = launch.block;
  const Settings settings;
  Remembered memory;               // while another machine runs
  Window outside{};                // the same of `window`
  uint64_t next_block = 0;         // of the next cluster
  bool begun = false;              // its first cluster runs
  Machine* next = nullptr;         // the launch behind it, which may overlap it
  bool follows = false;            // the launch before it has not ended
  bool stuck = false;              // meanwhile: no thread of it can go on
  std::vector<Thread*> following;  // that wait for that launch
  Report report;
  std::vector<Block> blocks;  // of the cluster that runs
  std::vector<Region> shared;
  Region stacks;
  Fiber scheduler;
  Thread* current = nullptr;
  std::vector<Thread*> ready;
  std::vector<std::function<void()>> pending;
  std::vector<uint32_t> priority;  // a warp each, and the asynchronous work last; the smallest runs first
  std::map<const void*, std::unique_ptr<Part>> parts;  // of the cluster that runs
  uint32_t state = 1;
  std::string error;
  Known learner, lesson, learnt;  // the last acquire: what was known, what came to it, the two together
  int live = 0;

  uint32_t random() {  // xorshift (Marsaglia 2003)
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
  }
  void leave() { Fiber::swap(current->fiber, scheduler); }
  bool shuffled() const { return settings.order == Order::random || settings.order == Order::pct; }

  Machine(Launch what, Settings how, Remembered where)
      : launch(std::move(what)),
        settings(how),
        memory(std::move(where)),
        blocks(launch.cluster.x),
        shared(launch.cluster.x) {}
  void run();
  void begin_cluster();
  bool step();  // one thread until it waits, or one piece of asynchronous work; false: there is none that can go on
  void end_cluster();
  bool next_goes_first();
  void advance();  // a step, while the launch before has not ended
  void previous_has_ended();
  void start(Block& block, uint32_t first_id, char* stacks_at);
  Thread* pick();
  bool pending_goes_first();
  void run_pending();
  void describe_deadlock();
};

// Kept apart and plain, as `window` is.
extern thread_local Machine* machine __attribute__((tls_model("initial-exec")));

std::string name_of(const void* function);

// While it lives this machine's threads are those that run.
class Turn {
 public:
  explicit Turn(Machine& m) : mine_(m), before_(machine) {
    exchange(m.memory);
    std::swap(window, m.outside);
    machine = &m;
  }
  ~Turn() {
    machine = before_;
    std::swap(window, mine_.outside);
    exchange(mine_.memory);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Machine& mine_;
  Machine* const before_;
};

}  // namespace gpukern::model
