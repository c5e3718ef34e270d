"""`bench compare OLD NEW` and `bench show FILE`: what is asked of runs that are files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from . import command, table
from . import compare as comparing
from .results import Unreadable, load


def compare(arguments: list[str]) -> int:
    """Prints what changed; 1 where something became slower beyond noise, or wrong."""
    parser = argparse.ArgumentParser(prog="python -m gpukern bench compare", description=comparing.__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    least = 100 * comparing.LEAST
    parser.add_argument("--least", type=float, default=least, help="percent that counts (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        found = comparing.compare(load(options.old), load(options.new), options.least / 100)
    except Unreadable as error:
        print(f"gpukern bench: {error}", file=sys.stderr)
        return 2
    if not found.changes and not found.wrong:
        print("gpukern bench: the runs have no case in common", file=sys.stderr)
        return 2
    print(comparing.page(found))
    return 1 if found.failed else 0


def show(arguments: list[str]) -> int:
    """Prints a run as it was printed when it was measured; --plot draws it."""
    parser = argparse.ArgumentParser(prog="python -m gpukern bench show", description="Prints a stored run again.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--plot", type=Path, metavar="DIR", help="a folder for the pictures")
    options = parser.parse_args(arguments)
    try:
        command.check_plotting(options.plot)
        run = load(options.file)
    except (Unreadable, command.Refused) as error:
        print(f"gpukern bench: {error}", file=sys.stderr)
        return 2
    print(table.page(run))
    if options.plot:
        from . import plots

        for path in plots.draw(run, options.plot):
            print(path)
    return 1 if run.wrong else 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {"compare": compare, "show": show}
