// Matrix products whose columns are summed, under the model.
#include "../../platform/model/harness.h"
#include "../select.h"

using namespace gpukern;

namespace {

gemm::Layout layout(const int64_t* l) { return {l[0], l[1], l[2], static_cast<int>(l[3])}; }

gemm::Problem problem(const int* which, const int64_t* extents, const int64_t* layouts) {
  gemm::Problem p;
  p.type = static_cast<gemm::Type>(which[2]);
  p.out = static_cast<gemm::Type>(which[3]);
  p.precision = static_cast<gemm::Precision>(which[4]);
  p.epilogue.derivative = static_cast<gemm::Activation>(which[6]);
  p.epilogue.sums = gemm::Sums::columns;
  p.m = extents[0], p.n = extents[1], p.k = extents[2];
  p.a = layout(layouts), p.b = layout(layouts + 4), p.d = layout(layouts + 8), p.saved = layout(layouts + 12);
  return p;
}

}  // namespace

// which: folder, row, type, type of the result, precision, ranges of k, the derivative.  extents: m, n, k.  layouts: a,
// b, d, S, with row, column and batch stride in elements and the alignment in bytes.  data: a, b, d, S, room for the
// ranges' sums, the workspace, the sums of columns, room for those of their parts.
GPUKERN_EXPORT const char* gpukern_model_sums_product(const int* which, const int64_t* extents, const int64_t* layouts,
                                                      void* const* data) {
  const gemm::Problem p = problem(which, extents, layouts);
  gemm::Data d{data[0], data[1], nullptr, nullptr, data[2], data[4], which[5], data[5], data[3]};
  d.sums = data[6], d.parts = data[7];
  d.processors = 4;
#define GPUKERN_LAUNCH(folder)                             \
  if (which[0] == gemm::folder_index(gemm::folder::kName)) \
    return model::answer(gemm::folder::launch(which[1], p, d, nullptr));
  GPUKERN_GEMM_GPU_FOLDERS(GPUKERN_LAUNCH)
#undef GPUKERN_LAUNCH
  return "no such folder";
}

// What the same product needs: elements of the ranges' room (0: none) in the accumulator's type, bytes of its
// workspace, parts of its columns' sums.
GPUKERN_EXPORT void gpukern_model_rooms_sums_product(const int* which, const int64_t* extents, const int64_t* layouts,
                                                     int64_t* rooms) {
  const gemm::Problem p = problem(which, extents, layouts);
  const gemm::Parts parts = gemm::parts_of({which[0], which[1]}, p, which[5]);
  rooms[0] = parts.apart ? which[5] * p.m * p.n : 0;
  rooms[1] = gemm::kFolders[which[0]].workspace(p);
  rooms[2] = parts.count;
}
