// The primitives of sm_90a except wgmma: mbarriers, clusters, TMA, the threads themselves.
#include "hopper.h"

namespace gpukern::conformance {
namespace {

GPUKERN_D uint32_t* words() { return reinterpret_cast<uint32_t*>(shared_memory()); }
GPUKERN_D int thread() { return static_cast<int>(threadIdx.x); }
GPUKERN_D int rank() { return static_cast<int>(cluster_rank()); }

// ---- mbarrier -----------------------------------------------------------------------------------------------------

GPUKERN_SM90A_CASE(mbarrier_arrive, 1, 128, kBoxShared) {
  const uint32_t barrier = shared_address(shared_memory()) + kBoxRoom;
  start_barrier(barrier, 128);
  for (uint32_t phase = 0; phase < 3; ++phase) {
    words()[phase * 128 + thread()] = input[thread()] + phase;
    mbarrier_arrive(barrier);
    mbarrier_wait_parity(barrier, phase & 1);
    output[phase * 128 + thread()] = words()[phase * 128 + (thread() + 33) % 128];
  }
}

GPUKERN_SM90A_CASE(mbarrier_try_wait, 1, 32, kBoxShared) {
  const uint32_t barrier = shared_address(shared_memory()) + kBoxRoom;
  start_barrier(barrier, 1);
  if (thread() != 0) return;
  output[0] = mbarrier_try_wait_parity(barrier, 1);  // the phase before the first counts as complete
  output[1] = mbarrier_try_wait_parity(barrier, 0);
  mbarrier_arrive(barrier);
  output[2] = mbarrier_try_wait_parity(barrier, 0);
  output[3] = mbarrier_try_wait_parity(barrier, 1);
}

GPUKERN_SM90A_CASE(mbarrier_inval, 1, 32, kBoxShared) {
  const uint32_t barrier = shared_address(shared_memory()) + kBoxRoom;
  start_barrier(barrier, 7);
  if (thread() != 0) return;
  mbarrier_inval(barrier);
  mbarrier_init(barrier, 2);
  mbarrier_arrive(barrier);
  output[0] = mbarrier_try_wait_parity(barrier, 0);
  mbarrier_arrive(barrier);
  output[1] = mbarrier_try_wait_parity(barrier, 0);
}

// ---- clusters -----------------------------------------------------------------------------------------------------

GPUKERN_SM90A_CASE(cluster_rank_and_size, 4, 32, 0) {
  if (thread() != 0) return;
  output[2 * rank()] = cluster_rank();
  output[2 * rank() + 1] = cluster_size();
}

GPUKERN_SM90A_CASE(cluster_load, 4, 64, 1024) {
  words()[thread()] = input[rank() * 64 + thread()];
  cluster_arrive();
  cluster_wait();
  const uint32_t next = mapa(shared_address(shared_memory()), (rank() + 1) % 4);
  uint32_t* const out = output + rank() * 64;
  if (thread() < 8) {
    out[thread()] = load_cluster<uint32_t>(next + 4 * thread());
  } else if (thread() < 16) {
    const uint64_t two = load_cluster<uint64_t>(next + 32 + 8 * (thread() - 8));
    memcpy(out + 8 + 2 * (thread() - 8), &two, 8);
  } else if (thread() < 26) {
    const Packet<uint32_t, 4> four = load_cluster<Packet<uint32_t, 4>>(next + 96 + 16 * (thread() - 16));
    memcpy(out + 24 + 4 * (thread() - 16), &four, 16);
  }
  cluster_arrive();  // no block ends before all have read
  cluster_wait();
}

GPUKERN_SM90A_CASE(cluster_store, 2, 32, 1024) {
  cluster_arrive_relaxed();
  cluster_wait();
  const uint32_t peer = mapa(shared_address(shared_memory()), 1 - rank());
  const uint32_t* const in = input + rank() * 32 * 7;
  store_cluster<uint32_t>(peer + 4 * thread(), in[thread()]);
  uint64_t two;
  memcpy(&two, in + 32 + 2 * thread(), 8);
  store_cluster<uint64_t>(peer + 128 + 8 * thread(), two);
  Packet<uint32_t, 4> four;
  memcpy(&four, in + 96 + 4 * thread(), 16);
  store_cluster<Packet<uint32_t, 4>>(peer + 384 + 16 * thread(), four);
  cluster_arrive();
  cluster_wait();
  copy_out(shared_memory(), output + rank() * 32 * 7, 32 * 7);
}

GPUKERN_SM90A_CASE(mbarrier_arrive_cluster, 2, 32, kBoxShared) {
  const uint32_t barrier = shared_address(shared_memory()) + kBoxRoom;
  start_barrier(barrier, 32);
  cluster_arrive();
  cluster_wait();
  const uint32_t peer = 1 - rank(), there = mapa(shared_address(shared_memory()), peer);
  store_cluster<uint32_t>(there + 4 * thread(), input[rank() * 32 + thread()]);
  mbarrier_arrive_cluster(mapa(barrier, peer));
  mbarrier_wait_parity(barrier, 0);
  output[rank() * 32 + thread()] = words()[31 - thread()];
}

// ---- TMA ----------------------------------------------------------------------------------------------------------

template <int R> GPUKERN_D void take(int (&to)[R], const Coordinates& from) {
  for (int d = 0; d < R; ++d) to[d] = from.at[d];
}

template <int R, bool Hint>
GPUKERN_KERNEL load_kernel(const GPUKERN_GRID_CONST TensorMap map, Coordinates where, uint32_t* output, int bytes) {
  if (!has_sm90a()) return;
  const uint32_t to = shared_address(shared_memory()), barrier = to + kBoxRoom;
  start_barrier(barrier, 1);
  if (thread() == 0) {
    prefetch_tensormap(&map);
    int at[R];
    take(at, where);
    mbarrier_expect_tx(barrier, bytes / 2);
    mbarrier_arrive_expect_tx(barrier, bytes / 2);
    if constexpr (Hint) tma_load_hint(to, &map, at, barrier, kEvictFirst);
    else tma_load(to, &map, at, barrier);
  }
  mbarrier_wait_parity(barrier, 0);
  copy_out(shared_memory(), output, bytes / 4);
}

template <int R, bool Hint>
GPUKERN_KERNEL store_kernel(const GPUKERN_GRID_CONST TensorMap map, Coordinates where, const uint32_t* input,
                            int bytes) {
  if (!has_sm90a()) return;
  for (int i = thread(); i < bytes / 4; i += 64) words()[i] = input[i];
  fence_proxy_async_shared();
  syncthreads();
  if (thread() != 0) return;
  int at[R];
  take(at, where);
  if constexpr (Hint) tma_store_hint(&map, at, shared_address(shared_memory()), kEvictNormal);
  else tma_store(&map, at, shared_address(shared_memory()));
  bulk_commit_group();
  bulk_wait_group<0>();
}

// The same boxes for loads, from the input, and for stores, to the output.
template <class Box> void add_copies(const std::string& name, Coordinates at, Box box) {
  constexpr int R = Box::kRank;
  static std::vector<std::string> names;
  names.reserve(64);
  names.push_back("tma_load_" + name);
  add({names.back().c_str(), [=](const Buffers& b) -> int {
         TensorMap map;
         const TensorMapFields f = box(b.input);
         if (platform::encode_tensor_map(f, map)) return kBadMap;
         return platform::launch(&load_kernel<R, Box::kHint>, dim3(1), dim3(64), kBoxShared, nullptr, map, at, b.output,
                                 static_cast<int>(f.box_bytes()));
       }});
  names.push_back("tma_store_" + name);
  add({names.back().c_str(), [=](const Buffers& b) -> int {
         TensorMap map;
         const TensorMapFields f = box(b.output);
         if (platform::encode_tensor_map(f, map)) return kBadMap;
         return platform::launch(&store_kernel<R, Box::kHint>, dim3(1), dim3(64), kBoxShared, nullptr, map, at, b.input,
                                 static_cast<int>(f.box_bytes()));
       }});
}
template <int R, bool Hint, class F> struct Rank : F {
  static constexpr int kRank = R;
  static constexpr bool kHint = Hint;
};
template <int R, bool Hint, class F> Rank<R, Hint, F> of_rank(F f) { return {f}; }

const bool copies_added = [] {
  add_copies("1d", {{28}}, of_rank<1, false>([](void* p) { return fields(p, 4, {40}, {16}); }));
  add_copies("2d", {{-8, 5}}, of_rank<2, false>([](void* p) { return fields(p, 2, {24, 10}, {16, 8}); }));
  add_copies("3d", {{8, -1, 3}}, of_rank<3, true>([](void* p) { return fields(p, 4, {12, 5, 4}, {8, 3, 2}); }));
  add_copies("4d", {{4, 2, -1, 2}},
             of_rank<4, false>([](void* p) { return fields(p, 4, {8, 3, 4, 3}, {4, 2, 2, 2}); }));
  add_copies("5d", {{0, 2, -1, 1, 2}},
             of_rank<5, true>([](void* p) { return fields(p, 4, {4, 3, 3, 2, 3}, {4, 2, 2, 2, 2}); }));
  add_copies("bytes", {{3, 1}}, of_rank<2, true>([](void* p) { return fields(p, 1, {32, 5}, {32, 6}); }));
  add_copies("swizzle_32", {{8, 12}},
             of_rank<2, false>([](void* p) { return fields(p, 2, {64, 24}, {16, 16}, Swizzle::bytes32, 144); }));
  add_copies("swizzle_64", {{40, 12}},
             of_rank<2, false>([](void* p) { return fields(p, 2, {64, 24}, {32, 16}, Swizzle::bytes64, 144); }));
  add_copies("swizzle_128", {{-16, 4}},
             of_rank<2, true>([](void* p) { return fields(p, 2, {64, 24}, {64, 16}, Swizzle::bytes128, 144); }));
  return true;
}();

const Registered tf32_case("tma_load_tf32", [](const Buffers& b) -> int {
  TensorMap map;
  TensorMapFields f = fields(b.input, 4, {64}, {64});
  f.to_tf32 = true;
  if (platform::encode_tensor_map(f, map)) return kBadMap;
  return platform::launch(&load_kernel<1, false>, dim3(1), dim3(64), kBoxShared, nullptr, map, Coordinates{}, b.output,
                          256);
});

// Each block loads half of a box and sends it to both.
template <bool Hint> GPUKERN_KERNEL multicast_kernel(const GPUKERN_GRID_CONST TensorMap map, uint32_t* output) {
  if (!has_sm90a()) return;
  const uint32_t to = shared_address(shared_memory()), barrier = to + kBoxRoom;
  start_barrier(barrier, 1);
  cluster_arrive();
  cluster_wait();
  if (thread() == 0) {
    mbarrier_arrive_expect_tx(barrier, 1024);
    const int at[2] = {0, rank() * 8};
    if constexpr (Hint) tma_load_multicast_hint(to + rank() * 512, &map, at, barrier, uint16_t{3}, kEvictLast);
    else tma_load_multicast(to + rank() * 512, &map, at, barrier, uint16_t{3});
  }
  mbarrier_wait_parity(barrier, 0);
  copy_out(shared_memory(), output + rank() * 256, 256);
  cluster_arrive();
  cluster_wait();
}
template <bool Hint> int multicast(const Buffers& b) {
  TensorMap map;
  if (platform::encode_tensor_map(fields(b.input, 4, {16, 16}, {16, 8}), map)) return kBadMap;
  return platform::launch_clusters(&multicast_kernel<Hint>, 2, false, dim3(2), dim3(64), kBoxShared, nullptr, map,
                                   b.output);
}
const Registered multicast_case("tma_load_multicast", multicast<false>);
const Registered multicast_hint_case("tma_load_multicast_hint", multicast<true>);

// Two stores in two groups from one place, whose second content may come when the first is read.
GPUKERN_KERNEL groups_kernel(const GPUKERN_GRID_CONST TensorMap map, const uint32_t* input) {
  if (!has_sm90a()) return;
  if (thread() != 0) return;
  for (int group = 0; group < 4; ++group) {
    uint32_t* const place = words() + group % 2 * 32;
    bulk_wait_group_read<1>();
    for (int i = 0; i < 32; ++i) place[i] = input[group * 32 + i];
    fence_proxy_async();
    tma_store(&map, {0, group * 2}, shared_address(place));
    bulk_commit_group();
  }
  bulk_wait_group<1>();
  bulk_wait_group_read<0>();
}
const Registered groups_case("bulk_groups", [](const Buffers& b) -> int {
  TensorMap map;
  if (platform::encode_tensor_map(fields(b.output, 4, {16, 8}, {16, 2}), map)) return kBadMap;
  return platform::launch(&groups_kernel, dim3(1), dim3(32), 1024, nullptr, map, b.input);
});

// What a thread's stores wrote, it reads behind the wait: 64 words into the output's first half, read for its second.
GPUKERN_KERNEL stores_are_seen_kernel(const GPUKERN_GRID_CONST TensorMap map, const uint32_t* input, uint32_t* output) {
  if (!has_sm90a()) return;
  if (thread() != 0) return;
  for (int i = 0; i < 64; ++i) words()[i] = input[i];
  fence_proxy_async();
  tma_store(&map, {0}, shared_address(words()));
  bulk_commit_group();
  bulk_wait_group<0>();
  for (int i = 0; i < 64; ++i) output[64 + i] = output[i] + 1;
}
const Registered stores_case("bulk_stores_are_seen", [](const Buffers& b) -> int {
  TensorMap map;
  if (platform::encode_tensor_map(fields(b.output, 4, {64}, {64}), map)) return kBadMap;
  return platform::launch(&stores_are_seen_kernel, dim3(1), dim3(32), 1024, nullptr, map, b.input, b.output);
});

// ---- the threads themselves ---------------------------------------------------------------------------------------

GPUKERN_SM90A_CASE(elect_sync, 1, 64, 0) {
  const bool first = elect_sync(), second = elect_sync();
  const LaneMask elected = ballot(first), again = ballot(second);
  if (thread() % 32 == 0) output[thread() / 32] = (elected == again) + 2 * ((elected & (elected - 1)) == 0 && elected);
}

GPUKERN_KERNEL GPUKERN_BOUNDS(384, 1) setmaxnreg_kernel(uint32_t* input, uint32_t* output) {
  if (!has_sm90a()) return;
  if (thread() < 128) setmaxnreg_dec<40>();
  else setmaxnreg_inc<232>();
  output[thread()] = input[0] + thread();
}
const Registered setmaxnreg_case("setmaxnreg", [](const Buffers& b) {
  return platform::launch(&setmaxnreg_kernel, dim3(1), dim3(384), 0, nullptr, b.input, b.output);
});

GPUKERN_SM90A_CASE(griddepcontrol, 1, 32, 0) {
  griddepcontrol_wait();
  output[thread()] = input[thread()];
  griddepcontrol_launch_dependents();
}

// Dependent launches: d = a b of 16 x 16 words, modulo 2^32, by two blocks of 8 rows; a is what the launch before
// wrote. Each lets the next one start before it has written anything.
GPUKERN_KERNEL chain_kernel(const GPUKERN_GRID_CONST TensorMap a, const GPUKERN_GRID_CONST TensorMap d,
                            const uint32_t* b) {
  if (!has_sm90a()) return;
  const uint32_t box = shared_address(shared_memory()), barrier = box + kBoxRoom;
  const int at[2] = {0, static_cast<int>(blockIdx.x) * 8}, row = thread() / 16, column = thread() % 16;
  start_barrier(barrier, 1);
  griddepcontrol_wait();
  if (thread() == 0) {
    mbarrier_arrive_expect_tx(barrier, 512);
    tma_load(box, &a, at, barrier);
  }
  griddepcontrol_launch_dependents();
  mbarrier_wait_parity(barrier, 0);
  uint32_t sum = 0;
  for (int k = 0; k < 16; ++k) sum += words()[row * 16 + k] * b[k * 16 + column];
  words()[256 + thread()] = sum;
  fence_proxy_async();
  syncthreads();
  if (thread() != 0) return;
  tma_store(&d, at, box + 1024);
  bulk_commit_group();
  bulk_wait_group<0>();
}
const Registered chain_case("dependent_launches", [](const Buffers& b) {
  return in_one_stream([&] {
    uint32_t* from = b.input + 256;
    for (uint32_t* to = b.output; to < b.output + b.output_bytes / 4; from = to, to += 256) {
      TensorMap a, d;
      if (platform::encode_tensor_map(fields(from, 4, {16, 16}, {16, 8}), a)) return kBadMap;
      if (platform::encode_tensor_map(fields(to, 4, {16, 16}, {16, 8}), d)) return kBadMap;
      if (const int error =
              platform::launch_clusters(&chain_kernel, 1, true, dim3(2), dim3(128), kBoxShared, nullptr, a, d, b.input))
        return error;
    }
    return 0;
  });
});

}  // namespace
}  // namespace gpukern::conformance
