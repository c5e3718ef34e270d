// mma.sync, according to the PTX ISA.
#include "mma.h"

#include <cstring>

#include "cut_sums.h"
#include "float8.h"
#include "fragments.h"

namespace gpukern::model {
namespace {

struct MmaLane {
  void* d;
  const void *a, *b;
};

template <class T> T read_as(const void* registers, int i) {
  T x;
  std::memcpy(&x, static_cast<const char*>(registers) + i * sizeof(T), sizeof x);
  return x;
}
// An element of a register as a number; tf32 ignores the low 13 bits.
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

// Gathers the operands of all lanes into matrices.
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

// D += A B.  Products are exact in Sum; the order of addition in hardware is not specified.
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

// The same with truncated sums.  For float8 in mma.sync no measurement is published; kernels must tolerate truncation.
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

}  // namespace

void mma(Mma which, void* d, const void* a, const void* b, Place at) {
  need_a_warp_of_32(at);
  MmaLane me{d, a, b};
  collective(full_mask(), &me, at, kMultiply[static_cast<int>(which)]);
}

}  // namespace gpukern::model
