// What the runtime says of the devices that are here.  Nothing runs before the first question, so importing the package
// starts no context and a process may still fork.
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "gpu.h"

namespace gpukern {
namespace platform {

const char* error_string(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

namespace {
int attribute(cudaDeviceAttr which, int ordinal) {
  int value = 0;
  if (const cudaError_t error = cudaDeviceGetAttribute(&value, which, ordinal))
    throw std::runtime_error("gpukern: device " + std::to_string(ordinal) + ": " + cudaGetErrorString(error));
  return value;
}
}  // namespace
}  // namespace platform

const Device& current_device(int ordinal) {
  static std::mutex mutex;
  static std::map<int, Device> known;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto at = known.find(ordinal);
  if (at != known.end()) return at->second;
  Device d;
  d.vendor = Vendor::nvidia;
  d.target = 10 * platform::attribute(cudaDevAttrComputeCapabilityMajor, ordinal) +
             platform::attribute(cudaDevAttrComputeCapabilityMinor, ordinal);
  d.sm_count = platform::attribute(cudaDevAttrMultiProcessorCount, ordinal);
  d.shared_bytes = platform::attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal);
  d.l2_bytes = platform::attribute(cudaDevAttrL2CacheSize, ordinal);
  d.wave = platform::attribute(cudaDevAttrWarpSize, ordinal);
  return known.emplace(ordinal, d).first->second;
}

}  // namespace gpukern
