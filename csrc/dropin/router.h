// Drop-in: gpukern's kernels behind torch's own names.
//
// While a route is on, the kernel of aten::mm (or addmm, bmm, baddbmm, mv, addmv; out and in-place forms too) for CPU
// and CUDA tensors is ours.  It takes the calls that a gpukern product serves and hands every other one to the kernel
// it replaced, arguments untouched, so torch's errors, autograd, autocast and vmap, which all sit above, stay torch's.
// Routes are process-wide.  Plain functions for bind.cpp; `gpukern/dropin.py` is what people call.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gpukern::dropin {

// The ops that can be routed, by aten's name; a name covers the op's out and in-place forms.
std::vector<std::string> routable();

// Makes exactly these ops routed: registers what is missing, restores torch's kernel for the rest.  Throws
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
