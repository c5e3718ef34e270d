"""Launches that overlap the one before them, and the barrier of a cluster: the model's messages for planted faults."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.platform.library import model_library

NAMES = re.findall(r"DO\((\w+)\)", (Path(__file__).parent / "faults" / "overlaps.h").read_text())
CORRECT = [k for k, name in enumerate(NAMES) if name.startswith("none")]
PLANTED = [k for k in range(len(NAMES)) if k not in CORRECT]
SCHEDULES = [(0, 1), (1, 1), *((2, seed) for seed in range(8)), *((3, seed) for seed in range(8))]
NUMBERS, THREADS = 256, 128


@cache
def library() -> ctypes.CDLL:
    found = model_library("overlaps", ("tests/platform/faults/overlaps.cu",))
    for function in (found.fault_names, found.run_fault, found.run_cluster_barrier):
        function.restype = ctypes.c_char_p
    assert found.fault_names().decode().split() == NAMES
    return found


def run(fault: int, order: int, seed: int) -> str:
    """The model's message for three launches, each reading the result of the previous one; or a wrong result; or ""."""
    room = torch.full((4 * NUMBERS + 32,), -1, dtype=torch.int32)
    first = -room.data_ptr() // 4 % 32
    data = room[first : first + 4 * NUMBERS].view(4, NUMBERS)
    data[0] = torch.arange(NUMBERS)
    fault_text = library().run_fault(fault, ctypes.c_void_p(data.data_ptr()), order, ctypes.c_uint32(seed))
    back = data[0].view(-1, THREADS).flip(1).reshape(-1)
    right = torch.equal(data[1], back + 1) and torch.equal(data[2], data[0] + 2) and torch.equal(data[3], back + 3)
    return str(fault_text.decode()) or ("" if right else "a wrong result")


@pytest.mark.parametrize("fault", PLANTED, ids=[NAMES[k] for k in PLANTED])
def test_fault_of_dependent_launches_is_found(fault: int) -> None:
    """Under every schedule: the primitive must be called, whether or not the launches overlap in that schedule."""
    for order, seed in SCHEDULES:
        fault_text = run(fault, order, seed)
        assert "griddepcontrol_wait" in fault_text, (order, seed, fault_text)


@pytest.mark.parametrize("kind", CORRECT, ids=[NAMES[k] for k in CORRECT])
def test_no_false_alarm(kind: int) -> None:
    for order, seed in SCHEDULES:
        assert not run(kind, order, seed), (order, seed)


def test_message_names_kernel_thread_and_line() -> None:
    fault_text = run(NAMES.index("no_wait"), 0, 1)
    assert re.match(
        r"faults::step<\(faults::Fault\)5>: block \(0,0,0\) thread \d+ \(warp \d+, lane \d+\): ", fault_text
    ), fault_text
    words = "'numbers' is read before the thread's griddepcontrol_wait, and this launch may overlap the one before it"
    assert words in fault_text and re.search(r"a read at overlaps\.h:\d+$", fault_text), fault_text


def order_of(tells: bool, overlaps: bool, order: int, seed: int) -> list[int]:
    events = (ctypes.c_int * 1024)()
    count = library().run_in_order(tells, overlaps, order, ctypes.c_uint32(seed), events)
    assert count >= 0
    return list(events[:count])


def test_a_launch_starts_before_the_one_ahead_has_ended_and_waits_for_it() -> None:
    seen = set()
    for order, seed in SCHEDULES:
        found = order_of(True, True, order, seed)
        assert sorted(found) == [1, 1, 2, 2, 3, 3, 4, 4]
        ends, starts = max(i for i, event in enumerate(found) if event == 2), found.index(3)
        assert starts > max(i for i, event in enumerate(found) if event == 1)  # all blocks have let it
        assert found.index(4) > ends
        seen.add((order, starts < ends))
    assert (0, True) in seen and (1, False) in seen and {(2, True), (2, False), (3, True), (3, False)} <= seen


@pytest.mark.parametrize(("tells", "overlaps"), [(False, True), (True, False), (False, False)])
def test_a_launch_that_may_not_start_does_not(tells: bool, overlaps: bool) -> None:
    """The previous launch has not allowed it; or it was launched without `overlaps`."""
    for order, seed in SCHEDULES:
        found = order_of(tells, overlaps, order, seed)
        assert found.index(3) > max(i for i, event in enumerate(found) if event == 2), (order, seed)


def test_a_clusters_barrier_is_not_to_need_threads_that_have_ended() -> None:
    """The PTX ISA lets them count as arrived; kernels here do not rely on it, unless the model's settings do."""
    for order, seed in SCHEDULES:
        arguments = order, ctypes.c_uint32(seed)
        assert not library().run_cluster_barrier(True, False, *arguments)
        assert not library().run_cluster_barrier(False, True, *arguments)
        fault_text = library().run_cluster_barrier(False, False, *arguments).decode()
        assert re.search(
            r"barrier has \d+ arrivals, and 32 threads have ended without one.*overlaps\.h:\d+", fault_text
        ), fault_text
