#include "introspect.h"

#include <gpukern_built.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "ranking.h"

namespace gpukern::gemm {
namespace {

std::atomic<int64_t> served[kFolderCount][kMaxConfigurations];

std::string full_name(int folder, int index) {
  std::string text = kFolders[folder].name;
  if (index >= 0) text += std::string("/") + kFolders[folder].configurations[index].id;
  return text;
}

Force parse(const std::string& name) {
  if (name.empty()) return {};
  const size_t end = name.find('*');  // "mma_sync/h64x64*4": in four ranges of k
  if (end != name.npos && end > 0) {
    const std::string ranges = name.substr(end + 1);
    const bool number = !ranges.empty() && ranges.size() < 4 && ranges.find_first_not_of("0123456789") == ranges.npos;
    Force f = number ? parse(name.substr(0, end)) : Force{};
    f.splits = number ? std::stoi(ranges) : 0;
    if (f.index >= 0 && f.splits >= 1 && f.splits <= kMaxSplits) return f;
    throw std::invalid_argument("'" + name +
                                "' does not name a split-K to force: write a configuration, then * and 1 to " +
                                std::to_string(kMaxSplits) + ", as in mma_sync/h64x64*4");
  }
  std::string known;
  for (int f = 0; f < kFolderCount; ++f) {
    if (name == kFolders[f].name) return {f, -1};
    known += (f ? ", " : "") + std::string(kFolders[f].name);
    for (int r = 0; r < kFolders[f].count; ++r) {
      if (name == full_name(f, r) || name == kFolders[f].configurations[r].id) return {f, r};
      known += ", " + full_name(f, r);
    }
  }
  throw std::invalid_argument("there is no kernel folder or configuration '" + name + "' to force; known are " + known);
}

thread_local Force on_this_thread;

// Read once; an unknown name is an error at the first product.
const Force& from_environment() {
  static const Force f = [] {
    const char* name = std::getenv("GPUKERN_FORCE");
    return parse(name ? name : "");
  }();
  return f;
}

std::string problem_text(const Problem& p) {
  std::string text;
  if (p.batch != 1) text += std::to_string(p.batch) + " x ";
  text += "(" + std::to_string(p.m) + ", " + std::to_string(p.k) + ") @ (" + std::to_string(p.k) + ", " +
          std::to_string(p.n) + "), " + name(p.type);
  if (is_float8(p.type) && p.scaling.b_type != p.type) text += std::string(" x ") + name(p.scaling.b_type);
  if (p.out != p.type) text += std::string(" to ") + name(p.out);
  if (p.precision != Precision::strict)
    text += std::string(", ") + name(p.precision) + (term_products(p.precision) ? "" : " allowed");
  if (p.batch_invariant) text += ", batch-invariant";
  const auto major = [](const Layout& l) {
    return l.column == 1 ? "row-major" : l.row == 1 ? "column-major" : "strided";
  };
  text += std::string(", A ") + major(p.a) + (p.conjugate_a ? ", conjugated" : "") + ", B " + major(p.b) +
          (p.conjugate_b ? ", conjugated" : "");
  if (is_float8(p.type)) {
    const auto kind = [](const Scale& s, const char* line) {
      if (s.k) return s.group > 1 ? "128x128 block" : "1x128 block";
      return s.x ? line : "tensor";
    };
    text += std::string(", A scaled per ") + kind(p.scaling.a, "row") + ", B scaled per " + kind(p.scaling.b, "column");
    if (p.scaling.fast) text += ", fast accumulation";
  }
  if (p.epilogue.row_scale) text += ", rows scaled";
  if (p.epilogue.column_scale) text += ", columns scaled";
  if (p.epilogue.addend) text += p.c.row == 0 ? ", + bias" : ", + C";
  if (p.epilogue.aux) text += ", pre-activation stored";
  if (p.epilogue.activation != Activation::none) text += std::string(", ") + name(p.epilogue.activation);
  if (p.epilogue.derivative != Activation::none) text += std::string(", ") + name(p.epilogue.derivative) + "'(saved)";
  if (p.epilogue.residual) text += ", + residual";
  if (p.epilogue.sums != Sums::none) text += ", columns summed";
  return text;
}

std::string device_text(const Device& d) {
  if (d.vendor == Vendor::host) return target_text(d);
  return target_text(d) + ", " + std::to_string(d.sm_count) + (d.vendor == Vendor::nvidia ? " SMs" : " compute units");
}

double cost_of(Choice c, const Problem& p, const Device& d) {
  return kFolders[c.folder].cost(kFolders[c.folder].configurations[c.index], p, d);
}

// A refusal by cost has the difference, and the source of the figure.
std::string reason_text(const Refusal& r, Choice chosen, const Problem& p, const Device& d) {
  if (r.why != kCostsMore || !chosen) return r.why;
  char text[192];
  std::snprintf(text, sizeof text, "%s: %.2f times the chosen configuration's time (predicted, not measured on a GPU)",
                r.why, cost_of({r.folder, r.index}, p, d) / cost_of(chosen, p, d));
  return text;
}

}  // namespace

const Built& built() {
  static const Built all = [] {
    Built b;
    for (int f = 0; f < kFolderCount; ++f)
      for (int r = 0; r < kFolders[f].count; ++r) {
        const char* const source = kFolders[f].configurations[r].source;
        const std::string path =
            std::string("gemm/arch/") + kFolders[f].name + (source ? std::string("/") + source : "");
        for (const BuiltFolder* one = kBuiltFolders; one->folder; ++one)
          if (path == one->folder) b.targets[f][r] = one->targets;
      }
    return b;
  }();
  return all;
}

std::vector<ConfigurationDescription> configurations() {
  std::vector<ConfigurationDescription> all;
  for (int f = 0; f < kFolderCount; ++f)
    for (int r = 0; r < kFolders[f].count; ++r) {
      const Configuration& c = kFolders[f].configurations[r];
      ConfigurationDescription d{full_name(f, r),
                                 kFolders[f].name,
                                 c.id,
                                 c.source ? c.source : "",
                                 {},
                                 "",
                                 c.bm,
                                 c.bn,
                                 c.bk,
                                 c.tm,
                                 c.tn,
                                 c.threads,
                                 c.shared,
                                 kFolders[f].traits(c),
                                 {}};
      for (int t = 0; t < kDTypes; ++t)
        if (c.types & bit(static_cast<DType>(t))) d.types.emplace_back(name(static_cast<DType>(t)));
      if (c.types & bit(DType::f32))
        for (int i = 0; i < kPrecisions; ++i)
          if (d.traits.precisions & bit(static_cast<Precision>(i)))
            d.precisions.emplace_back(name(static_cast<Precision>(i)));
      const char* words = built().targets[f][r];
      d.targets = f == kHost ? "cpu" : words ? words : "";
      all.push_back(std::move(d));
    }
  return all;
}

std::string target_text(const Device& d) {
  if (d.vendor == Vendor::host) return "cpu";
  if (d.vendor == Vendor::nvidia) return "sm_" + std::to_string(d.target);
  std::string digits;
  for (int t = d.target; t; t /= 16) digits.insert(digits.begin(), "0123456789abcdef"[t % 16]);
  return "gfx" + digits;
}

Explanation explain(const Problem& p, const Device& d, std::string_view name) {
  Explanation e;
  std::vector<Refusal> refusals;
  const Force wanted = force();
  const Table* const table = measured();
  const Table::Found* const found = table ? table->find(p, d, name) : nullptr;
  const Ranking ranking = found ? Ranking(found->configurations) : Ranking();
  const Choice chosen = select(p, d, built(), wanted, ranking, &refusals);
  if (chosen) e.configuration = full_name(chosen.folder, chosen.index);
  for (const Refusal& r : refusals) e.refusals.emplace_back(full_name(r.folder, r.index), reason_text(r, chosen, p, d));
  const Choice best = select(p, d, built_for_all(), wanted, ranking);
  if (best) {
    e.would_run = full_name(best.folder, best.index);
    e.on_cpu = best.folder == kHost;
    e.cost = cost_of(best, p, d);
    e.splits = splits_of(best, p, d);
    e.inside = e.splits > 1 && !ranges_in_memory(best, p, e.splits, d);
    e.parts = parts_of(best, p, e.splits);
    e.workspace = kFolders[best.folder].workspace(p);
    e.apart = ranges_in_memory(best, p, e.splits, d) || kFolders[best.folder].separate_epilogue(p);
  }
  e.terms = p.type == DType::f32 && term_products(p.precision) > 0;
  if (const Choice one = chosen ? chosen : best)
    e.tensor_cores = kFolders[one.folder].traits(kFolders[one.folder].configurations[one.index]).tensor_cores;
  e.ranked = wanted.folder < 0 && first_able(p, d, e.configuration.empty() ? built_for_all() : built(), ranking);
  if (e.ranked) e.measurement = found->said;
  e.problem = problem_text(p);
  e.device = device_text(d);
  return e;
}

void count(Choice c) { served[c.folder][c.index].fetch_add(1, std::memory_order_relaxed); }
void count_host() { served[kHost][0].fetch_add(1, std::memory_order_relaxed); }

std::vector<std::pair<std::string, int64_t>> counts() {
  std::vector<std::pair<std::string, int64_t>> all;
  for (int f = 0; f < kFolderCount; ++f)
    for (int r = 0; r < kFolders[f].count; ++r)
      if (const int64_t n = served[f][r].load(std::memory_order_relaxed)) all.emplace_back(full_name(f, r), n);
  return all;
}
void reset_counts() {
  for (auto& folder : served)
    for (auto& n : folder) n.store(0, std::memory_order_relaxed);
}

void set_force(const std::string& name) { on_this_thread = parse(name); }
Force force() { return on_this_thread.folder >= 0 ? on_this_thread : from_environment(); }
bool anything_forced() { return force().folder >= 0; }
std::string forced() {
  const Force f = force();
  if (f.folder < 0) return "";
  return full_name(f.folder, f.index) + (f.splits ? "*" + std::to_string(f.splits) : "");
}

}  // namespace gpukern::gemm
