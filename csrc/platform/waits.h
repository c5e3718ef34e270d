// A build for the first runs on a device (GPUKERN_BOUNDED_WAITS): a wait that takes too long is reported and ends the
// launch.  A device that hangs reports nothing, and makes all later tests on it impossible.
//
// A wait on an mbarrier polls; when the bound has passed it writes a Wait into host memory and ends the launch.  It
// contains no function call, because a call makes the compiler wait for each wgmma (C7510), and the tested pipeline
// would not be the shipped one.  Named barriers, the cluster's barrier and griddepcontrol.wait have no form with a
// bound (ptxas has no barrier.cluster.try_wait), so their instructions are unchanged: a warp that arrives at one leaves
// a note in the same memory and removes it afterwards.  The host (waits_host.h) reads the notes, prints those that stay
// longer than the bound, and ends the process.
//
// Without the macro nothing of this is compiled.
#pragma once
#if defined(GPUKERN_BOUNDED_WAITS)
#include <cstdint>
#include <cstdio>
#include <string>

#include "gpu.h"

#if defined(GPUKERN_MODEL)
namespace gpukern::model {
uint32_t ticks();  // mbarrier.cpp
}
#endif

namespace gpukern::waits {

enum class Word : uint32_t { none, mbarrier, named_barrier, cluster_barrier, earlier_kernels };

// Time is counted in units of 2^20 nanoseconds, about a millisecond, so that it takes one 32-bit register beside 128
// accumulators.
constexpr double kTick = 1048576e-9;

// Which thread waits, or waited, for what.
struct Wait {
  uint32_t state;            // 0 empty, 1 a note of a wait, 2 a complete record
  Word word;                 // the primitive
  uint32_t barrier, detail;  // an mbarrier's address and the parity; a named barrier's number and its threads
  uint32_t block[3], grid[3];
  uint32_t thread, threads;  // its number in the block, and the threads of the block
  uint32_t ticks;            // since when, by the device's clock; in a record, for how long
};

// The host memory of a process: the record of the first thread that gave up, and one note per warp.
constexpr int kNotes = 8192;
struct Room {
  Wait record;
  Wait notes[kNotes];
};

inline std::string text_of(const Wait& w) {
  const auto three = [](const uint32_t (&x)[3]) {
    return "(" + std::to_string(x[0]) + "," + std::to_string(x[1]) + "," + std::to_string(x[2]) + ")";
  };
  char where[32];
  std::snprintf(where, sizeof where, "%#x", w.barrier);
  std::string text = "block " + three(w.block) + " of " + three(w.grid) + ", thread " + std::to_string(w.thread) +
                     " of " + std::to_string(w.threads) + " (warp " + std::to_string(w.thread / 32) + ", warpgroup " +
                     std::to_string(w.thread / 128) + "): ";
  if (w.word == Word::mbarrier)
    text += std::string("mbarrier_wait_parity on the mbarrier at ") + where + ", parity " + std::to_string(w.detail);
  if (w.word == Word::named_barrier)
    text += "barrier_sync on barrier " + std::to_string(w.barrier) + " of " + std::to_string(w.detail) + " threads";
  if (w.word == Word::cluster_barrier) text += "cluster_wait";
  if (w.word == Word::earlier_kernels) text += "griddepcontrol_wait";
  if (w.state == 2) text += ", given up after " + std::to_string(static_cast<int64_t>(1000 * kTick * w.ticks)) + " ms";
  return text;
}

// ---- parts that differ between the model and a device -------------------------------------------------------------

#if defined(GPUKERN_MODEL)

inline Room& model_room() {
  static Room room{};
  return room;
}
inline Room* room() { return &model_room(); }
inline uint32_t bound() { return 1000; }
inline uint32_t ticks() { return model::ticks(); }
inline bool first_to_give_up() { return model_room().record.state == 0; }
[[noreturn]] inline void trap() { model::fail(model::self().at, "given up: %s", text_of(model_room().record).c_str()); }
inline void settle() {}
inline bool first_lane() { return model::self().number % 32 == 0; }

#else

// For the kernels of one source file; waits_host.h fills it in.  Until then waits are bounded but leave no record.
struct There {
  Room* room;
  uint32_t bound;
};
[[maybe_unused]] static __device__ There on_device = {nullptr, static_cast<uint32_t>(10 / kTick)};
[[maybe_unused]] static __device__ uint32_t given_up = 0;

GPUKERN_D Room* room() { return on_device.room; }
GPUKERN_D uint32_t bound() { return on_device.bound; }
GPUKERN_D uint32_t ticks() {
  uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return static_cast<uint32_t>(now >> 20);
}
GPUKERN_D bool first_to_give_up() { return atomicExch(&given_up, 1u) == 0; }
// The record must reach the host before another thread traps.
GPUKERN_D void settle() { __threadfence_system(); }
// Ends the launch as the instruction trap does; for that instruction ptxas spills up to 940 bytes of accumulators.
GPUKERN_D void trap() { asm volatile("st.global.u32 [%0], %1;" ::"l"(0ull), "r"(0)); }
GPUKERN_D bool first_lane() {
  uint32_t lane;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane == 0;
}

#endif

// ---- parts that the primitives use --------------------------------------------------------------------------------

GPUKERN_D uint32_t number_in_block() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
GPUKERN_D void fill(volatile Wait& w, Word word, uint32_t barrier, uint32_t detail, uint32_t time) {
  w.word = word;
  w.barrier = barrier, w.detail = detail;
  w.block[0] = blockIdx.x, w.block[1] = blockIdx.y, w.block[2] = blockIdx.z;
  w.grid[0] = gridDim.x, w.grid[1] = gridDim.y, w.grid[2] = gridDim.z;
  w.thread = number_in_block(), w.threads = blockDim.x * blockDim.y * blockDim.z;
  w.ticks = time;
}

// On a device this may return before the trap takes effect.
GPUKERN_D void give_up(Word word, uint32_t barrier, uint32_t detail, uint32_t began) {
  if (first_to_give_up()) {
    if (Room* const r = room()) {
      volatile Wait& w = r->record;
      fill(w, word, barrier, detail, ticks() - began);
      settle();
      w.state = 2;
    }
    settle();
    trap();
  }
  while (ticks() - began < 2 * bound()) {  // the first thread writes its record meanwhile
  }
  trap();
}

// Polls until done(), or ends the launch.
template <class Done> GPUKERN_D void until(const Done& done, Word word, uint32_t barrier, uint32_t detail) {
  if (done()) return;
  const uint32_t began = ticks();
  while (!done())
    if (ticks() - began > bound()) give_up(word, barrier, detail, began);
}

// A note that exists while a warp is at an instruction that cannot be bounded.
class Note {
 public:
  GPUKERN_D Note(Word word, uint32_t barrier, uint32_t detail) {
    Room* const r = room();
    if (!r || !first_lane()) return;
    const uint32_t block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    at_ = &r->notes[(block * 32 + number_in_block() / 32) % kNotes];
    volatile Wait& w = *at_;
    fill(w, word, barrier, detail, ticks());
    w.state = 1;
  }
  GPUKERN_D ~Note() {
    if (at_) static_cast<volatile Wait*>(at_)->state = 0;
  }
  Note(const Note&) = delete;
  Note& operator=(const Note&) = delete;

 private:
  Wait* at_ = nullptr;
};

}  // namespace gpukern::waits

#define GPUKERN_NOTE(...) const ::gpukern::waits::Note gpukern_note(__VA_ARGS__)
#else
#define GPUKERN_NOTE(...) static_cast<void>(0)
#endif
