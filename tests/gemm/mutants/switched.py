"""Many faults in one tree: each has a number, and a variable at run time turns one on, so that all are compiled once.

For faults that change a value and not what the compiler must see; mutants.py plants the others, a tree each.  A fault
is marked in the list (`Fault`), or made a choice from a right and a wrong text (choices.py).
"""

from __future__ import annotations

import ctypes
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gpukern.model.machine
import gpukern.model.memory
from gpukern.model import build
from tests.platform.library import FOLDER, MACHINE, ROOT, load, machine_rules, run_ninja


@dataclass(frozen=True)
class Fault:
    """In csrc/`file`, what stands between « and » in `right` becomes `wrong`; all of `right` occurs once.  further: the
    same in other places of the file, for a fault that is of one line more."""

    what: str
    file: str
    right: str
    wrong: str
    further: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        return re.sub(r"\W+", "-", self.what).strip("-")


def planted(text: str, faults: Sequence[tuple[int, Fault]]) -> str:
    """The source with all of them in it, as expressions that test for their number."""
    sites: dict[tuple[int, int], list[tuple[int, str]]] = defaultdict(list)
    for number, fault in faults:
        for right, wrong in ((fault.right, fault.wrong), *fault.further):
            before, rest = right.split("«")
            middle, after = rest.split("»")
            assert text.count(before + middle + after) == 1, (fault.what, text.count(before + middle + after))
            start = text.index(before + middle + after) + len(before)
            sites[start, start + len(middle)].append((number, wrong))
    end_before = len(text)
    for (start, end), wrongs in sorted(sites.items(), reverse=True):
        assert end <= end_before, f"two faults overlap at {text[start:end]!r}"
        end_before = start
        whole = f"({text[start:end]})"
        for number, wrong in wrongs:
            whole = f"(gpukern_fault() == {number} ? ({wrong}) : {whole})"
        text = text[:start] + whole + text[end:]
    return text


def _tree(to: Path, files: set[str], planting: Callable[[str, str], str]) -> None:
    csrc = ROOT / "csrc"
    rooms = ("core", "formulas", "gemm", "platform", "primitives", "elementwise")
    sources = [p for room in rooms for p in (csrc / room).rglob("*") if p.is_file()]
    assert not files - {p.relative_to(csrc).as_posix() for p in sources}
    for source in sources:
        name = source.relative_to(csrc).as_posix()
        if source.suffix == ".cpp":
            continue
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        build.rules().write_if_changed(to / name, planting(name, source.read_text()))


@cache
def library(name: str, faults: tuple[Fault, ...], sources: tuple[str, ...], plain: tuple[str, ...]) -> ctypes.CDLL:
    """The machine, `plain` as they are, and `sources` with the faults in what they include."""

    def planting(file: str, text: str) -> str:
        return planted(text, [(number, fault) for number, fault in enumerate(faults, 1) if fault.file == file])

    return compiled(name, {fault.file for fault in faults}, planting, sources, plain)


def compiled(
    name: str, files: set[str], planting: Callable[[str, str], str], sources: Sequence[str], plain: Sequence[str],
    more: str = "",
) -> ctypes.CDLL:  # fmt: skip
    """`planting` gives each file of csrc/ its text; only that of `files` is another.  more: flags for `sources`."""
    tree = FOLDER.parent / name
    lines, objects = machine_rules(), []
    for source in (*sources, *plain):
        out = (tree / f"{Path(source).stem}.o").as_posix()
        flags = build.flags()
        if source in sources:
            flags = flags.replace(
                "-Icsrc", f"-I{tree.as_posix()} -include tests/gemm/mutants/switched.h -w {build.WATCHED} {more}"
            )
        command = f"{build.compiler()} {flags} -MMD -MF {out}.d -x c++ -c {source} -o {out}"
        lines += [f"build {out}: cc {source}", f"  cmd = {command}"]
        objects.append(out)
    whole = (tree / "libswitched.so").as_posix()
    lines.append(f"build {whole}: link {' '.join([*objects, MACHINE])}")

    def prepare() -> str:
        _tree(ROOT / tree, files, planting)
        return "\n".join(lines) + "\n"

    run_ninja(name, prepare)
    found = load(whole)
    for entry in ("product", "elementwise", "counts"):
        if hasattr(found, f"gpukern_model_{entry}"):
            getattr(found, f"gpukern_model_{entry}").restype = ctypes.c_char_p
    return found


@contextmanager
def running(found: ctypes.CDLL, number: int) -> Iterator[Any]:
    """The model runs that library with that fault; 0: with none."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (gpukern.model.machine, gpukern.model.memory):
            patch.setattr(module, "library", lambda: found)
        found.gpukern_set_fault(number)
        try:
            yield found
        finally:
            found.gpukern_set_fault(0)
