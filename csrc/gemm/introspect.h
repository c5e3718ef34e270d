// Configurations and choices, described for Python.  Plain structs; gpukern/selection.py has the public functions.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../platform/device.h"
#include "problem.h"
#include "select.h"

namespace gpukern::gemm {

// One configuration.  `targets`: the compiler targets that it was built for; "" if none; "cpu" for the host.
struct ConfigurationDescription {
  std::string name;                // "simt/s128x128": what force() takes
  std::string folder, id;          // "simt", "s128x128"
  std::string source;              // the .cu of its kernel, where that one has targets of its own; else ""
  std::vector<std::string> types;  // "float16", ..
  std::string targets;
  int bm, bn, bk, tm, tn, threads;
  int64_t shared;  // bytes of shared memory a block takes
  Traits traits;
  std::vector<std::string> precisions;  // of float32: "strict", "tf32", ..
};
std::vector<ConfigurationDescription> configurations();  // best folder first, in the order of their tables

// Why each better configuration was passed over, and the one chosen; "" where nothing serves the problem as built, and
// `would_run` then names what a full build would run ("" where the problem itself is refused).
struct Explanation {
  std::string configuration, would_run;
  std::vector<std::pair<std::string, std::string>> refusals;  // ("simt" or "simt/s64x64", reason), in the order met
  std::string problem, device;                                // one line each
  double cost = 0;                                            // modelled cycles of `would_run`
  int splits = 1;                                             // ranges of k that it adds up
  bool inside = false;                                        // in its own kernel, the blocks of a cluster
  int64_t workspace = 0;                                      // bytes that a pass writes before it
  bool terms = false;                                         // that pass writes bfloat16 terms
  bool tensor_cores = false;                                  // multiply in `configuration`, else in `would_run`
  bool on_cpu = false;                                        // what would run does, and so has no cycles
  bool apart = false;       // its sums go through memory, and split/ runs the epilogue
  Parts parts;              // in which it sums D's columns
  bool ranked = false;      // a stored measurement decided
  std::string measurement;  // its text (ranking.h)
};
// `name`: what the runtime calls the device, "" for one that is only described.
Explanation explain(const Problem&, const Device&, std::string_view name = {});
std::string target_text(const Device&);  // "sm_90", "gfx942", "cpu"

// Calls that each configuration served since the last reset: ("host/blas", 12); those that served none are left out.
std::vector<std::pair<std::string, int64_t>> counts();
void reset_counts();
void count(Choice choice);
void count_host();  // the same for the CPU's, at the cost of one relaxed increment

// Makes every product of this thread run on one folder ("simt") or configuration ("simt/s64x64" or "s64x64"); "" lifts
// it.  The environment's GPUKERN_FORCE stands where a thread forces nothing.  std::invalid_argument lists the known
// names.
void set_force(const std::string& name);
std::string forced();  // the name in force on this thread, "" for none
Force force();
bool anything_forced();

const Built& built();

}  // namespace gpukern::gemm
