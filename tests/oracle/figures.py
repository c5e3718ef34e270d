"""The errors of the elementwise ops, measured: `python -m tests.oracle.figures` prints the table of docs/numerics.md.

For float16 and bfloat16 over all 65,536 patterns, for float32 over a million by strata: the largest distance from the
correctly rounded value, in units in the last place, and the share of arguments with the correctly rounded result.  A
cell has one entry a capability of this machine where they differ.
"""

from __future__ import annotations

import json
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


def cell(entries: list[tuple[int, float]]) -> str:
    texts = [f"{worst} / {100 * share:.2f} %".replace("100.00 %", "100 %" if share == 1 else "99.99+ %")
             for worst, share in entries]  # fmt: skip
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def main() -> None:
    if sys.argv[1:] == ["--measure"]:
        print(json.dumps(measure()))
        return
    names = capabilities()
    tables = []
    for name in names:
        environment = {**os.environ, "ATEN_CPU_CAPABILITY": name}
        run = subprocess.run([sys.executable, "-m", "tests.oracle.figures", "--measure"], env=environment, text=True,
                             stdout=subprocess.PIPE, check=True)  # fmt: skip
        tables.append(json.loads(run.stdout.splitlines()[-1]))
    print(f"worst ulp / correctly rounded; where capabilities differ: {', '.join(n.upper() for n in names)}\n")
    print(f"| op | {' | '.join(COLUMNS)} |\n|{'---|' * (1 + len(COLUMNS))}")
    for op in tables[0]:
        cells = [cell([(int(w), s) for w, s in (t[op][column] for t in tables)]) for column in COLUMNS]
        print(f"| {op} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
