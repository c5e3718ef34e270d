"""Suites are data: benchmarks/suites/<name>.json has groups of cases, which this file expands into one Spec per case.

A group has a kind and lists of values, and contains every combination:

    product      op, dtypes, and shapes [M, N, K] (bmm: [B, M, N, K]), or a model's weights {label: [N, K]} x tokens
                 (M), or its products {label: [M, N, K]}; layouts ("nn", "nt", "tn", "tt": t is column-major), pad
                 (elements added to the leading dimension), activation, residual
    elementwise  ops (catalogue keys; "*": all that torch has but those of integers alone; "fused": what torch has not;
                 "integers": those of integers alone), elements, dtypes, layouts
                 ("dense", "broadcast", "transposed")
    overhead     ops, modes ("no grad", "grad", "compiled", "graph")
    training     networks
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .. import _C

PACKAGE = Path(__file__).resolve().parents[1]
# In a source tree beside the package; an installation has a copy within it.
FOLDERS = (PACKAGE.parent / "benchmarks" / "suites", PACKAGE / "benchmarks" / "suites")

PRODUCTS = ("mm", "bmm", "mv", "linear")
LAYOUTS = {"product": ("nn", "nt", "tn", "tt"), "elementwise": ("dense", "broadcast", "transposed")}
DTYPES = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int32", "int64")


@dataclass(frozen=True)
class Spec:
    """One case, as plain data."""

    suite: str
    kind: str
    op: str
    dtype: str
    shape: tuple[int, ...]
    layout: str = ""
    label: str = ""  # its common name: "Llama-3 8B down"
    choice: str = ""  # a mode, an activation
    pad: int = 0
    residual: bool = False

    @property
    def name(self) -> str:
        """Unique in its suite."""
        size = "x".join(map(str, self.shape))
        words = [self.op, self.choice and f"+{self.choice}" if self.kind == "product" else self.choice]
        words += ["+residual" if self.residual else "", self.label, size]
        words += [self.layout if self.layout not in ("nn", "dense") else "", f"pad {self.pad}" if self.pad else ""]
        return " ".join(word for word in [*words, self.dtype] if word)


@dataclass(frozen=True)
class Entry:
    """An op of the catalogue as the bench names it: "gelu", "gelu.tanh", "bias_act.silu"."""

    key: str
    name: str  # the public function's
    keywords: dict[str, Any]
    inputs: int
    aten: str  # "" where torch has none
    family: str
    ulp: int
    types: str
    predicate: bool


@cache
def catalogue() -> dict[str, Entry]:
    """Every op by its key: the name, and after a point the choice where it is not the first."""
    found: dict[str, Entry] = {}
    for e in _C.elementwise_catalogue():
        name, choice = e["name"], e["choice"]
        keyword = re.search(r"str\??\s+(\w+)", e["args"])
        keywords: dict[str, Any] = {keyword[1]: choice} if keyword and choice else {}
        key = f"{name}.{choice}" if choice and (not e["aten"] or name in found) else name
        if name == "clamp":
            keywords = {"min": -1.0, "max": 1.0}
        public = "clamp" if name == "clamp_tensor" else name
        found[key] = Entry(
            key, public, keywords, e["inputs"], e["aten"], e["family"], e["ulp"], e["types"], e["predicate"]
        )
    for entry in list(found.values()):
        if entry.name == "add_act":  # bias_act has the same kernel; its second operand is a row
            choice = entry.keywords["activation"]
            found[f"bias_act.{choice}"] = replace(entry, key=f"bias_act.{choice}", name="bias_act")
    del found["clamp_min"], found["clamp_max"]  # clamp with one tensor: the same kernels as maximum and minimum
    return found


def named(ops: str | list[str]) -> list[str]:
    """Catalogue keys: "*" means the ops that torch has, "fused" the others, "integers" those without floating types."""
    if isinstance(ops, list):
        return ops
    kinds = {key: "integers" if e.types == "whole" else "*" if e.aten else "fused" for key, e in catalogue().items()}
    return [key for key, kind in kinds.items() if kind == ops]


@cache
def paths() -> dict[str, Path]:
    """Each suite's file."""
    folder = next((f for f in FOLDERS if f.is_dir()), FOLDERS[0])
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


@cache
def _read(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(paths()[name].read_text())
    return data


def about(name: str) -> str:
    """One sentence."""
    return str(_read(name)["about"])


def suite(name: str) -> list[Spec]:
    """Every case of a suite, in the file's order; KeyError for a name that is not known."""
    cases = [spec for group in _read(name)["cases"] for spec in _groups()[group["kind"]](name, group)]
    return list(dict.fromkeys(cases))


def _groups() -> dict[str, Callable[[str, dict[str, Any]], Iterator[Spec]]]:
    return {"product": _products, "elementwise": _elementwise, "overhead": _overhead, "training": _training}


def _sizes(group: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(label, shape) of a group of products."""
    model = group.get("model", "")
    for shape in group.get("shapes", ()):
        yield "", tuple(shape)
    for (label, (n, k)), m in itertools.product(group.get("weights", {}).items(), group.get("tokens", ())):
        yield f"{model} {label}", (m, n, k)
    for label, shape in group.get("products", {}).items():
        yield f"{model} {label}", tuple(shape)


def _products(name: str, group: dict[str, Any]) -> Iterator[Spec]:
    layouts = group.get("layouts", ["nt" if group["op"] == "linear" else "nn"])
    for dtype, layout, (label, shape) in itertools.product(group["dtypes"], layouts, _sizes(group)):
        yield Spec(
            name, "product", group["op"], dtype, shape, layout, label,
            group.get("activation", ""), group.get("pad", 0), group.get("residual", False),
        )  # fmt: skip


def matrix(elements: int) -> tuple[int, int]:
    """Rows and columns for that many elements; for a power of two both are one, with at least as many columns."""
    rows = 2 ** (int(math.log2(elements)) // 2) if elements & (elements - 1) == 0 else 1
    return rows, elements // rows


def _elementwise(name: str, group: dict[str, Any]) -> Iterator[Spec]:
    ops, layouts = named(group["ops"]), group.get("layouts", ["dense"])
    crossed = itertools.product(group["dtypes"], layouts, ops, group["elements"])
    for dtype, layout, op, elements in crossed:
        if layout != "dense" and catalogue()[op].inputs == 1:
            continue  # a result takes the layout of a single operand: every unary case is dense
        yield Spec(name, "elementwise", op, dtype, matrix(elements), layout)


def _overhead(name: str, group: dict[str, Any]) -> Iterator[Spec]:
    for dtype, op, mode in itertools.product(group["dtypes"], group["ops"], group["modes"]):
        yield Spec(name, "overhead", op, dtype, (4, 4), choice=mode)


def _training(name: str, group: dict[str, Any]) -> Iterator[Spec]:
    for dtype, network in itertools.product(group["dtypes"], group["networks"]):
        yield Spec(name, "training", network, dtype, ())


# ---- what a command line names ---------------------------------------------------------------------------------------


class Unknown(ValueError):
    """An unknown name or a wrong shape; the text is one line that says what is possible."""


def _of_op(op: str, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str]) -> Iterator[Spec]:
    """The cases of a single op: of the given shapes, else of a few usual ones."""
    if op in PRODUCTS:
        width = 4 if op == "bmm" else 3
        usual: dict[str, list[tuple[int, ...]]] = {
            "bmm": [(8, 256, 256, 256), (8, 1024, 1024, 1024)],
            "mv": [(1024, 1, 1024), (4096, 1, 4096)],
        }
        squares: list[tuple[int, ...]] = [(n, n, n) for n in (256, 512, 1024, 2048, 4096)]
        chosen: Sequence[tuple[int, ...]] = shapes or usual.get(op, squares)
        for shape in chosen:
            if len(shape) != width:
                raise Unknown(f"{op} takes shapes of {width} numbers ({'B,' * (width == 4)}M,N,K), not {shape}")
            if op == "mv" and shape[1] != 1:
                raise Unknown(f"mv takes shapes M,1,K, not {','.join(map(str, shape))}")
        yield from _products(op, {"op": op, "shapes": chosen, "dtypes": dtypes})
        return
    whole = catalogue()[op].types == "whole"
    if whole and any("float" in dtype for dtype in dtypes):
        raise Unknown(f"{op} takes integers: --dtype {' or '.join(INTEGERS)}")
    if not whole and set(dtypes) & set(INTEGERS):
        raise Unknown(f"{op} is measured in {', '.join(DTYPES)}")
    for dtype, shape in itertools.product(dtypes, shapes or [(2**p,) for p in (10, 14, 17, 20, 23, 26)]):
        size = matrix(shape[0]) if len(shape) == 1 else shape
        if len(size) != 2:
            raise Unknown(f"{op} takes shapes N or ROWS,COLUMNS, not {','.join(map(str, shape))}")
        yield Spec(op, "elementwise", op, dtype, size, "dense")


def asked(names: Iterable[str], shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str]) -> list[Spec]:
    """The cases of suites and ops on a command line; Unknown for a name that is neither.

    shapes go with ops only.  dtypes, where given, replace an op's usual ones and filter a suite's.
    """
    for dtype in dtypes:
        if dtype not in (*DTYPES, *INTEGERS):
            raise Unknown(
                f"--dtype {dtype}: choose from {', '.join(DTYPES)}; for ops of integers {', '.join(INTEGERS)}"
            )
    found: list[Spec] = []
    for name in names:
        if name in paths():
            if shapes:
                raise Unknown(f"--shapes goes with an op (mm, silu ..), and {name} is a suite, which has its own")
            cases = suite(name)
            kept = [s for s in cases if not dtypes or s.dtype in dtypes]
            if not kept:
                has = ", ".join(dict.fromkeys(s.dtype for s in cases))
                raise Unknown(f"{name} has no case of {', '.join(dtypes)}; it has {has}")
            found += kept
        elif name in PRODUCTS or name in catalogue():
            whole = name in catalogue() and catalogue()[name].types == "whole"
            found += _of_op(name, shapes, dtypes or (INTEGERS if whole else ("float32", "bfloat16")))
        else:
            near = difflib.get_close_matches(name, [*paths(), *PRODUCTS, *catalogue()], 3, 0.4)
            meant = f"; did you mean {', '.join(near)}" if near else ""
            raise Unknown(f"{name} is neither a suite nor an op{meant} (python -m gpukern bench lists all)")
    return list(dict.fromkeys(found))


def parsed(text: str) -> tuple[int, ...]:
    """(M, N, K) of "M,N,K" or "MxNxK"; Unknown for other texts."""
    try:
        shape = tuple(int(word) for word in text.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise Unknown(f"--shapes {text}: write positive numbers separated by commas, as in 4096,4096,4096")
    return shape


def quick(specs: Sequence[Spec]) -> list[Spec]:
    """The cases of --quick: of every group that differs in size only, the smallest and the middle one."""
    groups: dict[tuple[Any, ...], list[Spec]] = {}
    for spec in specs:
        # One layer per model, and two sizes per op.
        model = spec.label.split(" ")[0]
        groups.setdefault((replace(spec, shape=(), label=model),), []).append(spec)
    kept = set()
    for group in groups.values():
        ordered = sorted(group, key=lambda s: math.prod(s.shape))
        kept |= {ordered[0], ordered[len(ordered) // 2]}
    return [spec for spec in specs if spec in kept]


def torch_dtype(name: str) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, name)
    return dtype
