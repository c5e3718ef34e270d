// What register.cpp asks of scaled.cpp.
#pragma once
#include "product.h"

namespace gpukern::gemm {

entry::Declaration scaled_function();

}  // namespace gpukern::gemm
