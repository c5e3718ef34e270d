// The model's fragment tables against CuTe's, on the host: prints a line a table, `name mismatches`.
#include <cstdio>

#include <cute/atom/copy_traits_sm75.hpp>
#include <cute/atom/copy_traits_sm90.hpp>
#include <cute/atom/mma_traits_sm80.hpp>
#include <cute/atom/mma_traits_sm90.hpp>
#include <cute/tensor.hpp>

#include "platform/model/fragments.h"

namespace {

using namespace cute;
namespace model = gpukern::model;

// CuTe maps (lane, element) to row + rows * column, of B to column + columns * row.
template <class Ours, class Operation> void compare(const char* name) {
  using Theirs = MMA_Traits<Operation>;
  const typename Theirs::ALayout a;
  const typename Theirs::BLayout b;
  const typename Theirs::CLayout c;
  int bad = size<1>(a) != Ours::elements_a || size<1>(b) != Ours::elements_b || size<1>(c) != Ours::elements_c;
  bad += size<0>(typename Theirs::Shape_MNK()) != Ours::m || size<1>(typename Theirs::Shape_MNK()) != Ours::n ||
         size<2>(typename Theirs::Shape_MNK()) != Ours::k;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < Ours::elements_a; ++i)
      bad += a(lane, i) != Ours::a(lane, i).row + Ours::m * Ours::a(lane, i).column;
    for (int i = 0; i < Ours::elements_b; ++i)
      bad += b(lane, i) != Ours::b(lane, i).column + Ours::n * Ours::b(lane, i).row;
    for (int i = 0; i < Ours::elements_c; ++i)
      bad += c(lane, i) != Ours::c(lane, i).row + Ours::m * Ours::c(lane, i).column;
  }
  std::printf("%s %d\n", name, bad);
}

// CuTe maps (lane, bit) of the registers and of the rows to the same bits.
template <class Registers, class Rows> void compare_matrices(const char* name, int count, bool transposed) {
  const Registers registers;
  const Rows rows;
  int bad = size<1>(registers) != 32 * count || size<1>(rows) != 128;
  for (int lane = 0; lane < 32; ++lane)
    for (int j = 0; j < count; ++j)
      for (int half = 0; half < 2; ++half) {
        const model::Element at = model::matrix_8x8(lane, half, transposed);
        bad += registers(lane, 32 * j + 16 * half) != rows(8 * j + at.row, 16 * at.column);
      }
  std::printf("%s %d\n", name, bad);
}
template <class Operation> void compare_load(const char* name, int count, bool transposed) {
  using Traits = Copy_Traits<Operation>;
  compare_matrices<typename Traits::DstLayout, typename Traits::SrcLayout>(name, count, transposed);
}
template <class Operation> void compare_store(const char* name, int count, bool transposed) {
  using Traits = Copy_Traits<Operation>;
  compare_matrices<typename Traits::SrcLayout, typename Traits::DstLayout>(name, count, transposed);
}

}  // namespace

int main() {
  compare<model::M16n8k16, SM80_16x8x16_F32F16F16F32_TN>("mma_m16n8k16_f16");
  compare<model::M16n8k16, SM80_16x8x16_F32BF16BF16F32_TN>("mma_m16n8k16_bf16");
  compare<model::M16n8k8, SM80_16x8x8_F32TF32TF32F32_TN>("mma_m16n8k8_tf32");
  compare<model::M16n8k32, SM80_16x8x32_S32S8S8S32_TN>("mma_m16n8k32_s8");
  compare<model::M8n8k4, SM80_8x8x4_F64F64F64F64_TN>("mma_m8n8k4_f64");
  compare<model::M16n8k16Double, SM90_16x8x16_F64F64F64F64_TN>("mma_m16n8k16_f64");
  compare_load<SM75_U32x1_LDSM_N>("ldmatrix_x1", 1, false);
  compare_load<SM75_U32x2_LDSM_N>("ldmatrix_x2", 2, false);
  compare_load<SM75_U32x4_LDSM_N>("ldmatrix_x4", 4, false);
  compare_load<SM75_U16x2_LDSM_T>("ldmatrix_x1_trans", 1, true);
  compare_load<SM75_U16x4_LDSM_T>("ldmatrix_x2_trans", 2, true);
  compare_load<SM75_U16x8_LDSM_T>("ldmatrix_x4_trans", 4, true);
  compare_store<SM90_U32x1_STSM_N>("stmatrix_x1", 1, false);
  compare_store<SM90_U32x2_STSM_N>("stmatrix_x2", 2, false);
  compare_store<SM90_U32x4_STSM_N>("stmatrix_x4", 4, false);
  compare_store<SM90_U16x2_STSM_T>("stmatrix_x1_trans", 1, true);
  compare_store<SM90_U16x4_STSM_T>("stmatrix_x2_trans", 2, true);
  compare_store<SM90_U16x8_STSM_T>("stmatrix_x4_trans", 4, true);
}
