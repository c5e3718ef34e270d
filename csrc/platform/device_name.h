// What the runtime calls a device.  Not a field of Device: asking takes milliseconds, and only stored measurements
// (gemm/ranking.h) want to know.
#pragma once
#include <string>

namespace gpukern {

// "NVIDIA H200": the device of that ordinal, asked once; std::runtime_error as current_device.
const std::string& device_name(int ordinal);

}  // namespace gpukern
