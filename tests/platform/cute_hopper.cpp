// The model's tables of sm_90a against CuTe's, on the host: prints a line a table, `name mismatches`.
#include <unistd.h>

#include <cstdio>
#include <cute/arch/mma_sm90_desc.hpp>
#include <cute/atom/mma_traits_sm90_gmma.hpp>
#include <cute/tensor.hpp>
#include <string>

#include "platform/model/wgmma_layout.h"
#include "primitives/tensor_map.h"

namespace {

// CuTe has no shared addresses on the host and prints that; what counts is a descriptor's other
// fields.
std::FILE* tables;

using namespace cute;
namespace model = gpukern::model;
using Span = gpukern::Swizzle;
using Value = cutlass::bfloat16_t;

// CuTe maps (thread, element) to row + 64 * column.
template <class Layout, class Ours> int fragments(const Layout& theirs, int elements, Ours ours) {
  int bad = static_cast<int>(size<1>(theirs)) != elements;
  for (int t = 0; t < 128; ++t)
    for (int i = 0; i < elements; ++i) {
      const model::Element at = ours(t % 32, i);
      bad += theirs(t, i) != t / 32 * 16 + at.row + 64 * at.column;
    }
  return bad;
}

template <int N> int accumulators() { return fragments(SM90::GMMA::CLayout_64xN<N>(), N / 2, model::wgmma_d); }
template <int... I> int all_accumulators(std::integer_sequence<int, I...>) {
  return (accumulators<8 * (I + 1)>() + ...);
}

// The kernels' formula and the model's table.
template <class Theirs> void swizzle(const char* name, Theirs theirs, Span kernels, const model::Swizzling& models) {
  int bad = 0;
  for (uint32_t a = 0; a < 16384; a += 4) {
    bad += static_cast<uint32_t>(theirs(a)) != gpukern::swizzled(a, kernels);
    bad += static_cast<uint32_t>(theirs(a)) != models.place(a);
  }
  std::fprintf(tables, "swizzle_%s %d\n", name, bad);
}

// A tile of 128 rows and 128 bytes of k as CuTe lays it out, element by element, against what its own descriptor means
// to the model.
template <class V, SM90::GMMA::Major M, class Atom>
void addresses(const char* name, Atom atom, Span swizzle, const model::Swizzling& models) {
  constexpr bool mn = M == SM90::GMMA::Major::MN;
  constexpr int size = sizeof(V), deep = 32 / size, each = 16 / size;
  static_assert(!mn || size == 2);
  alignas(1024) static V memory[128 * 128 / size];
  const auto layout = tile_to_shape(atom, Shape<_128, Int<4 * deep>>{});
  const auto plain = as_position_independent_swizzle_layout(layout);
  const auto tile = make_tensor(make_smem_ptr(memory), layout);
  int bad = 0, fields = 0;
  for (int step = 0; step < 4; ++step) {
    const auto part = local_tile(tile, Shape<_128, Int<deep>>{}, make_coord(0, step));
    uint64_t descriptor = SM90::GMMA::make_gmma_desc<M>(part).desc_;
    descriptor &= ~uint64_t{0x3fff};
    model::Operand o = model::operand_of(descriptor, mn, 0);
    fields += o.swizzle != &models || gpukern::matrix_descriptor(0, o.leading, o.stride, swizzle) != descriptor;
    fields += (descriptor & (model::kReserved | model::kBaseOffset)) != 0;
    o.start = static_cast<uint32_t>(plain(0, deep * step)) * size;
    for (int row = 0; row < 128; ++row)
      for (int k = 0; k < deep; ++k) {
        const uint32_t ours =
            mn ? o.piece(k, row / each) + row % each * size : o.piece(row, k / each) + k % each * size;
        bad += ours != static_cast<uint32_t>(plain(row, deep * step + k)) * size;
      }
  }
  std::fprintf(tables, "addresses_%s %d\ndescriptor_%s %d\n", name, bad, name, fields);
}

}  // namespace

int main() {
  tables = fdopen(dup(1), "w");
  if (!tables || !std::freopen("/dev/null", "w", stdout)) return 1;
  std::fprintf(tables, "accumulators %d\n", all_accumulators(std::make_integer_sequence<int, 32>()));
  std::fprintf(tables, "a_in_registers %d\n", fragments(SM90::GMMA::ALayout_64x16(), 8, model::wgmma_a));
  swizzle("128", cute::Swizzle<3, 4, 3>(), Span::bytes128, model::kSwizzled128);
  swizzle("64", cute::Swizzle<2, 4, 3>(), Span::bytes64, model::kSwizzled64);
  swizzle("32", cute::Swizzle<1, 4, 3>(), Span::bytes32, model::kSwizzled32);
  using SM90::GMMA::Major;
  addresses<uint8_t, Major::K>("k_128_bytes", SM90::GMMA::Layout_K_SW128_Atom<uint8_t>(), Span::bytes128,
                               model::kSwizzled128);
  addresses<uint32_t, Major::K>("k_128_words", SM90::GMMA::Layout_K_SW128_Atom<uint32_t>(), Span::bytes128,
                                model::kSwizzled128);
  addresses<Value, Major::K>("k_128", SM90::GMMA::Layout_K_SW128_Atom<Value>(), Span::bytes128, model::kSwizzled128);
  addresses<Value, Major::K>("k_64", SM90::GMMA::Layout_K_SW64_Atom<Value>(), Span::bytes64, model::kSwizzled64);
  addresses<Value, Major::K>("k_32", SM90::GMMA::Layout_K_SW32_Atom<Value>(), Span::bytes32, model::kSwizzled32);
  addresses<Value, Major::K>("k_none", SM90::GMMA::Layout_K_INTER_Atom<Value>(), Span::none, model::kUnswizzled);
  addresses<Value, Major::MN>("mn_128", SM90::GMMA::Layout_MN_SW128_Atom<Value>(), Span::bytes128, model::kSwizzled128);
  addresses<Value, Major::MN>("mn_64", SM90::GMMA::Layout_MN_SW64_Atom<Value>(), Span::bytes64, model::kSwizzled64);
  addresses<Value, Major::MN>("mn_32", SM90::GMMA::Layout_MN_SW32_Atom<Value>(), Span::bytes32, model::kSwizzled32);
  addresses<Value, Major::MN>("mn_none", SM90::GMMA::Layout_MN_INTER_Atom<Value>(), Span::none, model::kUnswizzled);
  cute::GmmaDescriptor d;
  d.desc_ = ~uint64_t{0};  // every bit that a field has
  d.bitfield.start_address_ = d.bitfield.leading_byte_offset_ = d.bitfield.stride_byte_offset_ = 0;
  d.bitfield.base_offset_ = d.bitfield.layout_type_ = 0;
  std::fprintf(tables, "descriptor_reserved %d\n", d.desc_ != model::kReserved);
  d.desc_ = 0;
  d.bitfield.base_offset_ = 7;
  std::fprintf(tables, "descriptor_base_offset %d\n", d.desc_ != model::kBaseOffset);
  d.desc_ = 0;
  d.bitfield.start_address_ = 0x1234;
  d.bitfield.leading_byte_offset_ = 0x11;
  d.bitfield.stride_byte_offset_ = 0x240;
  d.bitfield.layout_type_ = 2;
  const model::Operand read = model::operand_of(d.desc_, false, 0);
  std::fprintf(
      tables, "descriptor_read %d\n",
      read.start != 0x12340 || read.leading != 0x110 || read.stride != 0x2400 || read.swizzle != &model::kSwizzled64);
  std::fprintf(tables, "descriptor_fields %d\n",
               d.desc_ != gpukern::matrix_descriptor(0x12340, 0x110, 0x2400, Span::bytes64));
}
