// The launcher of simt, and its kernels of complex numbers.
#include "configurations.h"

namespace gpukern::gemm::simt {

extern template int run_configuration<float>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<double>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<half_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<bfloat16_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<uint8_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<int8_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<int16_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<int32_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<int64_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<float8_t>(int, const Problem&, const Data&, Stream);

#ifdef GPUKERN_WITHOUT_float  // a build for devices on which mma_sync has these types (build_rules.py)
constexpr unsigned kAbsent = kSingle | kDouble;
#else
constexpr unsigned kAbsent = 0;
#endif

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  return with_storage(p.type, [&](auto x) {
    using T = decltype(x);
    if constexpr ((bit(type_of<T>()) & kAbsent) != 0) return platform::kNoKernel;
    else return run_configuration<T>(row, p, data, stream);
  });
}

}  // namespace gpukern::gemm::simt
