"""`python -m gpukern bench`: what gpukern's kernels take beside torch's, on this machine, in one run.

    bench                         lists the suites
    bench SUITE|OP ..             measures; see --help
    bench compare OLD NEW         what changed beyond noise; exit code 1 where something became slower or wrong
    bench show FILE               prints a stored run again
    bench tune --shapes M,N,K ..  measures the rows of products and stores their ranking

docs/benchmarking.md says how time is taken and why.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """0: right; 1: a wrong result, or a regression of `compare`; 2: wrong arguments; 130: interrupted."""
    from . import command, stored

    first, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if first == "tune":
        from . import tune

        return tune.main(rest)
    if first in stored.COMMANDS:
        return stored.COMMANDS[first](rest)
    try:
        return command.main(list(arguments))
    except command.Refused as refused:
        print(f"gpukern bench: {refused}", file=sys.stderr)
        return 2
