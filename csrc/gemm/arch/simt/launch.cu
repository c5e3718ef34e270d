// The launcher of simt, and its kernels of complex numbers.
#include "rows.h"

namespace gpukern::gemm::simt {

extern template int run_row<float>(int, const Problem&, const Data&, Stream);
extern template int run_row<double>(int, const Problem&, const Data&, Stream);
extern template int run_row<half_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<bfloat16_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<uint8_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int8_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int16_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int32_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int64_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<float8_t>(int, const Problem&, const Data&, Stream);

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
    else return run_row<T>(row, p, data, stream);
  });
}

}  // namespace gpukern::gemm::simt
