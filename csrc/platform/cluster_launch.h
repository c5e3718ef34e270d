// Launches of clusters, and of kernels that may start before the previous ones in the stream have ended (sm_90).
#pragma once
#include "gpu.h"
#if defined(GPUKERN_MODEL)
#include "model/cluster_launch.h"
#else
#include "waits.h"
#include "waits_host.h"

namespace gpukern::platform {

// As launch(), with clusters of `cluster` neighbouring blocks.  overlaps: the kernel may start before the previous ones
// in the stream have ended; it must call griddepcontrol_wait before it touches what they read or write.
template <class... Parameters, class... Arguments>
int launch_clusters(void (*kernel)(Parameters...), int cluster, bool overlaps, dim3 grid, dim3 block, size_t shared,
                    Stream stream, Arguments... arguments) {
#if defined(GPUKERN_BOUNDED_WAITS)
  waits::arm();
  waits::remember(waits::name_of(reinterpret_cast<const void*>(kernel)), grid);
#endif
  if (const int error = allow_shared(reinterpret_cast<const void*>(kernel), shared)) return error;
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim.x = static_cast<unsigned>(cluster);
  attributes[0].val.clusterDim.y = attributes[0].val.clusterDim.z = 1;
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = static_cast<cudaStream_t>(stream);
  config.attrs = attributes;
  config.numAttrs = overlaps ? 2 : 1;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace gpukern::platform
#endif
