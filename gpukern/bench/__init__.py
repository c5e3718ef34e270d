"""`python -m gpukern bench`: times gpukern's kernels against torch's on this machine, both in one run.

    bench                         lists the suites
    bench SUITE|OP ..             measures; see --help
    bench compare OLD NEW         prints what changed beyond noise; exit code 1 if something became slower or wrong
    bench show FILE               prints a stored run again
    bench tune --shapes M,N,K ..  times every configuration for these products and stores the ranking
    bench predict [SUITE|OP ..]   prints the cost model's times for products, on a GPU that need not be here

docs/benchmarking.md explains how time is measured, and why.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """0: right; 1: a wrong result, or a regression of `compare`; 2: wrong arguments; 130: interrupted."""
    from . import arguments as asked

    try:
        return _main(list(arguments))
    except asked.Refused as refused:
        print(f"gpukern bench: {refused}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gpukern bench: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the output has ended (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _main(arguments: list[str]) -> int:
    from . import command, predict, stored

    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first == "tune":
        from . import tune

        return tune.main(rest)
    commands = stored.COMMANDS | {"predict": predict.main}
    code = commands[first](rest) if first in commands else command.main(arguments)
    sys.stdout.flush()
    return code
