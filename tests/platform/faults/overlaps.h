// The kernels of overlaps.cu.
#pragma once
#include "platform/cluster_launch.h"
#include "primitives/cluster.h"
#include "primitives/cp_async.h"
#include "primitives/dependent_launch.h"
#include "primitives/mbarrier.h"
#include "primitives/tma.h"

namespace gpukern::faults {

constexpr int kBlocks = 2, kThreads = 128, kNumbers = kBlocks * kThreads;
constexpr uint32_t kBarrier = 2048, kShared = kBarrier + 64;

#define GPUKERN_FAULTS(DO)                                                  \
  DO(none)                                                                  \
  DO(none_lets_first) /* the next may start before this one has waited */   \
  DO(none_lets_last)                                                        \
  DO(none_never_lets)                                                       \
  DO(none_waits_twice)                                                      \
  DO(no_wait)                                                               \
  DO(no_wait_no_access) /* harmless by itself; whoever follows is misled */ \
  DO(lets_and_no_wait)  /* the next may start before the stores */          \
  DO(wait_behind_the_read)                                                  \
  DO(wait_behind_the_copy) /* cp.async */                                   \
  DO(wait_behind_the_box)  /* TMA, to shared memory */                      \
  DO(wait_behind_the_store_of_a_box)                                        \
  DO(wait_behind_an_atomic)                                                 \
  DO(wait_behind_a_write)                                                   \
  DO(wait_of_one_thread)                                                    \
  DO(wait_of_one_warp)                                                      \
  DO(wait_of_one_block)                                                     \
  DO(wait_of_readers)                                                       \
  DO(wait_in_a_branch)                                                      \
  DO(read_at_the_end) /* by a warp that left the others before the wait */

enum class Fault {
#define GPUKERN_FAULT(name) name,
  GPUKERN_FAULTS(GPUKERN_FAULT)
#undef GPUKERN_FAULT
};

template <Fault F> GPUKERN_D bool waits() {
  const unsigned thread = threadIdx.x;
  switch (F) {
    case Fault::no_wait:
    case Fault::no_wait_no_access:
    case Fault::lets_and_no_wait: return false;
    case Fault::wait_of_one_thread: return thread == 0;
    case Fault::wait_of_one_warp: return thread < 32;
    case Fault::wait_of_one_block: return blockIdx.x == 0;
    case Fault::wait_of_readers: return thread < kThreads / 2;
    case Fault::wait_in_a_branch: return thread % 2 == 0;
    case Fault::read_at_the_end: return thread >= 32;
    default: return true;
  }
}

// out[i] = in[of the block's threads the other way round] + 1.
template <Fault F>
GPUKERN_KERNEL step(const int* in, int* out, GPUKERN_GRID_CONST const TensorMap from,
                    GPUKERN_GRID_CONST const TensorMap to) {
  GPUKERN_SHARED(int, spare, [kThreads]);
  const int thread = static_cast<int>(threadIdx.x), first = static_cast<int>(blockIdx.x) * kThreads;
  const uint32_t base = shared_address(shared_memory()), barrier = base + kBarrier;
  int* const line = reinterpret_cast<int*>(shared_memory());
  if (thread == 0) {
    mbarrier_init(barrier, 1);
    fence_mbarrier_init();
  }
  syncthreads();
  if (F == Fault::none_lets_first || F == Fault::lets_and_no_wait) griddepcontrol_launch_dependents();
  if (F == Fault::no_wait_no_access) return;
  int early = 0;
  if (F == Fault::wait_behind_the_read) early = in[first + thread];
  if (F == Fault::wait_behind_the_copy) {
    cp_async<4>(shared_address(spare + thread), in + first + thread);
    cp_async_commit();
    cp_async_wait<0>();
  }
  if (F == Fault::wait_behind_an_atomic && thread == 5) atomic_add(out + first, 0);
  if (F == Fault::wait_behind_a_write) out[first + thread] = 0;
  if (F == Fault::wait_behind_the_store_of_a_box && thread == 0) {
    for (int i = 0; i < kThreads; ++i) line[256 + i] = 0;
    fence_proxy_async();
    tma_store(&to, {first}, base + 1024);
    bulk_commit_group();
    bulk_wait_group<0>();
  }
  if (F != Fault::wait_behind_the_box && waits<F>()) griddepcontrol_wait();
  if (F == Fault::none_waits_twice) griddepcontrol_wait();
  if (F != Fault::wait_of_readers || thread < kThreads / 2)
    for (int i = thread; i < kThreads; i += F == Fault::wait_of_readers ? kThreads / 2 : kThreads)
      if (F != Fault::wait_behind_the_box) early += in[first + i];
  if (thread == 0) {
    mbarrier_arrive_expect_tx(barrier, kThreads * 4);
    tma_load(base, &from, {first}, barrier);
  }
  if (F == Fault::wait_behind_the_box) griddepcontrol_wait();
  mbarrier_wait_parity(barrier, 0);
  if (F != Fault::none_never_lets && F != Fault::none_lets_last) griddepcontrol_launch_dependents();
  const int number = line[kThreads - 1 - thread] + 1;
  syncthreads();
  if (early != 1 << 30) out[first + thread] = number;
  if (F == Fault::none_lets_last) griddepcontrol_launch_dependents();
}

// ---- in which order -------------------------------------------------------------------------------------------------

extern int events[1024];
extern int count;
GPUKERN_D void note(int event) { events[count++] = event; }

GPUKERN_KERNEL first(bool tells) {
  griddepcontrol_wait();
  if (tells && threadIdx.x == 0) {
    griddepcontrol_launch_dependents();
    note(1);
  }
  for (int i = 0; i < 8; ++i) syncthreads();
  if (threadIdx.x == 0) note(2);
}
GPUKERN_KERNEL second() {
  if (threadIdx.x == 0) note(3);
  griddepcontrol_wait();
  if (threadIdx.x == 0) note(4);
}

// ---- the barrier of a cluster ---------------------------------------------------------------------------------------

GPUKERN_KERNEL meet(bool all_come) {
  if (!all_come && cluster_rank() == 1 && threadIdx.x >= 32) return;
  cluster_arrive();
  cluster_wait();
  cluster_arrive();
  cluster_wait();
}

}  // namespace gpukern::faults
