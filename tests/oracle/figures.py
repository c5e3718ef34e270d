"""The errors of the elementwise ops, measured: `python -m tests.oracle.figures` prints the table of docs/numerics.md,
and with `--gradients` that of their gradients.

For float16 and bfloat16 over all 65,536 patterns, for float32 over a million by strata: the largest distance from the
correctly rounded value, in units in the last place, and the share of arguments with the correctly rounded result.  A
cell has one entry a capability of this machine where they differ.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import torch

COLUMNS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def capabilities() -> list[str]:
    """What ATEN_CPU_CAPABILITY may name on this machine."""
    found = ["default"]
    if torch.cpu._is_avx2_supported():
        found.append("avx2")
    if torch.cpu._is_avx512_supported():
        found.append("avx512")
    return found


def measure() -> dict[str, dict[str, tuple[int, float]]]:
    """{op: {type: (worst, share correctly rounded)}} for the capability that torch runs with."""
    from .ops import UNARY
    from .ulps import all_patterns, distance, stratified

    result: dict[str, dict[str, tuple[int, float]]] = {}
    for case in UNARY:
        row = result.setdefault(case.id, {})
        for name, dtype in COLUMNS.items():
            x = all_patterns(dtype) if dtype.itemsize == 2 else stratified(dtype, 1 << 20)
            steps = distance(case.ours(x), case.reference(x).to(dtype))
            row[name] = (int(steps.max()), float((steps == 0).double().mean()))
    return result


def measure_gradients() -> dict[str, dict[str, tuple[int, float]]]:
    """The same of gradients; ops of several tensors are not measured in float32, where a sum's rounding is the op's."""
    from . import gradient_errors

    result: dict[str, dict[str, tuple[int, float]]] = {}
    for case in gradient_errors.CASES:
        row = result.setdefault(case.id, {})
        for name, dtype in COLUMNS.items():
            if gradient_errors.measured(case, dtype):
                worst, share, _ = gradient_errors.measure(case, dtype)
                row[name] = (math.ceil(worst), share)
    return result


def cell(entries: list[tuple[int, float]]) -> str:
    texts = [f"{worst} / {100 * share:.2f} %".replace("100.00 %", "100 %" if share == 1 else "99.99+ %")
             for worst, share in entries]  # fmt: skip
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def promised(op: str) -> str:
    from .ops import CASES

    case = next(c for c in CASES if c.id == op)
    return f"{case.grad_ulp} / {case.grad_ulp32}" if case.inputs == 1 else str(case.grad_ulp)


def main() -> None:
    gradients = "--gradients" in sys.argv
    if "--measure" in sys.argv:
        print(json.dumps(measure_gradients() if gradients else measure()))
        return
    names = capabilities()
    tables = []
    for name in names:
        environment = {**os.environ, "ATEN_CPU_CAPABILITY": name}
        command = [sys.executable, "-m", "tests.oracle.figures", "--measure", *sys.argv[1:]]
        run = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, check=True)
        tables.append(json.loads(run.stdout.splitlines()[-1]))
    print(f"worst ulp / correctly rounded; where capabilities differ: {', '.join(n.upper() for n in names)}\n")
    heads = [*COLUMNS, "promise"] if gradients else list(COLUMNS)
    print(f"| op | {' | '.join(heads)} |\n|{'---|' * (1 + len(heads))}")
    for op in tables[0]:
        cells = [cell([(int(w), s) for w, s in (t[op][column] for t in tables)]) if column in tables[0][op] else ""
                 for column in COLUMNS]  # fmt: skip
        print(f"| {op} | {' | '.join([*cells, *([promised(op)] if gradients else [])])} |")


if __name__ == "__main__":
    main()
