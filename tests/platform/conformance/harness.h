// One case for each primitive of platform/: a tiny kernel that reads an input buffer and writes an output buffer.  The
// same sources are the machine model's (GPUKERN_MODEL, g++) and a device's (nvcc); the data is in the .json files
// beside this one.
#pragma once
#include <functional>
#include <string>

#include "platform/gpu.h"

namespace gpukern::conformance {

// Buffers in the memory of whoever runs the kernel; the output starts as the caller filled it.
struct Buffers {
  uint32_t* input;
  size_t input_bytes;
  uint32_t* output;
  size_t output_bytes;
};

// A case by its name; `launch` returns 0 or the runtime's error.
struct Case {
  const char* name;
  std::function<int(const Buffers&)> launch;
};
void add(Case which);

// Launches of one stream, one behind the other; the model has to know all of them to let them overlap.
template <class Launches> int in_one_stream(const Launches& launches) {
#if defined(GPUKERN_MODEL)
  model::hold();
  const int error = launches();
  model::last_error() = model::finish();
  return error ? error : !model::last_error().empty();
#else
  return launches();
#endif
}

struct Registered {
  Registered(const char* name, std::function<int(const Buffers&)> launch) { add({name, std::move(launch)}); }
};

}  // namespace gpukern::conformance

// GPUKERN_CASE(name, blocks, threads, shared bytes) { what the kernel does with `input` and `output` }
// A case that needs more on the host (clusters, tensor maps) makes a Registered of its own.
#define GPUKERN_CASE(NAME, BLOCKS, THREADS, SHARED)                                                           \
  GPUKERN_KERNEL NAME##_kernel(uint32_t* input, uint32_t* output);                                            \
  const ::gpukern::conformance::Registered NAME##_case(#NAME, [](const ::gpukern::conformance::Buffers& b) {  \
    return ::gpukern::platform::launch(&NAME##_kernel, dim3(BLOCKS), dim3(THREADS), SHARED, nullptr, b.input, \
                                       b.output);                                                             \
  });                                                                                                         \
  GPUKERN_KERNEL NAME##_kernel([[maybe_unused]] uint32_t* input, [[maybe_unused]] uint32_t* output)
