"""`bench compare OLD NEW` and `bench show FILE`: the commands on stored runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import compare as comparing
from . import table
from .arguments import Parser, Refused, check_plotting
from .results import Unreadable, load


def compare(arguments: list[str]) -> int:
    """Prints what changed; 1 where something became slower beyond noise, or wrong."""
    parser = Parser(prog="python -m gpukern bench compare", description=comparing.__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    least = 100 * comparing.LEAST
    parser.add_argument(
        "--least", type=float, default=least, help="smallest change that counts, in percent (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        old, new = load(options.old), load(options.new)
    except Unreadable as error:
        raise Refused(str(error)) from None
    if not {line.key for line in old.lines} & {line.key for line in new.lines}:
        raise Refused("the runs have no case in common")
    found = comparing.compare(old, new, options.least / 100)
    print(comparing.page(found))
    return 1 if found.failed else 0


def show(arguments: list[str]) -> int:
    """Prints a run as it was printed when it was measured; --plot draws it."""
    parser = Parser(prog="python -m gpukern bench show", description="Prints a stored run again.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--plot", type=Path, metavar="DIR", help="folder for the plots")
    options = parser.parse_args(arguments)
    check_plotting(options.plot)
    try:
        run = load(options.file)
    except Unreadable as error:
        raise Refused(str(error)) from None
    print(table.page(run))
    if options.plot:
        from . import plots

        for path in plots.draw(run, options.plot):
            print(path)
    return 1 if run.wrong else 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {"compare": compare, "show": show}
