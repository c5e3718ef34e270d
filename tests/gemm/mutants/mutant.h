// What is compiled of a mutant: all, or only the parts that the case runs in which its fault was seen (seen.py).
#pragma once
#include <utility>

#include "platform/model/harness.h"

#ifndef GPUKERN_PARTS
#define GPUKERN_PARTS 0xffffffff  // bits
#endif

static unsigned asked = 0;  // parts that were run, or would have been

// Code of one part; where it is not compiled, what follows is done.
#define GPUKERN_PART(N, ...)                           \
  do {                                                 \
    asked |= 1u << (N);                                \
    if constexpr (((GPUKERN_PARTS) >> (N) & 1) != 0) { \
      __VA_ARGS__;                                     \
    }                                                  \
  } while (false)

// The parts requested since the last call.
GPUKERN_EXPORT unsigned gpukern_mutant_parts() { return std::exchange(asked, 0u); }
