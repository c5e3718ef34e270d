// The launcher of skinny's configurations, and the configurations of floats.
#include "configurations.h"

namespace gpukern::gemm::skinny {

extern template int run_configuration<uint8_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<int8_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<int16_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<int32_t>(int, const Problem&, const Data&, Stream);
extern template int run_configuration<int64_t>(int, const Problem&, const Data&, Stream);

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  return with_storage(p.type, [&](auto x) { return run_configuration<decltype(x)>(row, p, data, stream); });
}

}  // namespace gpukern::gemm::skinny
