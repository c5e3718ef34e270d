"""Which of the project's headers a text reads, by its #include lines: all of them, whatever a macro leaves out."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.platform.library import ROOT

CSRC = ROOT / "csrc"
LINE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def headers_of(text: str, beside: Path = CSRC) -> frozenset[str]:
    """Names below csrc/ of all that `text`, a file in the folder `beside`, reads there, itself not counted."""
    found: set[str] = set()
    left = _named(text, beside)
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left |= _read(file)
    return frozenset(found)


@cache
def _read(file: str) -> frozenset[str]:
    return frozenset(_named((CSRC / file).read_text(), (CSRC / file).parent))


def _named(text: str, beside: Path) -> set[str]:
    """As a compiler looks for them: beside the file, then below csrc/."""
    places = [next((f for f in (beside / name, CSRC / name) if f.is_file()), None) for name in LINE.findall(text)]
    return {p.resolve().relative_to(CSRC).as_posix() for p in places if p and p.resolve().is_relative_to(CSRC)}
