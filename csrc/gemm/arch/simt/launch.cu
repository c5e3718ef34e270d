// The launcher of the SIMT rows, and the rows of float32.
#include "rows.h"

namespace gpukern::gemm::simt {

extern template int run_row<half_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<bfloat16_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<double>(int, const Problem&, const Data&, Stream);
extern template int run_row<uint8_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int8_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int16_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int32_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<int64_t>(int, const Problem&, const Data&, Stream);
extern template int run_row<Complex<float>>(int, const Problem&, const Data&, Stream);
extern template int run_row<Complex<double>>(int, const Problem&, const Data&, Stream);

int launch(int row, const Problem& p, const Data& data, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return 0;
  switch (p.type) {
    case Type::f16: return run_row<half_t>(row, p, data, stream);
    case Type::bf16: return run_row<bfloat16_t>(row, p, data, stream);
    case Type::f32: return run_row<float>(row, p, data, stream);
    case Type::f64: return run_row<double>(row, p, data, stream);
    case Type::u8: return run_row<uint8_t>(row, p, data, stream);
    case Type::i8: return run_row<int8_t>(row, p, data, stream);
    case Type::i16: return run_row<int16_t>(row, p, data, stream);
    case Type::i32: return run_row<int32_t>(row, p, data, stream);
    case Type::c64: return run_row<Complex<float>>(row, p, data, stream);
    case Type::c128: return run_row<Complex<double>>(row, p, data, stream);
    default: return run_row<int64_t>(row, p, data, stream);
  }
}

}  // namespace gpukern::gemm::simt
