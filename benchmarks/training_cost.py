"""Forward and backward of layers with an activation beside torch's: `python -m benchmarks.training_cost [--quick]`.

Ours and torch's take turns, as in cpu_cost.py: a ratio is ours over torch's, the median over the turns, with its 20th
and 80th percentile.  "saved" is what autograd keeps for the backward, each tensor once, in KB: parameters included.
--device cuda measures a GPU.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import gpukern
import gpukern.nn
from benchmarks.cpu_cost import compare

TORCHS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
Shape = tuple[int, ...]  # rows, then the widths of the layers
LAYERS: list[Shape] = [(4, 4, 4), (512, 512, 2048), (2048, 1024, 1024)]
CHAINS: list[Shape] = [(4, 4, 4, 4), (512, 256, 1024, 1024, 256)]


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    """What autograd keeps of one call, each memory once."""
    seen: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        model(x)
    return sum(seen.values())


def models(shape: Shape, activation: str, device: str, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """Ours and torch's, with the same parameters; two widths are a layer that ends in its activation."""
    theirs = nn.Sequential()
    for a, b in itertools.pairwise(shape[1:]):
        theirs.extend([nn.Linear(a, b, device=device, dtype=dtype), TORCHS[activation]()])
    mine: nn.Module
    if len(shape) == 3:
        mine = gpukern.nn.Linear(*shape[1:], device=device, dtype=dtype, activation=activation)
        mine.load_state_dict(theirs[0].state_dict())
    else:
        theirs = nn.Sequential(*list(theirs)[:-1])
        mine = gpukern.nn.MLP(*shape[1:], activation=activation, device=device, dtype=dtype)
        mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def step(model: nn.Module, x: Tensor, g: Tensor) -> Callable[[], object]:
    parameters = [x, *model.parameters()]
    synchronize = torch.cuda.synchronize if x.is_cuda else None

    def run() -> None:
        torch.autograd.grad(model(x), parameters, g)
        if synchronize:
            synchronize()

    return run


def lines(device: str, quick: bool) -> Iterator[str]:
    for shape in LAYERS + CHAINS:
        for dtype in (torch.float32, torch.bfloat16):
            for activation in TORCHS:
                mine, theirs = models(shape, activation, device, dtype)
                x = torch.randn(shape[0], shape[1], device=device, dtype=dtype, requires_grad=True)
                g = torch.randn(shape[0], shape[-1], device=device, dtype=dtype)
                count, turns = (200, 21) if shape[0] < 16 else (1, 15)
                found = compare("", step(mine, x, g), step(theirs, x, g), 1.1, count, turns // 3 if quick else turns)
                kept = [saved_bytes(model, x) / 1024 for model in (mine, theirs)]
                what = f"{'x'.join(map(str, shape))} {str(dtype).removeprefix('torch.')} {activation}"
                yield (
                    f"{what:36} {found.ours:10.1f} {found.theirs:10.1f}  {found.ratio:5.2f}  "
                    f"({found.low:5.2f} .. {found.high:4.2f})  {kept[0]:9.1f} {kept[1]:9.1f}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer turns: a look, not a measurement")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, gpukern {gpukern.__version__}, {torch.get_num_threads()} threads")
    print(f"{'rows x widths':36} {'ours us':>10} {'torch us':>10}  ratio  (20 .. 80 %)    saved KB  torch KB")
    for line in lines(options.device, options.quick):
        print(line, flush=True)


if __name__ == "__main__":
    main()
