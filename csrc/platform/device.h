// What selection knows of a device.  Plain C++: any field can be written by hand, so every device can be asked about.
#pragma once
#include <cstdint>
#include <string_view>

namespace gpukern {

enum class Vendor : uint8_t { nvidia, amd, host };

struct Device {
  Vendor vendor = Vendor::host;
  int target = 0;  // nvidia: 90 for sm_90; amd: 0x942 for gfx942; host: 0 default, 2 avx2, 512 avx512
  int sm_count = 0;
  int64_t shared_bytes = 0;  // the most one block may opt into
  int64_t l2_bytes = 0;
  int wave = 0;
};

Device describe(std::string_view name);
const Device& current_device(int ordinal);

using Stream = void*;

}  // namespace gpukern
