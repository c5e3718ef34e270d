"""`make inspect`: compiles or reads all GPU code, prints what it takes and what is wrong; `--golden` writes figures.

The same functions are the tests of test_inspection.py.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from tests.platform import inspect_cuda, inspect_hip, kernels, promises
from tests.platform.inspect_cuda import Inspection
from tests.platform.toolchains import Missing

T = TypeVar("T")


reports: dict[str, str] = {}  # printed at the end of a test run (conftest.py)


@cache
def cuda() -> Inspection:
    found = inspect_cuda.inspect()
    reports["cuda"] = report(found)
    return found


@cache
def hip() -> Inspection:
    found = inspect_hip.inspect()
    reports["hip"] = report(found)
    return found


BACKENDS: dict[str, Callable[[], Inspection]] = {"cuda": cuda, "hip": hip}


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def reachable(function: Callable[[], T]) -> T | None:
    """None, and a line of warning, if a toolchain is missing; in CI (CI=true) that is an error."""
    try:
        return function()
    except Missing as error:
        if in_ci():
            raise
        warnings.warn(str(error), stacklevel=2)
        return None


def complaints(found: Inspection) -> list[str]:
    """Everything that is wrong with one vendor's code."""
    wrong = [text for name, log in found.logs.items() for text in kernels.complaints_of_log(name, log)]
    wrong += [text for group in found.kernels.values() for kernel in group for text in kernels.complaints(kernel)]
    wrong += [f"{target}: no kernel was compiled for it" for target, group in found.kernels.items() if not group]
    wrong += unkept(found)
    wrong += [f"{name}: what its compiler said and took is not known" for name, s in found.seconds.items() if s <= 0]
    seconds = sum(found.seconds.values())
    if seconds > promises.BUDGET_SECONDS:
        wrong.append(f"all of it takes {seconds:.0f} CPU seconds, the budget is {promises.BUDGET_SECONDS}")
    if found.code_bytes > promises.BUDGET_BYTES:
        wrong.append(f"all of it has {found.code_bytes} bytes, the budget is {promises.BUDGET_BYTES}")
    return wrong


def unkept(found: Inspection) -> list[str]:
    """Promises that no kernel of a target answers to: a rule that checks nothing."""
    return [
        f"{target}: no kernel is named {promise.kernels}, so promises.py checks nothing there"
        for target, group in found.kernels.items()
        for promise in promises.PROMISES
        if promise.asked_of(target) and not any(re.fullmatch(promise.kernels, kernel.key) for kernel in group)
    ]


def texts(found: Inspection) -> dict[str, str]:
    """The golden text of each target."""
    return {target: kernels.golden(target, found.compiler, group) for target, group in found.kernels.items()}


def differences(found: Inspection) -> list[str]:
    """Golden files against what was found: a diff, or one line where another compiler wrote them."""
    result: list[str] = []
    for target, text in texts(found).items():
        path = kernels.GOLDEN / f"{target}.txt"
        old = path.read_text().splitlines() if path.exists() else []
        new = text.splitlines()
        diff = difflib.unified_diff(old, new, f"golden/{target}.txt", "this build", lineterm="", n=0)
        result += list(diff)
    return result


def other_compiler(found: Inspection) -> str:
    """The warning that the golden files are another compiler's; "" if they are this one's."""
    for target in found.kernels:
        path = kernels.GOLDEN / f"{target}.txt"
        first = path.read_text().partition("\n")[0] if path.exists() else ""
        theirs = re.search(rf"# {re.escape(target)} by (.*?);", first)
        if theirs and theirs[1] != found.compiler:
            return (
                f"the golden figures are of {theirs[1]}, this is {found.compiler}: not compared (make inspect-golden)"
            )
    return ""


def report(found: Inspection) -> str:
    count = sum(1 for group in found.kernels.values() for k in group if k.entry)
    seconds = sum(found.seconds.values())
    lines = [
        f"{found.compiler}: {count} kernels, {found.code_bytes / 1e6:.1f} MB of instructions "
        f"(budget {promises.BUDGET_BYTES / 1e6:.0f}), {seconds:.0f} CPU seconds (budget {promises.BUDGET_SECONDS}; "
        f"this machine's are {found.pace:.2f} for one)"
    ]
    for target, group in found.kernels.items():
        size = sum(k.code_bytes for k in group) / 1e6
        most = max((k.registers for k in group), default=0)
        taken = found.by_target.get(target, 0)
        lines.append(f"  {target}: {len(group)} functions, {size:.2f} MB, {taken:.0f} CPU s, at most {most} registers")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    failed = 0
    for backend, inspect in BACKENDS.items():
        start = time.monotonic()
        try:
            found = inspect()
        except Missing as error:
            print(f"{backend}: {error}")
            failed = 1
            continue
        print(report(found), f"({time.monotonic() - start:.0f} s)")
        wrong = complaints(found)
        if "--golden" in arguments:
            kernels.GOLDEN.mkdir(exist_ok=True)
            for target, text in texts(found).items():
                (kernels.GOLDEN / f"{target}.txt").write_text(text)
        elif sentence := other_compiler(found):
            print(sentence)
        else:
            wrong += differences(found)
        if wrong:
            failed = 1
            print("\n".join(wrong))
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
