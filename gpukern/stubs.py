"""Writes ops.pyi, what type checkers and editors know of the functions: `python -m gpukern.stubs`, or `make stubs`.

The functions are made in C++, where no type checker sees them. Their signatures are those that torch's argument parser
reads (csrc/entry), and whether a tensor's place takes a number is asked of that parser itself.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import products
from .entries import functions
from .info import load_extension

WHERE = Path(__file__).resolve().parent / "ops.pyi"
WIDTH = 120

# A type in the notation of torch's parser: in Python's, and a value of it.
TYPES: dict[str, tuple[str, Any]] = {
    "Tensor": ("Tensor", torch.empty(0)),
    "TensorList": ("Sequence[Tensor]", [torch.empty(0)]),
    "Scalar": ("_Number", 1.0),
    "int64_t": ("int", 1),
    "IntArrayRef": ("Sequence[int]", [1]),
    "ScalarType": ("dtype", torch.float32),
    "bool": ("bool", True),
    "c10::string_view": ("str", ""),
}

HEADER = """\
# Written by `make stubs` from the signatures that the functions' parser reads; not edited by hand.
from collections.abc import Sequence
from typing import Literal, TypeAlias, overload

from torch import Tensor, dtype
from typing_extensions import deprecated

"""

NUMBER = """
_Number: TypeAlias = complex  # and so float, int and bool

"""


@dataclass(frozen=True)
class Parameter:
    name: str
    types: frozenset[str]  # a union of Python's
    default: str | None = None
    keyword_only: bool = False

    def text(self) -> str:
        order = [python for python, _ in TYPES.values()] + ["Literal[True]", "Literal[False]", "None"]
        union = " | ".join(sorted(self.types, key=order.index))
        return f"{self.name}: {union}" + ("" if self.default is None else f" = {self.default}")


@dataclass(frozen=True)
class Signature:
    name: str
    parameters: tuple[Parameter, ...]
    result: str = "Tensor"
    deprecated: bool = False

    def positional(self) -> list[Parameter]:
        return [p for p in self.parameters if not p.keyword_only]

    def covers(self, other: Signature) -> bool:
        """Whether it takes every call that the other one takes, so that a type checker never comes to that one."""
        mine = {p.name: p for p in self.parameters}
        theirs = {p.name: p for p in other.parameters}
        places = [p.name for p in other.positional()]
        in_place = places == [p.name for p in self.positional()][: len(places)]
        taken = all(name in mine and p.types <= mine[name].types for name, p in theirs.items())
        given = all(
            p.default is not None or (name in theirs and theirs[name].default is None) for name, p in mine.items()
        )
        return in_place and taken and given

    def text(self, document: list[str], overloaded: bool) -> str:
        words = [p.text() for p in self.positional()]
        keywords = [p.text() for p in self.parameters if p.keyword_only]
        words += ["*", *keywords] if keywords else []
        start, end = f"def {self.name}(", f") -> {self.result}:"
        if len(line := start + ", ".join(words) + end) > WIDTH:
            inside = "    " + ", ".join(words)
            inside = inside if len(inside) <= WIDTH else "".join(f"    {word},\n" for word in words).rstrip()
            line = f"{start}\n{inside}\n{end}"
        marks = ["@overload\n"] if overloaded else []
        marks += ['@deprecated("torch\'s old order of arguments")\n'] if self.deprecated else []
        said = document if len(document) == 1 else [*document, ""]
        return "\n" + "".join(marks) + line + '\n    """' + "\n    ".join(said) + '"""\n'


def parsed(text: str, name: str) -> Signature:
    """A signature in the notation of torch's parser: "add(Tensor input, *, Scalar alpha=1)|deprecated"."""
    found = re.fullmatch(r"\w+\((.*)\)(\|deprecated)?", text)
    if found is None:
        raise ValueError(f"no signature of torch's argument parser: {text}")
    parameters, keyword_only = [], False
    for part in found[1].split(", "):
        if part == "*":
            keyword_only = True
            continue
        kind, _, rest = part.partition(" ")
        key, _, default = rest.partition("=")
        types = {TYPES[kind.rstrip("?")][0]}
        if kind.endswith("?") or default == "None":
            types.add("None")
        default = default.replace("'", '"')
        parameters.append(Parameter(key, frozenset(types), default or None, keyword_only))
    return Signature(name, tuple(parameters), deprecated=found[2] is not None)


def with_numbers(text: str, signature: Signature) -> Signature:
    """The same with numbers in the places of tensors that are read, where the parser takes them."""
    values = dict(TYPES.values())
    given = {p.name: values[next(iter(p.types - {"None"}))] for p in signature.parameters if p.default is None}

    def widened(k: int, p: Parameter) -> Parameter:
        written = p.name == "out" or (k == 0 and signature.name.endswith("_"))
        if written or "Tensor" not in p.types or not load_extension().takes(text, (), {**given, p.name: 2.5}):
            return p
        return Parameter(p.name, p.types | {"_Number"}, p.default, p.keyword_only)

    return Signature(signature.name, tuple(widened(k, p) for k, p in enumerate(signature.parameters)))


def by_flag(signature: Signature) -> Iterator[Signature]:
    """One signature for each value of a last keyword that chooses between two ops of different results."""
    *others, flag = signature.parameters
    flagged = getattr(torch.ops.gpukern, f"{signature.name}_{flag.name}", None)
    if flag.types != {"bool"} or flagged is None:
        yield signature
        return
    several = f"tuple[{', '.join('Tensor' for _ in flagged.default._schema.returns)}]"
    for python, default, result in (
        ("Literal[False]", flag.default, "Tensor"),
        ("Literal[True]", None, several),
        ("bool", None, f"Tensor | {several}"),
    ):
        chosen = Parameter(flag.name, frozenset({python}), default, flag.keyword_only)
        yield Signature(signature.name, (*others, chosen), result)


def signatures(name: str) -> list[Signature]:
    """In the order in which the parser tries them, without those that an earlier one covers."""
    found: list[Signature] = []
    for text in load_extension().signatures()[name]:
        signature = parsed(text, name)
        for each in [signature] if signature.deprecated else by_flag(with_numbers(text, signature)):
            if not any(earlier.covers(each) for earlier in found):
                found.append(each)
    return found


def stub() -> str:
    """What ops.pyi holds."""
    names = sorted(functions)
    parts = [HEADER, *(f"from .products import {name} as {name}\n" for name in products.__all__), NUMBER]
    parts += ["__all__ = [  # noqa: RUF022\n", *(f'    "{name}",\n' for name in names), "]\n"]
    for name in names:
        if name in products.__all__:
            continue
        document = str(functions[name].__doc__).partition("\n")[0].replace("\\", "\\\\")
        found = signatures(name)
        parts += [each.text(textwrap.wrap(document, WIDTH - 10), len(found) > 1) for each in found]
    return "".join(parts)


def main() -> int:
    WHERE.write_text(stub())
    return 0


if __name__ == "__main__":
    sys.exit(main())
