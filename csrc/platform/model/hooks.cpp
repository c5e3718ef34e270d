// The functions that -fsanitize=thread inserts calls to.  The sanitizer's own run-time library is not linked.
#include "memory.h"

#define GPUKERN_HOOK extern "C" __attribute__((visibility("default"), used)) void
namespace {
inline void announce(const void* address, size_t bytes, bool write, const void* pc, bool aligned = false) {
  const auto* at = static_cast<const char*>(address);
  const gpukern::model::Window& w = gpukern::model::window;
  if (!w.watching || (at >= w.stacks_begin && at < w.stacks_end)) return;
  gpukern::model::access(at, bytes, write, pc, aligned);
}
}  // namespace

#define GPUKERN_ACCESS(NAME, BYTES, WRITE, ALIGNED) \
  GPUKERN_HOOK NAME(void* address) { announce(address, BYTES, WRITE, __builtin_return_address(0), ALIGNED); }
GPUKERN_ACCESS(__tsan_read1, 1, false, true)
GPUKERN_ACCESS(__tsan_read2, 2, false, true)
GPUKERN_ACCESS(__tsan_read4, 4, false, true)
GPUKERN_ACCESS(__tsan_read8, 8, false, true)
GPUKERN_ACCESS(__tsan_read16, 16, false, true)
GPUKERN_ACCESS(__tsan_write1, 1, true, true)
GPUKERN_ACCESS(__tsan_write2, 2, true, true)
GPUKERN_ACCESS(__tsan_write4, 4, true, true)
GPUKERN_ACCESS(__tsan_write8, 8, true, true)
GPUKERN_ACCESS(__tsan_write16, 16, true, true)
GPUKERN_ACCESS(__tsan_unaligned_read2, 2, false, false)
GPUKERN_ACCESS(__tsan_unaligned_read4, 4, false, false)
GPUKERN_ACCESS(__tsan_unaligned_read8, 8, false, false)
GPUKERN_ACCESS(__tsan_unaligned_read16, 16, false, false)
GPUKERN_ACCESS(__tsan_unaligned_write2, 2, true, false)
GPUKERN_ACCESS(__tsan_unaligned_write4, 4, true, false)
GPUKERN_ACCESS(__tsan_unaligned_write8, 8, true, false)
GPUKERN_ACCESS(__tsan_unaligned_write16, 16, true, false)

GPUKERN_HOOK __tsan_read_range(void* address, size_t bytes) {
  announce(address, bytes, false, __builtin_return_address(0));
}
GPUKERN_HOOK __tsan_write_range(void* address, size_t bytes) {
  announce(address, bytes, true, __builtin_return_address(0));
}
GPUKERN_HOOK __tsan_vptr_update(void**, void*) {}
GPUKERN_HOOK __tsan_vptr_read(void**) {}
GPUKERN_HOOK __tsan_func_entry(void*) {}
GPUKERN_HOOK __tsan_func_exit() {}
GPUKERN_HOOK __tsan_init() {}
