"""Faults of the primitives, as Hopper's product sees them: what, file, right, wrong.

tests/platform/primitive_faults.py has those that conformance data sees.
"""

from __future__ import annotations

MAPS = "primitives/tensor_map.h"
PLATFORM_FAULTS = [
    (
        "a descriptor's stride is its leading offset",
        MAPS,
        "uint64_t{stride >> 4 & 0x3fff} << 32",
        "uint64_t{leading >> 4 & 0x3fff} << 32",
    ),
    (
        "pieces are turned by the line before",
        MAPS,
        "return address ^ (address >> 3 & mask);",
        "return address ^ (address - 128 >> 3 & mask);",
    ),
    ("operands lie the other way", "platform/model/wgmma.h", "static_cast<int>(M) == 1;", "static_cast<int>(M) == 0;"),
]
