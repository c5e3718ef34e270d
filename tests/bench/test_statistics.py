"""Statistics of timings whose answer is known."""

from __future__ import annotations

import math

import numpy
import pytest

from gpukern.bench import statistics
from tests.bench.synthetic import times


def test_percentiles_of_known_numbers() -> None:
    found = statistics.spread([5.0, 1.0, 2.0, 4.0, 3.0, 6.0])
    assert (found.p20, found.p50, found.p80) == (2.0, 3.5, 5.0)
    with pytest.raises(ValueError):
        statistics.spread([])


def test_a_ratio_is_of_pairs() -> None:
    """A slowdown of a whole round changes no ratio."""
    mine = [1.0, 10.0, 100.0]
    found = statistics.ratio([2.0, 20.0, 200.0], mine)
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError):
        statistics.ratio([1.0], [])


@pytest.mark.parametrize("true", [0.5, 1.0, 1.3])
def test_intervals_hold_the_true_ratio_as_often_as_they_say(true: float) -> None:
    held = 0
    for seed in range(200):
        found = statistics.ratio(times(true, 3 * seed, noise=0.05), times(1.0, 3 * seed + 1, noise=0.05))
        held += found.low <= true <= found.high
    assert 180 <= held <= 200  # 95 % of 200 is 190; a median's bootstrap is a little wide or narrow


def test_a_narrow_interval_of_a_quiet_machine() -> None:
    found = statistics.ratio(times(1.03, 1, noise=0.003), times(1.0, 2, noise=0.003))
    assert 1.0 < found.low < 1.03 < found.high < 1.06


def test_a_planted_three_percent_is_found_and_noise_is_not() -> None:
    found = false = 0
    for seed in range(100):
        old, same, slow = (times(m, 7 * seed + k, noise=0.01) for k, m in enumerate((1.0, 1.0, 1.03)))
        found += statistics.differs(statistics.change(old, slow), 0.02)
        false += statistics.differs(statistics.change(old, same), 0.02)
    assert found >= 85 and false == 0, (found, false)


def test_a_change_below_what_counts_is_none() -> None:
    change = statistics.change(times(1.0, 1, noise=1e-4), times(1.01, 2, noise=1e-4))
    assert change.low > 1 and not statistics.differs(change, 0.02) and statistics.differs(change, 0.005)


def test_faster_counts_as_much_as_slower() -> None:
    for factor in (0.5, 2.0):
        assert statistics.differs(statistics.change(times(1.0, 1), times(factor, 2)), 0.02)


def test_geometric_mean() -> None:
    assert statistics.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert statistics.geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert math.isnan(statistics.geometric_mean([]))


def test_a_stored_run_gives_the_same_interval_again() -> None:
    a, b = times(1.0, 1), times(1.2, 2)
    assert statistics.ratio(a, b) == statistics.ratio(list(a), list(b))
    statistics._places.cache_clear()
    first = statistics.medians(a)
    statistics._places.cache_clear()
    assert numpy.array_equal(first, statistics.medians(a))
