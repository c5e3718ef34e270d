// Operands as TMA sees them: what it loads as it lies, and what is copied into lines along k first (pack.cuh).
#pragma once
#include "../../refusals.h"
#include "../../terms.h"

namespace gpukern::gemm::wgmma {

constexpr bool in_terms(const Problem& p) { return p.type == DType::f32 && term_products(p.precision) > 0; }

// A matrix as TMA sees it: lines of neighbours, `lines` of them, `step` elements apart.
struct Lines {
  int64_t unit, along, step, lines;
};
constexpr Lines lines_of(const Layout& l, int64_t rows, int64_t columns, bool along_row) {
  return along_row ? Lines{l.column, columns, l.row, rows} : Lines{l.row, rows, l.column, columns};
}
// Whether TMA takes it (its conditions: tensor_map.h).  Strides of extents of 1 are 0, and any would do.
constexpr bool loadable(const Layout& l, const Lines& m) {
  if (l.align < 16 || (m.along > 1 && m.unit != 1)) return false;
  return (m.lines <= 1 || m.step >= m.along) && (l.batch == 0 || l.batch >= m.along);
}
constexpr Lines lines_of_d(const Problem& p) { return lines_of(p.d, p.m, p.n, true); }

// ---- copies -------------------------------------------------------------------------------------

// Of one operand: [matrix][line][pitch], a line of k for each row of A or column of B, padded to 16 bytes.
struct Copy {
  int64_t matrices = 0, lines = 0, pitch = 0;  // no matrices: it is loaded as it lies
  constexpr int64_t elements() const { return matrices * lines * pitch; }
  constexpr Layout layout() const { return {pitch, 1, matrices > 1 ? lines * pitch : 0, 16}; }
};
// l: as A lies, or B transposed.  wgmma transposes 16-bit types alone.
constexpr Copy copy_of(const Problem& p, const Layout& l, int64_t side, bool along_k) {
  if (in_terms(p)) return {};  // whose pass writes them in lines anyway
  if ((along_k || bytes(p.type) == 2) && loadable(l, lines_of(l, side, p.k, along_k))) return {};
  const int each = 16 / bytes(p.type);
  return {l.batch == 0 ? 1 : p.batch, side, ceil_div(p.k, each) * each};
}
constexpr Copy copy_of_a(const Problem& p) { return copy_of(p, p.a, p.m, a_lies_along_k(p)); }
constexpr Copy copy_of_b(const Problem& p) { return copy_of(p, transposed(p.b), p.n, b_lies_along_k(p)); }
constexpr bool packed(const Problem& p) { return copy_of_a(p).matrices || copy_of_b(p).matrices; }
constexpr int64_t packed_bytes(const Problem& p) {
  return (copy_of_a(p).elements() + copy_of_b(p).elements()) * bytes(p.type);
}
// The problem as the kernels see it, after the copies.
constexpr Problem as_loaded(Problem p) {
  const Copy a = copy_of_a(p), b = copy_of_b(p);
  if (a.matrices) p.a = a.layout();
  if (b.matrices) p.b = transposed(b.layout());
  return p;
}

// A tile of the pass: 128 bytes of k of as many lines as 128 bytes have elements.
constexpr int kPackSpan = 128;
constexpr int64_t pack_tiles(const Copy& c, int size) {
  const int side = kPackSpan / size;
  return c.matrices * ceil_div(c.lines, side) * ceil_div(c.pitch, side);
}
constexpr Reason refused_copies(const Problem& p) {
  const int size = bytes(p.type);
  const auto size_of = [&](const Copy& c) { return double(c.matrices) * double(c.lines) * double(c.pitch) * size; };
  const Copy a = copy_of_a(p), b = copy_of_b(p);
  const bool fits = size_of(a) + size_of(b) < 4e18 && pack_tiles(a, size) + pack_tiles(b, size) <= kGridLimit;
  return fits ? nullptr : "copying the operands for TMA takes more tiles than a grid can have blocks";
}

constexpr double kMemory = kBandwidth / kClock;  // bytes a cycle: an H200's
// Modelled cycles of the copies: a launch, and each byte read and written.
constexpr double packing_cost(const Problem& p) { return packed(p) ? 3000 + 2 * double(packed_bytes(p)) / kMemory : 0; }
// Whether they pay: whether the next folder's configurations would take longer than wgmma and the copies together.
// mma.sync reaches 0.6 of wgmma's rate; where int8 does not lie along k it loads each byte by itself; float8 is
// multiplied on ordinary cores.
constexpr bool packing_pays(const Problem& p, const Device& d) {
  const double longer = is_float8(p.type) ? 10 : bytes(p.type) == 1 ? 4 : 0.65;
  const double rate = 2048 * 0.96 * 2 / bytes(p.type) * (d.sm_count > 0 ? d.sm_count : 1);
  return longer * double(p.m) * double(p.n) * double(p.k) * double(p.batch) / rate > packing_cost(p);
}

}  // namespace gpukern::gemm::wgmma
