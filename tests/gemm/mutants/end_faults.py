"""Faults planted in what follows a sum: the factor of a derivative, and where S lies; mutants.py plants them."""

from __future__ import annotations

EMIT, PROBLEM, EPILOGUE = "gemm/emit.cuh", "gemm/problem.h", "gemm/epilogue.h"

# What is wrong, file, the right text and the wrong one.
END_FAULTS: list[tuple[str, str, str, str]] = [
    (
        "S is read as the residual lies",
        EMIT,
        "step == 0 ? p.c : step == 2 ? p.saved : p.residual",
        "step == 0 ? p.c : p.residual",
    ),
    (
        "S is read without its rows",
        EMIT,
        "batch * l.batch + row * l.row + column * l.column, packets",
        "batch * l.batch + (step == 2 ? 0 : row * l.row) + column * l.column, packets",
    ),
    (
        "S is read from the first matrix of a batch",
        EMIT,
        "batch * l.batch + row * l.row + column * l.column, packets",
        "(step == 2 ? 0 : batch * l.batch) + row * l.row + column * l.column, packets",
    ),
    ("S is read in D's packets", EMIT, "step == 2 ? w.saved_packets", "step == 2 ? w.d_packets"),
    ("S is read in packets down its columns", EMIT, "&& fits(p.saved)", "&& p.saved.row == 1"),
    ("S is D's transposed", PROBLEM, "  p.saved = transposed(p.saved);\n", ""),
    (
        "a product with a derivative alone is plain",
        EMIT,
        "last.activation == Activation::none &&\n            last.derivative == Activation::none && ",
        "last.activation == Activation::none && ",
    ),
    (
        "the derivative is taken at the sum",
        EMIT,
        "v[0], step == 2 ? x[0] : v[0]);",
        "v[0], v[0]);",
    ),
    ("S itself goes through the activation", EMIT, "<Backward>(kind, step == 2,", "<Backward>(kind, false,"),
    ("the elements of S do not move along", EMIT, "rotate(v), rotate(x);", "rotate(v);"),
    ("a formula of the result is given S", EPILOGUE, "Saves::result ? y : x", "Saves::result ? x : x"),
    (
        "every matrix has the first one's scales",
        EMIT,
        "batch * l.batch + row * l.row + column * l.column;",
        "row * l.row + column * l.column;",
    ),
    (
        "rows are scaled by the columns' scales",
        EMIT,
        "side == 0 ? data.row_scale : data.column_scale",
        "data.column_scale",
    ),
    ("the scales of rows lie as those of columns", EMIT, "side == 0 ? p.row_scale : p.column_scale", "p.column_scale"),
    ("only one side is scaled", EMIT, "side < 2", "side < 1"),
    ("scales of rows are D's transposed", PROBLEM, "  p.row_scale = transposed(p.row_scale);\n", ""),
    ("the aux lies as D", EMIT, "row * p.aux.row + column * p.aux.column", "row * p.d.row + column * p.d.column"),
    (
        "the aux of every matrix is the first one's",
        EMIT,
        "batch * p.aux.batch + row * p.aux.row",
        "0 * p.aux.batch + row * p.aux.row",
    ),
    ("the aux is stored in D's packets", EMIT, "p.aux, w.aux_packets", "p.aux, w.d_packets"),
    ("the aux is stored in packets down its columns", EMIT, "&& fits(p.aux)", "&& p.aux.row == 1"),
    ("the aux is D's transposed", PROBLEM, "  p.aux = transposed(p.aux);\n", ""),
    ("the aux is stored behind the activation", EMIT, "step == 1 && e.aux", "step == 3 && e.aux"),
    ("a product with a scale alone is plain", EMIT, "!last.row_scale && !last.column_scale", "!last.row_scale"),
]
