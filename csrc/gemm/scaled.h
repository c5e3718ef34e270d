// The functions of scaled.cpp that register.cpp registers.
#pragma once
#include "product.h"

namespace gpukern::gemm {

entry::Declaration scaled_function();

}  // namespace gpukern::gemm
