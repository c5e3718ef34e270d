// The CPU loops, as plain functions that are chosen at run time by vector capability.
//
// A loop runs one variant of one op over dense arrays of its compute type.  Load and store functions convert everything
// else (half types, integers, strides, broadcasting) one block at a time.  So an op has one loop per compute type, a
// result never depends on the layout of its inputs, and mixed types need no copy.
//
// Where all operands have one shorter type, a typed loop converts in registers what the blocks would hold: the same
// formula in the same compute type, so the same bits.
#pragma once
#include <cstdint>

namespace gpukern::elementwise::host {

// out and in are dense; scalars is an array of the compute type.
using Loop = void (*)(void* out, const void* const* in, int64_t n, const void* scalars);
// Load: n elements from memory, `stride` bytes apart, into a dense block of the compute type; Store: back.
using Load = void (*)(void* block, const char* memory, int64_t stride, int64_t n);
using Store = void (*)(char* memory, const void* block, int64_t stride, int64_t n);

constexpr int kComputes = 3, kStaged = 10;  // types up to bool, in the order of DType

// The loops of a family, null where there is none.
struct Loops {
  const Loop* dense;  // [op][variant][compute]
  const Loop* typed;  // of the value: [op][type of the operands, in the order of DType]
};

struct Stage {
  Load load[kComputes][kStaged];
  Store store[kComputes][kStaged];
};

}  // namespace gpukern::elementwise::host
