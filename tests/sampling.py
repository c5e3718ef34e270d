"""Which samples of one question `make test` takes, and which wait for `make test-nightly`.

A question with n cases that share their code (a kernel's other tile sizes, types of one width, other
seeds) learns little from the fourth.  `sampled` marks all but three of each such group `nightly`.  Which three depends
on the question's name, so that different questions take different cases of a group, and never on the run.
tests/contract/test_nightly.py holds the rule to what it may leave out.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import pytest

DAILY = 3


def sampled(
    question: str, cases: Sequence[Any], alike: Callable[[Any], Hashable], ids: Sequence[str] | None = None
) -> list[Any]:
    """The cases for `parametrize`, in their order; of each group of `alike` cases all but DAILY are nightly."""
    names = list(ids) if ids is not None else [str(case) for case in cases]
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for i, case in enumerate(cases):
        groups[alike(case)].append(i)
    daily: set[int] = set()
    for group in groups.values():
        daily.update(sorted(group, key=lambda i: zlib.crc32(f"{question} {names[i]}".encode()))[:DAILY])
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=() if i in daily else pytest.mark.nightly,
            id=names[i] if ids is not None else None,
        )
        for i, case in enumerate(cases)
    ]
