// The model of ../cluster_launch.h.
#pragma once
#include "words.h"

namespace gpukern::platform {

// As launch(), with clusters of `cluster` neighbouring blocks.  overlaps: see model::hold; its threads may touch global
// memory only after griddepcontrol_wait, even if no launch precedes it.
template <class... Parameters, class... Arguments>
int launch_clusters(void (*kernel)(Parameters...), int cluster, bool overlaps, dim3 grid, dim3 block, size_t shared,
                    Stream, Arguments... arguments) {
  model::last_error() = model::run({reinterpret_cast<const void*>(kernel), grid, block, shared,
                                    [=] { kernel(static_cast<Parameters>(arguments)...); }, dim3(cluster), overlaps});
  return model::last_error().empty() ? 0 : 1;
}

}  // namespace gpukern::platform
