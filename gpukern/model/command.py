"""`python -m gpukern model ..`: a kernel under the machine model, on random input, compared with the reference."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch

TYPES = ("float32", "float16", "bfloat16", "float64")


def _extents(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.replace("x", ",").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of sizes like 128,96,64") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gpukern model", description=__doc__)
    parser.add_argument("op", help="a product (matmul, linear, bmm ..) or an elementwise op (silu, add ..)")
    parser.add_argument("--shape", type=_extents, help="M,N,K of a product, sizes of an elementwise op")
    parser.add_argument("--dtype", choices=TYPES, default="float32")
    parser.add_argument("--row", dest="configuration", help=argparse.SUPPRESS)  # the name of the next until 0.2
    parser.add_argument(
        "--configuration", help="a configuration such as simt/s64x64 (default: the one an H100 would run)"
    )
    parser.add_argument("--schedule", default="pct", help="fifo, lifo, random or pct (default)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--wave", type=int, choices=(32, 64), default=32, help="lanes of a warp")
    parser.add_argument("--transpose", default="", help="operands of the product that are column-major: a, b, ab")
    return parser


def _arguments(options: argparse.Namespace) -> tuple[Any, ...]:
    """Random normal operands of the op."""
    from gpukern import _C, selection

    dtype = getattr(torch, options.dtype)

    def random(*shape: int, column_major: bool = False) -> torch.Tensor:
        t = torch.randn(*shape, dtype=torch.float64).to(dtype)
        return t.transpose(-1, -2).contiguous().transpose(-1, -2) if column_major else t

    if options.op in selection._PRODUCTS:
        m, n, k = options.shape or (128, 96, 64)
        a, b = random(m, k, column_major="a" in options.transpose), random(k, n, column_major="b" in options.transpose)
        operands: dict[str, tuple[Any, ...]] = {
            "linear": (a, b.t()), "bmm": (a[None], b[None]), "mv": (a, b[:, 0]), "addmm": (random(n), a, b),
            "baddbmm": (random(1, m, n), a[None], b[None]), "addmv": (random(m), a, b[:, 0]),
        }  # fmt: skip
        return operands.get(options.op, (a, b))
    entry = next((e for e in _C.elementwise_catalogue() if e["name"] == options.op), None)
    count = entry["inputs"] if entry else 1
    tensors = [random(*(options.shape or (1000,))) for _ in range(count)]
    if entry and entry["args"].startswith("Tensor condition"):
        tensors[0] = tensors[0] > 0
    return tuple(tensors)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if the model finds a fault or the result is wrong; 2 for wrong arguments."""
    from gpukern import model, reference

    options = _parser().parse_args(argv)
    torch.manual_seed(0)
    try:
        arguments = _arguments(options)
        result, report = model.run(
            options.op,
            *arguments,
            configuration=options.configuration,
            schedule=options.schedule,
            seed=options.seed,
            wave=options.wave,
        )
    except model.ModelError as fault:
        print(f"fault: {fault}", file=sys.stderr)
        return 1
    except (ValueError, RuntimeError) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return 2
    print(report)
    expected = getattr(reference, options.op)(*arguments)
    off = (result.double() - expected).abs().max().item()
    size = expected.abs().max().item()
    print(f"largest error {off:.2e}, of values up to {size:.3g}, against the float64 reference")
    limit = {"float64": 1e-10, "float32": 1e-4}.get(options.dtype, 2e-2) * max(size, 1.0)
    return 0 if off <= limit else 1
