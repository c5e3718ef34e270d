// What a matrix product is, as plain data: no torch, no CUDA.  Selection, kernels, tests and explain() all use it.
//
//   D = activation(alpha * r c * A B + beta * C) * derivative'(S) + residual
//   aux = alpha * r c * A B + beta * C, if requested: the pre-activation, which the activation's gradient reads
//
// A: m x k, B: k x n, C, D, S, residual, aux: m x n; `batch` of them.  A and B have one type; C, D, S, aux and the
// residual have type `out`, which is the same or the accumulator's.  r, a factor for each row, and c, one for each
// column, have the accumulator's type; they are m x n matrices with one stride of 0, so that transposing needs no case.
#pragma once
#include <cstdint>

#include "../core/dtype.h"
#include "activations.h"

namespace gpukern::gemm {

constexpr bool floating(DType t) { return (bit(t) & kFloating) != 0; }
constexpr unsigned kSingle = bit(DType::f16) | bit(DType::bf16) | bit(DType::f32);  // accumulated in float32
constexpr unsigned kDouble = bit(DType::f64);
constexpr unsigned kWhole = kIntegers;
// float8: operands of scaled products only; widened in software, so any device has them.
constexpr bool is_float8(DType t) { return (bit(t) & kFloat8) != 0; }
constexpr bool whole(DType t) { return (bit(t) & kWhole) != 0; }

// What products of a type are summed in, and the widest type a result can have.
constexpr DType accumulator(DType t) {
  if (bit(t) & (kSingle | kFloat8)) return DType::f32;
  if (t == DType::f64 || t == DType::i64 || (bit(t) & kComplex)) return t;
  return DType::i32;
}

// The types that a product's result can have.
constexpr bool gives(DType type, DType out) {
  if (is_float8(type)) return (bit(out) & (kSingle | kFloat8)) != 0;
  return out == type || out == accumulator(type);
}

// How float32 operands may be multiplied.  tf32: rounded to 11 significant bits, as torch's own switch allows.  bf16xN:
// as sums of bfloat16 terms, N products of which are added (terms.h).
enum class Precision : uint8_t { strict, tf32, bf16x3, bf16x6, bf16x9 };
constexpr int kPrecisions = 5;
constexpr const char* name(Precision p) {
  constexpr const char* table[kPrecisions] = {"strict", "tf32", "bf16x3", "bf16x6", "bf16x9"};
  return table[static_cast<int>(p)];
}
// Products of terms that a precision adds; 0 where it has no terms.
constexpr int term_products(Precision p) { return p < Precision::bf16x3 ? 0 : 3 * (static_cast<int>(p) - 1); }

#define GPUKERN_ACTIVATION(NAME, ...) NAME,
enum class Activation : uint8_t { none, GPUKERN_ACTIVATIONS(GPUKERN_ACTIVATION) };
#undef GPUKERN_ACTIVATION
#define GPUKERN_ACTIVATION(NAME, ...) +1
constexpr int kActivations = 1 GPUKERN_ACTIVATIONS(GPUKERN_ACTIVATION);
#undef GPUKERN_ACTIVATION
constexpr const char* name(Activation a) {
#define GPUKERN_ACTIVATION(NAME, ...) #NAME,
  constexpr const char* table[kActivations] = {"none", GPUKERN_ACTIVATIONS(GPUKERN_ACTIVATION)};
#undef GPUKERN_ACTIVATION
  return table[static_cast<int>(a)];
}

// Strides of a matrix in elements; any may be 0 or negative; 0 where the extent is 1.  `align`: the bytes (1..16) that
// divide the base address and every stride, except one unit stride of a row or column; a vector load needs its width.
struct Layout {
  int64_t row = 0, column = 0, batch = 0;
  int align = 1;
};
constexpr Layout transposed(Layout l) { return {l.column, l.row, l.batch, l.align}; }

// Sums of D before it is rounded, made while it is stored: of its columns, which is a bias's gradient.  In the
// transposed problem these are rows.
enum class Sums : uint8_t { none, columns, rows };
constexpr Sums transposed(Sums s) { return s == Sums::none ? s : s == Sums::rows ? Sums::columns : Sums::rows; }

struct Epilogue {
  double alpha = 1, beta = 0;
  int64_t whole_alpha = 1, whole_beta = 0;  // the same for integer types, which a double cannot hold exactly
  bool addend = false;                      // C is read; false wherever beta is 0, whatever C holds
  Activation activation = Activation::none;
  bool residual = false;
  double alpha_imaginary = 0, beta_imaginary = 0;  // complex types only
  bool row_scale = false, column_scale = false;    // r and c; floating types only
  Activation derivative = Activation::none;        // backward multiplies by its derivative at S; none: S is not read
  Sums sums = Sums::none;                          // of one matrix of a floating type
  bool aux = false;                                // beside an activation, of D's type, which is the operands'
};

// The scales of an operand.  x: its rows in A, columns in B; k: the other dimension.  Both strides 0: one scale for
// all.
constexpr int kScaleBlock = 128;
struct Scale {
  int group = 1;         // neighbours along x that share one: 1 or kScaleBlock
  int64_t x = 0, k = 0;  // strides in elements, from group to group and from one kScaleBlock of k to the next
};
// D = result * (sum over the blocks of k of (scale_a scale_b) A B + bias), for operands of 8 bits.
struct Scaling {
  Scale a, b;
  DType b_type = DType::e4m3;  // A and B may have two formats
  bool fast = false;           // use_fast_accum: no promotion is needed
  bool is_transposed = false;  // the bias has a number a row: of the transposed problem
  constexpr bool blocks() const { return a.k != 0 || b.k != 0; }  // the sum of each block has scales of its own
};

struct Problem {
  DType type = DType::f32, out = DType::f32;
  Precision precision = Precision::strict;
  bool batch_invariant = false;  // a row of D may not depend on how many other rows there are
  int64_t m = 0, n = 0, k = 0, batch = 1;
  Layout a, b, c, d, residual, saved, aux;  // a bias is a C whose row (or column) stride is 0; saved is S
  Layout row_scale, column_scale;
  bool conjugate_a = false, conjugate_b = false;  // the operand is the conjugate of the numbers in memory
  Epilogue epilogue;
  Scaling scaling;  // 8-bit types only
};

// Epilogues that kernels on ordinary cores and of float64 do not have: they write partial sums, and split/ runs the
// epilogue.  The formulas of gradients would add 8 KB (13 for float64) to each of these kernels.  The way through
// memory costs little beside their slower multiplication, or beside the matrix that a skinny product loads.  The second
// store of an aux is done in split/ too.
constexpr bool needs_separate_epilogue(DType t) { return t == DType::f64; }
constexpr bool needs_separate_epilogue(const Problem& p) {
  return p.epilogue.derivative != Activation::none || p.epilogue.sums != Sums::none || p.epilogue.aux;
}

// The addresses that go with a Problem.
struct Data {
  const void* a = nullptr;
  const void* b = nullptr;
  const void* c = nullptr;
  const void* residual = nullptr;
  void* d = nullptr;
  // For split-K, or if split/ runs the epilogue: room for `splits` results in the accumulator's type,
  // [splits][batch][m][n].
  void* partial = nullptr;
  int splits = 1;
  void* workspace = nullptr;    // for the operands' bfloat16 terms, or packed copies of them
  const void* saved = nullptr;  // S
  const void* row_scale = nullptr;
  const void* column_scale = nullptr;
  // Of scaled products, in float32: `bias` has n numbers, `scale_result` one.
  const float* scale_a = nullptr;
  const float* scale_b = nullptr;
  const float* bias = nullptr;
  const float* scale_result = nullptr;
  // Where D's columns are summed: sums, in D's type, and parts, the partial sums [part][n] in the accumulator's type
  // (select.h, parts_of).
  void* sums = nullptr;
  void* parts = nullptr;
  void* aux = nullptr;
  // For persistent kernels, processors: SMs of the device.  cluster: blocks that share an operand, where tests force
  // it, or -1: the blocks of a cluster add up the ranges of k; 0: the configuration's own rule.
  int processors = 0;
  int cluster = 0;
};

// D^T = B^T A^T: the transposed product.
constexpr Problem transposed(Problem p) {
  const Layout a = p.a;
  const int64_t m = p.m;
  p.a = transposed(p.b);
  p.b = transposed(a);
  p.m = p.n;
  p.n = m;
  const bool conjugate = p.conjugate_a;
  p.conjugate_a = p.conjugate_b;
  p.conjugate_b = conjugate;
  p.c = transposed(p.c);
  p.d = transposed(p.d);
  p.residual = transposed(p.residual);
  p.saved = transposed(p.saved);
  p.aux = transposed(p.aux);
  p.row_scale = transposed(p.row_scale);
  p.column_scale = transposed(p.column_scale);
  p.epilogue.sums = transposed(p.epilogue.sums);
  if (is_float8(p.type)) {
    const DType type = p.type;
    p.type = p.scaling.b_type;
    p.scaling = {p.scaling.b, p.scaling.a, type, p.scaling.fast, !p.scaling.is_transposed};
  }
  return p;
}

constexpr Data transposed(Data d) {
  const void* const a = d.a;
  d.a = d.b;
  d.b = a;
  const float* const scale = d.scale_a;
  d.scale_a = d.scale_b;
  d.scale_b = scale;
  return d;
}

// A configuration: one compiled kernel for each of its types.
struct Configuration {
  const char* id;
  unsigned types;
  int bm, bn, bk;  // the block's tile
  int tm, tn;      // a thread's part of it; with tensor cores a warp's
  int threads;
  int64_t shared;                // bytes of shared memory a block takes, for the widest of its types
  int stages = 2;                // tiles of k in shared memory at a time
  int policy = 0;                // the folder's multiplier; the first in its table that takes a problem decides
  const char* source = nullptr;  // the .cu of its kernel, if `targets` has a line for it (build_rules.py)
};

// What tests, `bench predict` and explain() need to know of a configuration; selection does not.
struct Traits {
  int lanes = 0;                // the warp size that its code is for; 0: any
  unsigned precisions = 0;      // how it multiplies float32, bit(Precision) each
  bool tensor_cores = false;    // tensor cores multiply, which may truncate when they add
  const char* multiplier = "";  // the same name for configurations that add in the same order
  double clock = 0;             // hertz of the device that its modelled cycles were made for; 0: they only rank
  int vectors = 0;              // the most rows or columns of D, whichever are fewer; 0: any number
  bool tma = false;             // TMA loads its operands; a pass copies those that TMA cannot load
  bool overlaps = false;        // it may start before the previous kernel on its stream has ended
  int part_rows = 0;  // rows of a part of a column's sum that a warp makes, if D has more rows than columns; or 0
};
constexpr unsigned bit(Precision p) { return 1u << static_cast<int>(p); }
constexpr unsigned kInTerms = bit(Precision::bf16x3) | bit(Precision::bf16x6) | bit(Precision::bf16x9);
constexpr double kClock = 1.7e9, kBandwidth = 4.3e12;  // an H200's: hertz, and bytes a second

// Why something cannot serve a problem: a sentence, or null if it can.
using Reason = const char*;

}  // namespace gpukern::gemm
