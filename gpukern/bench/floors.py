"""The least time of a product on a device that need not be present: the roofline (Williams, Waterman and Patterson
2009) with published rates.  ceilings.py measures the rates of the present device.

A rate is what the best code is known to sustain with random numbers, not what a datasheet promises: tensor cores at
their full clock need more than 700 W.  So a floor is a guide: short calls, which end before the clock drops, may be
faster.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """target: its name in selection.  clock: cycles per second that the cost model assumes.  flops: {dtype: operations
    per second}, for dtypes with a documented rate.  bandwidth: bytes per second."""

    target: str
    clock: float
    flops: dict[str, float]
    bandwidth: float

    def floor(self, dtype: str, flops: float, size: float) -> float | None:
        """Seconds for `flops` operations and `size` bytes, max(flops / peak, size / bandwidth); None where nothing is
        documented for the dtype.  A product has 2 M N K operations and moves (M K + K N + M N) elements."""
        peak = self.flops.get(dtype)
        return None if peak is None else max(flops / peak, size / self.bandwidth)

    def computes(self, dtype: str, flops: float, size: float) -> bool:
        """Whether arithmetic sets the floor; else memory does."""
        return flops * self.bandwidth >= size * self.flops[dtype]


# 16 bits on tensor cores.  cuBLAS holds 769 to 798e12 at 8192^3 with random numbers on an H200, and 894e12 with zeros,
# which draw no power; on an H100, which has the same cores, fast.cu says 808e12 and DeepGEMM's best shape reaches
# 830e12.  The datasheet's 989e12 are 132 processors' 4096 operations a cycle at 1.83 GHz.  float16 has the same cores.
HALF = 8.05e14
# float32 on ordinary cores.  cuBLAS reaches 45.5e12 at 4096^3 and 47.3e12 at 8192^3 on an H100, and 47.3e12 on an H200
# NVL; the datasheet's 67e12 leaves no cycle for anything but multiply-adds.
SINGLE = 4.75e13
# A copy of memory on an H200 moves 4.3e12 bytes a second of the datasheet's 4.8e12; a stream that only reads, 4.26e12
# (tile-ai/TileOPs#244).
BANDWIDTH = 4.3e12

# The clock is that of `cost` in csrc/gemm/arch/wgmma/tiles.h and skinny/tiles.h.  float64 has no entry: the published
# 59e12 of cuBLASLt are for the NVL card with its 600 W.  The H100 has none: the cost model stores results, and loads
# matrices for gemv, at an H200's 4.3e12 bytes a second, and an H100 has 3.0e12.  Other devices have none: there cycles
# only rank configurations, and no clock is defined for them.
DEVICES = {"h200": Device("sm_90a", 1.7e9, {"float16": HALF, "bfloat16": HALF, "float32": SINGLE}, BANDWIDTH)}
