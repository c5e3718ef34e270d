// What threads read and write, watched: the compiler is asked to announce every access of a kernel to memory, as it
// would to its own race detector (-fsanitize=thread), and the announcements come here (hooks.cpp).
//
// Found: reads of shared memory that nobody wrote; two accesses to a byte, one of them a write, that no barrier orders;
// accesses outside the buffers of a launch, and writes to its inputs.  Counted, where asked: the banks of shared memory
// and the 32-byte sectors of global memory that each request of a warp touches.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "machine.h"

namespace gpukern::model {

// A byte a byte of a buffer, one for all launches that have it.  Its functions lie in written.cpp, where no compiler
// announces what they do; those of std::shared_ptr would be part of the kernels' files.
class Marks {
 public:
  Marks() = default;
  Marks(const Marks& other);
  Marks& operator=(const Marks& other);
  ~Marks();
  void make(size_t bytes, uint8_t value);
  explicit operator bool() const { return kept_ != nullptr; }
  uint8_t* data() const;

 private:
  struct Kept;
  Kept* kept_ = nullptr;
};

// A buffer of global memory: [begin, end) may be used; [low, high) around it is known to be nobody else's.
struct Buffer {
  std::string name;
  const char *begin, *end, *low, *high;
  bool writable;
  Marks written = {};  // as written.h has it; none: it is not remembered
};
std::vector<Buffer>& buffers();  // of the next launch on this thread of the host; empty: global memory is not watched

// Where accesses need no look: the stacks of the threads, and everything while no thread runs.  Kept apart and plain,
// since every access asks.
struct Window {
  bool watching;
  const char *stacks_begin, *stacks_end;
};
extern thread_local Window window __attribute__((tls_model("initial-exec")));

// What is remembered of one launch while another runs: at first the buffers of this moment, and nothing of them.
using Remembered = std::shared_ptr<void>;
Remembered remember();
void exchange(Remembered& other);  // with what is remembered of the launch that runs

// By the scheduler.
void start_memory();        // of a launch
void start_block_memory();  // of the cluster that is about to run
void end_block_memory();
void end_memory();

// One access of the running thread.  `pc`: where; `aligned`: to its own size, or the device faults.
void access(const char* address, size_t bytes, bool write, const void* pc, bool aligned = false);

// What an access does.  Atomics race with plain accesses and not with each other; they order nothing.
enum class Kind { read, write, atomic };

// The same for a word that reads or writes itself, at the place where the running thread says it; the word has looked
// at the alignment.
void access(const void* address, size_t bytes, Kind kind, Place at);

// An access to shared memory on behalf of `thread`, as it stood when it asked for it; for asynchronous copies.
struct Agent {
  uint32_t id, own;
  Known known;
  bool async = false;  // through the async proxy, to which what threads wrote is visible only behind a proxy fence
};
Agent agent_of(const Thread& thread);

// The clocks' numbers: threads come first, then what is known of them through a proxy fence, then whoever else acts.
uint32_t first_agent();
inline uint32_t fenced_id(uint32_t thread) { return first_agent() / 2 + thread; }
void name_agent(uint32_t id, std::string name);                  // as messages call it
bool happened(uint32_t id, uint32_t clock, const Agent& agent);  // before what the agent does
void shared_access(Block& block, size_t offset, size_t bytes, bool write, const Agent& agent, Place at);

// The same for global memory.
void global_access(const Block& block, const char* address, size_t bytes, bool write, const Agent& agent, Place at);

// A copy into shared memory is under way: its bytes are poison, and who touches them is at fault.  When it has ended
// they were written by `agent`.
void begin_copy(Block& block, size_t offset, size_t bytes, const Agent& agent, Place at);
void end_copy(Block& block, size_t offset, size_t bytes, const Agent& agent, Place at);

// A static variable of the block that runs, told apart by the address of something of its own; poison at first.
void* static_shared(const void* variable, size_t bytes, size_t alignment);

// Shared addresses as device code has them: 32 bits, the block's rank in the top byte.
uint32_t shared_address(const void* pointer, Place at);
// The memory of an address, checked: bounds, alignment.
char* shared_pointer(uint32_t address, size_t bytes, size_t alignment, Place at);
Block& shared_block(uint32_t address, Place at);
size_t shared_offset(uint32_t address);

// What was counted in the launches since the last call, by line.
struct LineCount {
  std::string line;
  bool shared, write;
  uint64_t requests = 0;    // of warps
  uint64_t bytes = 0;       // of threads
  uint64_t wavefronts = 0;  // shared: passes over the banks; global: sectors of 32 bytes
  uint64_t ideal = 0;       // the fewest that would move these bytes
};
std::vector<LineCount> take_counts();

}  // namespace gpukern::model
