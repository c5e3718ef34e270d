// Words about the threads themselves: registers, a leader, kernels that follow one another.
#pragma once
#include "mbarrier.h"

namespace gpukern {
namespace model {
void setmaxnreg(int count, bool more, Place at);
bool elect_sync(Place at);
}  // namespace model

inline bool has_sm90a() { return true; }

// A warpgroup takes or gives back registers, N a thread afterwards.
template <int N> void setmaxnreg_inc(GPUKERN_SAID_AT) { model::setmaxnreg(N, true, GPUKERN_HERE("setmaxnreg_inc")); }
template <int N> void setmaxnreg_dec(GPUKERN_SAID_AT) { model::setmaxnreg(N, false, GPUKERN_HERE("setmaxnreg_dec")); }

// True in one lane of the warp, and every time in the same.
inline bool elect_sync(GPUKERN_SAID_AT) { return model::elect_sync(GPUKERN_HERE("elect_sync")); }

// Until the kernels before this one have ended; and: the next kernel may start.
inline void griddepcontrol_wait(GPUKERN_SAID_AT) {
  GPUKERN_NOTE(waits::Word::earlier_kernels, 0, 0);
  model::wait_for_previous(GPUKERN_HERE("griddepcontrol_wait"));
}
inline void griddepcontrol_launch_dependents() { model::let_next_start(); }

namespace platform {

// As launch(), with clusters of `cluster` blocks side by side.  overlaps: see model::hold; whatever runs before it, its
// threads touch global memory behind griddepcontrol_wait only.
template <class... Parameters, class... Arguments>
int launch_clusters(void (*kernel)(Parameters...), int cluster, bool overlaps, dim3 grid, dim3 block, size_t shared,
                    Stream, Arguments... arguments) {
  model::last_error() = model::run({reinterpret_cast<const void*>(kernel), grid, block, shared,
                                    [=] { kernel(static_cast<Parameters>(arguments)...); }, dim3(cluster), overlaps});
  return model::last_error().empty() ? 0 : 1;
}

}  // namespace platform
}  // namespace gpukern
