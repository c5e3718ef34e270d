// A machine that executes kernels on the CPU: a fiber a thread, a scheduler, shared memory that ends at unmapped pages.
//
// The words of device code (words.h) call in here where threads meet: barriers and warp collectives.  Everything
// between two such calls runs undisturbed, so an order of execution is the order in which the scheduler picks threads;
// it is decided by Settings alone and repeats exactly.  What the threads read and write is watched by memory.h.
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
  bool exited = false;  // whether a cluster's barrier does without threads that have ended, as the PTX ISA has it
};

// A line of a kernel, and the word it says there.
struct Place {
  const char* word;
  const char* file;
  int line;
};
#define GPUKERN_HERE(word) \
  ::gpukern::model::Place { word, file, line }

struct Block;

// An asynchronous copy (cp.async) that has been asked for and not been waited for.
struct Copy {
  uint32_t to;
  const char* from;
  int bytes, valid;  // what lies behind `valid` becomes 0
  Place at;
};

struct Thread {
  Fiber fiber;
  Block* block = nullptr;
  int number = 0;             // in its block
  uint32_t id = 0, warp = 0;  // in its cluster
  dim3 index;
  bool done = false, queued = false;
  bool follows = false;  // has waited for the launch before this one
  Place at{};            // where it waits, or waited last
  uint32_t own = 1;      // its clock
  Known known;           // what it knows of the others'
  std::vector<Copy> open_group;
  std::deque<std::vector<Copy>> copy_groups;  // committed, oldest first
};

// A rendezvous of the lanes of a mask.
struct Meeting {
  uint64_t mask = 0, arrived = 0;
  Place at{};
  void* argument[64] = {};
  Gathered gathered;
};
struct Warp {
  Meeting meetings[4];  // disjoint masks may be under way at once
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
  bool followed = false, told = false;  // a thread has waited for the launch before, has let the next one start
  char* shared = nullptr;
  size_t shared_bytes = 0;                // asked for: at the launch, then by the static variables of the kernel
  size_t shared_room = 0;                 // up to the unmapped page
  std::map<const void*, size_t> statics;  // a static variable -> its offset
  std::deque<Thread> threads;
  std::vector<Warp> warps;
  std::map<int, Barrier> barriers;
};

// What a launch did.
struct Report {
  uint64_t blocks = 0, threads = 0, barriers = 0, collectives = 0, switches = 0;
};

// ---- for words.h and its kin ------------------------------------------------------------------------

bool running();  // whether a thread of the model calls
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
// Lets others overtake, where the order is a random one.
void yield();

// What some words of device code (mbarrier.h, say) keep while a cluster runs, and are told.
struct Part {
  virtual ~Part() = default;
  virtual void thread_ends(Thread&) {}
  virtual void cluster_ends() {}                 // all its threads have
  virtual std::string deadlock() { return ""; }  // what is known of what the threads wait for
  virtual bool time_passes() { return false; }   // nothing else can happen: whether a wait with a bound ends now
};
std::unique_ptr<Part>& part_at(const void* key);
template <class T> T& part() {
  static const char key = 0;
  std::unique_ptr<Part>& place = part_at(&key);
  if (!place) place = std::make_unique<T>();
  return static_cast<T&>(*place);
}

// What happened before reaches whoever acquires what was gathered here.
void release(Gathered& into);
void acquire(const Known& known);

// Barrier `id` of the block, for `expected` threads (-1: all of them, and all at one line).
void barrier(int id, int expected, bool wait, Place at);

// The last lane of the mask to arrive runs `act` on everybody's argument; then all go on.  `orders`: memory too.
void collective(uint64_t mask, void* argument, Place at, const std::function<void(void* const*)>& act,
                bool orders = false);

// Launches of a stream that overlap (programmatic dependent launch): until the one before has ended; the next may
// start.
void wait_for_previous(Place at);
void let_next_start();
// Whether the running thread may not touch global memory yet.  Each thread says the word for itself.
bool ahead_of_previous();

// Things that happen beside the threads (asynchronous copies): `act` runs at some moment that the schedule picks.
void later(std::function<void()> act);

// ---- for launches and tests --------------------------------------------------------------------------

// One launch of a kernel.
struct Launch {
  const void* kernel;  // its address, by which messages name it
  dim3 grid, block;
  size_t shared;
  std::function<void()> thread;  // what each thread runs; it holds the arguments
  dim3 cluster = dim3();         // blocks that run together
  bool overlaps = false;         // it may start before the launch ahead of it has ended
};
// Runs every block of the grid; "" or what went wrong.
std::string run(Launch launch);

// From here on launches are those of one stream: they are kept, with the buffers and settings of their moment, and run
// by `finish`, in order.  One that overlaps starts as soon as all blocks of the one before have let it, or ended.
void hold();
std::string finish();

Settings& settings();       // of the next launch on this thread of the host
Report& report();           // added up since it was last cleared
std::string& last_error();  // of the last launch on this thread of the host

// "kernel.cuh:123" of an address in the library, the innermost line that is not the model's own.
std::string line_of(const void* address);

}  // namespace gpukern::model
