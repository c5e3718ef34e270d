// The runtime's name of a device.  Not a field of Device: the query takes milliseconds, and only stored measurements
// (gemm/ranking.h) use it.
#pragma once
#include <string>

namespace gpukern {

// "NVIDIA H200": the device of that ordinal, queried once; std::runtime_error as current_device.
const std::string& device_name(int ordinal);

}  // namespace gpukern
