"""`make sanitize`: the host C++ with AddressSanitizer and UBSan, and tests of it: `python -m tests.sanitizers.run`.

The build is the CPU's, in build/sanitize with a copy of the package, so that the one in place stays as it is. The flags
are in csrc/build_rules.py. torch and Python are as always: the sanitizers see every allocation of theirs, but only the
reads and writes of our own code. Arguments are pytest's. Exit 1: a finding, a failed test, or no libasan.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "csrc"))

import build_rules as rules  # noqa: E402

FOLDER = ROOT / "build" / "sanitize"
PACKAGES = FOLDER / "lib"
REPORTS = FOLDER / "reports"

# What calls every kind of host code: products, einsum and chains, fused products and their gradients, elementwise forms
# and derivatives, refusals, results that share memory with arguments, the entry points and the routes.
TESTS = [
    "tests/sanitizers",
    "tests/gemm/behaviour",
    *(
        f"tests/elementwise/test_{word}.py"
        for word in ("bugs", "derivatives", "exact", "forms", "gradients", "numbers", "values")
    ),
    *(f"tests/contract/test_{word}.py" for word in ("aliasing", "dropin", "entry", "errors", "mlp", "nn", "opinfo")),
]
# Tracers are Python's and torch's. Of the others the first needs GPU code, the second starts processes that take a
# minute, and the third knows a product and a sum with one rounding, which the compiler makes at -O2 only.
WITHOUT = ["compile", "trac", "opcheck", "costs_are_said", "import_reads_what_is_stored", "special_values"]
# Again with the loops of old processors, whose formulas are of plain numbers: UBSan sees nothing in registers.
SCALAR = ["tests/elementwise/test_values.py"]


def compiler() -> list[str]:
    return shlex.split(os.environ.get("CXX") or shutil.which("g++") or "g++")


def library(name: str) -> str:
    """The full path of a library of the compiler, "" where there is none."""
    found = rules.output_of(*compiler(), f"-print-file-name={name}").strip()
    return found if os.path.isabs(found) else ""


def environment(reports: Path) -> dict[str, str]:
    """What Python needs to load the extension, and the options of the sanitizers."""
    address = {
        "detect_leaks": 0,  # Python frees little at its end
        "alloc_dealloc_mismatch": 0,  # torch and its libraries were not compiled for it
        "allocator_may_return_null": 1,  # tests request more memory than there is
        "handle_abort": 1,  # so that a failed assertion of libstdc++ has a stack trace
        "log_path": reports / "address",  # pytest holds what a process writes, and dies with it
    }
    undefined = {"print_stacktrace": 1, "log_path": reports / "undefined"}
    return {
        **os.environ,
        # libstdc++ too: AddressSanitizer looks for its __cxa_throw as it starts, and Python itself does not load it.
        "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so.6')}",
        "ASAN_OPTIONS": ":".join(f"{name}={value}" for name, value in address.items()),
        "UBSAN_OPTIONS": ":".join(f"{name}={value}" for name, value in undefined.items()),
        "PYTHONMALLOC": "malloc",  # objects of their own, not parts of Python's blocks
        "PYTHONPATH": str(ROOT),  # for `tests`; gpukern is found in the current folder before
    }


def timed(what: str, command: list[str], **options: object) -> int:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    code = subprocess.run(command, **options).returncode  # type: ignore[call-overload]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    print(f"sanitize: {what} took {time.monotonic() - began:.0f} s, {seconds:.0f} CPU seconds", flush=True)
    return int(code)


def build() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    facts = ["egg_info", "--egg-base", str(FOLDER)]  # which setuptools would write into the source folder
    command = ["setup.py", "-q", *facts, "build", "--build-base", str(FOLDER), "--build-lib", str(PACKAGES)]
    return timed("the build", [sys.executable, *command], cwd=ROOT, env={**os.environ, "GPUKERN_SANITIZE": "1"})


def test(what: str, paths: list[str], arguments: list[str], **variables: str) -> int:
    chosen = ["-m", "not slow and not nightly", "-k", " and ".join(f"not {word}" for word in WITHOUT)]
    # Without pytest's faulthandler: what ends a process is AddressSanitizer's to report.
    plugins = ["-p", "tests.sanitizers.sample", "-p", "no:faulthandler", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, *chosen, *arguments, *(str(ROOT / path) for path in paths)]
    return timed(what, command, cwd=PACKAGES, env={**environment(REPORTS), **variables})


def main(arguments: list[str]) -> int:
    if not library("libasan.so"):
        print(f"sanitize: {compiler()[0]} has no libasan; install GCC's (Debian: apt install g++)", file=sys.stderr)
        return 1
    if code := build():
        return code
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    code = test("the tests", TESTS, arguments)
    code = test("the tests with scalar loops", SCALAR, arguments, ATEN_CPU_CAPABILITY="default") or code
    reports = sorted(REPORTS.iterdir())
    for report in reports:
        print(f"\n{report.relative_to(ROOT)}\n{report.read_text(errors='replace')[:6000]}")
    print(f"sanitize: {'clean' if not (code or reports) else 'failed'}")
    return 1 if code or reports else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
