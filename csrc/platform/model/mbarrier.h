// mbarrier: a barrier in shared memory that counts arrivals and bytes, and the fences that belong to it.
#pragma once
#include "../waits.h"
#include "agents.h"
#include "words.h"

namespace gpukern::model {

uint32_t own_shared_address(const void* pointer, Place at);

void mbarrier_init(uint32_t barrier, uint32_t count, Place at);
void mbarrier_inval(uint32_t barrier, Place at);
// Expects `bytes`, then arrives `arrivals` times, on a barrier of this block or, if `remote`, of any of the cluster.
void mbarrier_arrive(uint32_t barrier, uint32_t arrivals, uint32_t bytes, bool remote, Place at);
// bounded: returns false if no thread can go on; without a bound that is a deadlock.
bool mbarrier_try_wait(uint32_t barrier, uint32_t parity, bool bounded, Place at);
void mbarrier_wait(uint32_t barrier, uint32_t parity, Place at);
// For copies: the check that a copy may count its bytes on the barrier, and the count when it completes.
void check_completes(uint32_t barrier, const Agent& issuer, Place at);
void complete_bytes(uint32_t barrier, uint32_t bytes, const Agent& copy, Place at);

void fence_mbarrier_init(Place at);
void fence_proxy_async();

}  // namespace gpukern::model

namespace gpukern {

inline void mbarrier_init(uint32_t barrier, uint32_t count, GPUKERN_SAID_AT) {
  model::mbarrier_init(barrier, count, GPUKERN_HERE("mbarrier_init"));
}
inline void mbarrier_inval(uint32_t barrier, GPUKERN_SAID_AT) {
  model::mbarrier_inval(barrier, GPUKERN_HERE("mbarrier_inval"));
}
inline void mbarrier_arrive(uint32_t barrier, GPUKERN_SAID_AT) {
  model::mbarrier_arrive(barrier, 1, 0, false, GPUKERN_HERE("mbarrier_arrive"));
}
inline void mbarrier_arrive_expect_tx(uint32_t barrier, uint32_t bytes, GPUKERN_SAID_AT) {
  model::mbarrier_arrive(barrier, 1, bytes, false, GPUKERN_HERE("mbarrier_arrive_expect_tx"));
}
inline void mbarrier_expect_tx(uint32_t barrier, uint32_t bytes, GPUKERN_SAID_AT) {
  model::mbarrier_arrive(barrier, 0, bytes, false, GPUKERN_HERE("mbarrier_expect_tx"));
}
// On a barrier of any block of the cluster, by its address from mapa.
inline void mbarrier_arrive_cluster(uint32_t barrier, GPUKERN_SAID_AT) {
  model::mbarrier_arrive(barrier, 1, 0, true, GPUKERN_HERE("mbarrier_arrive_cluster"));
}
// Whether the phase of that parity is complete; may wait for it for a limited time.
inline bool mbarrier_try_wait_parity(uint32_t barrier, uint32_t parity, GPUKERN_SAID_AT) {
  return model::mbarrier_try_wait(barrier, parity, false, GPUKERN_HERE("mbarrier_try_wait_parity"));
}
inline void mbarrier_wait_parity(uint32_t barrier, uint32_t parity, GPUKERN_SAID_AT) {
  const model::Place at = GPUKERN_HERE("mbarrier_wait_parity");
#if defined(GPUKERN_BOUNDED_WAITS)
  waits::until([=] { return model::mbarrier_try_wait(barrier, parity, true, at); }, waits::Word::mbarrier, barrier,
               parity);
#else
  model::mbarrier_wait(barrier, parity, at);
#endif
}
// Makes initialised barriers known to the cluster and to the async proxy.
inline void fence_mbarrier_init(GPUKERN_SAID_AT) { model::fence_mbarrier_init(GPUKERN_HERE("fence_mbarrier_init")); }
// Makes writes that this thread knows of visible to the async proxy: copies and matrix units.
inline void fence_proxy_async() { model::fence_proxy_async(); }
inline void fence_proxy_async_shared() { model::fence_proxy_async(); }

}  // namespace gpukern
