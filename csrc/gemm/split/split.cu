#include "split.h"

#include "kernel.cuh"

namespace gpukern::gemm::split {
namespace {

template <class O> int run(const Problem& p, const Data& data, Stream stream) {
  constexpr int each = 16 / static_cast<int>(sizeof(typename Number<O>::V));
  const bool summed = p.epilogue.sums != Sums::none;
  const int rows = summed ? part_rows(p) : 1;
  const int64_t across = ceil_div(p.n, each), packets = ceil_div(p.batch * p.m, rows) * across;
  const int64_t blocks = ceil_div(packets, kThreads);
  if (packets == 0) return 0;
  if (blocks > kGridLimit) return platform::kNoKernel;  // splits_of splits small results only
  const Params w{epilogue_params(p, data, each), data.partial, data.splits, packets, across, rows, p.n % each == 0};
  const auto launch = [&](void (*kernel)(Params)) {
    return platform::launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream, w);
  };
  if constexpr (std::is_floating_point_v<typename Number<O>::V> && !std::is_same_v<O, float8_t>)
    if (summed) {
      const int error = launch(&sum_ranges_and_columns<typename Number<O>::V>);
      return error ? error : add_parts(p, data, rows, stream);
    }
  return launch(&sum_ranges<O>);
}

template <class V> int run_parts(const Problem& p, const Data& data, int rows, Stream stream) {
  const Parts w{data.parts, data.sums, ceil_div(p.m, rows), p.n, p.out};
  const auto blocks = static_cast<unsigned>(ceil_div(p.n, kLine));
  return platform::launch(&sum_parts<V>, dim3(blocks), dim3(kLine * kLines), kLine * kLines * sizeof(V), stream, w);
}

}  // namespace

int add_parts(const Problem& p, const Data& data, int rows, Stream stream) {
  return p.type == DType::f64 ? run_parts<double>(p, data, rows, stream) : run_parts<float>(p, data, rows, stream);
}

// Integers of one size wrap alike, whatever their sign.
int add_ranges(const Problem& p, const Data& data, Stream stream) {
  if (is_float8(p.type)) return run<float8_t>(p, data, stream);
  switch (p.out) {
    case DType::f16: return run<half_t>(p, data, stream);
    case DType::bf16: return run<bfloat16_t>(p, data, stream);
    case DType::f32: return run<float>(p, data, stream);
    case DType::f64: return run<double>(p, data, stream);
    case DType::u8:
    case DType::i8: return run<uint8_t>(p, data, stream);
    case DType::i16: return run<int16_t>(p, data, stream);
    case DType::i32: return run<int32_t>(p, data, stream);
    case DType::c64: return run<Complex<float>>(p, data, stream);
    case DType::c128: return run<Complex<double>>(p, data, stream);
    default: return run<int64_t>(p, data, stream);
  }
}

}  // namespace gpukern::gemm::split
