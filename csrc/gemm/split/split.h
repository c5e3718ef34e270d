// The second half of a product whose k was split: the sums of all ranges, added in the order of the ranges.
#pragma once
#include "../../platform/device.h"
#include "../problem.h"

namespace gpukern::gemm::split {

// data.partial has data.splits results; D gets their sum and p's epilogue.  0 or the runtime's error code.
int add_ranges(const Problem& p, const Data& data, Stream stream);

}  // namespace gpukern::gemm::split
