// Selection: (Problem, Device, Built) -> (folder, configuration).  Pure: no state, no device, no torch; the same answer
// on every machine, so a build for the CPU can tell what an H200 would run.  A forced configuration and measurements
// are arguments.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "registry.h"
#include "split/split.h"

namespace gpukern::gemm {

// What was compiled: the targets of each configuration, as setup.py bakes them in ("sm_80 sm_90 ptx_90", "gfx942").
// Configurations of one source share the address of their text.
struct Built {
  const char* targets[kFolderCount][kMaxConfigurations] = {};
};

// A build of everything, for questions about devices that this build has no code for.
constexpr const char* kEverything = "*";
constexpr Built built_for_all() {
  Built b;
  for (auto& folder : b.targets)
    for (auto& t : folder) t = kEverything;
  return b;
}

namespace detail {
constexpr int number(std::string_view digits, int base) {
  int value = 0;
  for (const char c : digits) {
    const int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (d < 0 || d >= base) return -1;
    value = value * base + d;
  }
  return digits.empty() ? -1 : value;
}
// Whether code for one target runs on a device.
constexpr bool word_runs(std::string_view word, const Device& d) {
  if (word == kEverything) return true;
  if (d.vendor == Vendor::nvidia && word.starts_with("ptx_")) {
    const int n = number(word.substr(4), 10);  // compiled further by the driver, for any newer device
    return n > 0 && n <= d.target;
  }
  if (d.vendor == Vendor::nvidia && word.starts_with("sm_")) {
    const char last = word.back();
    if (last == 'a' || last == 'f') return number(word.substr(3, word.size() - 4), 10) == d.target;
    const int n = number(word.substr(3), 10);  // runs on later minors of its generation
    return n > 0 && n / 10 == d.target / 10 && n <= d.target;
  }
  if (d.vendor == Vendor::amd && word.starts_with("gfx")) {
    if (word.ends_with("-generic")) {  // gfx11-generic runs on gfx11xx
      const int n = number(word.substr(3, word.size() - 11), 16);
      return n > 0 && d.target >> 8 == n;
    }
    return number(word.substr(3), 16) == d.target;
  }
  return false;
}
}  // namespace detail

constexpr bool runs_on(std::string_view words, const Device& d) {
  while (!words.empty()) {
    const size_t end = words.find(' ');
    const std::string_view word = words.substr(0, end);
    if (!word.empty() && detail::word_runs(word, d)) return true;
    if (end == words.npos) break;
    words.remove_prefix(end + 1);
  }
  return false;
}

constexpr Reason kNotBuilt = "no code was built for this device";
constexpr Reason not_built(int folder, int index, const Device& d, const Built& built) {
  if (d.vendor == Vendor::host) return nullptr;  // the CPU's code is always there
  const char* words = built.targets[folder][index];
  return words && runs_on(words, d) ? nullptr : kNotBuilt;
}
// Of a whole folder: no configuration of it was built.
constexpr Reason not_built(int folder, const Device& d, const Built& built) {
  const char* last = nullptr;
  for (int r = 0; r < kFolders[folder].count; ++r) {
    if (r > 0 && built.targets[folder][r] == last) continue;
    last = built.targets[folder][r];
    if (!not_built(folder, r, d, built)) return nullptr;
  }
  return kNotBuilt;
}

struct Choice {
  int folder = -1, index = -1;  // index: of the configuration in its folder
  int splits = 0;               // ranges of k, where they are forced; 0: the configuration's own rule
  constexpr explicit operator bool() const { return index >= 0; }
};
// What the user forces: a folder (index -1) or one configuration; folder -1: nothing.
using Force = Choice;
// Configurations in the order that a measurement found (ranking.h), fastest first.
using Ranking = std::span<const Choice>;

// One refusal, in the order they were met; index -1: the whole folder.
struct Refusal {
  int folder, index;
  Reason why;
};

constexpr Reason kOtherForced = "another configuration is forced";
constexpr Reason kOtherMeasured = "a stored measurement prefers another configuration";
constexpr Reason kOtherPolicy = "another configuration multiplies this type with a faster instruction";
constexpr Reason kCostsMore = "the cost model expects it to take longer";

// The first of a measured order that can serve the problem, whose alignment may differ from the measured one.
constexpr Choice first_able(const Problem& p, const Device& d, const Built& built, Ranking ranking) {
  // Measured orders differ between numbers of rows, so they cannot serve batch_invariant; products of terms were not
  // measured.
  if (p.batch_invariant || term_products(p.precision)) return {};
  for (const Choice c : ranking) {
    const Folder& folder = kFolders[c.folder];
    if (!folder.serves(d) && !not_built(c.folder, c.index, d, built) && !folder.supports(p, d) &&
        !folder.yields(p, d) && !folder.refuses(folder.configurations[c.index], p, d))
      return c;
  }
  return {};
}

// First what is forced, then what was measured, then the order of the folders and the configurations' cost. `refusals`,
// if given, receives why each folder and configuration that is not chosen was passed over.
constexpr Choice select(const Problem& p, const Device& d, const Built& built, Force force = {}, Ranking ranking = {},
                        std::vector<Refusal>* refusals = nullptr) {
  const bool forced = force.folder >= 0;
  const Choice wanted = forced ? force : first_able(p, d, built, ranking);
  const Reason other_wanted = forced ? kOtherForced : kOtherMeasured;
  Choice best;
  const auto refuse = [&](int folder, int index, Reason why) {
    if (refusals) refusals->push_back({folder, index, why});
  };
  for (int f = 0; f < kFolderCount; ++f) {
    const Folder& folder = kFolders[f];
    if (best) break;
    Reason why = folder.serves(d);
    if (!why) why = not_built(f, d, built);
    if (!why) why = folder.supports(p, d);
    if (!why && wanted.folder >= 0 && wanted.folder != f) why = other_wanted;
    if (!why && wanted.folder < 0) why = folder.yields(p, d);
    if (why) {
      refuse(f, -1, why);
      continue;
    }
    double least = 0;
    for (int r = 0; r < folder.count; ++r) {
      Reason no = folder.refuses(folder.configurations[r], p, d);
      if (!no) no = not_built(f, r, d, built);
      if (!no && best && folder.configurations[r].policy != folder.configurations[best.index].policy) no = kOtherPolicy;
      if (no) {
        refuse(f, r, no);
        continue;
      }
      if (wanted.folder == f && wanted.index >= 0 && wanted.index != r) {
        refuse(f, r, other_wanted);
        continue;
      }
      const double cost = folder.cost(folder.configurations[r], p, d);
      if (best && cost >= least) {
        refuse(f, r, kCostsMore);
        continue;
      }
      if (best) refuse(f, best.index, kCostsMore);
      best = {f, r, forced ? force.splits : 0};
      least = cost;
    }
  }
  return best;
}

// Ranges of k that a chosen configuration adds up.
constexpr int splits_of(const Choice& c, const Problem& p, const Device& d) {
  if (c.splits) return c.splits;
  return kFolders[c.folder].splits(kFolders[c.folder].configurations[c.index], p, d);
}

// Whether partial sums go through global memory and split/ adds them.
constexpr bool ranges_in_memory(const Choice& c, const Problem& p, int splits, const Device& d) {
  return splits > 1 && !kFolders[c.folder].inside(kFolders[c.folder].configurations[c.index], p, splits, d.sm_count);
}

// The partial sums of D's columns, which are added in order: the room that they need, and whether split/ makes them
// (`apart`).
struct Parts {
  int64_t count = 0;
  bool apart = false;
};
constexpr Parts parts_of(const Choice& c, const Problem& p, int splits) {
  if (p.epilogue.sums == Sums::none) return {};
  const Folder& folder = kFolders[c.folder];
  const bool apart = splits > 1 || folder.separate_epilogue(p);
  const int rows = apart ? split::part_rows(p) : folder.part_rows(folder.configurations[c.index], p);
  return {rows > 0 ? ceil_div(p.m, rows) : 0, apart};
}

}  // namespace gpukern::gemm
