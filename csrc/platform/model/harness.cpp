// Schedules, buffers and counts.
#include "harness.h"

#include "written.h"

using namespace gpukern;

GPUKERN_EXPORT void gpukern_model_schedule(int order, uint32_t seed, int wave, int check, int count) {
  model::settings() = {static_cast<model::Order>(order), seed, wave, check != 0, count != 0};
}

// The buffers of the next launches.  An access between low and high but outside [begin, end) is a fault.
// writable: 0 an input, 1 a result, 2 a result that is an input too.
GPUKERN_EXPORT void gpukern_model_forget_buffers() { model::buffers().clear(); }
GPUKERN_EXPORT void gpukern_model_buffer(const char* name, const char* begin, const char* end, const char* low,
                                         const char* high, int writable) {
  model::buffers().push_back({name, begin, end, low, high, writable != 0});
  if (writable) model::remember_writes(model::buffers().back(), writable == 2);
}
// The number of elements of a view (strides in bytes) that no kernel has written since the buffers were named; first:
// the index of the first of them.
GPUKERN_EXPORT int64_t gpukern_model_unwritten(const char* start, int dims, const int64_t* shape,
                                               const int64_t* strides, int size, int64_t* first) {
  return model::count_unwritten(start, dims, shape, strides, static_cast<size_t>(size), first);
}

// Queues the following launches in one stream; gpukern_model_finish runs them in order and returns "" or the fault.
GPUKERN_EXPORT void gpukern_model_hold() { model::hold(); }
GPUKERN_EXPORT const char* gpukern_model_finish() {
  model::last_error() = model::finish();
  return model::last_error().c_str();
}

// One line of text per source line: its memory traffic since the last call (see LineCount).
GPUKERN_EXPORT const char* gpukern_model_counts() {
  static thread_local std::string text;
  text.clear();
  for (const model::LineCount& c : model::take_counts())
    text += c.line + (c.shared ? " shared" : " global") + (c.write ? " write " : " read ") +
            std::to_string(c.requests) + " " + std::to_string(c.bytes) + " " + std::to_string(c.wavefronts) + " " +
            std::to_string(c.ideal) + "\n";
  return text.c_str();
}

// blocks, threads, barriers, collectives, switches since the last call
GPUKERN_EXPORT void gpukern_model_report(uint64_t* counts) {
  const model::Report& r = model::report();
  const uint64_t all[] = {r.blocks, r.threads, r.barriers, r.collectives, r.switches};
  for (int i = 0; i < 5; ++i) counts[i] = all[i];
  model::report() = {};
}
