// The machine model runs kernels on the CPU: one fiber per thread, a scheduler, shared memory that ends at unmapped
// pages.
//
// Primitives (words.h) call functions of this header where threads synchronise: barriers and warp collectives.  A
// thread runs without interruption between two such calls, so the order of execution is the order in which the
// scheduler picks threads.  Settings alone decide it, so it repeats exactly.  memory.h checks what the threads read and
// write.
#pragma once
#include <cstdarg>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "clocks.h"
#include "fiber.h"

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr uint64_t count() const { return uint64_t{x} * y * z; }
};

namespace gpukern::model {

// Which thread runs next.  pct: warps have random priorities, some of which change now and then (Burckhardt et al.
// 2010, "A randomized scheduler with probabilistic guarantees of finding bugs"); of the four it finds most faults.
enum class Order : int { fifo, lifo, random, pct };

struct Settings {
  Order order = Order::fifo;
  uint32_t seed = 1;
  int wave = 32;        // lanes of a warp: 64 on CDNA
  bool check = true;    // races and uninitialised reads
  bool count = false;   // bank conflicts and global transactions, by line
  bool exited = false;  // whether a cluster's barrier counts ended threads as arrived, as in the PTX ISA
};

// A line of a kernel, and the primitive (`word`) that it calls there.
struct Place {
  const char* word;
  const char* file;
  int line;
};
#define GPUKERN_HERE(word) \
  ::gpukern::model::Place { word, file, line }

struct Block;

// An asynchronous copy (cp.async) between its start and its wait.
struct Copy {
  uint32_t to;
  const char* from;
  int bytes, valid;  // the bytes beyond `valid` become 0
  Place at;
};

struct Thread {
  Fiber fiber;
  Block* block = nullptr;
  int number = 0;             // in its block
  uint32_t id = 0, warp = 0;  // in its cluster
  dim3 index;
  bool done = false, queued = false;
  bool follows = false;  // has waited for the previous launch
  Place at{};            // where it waits, or waited last
  uint32_t own = 1;      // its clock
  Known known;           // the clocks of others that it knows
  std::vector<Copy> open_group;
  std::deque<std::vector<Copy>> copy_groups;  // committed, oldest first
};

// A collective of the lanes of a mask, while lanes arrive.
struct Meeting {
  uint64_t mask = 0, arrived = 0;
  Place at{};
  void* argument[64] = {};
  Gathered gathered;
};
struct Warp {
  Meeting meetings[4];  // there may be several with disjoint masks
};

struct Barrier {
  int arrived = 0, expected = 0;
  Place first{};
  std::vector<Thread*> waiting;
  Gathered gathered;
};

struct Block {
  dim3 index;
  int rank = 0;  // in its cluster
  int live = 0;
  bool followed = false, told = false;  // a thread has waited for the previous launch, has let the next one start
  char* shared = nullptr;
  size_t shared_bytes = 0;                // requested: by the launch, then by the static variables of the kernel
  size_t shared_room = 0;                 // up to the unmapped page
  std::map<const void*, size_t> statics;  // a static variable -> its offset
  std::deque<Thread> threads;
  std::vector<Warp> warps;
  std::map<int, Barrier> barriers;
};

// Counts of a launch.
struct Report {
  uint64_t blocks = 0, threads = 0, barriers = 0, collectives = 0, switches = 0;
};

// ---- for the primitives -----------------------------------------------------------------------------

bool running();  // whether the caller is a modelled thread
Thread& self();
Block& block_of(int rank);  // of the cluster that runs
int cluster_size();
const dim3& block_dim();
const dim3& grid_dim();
const Settings& running_settings();
inline int wave() { return running_settings().wave; }
uint32_t random();  // of the schedule

// Ends the launch with a sentence that names kernel, block, thread and line.
[[noreturn]] void fail(Place at, const char* format, ...) __attribute__((format(printf, 2, 3)));
// Some primitives are NVIDIA's, whose warps have 32 lanes.
inline void need_a_warp_of_32(Place at) {
  if (wave() != 32) fail(at, "a primitive of warps of 32 lanes; here they have %d", wave());
}

// The running thread stops until `wake`.
void wait(Place at);
void wake(Thread& thread);
// Lets other threads run first, if the order is random.
void yield();

// The state that a kind of primitive (mbarrier.h, say) keeps while a cluster runs, and the events that it receives.
struct Part {
  virtual ~Part() = default;
  virtual void thread_ends(Thread&) {}
  virtual void cluster_ends() {}                 // after its last thread
  virtual std::string deadlock() { return ""; }  // text for the report: what the threads wait for
  virtual bool time_passes() { return false; }   // no thread can go on: whether a wait with a bound ends now
};
std::unique_ptr<Part>& part_at(const void* key);
template <class T> T& part() {
  static const char key = 0;
  std::unique_ptr<Part>& place = part_at(&key);
  if (!place) place = std::make_unique<T>();
  return static_cast<T&>(*place);
}

// release: adds what the running thread knows to `into`.  acquire: the running thread learns it.
void release(Gathered& into);
void acquire(const Known& known);

// Barrier `id` of the block, for `expected` threads (-1: all of them, and all at one line).
void barrier(int id, int expected, bool wait, Place at);

// The last lane of the mask to arrive runs `act` on the arguments of all; then all go on.  `orders`: it orders memory
// accesses too.
void collective(uint64_t mask, void* argument, Place at, const std::function<void(void* const*)>& act,
                bool orders = false);

// Launches of a stream that overlap (programmatic dependent launch): waits until the previous one has ended; and:
// allows the next one to start.
void wait_for_previous(Place at);
void let_next_start();
// Whether the running thread may not touch global memory yet.  Each thread must call griddepcontrol_wait itself.
bool ahead_of_previous();

// Asynchronous work (copies, matrix units): `act` runs at a moment that the schedule picks.
void later(std::function<void()> act);

// ---- for launches and tests --------------------------------------------------------------------------

// One launch of a kernel.
struct Launch {
  const void* kernel;  // its address; messages have its name
  dim3 grid, block;
  size_t shared;
  std::function<void()> thread;  // what each thread runs, with the arguments
  dim3 cluster = dim3();         // blocks that run together
  bool overlaps = false;         // it may start before the previous launch has ended
};
// Runs every block of the grid; "" or the fault.
std::string run(Launch launch);

// Queues the following launches in one stream, with the current buffers and settings; `finish` runs them in order.  A
// launch that overlaps may start as soon as all blocks of the previous one have allowed it or ended.
void hold();
std::string finish();

Settings& settings();       // of the next launch on this host thread
Report& report();           // added up since it was last cleared
std::string& last_error();  // of the last launch on this host thread

// "kernel.cuh:123" of an address in the library, the innermost line that is not the model's own.
std::string line_of(const void* address);

}  // namespace gpukern::model
