"""What the scripts that make conformance data share: words in, words out, a file of cases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
Case = dict[str, object]


def words(values: NDArray | Sequence[int]) -> str:
    """Any array as 32-bit words, little-endian, in hexadecimal."""
    flat = np.ascontiguousarray(values).reshape(-1)
    raw = flat.tobytes()
    assert len(raw) % 4 == 0
    return " ".join(f"{word:08x}" for word in np.frombuffer(raw, "<u4"))


def case(kernel: str, manual: str, given: NDArray, expected: NDArray, **more: object) -> Case:
    """name: of the case (default: the kernel's); wave: lanes of a warp (32); before: what the output starts as."""
    if "before" in more:
        more["before"] = words(more["before"])  # type: ignore[arg-type]
    name = more.pop("name", kernel)
    return {"name": name, "case": kernel, "manual": manual, **more, "input": words(given), "output": words(expected)}


def write(name: str, cases: list[Case]) -> None:
    (FOLDER / name).write_text(json.dumps(cases, indent=1) + "\n")
