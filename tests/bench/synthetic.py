"""Runs with known answers: times that a seed makes."""

from __future__ import annotations

import numpy

from gpukern.bench.results import Line, Run

MACHINE = {
    "device": "Model 1", "kind": "cuda", "target": "sm_90", "driver": "1.2", "runtime": "CUDA 13.0", "threads": 4,
    "cache_bytes": 2**25, "memory_bytes": 2**36,
}  # fmt: skip


def times(median: float, seed: int, turns: int = 21, noise: float = 0.01) -> list[float]:
    """Log-normal around a median, as timings are."""
    drawn = numpy.random.default_rng(seed).normal(0, noise, turns)
    return [float(t) for t in median * numpy.exp(drawn)]


def line(
    n: int, seed: int, ours: float = 100.0, theirs: float = 100.0, *, drift: float = 0.0, suite: str = "gemm-square"
) -> Line:
    """A product of side n; drift: the spread of what meets both sides of a turn alike."""
    turns = numpy.exp(numpy.random.default_rng(seed + 999).normal(0, drift, 21))
    mine = [float(t) for t in numpy.array(times(ours, 2 * seed)) * turns]
    other = [float(t) for t in numpy.array(times(theirs, 2 * seed + 1)) * turns]
    return Line(
        suite, f"mm {n}x{n}x{n} float32", "mm", "product", "float32", [n, n, n], "nn", 2.0 * n**3, 12.0 * n * n,
        "simt/s128x128", error=0.25, ours=mine, rivals={"torch": other},
    )  # fmt: skip


def run(lines: list[Line], **other: object) -> Run:
    """A complete run of these lines."""
    facts: dict[str, object] = {
        "gpukern": "0.1.0", "torch": "2.13.0", "commit": "0123456789ab", "date": "2026-11-24T00:00:00+00:00",
        "settings": {"against": ["torch"], "names": ["gemm-square"], "quick": False}, "machine": dict(MACHINE),
        "ceilings": {"bytes_per_s": 4e12, "flops": {"float32": 5e13}}, "complete": True,
    }  # fmt: skip
    return Run(**{**facts, **other}, lines=lines)  # type: ignore[arg-type]
