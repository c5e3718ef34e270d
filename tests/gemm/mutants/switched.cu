// A small row of every folder under the machine model, compiled from a tree that has many faults, one of which is on at
// a time (switched.py).
#include "gemm/arch/f32/rows.h"
#include "gemm/arch/f64/rows.h"
#include "gemm/arch/gemv/rows.h"
#include "gemm/arch/simt/rows.h"
#include "gemm/arch/sm_80/rows.h"
#include "gemm/arch/sm_89/rows.h"
#include "gemm/arch/sm_90a/pack.cuh"
#include "gemm/arch/sm_90a/rows.h"
#include "gemm/arch/terms/rows.h"
#include "gemm/split/split.cu"

namespace gpukern::gemm {

namespace gemv {
int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.type == DType::f32) return run_row<float>(row, p, data, stream);
  return p.type == DType::bf16 ? run_row<bfloat16_t>(row, p, data, stream) : -1;
}
}  // namespace gemv

namespace simt {
int launch(int, const Problem& p, const Data& data, Stream stream) {
  if (p.type == DType::f32) return run<float, 32, 32, 16, 4, 4>(p, data, stream);
  return is_float8(p.type) ? run<float8_t, 32, 32, 8, 4, 4>(p, data, stream) : -1;
}
}  // namespace simt

namespace f32 {
int launch(int row, const Problem& given, const Data& data, Stream stream) {
  const Problem p = oriented(kRows[row], given);
  return run(row, compiled<32, 32, 32, 16, 32, 3>(a_along_k(p), b_along_k(p)), given, data, stream);
}
}  // namespace f32

namespace f64 {
int launch(int row, const Problem& given, const Data& data, Stream stream) {
  const Problem p = oriented(given);
  return run(row, compiled<32, 32, 16, 16, 4>(a_lies_along_k(p), b_lies_along_k(p)), given, data, stream);
}
}  // namespace f64

namespace sm_80 {
int launch(int number, const Problem& given, const Data& data, Stream stream) {
  const Row& row = kRows[number];
  const Problem p = oriented(row, given);
  const Compiled c = compiled<bfloat16_t, 64, 64, 64, 32, 32, 3>(a_along_k(p), b_along_k(p));
  return run<bfloat16_t>(row, c, given, p, turned(row, given), apart(p), data, stream);
}
}  // namespace sm_80

namespace sm_89 {
int launch(int row, const Problem& p, const Data& data, Stream stream) {
  return run(row, compiled<64, 64, 32, 32, 3>(p.type, p.scaling.b_type), p, data, stream);
}
}  // namespace sm_89

namespace terms {
int launch(int, const Problem& p, const Data& data, Stream stream) {
  return run_layout<64, 64, 64, 32, 32, 3>(p, data, stream);
}
}  // namespace terms

namespace sm_90a {
struct Here;
int divide(const Problem& p, const Data& data, terms::Division& d, Stream stream) {
  return terms::divide<Here>(p, data, d, stream);
}
int pack(const Problem& p, Data& data, Stream stream) { return pack_by_size(p, data, stream); }

int launch(int number, const Problem& given, const Data& data, Stream stream) {
  const Row& row = kRows[number];
  const Problem p = oriented(row, given);
  const Compiled c = compiled<bfloat16_t, 64, 64, Consumers::in_turns>(as_brought(p));
  return run(row, c, given, p, data, stream);
}
}  // namespace sm_90a

}  // namespace gpukern::gemm
