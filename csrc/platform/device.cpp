#include "device.h"

#include <gpukern_built.h>

#include <stdexcept>
#include <string>

#include "device_name.h"

namespace gpukern {
namespace {

struct Known {
  std::string_view name;
  Device device;
};
constexpr int64_t kKilo = 1024, kMega = 1024 * 1024;
// One device of each kind; counts are those of a common part.
constexpr Known kKnown[] = {
    {"cpu", {Vendor::host, 0, 1, 0, 0, 1}},
    {"sm_75", {Vendor::nvidia, 75, 40, 64 * kKilo, 4 * kMega, 32}},     // T4
    {"sm_80", {Vendor::nvidia, 80, 108, 163 * kKilo, 40 * kMega, 32}},  // A100
    {"sm_86", {Vendor::nvidia, 86, 84, 99 * kKilo, 6 * kMega, 32}},     // A40
    {"sm_89", {Vendor::nvidia, 89, 142, 99 * kKilo, 96 * kMega, 32}},   // L40
    {"sm_90", {Vendor::nvidia, 90, 132, 227 * kKilo, 50 * kMega, 32}},  // H100, H200
    {"sm_90a", {Vendor::nvidia, 90, 132, 227 * kKilo, 50 * kMega, 32}},
    {"sm_100", {Vendor::nvidia, 100, 148, 227 * kKilo, 126 * kMega, 32}},  // B200
    {"sm_120", {Vendor::nvidia, 120, 170, 99 * kKilo, 96 * kMega, 32}},    // RTX 5090
    {"gfx90a", {Vendor::amd, 0x90a, 104, 64 * kKilo, 8 * kMega, 64}},
    {"gfx942", {Vendor::amd, 0x942, 304, 64 * kKilo, 4 * kMega, 64}},
    {"gfx950", {Vendor::amd, 0x950, 256, 160 * kKilo, 4 * kMega, 64}},
    {"gfx1100", {Vendor::amd, 0x1100, 96, 64 * kKilo, 6 * kMega, 32}},
    {"gfx1201", {Vendor::amd, 0x1201, 64, 64 * kKilo, 8 * kMega, 32}},
};

}  // namespace

Device describe(std::string_view name) {
  std::string known;
  for (const Known& k : kKnown) {
    if (k.name == name) return k.device;
    known += (known.empty() ? "" : ", ") + std::string(k.name);
  }
  throw std::invalid_argument("there is no device '" + std::string(name) + "' to ask about; known are " + known);
}

#if !GPUKERN_BUILT_GPU
const Device& current_device(int) {
  throw std::runtime_error("gpukern: no GPU code was built; 'python -m gpukern info' says how to build it");
}
const std::string& device_name(int) {
  throw std::runtime_error("gpukern: no GPU code was built; 'python -m gpukern info' says how to build it");
}
#endif

}  // namespace gpukern
