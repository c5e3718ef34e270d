// Some rows of sm_90a under the machine model, compiled from a tree in which one line is wrong (mutants.py): both ways
// to share the work, both operands shared, every layout between them.
#include "gemm/arch/sm_90a/rows.h"

namespace gpukern::gemm::sm_90a {

template <int BM, int BN, Consumers Way, Major B>
int either(const Row& row, const Problem& p, const Data& data, Stream stream) {
  return a_along_k(p) ? run<bfloat16_t, BM, BN, Way, Major::k, B>(row, p, data, false, stream)
                      : run<bfloat16_t, BM, BN, Way, Major::mn, Major::k>(row, p, data, false, stream);
}

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  const Row& r = kRows[row];
  const std::string_view id = r.id;
  if (id == "p64x64") return either<64, 64, Consumers::in_turns, Major::k>(r, p, data, stream);
  if (id == "w256x128") return either<256, 128, Consumers::together, Major::mn>(r, p, data, stream);
  if (id == "w128x192")
    return run<bfloat16_t, 128, 192, Consumers::together, Major::k, Major::k>(r, p, data, false, stream);
  if (id == "d128x16") return run_layout<bfloat16_t, 128, 16, Consumers::together>(r, p, data, stream);
  return -1;
}

}  // namespace gpukern::gemm::sm_90a
