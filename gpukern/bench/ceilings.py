"""The two ceilings of the roofline (Williams, Waterman and Patterson 2009), measured in the same run.

Neither comes from a datasheet: bandwidth is that of a device-to-device copy far larger than the caches, arithmetic that
of the library's best square product in each dtype.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

import torch

from .suites import torch_dtype
from .timing import Clock


def bandwidth(device: str, clock: Clock, size: int) -> float:
    """Bytes a second of a copy of `size` bytes, read and written."""
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    clock.seconds(lambda: target.copy_(source), 2)
    return 2 * size / min(clock.seconds(lambda: target.copy_(source), 3) for _ in range(7))


def arithmetic(device: str, clock: Clock, dtype: torch.dtype, sides: Sequence[int]) -> float:
    """Operations a second of torch.mm on the best of the given sides."""
    best = 0.0
    for n in sides:
        a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
        call: Callable[[], object] = lambda a=a, b=b: torch.mm(a, b)  # type: ignore[misc]  # noqa: E731
        once = clock.seconds(call, 1)
        if 9 * once > 20:  # a type without instructions of its own here; one call suffices
            return max(best, 2 * n**3 / once)
        best = max(best, 2 * n**3 / statistics.median(clock.seconds(call, 1) for _ in range(5)))
    return best


def measure(device: str, clock: Clock, dtypes: Iterable[str], quick: bool) -> dict[str, object]:
    """{"bytes_per_s": .., "flops": {dtype: ..}}"""
    on_host = device == "cpu"
    size = 2**28 if on_host else 2**30
    sides = ((1024,) if quick else (1024, 2048)) if on_host else ((4096,) if quick else (4096, 8192))
    flops = {name: arithmetic(device, clock, torch_dtype(name), sides) for name in dtypes}
    return {"bytes_per_s": bandwidth(device, clock, size), "flops": flops}
