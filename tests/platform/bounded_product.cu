// One of Hopper's kernels in the build whose waits end, under the machine model (test_waits.py): two warpgroups in
// turns, so mbarriers, named barriers and TMA, over blocks that come back for more tiles.
#include "gemm/arch/wgmma/configurations.h"

namespace gpukern::gemm::wgmma {

// D = A B of bfloat16, m x k by rows and k x n by columns, by two blocks.  starved: the map of A's boxes has half of
// the lines that the kernel counts the bytes of, so that no stage is ever full.
extern "C" __attribute__((visibility("default"))) const char* bounded_product(const void* a, const void* b, void* d,
                                                                              int m, int n, int k, int starved) {
  Problem p;
  p.type = p.out = DType::bf16;
  p.m = m, p.n = n, p.k = k;
  p.a = {k, 1, 0, 16}, p.b = {1, k, 0, 16}, p.d = {n, 1, 0, 16};
  Data data;
  data.a = a, data.b = b, data.d = d;
  const CompiledKernel c{&product<p64x64, bfloat16_t, bfloat16_t, bfloat16_t, Major::k, Major::k>, Major::k, Major::k,
                         DType::bf16};
  Params w{epilogue_params(p, data, 4, runs_down(p))};
  w.batches = 1;
  w.steps = w.range_steps = (k + 63) / 64;
  w.rows = static_cast<uint32_t>((m + 63) / 64), w.columns = static_cast<uint32_t>((n + 63) / 64);
  w.tiles = w.rows * w.columns;
  if (!describe_tile({a, p.a, 1}, lines_of(p.a, m, k, true), c, 64, Major::k, starved != 0, w.a) ||
      !describe_tile({b, p.b, 1}, lines_of(p.b, k, n, false), c, 64, Major::k, false, w.b))
    return "there is no such map";
  w.by_tma = ends_by_tma(p) && describe(d, p.d, lines_of_d(p), 1, 2, out_of(64), 16, false, w.d);
  model::buffers().clear();
  if (platform::launch_clusters(c.kernel, 1, true, dim3(2), dim3(kThreads), static_cast<size_t>(shared_of(64, 64)),
                                nullptr, w))
    return model::last_error().c_str();
  return "";
}

}  // namespace gpukern::gemm::wgmma
