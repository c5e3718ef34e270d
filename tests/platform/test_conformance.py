"""Every word of platform/ against the vendor's manual: cases with data that other hands than the model's wrote.

conformance/make_*.py derive the data from the manual's formulas; here the model replays it under several schedules, and
the same sources compile for a device, where `run_case` replays it too.
"""

from __future__ import annotations

import ctypes
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.platform.library import ROOT, model_library

FOLDER = Path(__file__).parent / "conformance"
SCHEDULES = [("fifo", 0, 1), ("lifo", 1, 1), ("random", 2, 7), *(("pct", 3, seed) for seed in range(1, 6))]
CASES = [case for path in sorted(FOLDER.glob("*.json")) for case in json.loads(path.read_text())]


@cache
def library() -> ctypes.CDLL:
    sources = sorted(p.relative_to(ROOT).as_posix() for p in FOLDER.glob("*.cu"))
    found = model_library("conformance", tuple(sources))
    found.run_case.restype = found.case_names.restype = ctypes.c_char_p
    return found


def buffer(words: str) -> Any:
    """The bytes of "0000002a 00000001 ..": words of 32 bits."""
    values = [int(word, 16) for word in words.split()]
    return (ctypes.c_uint32 * max(len(values), 1))(*values), 4 * len(values)


def replay(case: dict[str, Any], order: int, seed: int) -> tuple[str, str]:
    """What the model says, and the output."""
    library().set_schedule(order, ctypes.c_uint32(seed), case.get("wave", 32))
    given, given_bytes = buffer(case["input"])
    output, output_bytes = buffer(case.get("before") or " ".join(["ffffffff"] * len(case["output"].split())))
    error = library().run_case(
        case["case"].encode(), given, ctypes.c_size_t(given_bytes), output, ctypes.c_size_t(output_bytes)
    )
    return error.decode(), " ".join(f"{word:08x}" for word in output[: output_bytes // 4])


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_word(case: dict[str, Any]) -> None:
    for name, order, seed in SCHEDULES:
        error, output = replay(case, order, seed)
        assert not error, (name, seed)
        assert output == case["output"], (name, seed, case["manual"])


def test_every_kernel_has_data_and_every_case_a_kernel() -> None:
    assert set(library().case_names().decode().split()) == {c["case"] for c in CASES}
