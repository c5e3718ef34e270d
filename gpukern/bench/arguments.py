"""What every command of the bench says to arguments that mean nothing: one line, exit code 2."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import NoReturn

from .. import _C
from ..info import built
from .results import writable


class Refused(Exception):
    """One line that says what is possible.  No ValueError: argparse would put words of its own in its place."""


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
    """A GPU's times are the shipped build's, or nobody's."""
    if device.startswith("cuda") and "-DGPUKERN_BOUNDED_WAITS" in built().get("flags", {}).get("gpu", ""):
        raise Refused(f"--device {device}: this build was made with GPUKERN_BOUNDED_WAITS, "
                      "so its times are not the shipped build's; run: make build")  # fmt: skip


def check_plotting(folder: Path | None) -> None:
    """Before anything is measured or printed."""
    if folder is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise Refused('--plot needs matplotlib: pip install "gpukern[bench]"')
    if why := writable(folder / "picture.png"):
        raise Refused(f"--plot {folder}: {why}; name a writable folder")


def check_file(path: Path | None, resumed: Path | None) -> None:
    """A run is not written over another, nor over anything that is no run."""
    if path is None:
        return
    if why := writable(path):
        raise Refused(f"--json {path}: {why}; name a writable file")
    if path.exists() and (resumed is None or path.resolve() != resumed.resolve()):
        raise Refused(f"--json {path}: the file exists; continue its run with --resume {path}, or name another file")
