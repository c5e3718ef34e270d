"""Data of common.cu and ampere.cu, from the formulas of the vendors' manuals; nothing here calls the model.

Run as `python tests/platform/conformance/make_common.py`; tests check that the files are what it makes.
"""

from __future__ import annotations

import numpy as np
from data import case, write

rng = np.random.default_rng(3)


def shuffles() -> list[dict[str, object]]:
    """CUDA programming guide, warp shuffle functions."""
    given = rng.integers(0, 2**32, 64, dtype=np.uint32)
    lane = np.arange(64)
    expected = np.stack([given[lane ^ (1 << k)] for k in range(5)])
    return [case("shfl_xor", "__shfl_xor_sync", given, expected)]


if __name__ == "__main__":
    write("common.json", shuffles())
