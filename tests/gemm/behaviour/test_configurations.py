"""Selection: an answer for every problem on every device, none dead, limits kept, and the choices as they stand."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import pytest
from numpy.typing import NDArray

import gpukern
from gpukern import _C
from tests.platform.toolchains import rules

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
    "gfx1201",
]
DTYPES = [  # in the order of core/dtype.h
    "float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool", "complex64",
    "complex128", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
]  # fmt: skip
TYPES = [name for name in DTYPES if name != "bool"]  # of which products are
WIDE = {"float16": "float32", "bfloat16": "float32", "int8": "int32", "float8_e4m3fn": "bfloat16"}
# Extents as they come: powers of two, their neighbours, primes, a vocabulary; 0 is for the launcher.
SIDES = [
    1,
    2,
    3,
    7,
    8,
    9,
    16,
    17,
    33,
    64,
    65,
    100,
    127,
    128,
    129,
    255,
    512,
    1000,
    1536,
    4096,
    8191,
    8192,
    65536,
    151936,
]
DEPTHS = [0, 1, 8, 63, 100, 1024, 5120, 16384]
GOLDEN = Path(__file__).with_name("choices.txt")


def explain(
    dtype: str, m: int, n: int, k: int, device: str, batch: int = 1, activation: str = "none", layouts: Any = None
) -> dict[str, Any]:
    rows = [(k, 1, m * k, 16), (n, 1, k * n, 16), (0, 0, 0, 1), (n, 1, m * n, 16), (0, 0, 0, 1)]
    found: dict[str, Any] = _C.gemm_explain(
        dtype, (batch, m, n, k), layouts or rows, 1.0, 0.0, False, activation, False, device
    )
    return found


CONFIGURATIONS = {c.name: c for c in gpukern.available(built=False)}
FOR_GPUS = {c.name for c in CONFIGURATIONS.values() if not c.on_cpu}


PLACES = [c.name for c in gpukern.available(built=False)]


@cache
def problems() -> NDArray[numpy.int64]:
    """About 10^5: (type, out, precision, batch-invariant, batch, m, n, k, how A lies, how B lies, alignment)."""
    number = {name: k for k, name in enumerate(DTYPES)}
    kinds = [(number[t], number[t], 0) for t in TYPES] + [(number[t], number[w], 0) for t, w in WIDE.items()]
    kinds += [(number["float32"], number["float32"], precision) for precision in (1, 2, 3, 4)]
    found = []
    rng = numpy.random.default_rng(0)
    for kind, m, n, k in itertools.product(kinds, SIDES, SIDES, DEPTHS):
        layout = rng.integers(0, 3, 2)
        batch = rng.choice([1, 1, 1, 2, 64])
        found.append((*kind, rng.integers(0, 2), batch, m, n, k, *layout, rng.choice([1, 2, 4, 8, 16])))
    return numpy.array(found)


@cache
def chosen(device: str) -> NDArray[numpy.int64]:
    """(place of the configuration, ranges of k) of each of `problems()`."""
    found: NDArray[numpy.int64] = _C.gemm_choose(device, problems())
    return found


@pytest.mark.parametrize("device", GPUS)
def test_every_problem_has_a_configuration_that_takes_it(device: str) -> None:
    assert len(problems()) >= 59_000
    places, splits = chosen(device).T
    assert places.min() >= 0, problems()[places < 0][0]
    shared = _C.describe_device(device)["shared_bytes"]
    for place in set(places.tolist()):
        configuration = CONFIGURATIONS[PLACES[place]]
        mine = problems()[places == place]
        assert {DTYPES[t] for t in set(mine[:, 0].tolist())} <= set(configuration.types) and not configuration.on_cpu
        assert configuration.shared_bytes <= shared, configuration
        if configuration.adds_terms:
            assert (mine[:, 2] >= 2).all(), "float32 in terms without a request"
        elif "tf32" in configuration.precisions:
            single = mine[[DTYPES[t] == "float32" for t in mine[:, 0]]]
            assert (single[:, 2] == 1).all(), "float32 on tensor cores without permission"
    invariant = problems()[:, 3] == 1
    assert splits.min() >= 1 and splits.max() <= 64 and (splits[invariant] == 1).all()
    # what a range has to do is worth its start
    assert (problems()[splits > 1][:, 7] >= splits[splits > 1] * 64).all()


def test_the_cpu_has_one_configuration() -> None:
    for dtype, m, k in itertools.product(TYPES, SIDES, DEPTHS):
        found = explain(dtype, m, 64, k, "cpu")
        assert found["configuration"] == found["would_run"] == "host/blas"


def test_no_configuration_is_dead() -> None:
    reached = {PLACES[place] for device in GPUS for place in set(chosen(device)[:, 0].tolist())}
    assert reached == FOR_GPUS, FOR_GPUS - reached


RUNS_ON = {"sm_80": ("sm_80", "sm_86", "sm_89"), "gfx11-generic": ("gfx1100",), "gfx12-generic": ("gfx1201",)}


def test_nothing_is_compiled_for_a_target_that_never_chooses_it() -> None:
    """simt's floating types were compiled for devices that have them in mma_sync."""
    targets = sorted({w for place in rules.plan_objects(None).targets for w in rules.words_of(rules.CSRC / place)})
    sources = {r["name"]: r["source"] for r in _C.gemm_configurations()}
    dead = []
    for target in (t for t in targets if not t.startswith("ptx")):
        reached = {PLACES[p] for device in RUNS_ON.get(target, (target,)) for p in set(chosen(device)[:, 0].tolist())}
        for name in FOR_GPUS - reached:
            place = Path("csrc/gemm/arch", CONFIGURATIONS[name].folder, sources[name])
            if target in rules.words_of(place):
                dead.append(f"{target}: {name}")
    assert not dead, sorted(dead)


def test_limits_hold() -> None:
    for c in (CONFIGURATIONS[name] for name in FOR_GPUS):
        if c.lanes == 0:  # any GPU has that much
            assert c.shared_bytes <= 48 * 1024 and 64 <= c.threads <= 256, c.name
        if c.lanes == 0 and not c.vectors:  # the loads of a tile are shared evenly
            assert c.tile[0] * c.tile[2] % c.threads == 0 and c.tile[1] * c.tile[2] % c.threads == 0, c.name
        if c.lanes and not c.tma:  # Hopper gives a block 227 KB; sm_86, sm_89 and sm_120 give it 99
            assert c.shared_bytes <= (227 if c.clock else 99) * 1024, c.name
            assert (128 if c.tensor_cores else 64) <= c.threads <= 256, c.name


def test_a_row_is_chosen_alike_whatever_the_other_rows_are() -> None:
    """batch_invariant: the order of an element's sum depends on its own row and column, not on how many there are."""
    number = DTYPES.index("bfloat16")
    for (device, tma), m in itertools.product((("sm_80", False), ("sm_90", True)), (1, 2, 8, 9, 64, 4096)):
        problem = [(number, number, 0, 1, 1, m, 4096, 16384, 0, 1, 16)]
        place, splits = _C.gemm_choose(device, numpy.array(problem))[0]
        chosen = CONFIGURATIONS[PLACES[place]]
        assert chosen.tensor_cores and chosen.tma is tma and splits == 1, (m, chosen.name)


def test_costs_are_said() -> None:
    found = explain("bfloat16", 4096, 4096, 4096, "sm_80")
    costs = [why for _, why in found["refusals"] if "times the chosen configuration's" in why]
    assert costs and all(float(why.split(": ")[1].split()[0]) >= 1 for why in costs), found["refusals"]
    assert found["cost"] > 0 and explain("bfloat16", 64, 64, 65536, "sm_80")["splits"] > 1


def test_refusals_say_why() -> None:
    found = explain("float32", 512, 512, 512, "sm_90")
    reasons = dict(found["refusals"])
    full = explain("int32", 64, 64, 64, "gfx942", activation="relu")
    not_built = "no code was built for this device"
    assert full["would_run"] == ""
    assert dict(full["refusals"])["simt"] in ("an activation needs a floating type", not_built)
    assert reasons.get("simt") == not_built or found["configuration"]
    huge = explain("float32", 2**40, 2**20, 16, "sm_90")
    assert huge["would_run"] == ""


def test_a_device_with_more_processors_takes_smaller_tiles() -> None:
    def area(device: str) -> int:
        tile = CONFIGURATIONS[explain("float32", 768, 768, 4096, device)["would_run"]].tile
        return tile[0] * tile[1]

    assert area("gfx942") <= area("sm_75")


def choices() -> str:
    """The table in choices.txt: a line a problem, a column a device."""
    devices = ["sm_75", "sm_80", "sm_89", "sm_90", "gfx942"]
    lines = [f"{'problem':32}" + " ".join(f"{d:19}" for d in devices)]
    for dtype, (m, n, k) in itertools.product(
        ["float32", "tf32", "bfloat16", "float64", "int8"],
        [(16, 16, 16), (128, 128, 128), (512, 512, 512), (1024, 1024, 1024), (4096, 4096, 4096), (8192, 8192, 8192),
         (1, 4096, 4096), (16, 8192, 4096), (16, 65536, 512), (65536, 16, 512), (64, 64, 65536), (8192, 8192, 16)],
    ):  # fmt: skip
        number = DTYPES.index("float32" if dtype == "tf32" else dtype)
        problem = numpy.array([(number, number, dtype == "tf32", 0, 1, m, n, k, 0, 1, 16)])
        choices = [_C.gemm_choose(d, problem)[0] for d in devices]
        names = [PLACES[place] + (f"*{splits}" if splits > 1 else "") for place, splits in choices]
        lines.append(f"{f'{dtype} {m} x {n} x {k}':32}" + " ".join(f"{name:19}" for name in names))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def test_choices_are_as_they_stood() -> None:
    """A change of the cost model shows here line by line.

    `python -m tests.gemm.behaviour.test_configurations` writes them.
    """
    assert choices() == GOLDEN.read_text()


if __name__ == "__main__":
    GOLDEN.write_text(choices())
