// What the words of sm_80 do, by the PTX ISA.
#include "ampere.h"

#include <cstring>
#include <utility>

#include "cut_sums.h"
#include "float8.h"
#include "fragments.h"
#include "memory.h"

namespace gpukern::model {
namespace {

void need_a_warp_of_32(Place at) {
  if (wave() != 32) fail(at, "a word of warps of 32 lanes; here they have %d", wave());
}

// ---- mma ---------------------------------------------------------------------------------------------

struct MmaLane {
  void* d;
  const void *a, *b;
};

template <class T> T read_as(const void* registers, int i) {
  T x;
  std::memcpy(&x, static_cast<const char*>(registers) + i * sizeof(T), sizeof x);
  return x;
}
// An element of a register as a number; tf32 has no low 13 bits.
struct Tf32 {
  uint32_t bits;
};
float number(half_t x) { return to_float(x); }
float number(bfloat16_t x) { return to_float(x); }
float number(Tf32 x) { return float_of(x.bits & 0xffffe000); }
double number(double x) { return x; }
int number(int8_t x) { return x; }
struct E4m3 {
  uint8_t bits;
};
struct E5m2 {
  uint8_t bits;
};
float number(E4m3 x) { return float8_value(x.bits, false); }
float number(E5m2 x) { return float8_value(x.bits, true); }

// The operands of all lanes as matrices.
template <class Shape, class A, class B, class Sum>
void gather(void* const* lanes, Sum (&a)[Shape::m][Shape::k], Sum (&b)[Shape::k][Shape::n]) {
  for (int lane = 0; lane < 32; ++lane) {
    const auto* const given = static_cast<const MmaLane*>(lanes[lane]);
    for (int i = 0; i < Shape::elements_a; ++i) {
      const Element at = Shape::a(lane, i);
      a[at.row][at.column] = number(read_as<A>(given->a, i));
    }
    for (int i = 0; i < Shape::elements_b; ++i) {
      const Element at = Shape::b(lane, i);
      b[at.row][at.column] = number(read_as<B>(given->b, i));
    }
  }
}

// D += A B.  Products are exact in Sum; the order of a sum is the hardware's own and not promised.
template <class Shape, class Type, class Sum> void multiply(void* const* lanes) {
  Sum a[Shape::m][Shape::k], b[Shape::k][Shape::n];
  gather<Shape, Type, Type>(lanes, a, b);
  for (int lane = 0; lane < 32; ++lane) {
    void* const d = static_cast<const MmaLane*>(lanes[lane])->d;
    for (int i = 0; i < Shape::elements_c; ++i) {
      const Element at = Shape::c(lane, i);
      Sum sum = 0;
      for (int k = 0; k < Shape::k; ++k) sum += a[at.row][k] * b[k][at.column];
      if constexpr (std::is_same_v<Sum, int>)  // wraps
        sum = static_cast<int>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(read_as<int>(d, i)));
      else sum += read_as<Sum>(d, i);
      std::memcpy(static_cast<char*>(d) + i * sizeof(Sum), &sum, sizeof sum);
    }
  }
}

// The same of what tensor cores cut.  Of float8 no measurement says so of mma.sync; that they may is what a kernel is
// held to.
template <class Shape, Cut How, class A, class B> void multiply_cut(void* const* lanes) {
  float a[Shape::m][Shape::k], b[Shape::k][Shape::n], sum[Shape::m][Shape::n];
  gather<Shape, A, B>(lanes, a, b);
  const auto each_sum = [&](auto f) {
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < Shape::elements_c; ++i) {
        const Element at = Shape::c(lane, i);
        f(static_cast<float*>(static_cast<const MmaLane*>(lanes[lane])->d)[i], sum[at.row][at.column]);
      }
  };
  each_sum([](float d, float& s) { s = d; });
  add_cut<How>(Shape::m, Shape::n, Shape::k, a[0], Shape::k, 1, b[0], sum[0]);
  each_sum([](float& d, float s) { d = s; });
}

using Multiply = void (*)(void* const*);
constexpr Multiply kMultiply[] = {
    // in the order of Mma
    multiply_cut<M16n8k16, kAmpereCut16, half_t, half_t>,
    multiply_cut<M16n8k16, kAmpereCut16, bfloat16_t, bfloat16_t>,
    multiply_cut<M16n8k8, kAmpereCut32, Tf32, Tf32>,
    multiply<M16n8k32, int8_t, int>,
    multiply<M8n8k4, double, double>,
    multiply<M16n8k16Double, double, double>,
    multiply_cut<M16n8k32, kCut8, E4m3, E4m3>,
    multiply_cut<M16n8k32, kCut8, E4m3, E5m2>,
    multiply_cut<M16n8k32, kCut8, E5m2, E4m3>,
    multiply_cut<M16n8k32, kCut8, E5m2, E5m2>,
};

// ---- ldmatrix, stmatrix ------------------------------------------------------------------------------

struct MatrixLane {
  uint32_t* registers;
  char* row;  // of the lanes whose address counts
};

// Lane 8 j + i names row i of matrix j; the addresses of further lanes are ignored.
char* row_of_lane(int count, uint32_t address, Kind kind, Place at) {
  need_a_warp_of_32(at);
  if (self().number % 32 >= 8 * count) return nullptr;
  char* const row = shared_pointer(address, 16, 16, at);
  access(row, 16, kind, at);
  return row;
}

template <class Move> void for_halves(int count, bool transposed, void* const* lanes, Move move) {
  for (int j = 0; j < count; ++j)
    for (int lane = 0; lane < 32; ++lane)
      for (int half = 0; half < 2; ++half) {
        const Element at = matrix_8x8(lane, half, transposed);
        uint32_t* const value = static_cast<const MatrixLane*>(lanes[lane])->registers + j;
        move(reinterpret_cast<char*>(value) + 2 * half,
             static_cast<const MatrixLane*>(lanes[8 * j + at.row])->row + 2 * at.column);
      }
}

}  // namespace

void mma(Mma which, void* d, const void* a, const void* b, Place at) {
  need_a_warp_of_32(at);
  MmaLane me{d, a, b};
  collective(full_mask(), &me, at, kMultiply[static_cast<int>(which)]);
}

void load_matrices(uint32_t* registers, int count, uint32_t address, bool transposed, Place at) {
  MatrixLane me{registers, row_of_lane(count, address, Kind::read, at)};
  collective(full_mask(), &me, at, [=](void* const* lanes) {
    for_halves(count, transposed, lanes, [](char* value, const char* element) { std::memcpy(value, element, 2); });
  });
}

void store_matrices(const uint32_t* registers, int count, uint32_t address, bool transposed, Place at) {
  uint32_t values[4];
  std::copy(registers, registers + count, values);
  MatrixLane me{values, row_of_lane(count, address, Kind::write, at)};
  collective(full_mask(), &me, at, [=](void* const* lanes) {
    for_halves(count, transposed, lanes, [](const char* value, char* element) { std::memcpy(element, value, 2); });
  });
}

// ---- cp.async ----------------------------------------------------------------------------------------

// What is under way lands at the wait, the latest moment there is: until then its bytes are poison and nobody's.
void copy_async(uint32_t to, const void* from, int bytes, int valid, Place at) {
  if (valid < 0 || valid > bytes) fail(at, "%d of %d bytes are to be copied", valid, bytes);
  shared_pointer(to, bytes, bytes, at);
  const auto* const source = static_cast<const char*>(from);
  if (valid && reinterpret_cast<uintptr_t>(source) % bytes)
    fail(at, "a copy of %d bytes from %p, which is not a multiple of that", bytes, from);
  if (valid) access(source, valid, Kind::read, at);
  Thread& me = self();
  begin_copy(shared_block(to, at), shared_offset(to), bytes, agent_of(me), at);
  me.open_group.push_back({to, source, bytes, valid, at});
}

void commit_copies(Place) {
  Thread& me = self();
  me.copy_groups.push_back(std::exchange(me.open_group, {}));
}

void wait_for_copies(int still_under_way, Place) {
  Thread& me = self();
  while (static_cast<int>(me.copy_groups.size()) > still_under_way) {
    for (const Copy& c : me.copy_groups.front()) {
      char* const to = shared_pointer(c.to, c.bytes, c.bytes, c.at);
      std::memcpy(to, c.from, c.valid);
      std::memset(to + c.valid, 0, c.bytes - c.valid);
      end_copy(shared_block(c.to, c.at), shared_offset(c.to), c.bytes, agent_of(me), c.at);
    }
    me.copy_groups.pop_front();
  }
  yield();
}

// ---- named barriers ----------------------------------------------------------------------------------

void named_barrier(int id, int threads, bool wait_here, Place at) {
  if (id < 0 || id > 15) fail(at, "a block has barriers 0 to 15, and no %d", id);
  barrier(id, threads, wait_here, at);
}

}  // namespace gpukern::model
