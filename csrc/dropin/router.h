// Drop-in: gpukern's kernels behind torch's own names.
//
// While a route is on, the kernel of aten::mm (or addmm, bmm, baddbmm, mv, addmv; out and in-place forms too) for CPU
// and CUDA tensors is ours.  It serves the calls that a gpukern product can serve and passes every other one, with the
// same arguments, to the kernel that it replaced.  So errors, autograd, autocast and vmap, which lie above, stay
// torch's.  Routes are process-wide.  These are plain functions for bind.cpp; users call `gpukern/dropin.py`.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gpukern::dropin {

// The ops that can be routed, by aten's name; a name covers the op's out and in-place forms.
std::vector<std::string> routable();

// Routes exactly these ops: registers missing routes, and restores torch's kernels for all others.  Throws
// c10::ValueError for a name that is not routable, and then changes nothing.
void set_routes(const std::vector<std::string>& ops);
std::vector<std::string> routes();

struct Count {
  std::string op;                                          // "mm", "mm.out", "addmm_"
  int64_t hits;                                            // calls that gpukern served
  std::vector<std::pair<std::string, int64_t>> fallbacks;  // calls that went to torch's kernel, by reason
};
std::vector<Count> stats();  // every form that was called since the last reset
void reset_stats();

}  // namespace gpukern::dropin
