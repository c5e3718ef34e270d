// Tiles that cp.async fills: which layouts they have, what a configuration may take, and how long one takes.
#pragma once
#include "../../refusals.h"

namespace gpukern::gemm::mma_sync {

constexpr int64_t kLeastShared = 99 * 1024;  // what sm_86, sm_89 and sm_120 give a block
constexpr int threads_of(int bm, int bn, int wm, int wn) { return bm / wm * (bn / wn) * 32; }

// Whether an operand is walked along k: if it lies along k, and bytes always.
constexpr bool a_along_k(const Problem& p) { return bytes(p.type) == 1 || a_lies_along_k(p); }
constexpr bool b_along_k(const Problem& p) { return bytes(p.type) == 1 || b_lies_along_k(p); }
// Three of the four layouts are compiled.  The fourth, A and B both by columns, is computed as the transposed product,
// whose A and B lie by rows.
constexpr bool fourth_layout(const Problem& p) { return !a_along_k(p) && b_along_k(p); }

constexpr Reason serves(const Device& d) {
  return d.vendor == Vendor::nvidia && d.target >= 80
             ? nullptr
             : "it needs cp.async and mma.sync, which NVIDIA GPUs have from sm_80 on";
}
constexpr Reason kNoRoom = "a block's stages do not fit in this device's shared memory";

// ---- what a configuration may take ------------------------------------------------------------------------

// registers: of a lane's accumulators.  pad: elements that pad a line of a slab, beside a warp's columns.
struct Limits {
  int registers, threads, pad;
  int64_t shared;
};
// Whether accumulators fit, and the stages, and the epilogue's slabs, which reuse the memory of the stages.
constexpr bool fits(const Configuration& r, const Limits& most) {
  const int sum = r.types == kDouble ? 8 : 4;
  const int64_t slabs = int64_t(r.threads / 32) * 16 * (r.tn + most.pad) * sum;
  return r.threads >= most.threads && r.threads <= 256 && r.tm * r.tn / 32 * sum / 4 <= most.registers &&
         r.tm % 16 == 0 && r.tn % 16 == 0 && r.stages >= 3 && r.shared <= most.shared && slabs <= r.shared;
}

// ---- the model ----------------------------------------------------------------------------------

// A step of k: its bytes, its multiply-adds an SM and cycle, and the fewest cycles it takes one block alone, for the
// barrier and the first fragments.  Rates are one device's; other devices have nearly the same ratios.
struct Pace {
  int size, step;  // bytes of an element, and of k
  double rate, least;
};
// Cycles of one SM for `steps` of k in each of its `turns` tiles.  A step takes what multiplication, shared memory
// (128 bytes a cycle) and L2 (about 46 bytes a cycle and SM) take together.
constexpr double steps_cost(const Configuration& r, const Pace& pace, double steps, double turns) {
  const double mma = double(r.bm) * r.bn * (double(pace.step) / pace.size) / pace.rate;
  const double shared = r.threads / 32.0 * (r.tm + r.tn) * pace.step / 128;
  const double l2 = (r.bm + r.bn) * double(pace.step) / 46;
  const double busy = turns * together(mma, shared, l2);
  return steps * (busy > pace.least ? busy : pace.least);
}
// Cycles of a product without its start, which fills the stages.  tiles: of one range of k; k_times: how often the
// mainloop goes through k (once for each product of terms).
constexpr double tiles_cost(const Configuration& r, const Problem& p, const Device& d, const Pace& pace, int64_t tiles,
                            int ranges, double k_times = 1) {
  const double sms = d.sm_count > 0 ? d.sm_count : 1;
  const double turns = double(ceil_div(tiles * ranges, d.sm_count > 0 ? d.sm_count : 1));
  const double steps = double(ceil_div(ceil_div(p.k, r.bk), ranges)) * r.bk * pace.size / pace.step * k_times;
  return steps_cost(r, pace, steps, turns) + r.bm * r.bn * double(bytes(p.out)) / 46 +
         split_cost(ranges, double(p.m) * double(p.n) * double(p.batch), sms);
}

}  // namespace gpukern::gemm::mma_sync
