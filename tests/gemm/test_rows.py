"""Selection: an answer for every problem on every device, no dead row, limits kept, and the choices as they stand."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import gpukern
from gpukern import _C

GPUS = [
    "sm_75",
    "sm_80",
    "sm_86",
    "sm_89",
    "sm_90",
    "sm_90a",
    "sm_100",
    "sm_120",
    "gfx90a",
    "gfx942",
    "gfx950",
    "gfx1100",
]
TYPES = ["float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64"]
SIDES = [1, 2, 8, 16, 17, 33, 64, 100, 128, 129, 512, 1000, 4096, 8192, 65536]
DEPTHS = [0, 1, 16, 100, 1024, 16384]
SIZES = {
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
}
GOLDEN = Path(__file__).with_name("choices.txt")


def explain(
    dtype: str, m: int, n: int, k: int, device: str, batch: int = 1, activation: str = "none", layouts: Any = None
) -> dict[str, Any]:
    rows = [(k, 1, m * k, 16), (n, 1, k * n, 16), (0, 0, 0, 1), (n, 1, m * n, 16), (0, 0, 0, 1)]
    found: dict[str, Any] = _C.gemm_explain(
        dtype, (batch, m, n, k), layouts or rows, 1.0, 0.0, False, activation, False, device
    )
    return found


ROWS = {row.name: row for row in gpukern.available(built=False)}


@pytest.mark.parametrize("device", GPUS)
def test_every_problem_has_a_row_that_takes_it(device: str) -> None:
    for dtype, m, n, k in itertools.product(TYPES, SIDES, SIDES, DEPTHS):
        row = explain(dtype, m, n, k, device)["would_run"]
        assert row in ROWS, (dtype, m, n, k)
        assert dtype in ROWS[row].types and not row.startswith("host/")


def test_the_cpu_has_one_row() -> None:
    for dtype, m, k in itertools.product(TYPES, SIDES, DEPTHS):
        found = explain(dtype, m, 64, k, "cpu")
        assert found["row"] == found["would_run"] == "host/blas"


def test_no_row_is_dead() -> None:
    chosen: Counter[str] = Counter()
    for dtype, m, n, device in itertools.product(TYPES, SIDES, SIDES, ["sm_80", "sm_90", "sm_120", "gfx942"]):
        chosen[explain(dtype, m, n, 1024, device)["would_run"]] += 1
    chosen[explain("float32", 4, 4, 4, "cpu")["row"]] += 1
    assert set(chosen) == set(ROWS), set(ROWS) - set(chosen)


def test_limits_hold() -> None:
    for row in ROWS.values():
        if row.name.startswith("host/"):
            continue
        assert row.shared_bytes <= 48 * 1024 and 64 <= row.threads <= 256
        assert row.tile[0] * row.tile[2] % row.threads == 0 and row.tile[1] * row.tile[2] % row.threads == 0


def test_refusals_say_why() -> None:
    found = explain("float32", 512, 512, 512, "sm_90")
    reasons = dict(found["refusals"])
    full = explain("int32", 64, 64, 64, "gfx942", activation="relu")
    not_built = "no code was built for this device"
    assert full["would_run"] == ""
    assert dict(full["refusals"])["simt"] in ("an activation needs a floating type", not_built)
    assert reasons.get("simt") == not_built or found["row"]
    huge = explain("float32", 2**40, 2**20, 16, "sm_90")
    assert huge["would_run"] == ""


def test_a_device_with_more_processors_takes_smaller_tiles() -> None:
    def area(device: str) -> int:
        tile = ROWS[explain("float32", 768, 768, 4096, device)["would_run"]].tile
        return tile[0] * tile[1]

    assert area("gfx942") <= area("sm_75")


def choices() -> str:
    """The table in choices.txt: a line a problem, a column a device."""
    devices = ["sm_75", "sm_90", "gfx942"]
    lines = [f"{'problem':32}" + " ".join(f"{d:14}" for d in devices)]
    for dtype, (m, n, k) in itertools.product(
        ["float32", "bfloat16", "float64", "int8"],
        [(16, 16, 16), (128, 128, 128), (512, 512, 512), (1024, 1024, 1024), (4096, 4096, 4096), (8192, 8192, 8192),
         (1, 4096, 4096), (16, 8192, 4096), (16, 65536, 512), (65536, 16, 512), (64, 64, 65536), (8192, 8192, 16)],
    ):  # fmt: skip
        rows = [explain(dtype, m, n, k, d)["would_run"] for d in devices]
        lines.append(f"{f'{dtype} {m} x {n} x {k}':32}" + " ".join(f"{r:14}" for r in rows))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def test_choices_are_as_they_stood() -> None:
    """A change of the cost model shows here line by line; write the file anew with `python -m tests.gemm.test_rows`."""
    assert choices() == GOLDEN.read_text()


if __name__ == "__main__":
    GOLDEN.write_text(choices())
