// Matrix products under the model.
#include "../../gemm/registry.h"
#include "harness.h"

using namespace gpukern;

namespace {
gemm::Layout layout(const int64_t* l) { return {l[0], l[1], l[2], static_cast<int>(l[3])}; }

gemm::Problem problem(const int* which, const int64_t* extents, const int64_t* layouts) {
  gemm::Problem p;
  p.type = static_cast<gemm::Type>(which[2]);
  p.out = static_cast<gemm::Type>(which[6]);
  p.precision = static_cast<gemm::Precision>(which[7]);
  p.batch = extents[0];
  p.m = extents[1];
  p.n = extents[2];
  p.k = extents[3];
  p.a = layout(layouts);
  p.b = layout(layouts + 4);
  p.c = layout(layouts + 8);
  p.d = layout(layouts + 12);
  p.residual = layout(layouts + 16);
  return p;
}

}  // namespace

// which: folder, row, type, activation, addend, residual, type of the result, precision, ranges of k, whether a and b
// are conjugated.
// extents: batch, m, n, k.  layouts: a, b, c, d, residual with row, column and batch stride in elements and the
// alignment in bytes.  data: a, b, c, residual, d, and room for the ranges' sums and the workspace.
GPUKERN_EXPORT const char* gpukern_model_product(const int* which, const int64_t* extents, const int64_t* layouts,
                                                 void* const* data, double alpha, double beta, int64_t whole_alpha,
                                                 int64_t whole_beta, double alpha_imaginary, double beta_imaginary) {
  gemm::Problem p = problem(which, extents, layouts);
  p.epilogue = {alpha,         beta,
                whole_alpha,   whole_beta,
                which[4] != 0, static_cast<gemm::Activation>(which[3]),
                which[5] != 0, alpha_imaginary,
                beta_imaginary};
  p.conjugate_a = which[9] != 0;
  p.conjugate_b = which[10] != 0;
  const gemm::Data d{data[0], data[1], data[2], data[3], data[4], data[5], which[8], data[6]};
#define GPUKERN_LAUNCH(folder)                             \
  if (which[0] == gemm::folder_index(gemm::folder::kName)) \
    return model::answer(gemm::folder::launch(which[1], p, d, nullptr));
  GPUKERN_GEMM_GPU_FOLDERS(GPUKERN_LAUNCH)
#undef GPUKERN_LAUNCH
  return "no such folder";
}

// Bytes that the same product needs as its workspace.
GPUKERN_EXPORT int64_t gpukern_model_workspace(const int* which, const int64_t* extents, const int64_t* layouts) {
  return gemm::kFolders[which[0]].workspace(problem(which, extents, layouts));
}
