"""`python -m gpukern demo`: one residual network, trained with torch's kernels and with gpukern's, side by side."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

NEEDS = {"sklearn": "scikit-learn", "matplotlib": "matplotlib", "tqdm": "tqdm"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gpukern demo", description=__doc__)
    parser.add_argument("--epochs", type=int, default=30, help="passes over the 1,437 training images (default: 30)")
    parser.add_argument(
        "--device",
        default=None,
        help='"cpu", "cuda", "cuda:1" (default: the GPU if gpukern was built for it, else cpu)',
    )
    parser.add_argument(
        "--output", type=Path, default=Path("gpukern-demo.png"), help="file for the loss curves (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the weights, the data split and the order (default: 0)"
    )
    # The network is small: a second thread saves little, and costs much on a busy machine.
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; the exit code is 0, or 2 where something it needs is missing."""
    options = _parser().parse_args(argv)
    missing = [name for module, name in NEEDS.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(f'the demo also needs {", ".join(missing)}: run  pip install "gpukern[demo]"', file=sys.stderr)
        return 2
    for name in ("epochs", "threads"):
        if getattr(options, name) < 1:
            print(f"--{name}: must be at least 1", file=sys.stderr)
            return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from gpukern import selection
    from gpukern.info import info

    from . import report, train

    torch.set_num_threads(options.threads)
    try:
        device = torch.device(options.device if options.device is not None else selection.default_device())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        print(f"--device {options.device}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} thread(s)"
    print(f"device: {name}")
    print(info())
    digits = train.load_digits(options.seed, device)
    images = f"{len(digits.train)} training and {len(digits.test)} test images"
    print(f"{images}, {options.epochs} epochs, seed {options.seed}\n", flush=True)
    results = []
    for kit in (train.TORCH, train.GPUKERN):
        selection.reset_served()
        with tqdm(total=options.epochs * train.steps_of(digits), desc=f"{kit.name:8}", unit="step") as bar:

            def tick(loss: float, bar: tqdm[None] = bar) -> None:
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                bar.update()

            results.append(train.train(kit, digits, options.epochs, options.seed, tick))
    served = selection.served()
    print()
    print(report.summary(*results))
    print()
    print("which configuration served which call of the gpukern run:")
    print(report.served_table(served))
    report.draw(results[0], results[1], options.output)
    print(f"\nloss curves: {options.output.resolve()}")
    return 0
