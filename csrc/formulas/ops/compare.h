// Predicates: comparisons, logic, and tests of one value.  Operands are compared in their common dtype, as in torch;
// the result is bool and has no derivative.
#pragma once
#include "../op.h"

GPUKERN_ELEMENTWISE_BEGIN
namespace compare {

constexpr Spec predicate(const char* name, const char* aten, const char* doc) {
  return {.name = name,
          .args = "Tensor input, Tensor other",
          .doc = doc,
          .types = Types::all,
          .inputs = 2,
          .ulp = 0,
          .aten = aten,
          .needs = {0, 0},
          .differentiable = 0,
          .predicate = true};
}
// torch's comparisons take a number in place of `other`; its logical functions do not.
constexpr Spec comparison(const char* name, const char* aten, const char* doc) {
  Spec spec = predicate(name, aten, doc);
  spec.takes_number = 2;
  return spec;
}
constexpr Spec test(const char* name, const char* doc) {
  Spec spec = predicate(name, nullptr, doc);
  spec.args = "Tensor input";
  spec.inputs = 1;
  spec.has_inplace = false;
  return spec;
}

// torch's out= of these is bool.
constexpr Spec strict_test(const char* name, const char* doc) {
  Spec spec = test(name, doc);
  spec.exact_out = true;
  return spec;
}

template <class M, class V> GPUKERN_HD V truth(M m, V) { return where(m, V(1), V(0)); }

struct Eq {
  static constexpr Spec spec = comparison("eq", "eq.Tensor", "Whether input equals other; NaN equals nothing.");
  template <class V> static GPUKERN_HD V apply(V x, V y) { return truth(x == y, x); }
};
struct Ne {
  static constexpr Spec spec = comparison("ne", "ne.Tensor", "Whether input and other differ; NaN always does.");
  template <class V> static GPUKERN_HD V apply(V x, V y) { return truth(x != y, x); }
};
struct Lt {
  static constexpr Spec spec = comparison("lt", "lt.Tensor", "Whether input is less than other.");
  template <class V> static GPUKERN_HD V apply(V x, V y) { return truth(x < y, x); }
};
struct Le {
  static constexpr Spec spec = comparison("le", "le.Tensor", "Whether input is at most other.");
  template <class V> static GPUKERN_HD V apply(V x, V y) { return truth(x <= y, x); }
};
struct Gt {
  static constexpr Spec spec = comparison("gt", "gt.Tensor", "Whether input is greater than other.");
  template <class V> static GPUKERN_HD V apply(V x, V y) { return truth(x > y, x); }
};
struct Ge {
  static constexpr Spec spec = comparison("ge", "ge.Tensor", "Whether input is at least other.");
  template <class V> static GPUKERN_HD V apply(V x, V y) { return truth(x >= y, x); }
};

struct LogicalAnd {
  static constexpr Spec spec = predicate("logical_and", nullptr, "Whether both values are other than zero.");
  template <class V> static GPUKERN_HD V apply(V x, V y) { return truth((x != V(0)) & (y != V(0)), x); }
};
struct LogicalOr {
  static constexpr Spec spec = predicate("logical_or", nullptr, "Whether a value is other than zero.");
  template <class V> static GPUKERN_HD V apply(V x, V y) { return truth((x != V(0)) | (y != V(0)), x); }
};
struct LogicalXor {
  static constexpr Spec spec = predicate("logical_xor", nullptr, "Whether exactly one value is other than zero.");
  template <class V> static GPUKERN_HD V apply(V x, V y) {
    return truth(((x != V(0)) & (y == V(0))) | ((x == V(0)) & (y != V(0))), x);
  }
};
struct LogicalNot {
  static constexpr Spec spec = [] {
    Spec s = test("logical_not", "Whether a value is zero.");
    s.has_inplace = true;
    return s;
  }();
  template <class V> static GPUKERN_HD V apply(V x) { return truth(x == V(0), x); }
};

// Integers and bool are finite.  x - x is 0 for finite numbers and NaN for others.
struct Isnan {
  static constexpr Spec spec = test("isnan", "Whether a value is NaN.");
  template <class V> static GPUKERN_HD V apply(V x) { return truth(x != x, x); }
};
struct Isinf {
  static constexpr Spec spec = test("isinf", "Whether a value is infinite.");
  template <class V> static GPUKERN_HD V apply(V x) { return truth((x == x) & (x - x != V(0)), x); }
  static GPUKERN_HD int64_t apply(int64_t) { return 0; }
};
struct Isfinite {
  static constexpr Spec spec = test("isfinite", "Whether a value is neither infinite nor NaN.");
  template <class V> static GPUKERN_HD V apply(V x) { return truth(x - x == V(0), x); }
  static GPUKERN_HD int64_t apply(int64_t) { return 1; }
};
struct Isposinf {
  static constexpr Spec spec = strict_test("isposinf", "Whether a value is +inf.");
  template <class V> static GPUKERN_HD V apply(V x) { return truth((x > V(0)) & (x - x != V(0)), x); }
  static GPUKERN_HD int64_t apply(int64_t) { return 0; }
};
struct Isneginf {
  static constexpr Spec spec = strict_test("isneginf", "Whether a value is -inf.");
  template <class V> static GPUKERN_HD V apply(V x) { return truth((x < V(0)) & (x - x != V(0)), x); }
  static GPUKERN_HD int64_t apply(int64_t) { return 0; }
};
struct Signbit {
  static constexpr Spec spec = strict_test("signbit", "Whether the sign is set: x < 0, -0.0, or NaN with a sign.");
  template <class V> static GPUKERN_HD V apply(V x) { return truth(copysign(V(1), x) < V(0), x); }
  static GPUKERN_HD int64_t apply(int64_t x) { return x < 0; }
};

using Ops = List<Eq, Ne, Lt, Le, Gt, Ge, LogicalAnd, LogicalOr, LogicalXor, LogicalNot, Isnan, Isinf, Isfinite,
                 Isposinf, Isneginf, Signbit>;

}  // namespace compare
GPUKERN_ELEMENTWISE_END
