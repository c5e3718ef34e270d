// The instructions of ../../primitives/mbarrier.h.
#pragma once
#include "../gpu.h"
#include "../waits.h"

namespace gpukern {

GPUKERN_D void mbarrier_init(uint32_t barrier, uint32_t count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
GPUKERN_D void mbarrier_inval(uint32_t barrier) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}
GPUKERN_D void mbarrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
GPUKERN_D void mbarrier_arrive_expect_tx(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
GPUKERN_D void mbarrier_expect_tx(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// On a barrier of any block of the cluster, by its address from mapa.
GPUKERN_D void mbarrier_arrive_cluster(uint32_t barrier) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// Whether the phase of that parity is complete; may wait for it for a limited time.
GPUKERN_D bool mbarrier_try_wait_parity(uint32_t barrier, uint32_t parity) {
  uint32_t done;
  asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
               : "=r"(done)
               : "r"(barrier), "r"(parity)
               : "memory");
  return done;
}
// Waits without a bound, except in builds for first runs on a device (waits.h).
GPUKERN_D void mbarrier_wait_parity(uint32_t barrier, uint32_t parity) {
#ifdef GPUKERN_BOUNDED_WAITS
  waits::until([=] { return mbarrier_try_wait_parity(barrier, parity); }, waits::Word::mbarrier, barrier, parity);
#else
  while (!mbarrier_try_wait_parity(barrier, parity)) {
  }
#endif
}
// Makes initialised barriers known to the cluster and to the async proxy.
GPUKERN_D void fence_mbarrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
// Makes writes of threads visible to the async proxy: copies and matrix units.
GPUKERN_D void fence_proxy_async() { asm volatile("fence.proxy.async;" ::: "memory"); }
GPUKERN_D void fence_proxy_async_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

}  // namespace gpukern
