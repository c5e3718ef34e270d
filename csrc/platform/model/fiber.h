// Fibers: one stack per modelled thread, and a switch between two that saves the callee-saved registers of the C++ ABI.
#pragma once
#include <cstddef>
#include <cstdint>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

namespace gpukern::model {

// Runs `entry` on its own stack from the first switch to it on; `entry` never returns.
struct Fiber {
  void start(char* stack, size_t bytes, void (*entry)());
  static void swap(Fiber& from, Fiber& to);

 private:
#if defined(__x86_64__) || defined(__aarch64__)
  void* pointer_ = nullptr;  // the saved stack pointer
#else
  ucontext_t context_{};
#endif
};

}  // namespace gpukern::model
