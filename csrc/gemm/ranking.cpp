#include "ranking.h"

#include <memory>
#include <mutex>
#include <stdexcept>

#include "introspect.h"

namespace gpukern::gemm {
namespace {

Choice configuration_named(std::string_view name) {
  for (int f = 0; f < kFolderCount; ++f)
    for (int r = 0; r < kFolders[f].count; ++r)
      if (name == std::string(kFolders[f].name) + "/" + kFolders[f].configurations[r].id) return {f, r};
  throw std::invalid_argument("there is no configuration '" + std::string(name) + "'");
}

// A matrix of one row or one column fits both orders; it counts as by rows.
char order(char said, int64_t rows, int64_t columns) { return rows == 1 || columns == 1 ? 'n' : said; }
char order(const Layout& l, int64_t rows, int64_t columns) {
  return order(l.column == 1 ? 'n' : l.row == 1 ? 't' : 's', rows, columns);
}

}  // namespace

Table::Table(std::vector<Measurement> all) : all_(std::move(all)) {
  for (const Measurement& one : all_) {
    if (one.layout.size() != 2 || one.layout.find_first_not_of("nt") != std::string::npos)
      throw std::invalid_argument("there is no layout '" + one.layout + "'; known are nn, nt, tn, tt");
    const Key key{one.type,
                  one.m,
                  one.n,
                  one.k,
                  one.batch,
                  order(one.layout[0], one.m, one.k),
                  order(one.layout[1], one.k, one.n)};
    Found found{{}, one.said};
    for (const std::string& c : one.configurations) found.configurations.push_back(configuration_named(c));
    Measured* device = nullptr;
    for (Measured& known : devices_)
      if (known.device == one.device) device = &known;
    if (!device) device = &devices_.emplace_back(Measured{one.device, one.target, {}});
    device->products.insert_or_assign(key, std::move(found));
  }
}

const Table::Found* Table::find(const Problem& p, const Device& d, std::string_view name) const {
  const Measured* device = nullptr;
  const std::string target = name.empty() ? target_text(d) : "";
  for (const Measured& known : devices_) {
    if (name.empty() ? known.target != target : known.device != name) continue;
    if (device) return nullptr;
    device = &known;
  }
  if (!device) return nullptr;
  const auto at = device->products.find({p.type, p.m, p.n, p.k, p.batch, order(p.a, p.m, p.k), order(p.b, p.k, p.n)});
  return at == device->products.end() ? nullptr : &at->second;
}

std::atomic<const Table*> detail::measured{nullptr};

void set_measurements(std::vector<Measurement> all) {
  static std::mutex mutex;
  // A call on another thread may still read the table before this one, so none is freed: they are small and few.
  static auto& kept = *new std::vector<std::unique_ptr<const Table>>;
  auto table = all.empty() ? nullptr : std::make_unique<const Table>(std::move(all));
  const std::lock_guard<std::mutex> lock(mutex);
  detail::measured.store(table.get(), std::memory_order_release);
  if (table) kept.push_back(std::move(table));
}

}  // namespace gpukern::gemm
