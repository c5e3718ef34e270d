"""`python -m gpukern info [--json]`, `.. demo [..]`, `.. model OP [..]` and `.. bench [SUITE|OP ..]`."""

from __future__ import annotations

import argparse
import json
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gpukern", description="Hand-written GPU kernels for PyTorch.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    info = commands.add_parser("info", help="print versions, what was built, devices found, and how to build the rest")
    info.add_argument("--json", action="store_true", help="print it as JSON")
    commands.add_parser("demo", help="train a digit classifier on torch's kernels and on gpukern's", add_help=False)
    commands.add_parser("model", help="run a GPU kernel on the CPU and check every memory access", add_help=False)
    commands.add_parser("bench", help="time gpukern's kernels against torch's", add_help=False)
    asked, rest = parser.parse_known_args(arguments)
    if asked.command == "demo":
        from gpukern import demo

        return demo.main(rest)
    if asked.command == "model":
        from gpukern.model import command

        return command.main(rest)
    if asked.command == "bench":
        from gpukern import bench

        return bench.main(rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    from gpukern.info import info as collect

    facts = collect()
    print(json.dumps(facts, indent=2) if asked.json else facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
