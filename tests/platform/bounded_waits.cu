// Kernels that wait for what never comes, and their twins to which it comes, compiled with GPUKERN_BOUNDED_WAITS: under
// the machine model (test_waits.py), and by nvcc together with some of Hopper's kernels (bounded_hopper.cu).
#include "conformance/hopper.h"

namespace gpukern::conformance {

// input[0]: whether a thread arrives.  One thread arrives at `full`; all others wait for it, round after round.
GPUKERN_SM90A_CASE(mbarrier_of_a_ring, 1, 128, kBoxShared) {
  const uint32_t barrier = shared_address(shared_memory() + kBoxRoom);
  start_barrier(barrier, 1);
  for (uint32_t round = 0; round < 3; ++round) {
    if (threadIdx.x == 0 && (round < 2 || input[0])) mbarrier_arrive(barrier);
    if (threadIdx.x / 32 == 3) mbarrier_wait_parity(barrier, round & 1);
    syncthreads();
  }
  if (threadIdx.x == 0) output[0] = 1;
}

GPUKERN_SM90A_CASE(named_barrier, 1, 128, 0) {
  const uint32_t warp = threadIdx.x / 32;
  barrier_sync(2, 128);
  if (warp == 1) barrier_sync(5, 64);
  if (warp == 2 && input[0]) barrier_arrive(5, 64);
  if (threadIdx.x == 32) output[0] = 1;
}

GPUKERN_SM90A_CASE(cluster_barrier, 2, 64, 0) {
  cluster_arrive();
  cluster_wait();
  if (cluster_rank() == 0 || input[0]) {
    cluster_arrive();
    cluster_wait();
  } else {
    // A thread that has ended counts as arrived, by the manual and by the model: who is to be missing has to wait.
    barrier_sync(1, 96);
  }
  if (threadIdx.x == 0 && cluster_rank() == 0) output[0] = 1;
}

}  // namespace gpukern::conformance

#if defined(GPUKERN_MODEL)
// What the host reads on a device: the record, or the notes that stand; the next launch begins with none.
extern "C" __attribute__((visibility("default"))) const char* take_waits() {
  static thread_local std::string text;
  text.clear();
  gpukern::waits::Room& room = gpukern::waits::model_room();
  if (room.record.state == 2) text = gpukern::waits::text_of(room.record) + "\n";
  for (const gpukern::waits::Wait& note : room.notes)
    if (note.state == 1) text += gpukern::waits::text_of(note) + "\n";
  room = {};
  return text.c_str();
}
#endif
