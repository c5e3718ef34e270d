// The smallest rows of sm_80 and of terms under the machine model, compiled from a tree in which one line is wrong
// (mutants.py).
#if GPUKERN_MUTANT_TERMS
#include "gemm/arch/terms/rows.h"
#else
#include "gemm/arch/sm_80/rows.h"
#endif
#include "mutant_split.h"

namespace gpukern::gemm {

#if GPUKERN_MUTANT_TERMS
namespace terms {
int launch(int, const Problem& p, const Data& data, Stream stream) {
  ask_for_split(data);
  return run_layout<64, 64, 64, 32, 32, 3>(p, data, stream);
}
}  // namespace terms
#else
namespace sm_80 {
constexpr int row_named(const char* id) {
  for (int i = 0; i < kCount; ++i)
    if (std::string_view(kRows[i].id) == id) return i;
  return -1;
}

int launch(int, const Problem& given, const Data& data, Stream stream) {
  ask_for_split(data);
#if GPUKERN_MUTANT_TF32
  using T = float;
  const Row& row = kRows[row_named("t64x64")];
#else
  using T = bfloat16_t;
  const Row& row = kRows[row_named("h64x64")];
#endif
  const Problem p = oriented(row, given);
  const Compiled c = compiled<T, 64, 64, 128 / int(sizeof(T)), 32, 32, 3>(a_along_k(p), b_along_k(p));
  return run<T>(row, c, given, p, turned(row, given), apart(p), data, stream);
}
}  // namespace sm_80
#endif

}  // namespace gpukern::gemm
