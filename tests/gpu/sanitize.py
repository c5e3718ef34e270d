"""compute-sanitizer's four tools over every configuration: `python -m tests.gpu.sanitize [facts.json]`.

A tool counts only where a planted fault of its kind fires under the same options and the sound twin stays silent
(faults/planted.cu); else the configurations are "not applicable" to it, with the reason.  Nothing of this exists for
AMD devices.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.platform import record

ROOT = Path(__file__).resolve().parents[2]
PLANTED = Path(__file__).with_name("faults") / "planted.cu"
TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")
FOUND = 99  # the exit status that the sanitizer is to have if it finds something
# torch makes queries of the runtime that return an error, which is no fault of a kernel.
OPTIONS = {"memcheck": ["--report-api-errors", "no"]}


def tool_path(name: str) -> str | None:
    """In CUDA_HOME, on PATH, or where the toolkit usually is."""
    homes = [Path(os.environ[n]) for n in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(n)]
    for home in homes:
        for place in (home / "bin" / name, home / "extras" / name / name):
            if place.is_file():
                return str(place)
    usual = Path("/usr/local/cuda")
    return shutil.which(name) or next((str(p) for p in (usual / "bin" / name,) if p.is_file()), None)


def under(sanitizer: str, tool: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """The kernels of gpukern in a command, under one tool, with every allocation the driver's own."""
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    options = ["--tool", tool, "--error-exitcode", str(FOUND), "--kernel-name", "kns=gpukern"]
    whole = [sanitizer, *options, *OPTIONS.get(tool, []), *command]
    printed = []
    # Handed on line by line: what a tool found before it hung is not to be lost with it.
    with subprocess.Popen(whole, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            printed.append(line)
    return subprocess.CompletedProcess(whole, process.returncode, "".join(printed))


def compile_planted(folder: Path) -> tuple[str, str]:
    """(program, ""), or ("", why there is none)."""
    nvcc = tool_path("nvcc")
    if not nvcc:
        return "", "there is no nvcc to compile the planted faults with"
    program = folder / "planted"
    done = subprocess.run([nvcc, "-arch=native", "-lineinfo", "-o", str(program), str(PLANTED)], capture_output=True,
                          text=True)  # fmt: skip
    return (str(program), "") if done.returncode == 0 else ("", f"nvcc refuses the planted faults: {last(done.stderr)}")


def last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "without a word"


def unfit(sanitizer: str, tool: str, planted: str) -> str:
    """Why a tool does not count here; "" where it does."""
    fault = under(sanitizer, tool, [planted, tool, "fault"])
    if fault.returncode != FOUND:
        return f"its planted fault does not fire (exit {fault.returncode}: {last(fault.stdout)})"
    sound = under(sanitizer, tool, [planted, tool, "sound"])
    if sound.returncode != 0:
        return f"it reports a sound kernel (exit {sound.returncode}: {last(sound.stdout)})"
    return ""


def check(tool: str, sanitizer: str, planted: str) -> tuple[str, str]:
    """("clean" | "found" | "not applicable", words)."""
    if why := unfit(sanitizer, tool, planted):
        return "not applicable", why
    done = under(sanitizer, tool, [sys.executable, "-m", "tests.gpu.small"])
    if done.returncode:
        return "found", done.stdout[-6000:]
    return "clean", next((line for line in done.stdout.splitlines() if "every result right" in line), "")


def all_tools() -> dict[str, tuple[str, str]]:
    """The report of each tool; it stops at the first finding."""
    import torch

    if torch.version.hip:
        return dict.fromkeys(TOOLS, ("not applicable", "compute-sanitizer is for NVIDIA devices"))
    sanitizer = tool_path("compute-sanitizer")
    if not sanitizer:
        return dict.fromkeys(TOOLS, ("not applicable", "compute-sanitizer is not installed"))
    verdicts: dict[str, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        planted, why = compile_planted(Path(folder))
        for tool in TOOLS:
            verdicts[tool] = check(tool, sanitizer, planted) if planted else ("not applicable", why)
            print(f"{tool:10} {verdicts[tool][0]}: {verdicts[tool][1]}", flush=True)
            if verdicts[tool][0] == "found":
                break
    return verdicts


def main(arguments: list[str]) -> int:
    verdicts = all_tools()
    found = any(verdict == "found" for verdict, _ in verdicts.values())
    facts: dict[str, Any] = {"tools": {tool: {"verdict": v, "words": w} for tool, (v, w) in verdicts.items()}}
    if arguments and not found:
        record.write_atomically(Path(arguments[0]), facts)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
