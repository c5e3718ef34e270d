// The host's cost of launching a Hopper configuration, up to the call of the runtime (launch_cost.py): the real
// launcher, with a runtime whose calls return at once.  No device, no driver.
#include <chrono>
#include <cstdio>

#include "gemm/arch/wgmma/configurations.h"

// ---- the runtime --------------------------------------------------------------------------------

#ifndef __CUDA_ARCH__  // a device has some of these names itself
volatile const void* launched;
static CUresult encode(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*,
                       const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                       CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  return CUDA_SUCCESS;
}
extern "C" {
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t*, const void*, void** arguments) {
  launched = arguments[0];
  return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void*, dim3, dim3, void**, size_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGetDriverEntryPointByVersion(const char*, void** found, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* status) {
  *found = reinterpret_cast<void*>(&encode);
  *status = cudaDriverEntryPointSuccess;
  return cudaSuccess;
}
void** __cudaRegisterFatBinary(void*) { return nullptr; }
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char*, char*, const char*, int, uint3*, uint3*, dim3*, dim3*, int*) {}
cudaError_t __cudaGetKernel(cudaKernel_t*, const void*) { return cudaSuccess; }
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t) { return cudaSuccess; }
unsigned __cudaPushCallConfiguration(dim3, dim3, size_t, cudaStream_t) { return 0; }
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, size_t*, void*) { return cudaSuccess; }
}
#endif

// ---- what the rows ask of other files -------------------------------------------------------------

namespace gpukern::gemm {
namespace split {
int add_ranges(const Problem&, const Data&, Stream) { return 0; }
int add_parts(const Problem&, const Data&, int, Stream) { return 0; }
}  // namespace split
namespace wgmma {
int divide(const Problem&, const Data&, terms::Division&, Stream) { return 0; }
int pack(const Problem&, Data&, Stream) { return 0; }
}  // namespace wgmma
}  // namespace gpukern::gemm

// ---- the clock ----------------------------------------------------------------------------------

using namespace gpukern::gemm;
using gpukern::bfloat16_t;
using gpukern::Major;

// Nanoseconds a call, the least of several turns.
template <class F> double nanoseconds(F call) {
  constexpr int count = 20000;
  double best = 1e9;
  for (int turn = 0; turn < 9; ++turn) {
    const auto started = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) call(i);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - started;
    best = took.count() / count < best ? took.count() / count : best;
  }
  return best;
}

static Problem product(int64_t m, int64_t n, int64_t k) {
  Problem p;
  p.type = p.out = Type::bf16;
  p.m = m, p.n = n, p.k = k;
  p.a = {k, 1, 0, 16}, p.b = {1, k, 0, 16}, p.d = {n, 1, 0, 16};
  return p;
}

int main() {
  alignas(16) static char memory[4096];
  Data data;
  data.a = memory, data.b = memory + 1024, data.d = memory + 2048, data.partial = memory;
  data.processors = 132;
  const auto cost = [&](const char* what, int row, const Problem& p, int splits, bool fresh) {
    const wgmma::CompiledKernel c{
        &wgmma::product<wgmma::p64x64, bfloat16_t, bfloat16_t, bfloat16_t, Major::k, Major::k>, Major::k, Major::k,
        Type::bf16};
    data.splits = splits;
    int failed = 0;
    const double took = nanoseconds([&](int i) {
      Data mine = data;
      if (fresh) mine.a = memory + i % 128 * 16;  // more operands than maps are kept of
      const Problem oriented = wgmma::oriented(wgmma::kConfigurations[row], p);
      failed |= wgmma::run(wgmma::kConfigurations[row], c, p, oriented, mine, nullptr);
    });
    std::printf("%-44s%8.0f%s\n", what, took, failed ? "  failed" : "");
  };
  int p64x64 = 0, d128x16 = 0;
  for (int i = 0; i < wgmma::kCount; ++i) {
    if (std::string_view(wgmma::kConfigurations[i].id) == "p64x64") p64x64 = i;
    if (std::string_view(wgmma::kConfigurations[i].id) == "d128x16") d128x16 = i;
  }
  std::printf("%-44s%8s\n", "nanoseconds until the runtime is asked", "");
  cost("a product", p64x64, product(4096, 4096, 4096), 1, false);
  cost("operands at ever new addresses", p64x64, product(4096, 4096, 4096), 1, true);
  cost("16 rows, transposed, ranges of k in a cluster", d128x16, product(16, 1024, 8192), 8, false);
}
