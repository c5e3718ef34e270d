// Shared by the parts of the scheduler: a running launch, and the launches of a host thread.
#pragma once
#include "memory.h"
#include "region.h"

namespace gpukern::model {

struct Machine {
  const Launch launch;
  const dim3 &grid = launch.grid, &block_dim = launch.block;
  const Settings settings;
  Remembered memory;               // its records while another machine runs
  Window outside{};                // its `window` while another machine runs
  uint64_t next_block = 0;         // the first block of the next cluster
  bool begun = false;              // its first cluster has started
  Machine* next = nullptr;         // the next launch, which may overlap it
  bool follows = false;            // the previous launch has not ended
  bool stuck = false;              // if `follows`: no thread of it can go on
  std::vector<Thread*> following;  // the threads that wait for the previous launch
  Report report;
  std::vector<Block> blocks;  // of the cluster that runs
  std::vector<Region> shared;
  Region stacks;
  Fiber scheduler;
  Thread* current = nullptr;
  std::vector<Thread*> ready;
  std::vector<std::function<void()>> pending;
  std::vector<uint32_t> priority;  // of each warp, and last of asynchronous work; the smallest runs first
  std::map<const void*, std::unique_ptr<Part>> parts;  // of the cluster that runs
  uint32_t state = 1;
  std::string error;
  Known learner, lesson, learnt;  // the last acquire: the knowledge before it, what was learnt, the two joined
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
  bool step();  // runs one thread until it waits, or one piece of asynchronous work; false if none can go on
  void end_cluster();
  bool next_goes_first();
  void advance();  // a step while the previous launch has not ended
  void previous_has_ended();
  void start(Block& block, uint32_t first_id, char* stacks_at);
  Thread* pick();
  bool pending_goes_first();
  void run_pending();
  void describe_deadlock();
};

// A plain variable, like `window`.
extern thread_local Machine* machine __attribute__((tls_model("initial-exec")));

std::string name_of(const void* function);

// During its lifetime this machine is the running one.
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
