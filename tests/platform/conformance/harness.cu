// Runs a case: under the model in the caller's memory, on a device in copies there.
#include "harness.h"

#include <algorithm>
#include <cstring>
#include <vector>

#if defined(GPUKERN_MODEL)
#include "platform/model/memory.h"
#else
#include "platform/waits_host.h"
#endif

namespace gpukern::conformance {
namespace {

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

#if defined(GPUKERN_MODEL)

std::string run(const Case& which, const Buffers& b) {
  auto watch = [](const char* name, uint32_t* data, size_t bytes, bool writable) {
    const char* const begin = reinterpret_cast<const char*>(data);
    model::buffers().push_back({name, begin, begin + bytes, begin, begin + bytes, writable});
  };
  model::buffers().clear();
  watch("input", b.input, b.input_bytes, false);
  watch("output", b.output, b.output_bytes, true);
  const int error = which.launch(b);
  model::buffers().clear();
  return error ? model::last_error() : "";
}

#else

#if defined(__HIP__)
#define GPUKERN_RUNTIME(word) hip##word
#else
#define GPUKERN_RUNTIME(word) cuda##word
#endif

std::string words_of(int error) {
  return error ? GPUKERN_RUNTIME(GetErrorString)(static_cast<GPUKERN_RUNTIME(Error_t)>(error)) : "";
}

std::string run(const Case& which, const Buffers& b) {
  Buffers there = b;
  int error = GPUKERN_RUNTIME(Malloc)(&there.input, std::max<size_t>(b.input_bytes, 4));
  if (error) return words_of(error);
  error = GPUKERN_RUNTIME(Malloc)(&there.output, std::max<size_t>(b.output_bytes, 4));
  constexpr auto to = GPUKERN_RUNTIME(MemcpyHostToDevice), from = GPUKERN_RUNTIME(MemcpyDeviceToHost);
  if (!error) error = GPUKERN_RUNTIME(Memcpy)(there.input, b.input, b.input_bytes, to);
  if (!error) error = GPUKERN_RUNTIME(Memcpy)(there.output, b.output, b.output_bytes, to);
#if defined(GPUKERN_BOUNDED_WAITS) && !defined(__HIP__)
  waits::arm();
  waits::remember(which.name, dim3(0));
#endif
  if (!error) error = which.launch(there);
  if (!error) error = GPUKERN_RUNTIME(DeviceSynchronize)();
#if defined(GPUKERN_BOUNDED_WAITS) && !defined(__HIP__)
  waits::look();
#endif
  if (!error) error = GPUKERN_RUNTIME(Memcpy)(b.output, there.output, b.output_bytes, from);
  static_cast<void>(GPUKERN_RUNTIME(Free)(there.input));
  static_cast<void>(GPUKERN_RUNTIME(Free)(there.output));
  return words_of(error);
}

#endif

}  // namespace

void add(Case which) { cases().push_back(std::move(which)); }

}  // namespace gpukern::conformance

#define GPUKERN_EXPORT extern "C" __attribute__((visibility("default")))

// "" or what went wrong, as text that lives until the next call on the same thread.
GPUKERN_EXPORT const char* run_case(const char* name, void* input, size_t input_bytes, void* output,
                                    size_t output_bytes) {
  static thread_local std::string answer;
  answer = std::string("there is no case '") + name + "'";
  for (const gpukern::conformance::Case& c : gpukern::conformance::cases())
    if (std::strcmp(c.name, name) == 0)
      answer = gpukern::conformance::run(
          c, {static_cast<uint32_t*>(input), input_bytes, static_cast<uint32_t*>(output), output_bytes});
  return answer.c_str();
}

// The names of all cases, a line each.
GPUKERN_EXPORT const char* case_names() {
  static thread_local std::string answer;
  answer.clear();
  for (const gpukern::conformance::Case& c : gpukern::conformance::cases()) answer += std::string(c.name) + "\n";
  return answer.c_str();
}

// The order in which the model runs threads; a device has its own.
GPUKERN_EXPORT void set_schedule([[maybe_unused]] int order, [[maybe_unused]] uint32_t seed,
                                 [[maybe_unused]] int wave) {
#if defined(GPUKERN_MODEL)
  gpukern::model::settings() = {static_cast<gpukern::model::Order>(order), seed, wave, true, false};
#endif
}
