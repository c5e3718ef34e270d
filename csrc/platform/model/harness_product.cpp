// Matrix products under the model.
#include "../../gemm/select.h"
#include "harness.h"

using namespace gpukern;

namespace {
gemm::Layout layout(const int64_t* l) { return {l[0], l[1], l[2], static_cast<int>(l[3])}; }

gemm::Problem problem(const int* which, const int64_t* extents, const int64_t* layouts) {
  gemm::Problem p;
  p.type = static_cast<gpukern::DType>(which[2]);
  p.out = static_cast<gpukern::DType>(which[6]);
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
  p.saved = layout(layouts + 20);
  p.row_scale = layout(layouts + 24);
  p.column_scale = layout(layouts + 28);
  p.batch_invariant = which[15] != 0;
  p.epilogue.derivative = static_cast<gemm::Activation>(which[11]);
  p.epilogue.sums = which[14] ? gemm::Sums::columns : gemm::Sums::none;
  p.epilogue.aux = which[17] != 0;
  p.aux = layout(layouts + 32);
  return p;
}

// Why selection would never choose the configuration for this problem, on any device with the model's lanes and that
// many processors; null where it would on one.  Of several reasons the one of the device that comes closest.
gemm::Reason refusal(const gemm::Folder& folder, const gemm::Configuration& configuration, const gemm::Problem& p,
                     int processors) {
  gemm::Reason closest = nullptr;
  int passed = -1;  // of: the device, the problem
  for (const int target : {90, 80, 89, 100, 0x942, 0x1100}) {
    const bool amd = target >= 0x900, wide = target == 0x942;
    const int shared = amd ? 64 << 10 : target == 89 ? 99 << 10 : 227 << 10;
    const Device d{amd ? Vendor::amd : Vendor::nvidia, target, processors, shared, 0, wide ? 64 : 32};
    if (d.wave != model::settings().wave) continue;
    int steps = 0;
    gemm::Reason why = folder.serves(d);
    if (!why) ++steps, why = folder.supports(p, d);
    if (!why) ++steps, why = folder.refuses(configuration, p, d);
    if (!why) return nullptr;
    if (steps > passed) closest = why, passed = steps;
  }
  return closest;
}

}  // namespace

// which: folder, configuration, type, activation, addend, residual, type of the result, precision, ranges of k (0: no
// product, only its epilogue in split/), whether a and b are conjugated, the derivative, processors, blocks of a
// cluster (0: the configuration's rule), whether the columns of D are summed, whether the product is batch-invariant,
// whether the table's refusals hold, whether the pre-activation is stored. scales: null, or group and strides (x, k)
// for a and for b, b's type, use_fast_accum; scale_data: scales of a and b, the bias, the scale of the result. extents:
// batch, m, n, k.  layouts: of a, b, c, d, residual, S, row scales, column scales and aux, each with row, column and
// batch stride in elements and the alignment in bytes.  data: a, b, c, residual, d, memory for partial sums of ranges,
// the workspace, S, row scales, column scales, the sums of columns, memory for their partial sums, aux (null: none).
GPUKERN_EXPORT const char* gpukern_model_product(const int* which, const int64_t* extents, const int64_t* layouts,
                                                 void* const* data, double alpha, double beta, int64_t whole_alpha,
                                                 int64_t whole_beta, double alpha_imaginary, double beta_imaginary,
                                                 const int64_t* scales, const float* const* scale_data) {
  gemm::Problem p = problem(which, extents, layouts);
  gemm::Epilogue& e = p.epilogue;
  e.alpha = alpha, e.beta = beta;
  e.whole_alpha = whole_alpha, e.whole_beta = whole_beta;
  e.alpha_imaginary = alpha_imaginary, e.beta_imaginary = beta_imaginary;
  e.activation = static_cast<gemm::Activation>(which[3]);
  e.addend = which[4] != 0;
  e.residual = which[5] != 0;
  e.row_scale = data[8] != nullptr;
  e.column_scale = data[9] != nullptr;
  p.conjugate_a = which[9] != 0;
  p.conjugate_b = which[10] != 0;
  if (scales) {
    p.scaling = {{static_cast<int>(scales[0]), scales[1], scales[2]},
                 {static_cast<int>(scales[3]), scales[4], scales[5]},
                 static_cast<gpukern::DType>(scales[6]),
                 scales[7] != 0};
  }
  gemm::Data d{data[0], data[1], data[2], data[3], data[4], data[5], which[8], data[6], data[7], data[8], data[9]};
  d.sums = data[10], d.parts = data[11], d.aux = data[12];
  d.processors = which[12];
  d.cluster = which[13];
  if (scale_data) {
    d.scale_a = scale_data[0], d.scale_b = scale_data[1], d.bias = scale_data[2], d.scale_result = scale_data[3];
  }
  model::last_error().clear();
  if (d.splits == 0) {  // as gpu_path::end_alone
    d.partial = d.d;
    return model::answer(gemm::split::add_ranges(p, d, nullptr));
  }
  const gemm::Folder& folder = gemm::kFolders[which[0]];
  if (which[16])
    if (const gemm::Reason why = refusal(folder, folder.configurations[which[1]], p, d.processors))
      return model::refused(why);
#define GPUKERN_LAUNCH(folder)                             \
  if (which[0] == gemm::folder_index(gemm::folder::kName)) \
    return model::answer(gemm::folder::launch(which[1], p, d, nullptr));
  GPUKERN_GEMM_GPU_FOLDERS(GPUKERN_LAUNCH)
#undef GPUKERN_LAUNCH
  return "no such folder";
}

// The memory that the same product needs: elements of partial sums of ranges (0: none) in the accumulator's type, bytes
// of workspace, the number of partial sums per column.
GPUKERN_EXPORT void gpukern_model_needs(const int* which, const int64_t* extents, const int64_t* layouts,
                                        int64_t* needs) {
  const gemm::Problem p = problem(which, extents, layouts);
  const gemm::Folder& folder = gemm::kFolders[which[0]];
  const int splits = which[8];
  const bool in_memory =
      splits > 1 && (which[13] || !folder.inside(folder.configurations[which[1]], p, splits, which[12]));
  needs[0] = in_memory || folder.separate_epilogue(p) ? splits * p.batch * p.m * p.n : 0;
  needs[1] = folder.workspace(p);
  needs[2] = gemm::parts_of({which[0], which[1]}, p, splits).count;
}
