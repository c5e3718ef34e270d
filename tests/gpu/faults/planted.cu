// One planted fault for each tool of compute-sanitizer, and a run without any: a tool counts only where its own fires
// and the sound run stays silent.  The namespace's name has the word that the tools' kernel filter looks for.
#include <cstdio>
#include <cstring>

namespace gpukern_planted {

constexpr int kThreads = 64, kCount = 256;

// memcheck: `reach` elements beyond the end are written.
__global__ void write(int* out, int reach) { out[(threadIdx.x == 0) * (kCount - 1 + reach)] = 1; }

// racecheck: another warp's element of shared memory is read; with `wait`, after a barrier.
__global__ void exchange(int* out, bool wait) {
  __shared__ int shared[kThreads];
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (wait) __syncthreads();
  out[threadIdx.x] = shared[(threadIdx.x + 32) % kThreads];
}

// synccheck: the threads below `some` alone come to the barrier.
__global__ void meet(int* out, int some) {
  if (static_cast<int>(threadIdx.x) < some) {
    __syncthreads();
    out[threadIdx.x] = 1;
  }
}

// initcheck: what is read may never have been written.
__global__ void copy(const int* in, int* out) { out[threadIdx.x] = in[threadIdx.x] + 1; }

}  // namespace gpukern_planted

// planted <tool> <fault | sound>
int main(int count, char** words) {
  using namespace gpukern_planted;
  if (count != 3) return 2;
  const char* tool = words[1];
  const bool fault = std::strcmp(words[2], "fault") == 0;
  int *in = nullptr, *out = nullptr;
  if (cudaMalloc(&in, kCount * sizeof(int)) || cudaMalloc(&out, kCount * sizeof(int))) return 3;
  cudaMemset(out, 0, kCount * sizeof(int));
  if (!fault) cudaMemset(in, 0, kCount * sizeof(int));
  if (!std::strcmp(tool, "memcheck")) write<<<1, kThreads>>>(out, fault ? 1 : 0);
  if (!std::strcmp(tool, "racecheck")) exchange<<<1, kThreads>>>(out, !fault);
  if (!std::strcmp(tool, "synccheck")) meet<<<1, kThreads>>>(out, fault ? kThreads - 1 : kThreads);
  if (!std::strcmp(tool, "initcheck")) copy<<<1, kThreads>>>(in, out);
  const cudaError_t launched = cudaGetLastError(), ended = cudaDeviceSynchronize();
  int seen[kCount];
  if (launched || ended || cudaMemcpy(seen, out, sizeof(seen), cudaMemcpyDeviceToHost)) return 4;
  std::printf("%d\n", seen[0]);
  cudaFree(in);
  cudaFree(out);
  return 0;
}
