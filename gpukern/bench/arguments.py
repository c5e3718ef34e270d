"""How every command of the bench reports wrong arguments: one line, exit code 2."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import NoReturn

from .. import _C
from ..info import built
from .results import writable


class Refused(Exception):
    """One line that says what is possible.  Not a ValueError: argparse would replace its text."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message} ({self.prog} --help)")


def forced() -> str:
    """The configuration or kernel folder that GPUKERN_FORCE names, "" for none."""
    try:
        return str(_C.gemm_forced())
    except ValueError as error:
        raise Refused(f"GPUKERN_FORCE: {error}") from None


def check_build(device: str) -> None:
    """Refuses to time a GPU with a build whose waits are bounded."""
    if device.startswith("cuda") and "-DGPUKERN_BOUNDED_WAITS" in built().get("flags", {}).get("gpu", ""):
        raise Refused(f"--device {device}: this build was made with GPUKERN_BOUNDED_WAITS, "
                      "so its times are not the shipped build's; run: make build")  # fmt: skip


def check_plotting(folder: Path | None) -> None:
    """Checks --plot before anything is measured or printed."""
    if folder is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise Refused('--plot needs matplotlib: pip install "gpukern[bench]"')
    if why := writable(folder / "picture.png"):
        raise Refused(f"--plot {folder}: {why}; name a writable folder")


def check_file(path: Path | None, resumed: Path | None) -> None:
    """Refuses to overwrite a file, whether it holds a run or not."""
    if path is None:
        return
    if why := writable(path):
        raise Refused(f"--json {path}: {why}; name a writable file")
    if path.exists() and (resumed is None or path.resolve() != resumed.resolve()):
        raise Refused(f"--json {path}: the file exists; continue its run with --resume {path}, or name another file")
