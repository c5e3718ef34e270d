// Rounding and remainders, and what integers have of their own: bits, shifts and divisors.
#pragma once
#include "../op.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace rounding {

// The base of ops whose derivative is 0 wherever there is one; at the steps too, as in torch.
struct Flat {
  static constexpr bool kOwnGrad = true;
  template <int, class V> static GPUKERN_HD V grad(V, V) { return V(0); }
};
constexpr Spec whole_part(const char* name, const char* doc) {
  return {.name = name,
          .args = "Tensor input",
          .doc = doc,
          .types = Types::number,
          .ulp = 0,
          .needs = {0},
          .linear = true,
          .exact_out = true,
          .rare = true};
}

struct Floor : Flat {
  static constexpr Spec spec = whole_part("floor", "Largest integer that is at most x.");
  template <class V> static GPUKERN_HD V apply(V x) { return floor(x); }
  static GPUKERN_HD int64_t apply(int64_t x) { return x; }
};
struct Ceil : Flat {
  static constexpr Spec spec = whole_part("ceil", "Smallest integer that is at least x.");
  template <class V> static GPUKERN_HD V apply(V x) { return ceil(x); }
  static GPUKERN_HD int64_t apply(int64_t x) { return x; }
};
struct Trunc : Flat {
  static constexpr Spec spec = whole_part("trunc", "Integer part of x, rounded towards zero.");
  template <class V> static GPUKERN_HD V apply(V x) { return trunc(x); }
  static GPUKERN_HD int64_t apply(int64_t x) { return x; }
};
struct Round : Flat {
  static constexpr Spec spec = whole_part("round", "Nearest integer; a half goes to the even one.");
  template <class V> static GPUKERN_HD V apply(V x) { return round(x); }
  static GPUKERN_HD int64_t apply(int64_t x) { return x; }
};

struct Frac {
  static constexpr Spec spec{.name = "frac",
                             .args = "Tensor input",
                             .doc = "Fractional part, x - trunc(x), with the sign of x.",
                             .ulp = 0,
                             .needs = {0},
                             .passes = 1,
                             .linear = true,
                             .exact_out = true,
                             .rare = true};
  template <class V> static GPUKERN_HD V apply(V x) { return x - trunc(x); }
};

// The remainder of a quotient that is rounded towards zero: it has the sign of input.
struct Fmod {
  static constexpr Spec spec{.name = "fmod",
                             .args = "Tensor input, Tensor other",
                             .doc = "Remainder with the sign of input, input - other * trunc(input / other).",
                             .types = Types::number,
                             .inputs = 2,
                             .ulp = 0,
                             .aten = "fmod.Tensor",
                             .needs = {0, 3},
                             .passes = 1,
                             .refuses_zero = true,
                             .linear = true,
                             .rare = true,
                             .takes_number = 2};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return fmod(x, y); }
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) { return minus(x, multiply(divide(x, y), y)); }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) { return I == 0 ? g : -g * trunc(x / y); }
};
// That of a quotient that is rounded down: it has the sign of other.
struct Remainder {
  static constexpr Spec spec{.name = "remainder",
                             .args = "Tensor input, Tensor other",
                             .doc = "Remainder with the sign of other, input - other * floor(input / other).",
                             .types = Types::number,
                             .inputs = 2,
                             .aten = "remainder.Tensor",
                             .needs = {0, 3},
                             .passes = 1,
                             .refuses_zero = true,
                             .linear = true,
                             .rare = true,
                             .takes_number = 3};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) {
    const V r = fmod(x, y);
    return where(((y < V(0)) & (r > V(0))) | ((y > V(0)) & (r < V(0))), r + y, r);
  }
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) {
    const int64_t r = minus(x, multiply(divide(x, y), y));
    return r != 0 && (r < 0) != (y < 0) ? plus(r, y) : r;
  }
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) { return I == 0 ? g : -g * floor(x / y); }
};

struct Copysign {
  static constexpr Spec spec{.name = "copysign",
                             .args = "Tensor input, Tensor other",
                             .doc = "The size of input with the sign of other.",
                             .types = Types::to_float,
                             .inputs = 2,
                             .ulp = 0,
                             .aten = "copysign.Tensor",
                             .needs = {3, 0},
                             .linear = true,
                             .rare = true,
                             .takes_number = 2};
  static constexpr bool kOwnGrad = true;
  template <class V> static GPUKERN_HD V apply(V x, V y) { return copysign(x, y); }
  // By the size: 1 or -1, and 0 where input is 0, as in torch.
  template <int I, class V> static GPUKERN_HD V grad(V g, V x, V y) {
    const auto same = copysign(V(1), x) == copysign(V(1), y);
    return I == 0 ? where(x == V(0), V(0), where(same, g, -g)) : V(0);
  }
};

struct Heaviside {
  static constexpr Spec spec{.name = "heaviside",
                             .args = "Tensor input, Tensor values",
                             .doc = "1 where x > 0, values where x = 0, else 0; 0 for NaN, as torch.",
                             .types = Types::all,
                             .inputs = 2,
                             .ulp = 0,
                             .needs = {0, 0},
                             .differentiable = 0,
                             .same_dtype = true,
                             .exact_out = true,
                             .rare = true};
  template <class V> static GPUKERN_HD V apply(V x, V values) {
    return where(x == V(0), values, where(x > V(0), V(1), V(0)));
  }
};

// ---- integers ---------------------------------------------------------------------------------------------------

constexpr Spec of_integers(const char* name, const char* aten, const char* doc) {
  return {.name = name,
          .args = "Tensor input, Tensor other",
          .doc = doc,
          .types = Types::whole,
          .inputs = 2,
          .ulp = 0,
          .aten = aten,
          .needs = {0, 0},
          .differentiable = 0,
          .rare = true};
}
constexpr Spec of_bits(const char* name, const char* aten, const char* doc) {
  Spec spec = of_integers(name, aten, doc);
  spec.takes_number = 3;
  return spec;
}

struct BitwiseAnd {
  static constexpr Spec spec = of_bits("bitwise_and", "bitwise_and.Tensor", "Bits that both have; of bool: and.");
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) { return x & y; }
};
struct BitwiseOr {
  static constexpr Spec spec = of_bits("bitwise_or", "bitwise_or.Tensor", "Bits that either has; of bool: or.");
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) { return x | y; }
};
struct BitwiseXor {
  static constexpr Spec spec = of_bits("bitwise_xor", "bitwise_xor.Tensor", "Bits that one has; of bool: other than.");
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) { return x ^ y; }
};
// A shift by more bits than a type has, or by a negative number, shifts everything out, as in torch.
struct BitwiseLeftShift {
  static constexpr Spec spec = [] {
    Spec s = of_bits("bitwise_left_shift", "bitwise_left_shift.Tensor", "input * 2^other, wrapped to the type.");
    s.refuses_bool = true;
    return s;
  }();
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) {
    return y < 0 || y > 63 ? 0 : static_cast<int64_t>(static_cast<uint64_t>(x) << y);
  }
};
struct BitwiseRightShift {
  static constexpr Spec spec = [] {
    Spec s = of_bits("bitwise_right_shift", "bitwise_right_shift.Tensor", "input / 2^other, rounded down.");
    s.refuses_bool = true;
    return s;
  }();
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) { return x >> (y < 0 || y > 63 ? 63 : y); }
};

// By Euclid; of magnitudes, as unsigned numbers, since that of -2^63 is no int64_t.
GPUKERN_HD uint64_t divisor(int64_t x, int64_t y) {
  uint64_t a = static_cast<uint64_t>(abs(x)), b = static_cast<uint64_t>(abs(y));
  while (b != 0) {
    const uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}
struct Gcd {
  static constexpr Spec spec = [] {
    Spec s = of_integers("gcd", nullptr, "Greatest common divisor; not negative, and 0 of 0 and 0.");
    s.refuses_bool = true;
    return s;
  }();
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) { return static_cast<int64_t>(divisor(x, y)); }
};
struct Lcm {
  static constexpr Spec spec = [] {
    Spec s = of_integers("lcm", nullptr, "Least common multiple; not negative, and 0 beside 0.");
    s.refuses_bool = true;
    return s;
  }();
  static GPUKERN_HD int64_t apply(int64_t x, int64_t y) {
    const int64_t d = static_cast<int64_t>(divisor(x, y));
    return abs(multiply(divide(x, d), y));  // 0 / 0 is 0
  }
};

using Ops = List<Floor, Ceil, Trunc, Round, Frac, Fmod, Remainder, Copysign, Heaviside, BitwiseAnd, BitwiseOr,
                 BitwiseXor, BitwiseLeftShift, BitwiseRightShift, Gcd, Lcm>;

}  // namespace rounding
GPUKERN_ELEMENTWISE_END
