// Checks of memory accesses: with -fsanitize=thread the compiler inserts a call for every access of a kernel to memory,
// as for its own race detector, and hooks.cpp passes these calls to this header.
//
// It finds reads of shared memory that no thread wrote; two accesses to a byte, one of them a write, that no barrier
// orders; accesses outside the buffers of a launch; writes to its inputs.  If requested it counts the passes over the
// banks of shared memory and the 32-byte sectors of global memory for each request of a warp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "machine.h"

namespace gpukern::model {

// One byte of marks for each byte of a buffer, shared by all launches that use it.  Its functions lie in written.cpp,
// which is compiled without -fsanitize=thread; those of std::shared_ptr would be compiled into the kernels' files.
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

// A buffer of global memory: [begin, end) may be used; [low, high) around it belongs to no other buffer.
struct Buffer {
  std::string name;
  const char *begin, *end, *low, *high;
  bool writable;
  Marks written = {};  // see written.h; empty for inputs
};
std::vector<Buffer>& buffers();  // of the next launch on this host thread; empty: global memory is not checked

// Addresses that need no check: the stacks of the threads, and everything while no thread runs.  A plain struct of its
// own, because every access reads it.
struct Window {
  bool watching;
  const char *stacks_begin, *stacks_end;
};
extern thread_local Window window __attribute__((tls_model("initial-exec")));

// The records of one launch while another runs; initially the current buffers without any access.
using Remembered = std::shared_ptr<void>;
Remembered remember();
void exchange(Remembered& other);  // swaps it with the records of the running launch

// Called by the scheduler.
void start_memory();        // at the start of a launch
void start_block_memory();  // before a cluster runs
void end_block_memory();
void end_memory();

// One access of the running thread.  `pc`: its code address; `aligned`: the address must be a multiple of the size.
void access(const char* address, size_t bytes, bool write, const void* pc, bool aligned = false);

// The kind of an access.  Atomics race with plain accesses and not with each other; they order nothing.
enum class Kind { read, write, atomic };

// The same for a primitive that reads or writes memory, at the line where the running thread calls it; the primitive
// has checked the alignment.
void access(const void* address, size_t bytes, Kind kind, Place at);

// The author of an access to shared memory, with its knowledge at the time of the instruction; for asynchronous copies.
struct Agent {
  uint32_t id, own;
  Known known;
  bool async = false;  // through the async proxy, which sees the threads' writes only after a proxy fence
};
Agent agent_of(const Thread& thread);

// Indices of vector clocks: first the threads, then the threads as seen through a proxy fence, then other agents.
uint32_t first_agent();
inline uint32_t fenced_id(uint32_t thread) { return first_agent() / 2 + thread; }
void name_agent(uint32_t id, std::string name);                  // as messages call it
bool happened(uint32_t id, uint32_t clock, const Agent& agent);  // whether the agent knows of it
void shared_access(Block& block, size_t offset, size_t bytes, bool write, const Agent& agent, Place at);

// The same for global memory.
void global_access(const Block& block, const char* address, size_t bytes, bool write, const Agent& agent, Place at);

// While a copy into shared memory is in flight its bytes hold poison, and touching them is a fault.  Afterwards they
// count as written by `agent`.
void begin_copy(Block& block, size_t offset, size_t bytes, const Agent& agent, Place at);
void end_copy(Block& block, size_t offset, size_t bytes, const Agent& agent, Place at);

// A static shared variable of the running block, identified by an address; initially poison.
void* static_shared(const void* variable, size_t bytes, size_t alignment);

// Shared addresses as in device code: 32 bits, here with the block's rank in the top byte.
uint32_t shared_address(const void* pointer, Place at);
// The pointer for an address, after checks of bounds and alignment.
char* shared_pointer(uint32_t address, size_t bytes, size_t alignment, Place at);
Block& shared_block(uint32_t address, Place at);
size_t shared_offset(uint32_t address);

// The counts of launches since the last call, by line.
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
