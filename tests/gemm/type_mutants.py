"""Faults planted in what complex products add to the SIMT rows, in the manner of mutants.py."""

from __future__ import annotations

from tests.gemm.mutants import EMIT, Mutant, Plant

NUMBER, PROBLEM, KERNEL, TILES = (
    "gemm/number.cuh", "gemm/problem.h", "gemm/arch/simt/kernel.cuh", "gemm/arch/simt/tiles.h",
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

PLANT = Plant("type_mutants", "tests/gemm/mutant_types.cu", (NONE, *COMPLEX))
