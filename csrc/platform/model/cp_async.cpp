// cp.async and named barriers, according to the PTX ISA.
#include "cp_async.h"

#include <cstring>
#include <utility>

#include "memory.h"
#include "named_barrier.h"

namespace gpukern::model {

// A copy completes at the wait, the latest possible moment: until then its bytes hold poison, and no thread may use
// them.
void copy_async(uint32_t to, const void* from, int bytes, int valid, Place at) {
  if (valid < 0 || valid > bytes) fail(at, "%d of %d bytes are to be copied", valid, bytes);
  shared_pointer(to, bytes, bytes, at);
  const auto* const source = static_cast<const char*>(from);
  if (valid && reinterpret_cast<uintptr_t>(source) % bytes)
    fail(at, "a copy of %d bytes from %p, which is not a multiple of that", bytes, from);
  if (valid) access(source, valid, Kind::read, at);
  Thread& me = self();
  begin_copy(shared_block(to, at), shared_offset(to), bytes, agent_of(me), at);
  me.open_group.push_back({to, source, bytes, valid, at});
}

void commit_copies(Place) {
  Thread& me = self();
  me.copy_groups.push_back(std::exchange(me.open_group, {}));
}

void wait_for_copies(int still_under_way, Place) {
  Thread& me = self();
  while (static_cast<int>(me.copy_groups.size()) > still_under_way) {
    for (const Copy& c : me.copy_groups.front()) {
      char* const to = shared_pointer(c.to, c.bytes, c.bytes, c.at);
      std::memcpy(to, c.from, c.valid);
      std::memset(to + c.valid, 0, c.bytes - c.valid);
      end_copy(shared_block(c.to, c.at), shared_offset(c.to), c.bytes, agent_of(me), c.at);
    }
    me.copy_groups.pop_front();
  }
  yield();
}

void named_barrier(int id, int threads, bool wait_here, Place at) {
  if (id < 0 || id > 15) fail(at, "a block has barriers 0 to 15, and no %d", id);
  barrier(id, threads, wait_here, at);
}

}  // namespace gpukern::model
