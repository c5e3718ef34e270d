"""Faults of every primitive (primitive_faults.py): conformance data or the checks of maps see each.

All are planted in one tree and compiled once: each is a switch that is off.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import count
from pathlib import Path

import pytest

from gpukern.model import build
from tests.platform import test_tensor_map as maps
from tests.platform.hopper_primitive_faults import FAULTS
from tests.platform.includes import CSRC, headers_of
from tests.platform.library import FOLDER, ROOT, machine_sources, run_ninja, stem
from tests.platform.primitive_faults import MAPS, Fault
from tests.platform.test_conformance import CASES, SCHEDULES, SOURCES, named, replay

TREE = FOLDER.parent / "primitives"
ROOMS = ("platform", "primitives")
RUNS = count()
WHOLE = TREE / "libprimitives.so"


def span(fault: Fault, text: str) -> tuple[int, int]:
    """Where what becomes wrong lies in the file's text."""
    before, _, rest = fault.right.partition("[[")
    inner, _, behind = rest.partition("]]")
    whole = before + inner + behind
    assert text.count(whole) == 1, (fault.what, text.count(whole))
    first = text.index(whole)
    return (first + len(before), first + len(before + inner)) if inner else (first, first + len(whole))


def planted(text: str, faults: list[tuple[int, Fault]]) -> str:
    """The text in which every fault is a switch by its number: of expressions, or of statements, which end in `;`."""
    places: dict[tuple[int, int], list[tuple[int, Fault]]] = {}
    for number, fault in faults:
        places.setdefault(span(fault, text), []).append((number, fault))
    end = len(text)
    for (first, last), here in sorted(places.items(), reverse=True):
        assert last <= end, f"{here[0][1].what}: overlaps with another fault"
        now = text[first:last]
        for number, fault in here:
            switch = f"::gpukern::planted({number})"
            if now.rstrip().endswith((";", "}")):
                now = f"if ({switch}) {{ {fault.wrong} }} else {{ {now} }}"
            else:
                now = f"({switch} ? ({fault.wrong}) : ({now}))"
        text, end = text[:first] + now + text[last:], first
    return text


def write_tree() -> None:
    left = {fault.file for fault in FAULTS}
    for source in [p for room in ROOMS for p in (CSRC / room).rglob("*") if p.suffix in (".h", ".cpp")]:
        name = source.relative_to(CSRC).as_posix()
        mine = [(number, fault) for number, fault in enumerate(FAULTS) if fault.file == name]
        left.discard(name)
        to = ROOT / TREE / name
        to.parent.mkdir(parents=True, exist_ok=True)
        build.rules().write_if_changed(to, planted(source.read_text(), mine))
    assert not left, left


def listing() -> str:
    """Objects of what holds a fault; of the machine, the rest is the one that other tests have."""
    faulty = {fault.file for fault in FAULTS}
    first = f"-include {(ROOT / 'tests/platform/faults/planted.h').as_posix()}"
    flags = build.flags().replace("-Icsrc", f"-I{TREE.as_posix()}")
    lines = [f"builddir = {FOLDER.as_posix()}", "rule cc", "  command = $cmd", "  depfile = $out.d", "  deps = gcc"]
    lines.append(f"rule link\n  command = {build.compiler()} -shared $in -o $out.new -ldl && mv $out.new $out")
    objects = []

    def compile(source: str, out: Path, options: str) -> None:
        command = f"{build.compiler()} {options} -MMD -MF {out.as_posix()}.d -x c++ -c {source} -o {out.as_posix()}"
        lines.extend([f"build {out.as_posix()}: cc {source}", f"  cmd = {command}"])
        objects.append(out.as_posix())

    compile("tests/platform/faults/planted.cpp", TREE / "planted.o", build.flags())
    for source in (*SOURCES, "tests/platform/tensor_map.cu"):
        compile(source, TREE / f"{stem(source)}.o", f"{flags} {first} {build.WATCHED}")
    for source in machine_sources():
        text = (ROOT / source).read_text()
        if ({source.removeprefix("csrc/")} | headers_of(text, (ROOT / source).parent)) & faulty:
            inside = (TREE / Path(source).relative_to("csrc")).as_posix()
            compile(inside, TREE / f"{stem(source)}.o", f"{flags} {first}")
        else:
            compile(source, FOLDER / f"{stem(source)}.o", f"{build.flags()} -O3")
    lines.append(f"build {WHOLE.as_posix()}: link {' '.join(objects)}")
    return "\n".join(lines) + "\n"


@cache
def library() -> ctypes.CDLL:
    def prepare() -> str:
        write_tree()
        return listing()

    run_ninja("primitives", prepare)
    return maps.named(named(ctypes.CDLL(str(ROOT / WHOLE))))


@pytest.fixture
def plant() -> Iterator[Callable[[int], None]]:
    yield library().gpukern_plant
    library().gpukern_plant(-1)


def wrong_case(name: str) -> bool:
    """Whether under some schedule the case of that name differs from the manual."""
    case = next(case for case in CASES if name in (case["name"], case["name"].removeprefix("wave of 32: ")))
    for _, order, seed in SCHEDULES:
        library().set_schedule(order, ctypes.c_uint32(seed), case.get("wave", 32))
        error, output = replay(library(), case)
        if error or output != case["output"]:
            return True
    return False


def wrong_maps(monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether some check of test_tensor_map.py fails."""
    monkeypatch.setattr(maps, "library", library)
    nowhere = 1 << 20 | next(RUNS) << 24  # where no run before kept a map, right or wrong
    checks: list[Callable[[], None]] = [maps.test_matrix_descriptor]
    checks.append(partial(maps.test_a_map_that_is_kept_is_that_of_its_numbers, nowhere))
    checks += [partial(maps.test_accepted, arguments) for arguments in maps.ACCEPTED]
    checks += [partial(maps.test_refused, name) for name in maps.REFUSED]
    checks += [partial(maps.test_driver_as_its_documentation_has_it, name) for name in maps.DRIVER]
    checks += [partial(maps.test_model_reads_what_kernels_write_into_a_descriptor, span) for span in maps.PATTERNS]
    for check in checks:
        try:
            check()
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[re.sub(r"\W+", "-", fault.what) for fault in FAULTS])
def test_planted_fault_is_seen(number: int, plant: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(number)
    seen = FAULTS[number].seen
    assert wrong_maps(monkeypatch) if seen == MAPS else wrong_case(seen)


def test_no_false_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same library, where no switch is on."""
    library().gpukern_plant(-1)
    for name in sorted({fault.seen for fault in FAULTS} - {MAPS}):
        assert not wrong_case(name), name
    assert not wrong_maps(monkeypatch)
