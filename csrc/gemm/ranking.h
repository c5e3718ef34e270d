// Stored measurements: which configurations were fastest for a product on a device.  select() takes such an order
// before its own.  A process has one table of them, replaced as a whole; gpukern/tuning.py fills it from files.
#pragma once
#include <atomic>
#include <compare>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "select.h"

namespace gpukern::gemm {

// One product measured on one device.
struct Measurement {
  std::string device, target;  // "NVIDIA H200", "sm_90"
  DType type = DType::f32;
  int64_t m = 0, n = 0, k = 0, batch = 1;
  std::string layout;                       // "nt": A lies by rows (n), B by columns (t)
  std::vector<std::string> configurations;  // "simt/s64x64", ..: fastest first
  std::string said;                         // when it was measured and what was fastest, for explain()
};

// Measurements, found by what a call knows.  The epilogue is no part of the key: it costs every configuration about the
// same.
class Table {
 public:
  // std::invalid_argument for a configuration or layout that does not exist.
  explicit Table(std::vector<Measurement> all);

  struct Found {
    std::vector<Choice> configurations;
    std::string said;
  };
  // `name`: what the runtime calls the device.  A device that is only described has none: it takes the measurements of
  // its target where they come from one device, and none where they come from several.
  const Found* find(const Problem& problem, const Device& device, std::string_view name) const;
  const std::vector<Measurement>& all() const { return all_; }

 private:
  struct Key {
    DType type;
    int64_t m, n, k, batch;
    char a, b;
    auto operator<=>(const Key&) const = default;
  };
  struct Measured {
    std::string device, target;
    std::map<Key, Found> products;
  };
  std::vector<Measurement> all_;
  std::vector<Measured> devices_;
};

namespace detail {
extern std::atomic<const Table*> measured;
}
// The table of this process, null where nothing is stored: then a call pays this one load.
inline const Table* measured() { return detail::measured.load(std::memory_order_acquire); }
// {} empties it.
void set_measurements(std::vector<Measurement> all);

}  // namespace gpukern::gemm
