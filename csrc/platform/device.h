// The facts of a device that selection uses.  Plain C++: a device can be described that is not present.
#pragma once
#include <cstdint>
#include <string_view>

namespace gpukern {

enum class Vendor : uint8_t { nvidia, amd, host };

struct Device {
  Vendor vendor = Vendor::host;
  int target = 0;  // nvidia: 90 for sm_90; amd: 0x942 for gfx942; host: 0 default, 2 avx2, 512 avx512
  int sm_count = 0;
  int64_t shared_bytes = 0;  // the most that one block may opt into
  int64_t l2_bytes = 0;
  int wave = 0;
};

// A device of a kind ("sm_90a", "gfx942"), present or not; std::invalid_argument lists the known kinds.
Device describe(std::string_view name);
// The device of that ordinal, queried once; std::runtime_error if no GPU code was built or the runtime fails.
const Device& current_device(int ordinal);

using Stream = void*;

namespace platform {
const char* error_string(int error);  // the runtime's text for an error code
constexpr int kNoTensorMap = 1;       // "invalid argument", by both vendors' numbering
constexpr int kNoKernel = 98;         // "invalid device function", by both vendors' numbering
}  // namespace platform

}  // namespace gpukern
