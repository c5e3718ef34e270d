"""A fault that is given as a right and a wrong text, made a choice at run time: (gpukern_fault() == 7 ? wrong : right).

So many faults are compiled once.  The difference of the two texts is widened to the whole expression or, where that is
none (a template's argument, a call that is left out), to whole statements: `if (gpukern_fault() == 7) {..} else {..}`.
What can be neither (a declaration, a text outside of functions) is a ValueError; such a fault has a tree of its own
(mutants.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

WORD = re.compile(r"[A-Za-z0-9_]")
DECLARES = re.compile(
    r"\s*(const|constexpr|static|auto|using|struct|template|typename|int|bool|float|double|unsigned|u?int\d+_t)\b"
    r"|\s*[\w:]+(<[^;=()]*>)?[&*]?\s+\w+\s*(=|;|\{|\[)"
)
# No expression: nothing, a statement, an operator that lacks a side, half of a template's arguments.
PARTIAL = re.compile(
    r"^\s*$|^\s*(if|for|while|do|else|return)\b"
    r"|^\s*(\|\||&&|[-+*/%<>=?:.,|^]\s)|(\|\||&&|[-+*/%<>=?:.,|&^(])\s*$|\w<[\w:]+$|^[\w:]+\*?>"
)


@dataclass(frozen=True)
class Span:
    """A place in a text, whether it holds statements, and what stands there under each fault."""

    start: int
    end: int
    statements: bool
    wrongs: tuple[tuple[int, str], ...]


def masked(text: str) -> str:
    """Comments, strings and lines of the preprocessor as blanks, so that their brackets do not count."""
    blank = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|^[ \t]*#[^\n]*', re.S | re.M)
    return blank.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def difference(right: str, wrong: str) -> tuple[int, int]:
    """The length of the common beginning and of the common end, in whole words."""
    short = min(len(right), len(wrong))
    before = next((i for i in range(short) if right[i] != wrong[i]), short)
    while before and WORD.match(right[before - 1]):
        before -= 1
    short -= before
    after = next((i for i in range(short) if right[-1 - i] != wrong[-1 - i]), short)
    while after and WORD.match(right[len(right) - after]):
        after -= 1
    return before, after


def brackets(code: str, at: int) -> list[int]:
    """The places of the brackets that are open there."""
    open_at: list[int] = []
    for i, c in enumerate(code[:at]):
        if c in "([{":
            open_at.append(i)
        elif c in ")]}":
            open_at.pop()
    return open_at


def is_block(code: str, at: int) -> bool:
    """Whether a brace begins statements, not a list of values."""
    before = code[:at].rstrip()
    return code[at] == "{" and bool(re.search(r"(\)|;|\{|\}|\belse|\bdo|\bconst|^)$", before))


def expression(code: str, start: int, end: int) -> tuple[int, int]:
    """The widest expression around [start, end) that no comma, assignment or choice divides."""
    depth = 0
    while start and not (depth == 0 and (code[start - 1] in "([{,;" or divides(code, start - 1))):
        depth += (code[start - 1] in ")]}") - (code[start - 1] in "([{")
        start -= 1
    if word := re.match(r"\s*return\b", code[start:]):
        start += word.end()
    depth = 0
    while end < len(code) and not (depth == 0 and (code[end] in ")]},;" or divides(code, end))):
        depth += (code[end] in "([{") - (code[end] in ")]}")
        end += 1
    return start, end


def divides(code: str, at: int) -> bool:
    """Whether `=`, or a sign of a choice, stands there, and not ==, <=, or ::."""
    if code[at] == ":":
        return ":" not in (code[at - 1], code[at + 1])
    return code[at] == "?" or (code[at] == "=" and code[at + 1] != "=" and code[at - 1] not in "=!<>")


def statements(code: str, start: int, end: int) -> tuple[int, int]:
    """The statements of one block that [start, end) lies in."""
    within = brackets(code, start)
    while within and not is_block(code, within[-1]):
        within.pop()
    if not within:
        raise ValueError("the text lies outside of functions")
    first = at = within[-1] + 1
    depth = 0
    while True:
        c = code[at]
        depth += (c in "([{") - (c in ")]}")
        if depth < 0:
            raise ValueError("the text lies in more than one block")
        at += 1
        ends = (c == ";" and not re.match(r"\s*else\b", code[at:])) or (
            c == "}" and not re.match(r"\s*(else\b|[;,).])", code[at:])
        )
        if depth == 0 and ends:
            if at >= end:
                return first, at
            if at <= start:
                first = at


def span(text: str, number: int, right: str, wrong: str) -> Span:
    """Where a fault is planted, and the wrong text of all that is there."""
    code, place = masked(text), text.index(right)
    before, after = difference(right, wrong)
    start, end = place + before, place + len(right) - after
    middle = wrong[before : len(wrong) - after]
    if not re.search(r"[;{}]", right[before : len(right) - after] + middle):
        left, beyond = expression(code, start, end)
        new = text[left:start] + middle + text[end:beyond]
        if all(is_expression(t) for t in (code[left:beyond], new)):
            return Span(left, beyond, False, ((number, new),))
    inner = code[start:end]
    first = min(start + len(inner) - len(inner.lstrip()), end)
    left, beyond = statements(code, first, max(first, start + len(inner.rstrip())))
    left, beyond = min(left, start), max(beyond, end)
    return whole(text, code, Span(left, beyond, True, ((number, text[left:start] + middle + text[end:beyond]),)))


def is_expression(text: str) -> bool:
    """No list of arguments, and no part of an expression."""
    depth = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if depth < 0 or (depth == 0 and c == ","):
            return False
    code = text.replace("::", "")
    return depth == 0 and code.count("?") == code.count(":") and not PARTIAL.search(text)


def whole(text: str, code: str, found: Span) -> Span:
    """Refuses declarations, which would end with the block."""
    for part in (code[found.start : found.end], *(masked(wrong) for _, wrong in found.wrongs)):
        unfinished = re.match(r"\s*(else|case)\b", part) or not re.search(r"(^|[;}])\s*$", part)
        if unfinished or any(DECLARES.match(s) for s in top_level(part)):
            raise ValueError(f"a declaration cannot be chosen at run time: {text[found.start : found.end]!r}")
    return found


def top_level(code: str) -> list[str]:
    """The statements side by side, without what stands in blocks."""
    flat, depth = "", 0
    for c in code:
        depth += c in "{"
        flat += c if depth == 0 else " "
        depth -= c in "}"
    return flat.split(";")


def joined(text: str, spans: Sequence[Span]) -> list[Span]:
    """Spans that overlap become one, of whole statements where none of them holds the others."""
    code, result = masked(text), list[Span]()
    for now in sorted(spans, key=lambda s: (s.start, -s.end)):
        while result and now.start < result[-1].end:
            now = both(text, code, result.pop(), now)
        result.append(now)
    return result


def both(text: str, code: str, one: Span, other: Span) -> Span:
    start, end = min(one.start, other.start), max(one.end, other.end)
    held = any(s.statements for s in (one, other) if (s.start, s.end) == (start, end))
    if (start, end) not in ((one.start, one.end), (other.start, other.end)):
        start, end = statements(code, start, end)
        held = True
    wrongs = [(n, text[start : s.start] + w + text[s.end : end]) for s in (one, other) for n, w in s.wrongs]
    found = Span(start, end, held, tuple(wrongs))
    return whole(text, code, found) if held else found


def chosen(text: str, faults: Sequence[tuple[int, str, str]]) -> str:
    """The text with all of (number, right, wrong) in it."""
    for part in reversed(joined(text, [span(text, *fault) for fault in faults])):
        right = text[part.start : part.end]
        for number, fault in part.wrongs:
            wrong = fault
            if part.statements:
                right = f"\nif (gpukern_fault() == {number}) {{{wrong}\n}} else {{{right}\n}}\n"
            else:
                wrong, right = (t + "\n" if "//" in t else t for t in (wrong, right))
                right = f"(gpukern_fault() == {number} ? ({wrong}) : ({right}))"
        text = text[: part.start] + right + text[part.end :]
    return text
