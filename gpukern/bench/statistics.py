"""Statistics of timings: percentiles, a ratio with its interval, and whether two runs differ.

Turns alternate (ours, theirs, ours, theirs ..), so turn i of both saw the same state of the machine: ratios are of
pairs.  The interval is the percentile bootstrap (Efron 1979) of the median of the ratios, with a fixed seed, so that a
stored run prints the same numbers again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """The 20th, 50th and 80th percentile of some times."""

    p20: float
    p50: float
    p80: float


@dataclass(frozen=True)
class Ratio:
    """A median of ratios and its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f} {self.high:.3f}]"


def spread(times: Sequence[float]) -> Spread:
    """Percentiles by linear interpolation; ValueError where there are none."""
    if not times:
        raise ValueError("no times were taken")
    p20, p50, p80 = numpy.percentile(numpy.asarray(times, numpy.float64), [20, 50, 80])
    return Spread(float(p20), float(p50), float(p80))


@cache
def _places(count: int) -> NDArray[numpy.int64]:
    """The turns of each resample; the same for every set of `count` turns."""
    return numpy.random.default_rng(count).integers(0, count, (RESAMPLES, count))


def medians(values: Sequence[float]) -> NDArray[numpy.float64]:
    """The median of each bootstrap resample."""
    array = numpy.asarray(values, numpy.float64)
    return numpy.asarray(numpy.median(array[_places(len(array))], axis=1))


def _interval(samples: NDArray[numpy.float64], confidence: float) -> tuple[float, float]:
    tail = 50 * (1 - confidence)
    low, high = numpy.percentile(samples, [tail, 100 - tail])
    return float(low), float(high)


def ratio(over: Sequence[float], under: Sequence[float], confidence: float = CONFIDENCE) -> Ratio:
    """Median of over[i] / under[i], turn by turn; ValueError if the numbers of turns differ."""
    if len(over) != len(under) or not over:
        raise ValueError(f"{len(over)} and {len(under)} times do not pair")
    values = numpy.asarray(over, numpy.float64) / numpy.asarray(under, numpy.float64)
    low, high = _interval(medians(values.tolist()), confidence)
    return Ratio(float(numpy.median(values)), low, high)


def geometric_mean(values: Sequence[float]) -> float:
    """exp(mean(log)); NaN of none."""
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if values else math.nan


def change(old: Sequence[float], new: Sequence[float], confidence: float = 0.99) -> Ratio:
    """Median of new / median of old, for runs whose turns are not pairs, with the interval of that quotient."""
    a, b = medians(old), medians(new)
    # The runs are independent, but with equal counts both were resampled from one seed: reorder one of them.
    samples = numpy.roll(b, RESAMPLES // 2) / a
    low, high = _interval(samples, confidence)
    return Ratio(float(numpy.median(new) / numpy.median(old)), low, high)


def differs(found: Ratio, least: float) -> bool:
    """Whether a change is beyond noise: its interval does not hold 1, and it is at least `least` (0.02: 2 %)."""
    return not found.low <= 1 <= found.high and abs(math.log(found.value)) >= math.log1p(least)
