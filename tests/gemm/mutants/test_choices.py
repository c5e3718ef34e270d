"""Faults as choices at run time: expressions, statements, both in one place, and what is refused."""

from __future__ import annotations

import re

import pytest

from tests.gemm.mutants.choices import chosen

TEXT = """
void f(int a, int b) {
  const int c = a > 0 ? first<2>(a) : b;  // a comment; with { a bracket
  if (c > 1 && b > 2) {
    call(a, c + 1);
    wait<1>();
    total += c;
  }
#pragma unroll
  for (int i = 0; i < b; ++i) part(i);
}
"""


def planted(right: str, wrong: str) -> str:
    """What stands in the place of the text, on one line."""
    return re.sub(r"\s+", " ", chosen(TEXT, [(7, right, wrong)]))


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("c + 1);", "c);", "call(a,(gpukern_fault() == 7 ? ( c) : ( c + 1)));"),
        ("c > 1 && b", "b", "if ((gpukern_fault() == 7 ? (b > 2) : (c > 1 && b > 2)))"),
        ("i < b;", "i < 1;", "int i = 0;(gpukern_fault() == 7 ? ( i < 1) : ( i < b)); ++i"),
        ("wait<1>", "wait<2>", "(gpukern_fault() == 7 ? ( wait<2>()) : ( wait<1>()));"),
        ("    wait<1>();\n", "", "if (gpukern_fault() == 7) { } else { wait<1>(); }"),
        ("total += c", "total = c", "if (gpukern_fault() == 7) { total = c; } else { total += c; }"),
        ("wait", "if (a) wait", "if (gpukern_fault() == 7) { if (a) wait<1>(); } else { wait<1>(); }"),
    ],
)
def test_a_fault_is_a_choice(right: str, wrong: str, expected: str) -> None:
    assert expected in planted(right, wrong)


def test_faults_in_one_place_are_one_choice() -> None:
    text = chosen(
        TEXT, [(1, "    wait<1>();\n", ""), (2, "wait<1>", "wait<3>"), (3, "a, c", "b, c"), (4, "c + 1", "c")]
    )
    assert text.count("gpukern_fault() == ") == 4
    one, two, three, four = (text.index(f"gpukern_fault() == {number}") for number in (1, 2, 3, 4))
    assert "part(i)" in text and min(one, two) > max(three, four)
    assert chosen(TEXT, []) == TEXT


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("first<2>(a) : b", "first<2>(a) : b, d = b"), ("void f(int a", "int g; void f(int a")],
)
def test_what_cannot_be_chosen_is_refused(right: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be chosen at run time|outside of functions"):
        chosen(TEXT, [(1, right, wrong)])
