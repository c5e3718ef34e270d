"""Faults planted in what products of complex and of 8-bit numbers add to simt, in the manner of mutants.py."""

from __future__ import annotations

from tests.gemm.mutants.mutants import EMIT, Mutant, Plant

NUMBER, FORMAT, PROBLEM, KERNEL = (
    "core/number.h", "core/float8.h", "gemm/problem.h", "gemm/arch/simt/kernel.cuh",
)  # fmt: skip

NONE = Mutant("nothing of types", KERNEL, "", "")
COMPLEX = [
    Mutant("the squared unit is plus one", NUMBER, "sum.re -= a.im * b.im;", "sum.re += a.im * b.im;"),
    Mutant("an imaginary part of the other sign", NUMBER, "sum.im += a.im * b.re;", "sum.im -= a.im * b.re;"),
    Mutant("one of the cross products twice", NUMBER, "sum.im += a.re * b.im;", "sum.im += a.im * b.re;"),
    Mutant("conjugates are read as they lie", KERNEL, "conjugated ? conjugate(x) : x;", "x;"),
    Mutant("a conjugate has the other real part", NUMBER, "{x.re, -x.im}", "{-x.re, x.im}"),
    Mutant("A and B share one flag", KERNEL, "of_b ? p.conjugate_b : p.conjugate_a", "p.conjugate_a"),
    Mutant(
        "the flags are exchanged",
        KERNEL,
        "of_b ? p.conjugate_b : p.conjugate_a",
        "of_b ? p.conjugate_a : p.conjugate_b",
    ),
    Mutant(
        "beta's imaginary part is dropped",
        EMIT,
        "(p.type, e.beta, e.beta_imaginary, e.whole_beta)",
        "(p.type, e.beta, 0, e.whole_beta)",
    ),
    Mutant(
        "alpha's imaginary part is dropped",
        EMIT,
        "(p.type, e.alpha, e.alpha_imaginary, e.whole_alpha)",
        "(p.type, e.alpha, 0, e.whole_alpha)",
    ),
    Mutant(
        "an imaginary alpha is taken for none", EMIT, "last.alpha == 1 && last.alpha_imaginary == 0", "last.alpha == 1"
    ),
    Mutant(
        "a product of numbers has the wrong sign",
        NUMBER,
        "{a.re * b.re - a.im * b.im, a.re",
        "{a.re * b.re + a.im * b.im, a.re",
    ),
    Mutant("only the real part is added", NUMBER, "    re += b.re;\n    im += b.im;\n", "    re += b.re;\n"),
]

ADD_BIAS = "if (bias && i < left) v[i] += bias[same ? 0 : i];"
SCALE_RESULT = "if (w.data.scale_result) v[i] *= *w.data.scale_result;"
FLOAT8 = [
    Mutant("e5m2 is read as e4m3", FORMAT, "case DType::e5m2: return {21, 15,", "case DType::e5m2: return {20, 7,"),
    Mutant("B is read in A's format", KERNEL, "of_b ? p.scaling.b_type : p.type", "p.type"),
    Mutant("the NaN of e4m3 is 480", FORMAT, "{20, 7, 0x7e, 0x7e,", "{20, 7, 0x7f, 0x7e,"),
    Mutant(
        "the infinity of e5m2 is NaN",
        FORMAT,
        "ones_below_0(f.largest - magnitude) & 0x7f800000",
        "ones_below_0(f.largest - magnitude) & 0x7fc00000",
    ),
    Mutant(
        "NaN of e5m2 is infinity",
        FORMAT,
        "ones_below_0(f.largest - magnitude) & 0x7f800000;",
        "0; if (magnitude > f.largest) bits = 0x7f800000;",
    ),
    Mutant("-0 of fnuz is a number", FORMAT, "ones_below_0((x.bits ^ 0x80u) - 1) & f.nan_of_0x80", "0"),
    Mutant("fnuz has the bias of the others", FORMAT, "return {20, 8, 0x7f", "return {20, 7, 0x7f"),
    Mutant(
        "subnormal numbers are flushed",
        FORMAT,
        "  bits |= ones_below_0(f.largest - magnitude)",
        "  if (magnitude >> (23 - f.shift) == 0) bits = 0;\n  bits |= ones_below_0(f.largest - magnitude)",
    ),
    Mutant("no number is negative", FORMAT, "bits_as<float>(bits | sign << 24)", "bits_as<float>(bits)"),
    Mutant("results are cut, not rounded", FORMAT, "(magnitude + half + odd -", "(magnitude -"),
    Mutant("ties go away from zero", FORMAT, "(magnitude + half + odd -", "(magnitude + half + 1 -"),
    Mutant(
        "results beyond the largest wrap",
        FORMAT,
        "if (bits > f.largest && magnitude <= 0x7f800000) bits",
        "if (false) bits",
    ),
    Mutant("subnormal results are flushed", FORMAT, "+ bits_as<float>(many)) - many;", "+ bits_as<float>(many)) * 0;"),
    Mutant(
        "the scale of the row above",
        KERNEL,
        "w.data.scale_a[row / a.group * a.x",
        "w.data.scale_a[(row ? row - 1 : 0) / a.group * a.x",
    ),
    Mutant(
        "the scale of the tile's first column",
        KERNEL,
        "w.data.scale_b[column / b.group * b.x",
        "w.data.scale_b[column0 / b.group * b.x",
    ),
    Mutant("blocks of B have one column", KERNEL, "column / b.group * b.x", "column * b.x"),
    Mutant("blocks of A have one row", KERNEL, "row / a.group * a.x", "row * a.x"),
    Mutant(
        "the block after this one", KERNEL, "column0, k / kScaleBlock, place", "column0, (k + BK) / kScaleBlock, place"
    ),
    Mutant(
        "the tail has the scale of the block before",
        KERNEL,
        "column0, k / kScaleBlock, place",
        "column0, (more || k < kScaleBlock ? k : k - kScaleBlock) / kScaleBlock, place",
    ),
    Mutant("a block ends one tile late", KERNEL, "(k + BK) % kScaleBlock == 0", "k % kScaleBlock == 0"),
    Mutant("only B's blocks are blocks", PROBLEM, "return a.k != 0 || b.k != 0;", "return b.k != 0;"),
    Mutant("a block's sum is kept", KERNEL, "      sum[i][j] = 0;\n", ""),
    Mutant("scales of rows beyond A are read", KERNEL, "row < p.m ? w.data", "true ? w.data"),
    Mutant("scales of columns beyond B are read", KERNEL, "column < p.n ? w.data", "true ? w.data"),
    Mutant("the bias of the first column", EMIT, "bias[same ? 0 : i]", "bias[0]"),
    Mutant("each range adds the bias", EMIT, "d.bias = d.scale_result = nullptr;", "d.scale_result = nullptr;"),
    Mutant(
        "the result's scale before the bias",
        EMIT,
        f"    {ADD_BIAS}\n    {SCALE_RESULT}",
        f"    {SCALE_RESULT}\n    {ADD_BIAS}",
    ),
    Mutant(
        "bfloat16 is stored as float16",
        EMIT,
        "[](float x) { return from_float<bfloat16_t>(x); }",
        "[](float x) { return bfloat16_t{from_float<half_t>(x).bits}; }",
    ),
]

PLANT = Plant("type_mutants", "tests/gemm/mutants/mutant_types.cu", (NONE, *COMPLEX, *FLOAT8))
