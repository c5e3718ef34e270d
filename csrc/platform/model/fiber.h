// Fibers: one stack a modelled thread, and a switch between two of them that saves what the C++ ABI asks of a callee.
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
  void* pointer_ = nullptr;  // where the stack ended when it was left
#else
  ucontext_t context_{};
#endif
};

}  // namespace gpukern::model
