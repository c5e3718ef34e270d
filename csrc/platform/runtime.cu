// Queries of the runtime about the present devices.  Nothing runs before the first query, so importing the package
// creates no context and a process may still fork.
#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "device_name.h"
#include "gpu.h"

namespace gpukern {
namespace platform {

#if defined(__HIP__)

const char* error_string(int error) { return hipGetErrorString(static_cast<hipError_t>(error)); }

namespace {
void check(hipError_t error, int ordinal) {
  if (error != hipSuccess)
    throw std::runtime_error("gpukern: device " + std::to_string(ordinal) + ": " + hipGetErrorString(error));
}

Device ask(int ordinal) {
  hipDeviceProp_t facts;
  check(hipGetDeviceProperties(&facts, ordinal), ordinal);
  Device d;
  d.vendor = Vendor::amd;
  // "gfx942:sramecc+:xnack-"
  d.target = static_cast<int>(std::strtol(facts.gcnArchName + 3, nullptr, 16));
  d.sm_count = facts.multiProcessorCount;
  d.shared_bytes = static_cast<int64_t>(facts.sharedMemPerBlock);
  d.l2_bytes = facts.l2CacheSize;
  d.wave = facts.warpSize;
  return d;
}

std::string ask_name(int ordinal) {
  hipDeviceProp_t facts;
  check(hipGetDeviceProperties(&facts, ordinal), ordinal);
  return facts.name;
}
}  // namespace

#else

const char* error_string(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

namespace {
void check(cudaError_t error, int ordinal) {
  if (error != cudaSuccess)
    throw std::runtime_error("gpukern: device " + std::to_string(ordinal) + ": " + cudaGetErrorString(error));
}

int attribute(cudaDeviceAttr which, int ordinal) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, ordinal), ordinal);
  return value;
}

Device ask(int ordinal) {
  Device d;
  d.vendor = Vendor::nvidia;
  d.target = 10 * attribute(cudaDevAttrComputeCapabilityMajor, ordinal) +
             attribute(cudaDevAttrComputeCapabilityMinor, ordinal);
  d.sm_count = attribute(cudaDevAttrMultiProcessorCount, ordinal);
  d.shared_bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal);
  d.l2_bytes = attribute(cudaDevAttrL2CacheSize, ordinal);
  d.wave = attribute(cudaDevAttrWarpSize, ordinal);
  return d;
}

std::string ask_name(int ordinal) {
  cudaDeviceProp facts;
  check(cudaGetDeviceProperties(&facts, ordinal), ordinal);
  return facts.name;
}
}  // namespace

#endif
}  // namespace platform

namespace {
// The answer for one ordinal, queried once per process.
template <class T> const T& once(int ordinal, T (*ask)(int)) {
  static std::mutex mutex;
  static std::map<int, T> known;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto at = known.find(ordinal);
  return at != known.end() ? at->second : known.emplace(ordinal, ask(ordinal)).first->second;
}
}  // namespace

const Device& current_device(int ordinal) { return once<Device>(ordinal, &platform::ask); }
const std::string& device_name(int ordinal) { return once<std::string>(ordinal, &platform::ask_name); }

}  // namespace gpukern
