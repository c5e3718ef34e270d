"""`python -m gpukern bench tune`: finds the fastest configuration for given products, and stores it for selection.

Every configuration that can serve a product is compared with float64 first; a wrong one is reported and never stored.
The others are timed in alternating turns in one process, so that a change of the clock rate affects all of them.
gpukern/tuning.py stores the ranking and says when it is used.
"""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import _C, ops, selection, tuning
from ..tuning import Product
from . import check, machine
from .arguments import Parser, Refused, check_build
from .statistics import spread
from .table import aligned
from .timing import Call, DeviceClock, Effort, HostClock, by_turns

TURN = 1e-3  # the least seconds of a turn: the clock's resolution is negligible beside it
BUDGET = 60.0  # seconds that one product may take


# ---- what is asked ---------------------------------------------------------------------------------------------------


def types() -> list[str]:
    """The types of the configurations, without complex and 8-bit floating types, which have one for large results and
    one for small ones."""
    types = {t for c in _C.gemm_configurations() for t in c["types"]}
    return sorted(t for t in types if not t.startswith(("complex", "float8")))


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise Refused(f"--shapes: {text!r} is not a shape M,N,K of positive numbers, as in 4096,4096,1024")
    m, n, k = map(int, parts)
    return m, n, k


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise Refused(f"{text!r} is not a number of at least 1")
    return int(text)


def _listed(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        parts = text.split(",")
        if unknown := [part for part in parts if part not in known]:
            raise Refused(f"{unknown[0]!r} is not known; choose from {', '.join(known)}")
        return parts

    return parse


def _device(text: str) -> str:
    """As selection names it: cpu, cuda:0 .."""
    if text == "cpu":
        return text
    if text != "cuda" and not (text.startswith("cuda:") and text[5:].isdecimal()):
        raise Refused(f"{text!r} is not a device to measure on; choose cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if selection.default_device() == "cuda" else 0
    ordinal = int(text[5:]) if text != "cuda" else torch.cuda.current_device() if count else 0
    if ordinal >= count:
        here = "cpu" if not count else f"cpu, cuda:0 to cuda:{count - 1}"
        raise Refused(
            f"{text} is not here, or this build has no kernels for it; here are {here}; see python -m gpukern info"
        )
    check_build(text)
    return f"cuda:{ordinal}"


def parse(arguments: Sequence[str]) -> tuple[list[Product], str, int]:
    """(products, device, turns)"""
    parser = Parser(
        prog="python -m gpukern bench tune",
        description="Times every configuration for the given products on this device and stores their ranking.",
    )
    parser.add_argument(
        "--shapes", nargs="+", required=True, type=_shape, metavar="M,N,K", help="A is M x K, B is K x N"
    )
    parser.add_argument(
        "--dtype",
        default=["float32"],
        type=_listed(types()),
        metavar="TYPE,..",
        help="dtypes, separated by commas (default: float32)",
    )
    parser.add_argument("--layout", default=["nn"], type=_listed(tuning.LAYOUTS), metavar="nn,nt,tn,tt",
                        help="layouts of A and B: n row-major, t column-major (default: nn)")  # fmt: skip
    parser.add_argument("--batch", default=1, type=_count, help="products of each shape in one call (default: 1)")
    parser.add_argument("--device", default="", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    parser.add_argument("--turns", default=21, type=_count, help="how often each configuration is timed (default: 21)")
    asked = parser.parse_args(arguments)
    products = [
        Product(dtype, m, n, k, asked.batch, layout)
        for dtype in asked.dtype
        for m, n, k in asked.shapes
        for layout in asked.layout
    ]
    return list(dict.fromkeys(products)), _device(asked.device or selection.default_device()), asked.turns


# ---- one product -----------------------------------------------------------------------------------------------------


def operands(product: Product, device: str) -> tuple[Tensor, Tensor]:
    """Random normal numbers, for integer types small whole ones: the same in every run."""
    dtype = getattr(torch, product.dtype)
    random = torch.Generator(device).manual_seed(20)

    def made(rows: int, columns: int, order: str) -> Tensor:
        batch = () if product.batch == 1 else (product.batch,)
        shape = (*batch, rows, columns) if order == "n" else (*batch, columns, rows)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        values = torch.randn(shape, generator=random, device=device, dtype=wide)
        values = values.to(dtype) if dtype.is_floating_point else (values * 3).round().to(torch.int64).to(dtype)
        return values if order == "n" else values.mT

    return made(product.m, product.k, product.layout[0]), made(product.k, product.n, product.layout[1])


def able(a: Tensor, b: Tensor, device: str) -> list[str]:
    """The compiled configurations that can serve the product."""
    names = []
    for configuration in selection.available():
        name = configuration.name
        with selection.force(name):
            if selection.explain_quietly("matmul", a, b, device=device).configuration == name:
                names.append(name)
    return names


def call_of(configuration: str, a: Tensor, b: Tensor, out: Tensor) -> Call:
    """Runs the product on one configuration, into `out`."""
    function: Callable[..., Tensor] = getattr(ops, "mm" if a.dim() == 2 else "bmm")

    def call() -> Tensor:
        with selection.force(configuration):
            return function(a, b, out=out)

    return call


def measure(calls: list[Call], turns: int, device: str) -> list[float]:
    """Microseconds of each call: the median over alternating turns."""
    clock = HostClock() if device == "cpu" else DeviceClock()
    return [spread(times).p50 for times in by_turns(calls, clock, Effort(TURN, turns, BUDGET))]


@dataclass(frozen=True)
class Ranked:
    """ranking: (configuration, microseconds), fastest first.  wrong: configurations with a wrong result."""

    product: Product
    ranking: tuple[tuple[str, float], ...]
    wrong: tuple[str, ...]

    def lines(self) -> Iterator[tuple[str, str, str, str]]:
        for configuration, microseconds in self.ranking:
            yield str(self.product), configuration, f"{microseconds:.1f}", f"{microseconds / self.ranking[0][1]:.2f}"
        for configuration in self.wrong:
            yield str(self.product), configuration, "WRONG", ""


def rank(product: Product, device: str, turns: int) -> Ranked:
    a, b = operands(product, device)
    out = torch.empty((*a.shape[:-1], b.shape[-1]), dtype=a.dtype, device=device)
    calls, wrong = {}, []
    for configuration in able(a, b, device):
        # Otherwise the result of the previous configuration could pass for this one's.
        out.fill_(math.nan if out.dtype.is_floating_point else 85)
        call = call_of(configuration, a, b, out)
        call()
        if check.product(out, a, b):
            calls[configuration] = call
        else:
            wrong.append(configuration)
    times = measure(list(calls.values()), turns, device) if calls else []
    ranking = sorted(((name, round(time, 3)) for name, time in zip(calls, times)), key=lambda pair: pair[1])
    return Ranked(product, tuple(ranking), tuple(wrong))


# ---- the command -----------------------------------------------------------------------------------------------------


def _keep(found: Sequence[Ranked], device: str) -> str:
    """Stores the rankings; returns a sentence that says where.  OSError if it cannot."""
    today = datetime.date.today().isoformat()
    entries = [tuning.Entry(**vars(one.product), ranking=one.ranking, date=today) for one in found if one.ranking]
    if not entries:
        return "nothing is stored: no configuration here serves these products with the right result"
    here: dict[str, Any] = _C.describe_device(device)
    driver = machine.describe("cpu" if device == "cpu" else "cuda")["driver"]
    path = tuning.store(here["name"] or device, here["target"], entries, driver)
    tuning.activate()
    return "nothing is stored: GPUKERN_TUNING=off" if path is None else f"stored in {path}"


def main(arguments: list[str]) -> int:
    """0: ranked; 1: a configuration was wrong, or the ranking could not be stored; 2: wrong arguments."""
    try:
        products, device, turns = parse(arguments)
    except Refused as refused:
        print(f"bench tune: {refused}", file=sys.stderr)
        return 2
    if device != "cpu":
        torch.cuda.set_device(device)  # events and streams belong to the current device
    # Stored measurements have no influence here: every call forces its configuration.
    found = [rank(product, device, turns) for product in products]
    lines = [line for one in found for line in one.lines()]
    print("\n".join(aligned([("product (m x n x k)", "configuration", "us", "time / best"), *lines])))
    if all(len(one.ranking) + len(one.wrong) < 2 for one in found):
        print(f"on {device} there was nothing to choose from: one configuration serves each product")
    try:
        print(_keep(found, device))
    except OSError as error:
        print(f"bench tune: the ranking cannot be stored: {error}", file=sys.stderr)
        return 1
    return int(any(one.wrong or not one.ranking for one in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
