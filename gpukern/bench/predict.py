"""`python -m gpukern bench predict [SUITE|OP ..]`: the cost model's time for each matrix product, beside its floor.

Nothing runs and no operand is allocated: selection says which configuration it would take on a device that need not be
present, and that configuration's cycles (`cost` in csrc/gemm/arch/*/tiles.h) are divided by the clock that the model
assumes.  The floor is the least time that the device's arithmetic rate and memory bandwidth allow.  The cost model was
made to rank configurations; a ratio above 1 shows that it leaves something out.  Every figure is predicted, not
measured on a GPU.  A stored measurement (bench tune) that decided the choice is printed below, with device and date.
floors.py has the floors and their sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .. import selection
from ..explanation import PREDICTED, Explanation, Recorder
from . import cases, suites
from .arguments import Parser, Refused, forced
from .command import cases_of
from .floors import DEVICES, Device
from .statistics import geometric_mean
from .suites import Spec
from .table import aligned, microseconds


@dataclass(frozen=True)
class Prediction:
    """One case.  configuration: its name with its ranges of k, as `force` takes it.  seconds: None where none of ours
    would run.  floor: None where no rate is documented for the dtype.  computes: whether arithmetic sets the floor.
    measured: the stored measurement that chose the configuration: date, device, times."""

    spec: Spec
    configuration: str
    seconds: float | None
    floor: float | None
    computes: bool
    measured: str | None = None

    @property
    def ratio(self) -> float | None:
        """floor / seconds: the share of the predicted time that the device needs at least."""
        return self.floor / self.seconds if self.floor and self.seconds else None

    @property
    def clocked(self) -> bool:
        return selection.named(self.configuration).clock > 0


def explained(case: cases.Case, target: str) -> Explanation:
    """Selection's explanation of the product that a case calls; its operands stay on meta."""
    with Recorder() as recorder:
        case.ours(*(want.on_meta() for want in case.wants))
    ((name, operands, options),) = recorder.calls  # one launch is what the bench times
    return selection.explain_quietly(name, *operands, device=target, **options)


def predict(spec: Spec, device: Device) -> Prediction:
    """The prediction for a product; spec.kind is "product"."""
    case = cases.build(spec, "cpu")  # only for the shapes and layouts of its operands
    found = explained(case, device.target)
    ranges = f"*{found.splits}" if found.splits > 1 else ""
    seconds = None if found.cycles is None else found.cycles / device.clock
    floor = device.floor(spec.dtype, case.flops, case.bytes)
    computes = floor is not None and device.computes(spec.dtype, case.flops, case.bytes)
    return Prediction(spec, f"{found.would_run or 'torch'}{ranges}", seconds, floor, computes, found.measurement)


# ---- what is printed -------------------------------------------------------------------------------------------------

HEADING = ["", "configuration", "predicted us", "floor us", "floor / predicted", "floor set by"]


def title(name: str, device: Device) -> list[str]:
    rates = ", ".join(f"{dtype} {peak / 1e12:.4g}" for dtype, peak in device.flops.items())
    return [
        f"{PREDICTED}: nothing ran, and the cost model's constants were fitted to no device",
        f"{name} ({device.target}): the model's cycles at {device.clock / 1e9:g} GHz",
        f"floor: the longer of operations ({rates} TFLOP/s) and bytes ({device.bandwidth / 1e9:g} GB/s)",
    ]


def cells(p: Prediction) -> list[str]:
    """A case's cells, under `HEADING`."""
    times = ["-" if seconds is None else microseconds(1e6 * seconds) for seconds in (p.seconds, p.floor)]
    ratio = "-" if p.ratio is None else f"{p.ratio:.3f}"
    bound = "-" if p.floor is None else "arithmetic" if p.computes else "memory"
    return [p.spec.name, p.configuration, *times, ratio, bound]


def summary(predictions: Sequence[Prediction]) -> list[str]:
    """The geometric mean and the worst of a suite's ratios, and how many predictions lie below their floor."""
    ratios = {p.spec.name: p.ratio for p in predictions if p.ratio is not None}
    if not ratios:
        return ["no case has both a prediction and a floor"]
    found = [
        f"geometric mean of floor / predicted over {len(ratios)} cases: {geometric_mean(list(ratios.values())):.3f}"
    ]
    worst, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    found.append(f"the worst: {worst} {ratios[worst]:.3f}")
    if below := sum(ratio > 1 for ratio in ratios.values()):
        found.append(
            f"{below} predicted below their floor: the model leaves something out; the most: {most} {ratios[most]:.3f}"
        )
    if unclocked := sum(not p.clocked for p in predictions if p.ratio is not None):
        found.append(f"{unclocked} on configurations whose cost model names no clock; the same clock is assumed")
    return found


def measurements(predictions: Sequence[Prediction]) -> list[str]:
    """Stored measurements of a suite's cases, one line each; a single line if there are none."""
    known = [f"measured, {p.spec.name}: {p.measured}" for p in predictions if p.measured]
    return known or [f"all {len(predictions)} are {PREDICTED}; `bench tune` stores measurements"]


def page(name: str, device: Device, specs: Sequence[Spec]) -> str:
    """Everything about the products among some cases, suite by suite."""
    blocks = [title(name, device)]
    for suite in dict.fromkeys(spec.suite for spec in specs):
        found = [predict(s, device) for s in specs if s.suite == suite and s.kind == "product"]
        if found:
            blocks.append([suite, *aligned([HEADING, *map(cells, found)]), *summary(found), *measurements(found)])
    return "\n\n".join("\n".join(block) for block in blocks)


# ---- what is asked ---------------------------------------------------------------------------------------------------


def with_products() -> list[str]:
    """The suites that have products."""
    return [name for name in suites.paths() if any(s.kind == "product" for s in suites.suite(name))]


def main(arguments: list[str]) -> int:
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = Parser(prog="python -m gpukern bench predict", description=f"{about.split(': ')[1]}  {more}")
    parser.add_argument("names", nargs="*", metavar="SUITE|OP", help="default: every suite that has products")
    parser.add_argument(
        "--device", default="h200", help=f"one of {', '.join(DEVICES)} (default: h200); it need not be here"
    )
    parser.add_argument("--dtype", default="", help="only these dtypes, separated by commas: float32,bfloat16")
    parser.add_argument("--shapes", nargs="+", default=[], metavar="M,N,K", help="shapes for an op")
    options = parser.parse_args(arguments)
    if options.device not in DEVICES:
        raise Refused(
            f"--device {options.device}: choose {' or '.join(DEVICES)}, whose clock the cost model has; "
            f"for others explain(.., device=) says which configuration would run"
        )
    if "*" in (force := forced()):
        raise Refused(f"GPUKERN_FORCE={force}: the cost model chooses the split-K count itself; leave out the *")
    if options.shapes and not options.names:
        raise Refused("--shapes goes with an op: bench predict mm --shapes 4096,4096,4096")
    names = options.names or with_products()
    specs = cases_of({"names": names, "shapes": options.shapes, "dtype": options.dtype, "quick": False})
    for name in names:
        if not any(s.kind == "product" for s in specs if s.suite == name):
            choice = ", ".join([*with_products(), *suites.PRODUCTS])
            raise Refused(f"{name} has no matrix product, and only products have a cost model; choose from {choice}")
    torch.backends.cuda.matmul.allow_tf32 = False  # strict float32, as the bench measures it
    print(page(options.device, DEVICES[options.device], specs))
    return 0
